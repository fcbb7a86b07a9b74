"""What is left to do, and what is known so far: the part of a run that knows neither processes nor clocks.

A plan hands out parcels (a few batches of one task) and takes their counts back, in any order. What it
concludes from them depends on the batches' numbers only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from simlab.decoding.counts import Counts
from simlab.decoding.environments.counts import EnvironmentCounts
from simlab.errors import SimlabError
from simlab.laws import Law
from simlab.pairs.pair import ChainPair
from simlab.runs.environment_task import EnvironmentTask
from simlab.runs.ledger import Ledger, Timing
from simlab.runs.shard import WHOLE, Shard
from simlab.runs.stopping import HalfWidth, Stop
from simlab.runs.task import Task

PARCEL_SECONDS = 0.1
"""How long a parcel should take on this machine: long against the cost of sending it, short against a user's
patience."""

_AHEAD = 64  # batches that an adaptive job may run ahead of its prefix, beside 16 a slot


_PARTS = 64  # counts that are held before they are put together


@dataclass(frozen=True)
class Amount:
    """How much of a run: trajectories, environments, and the work in both, in trajectories."""

    trajectories: int = 0
    environments: int = 0
    work: int = 0

    @classmethod
    def of(cls, task: Task | EnvironmentTask, samples: int) -> Amount:
        """So many of what the task counts."""
        return cls(**{task.unit: samples}, work=samples * task.work)

    @property
    def samples(self) -> int:
        """Trajectories and environments together."""
        return self.trajectories + self.environments

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            self.trajectories + other.trajectories,
            self.environments + other.environments,
            self.work + other.work,
        )

    def __sub__(self, other: Amount) -> Amount:
        return Amount(
            self.trajectories - other.trajectories,
            self.environments - other.environments,
            self.work - other.work,
        )


@dataclass(frozen=True, eq=False)
class Job:
    """A task, the pair or distribution it speaks of, and when to stop: `Trajectories(n)` of an
    EnvironmentTask are n environments. shard: only the batches of this part of the work are run. A part of an
    adaptive job cannot
    know how much the others see: it runs until all parts together should be done, if they see what it sees;
    which prefix of all batches is enough is decided where they are merged. task: a rule of acceptance in it
    is made its tables on the pair. Raises SimlabError where the task
    cannot be of this pair or distribution, or cannot stop so.
    """

    task: Task | EnvironmentTask
    subject: ChainPair | Law
    stop: Stop
    shard: Shard = WHOLE

    def __post_init__(self) -> None:
        self.task.check_subject(self.subject)
        object.__setattr__(self, "task", self.task.on(self.subject))
        if isinstance(self.stop, HalfWidth) and not isinstance(self.task, Task):
            raise SimlabError(
                f"half_width = {self.stop.width:g}: a run of environments has a fixed size: "
                "give their number, and no half_width"
            )

    @property
    def batches(self) -> int:
        """How many batches the stopping rule may ask for, of all shards."""
        return -(-self.stop.at_most // self.task.batch_size)

    @property
    def numbers(self) -> range:
        """The numbers of the batches that may be run here, ascending."""
        return self.shard.numbers(self.task.id, self.batches)

    def size(self, number: int) -> int:
        """The samples of the batch with this number: full, but for the last one."""
        full = self.task.batch_size
        return min(full, self.stop.at_most - number * full)

    @property
    def at_most(self) -> int:
        """The samples that may be asked for here."""
        numbers, size = self.numbers, self.task.batch_size
        last_is_ours = self.batches - 1 in numbers
        return len(numbers) * size - last_is_ours * (self.batches * size - self.stop.at_most)

    @property
    def pair(self) -> ChainPair | Law:
        """The subject, by the name that it has where it is a pair."""
        return self.subject


@dataclass(frozen=True, eq=False)
class Result:
    """What a job came to: the counts of the batches its stopping rule chose, all of them and no others.

    batch_sums: int64 (K, 3), per batch, by number: trajectories, sum of rejections, sum of their squares. Of
    environments only how many they are, (K, 1).
    """

    task: Task | EnvironmentTask
    counts: Counts | EnvironmentCounts
    batch_sums: np.ndarray = field(repr=False)


@dataclass(frozen=True, eq=False)
class Parcel:
    """Batches of one job for one worker, each (number, trajectories); how many workers died over it."""

    job: Job
    batches: tuple[tuple[int, int], ...]
    deaths: int = 0


@dataclass
class Standing:
    """What is known of one job that is under way. `unsaved` holds what the ledger should get."""

    job: Job
    ledger: Ledger | None
    parts: list  # counts that together are those of the job
    sums: np.ndarray  # int64 (at least as many as there are batches, 3 or 1)
    issued: int = 0  # batches below this number have been handed out, or were there
    prefix: int = 0  # batches below this number are known
    looked: int = 0  # adaptive: batches below this number are in `counts`
    known: dict[int, Counts | None] = field(default_factory=dict)  # None: counted, or to be read again
    unsaved: list[tuple[str, int, int, Counts | EnvironmentCounts]] = field(default_factory=list)
    samples: int = 0  # trajectories, or environments
    interval: tuple[float, float, float] | None = None
    finished: bool = False
    seconds: float | None = None  # a sample's, lately

    @property
    def counts(self) -> Counts | EnvironmentCounts:
        """All that was counted so far."""
        if len(self.parts) > 1:
            self.parts = [type(self.parts[0]).merged(self.parts)]
        return self.parts[0]

    def count(self, counts: Counts | EnvironmentCounts) -> None:
        """Add the counts of a batch."""
        self.parts.append(counts)
        if len(self.parts) > _PARTS:
            self.parts = [self.counts]

    @property
    def done(self) -> Amount:
        return Amount.of(self.job.task, self.samples)

    @property
    def adaptive(self) -> bool:
        return isinstance(self.job.stop, HalfWidth)

    @property
    def batches(self) -> int:
        """How many batches the job is: the standing numbers them 0, 1, ... whatever shard they are of."""
        return len(self.job.numbers)

    def number(self, batch: int) -> int:
        """The number in its task of the job's batch with this position."""
        return self.job.numbers[batch]

    def size(self, batch: int) -> int:
        """The samples of a batch."""
        return self.job.size(self.number(batch))

    def result(self) -> Result:
        kept = self.looked if self.adaptive else self.batches
        return Result(self.job.task, self.counts, self.sums[:kept].copy())


