"""Runs on a Dask cluster: one that is given by its scheduler's address, or a local one that is started.

Everything that may wait for the cluster happens in threads of its own: the calling thread only takes what
they report, so that progress is told and Ctrl-C is heard whatever the cluster does.
"""

from __future__ import annotations

import math
import os
import queue
import re
import signal
import threading
import time
import uuid
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import resource_tracker
from weakref import WeakValueDictionary

from simlab.checks import check_count
from simlab.errors import SimlabError
from simlab.laws import Law
from simlab.memory import gibibytes
from simlab.pairs.pair import ChainPair
from simlab.runs.build import build, differences
from simlab.runs.plan import Job, Parcel
from simlab.runs.pool import Outcome, simulate_here
from simlab.runs.processes import safe_path, signals_blocked
from simlab.runs.work import Done, simulate_batches

CONNECT_SECONDS = 15.0
PATIENCE = 60.0
"""Seconds without any worker after which a run gives up."""

_QUEUED = 2
_SILENT_SECONDS = 15.0  # a scheduler that does not answer for so long is waited for,
_DEAF_SECONDS = 60.0  # and for so long is gone
_DEATHS = 3  # a parcel over which more workers died is not sent again
_END_SECONDS = 2.0  # that a cluster may take to let go
_LOOK_SECONDS = 1.0  # how often the cluster is asked for its workers
_FIRST_LOOK_SECONDS = 0.1  # while there is none
_FETCH_SECONDS = 60.0
_LEAN = {"distributed.worker.profile.enabled": False, "distributed.admin.system-monitor.interval": "10s"}
"""What each process of a local cluster would measure of itself, many times a second, for nobody."""


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
            threads=self.workers,
        )
        return pool


@dataclass(frozen=True)
class _Workers:
    """What a look at the cluster saw: its workers that are at work, of those known to run our code the
    threads and the least limit of memory, in bytes; how many are paused and were ended at their limit; and
    the addresses of all."""

    present: int
    threads: int
    limit: float
    paused: int = 0
    ended: int = 0
    addresses: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Look:
    """What the scheduler knows: the threads of its workers by address, which of them are paused, and how many
    were ended at their memory limit so far."""

    workers: dict[str, int]
    paused: set[str]
    ended: int


