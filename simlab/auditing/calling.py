"""Calls the verifier, in the order of a stream that mixes all instances, and reads what it emits.

A verifier that raises, hangs, changes its arguments or emits what is not a window's tokens ends the stream
with a `Misconduct`, which says what and where.
"""

from __future__ import annotations

import contextlib
import itertools
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from simlab.auditing.instances import Instance, draw
from simlab.checks import shortened

BATCHES = (1, 2, 3, 5, 8, 32)
"""Sequences in a call of a verifier that takes several: mistakes have shown from the third sequence on."""


class Misconduct(Exception):
    """What a verifier did that no verifier may: kind, and the sentence that says it."""

    def __init__(self, kind: str, sentence: str, instance: int | None = None, accepted: int | None = None):
        super().__init__(sentence)
        self.kind, self.instance, self.accepted = kind, instance, accepted


class Hung(BaseException):
    """Raised inside a call that lasts too long; no `except Exception` of the verifier's catches it."""


@dataclass
class Sample:
    """Sequences of one instance: drafted (n, g); emitted (n, g + 1), -1 after the last token; accepted (n,);
    order (n,), their numbers in the stream; slot (n,), their numbers in the batch, 0 where a call has one.
    """

    drafted: np.ndarray
    emitted: np.ndarray
    accepted: np.ndarray
    order: np.ndarray
    slot: np.ndarray


