"""What the experiments share: each stopping rule gets the intervals that it allows."""

import dataclasses

import numpy as np
import pytest

import simlab
from simlab.evidence import MISS, clopper_pearson, confidence_sequence, mean_interval
from simlab.experiments.shared import FALSE_ALARM, band_of, judge, mean_of
from simlab.runs import HalfWidth, Job, Result, Task, Trajectories

BATCH, BATCHES = 1_000, 10


@pytest.fixture(scope="module")
def pair():
    return simlab.pairs.paper(horizon=6)


@pytest.fixture(scope="module")
def prediction(pair):
    return simlab.predict(pair, simlab.Speculative())


@pytest.fixture(scope="module")
def simulated(pair):
    """Ten batches, the same ones whatever the stopping rule will have been."""
    task = Task({"digest": "none"}, simlab.Speculative(), seed=3, batch_size=BATCH)
    parts = [
        simlab.simulate(pair, simlab.Speculative(), trajectories=BATCH, seed=seed) for seed in range(BATCHES)
    ]
    n = np.arange(7)
    sums = np.array([[BATCH, part.rejections @ n, part.rejections @ n**2] for part in parts])
    return Result(task, sum(parts[1:], parts[0]), sums)


def stopped_by(stop, pair, result):
    return Job(result.task, pair, stop)


@pytest.mark.parametrize(
    ("stop", "looks"),
    [
        (Trajectories(BATCH * BATCHES), 1),
        (HalfWidth(0.1, 0.95, at_most=BATCH * 37), 37),
        (HalfWidth(0.1, 0.95, at_most=BATCH * 36 + 1), 37),  # the last batch may be short
        (HalfWidth(0.1, 0.95, at_most=BATCH), 1),
    ],
)
def test_cells_pay_for_every_size_at_which_the_job_might_have_stopped(
    stop, looks, pair, simulated, prediction
):
    one = stopped_by(stop, pair, simulated)
    _, law, tokens = judge("x", one, simulated, prediction)
    counts = simulated.counts
    for verdict, hits, exact in (
        (law, counts.rejections, prediction.rejections_pmf),
        (tokens, counts.tokens, prediction.token_marginals),
    ):
        _, low, high = clopper_pearson(hits, counts.trajectories, FALSE_ALARM / looks / (2 * hits.size))
        _, miss_low, miss_high = clopper_pearson(hits, counts.trajectories, MISS / looks)
        assert (verdict.low, verdict.high) in set(zip(low.flat, high.flat, strict=True))
        assert verdict.exact in exact
        assert verdict.detectable == max((miss_high - low).max(), (high - miss_low).max())
        assert (verdict.false_alarm, verdict.miss) == (FALSE_ALARM, MISS)
        assert verdict.method == "fixed size" + f", at each of {looks} sizes at once" * (looks > 1)
    cells = counts.rejections.size
    np.testing.assert_array_equal(
        band_of(one, simulated, 0.95),
        clopper_pearson(counts.rejections, counts.trajectories, (1 - 0.95) / looks / (2 * cells)),
    )


def test_the_mean_of_a_job_that_stopped_by_its_interval_has_a_confidence_sequence(
    pair, simulated, prediction
):
    adaptive = stopped_by(HalfWidth(0.1, 0.95, at_most=BATCH * 37), pair, simulated)
    fixed = stopped_by(Trajectories(BATCH * BATCHES), pair, simulated)
    running = confidence_sequence(simulated.batch_sums, 6, 0.95)
    assert mean_of(adaptive, simulated, 0.95) == tuple(end[-1] for end in running)
    assert mean_of(fixed, simulated, 0.95) == mean_interval(simulated.counts.rejections, 0.95)
    methods = [judge("x", one, simulated, prediction)[0].method for one in (adaptive, fixed)]
    assert methods == ["confidence sequence", "fixed size"]


def test_another_law_fails(pair, simulated, prediction):
    """Control: the verdicts of an adaptive job still see what is wrong."""
    adaptive = stopped_by(HalfWidth(0.1, 0.95, at_most=BATCH * 37), pair, simulated)
    assert not any(verdict.status == "FAIL" for verdict in judge("x", adaptive, simulated, prediction))
    wrong = dataclasses.replace(
        prediction,
        expected_rejections=prediction.expected_rejections + 1,
        rejections_pmf=np.roll(prediction.rejections_pmf, 1),
        token_marginals=np.roll(prediction.token_marginals, 1, axis=1),
    )
    assert {verdict.status for verdict in judge("x", adaptive, simulated, wrong)} == {"FAIL"}
