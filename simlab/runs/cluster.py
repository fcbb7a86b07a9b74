"""Runs on a Dask cluster: one that is given by its scheduler's address, or a local one that is started.

Everything that may wait for the cluster happens in threads of its own: the calling thread only takes what
they report, so that progress is told and Ctrl-C is heard whatever the cluster does.
"""

from __future__ import annotations

import math
import queue
import re
import threading
import time
import uuid
import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from simlab.checks import check_count
from simlab.errors import SimlabError
from simlab.laws import Law
from simlab.memory import gibibytes
from simlab.pairs.pair import ChainPair
from simlab.runs.build import build, differences
from simlab.runs.plan import Job, Parcel
from simlab.runs.pool import Outcome
from simlab.runs.processes import safe_path, signals_blocked
from simlab.runs.work import Done, simulate_batches

CONNECT_SECONDS = 15.0
PATIENCE = 60.0
"""Seconds without any worker after which a run gives up."""

_QUEUED = 2
_LOOK_SECONDS = 1.0  # how often the cluster is asked for its workers
_FIRST_LOOK_SECONDS = 0.1  # while there is none
_FETCH_SECONDS = 60.0
_SUBJECTS_KEPT = 2


@dataclass(frozen=True)
class Dask:
    """A Dask cluster: at `address` (e.g. "tcp://host:8786"), or a local one of `workers` processes.

    Needs `pip install simlab[cluster]`, and the same simlab, numba and Python on the workers. Raises
    SimlabError for a bad number; the pool raises it where Dask is missing, the scheduler does not answer or
    goes away, no worker is there for a minute, or one runs other code.
    """

    address: str | None = None
    workers: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "workers", check_count("workers", self.workers, least=1))
        # Dask's client waits half a minute over an address that is none.
        if self.address is not None and not re.fullmatch(r"(\w+://)?[^\s/]+:\d+", str(self.address)):
            raise SimlabError(
                f"address = {self.address!r} is not valid; expected a scheduler's, e.g. tcp://127.0.0.1:8786"
            )

    def start(self) -> ClusterPool:
        if self.address is not None:
            return ClusterPool(lambda: self.address, f"the Dask scheduler at {self.address}", PATIENCE)
        pool = ClusterPool(
            lambda: _local_cluster(self.workers, processes=not pool.one_copy),
            "the local Dask cluster",
            PATIENCE,
        )
        return pool


@dataclass(frozen=True)
class _Workers:
    """What a look at the cluster saw: its workers, the threads of those known to run our code, and the least
    of their limits of memory, in bytes."""

    present: int
    threads: int
    limit: float


