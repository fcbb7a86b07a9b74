"""When jobs stop, and that the batches' numbers alone decide it: any order, any company, any history."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

import simlab
from simlab import Autoregressive, BiasedSpeculative, ChainPair, SimlabError, Speculative
from simlab.decoding import Counts, build_tables, simulate_batch
from simlab.evidence import confidence_sequence
from simlab.pairs import paper
from simlab.runs import HalfWidth, Job, Ledger, Loky, Serial, Task, Trajectories, collect, run
from simlab.runs.serial import SerialPool
from simlab.runs.task import batch_sums
from tests.runs.running import rows

PAIR = paper(horizon=12)
SIZE = 1000


def task(seed: int = 0, size: int = SIZE) -> Task:
    return Task({"name": "paper", "horizon": 12}, Speculative(), seed, size)


def directly(some: Task, sizes: list[int]) -> tuple[Counts, np.ndarray]:
    """The counts of batches 0, 1, ... of these sizes, straight from the sampler."""
    tables = build_tables(PAIR, some.decoder)
    parts = [simulate_batch(tables, size, some.seed_sequence(batch)) for batch, size in enumerate(sizes)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total, np.array([batch_sums(part) for part in parts])


class Shuffled:
    """A backend with many parcels under way that come back in random order, some of them lost on the way."""

    def __init__(self, seed: int, losses: float = 0.0) -> None:
        self.seed, self.losses = seed, losses

    def __repr__(self) -> str:
        return f"Shuffled({self.seed}, losses={self.losses})"  # a test's name is the same in every process

    def start(self):
        return ShuffledPool(random.Random(self.seed), self.losses)


class ShuffledPool(SerialPool):
    slots = 13

    def __init__(self, source: random.Random, losses: float) -> None:
        super().__init__()
        self.source, self.losses = source, losses
        self.under_way: list = []

    @property
    def in_flight(self) -> int:
        return len(self.under_way)

    def wants(self) -> bool:
        return len(self.under_way) < self.slots

    def submit(self, parcel) -> None:
        self.under_way.append(parcel)

    def wait(self, seconds: float):
        from simlab.runs.pool import Outcome

        parcel = self.under_way.pop(self.source.randrange(len(self.under_way)))
        if parcel.deaths < 3 and self.source.random() < self.losses:
            return Outcome(parcel)
        super().submit(parcel)
        return super().wait(seconds)


BACKENDS = [Serial(), Loky(5), Shuffled(1), Shuffled(3, losses=0.3)]


def only(results):
    (result,) = results.values()
    return result


@pytest.mark.parametrize("backend", BACKENDS, ids=repr)
@pytest.mark.parametrize("total", [1, 999, 1000, 1001, 37_500])
def test_a_fixed_job_has_exactly_the_batches_that_its_total_says(backend, total):
    sizes = [SIZE] * (total // SIZE) + [total % SIZE] * (total % SIZE > 0)
    counts, sums = directly(task(), sizes)
    result = only(run([Job(task(), PAIR, Trajectories(total))], backend=backend))
    assert result.counts == counts and counts.trajectories == total
    assert (result.batch_sums == sums).all() and result.batch_sums.shape == (len(sizes), 3)


def first_narrow(sums: np.ndarray, width: float, confidence: float) -> int:
    """K by its definition: the sequence over each prefix by itself."""
    for prefix in range(1, len(sums) + 1):
        _, low, high = confidence_sequence(sums[:prefix], PAIR.horizon, confidence)
        if (high[-1] - low[-1]) / 2 <= width:
            return prefix
    return len(sums)


@pytest.mark.parametrize("backend", BACKENDS, ids=repr)
@pytest.mark.parametrize(("width", "at_most"), [(0.05, 10**9), (0.05, 12_345), (100.0, 10**9), (1e-9, 7_100)])
def test_an_adaptive_job_stops_at_the_first_narrow_prefix(tmp_path, backend, width, at_most):
    sizes = ([SIZE] * (at_most // SIZE) + [at_most % SIZE] * (at_most % SIZE > 0))[:60]
    _, sums = directly(task(), sizes)
    stop = first_narrow(sums, width, 0.9)
    assert stop < 60
    counts, sums = directly(task(), sizes[:stop])
    with Ledger(tmp_path / "ledger") as ledger:
        job = Job(task(), PAIR, HalfWidth(width, 0.9, at_most))
        result = only(run([job], ledger=ledger, backend=backend))
        assert [batch for batch, _, _ in ledger.batches(task().id)] == list(range(stop))
    assert result.counts == counts
    assert (result.batch_sums == sums).all()


def test_an_adaptive_job_uses_what_is_there_but_not_beyond_its_end(tmp_path):
    stop = HalfWidth(0.05, 0.9, 10**9)
    undisturbed = only(run([Job(task(), PAIR, stop)]))
    needed = len(undisturbed.batch_sums)
    for there in ([*range(0, needed + 20)], [*range(5, needed + 20, 2)], [0, 1, needed + 3], [3]):
        with Ledger(tmp_path / str(len(there))) as ledger:
            tables = build_tables(PAIR, Speculative())
            ledger.add_task(task())
            ledger.save(
                (task().id, b, SIZE, simulate_batch(tables, SIZE, task().seed_sequence(b))) for b in there
            )
            *_, last = steps = list(collect([Job(task(), PAIR, stop)], ledger=ledger, backend=Shuffled(7)))
            (result,) = (result for step in steps for result in step.results)
            assert result.counts == undisturbed.counts
            assert (result.batch_sums == undisturbed.batch_sums).all()
            assert {batch for batch, _, _ in ledger.batches(task().id)} == {*range(needed), *there}
            if set(range(needed)) <= set(there):
                assert last.simulated == 0


@pytest.mark.parametrize("backend", BACKENDS, ids=repr)
@pytest.mark.parametrize("stop", [Trajectories(12_345), HalfWidth(0.1, 0.95, 10**6)], ids=["N", "width"])
def test_deviations_come_through_every_backend_and_merged_ledgers(tmp_path, backend, stop):
    some = Task({"name": "paper", "horizon": 12}, BiasedSpeculative(0.05, "target"), 0, SIZE)
    job = Job(some, PAIR, stop)
    with Ledger(tmp_path / "one") as ledger:
        result = only(run([job], ledger=ledger, backend=backend))
    total = result.counts.trajectories
    expected, _ = directly(some, [SIZE] * (total // SIZE) + [total % SIZE] * (total % SIZE > 0))
    assert result.counts == expected
    assert result.counts.deviations.sum() == total
    with Ledger(tmp_path / "two") as ledger:
        assert ledger.merge(tmp_path / "one") > 0
        *_, last = steps = list(collect([job], ledger=ledger))
        (again,) = (result for step in steps for result in step.results)
        assert again.counts == expected and last.simulated == 0
        assert ledger.merge(tmp_path / "one") == 0
    assert rows(tmp_path / "one") == rows(tmp_path / "two")


def test_a_later_larger_total_runs_the_partial_batch_again_in_full(tmp_path):
    path = tmp_path / "ledger"
    with Ledger(path) as ledger:
        for total, simulated in [
            (3_400, 3_400),
            (3_400, 0),
            (5_600, 2_600),
            (3_400, 0),
            (3_000, 0),
            (600, 600),
        ]:
            *_, last = steps = list(collect([Job(task(), PAIR, Trajectories(total))], ledger=ledger))
            (result,) = (result for step in steps for result in step.results)
            assert last.simulated == simulated, total
            expected, _ = directly(task(), [SIZE] * (total // SIZE) + [total % SIZE] * (total % SIZE > 0))
            assert result.counts == expected
        keys = [(batch, size) for batch, size, _ in ledger.batches(task().id)]
    assert keys == [(0, 600), (0, 1000), (1, 1000), (2, 1000), (3, 400), (3, 1000), (4, 1000), (5, 600)]


def test_the_same_task_asked_for_twice_runs_once(tmp_path):
    jobs = [Job(task(seed), PAIR, Trajectories(5_000)) for seed in (1, 2, 1, 1)]
    *_, last = steps = list(collect(jobs))
    assert last.simulated == 10_000 and last.jobs == last.jobs_done == 2
    assert sorted(r.task.id for step in steps for r in step.results) == sorted([task(1).id, task(2).id])


def test_jobs_that_contradict_each_other_are_refused():
    with pytest.raises(SimlabError, match="is asked for with"):
        run([Job(task(), PAIR, Trajectories(10)), Job(task(), PAIR, Trajectories(20))])
    with pytest.raises(SimlabError, match="names two pairs"):
        run([Job(task(), PAIR, Trajectories(10)), Job(task(), paper(horizon=13), Trajectories(10))])


def test_a_ledger_of_another_pair_under_the_same_settings_is_refused(tmp_path):
    with Ledger(tmp_path / "ledger") as ledger:
        run([Job(task(), PAIR, Trajectories(10))], ledger=ledger)
        with pytest.raises(SimlabError, match=r"holds \(T, V\) = \(12, 7\), the pair \(13, 7\)"):
            run([Job(task(), paper(horizon=13), Trajectories(10))], ledger=ledger)


@pytest.mark.processes
@pytest.mark.parametrize("backend", [Serial(), Loky(2), Shuffled(1)], ids=["serial", "loky", "shuffled"])
def test_many_jobs_in_one_run_are_each_what_they_are_alone(tmp_path, backend):
    jobs = [Job(task(seed, 100 + seed), PAIR, Trajectories(2_500)) for seed in range(12)]
    jobs += [Job(task(seed, 50), PAIR, HalfWidth(0.3, 0.9, 10**7)) for seed in range(100, 104)]
    with Ledger(tmp_path / "all") as ledger:
        together = run(jobs, ledger=ledger, backend=backend)
    with Ledger(tmp_path / "each") as ledger:
        for job in jobs:
            alone = only(run([job], ledger=ledger))
            assert together[job.task.id].counts == alone.counts
    assert rows(tmp_path / "all") == rows(tmp_path / "each")


@pytest.mark.parametrize("backend", [Serial(), Loky(2)], ids=repr)
def test_an_error_in_a_worker_names_its_task_and_loses_nothing(tmp_path, backend):
    good, bad = task(1), Task({"name": "paper"}, simlab.BatchSpeculative(10**15), 1, SIZE)
    with Ledger(tmp_path / "ledger") as ledger:
        jobs = [Job(good, PAIR, Trajectories(30_000)), Job(bad, PAIR, Trajectories(SIZE))]
        with pytest.raises(SimlabError, match=rf"task {bad.id[:12]} .*tables need") as caught:
            run(jobs, ledger=ledger, backend=backend)
        assert "\n" not in str(caught.value)
        *_, last = collect(jobs[:1], ledger=ledger)
    assert last.simulated < 30_000


def test_a_task_whose_workers_keep_dying_is_named(tmp_path):
    class Deadly(ShuffledPool):
        def wait(self, seconds):
            from simlab.runs.pool import Outcome

            parcel = self.under_way.pop(0)
            if parcel.batches[0][0] == 7:
                return Outcome(parcel)
            SerialPool.submit(self, parcel)
            return SerialPool.wait(self, seconds)

    class Backend:
        def start(self):
            return Deadly(random.Random(0), 0.0)

    with Ledger(tmp_path / "ledger") as ledger:
        with pytest.raises(SimlabError, match=f"task {task().id[:12]} .*4 workers died"):
            run([Job(task(), PAIR, Trajectories(20_000))], ledger=ledger, backend=Backend())
        assert len(list(ledger.batches(task().id))) >= 7


def test_no_jobs_no_results():
    assert run([]) == {}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Trajectories(0), "trajectories = 0"),
        (lambda: Trajectories(1e6), "trajectories = 1000000.0"),
        (lambda: HalfWidth(0), "width = 0"),
        (lambda: HalfWidth(math.nan), "width = nan"),
        (lambda: HalfWidth(math.inf), "width = inf"),
        (lambda: HalfWidth("0.1"), "width = '0.1'"),
        (lambda: HalfWidth(0.1, 1), "confidence = 1"),
        (lambda: HalfWidth(0.1, 0.9, 0), "at_most = 0"),
        (lambda: Loky(0), "workers = 0"),
        (lambda: Loky(2.0), "workers = 2.0"),
        (lambda: simlab.simulate(PAIR, Speculative(), trajectories=0), "trajectories = 0"),
        (lambda: simlab.simulate(PAIR, Speculative(), trajectories=5, seed=-1), "seed = -1"),
        (lambda: simlab.simulate(PAIR, Speculative(), trajectories=5, seed=0.5), "seed = 0.5"),
        (lambda: simlab.simulate(PAIR, Speculative(), trajectories=5, workers=0), "workers = 0"),
        (lambda: simlab.simulate(PAIR, Speculative, trajectories=5), "is not a decoder"),
        (lambda: simlab.simulate(PAIR.draft, Speculative(), trajectories=5), "expected a simlab.ChainPair"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(SimlabError, match=message):
        make()


@pytest.mark.statistical
def test_simulate_is_one_task_on_the_pairs_digest():
    expected = only(run([Job(Task({"digest": PAIR.digest}, Speculative(), 5), PAIR, Trajectories(300_000))]))
    for workers in (1, 2, 5):
        counts = simlab.simulate(PAIR, Speculative(), trajectories=300_000, seed=5, workers=workers)
        assert counts == expected.counts
    assert simlab.simulate(PAIR, Speculative(), trajectories=300_000, seed=6) != expected.counts


def test_odd_pairs():
    one = ChainPair.stationary(np.ones((1, 1)), np.ones((1, 1)), np.ones(1), 1)
    counts = simlab.simulate(one, Speculative(), trajectories=7)
    assert counts.rejections.tolist() == [7, 0] and counts.tokens.tolist() == [[7]]
    result = only(run([Job(Task({}, Autoregressive(), 0, 10), PAIR, HalfWidth(2.0, 0.9, 10**6))]))
    assert result.counts.rejections[0] == result.counts.trajectories