def open_job(job: Job, ledger: Ledger | None) -> Standing:
    """The standing of a job, with all that the ledger holds of it."""
    none = job.task.no_counts(job.subject)
    standing = Standing(job, ledger, [none], np.zeros((64, len(job.task.sums(none))), np.int64))
    if ledger is not None:
        ledger.add_task(job.task)
        numbers = job.numbers
        for number, size, counts in ledger.sound_batches(job.task.id, numbers):
            if number in numbers and size == standing.size(batch := numbers.index(number)):
                job.task.check_counts(counts, job.subject)
                _take(standing, batch, counts, saved=True)
    _conclude(standing)
    return standing


def lacking(job: Job, ledger: Ledger) -> tuple[int, int]:
    """(batches, samples) that the job still lacks in the ledger; of an adaptive one, at most."""
    if isinstance(job.stop, HalfWidth):
        standing = open_job(job, ledger)
        if standing.finished:
            return 0, 0
        missing = [batch for batch in range(standing.prefix, standing.batches) if batch not in standing.known]
        return len(missing), sum(map(standing.size, missing))
    numbers = job.numbers
    held = [
        size
        for number, size in ledger.held(job.task.id, numbers)
        if number in numbers and size == job.size(number)
    ]
    return len(numbers) - len(held), job.at_most - sum(held)