@dataclass
class Stream:
    """The verifier, and the random numbers of its drafts and of its own."""

    verifier: Callable
    instances: list[Instance]
    batched: bool
    time_limit: float
    drafts: np.random.Generator
    own: np.random.Generator
    calls: int = 0
    _where: int | None = field(default=None, repr=False)

    def play(self, counts: dict[int, int]) -> dict[int, Sample]:
        """Call the verifier on so many sequences of each instance, mixed; raises Misconduct."""
        drafted, arguments, owner = {}, [], []
        for number, count in counts.items():
            drafted[number], rows = self._prepared(self.instances[number], count)
            arguments.append(rows)
            owner.append(np.full(count, number))
        owner = np.concatenate(owner)
        order = self.drafts.permutation(len(owner))
        columns = [list(itertools.chain.from_iterable(rows)) for rows in zip(*arguments, strict=True)]
        batches = self._batches(owner, order) if self.batched else order[:, None]
        emitted = self._called(columns, owner, batches)
        self._check_arguments(drafted, arguments, owner)
        stream, slot = np.empty(len(owner), dtype=np.int64), np.empty(len(owner), dtype=np.int64)
        stream[np.concatenate(batches)] = np.arange(len(owner))
        slot[np.concatenate(batches)] = np.concatenate([np.arange(len(batch)) for batch in batches])
        return self._sorted(drafted, emitted, stream, slot)

    def _prepared(self, instance: Instance, count: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """Draft tokens (n, g), and the arguments with rows of their own for every call."""
        tokens = np.zeros((count, instance.window), dtype=np.int64)
        context = np.zeros(count, dtype=np.int64)
        contexts = [context]
        for i in range(instance.window):
            tokens[:, i] = draw(instance.true_draft[i, context], self.drafts)
            context = (context * instance.states + tokens[:, i]) % instance.draft.shape[1]
            contexts.append(context)
        places = np.arange(instance.window + 1)
        at = np.stack(contexts, axis=1)
        return tokens, [
            tokens.copy(),
            instance.draft[places[:-1], at[:, :-1]],
            instance.target[places, at],
        ]

    def _batches(self, owner: np.ndarray, order: np.ndarray) -> list[np.ndarray]:
        """The stream cut into calls of several sequences, those of a call with rows of one shape and type."""
        shapes = np.array([(one.states, one.draft.itemsize) for one in self.instances])
        kinds = np.unique(shapes[owner[order]], axis=0)
        batches = []
        for kind in kinds:
            left = order[(shapes[owner[order]] == kind).all(axis=1)]
            for size in itertools.cycle(self.drafts.permutation(BATCHES)):
                if not len(left):
                    break
                batches.append(left[:size])
                left = left[size:]
        return [batches[i] for i in self.drafts.permutation(len(batches))]

    def _called(self, columns: list, owner: np.ndarray, batches) -> list:
        """What each sequence's call emitted, unread but for its shape."""
        verifier, own, found = self.verifier, self.own, [None] * len(owner)
        tokens, drafts, targets = columns
        with interrupted_after(self.time_limit) as tick:
            try:
                if self.batched:
                    for batch in batches:
                        tick.calls = self._where = self.calls
                        at = batch.tolist()
                        stacked = [np.stack([column[j] for j in at]) for column in columns]
                        kept = [one.copy() for one in stacked]
                        rows = _rows(verifier(*stacked, own), len(at), self.calls)
                        if not all(map(np.array_equal, stacked, kept)):
                            raise self._changed(owner[at[0]])
                        for j, row in zip(at, rows, strict=True):
                            found[j] = row
                        self.calls += 1
                else:
                    for j in batches.ravel().tolist():
                        tick.calls = self._where = j
                        found[j] = verifier(tokens[j], drafts[j], targets[j], own)
                        self.calls += 1
            except Hung:
                raise Misconduct(
                    "hang",
                    f"Call {self.calls + 1} did not return within the time limit of {self.time_limit:g} s.",
                    None if self.batched else int(owner[self._where]),
                ) from None
            except Misconduct:
                raise
            except (Exception, SystemExit) as error:
                raise Misconduct(
                    "raise",
                    f"Call {self.calls + 1} raised {type(error).__name__}: {shortened(str(error), 200)}",
                    None if self.batched else int(owner[self._where]),
                ) from error
        return found

    def _changed(self, instance: int) -> Misconduct:
        return Misconduct(
            "changed arguments", "The verifier changed its arguments: work on a copy of them.", int(instance)
        )

    def _check_arguments(self, drafted: dict, arguments: list, owner: np.ndarray) -> None:
        """Raises Misconduct if a call wrote into its arguments."""
        for (number, tokens), (given, drafts, targets) in zip(drafted.items(), arguments, strict=True):
            instance = self.instances[number]
            at = instance.contexts(tokens)
            places = np.arange(instance.window + 1)
            same = np.array_equal(given, tokens)
            same &= np.array_equal(drafts, instance.draft[places[:-1], at[:, :-1]])
            if not (same and np.array_equal(targets, instance.target[places, at])):
                raise self._changed(number)

    def _sorted(self, drafted: dict, emitted: list, stream: np.ndarray, slot: np.ndarray) -> dict:
        """Samples by instance; raises Misconduct for what is not a window's tokens."""
        found, start = {}, 0
        for number, tokens in drafted.items():
            part = slice(start, start + len(tokens))
            read = _read(emitted[part], self.instances[number], number)
            found[number] = Sample(tokens, read, (read >= 0).sum(axis=1) - 1, stream[part], slot[part])
            start += len(tokens)
        return found


def _rows(answer, count: int, calls: int) -> list:
    """The sequences of a batched answer: a list of arrays, or one array padded with -1."""
    try:
        rows = list(answer)
    except TypeError:
        rows = None
    if rows is None or len(rows) != count:
        said = f"{len(rows)} sequences" if rows is not None else shortened(answer)
        raise Misconduct(
            "shape",
            f"Call {calls + 1} got {count} sequences and returned {said}; expected {count} lists of tokens, "
            "or one array padded with -1.",
        )
    return [_unpadded(row) for row in rows]


def _unpadded(row):
    try:
        row = np.asarray(row)
    except ValueError:  # of lists of several lengths: `_read` says what is wrong
        return row
    if row.ndim != 1 or row.dtype.kind not in "iu" or not (row < 0).any():
        return row
    end = int((row < 0).argmax())
    return row[:end] if (row[end:] == -1).all() else row


def _read(emitted: list, instance: Instance, number: int) -> np.ndarray:
    """Tokens (n, g + 1), -1 after the last; raises Misconduct naming the first call that went wrong."""
    most = instance.window + 1
    found = np.full((len(emitted), most), -1, dtype=np.int64)
    sizes = np.zeros(len(emitted), dtype=np.int64)
    for i, one in enumerate(emitted):
        try:
            tokens = one.tolist() if hasattr(one, "tolist") else one
            sizes[i] = len(tokens)
            found[i, : sizes[i]] = tokens
            right = isinstance(tokens, Sequence) and 1 <= sizes[i] <= most
            right = right and all(type(x) is int or isinstance(x, np.integer) for x in tokens)
        except Exception:  # whatever a strange object does when it is looked at
            right = False
        if not right:
            raise Misconduct("shape", _shape_sentence(one, most), number)
    inside = np.arange(most) < sizes[:, None]
    outside = inside & ((found < 0) | (found >= instance.states))
    if outside.any():
        i, at = np.argwhere(outside)[0]
        raise Misconduct(
            "vocabulary",
            f"It emitted token {found[i, at]}, which is not in the vocabulary 0..{instance.states - 1}.",
            number,
            int(at),
        )
    return found


def _shape_sentence(answer, most: int) -> str:
    return (
        f"It returned {shortened(answer)}; expected a list or an array (n + 1,) of 1 to {most} whole "
        "numbers: the n accepted draft tokens and one more."
    )


class _Tick:
    """The number of the call under way, as the alarm sees it."""

    calls = -1


@contextlib.contextmanager
def interrupted_after(seconds: float):
    """Raises Hung inside a call that lasts between `seconds` and twice as long.

    The one alarm that every interval rings sees whether the call is still the one it saw last: nothing is
    paid per call. In threads other than the main one, and on systems without alarms, a watching thread
    raises it, as soon as the call is back in Python code.
    """
    tick, seen = _Tick(), [None]
    started = [time.monotonic()]

    def late() -> bool:
        if seen[0] != tick.calls:
            seen[0], started[0] = tick.calls, time.monotonic()
        return time.monotonic() - started[0] >= 0.9 * seconds

    if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():

        def ring(*_):
            if late():
                raise Hung

        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
        try:
            yield tick
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        return
    with _watched(late, seconds):
        yield tick


@contextlib.contextmanager
def _watched(late: Callable[[], bool], seconds: float):
    import ctypes

    caller, done = threading.get_ident(), threading.Event()

    def watch():
        while not done.wait(seconds):
            if late():
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(caller), ctypes.py_object(Hung))
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
