"""Runs jobs to their end, whatever happens on the way.

`collect` is a generator of progress; the command line only draws what it yields. Results are the same bytes
for any backend, any number of workers, any order and any interruption: all that is decided here by the clock
is when to save, when to report, and how many batches travel together.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence

from simlab.checks import check_count
from simlab.decoders import Decoder, decoder_name
from simlab.decoding.counts import Counts
from simlab.decoding.environments.counts import EnvironmentCounts
from simlab.errors import SimlabError
from simlab.laws import Law
from simlab.pairs.pair import ChainPair, check_pair
from simlab.runs.cluster import Dask
from simlab.runs.environment_task import EnvironmentTask
from simlab.runs.ledger import Ledger
from simlab.runs.plan import Job, Plan, Result
from simlab.runs.pool import Outcome, Pool
from simlab.runs.processes import Loky
from simlab.runs.progress import Progress, gather
from simlab.runs.serial import Serial
from simlab.runs.slurm import Slurm
from simlab.runs.stopping import Trajectories
from simlab.runs.task import Task
from simlab.runs.work import SHARED, release_large_tables

Backend = Serial | Loky | Dask | Slurm

FLUSH_SECONDS = 1.0
REPORT_SECONDS = 0.1
RETRIES = 3


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or another signal `number`. After the first everything that was under way is finished and
    saved."""

    def __init__(self, text: str = "", number: int = signal.SIGINT) -> None:
        super().__init__(text)
        self.number = number


def local_backend(workers: int) -> Serial | Loky:
    """The backend for so many workers (>= 1) on this machine. Raises SimlabError for a bad number."""
    return Loky(workers) if check_count("workers", workers, least=1) > 1 else Serial()


def run(
    jobs: Iterable[Job], *, ledger: Ledger | None = None, backend: Backend | None = None
) -> dict[str, Result]:
    """Run all jobs; their results by task id. See `collect`."""
    return gather(collect(jobs, ledger=ledger, backend=backend))


def simulate(
    pair: ChainPair, decoder: Decoder, *, trajectories: int, seed: int = 0, workers: int = 1
) -> Counts:
    """Counts over simulated trajectories of a decoder on a pair.

    trajectories >= 1; seed >= 0, of any size; workers >= 1, how many cores compute. The counts depend on
    pair, decoder, trajectories and seed, not on workers. Nothing is written. Ctrl-C raises Interrupted.
    Raises SimlabError for bad arguments.
    """
    check_pair(pair)
    decoder_name(decoder)
    stop = Trajectories(trajectories)
    backend = local_backend(workers)
    job = Job(Task({"digest": pair.digest}, decoder, seed), pair, stop)
    return run([job], backend=backend)[job.task.id].counts


def simulate_environments(
    law: Law, capacities: Sequence[int], environments: int, *, seed: int = 0, workers: int = 1
) -> EnvironmentCounts:
    """E[X | environment] of the best draft tree in random environments of a distribution, for each capacity.

    law: one of simlab.laws. capacities: ascending whole numbers (K,); one search of an environment answers
    all. environments >= 1; seed >= 0, of any size; workers >= 1, how many cores compute. The counts depend on
    distribution, capacities, environments and seed, not on workers. Nothing is written. Ctrl-C raises
    Interrupted. Raises SimlabError for bad arguments.
    """
    stop = Trajectories(check_count("environments", environments))
    backend = local_backend(workers)
    task = EnvironmentTask(law, capacities, seed)
    return run([Job(task, law, stop)], backend=backend)[task.id].counts


def collect(
    jobs: Iterable[Job], *, ledger: Ledger | None = None, backend: Backend | None = None
) -> Iterator[Progress]:
    """Run jobs, yielding progress about ten times a second, and each result once, in `Progress.results`.

    ledger: where batches are kept; those that are there are not run again. None: nothing is kept. backend:
    Serial() unless given. Equal tasks run once; jobs run one after the other, without a gap between them.

    A worker that dies is replaced and its batches run again, up to 3 times. The first Ctrl-C finishes and
    saves what is under way and raises Interrupted; the second stops at once. Raises SimlabError, with the
    task, for an error in a worker and for a task whose workers keep dying, and all that `Ledger` raises.
    """
    plan = Plan(list(jobs), ledger, slots=1)
    pool = (backend or Serial()).start()
    pool.one_copy = any(job.task.table_bytes(job.subject) >= SHARED for job in plan.waiting)
    finished = False
    with _CtrlC() as ctrl_c:
        try:
            yield from _drive(plan, pool, ledger, ctrl_c)
            finished = True
        finally:
            pool.close(at_once=not finished)
            release_large_tables()
    if ctrl_c.requested and plan.finished_jobs < plan.jobs:
        raise Interrupted(_farewell(plan, ledger, ctrl_c.requested), ctrl_c.requested)