def take(standing: Standing, batches: tuple[tuple[int, int], ...], counts: list[Counts]) -> None:
    """Book the counts of a parcel that came back."""
    for (number, _), part in zip(batches, counts, strict=True):
        _take(standing, standing.job.numbers.index(number), part, saved=False)
    _conclude(standing)


def _take(standing: Standing, batch: int, counts: Counts, saved: bool) -> None:
    if standing.finished or batch < standing.prefix or batch in standing.known:
        return
    while batch >= len(standing.sums):
        standing.sums = np.concatenate([standing.sums, np.zeros_like(standing.sums)])
    sums = standing.sums[batch] = standing.job.task.sums(counts)
    standing.samples += sums[0]
    if standing.adaptive:
        # Held back, for the rule may yet stop before this batch: then it is neither counted nor saved.
        standing.known[batch] = None if saved else counts
    else:
        standing.known[batch] = None
        standing.count(counts)
        if not saved:
            standing.unsaved.append((standing.job.task.id, standing.number(batch), sums[0], counts))
    while standing.prefix in standing.known:
        if not standing.adaptive:
            del standing.known[standing.prefix]
        standing.prefix += 1


def _conclude(standing: Standing) -> None:
    if standing.finished:
        return
    if standing.adaptive and standing.batches:
        _look(standing)
    else:
        standing.finished = standing.prefix == standing.batches


def _look(standing: Standing) -> None:
    """Ask the stopping rule about the prefixes that have come up, then count and save those it passed."""
    if standing.prefix == standing.looked:
        return
    from simlab.evidence import confidence_sequence  # here: worker processes must not import it

    # An entry of the sequence depends on the totals up to it: all that was looked at goes in as one batch.
    stop, looked = standing.job.stop, standing.looked
    sums = standing.sums[looked : standing.prefix].copy()
    sums[0] += standing.sums[:looked].sum(axis=0)
    sums *= standing.job.shard.count  # as if every part had seen what this one has
    mean, low, high = confidence_sequence(sums, standing.job.pair.horizon, stop.confidence)
    hits = np.flatnonzero((high - low) / 2 <= stop.width)
    end = looked + int(hits[0]) + 1 if len(hits) else standing.prefix
    task = standing.job.task.id
    for batch in range(looked, end):
        counts = standing.known.pop(batch)
        if counts is None:
            counts = standing.ledger.read(task, standing.number(batch), standing.size(batch))
        else:
            standing.unsaved.append((task, standing.number(batch), counts.trajectories, counts))
        standing.count(counts)
    standing.looked = end
    standing.interval = tuple(float(bound[end - 1 - looked]) for bound in (mean, low, high))
    standing.finished = bool(len(hits)) or end == standing.batches
    if standing.finished:
        standing.samples = standing.counts.trajectories