class ClusterPool:
    """See `Pool`. Dask itself runs a dead worker's tasks again elsewhere; what it gives up on comes back.

    opened: starts a cluster and returns it, or returns a scheduler's address; called in a thread. name: of
    the cluster, in messages. patience: seconds without any worker after which the run ends; None: it
    waits.
    """

    one_copy = False
    parcel_seconds = 0.5  # a task costs the scheduler and the wire some milliseconds
    mend = "start workers (dask worker ADDRESS)"
    memory_setting = "dask worker --memory-limit"

    def __init__(self, opened: Callable[[], object], name: str, patience: float | None) -> None:
        self._opened, self._name, self._patience = opened, name, patience
        self._client = self._cluster = self._watcher = None
        self._closing = threading.Event()
        self._session = uuid.uuid4().hex[:8]
        self._sent = 0
        self._pending: list[Parcel] = []  # before there is a worker that runs this code
        self._futures: dict[int, tuple] = {}  # held, for Dask forgets a task whose future is gone
        self._messages: queue.SimpleQueue = queue.SimpleQueue()
        self._subjects: OrderedDict[str, object] = OrderedDict()
        self._present = self._threads = 0
        self._limit = math.inf
        self._had_workers = False
        self._alone_since = 0.0

    @property
    def slots(self) -> int:
        return _QUEUED * max(1, self._threads)

    @property
    def in_flight(self) -> int:
        return len(self._pending) + len(self._futures)

    @property
    def waiting(self) -> str:
        if self._watcher is None or self._threads:
            return ""
        return f"waiting for a worker of {self._name}" if self._client else f"waiting for {self._name}"

    def wants(self) -> bool:
        return self.in_flight < self.slots

    def submit(self, parcel: Parcel) -> None:
        if self._watcher is None:  # not before there is something to do
            self.check()
            self._alone_since = time.monotonic()
            self._watcher = threading.Thread(target=self._watch, daemon=True)
            self._watcher.start()
        if not self._had_workers:
            self._pending.append(parcel)
        else:
            self._send(parcel)

    def wait(self, seconds: float) -> Outcome | None:
        try:
            message = self._messages.get(timeout=seconds)
        except queue.Empty:
            message = None
        if isinstance(message, SimlabError):
            raise message
        if isinstance(message, _Workers):
            self._note(message)
        elif isinstance(message, tuple):
            number, done, error = message
            parcel, _ = self._futures.pop(number)
            return self._outcome(parcel, done, error)
        if not self._present and self._patience is not None:
            self._check_patience()
        return None

    def expect(self, seconds: float) -> None:
        pass

    def check(self) -> None:
        """Raise SimlabError where what the cluster needs is not installed."""
        check_dask("cluster")

    def tend(self) -> None:
        """Called with each look at the workers, in the thread that looks."""

    def close(self, *, at_once: bool) -> None:
        self._closing.set()
        self._pending.clear()
        self._futures.clear()
        self._subjects.clear()
        if self._watcher is not None:
            self._watcher.join(timeout=CONNECT_SECONDS)
        for part in (self._client, self._cluster):
            if part is not None:
                part.close(timeout=5)
        self._client = self._cluster = None

    def _note(self, seen: _Workers) -> None:
        self._had_workers |= seen.threads > 0
        if self._present and not seen.present:
            self._alone_since = time.monotonic()
        self._present, self._threads, self._limit = seen.present, seen.threads, seen.limit
        while self._pending and self._had_workers:
            self._send(self._pending.pop(0))

    def _check_patience(self) -> None:
        if time.monotonic() - self._alone_since < self._patience:
            return
        what = "all workers are gone from" if self._had_workers else "no worker has come to"
        raise SimlabError(
            f"{what} {self._name} for {self._patience:.0f} s; what is finished is kept: "
            f"{self.mend} and run again"
        )

    def _send(self, parcel: Parcel) -> None:
        number, task = self._sent, parcel.job.task
        self._check_limit(parcel.job)
        self._sent += 1
        future = self._client.submit(
            simulate_as,
            build(),
            task,
            parcel.job.subject.digest,
            list(parcel.batches),
            self._subject(parcel.job.subject),
            key=f"simlab-{task.id[:8]}-{self._session}-{number}",
            pure=False,
        )
        self._futures[number] = (parcel, future)
        future.add_done_callback(lambda done: self._fetch(number, done))

    def _check_limit(self, job: Job) -> None:
        needed = job.subject.nbytes + job.task.table_bytes(job.subject)
        if needed > self._limit:
            raise SimlabError(
                f"task {job.task.id[:12]} takes {gibibytes(needed)} of memory in a worker of {self._name}, "
                f"and one has a limit of {gibibytes(self._limit)}; expected a larger --memory-limit of dask "
                "worker (one with many threads shares what it has), fewer tokens, or a shorter horizon"
            )

    def _fetch(self, number: int, future) -> None:
        """Bring what a task came to, in Dask's own thread for callbacks."""
        done = error = None
        try:
            if future.status == "finished":
                done = future.result(timeout=_FETCH_SECONDS)
            elif future.status == "error":
                error = future.exception(timeout=_FETCH_SECONDS)
            else:  # only a scheduler that went away cancels
                error = self._gone()
        except Exception:  # its only copy went down with a worker, or with the scheduler
            error = None if future.client.status == "running" else self._gone()
        if not self._closing.is_set():
            self._messages.put((number, done, error))

    def _outcome(self, parcel: Parcel, done: Done | None, error: BaseException | None) -> Outcome:
        from distributed.scheduler import KilledWorker

        if isinstance(error, OtherBuild | SchedulerGone):
            raise error
        if isinstance(error, KilledWorker):
            error = SimlabError(
                "its workers died again and again, killed from outside or for lack of memory: give them more "
                f"memory ({self.memory_setting}) and run again"
            )
        elif isinstance(error, ImportError | AttributeError):
            raise OtherBuild(_other("its workers", f"{type(error).__name__}: {error}")) from error
        return Outcome(parcel, done, error)

    def _subject(self, subject: ChainPair | Law):
        # A task that returns the pair or distribution, and not scattered data: if the one worker that holds
        # it dies, the scheduler sends it to another.
        if subject.digest not in self._subjects:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Sending large graph")
                key = f"simlab-pair-{subject.digest[:16]}-{self._session}-{self._sent}"
                self._subjects[subject.digest] = self._client.submit(_same, subject, key=key, pure=False)
        self._subjects.move_to_end(subject.digest)
        if len(self._subjects) > _SUBJECTS_KEPT:
            self._subjects.popitem(last=False)
        return self._subjects[subject.digest]

    def _watch(self) -> None:
        """Open the cluster, then look at its workers; all that is seen goes into the messages."""
        try:
            with signals_blocked(), safe_path():  # what is started inherits both
                client = self._client = self._connect()
            checked: dict[str, float] = {}  # limits of memory by worker
            while True:
                threads = client.nthreads() if client.status == "running" else None
                if threads is None:
                    raise self._gone()
                self._report(threads, checked)
                if new := [worker for worker in threads if worker not in checked]:
                    checked.update(memory_limits(client, check_builds(client, new)))
                    self._report(threads, checked)
                self.tend()
                if self._closing.wait(_LOOK_SECONDS if threads else _FIRST_LOOK_SECONDS):
                    return
        except SimlabError as error:
            self._messages.put(error)
        except Exception as error:
            self._messages.put(self._gone(error))

    def _report(self, threads: dict[str, int], checked: dict[str, float]) -> None:
        known = [worker for worker in threads if worker in checked]
        limit = min((checked[worker] for worker in known), default=math.inf)
        self._messages.put(_Workers(len(threads), sum(threads[worker] for worker in known), limit))

    def _connect(self):
        from distributed import Client

        opened = self._opened()
        if not isinstance(opened, str):
            self._cluster = opened
        try:
            return Client(opened, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise SimlabError(
                f"no Dask scheduler at {opened}: start it, or mend the address ({reason})"
            ) from error

    def _gone(self, error: BaseException | None = None) -> SchedulerGone:
        reason = f" ({type(error).__name__}: {' '.join(str(error).split())})" if error else ""
        return SchedulerGone(
            f"{self._name} is gone or was started anew{reason}; what is finished is kept: start it with its "
            "workers and run again"
        )


class OtherBuild(SimlabError):
    """A worker runs other code than the client."""


class SchedulerGone(SimlabError):
    """The scheduler went away, and with it all that was under way."""


def simulate_as(
    expected: dict[str, str], task, digest: str, batches: list[tuple[int, int]], subject
) -> Done | None:
    """`simulate_batches` on a worker of the expected `build`; raises OtherBuild on any other."""
    if told := differences(expected, build()):
        raise OtherBuild(_other("a worker", told))
    return simulate_batches(task, digest, batches, subject)


def check_builds(client, workers: list[str]) -> list[str]:
    """Those of these workers that answer. Raises OtherBuild where one does not run this process's code."""
    # As text: a worker whose simlab has no such function closes the line over it, and says nothing.
    question = "__import__('simlab.runs.build').runs.build.build()"
    asked = client.run(eval, question, workers=workers, on_error="return")
    for worker, answer in asked.items():
        if isinstance(answer, OSError):  # it has gone meanwhile
            continue
        told = differences(build(), answer) if isinstance(answer, dict) else f"{answer!r}"
        if told:
            raise OtherBuild(_other(f"the worker {worker}", told))
    return [worker for worker, answer in asked.items() if isinstance(answer, dict)]


def memory_limits(client, workers: list[str]) -> dict[str, float]:
    """The limit of memory, in bytes, of each of these workers that answers; math.inf where it has none."""
    asked = client.run(memory_limit, workers=workers, on_error="return") if workers else {}
    return {worker: limit for worker, limit in asked.items() if isinstance(limit, float)}


def memory_limit(dask_worker) -> float:
    """A Dask worker's own limit; Dask fills the argument in."""
    return float(getattr(dask_worker.memory_manager, "memory_limit", None) or math.inf)


def _other(worker: str, told: str) -> str:
    return (
        f"{worker} of the Dask cluster runs other code ({told}), so that its numbers would be wrong: install "
        "this simlab with its packages there, start the workers again, and run again; nothing of it was kept"
    )


def check_dask(extra: str) -> None:
    """Raise SimlabError where Dask is not installed, which this extra of simlab brings."""
    try:
        import distributed.versions
    except ImportError as error:
        raise SimlabError(f"Dask is not installed: pip install simlab[{extra}]") from error
    import logging

    # One line says what happened; Dask's many would hide it.
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore", distributed.versions.VersionMismatchWarning)


def _local_cluster(workers: int, processes: bool):
    """So many processes, or one worker with so many threads in this process, over one copy of everything."""
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=workers if processes else 1,
        threads_per_worker=1 if processes else workers,
        processes=processes,
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
    )


def _same(subject):
    return subject