def _drive(plan: Plan, pool: Pool, ledger: Ledger | None, ctrl_c: _CtrlC) -> Iterator[Progress]:
    start = saved = reported = time.monotonic()
    while True:
        try:
            plan.slots, plan.parcel_seconds = pool.slots, pool.parcel_seconds
            while not ctrl_c.requested and pool.wants() and (parcel := plan.next_parcel()):
                pool.submit(parcel)
            if not pool.in_flight or (ctrl_c.requested and pool.waiting):
                break
            outcome = pool.wait(REPORT_SECONDS)
            if outcome is not None:
                _book(plan, pool, outcome)
        except SimlabError:
            _save(plan, ledger)
            raise
        now = time.monotonic()
        if now - saved > FLUSH_SECONDS:
            _save(plan, ledger)
            saved = time.monotonic()
        if now - reported > REPORT_SECONDS:
            try:
                yield _progress(plan, ledger, now - start, bool(ctrl_c.requested), pool.waiting)
            except GeneratorExit:  # who asked for progress has had enough
                _save(plan, ledger)
                raise
            reported = time.monotonic()
    _save(plan, ledger)
    yield _progress(plan, ledger, time.monotonic() - start, ctrl_c.requested)


def _book(plan: Plan, pool: Pool, outcome: Outcome) -> None:
    parcel, task = outcome.parcel, outcome.parcel.job.task
    if outcome.done is not None:
        plan.take(parcel, outcome.done.counts, outcome.done.seconds)
        rate = outcome.done.seconds / (task.work * sum(size for _, size in parcel.batches))
        pool.expect(rate * (plan.planned - plan.done).work)
        return
    name = f"task {task.id[:12]} ({task})"
    if outcome.error is not None:
        raise SimlabError(f"{name}: {_told(outcome.error)}") from outcome.error
    if parcel.deaths == RETRIES:
        raise SimlabError(
            f"{name}: {RETRIES + 1} workers died over it, killed from outside or for lack of memory: "
            "give fewer workers or more memory and run again"
        )
    plan.give_back(parcel)


def _told(error: BaseException) -> str:
    """What an error in a worker came to, in one line."""
    if isinstance(error, SimlabError):
        return str(error)
    # A process that cannot pack a parcel for want of memory says that it cannot pickle it; the cause is text.
    if isinstance(error, MemoryError) or "MemoryError" in str(error.__cause__):
        return (
            "out of memory: give fewer workers, fewer states, a shorter horizon or more memory, and run again"
        )
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _save(plan: Plan, ledger: Ledger | None) -> None:
    if ledger is not None and (plan.unsaved or plan.timings):
        ledger.save(plan.unsaved, plan.timings)
    plan.unsaved, plan.timings = [], {}


def _progress(
    plan: Plan, ledger: Ledger | None, seconds: float, stopping: bool, waiting: str = ""
) -> Progress:
    results, plan.results = plan.results, []
    if results:
        _save(plan, ledger)  # who draws a result may be killed right after: it must not be lost
    standing = plan.latest
    return Progress(
        jobs_done=plan.finished_jobs,
        jobs=plan.jobs,
        done=plan.done,
        planned=plan.planned,
        new=plan.simulated,
        seconds=seconds,
        task=standing.job.task if standing else None,
        counts=standing.counts if standing else None,
        sequence=standing.interval if standing else None,
        results=tuple(results),
        stopping=stopping,
        waiting=waiting,
    )


def _farewell(plan: Plan, ledger: Ledger | None, number: int) -> str:
    how = "interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}"
    left = f"{plan.jobs - plan.finished_jobs} of {plan.jobs} tasks unfinished"
    if ledger is None:
        return f"{how}, {left}; nothing is kept, for the run has no ledger"
    return f"{how}, {left}; what was done is in {ledger.path}: run the same command again to go on"


class _CtrlC:
    """Turns the first SIGINT into `requested` and the second into Interrupted, in the main thread.

    SIGTERM and SIGHUP likewise, where the program has a handler of its own for them, as the command has.
    """

    def __init__(self) -> None:
        self.requested = 0  # the signal's number
        self._previous: dict[int, object] = {}

    def __enter__(self) -> _CtrlC:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM", "SIGHUP"):
                number = getattr(signal, name, None)
                # Whoever was told to ignore it (nohup, a background job) goes on ignoring it.
                if number is not None and callable(signal.getsignal(number)):
                    self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_) -> None:
        if threading.current_thread() is threading.main_thread():
            for number, handler in self._previous.items():
                signal.signal(number, handler)

    def _handle(self, number: int, _frame) -> None:
        if self.requested:
            raise Interrupted(
                "stopped at once; what was saved is safe: run the same command again to go on", number
            )
        self.requested = number
