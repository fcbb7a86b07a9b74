"""Runs on this machine's cores: worker processes by joblib's loky, and the calling process beside them.

joblib.Parallel would be the shorter way, but it runs nothing in worker processes when there is only one of
them, waits for processes to start before anything is done, and takes the whole call down with one worker.
So the parcels go straight to the executor beneath it.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
from concurrent.futures import BrokenExecutor, CancelledError
from contextlib import contextmanager
from dataclasses import dataclass

from simlab.errors import SimlabError
from simlab.runs.plan import Parcel
from simlab.runs.pool import Outcome, simulate_here
from simlab.runs.task import whole_number
from simlab.runs.work import ready, simulate_batches, start_process

WORTH_STARTING = 1.0
"""Seconds of work left that are worth starting processes for: about what starting them costs."""

SMALL_PAIR = 1 << 16
"""Bytes of a pair that travels with every parcel; a larger one travels when a process asks for it."""

_QUEUED = 2  # parcels per worker: one at work and one that waits, so that no worker does
_STARTS = 4  # a process that dies four times while it starts will not start

_ONE_THREAD = {
    name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
}


@dataclass(frozen=True)
class Loky:
    """`workers` workers (>= 1): a thread of the calling process and workers - 1 processes.

    The samplers hold no lock of the interpreter, so the calling process computes as fast as the others, and
    it does so while they start. Raises SimlabError for a bad number.
    """

    workers: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "workers", whole_number("workers", self.workers, least=1))

    def start(self) -> ProcessPool:
        return ProcessPool(self.workers)


class ProcessPool:
    """See `Pool`. Processes start when there is enough work left for them, and again when one was killed."""

    def __init__(self, workers: int) -> None:
        self.slots = _QUEUED * workers
        self._processes = workers - 1
        self._executor = None
        self._started = False  # the executor has answered
        self._needed = False
        self._failed_starts = 0
        self._here = self._there = 0  # parcels under way in this process, in the others
        self._messages: queue.SimpleQueue = queue.SimpleQueue()
        self._parcels: queue.SimpleQueue = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def in_flight(self) -> int:
        return self._here + self._there

    def wants(self) -> bool:
        return self._here < _QUEUED or (self._started and self._there < _QUEUED * self._processes)

    def submit(self, parcel: Parcel) -> None:
        if self._here >= _QUEUED:
            self._send(parcel, parcel.job.pair if _is_small(parcel.job.pair) else None)
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()
        self._here += 1
        self._parcels.put(parcel)

    def expect(self, seconds: float) -> None:
        if seconds > WORTH_STARTING and self._processes:
            self._needed = True

    def wait(self, seconds: float) -> Outcome | None:
        if self._needed and self._executor is None:
            self._start()
        try:
            parcel, answer, executor = self._messages.get(timeout=seconds)
        except queue.Empty:
            return None
        if isinstance(answer, Outcome):
            self._here -= 1
            return answer
        if parcel is None:
            self._note_start(answer, executor)
            return None
        self._there -= 1
        return self._outcome(parcel, answer, executor)

    def close(self, *, at_once: bool) -> None:
        self._closed = True
        self._parcels.put(None)
        if self._executor is not None:
            # Processes that still start would be waited for, and nobody needs them any more.
            self._executor.shutdown(wait=not at_once, kill_workers=at_once or not self._started)
            self._executor = None
        if self._thread is not None and not at_once:
            self._thread.join()

    def _work(self) -> None:
        while (parcel := self._parcels.get()) is not None and not self._closed:
            self._messages.put((parcel, simulate_here(parcel), None))

    def _start(self) -> None:
        from joblib.externals.loky import ProcessPoolExecutor

        with _sigint_ignored():  # the processes inherit it
            executor = ProcessPoolExecutor(
                self._processes, initializer=start_process, initargs=(os.getpid(),), env=_ONE_THREAD
            )
            future = executor.submit(ready)
        self._executor, self._started = executor, False
        future.add_done_callback(lambda done: self._messages.put((None, done, executor)))

    def _send(self, parcel: Parcel, pair) -> None:
        from joblib.externals.loky import BrokenProcessPool

        executor, task = self._executor, parcel.job.task
        self._there += 1
        try:
            future = executor.submit(
                simulate_batches, task, parcel.job.pair.digest, list(parcel.batches), pair
            )
        except BrokenProcessPool:
            self._messages.put((parcel, None, executor))
        else:
            future.add_done_callback(lambda done: self._messages.put((parcel, done, executor)))

    def _note_start(self, future, executor) -> None:
        error = _error_of(future)
        if error is None:
            self._started = True
            self._failed_starts = 0
        elif _is_death(error):
            self._failed_starts += 1
            self._drop(executor)
            if self._failed_starts == _STARTS:
                raise SimlabError(f"worker processes die as they start ({error}): run with workers=1")
        else:
            raise SimlabError(f"worker processes cannot start: {type(error).__name__}: {error}") from error

    def _outcome(self, parcel: Parcel, future, executor) -> Outcome | None:
        error = None if future is None else _error_of(future)
        if future is None or _is_death(error):
            self._drop(executor)
            return Outcome(parcel)
        if error is not None:
            return Outcome(parcel, error=error)
        done = future.result()
        if done is None:
            if executor is not self._executor:
                return Outcome(parcel)
            self._send(parcel, parcel.job.pair)
            return None
        return Outcome(parcel, done)

    def _drop(self, executor) -> None:
        """Forget an executor that lost a process; `wait` starts another."""
        if executor is self._executor:
            executor.shutdown(wait=False, kill_workers=True)
            self._executor, self._started = None, False


def _error_of(future) -> BaseException | None:
    return CancelledError() if future.cancelled() else future.exception()


def _is_death(error: BaseException | None) -> bool:
    from joblib.externals.loky.process_executor import ShutdownExecutorError

    return isinstance(error, BrokenExecutor | CancelledError | ShutdownExecutorError)


def _is_small(pair) -> bool:
    return pair.draft_rows.nbytes + pair.target_rows.nbytes <= SMALL_PAIR


@contextmanager
def _sigint_ignored():
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
