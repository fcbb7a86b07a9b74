"""Runs on this machine's cores: threads at once, and joblib's worker processes (loky) for long runs.

The samplers hold no lock of the interpreter, so threads compute side by side from the first moment, over one
copy of the tables. Processes take a second of a core each to start, but beyond a few cores the threads' turns
in the interpreter would begin to tell. So a run begins with a thread a worker, and where enough work is left
processes take the place of all threads but one; not where tables are so large that each process's own copy
would tell (SHARED), or where the processes would not fit into memory.

joblib.Parallel would be the shorter way to the processes, but it does nothing while they start, and starts
none where there is one beside the calling process. So the parcels go to the executor beneath it.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
from concurrent.futures import BrokenExecutor, CancelledError
from contextlib import contextmanager
from dataclasses import dataclass

from simlab.checks import check_count
from simlab.errors import SimlabError
from simlab.memory import available_memory
from simlab.runs.plan import PARCEL_SECONDS, Parcel
from simlab.runs.pool import Outcome, simulate_here
from simlab.runs.work import SHARED, ready, simulate_batches, start_process

WORTH_STARTING = 20.0
"""Seconds of one core's work left that are worth starting processes for."""

PROCESS_BYTES = 160 << 20
"""About what a process takes before it has any tables."""

SMALL = 1 << 16
"""Bytes of a pair or distribution that travels with every parcel; a larger one travels when a process asks
for it."""

_QUEUED = 2  # parcels per worker: one at work and one that waits, so that no worker does
_STARTS = 4  # a process that dies four times while it starts will not start

_SAFE_PATH = "PYTHONSAFEPATH"
_lock = threading.Lock()
_users, _before = 0, None  # of safe_path
_ENVIRONMENT = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", _SAFE_PATH), "1"
)


@dataclass(frozen=True)
class Loky:
    """`workers` cores (>= 1): threads of the calling process, and in a long run one thread and workers - 1
    processes. Raises SimlabError for a bad number.
    """

    workers: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "workers", check_count("workers", self.workers, least=1))

    def start(self) -> ProcessPool:
        return ProcessPool(self.workers)


class ProcessPool:
    """See `Pool`. When a process dies threads take over, and new processes start if they are worth it."""

    parcel_seconds = PARCEL_SECONDS
    waiting = ""
    one_copy = False

    def __init__(self, workers: int) -> None:
        self.slots = _QUEUED * workers
        self._workers = workers
        self._executor = None
        self._started = False  # the executor has answered
        self._seconds_left = 0.0
        self._failed_starts = 0
        self._here = self._there = 0  # parcels under way in this process, in the others
        self._messages: queue.SimpleQueue = queue.SimpleQueue()
        self._parcels: queue.SimpleQueue = queue.SimpleQueue()
        self._threads = 0
        self._closed = False

    @property
    def in_flight(self) -> int:
        return self._here + self._there

    def wants(self) -> bool:
        here = _QUEUED * (1 if self._started else self._workers)
        there = _QUEUED * (self._workers - 1) if self._started else 0
        return self._here < here or self._there < there

    def submit(self, parcel: Parcel) -> None:
        if self._started and self._here >= _QUEUED:
            self._send(parcel, parcel.job.subject if parcel.job.subject.nbytes <= SMALL else None)
            return
        self._set_threads(1 if self._started else self._workers)
        self._here += 1
        self._parcels.put(parcel)

    def expect(self, seconds: float) -> None:
        self._seconds_left = seconds

    def wait(self, seconds: float) -> Outcome | None:
        if self._executor is None and self._seconds_left > WORTH_STARTING and self._has_room():
            self._start_processes()
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
        self._set_threads(0)
        if self._executor is not None:
            # Nobody waits for processes to end: they are idle. Those that still start are killed.
            self._executor.shutdown(wait=False, kill_workers=at_once or not self._started)
            self._executor = None

    def _set_threads(self, number: int) -> None:
        for _ in range(number, self._threads):
            self._parcels.put(None)
        for started in range(self._threads, number):
            self._threads = started
            try:
                threading.Thread(target=self._work, daemon=True).start()
            except RuntimeError as error:
                raise SimlabError(
                    f"workers = {number}: the system starts only {started} threads; give fewer workers"
                ) from error
        self._threads = number

    def _work(self) -> None:
        while (parcel := self._parcels.get()) is not None and not self._closed:
            self._messages.put((parcel, simulate_here(parcel), None))

    def _has_room(self) -> bool:
        processes = 0 if self.one_copy else self._workers - 1
        return 0 < processes * (PROCESS_BYTES + SHARED) < available_memory()

    def _start_processes(self) -> None:
        executor = worker_processes(self._workers - 1)
        with _sigint_ignored():  # the processes inherit it
            future = executor.submit(ready)
        self._executor, self._started = executor, False
        future.add_done_callback(lambda done: self._messages.put((None, done, executor)))

    def _send(self, parcel: Parcel, subject) -> None:
        from joblib.externals.loky import BrokenProcessPool

        executor, task = self._executor, parcel.job.task if subject is not None else parcel.job.task.light
        self._there += 1
        try:
            future = executor.submit(
                simulate_batches, task, parcel.job.subject.digest, list(parcel.batches), subject
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
            self._send(parcel, parcel.job.subject)
            return None
        return Outcome(parcel, done)

    def _drop(self, executor) -> None:
        """Forget an executor that lost a process."""
        if executor is self._executor:
            executor.shutdown(wait=False, kill_workers=True)
            self._executor, self._started = None, False


def worker_processes(number: int):
    """An executor of so many processes: each has one BLAS thread, ignores Ctrl-C, ends with this one, and
    imports nothing from the working folder."""
    from multiprocessing import resource_tracker

    from joblib.externals.loky import ProcessPoolExecutor
    from joblib.externals.loky.backend import resource_tracker as lokys

    with safe_path():
        for tracker in (resource_tracker, lokys):
            tracker.ensure_running()  # a process that cleans up, which takes no `env`
        return ProcessPoolExecutor(
            number, initializer=start_process, initargs=(os.getpid(),), env=_ENVIRONMENT
        )


@contextmanager
def safe_path():
    """Processes that are started meanwhile do not import from the working folder: a file there that is called
    queue.py or concurrent.py is not what the standard library means. Python's own switch for it."""
    global _users, _before
    with _lock:  # threads that start processes may overlap: the last one puts back what the first one found
        _users += 1
        if _users == 1:
            _before = os.environ.get(_SAFE_PATH)
        os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0 and _before is None:
                del os.environ[_SAFE_PATH]
            elif _users == 0:
                os.environ[_SAFE_PATH] = _before


@contextmanager
def signals_blocked():
    """Threads and processes that this thread starts meanwhile never hear Ctrl-C: it is the run's business."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _error_of(future) -> BaseException | None:
    return CancelledError() if future.cancelled() else future.exception()


def _is_death(error: BaseException | None) -> bool:
    from joblib.externals.loky.process_executor import ShutdownExecutorError

    return isinstance(error, BrokenExecutor | CancelledError | ShutdownExecutorError)


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