class ClusterPool:
    """See `Pool`. Dask itself runs a dead worker's tasks again elsewhere; what it gives up on comes back.

    opened: starts a cluster and returns it, or returns a scheduler's address; called in a thread. name: of
    the cluster, in messages. patience: seconds without any worker after which the run ends; None: it
    waits. threads: of this process that simulate until the first worker is there, for a cluster that is
    started on this machine: seconds that would otherwise be lost.

    A pair or distribution travels to a worker once: parcels only name it, and a worker that does not hold it
    says so, and gets it.
    """

    one_copy = False
    parcel_seconds = 0.5  # a task costs the scheduler and the wire some milliseconds
    mend = "start workers (dask worker ADDRESS)"
    memory_setting = "dask worker --memory-limit"

    def __init__(
        self, opened: Callable[[], object], name: str, patience: float | None, threads: int = 0
    ) -> None:
        self._opened, self._name, self._patience = opened, name, patience
        self._here = threads
        self._client = self._cluster = self._watcher = None
        self._ending = threading.Lock()
        self._closing = threading.Event()
        self._session = uuid.uuid4().hex[:8]
        self._sent = 0
        self._waiting = 0  # parcels of before there is a worker that runs this code,
        self._pending: queue.SimpleQueue = queue.SimpleQueue()  # and those that no thread has taken
        self._futures: dict[int, tuple] = {}  # held, for Dask forgets a task whose future is gone
        self._messages: queue.SimpleQueue = queue.SimpleQueue()
        self._begun: set[str] = set()  # ids of tasks of which a worker has done a parcel
        self._supplied: set[tuple[str, str]] = set()  # digests of subjects, and who was sent them
        self._carriers: WeakValueDictionary = WeakValueDictionary()  # kept by the parcels that need them
        self._present = self._threads = self._paused = self._ended = 0
        self._asked = math.inf  # when the question was put that is not answered yet
        self._limit = math.inf
        self._had_workers = False
        self._alone_since = 0.0

    @property
    def slots(self) -> int:
        return _QUEUED * max(1, self._threads or self._here)

    @property
    def in_flight(self) -> int:
        return self._waiting + len(self._futures)

    @property
    def waiting(self) -> str:
        if self._watcher is None or (self._here and not self._had_workers):
            return ""
        if self._threads and not self._is_silent(_SILENT_SECONDS):
            return ""
        if self._client is None or self._is_silent(_SILENT_SECONDS):
            return f"waiting for {self._name}"
        paused = f" ({self._paused} paused at their memory limit)" if self._paused else ""
        return f"waiting for a worker of {self._name}{paused}"

    def wants(self) -> bool:
        return self.in_flight < self.slots

    def submit(self, parcel: Parcel) -> None:
        if self._watcher is None:  # not before there is something to do
            self.check()
            self._alone_since = time.monotonic()
            self._watcher = threading.Thread(target=self._watch, daemon=True)
            self._watcher.start()
            for _ in range(self._here):
                threading.Thread(target=self._work_here, daemon=True).start()
        if not self._had_workers:
            self._waiting += 1
            self._pending.put(parcel)
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
        elif isinstance(message, Outcome):
            self._waiting -= 1
            return message
        elif isinstance(message, tuple):
            number, done, error = message
            if number not in self._futures:  # it was taken back
                return None
            parcel, _, _, to = self._futures.pop(number)
            if isinstance(done, str):  # the worker of this address lacks the subject
                if to == done:
                    self._supplied.discard((parcel.job.subject.digest, to))  # it had it, and dropped it
                self._send(parcel, to=done)
                return None
            return self._outcome(parcel, done, error)
        if self._is_silent(_DEAF_SECONDS):
            raise SchedulerGone(
                f"{self._name} has not answered for {_DEAF_SECONDS:.0f} s; what is finished is kept: start "
                "it anew with its workers and run again"
            )
        if self._patience is not None:
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
        self._futures.clear()
        if self._watcher is not None:  # where it still waits for an answer, it lets go of it itself
            hurried = at_once or (self._client is None and not self._here)
            self._watcher.join(timeout=0.1 if hurried else CONNECT_SECONDS)
        self._let_go()

    def _let_go(self) -> None:
        with self._ending:
            client, cluster, self._client, self._cluster = self._client, self._cluster, None, None
        if client is not None:
            client.close(timeout=_END_SECONDS)
        if cluster is not None:
            end_workers(cluster)
            cluster.close(timeout=_END_SECONDS)

    def _work_here(self) -> None:
        while not self._closing.is_set() and not self._had_workers:
            try:
                parcel = self._pending.get(timeout=_FIRST_LOOK_SECONDS)
            except queue.Empty:
                continue
            self._messages.put(simulate_here(parcel))

    def _note(self, seen: _Workers) -> None:
        self._had_workers |= seen.threads > 0
        if self._present and not seen.present:
            self._alone_since = time.monotonic()
        self._present, self._threads = seen.present, seen.threads
        self._paused, self._ended, self._limit = seen.paused, seen.ended, seen.limit
        self._give_up_lost(seen.addresses)
        while self._had_workers and self._waiting:
            try:
                parcel = self._pending.get_nowait()
            except queue.Empty:  # a thread has the rest
                break
            self._waiting -= 1
            self._send(parcel)

    def _give_up_lost(self, addresses: frozenset[str]) -> None:
        """Take back what was sent to workers that are gone: Dask gives it to another that is there, but not
        to one that comes when none is."""
        for number, (*_, to) in self._futures.items():
            if to is not None and to not in addresses:
                self._messages.put((number, None, None))

    def _is_silent(self, seconds: float) -> bool:
        return time.monotonic() - self._asked > seconds

    def _check_patience(self) -> None:
        if self._present or time.monotonic() - self._alone_since < self._patience:
            return
        mend = self.mend
        if self._paused:
            what = f"all workers ({self._paused}) are paused at their memory limit on"
            mend = self._memory_mend
        elif self._ended:
            what = f"all workers were ended at their memory limit ({self._ended} times) on"
            mend = self._memory_mend
        else:
            what = "all workers are gone from" if self._had_workers else "no worker has come to"
        raise SimlabError(
            f"{what} {self._name} for {self._patience:.0f} s; what is finished is kept: {mend} and run again"
        )

    @property
    def _memory_mend(self) -> str:
        return f"give them more memory ({self.memory_setting}), or the pair fewer states or steps,"

    def _send(self, parcel: Parcel, to: str | None = None) -> None:
        """Send a parcel to any worker, or to the one at an address, with what it lacks."""
        number, task, subject = self._sent, parcel.job.task, parcel.job.subject
        self._check_limit(parcel.job)
        self._sent += 1
        light = to is None and task.id in self._begun
        carrier = None if to is None else self._carrier(subject, to)
        future = self._client.submit(
            simulate_as,
            build(),
            task.light if light else task,
            subject.digest,
            list(parcel.batches),
            carrier,
            light,
            key=f"simlab-{task.id[:8]}-{self._session}-{number}",
            pure=False,
            **_only(to),
        )
        self._futures[number] = (parcel, future, carrier, to)
        future.add_done_callback(lambda done: self._fetch(number, done))

    def _carrier(self, subject: ChainPair | Law, to: str):
        """A task of the worker at an address that returns the subject; None where it was sent before."""
        # A task, and not scattered data: if the worker dies, the scheduler sends it to another.
        under_way = [one for (digest, _), one in self._carriers.items() if digest == subject.digest]
        key = (subject.digest, to)
        if key in self._carriers or key in self._supplied:
            return self._carriers.get(key)
        self._supplied.add(key)
        name = f"simlab-pair-{subject.digest[:16]}-{self._session}-{self._sent}"
        source = under_way[0] if under_way else subject  # from worker to worker, where one is sent it
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph")
            carrier = self._client.submit(_same, source, key=name, pure=False, **_only(to))
        self._carriers[key] = carrier
        return carrier

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

        if done is not None:
            self._begun.add(parcel.job.task.id)
        if isinstance(error, OtherBuild | SchedulerGone):
            raise error
        lost_again = done is None and error is None and parcel.deaths >= _DEATHS and self._ended
        if isinstance(error, KilledWorker) or lost_again:
            why = (
                f"were ended at their memory limit ({self._ended} times)"
                if self._ended
                else "died again and again, killed from outside or for lack of memory"
            )
            error = SimlabError(f"its workers {why}: {self._memory_mend} and run again")
        elif isinstance(error, ImportError | AttributeError):
            raise OtherBuild(_other("its workers", f"{type(error).__name__}: {error}")) from error
        return Outcome(parcel, done, error)

    def _watch(self) -> None:
        """Open the cluster, then look at its workers; all that is seen goes into the messages."""
        try:
            if self._here:  # before: where it starts, it lets the thread hear signals again
                resource_tracker.ensure_running()
            with signals_blocked(), safe_path():  # what is started inherits both
                client = self._client = self._connect()
            checked: dict[str, float] = {}  # limits of memory by worker
            while True:
                seen = self._look(client)
                self._report(seen, checked)
                if new := [worker for worker in seen.workers if worker not in checked]:
                    checked.update(memory_limits(client, check_builds(client, new)))
                    self._report(seen, checked)
                self.tend()
                if self._closing.wait(_LOOK_SECONDS if seen.workers else _FIRST_LOOK_SECONDS):
                    return
        except SimlabError as error:
            self._messages.put(error)
        except Exception as error:
            self._messages.put(self._gone(error))
        finally:
            if self._closing.is_set():
                self._let_go()

    def _look(self, client) -> _Look:
        self._asked = time.monotonic()
        if client.status != "running":
            raise self._gone()
        # By value, as a function without a name: the scheduler may have another simlab.
        workers, ended = client.run_on_scheduler(
            lambda dask_scheduler: (
                [
                    (worker.address, worker.nthreads, worker.status.name)
                    for worker in dask_scheduler.workers.values()
                ],
                len(dask_scheduler.get_events("worker-restart-memory")),
            )
        )
        self._asked = math.inf
        return _Look(
            {worker: threads for worker, threads, _ in workers},
            {worker for worker, _, status in workers if status == "paused"},
            ended,
        )

    def _report(self, seen: _Look, checked: dict[str, float]) -> None:
        at_work = seen.workers.keys() - seen.paused
        known = at_work & checked.keys()
        threads = sum(seen.workers[worker] for worker in known)
        limit = min((checked[worker] for worker in known), default=math.inf)
        there = frozenset(seen.workers)
        self._messages.put(_Workers(len(at_work), threads, limit, len(seen.paused), seen.ended, there))

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


