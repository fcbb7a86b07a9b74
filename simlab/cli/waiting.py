"""What a long computation of exact numbers shows while somebody waits for it, on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from simlab.progress import Step, clock_time, listening

LIVE_AFTER = 1.0
"""Seconds of waiting after which a terminal shows it."""
LINE_AFTER = LINE_EVERY = 10.0
"""The same for a file or a pipe, and how often a line is written there."""
WIDTH = 79


class Waiting:
    """A listener of `simlab.progress`: a live line on a terminal, which goes when the waiting ends; elsewhere
    a line now and then."""

    def __init__(self, stream: TextIO, clock=time.monotonic) -> None:
        self._stream, self._live, self._clock = stream, stream.isatty(), clock
        self._shown, self._written = False, -LINE_EVERY

    def __call__(self, step: Step | None) -> None:
        if step is None:
            if self._shown and self._live:
                self._write(f"\r{'':<{WIDTH}}\r")
            self._shown = False
            return
        if self._live:
            if step.seconds >= LIVE_AFTER:
                self._write(f"\r{described(step)[:WIDTH]:<{WIDTH}}")
                self._shown = True
        elif step.seconds >= LINE_AFTER and self._clock() - self._written >= LINE_EVERY:
            self._written = self._clock()
            self._write(f"{described(step)}\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def described(step: Step) -> str:
    """E.g. "planning (the optimal policy): 43%, 0:12 left"."""
    inner = f" ({step.inner})" if step.inner else ""
    left = step.seconds_left
    told = "estimating the time left" if left is None else f"{clock_time(left)} left"
    return f"{step.what}{inner}: {step.share:.0%}, {told}"


@contextmanager
def shown_waiting() -> Iterator[None]:
    """Within, long computations are shown on standard error."""
    with listening(Waiting(sys.stderr)):
        yield
