"""How far long computations are: they say so as they go, and whoever listens shows it.

A loop over `stepping(items, "exact numbers")` instead of `items` is told of; loops within it refine its
share. Without a listener it is the loop itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")

EVERY = 0.1
"""Seconds between two looks of a listener, at least."""


@dataclass
class Loop:
    """A loop under way: what it computes, how many of its steps are done, and of how many."""

    what: str
    total: int
    done: int = 0
    within: float = 0.0  # the share of the present step that is done


@dataclass(frozen=True)
class Step:
    """One look at a computation: of the outermost loop what it computes, and the share of it that is done;
    the seconds since it began. inner: what the innermost loop computes; "" where that is the same."""

    what: str
    share: float
    seconds: float
    inner: str = ""

    @property
    def seconds_left(self) -> float | None:
        """At the present rate; None before a twentieth is done."""
        return self.seconds * (1 - self.share) / self.share if self.share >= 0.05 else None


def clock_time(seconds: float) -> str:
    """A time as people read it: "0:12", "1:02:03"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


Listener = Callable[[Step | None], None]
"""Called with each look, and with None at the end of the outermost loop."""

_listener: Listener | None = None
_loops: list[Loop] = []
_started = _told = 0.0


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Within, `listener` is called about ten times a second as loops of this program's main thread go on."""
    global _listener
    before, _listener = _listener, listener
    try:
        yield
    finally:
        _listener = before
        _loops.clear()


def stepping(items: Iterable[Item], what: str, total: int | None = None) -> Iterable[Item]:
    """`items`, one by one, told to the listener; what: in a few words, such as "the optimal policy".

    total: how many there are, where `items` has no length.
    """
    if _listener is None or threading.current_thread() is not threading.main_thread():
        return items
    if total is None:
        items = items if isinstance(items, Sized) else list(items)
        total = len(items)
    return _told_of(items, Loop(what, total))


def _told_of(items: Iterable[Item], loop: Loop) -> Iterator[Item]:
    global _started
    if not _loops:
        _started = time.monotonic()
    _loops.append(loop)
    try:
        for item in items:
            yield item
            loop.done, loop.within = loop.done + 1, 0.0
            _look()
    finally:
        if loop in _loops:  # with all that were begun within it and left
            del _loops[_loops.index(loop) :]
        if not _loops and _listener is not None:
            _listener(None)


def _look() -> None:
    global _told
    now = time.monotonic()
    if now - _told < EVERY or _listener is None or not _loops:
        return
    _told = now
    share = 0.0
    for loop in reversed(_loops):  # a step may hold several loops, one after the other: it never goes back
        loop.within = max(loop.within, share)
        share = min((loop.done + loop.within) / max(loop.total, 1), 1.0)
    inner = _loops[-1].what if _loops[-1].what != _loops[0].what else ""
    _listener(Step(_loops[0].what, share, now - _started, inner))