_held: dict[str, ChainPair | Law] = {}
"""What this process, a worker, was sent last, by its digest."""


def simulate_as(
    expected: dict[str, str], task, digest: str, batches: list[tuple[int, int]], subject, light: bool
) -> Done | str:
    """`simulate_batches` on a worker of the expected `build`; raises OtherBuild on any other. The worker's
    address where it was not given the subject and does not hold it, or for a light task its tables."""
    if told := differences(expected, build()):
        raise OtherBuild(_other("a worker", told))
    if subject is not None and digest not in _held:
        _held.clear()
        _held[digest] = subject
    done = simulate_batches(task, digest, batches, None if light else _held.get(digest))
    if done is not None:
        return done
    from distributed import get_worker

    return get_worker().address


def _only(worker: str | None) -> dict:
    """Options of `submit` for a task of the worker at an address, or of another where it has gone."""
    return {} if worker is None else {"workers": worker, "allow_other_workers": True}


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
    import dask
    from distributed import LocalCluster

    with dask.config.set(_LEAN):  # the workers inherit it
        return LocalCluster(
            n_workers=workers if processes else 1,
            threads_per_worker=1 if processes else workers,
            processes=processes,
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
        )


def end_workers(cluster) -> None:
    """End the processes of a local cluster at once: they hold nothing, and their farewell takes seconds."""
    from distributed import Nanny

    for nanny in cluster.workers.values():
        if isinstance(nanny, Nanny):
            nanny.auto_restart = False
            if (process := nanny.pid) is not None:
                os.kill(process, getattr(signal, "SIGKILL", signal.SIGTERM))


def _same(subject):
    return subject