class Plan:
    """Jobs in order, one after the other without a gap: a later one starts when an earlier one has no more
    batches to hand out. So each process builds each task's tables once, and finished points of a study
    appear one by one.

    slots: how many parcels are under way at a time; parcel_seconds: how long one should take. Equal
    tasks are run once; raises SimlabError where they disagree on the pair or on when to stop.
    """

    def __init__(self, jobs: list[Job], ledger: Ledger | None, slots: int) -> None:
        unique: dict[str, Job] = {}
        for job in jobs:
            first = unique.setdefault(job.task.id, job)
            if first.stop != job.stop:
                raise SimlabError(
                    f"task {job.task.id[:12]} is asked for with {first.stop} and with {job.stop}: "
                    "give one, or another seed"
                )
            if first.subject is not job.subject and first.subject.digest != job.subject.digest:
                raise SimlabError(f"task {job.task.id[:12]} names two pairs: tell them apart in its `pair`")
        self.ledger = ledger
        self.slots, self.parcel_seconds = slots, PARCEL_SECONDS
        self.jobs = len(unique)
        self.at_most = _sum(Amount.of(job.task, job.at_most) for job in unique.values())
        self.waiting = deque(unique.values())
        self.standings: dict[str, Standing] = {}  # jobs under way
        self.returned: deque[Parcel] = deque()
        self.closed = Amount()  # what closed jobs came to,
        self.closed_at_most = Amount()  # and what they might have asked for
        self.results: list[Result] = []  # finished and not yet fetched
        self.simulated = Amount()  # by this run
        self.latest: Standing | None = None  # the job heard of last
        self.unsaved: list[tuple[str, int, int, Counts | EnvironmentCounts]] = []
        self.timings: dict[str, Timing] = {}  # by task id, not saved yet

    @property
    def finished_jobs(self) -> int:
        return self.jobs - len(self.waiting) - len(self.standings)

    @property
    def done(self) -> Amount:
        """What is booked, as far as jobs have been opened."""
        return _sum((standing.done for standing in self.standings.values()), self.closed)

    @property
    def planned(self) -> Amount:
        """All there is to do; of an adaptive job, until it has stopped, as much as it may ask for."""
        return self.at_most - self.closed_at_most + self.closed

    def next_parcel(self) -> Parcel | None:
        """Work for a worker; None if there is none, or none before something under way comes back."""
        while self.returned:
            parcel = self.returned.popleft()
            if parcel.job.task.id in self.standings:
                return parcel
        for standing in list(self.standings.values()):
            if batches := _issue(standing, self.slots, self.parcel_seconds):
                return Parcel(standing.job, batches)
        while self.waiting:
            standing = self._open(self.waiting.popleft())
            if batches := _issue(standing, self.slots, self.parcel_seconds):
                return Parcel(standing.job, batches)
        return None

    def take(self, parcel: Parcel, counts: list[Counts], seconds: float) -> None:
        """Book what a worker brought, and the seconds it took."""
        samples = sum(size for _, size in parcel.batches)
        self.simulated += Amount.of(parcel.job.task, samples)
        task = parcel.job.task.id
        spent = self.timings.get(task, Timing(0, 0.0))
        self.timings[task] = Timing(spent.samples + samples, spent.seconds + seconds)
        standing = self.standings.get(task)
        if standing is None:  # an adaptive job that stopped before these batches
            return
        standing.seconds = seconds / samples
        self.latest = standing
        take(standing, parcel.batches, counts)
        self._settle(standing)

    def give_back(self, parcel: Parcel) -> None:
        """A worker died over this parcel: it is handed out again."""
        self.returned.append(replace(parcel, deaths=parcel.deaths + 1))

    def _open(self, job: Job) -> Standing:
        standing = self.latest = open_job(job, self.ledger)
        self.standings[job.task.id] = standing
        self._settle(standing)
        return standing

    def _settle(self, standing: Standing) -> None:
        if self.ledger is not None:
            self.unsaved += standing.unsaved
        standing.unsaved = []
        if standing.finished:
            del self.standings[standing.job.task.id]
            self.closed += standing.done
            self.closed_at_most += Amount.of(standing.job.task, standing.job.at_most)
            self.results.append(standing.result())


def _issue(standing: Standing, slots: int, seconds: float) -> tuple[tuple[int, int], ...]:
    """The next batches of a job for one parcel: about so many seconds of work, less towards the end."""
    if standing.finished:
        return ()
    end = standing.batches
    if standing.adaptive:
        end = min(end, standing.looked + _AHEAD + 16 * slots)
    most = 1
    if standing.seconds is not None:
        most = seconds / (standing.seconds * standing.job.task.batch_size + 1e-9)
    most = max(1, min(int(most), (end - standing.issued) // (2 * slots)))
    batches = []
    while len(batches) < most and standing.issued < end:
        batch = standing.issued
        standing.issued += 1
        if batch >= standing.prefix and batch not in standing.known:
            batches.append((standing.number(batch), standing.size(batch)))
    return tuple(batches)


def _sum(amounts: Iterable[Amount], start: Amount | None = None) -> Amount:
    return sum(amounts, start or Amount())
