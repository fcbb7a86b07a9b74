"""What the experiments share: each stopping rule gets the intervals that it allows."""

import dataclasses

import numpy as np
import pytest

import simlab
from simlab.evidence import MISS, clopper_pearson, confidence_sequence, mean_interval
from simlab.evidence.verdict import FALSE_ALARM
from simlab.experiments.common.estimates import band_of, calls_of, mean_of
from simlab.experiments.common.judge import judge
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
    _, distribution, tokens = judge("x", one, simulated, prediction)
    counts = simulated.counts
    for verdict, hits, exact in (
        (distribution, counts.rejections, prediction.rejections_pmf),
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
    np.testing.assert_allclose(
        band_of(one, simulated, 0.95),
        clopper_pearson(counts.rejections, counts.trajectories, (1 - 0.95) / looks / (2 * cells)),
    )


def test_the_mean_of_a_job_that_stopped_by_its_interval_has_a_confidence_sequence(
    pair, simulated, prediction
):
    adaptive = stopped_by(HalfWidth(0.1, 0.95, at_most=BATCH * 37), pair, simulated)
    fixed = stopped_by(Trajectories(BATCH * BATCHES), pair, simulated)
    running = confidence_sequence(simulated.batch_sums, 6, 0.95)
    assert mean_of(adaptive, simulated, 0.95) == pytest.approx([end[-1] for end in running], rel=1e-12)
    fixed_size = mean_interval(simulated.counts.rejections, 0.95)
    assert mean_of(fixed, simulated, 0.95) == pytest.approx(fixed_size, rel=1e-12)
    methods = [judge("x", one, simulated, prediction)[0].method for one in (adaptive, fixed)]
    assert methods == ["confidence sequence", "fixed size"]


@pytest.fixture(scope="module")
def trees(pair):
    """(result, prediction) of a decoder that drafts trees, in ten batches."""
    decoder = simlab.TreeSpeculative(5, "draft")
    task = Task({"digest": "none"}, decoder, seed=3, batch_size=BATCH)
    parts = [simlab.simulate(pair, decoder, trajectories=BATCH, seed=seed) for seed in range(BATCHES)]
    n = np.arange(7)
    sums = np.array([[BATCH, part.rejections @ n, part.rejections @ n**2] for part in parts])
    return Result(task, sum(parts[1:], parts[0]), sums), simlab.predict(pair, decoder)


def test_calls_pay_for_every_size_at_which_the_job_might_have_stopped(pair, trees):
    """The stopping rule looks at the bonus tokens, not at the calls."""
    result, prediction = trees
    calls = result.counts.target_calls
    for stop, looks in ((HalfWidth(0.1, 0.95, at_most=BATCH * 37), 37), (Trajectories(BATCH * 10), 1)):
        one = stopped_by(stop, pair, result)
        assert calls_of(one, result, 0.95) == pytest.approx(mean_interval(calls, 1 - 0.05 / looks), rel=1e-9)
        mean, distribution, tokens, bonus = judge("x", one, result, prediction)
        assert mean.exact == pytest.approx(prediction.expected_target_calls, rel=1e-12)
        assert mean.low == pytest.approx(mean_interval(calls, 1 - FALSE_ALARM / looks).low, rel=1e-6)
        assert (
            distribution.exact in prediction.target_calls_pmf and tokens.exact in prediction.token_marginals
        )
        assert bonus.exact == pytest.approx(prediction.expected_rejections, rel=1e-12)
        assert bonus.method == ("fixed size" if looks == 1 else "confidence sequence")
        fixed = "fixed size" + f", at each of {looks} sizes at once" * (looks > 1)
        assert mean.method == distribution.method == tokens.method == fixed


def test_each_verdict_on_trees_sees_what_it_is_about(pair, trees):
    """Control: one wrong number each, one verdict each."""
    result, prediction = trees
    one = stopped_by(Trajectories(BATCH * BATCHES), pair, result)

    def failed(**wrong):
        verdicts = judge("x", one, result, dataclasses.replace(prediction, **wrong))
        return [verdict.name for verdict in verdicts if verdict.status == "FAIL"]

    assert failed() == []
    assert failed(expected_target_calls=prediction.expected_target_calls + 0.2) == ["x: E[target calls]"]
    assert failed(target_calls_pmf=np.roll(prediction.target_calls_pmf, 1)) == [
        "x: distribution of target calls"
    ]
    assert failed(token_marginals=np.roll(prediction.token_marginals, 1, axis=1)) == [
        "x: tokens follow the target"
    ]
    assert failed(expected_rejections=prediction.expected_rejections + 0.2) == ["x: E[bonus tokens]"]


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
