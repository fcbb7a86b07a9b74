"""Verdicts: right where all is right, FAIL where it is not, and honest about what they can see."""

import dataclasses
import json
import math

import numpy as np
import pytest

from simlab.errors import SimlabError
from simlab.evidence import (
    MISS,
    Status,
    clopper_pearson,
    confidence_sequence,
    marginals_verdict,
    mean_interval,
    mean_verdict,
    pmf_verdict,
    running_mean_verdict,
    total_variation_verdict,
    verdicts,
)
from simlab.evidence.verdict import detectable_of

PMF = np.array([math.comb(20, n) * 0.3**n * 0.7 ** (20 - n) for n in range(21)])
MEAN = 6.0
MARGINALS = np.array([[0.5, 0.3, 0.2], [0.05, 0.15, 0.8]])


def sample(total, seed, pmf=PMF):
    return np.random.default_rng(seed).multinomial(total, pmf)


def batches(total, count, seed):
    histograms = np.random.default_rng(seed).multinomial(total, PMF, size=count)
    values = np.arange(21)
    return np.stack([histograms.sum(1), histograms @ values, histograms @ values**2], axis=1)


def token_sample(total, seed, marginals=MARGINALS):
    rng = np.random.default_rng(seed)
    return np.array([rng.multinomial(total, row) for row in marginals])


def judge_mean(seed, exact_shift=0.0, total=100_000):
    return mean_verdict("mean", sample(total, seed), MEAN + exact_shift, resolution=0.2)


def judge_running(seed, exact_shift=0.0, total=100_000):
    return running_mean_verdict(
        "running", batches(total // 10, 10, seed), 20, MEAN + exact_shift, resolution=0.2
    )


def judge_pmf(seed, exact_shift=0.0, total=100_000):
    exact = PMF.copy()
    exact[[6, 7]] += exact_shift, -exact_shift
    return pmf_verdict("pmf", sample(total, seed), exact, resolution=0.05)


def judge_marginals(seed, exact_shift=0.0, total=100_000):
    exact = MARGINALS.copy()
    exact[1, [1, 2]] += exact_shift, -exact_shift
    return marginals_verdict("marginals", token_sample(total, seed), total, exact, resolution=0.05)


def judge_total_variation(seed, exact_shift=0.0, total=100_000):
    exact = MEAN / 20 + exact_shift
    return total_variation_verdict("TV", sample(total, seed), exact, exact, resolution=0.05)


JUDGES = [judge_mean, judge_running, judge_pmf, judge_marginals, judge_total_variation]


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_truth_passes_and_the_detectable_discrepancy_fails(judge, seed):
    """Each of these may go wrong with probability 1e-6."""
    verdict = judge(seed)
    assert verdict.status == Status.PASS
    assert verdict.low <= verdict.exact <= verdict.high
    assert verdict.trajectories == 100_000
    assert verdict.detectable <= verdict.resolution
    for sign in (-1, 1):
        wrong = judge(seed, sign * verdict.detectable * 1.000001)
        assert wrong.status == Status.FAIL
        assert not wrong.low <= wrong.exact <= wrong.high


@pytest.mark.parametrize(
    ("judge", "gross"),
    [
        (judge_mean, 9.0),
        (judge_running, 13.0),
        (judge_pmf, -0.19),
        (judge_marginals, 0.7),
        (judge_total_variation, 0.45),
    ],
)
def test_a_small_sample_is_inconclusive_and_a_gross_error_fails_even_then(judge, gross):
    assert judge(4, total=200).status == Status.INCONCLUSIVE
    assert judge(4, gross, total=200).status == Status.FAIL


@pytest.mark.parametrize("judge", JUDGES)
def test_more_trajectories_detect_less(judge):
    seen = [judge(5, total=total).detectable for total in (1_000, 10_000, 100_000)]
    assert seen[0] > seen[1] > seen[2] > 0


def ends(verdict):
    return verdict.low, verdict.high


def reaches(interval, miss_interval):
    """How far from an exact value that is not flagged the truth may lie: above it, below it."""
    (_, low, high), (_, miss_low, miss_high) = interval, miss_interval
    return float(np.max(miss_high - low)), float(np.max(high - miss_low))


@pytest.mark.parametrize("looks", [1, 2442])
@pytest.mark.parametrize("false_alarm", [0.01, 1e-6])
@pytest.mark.parametrize("hits", [[5, 0, 95], [[40, 60], [97, 3]]])
def test_every_cell_gets_its_share_of_the_error_at_each_look(hits, false_alarm, looks):
    """Share: 1/(2 cells) of the false alarm, and one tail of the miss."""
    hits = np.array(hits)
    band = clopper_pearson(hits, 100, false_alarm / looks / (2 * hits.size))
    above, below = reaches(band, clopper_pearson(hits, 100, MISS / looks))
    options = {"resolution": 1, "false_alarm": false_alarm, "looks": looks}
    for place in np.ndindex(hits.shape):
        exact = hits / 100
        exact[place] += 0.001 if exact[place] < 0.5 else -0.001  # makes it the furthest out
        verdict = (
            pmf_verdict("x", hits, exact, **options)
            if hits.ndim == 1
            else marginals_verdict("x", hits, 100, exact, **options)
        )
        assert verdict.estimate == hits[place] / 100
        assert ends(verdict) == (band.low[place], band.high[place])
        assert verdict.detectable == max(above, below)
        assert (verdict.false_alarm, verdict.miss) == (false_alarm, MISS)
        assert verdict.method == "fixed size" + ", at each of 2442 sizes at once" * (looks > 1)


def test_means_get_the_error_as_it_was_given():
    histogram = np.array([900, 80, 20])
    sums = [[1000, 120, 160]]
    for false_alarm in (0.01, 1e-6):
        fixed = mean_verdict("x", histogram, 0.12, resolution=1, false_alarm=false_alarm)
        running = running_mean_verdict("x", sums, 2, 0.12, resolution=1, false_alarm=false_alarm)
        _, low, high = confidence_sequence(sums, 2, 1 - false_alarm)
        assert ends(fixed) == pytest.approx(mean_interval(histogram, 1 - false_alarm)[1:], rel=1e-9)
        assert ends(running) == pytest.approx((low[0], high[0]), rel=1e-9)


def test_detectable_looks_to_both_sides():
    """Of few hits the interval reaches further up, of many further down: which of the two decides differs."""
    deciding = set()
    for histogram in ([95, 5], [5, 95]):
        verdict = mean_verdict("x", histogram, 0.5, resolution=1, false_alarm=0.01)
        above, below = reaches(mean_interval(histogram, 0.99), mean_interval(histogram, 1 - MISS))
        assert verdict.detectable == pytest.approx(max(above, below), rel=1e-9)
        deciding.add(above > below)
        assert abs(above - below) > 0.01
    for hits, false_alarm in ((10, 0.01), (10, 1e-6)):
        tokens = np.full((1, 10), hits)
        band = clopper_pearson(tokens, 100, false_alarm / 20)
        above, below = reaches(band, clopper_pearson(tokens, 100, MISS))
        verdict = marginals_verdict("x", tokens, 100, tokens / 100, resolution=1, false_alarm=false_alarm)
        assert verdict.detectable == max(above, below)
        deciding.add(above > below)
        assert abs(above - below) > 0.001
    assert deciding == {True, False}


def probability_of_ever(bad, truth, sizes):
    """The exact probability that a coin's hits are ever bad(trials, hits) at one of the sizes."""
    alive, before, ever = np.array([1.0]), 0, 0.0
    for size in sizes:
        step = size - before
        flips = [math.comb(step, k) * truth**k * (1 - truth) ** (step - k) for k in range(step + 1)]
        alive, before = np.convolve(alive, flips), size
        found = np.array([bad(size, hits) for hits in range(size + 1)])
        ever += alive[found].sum()
        alive[found] = 0
    return ever


def judge_coin(trials, hits, exact, looks, false_alarm, miss=MISS):
    return pmf_verdict(
        "x", np.array([trials - hits, hits]), [1 - exact, exact],
        resolution=1, false_alarm=false_alarm, miss=miss, looks=looks,
    )  # fmt: skip


def test_who_may_stop_at_any_of_many_sizes_is_alarmed_no_more_often():
    """Stop at the first FAIL. Control: a verdict that knows of one size only fails more than it says."""
    sizes = range(5, 81, 5)

    def alarms(looks):
        def bad(trials, hits):
            return judge_coin(trials, hits, 0.3, looks, 0.2).status == Status.FAIL

        return probability_of_ever(bad, 0.3, sizes)

    assert alarms(len(sizes)) <= 0.2 < alarms(1)


@pytest.mark.statistical
def test_who_may_stop_at_any_of_many_sizes_misses_no_more():
    """Stop where the verdict claims to see the difference that there is, and does not. Control as above."""
    sizes, truth, exact = range(30, 101, 2), 0.5, 0.33

    def misses(looks):
        def bad(trials, hits):
            verdict = judge_coin(trials, hits, exact, looks, 0.95, miss=0.1)
            return verdict.status != Status.FAIL and verdict.detectable < truth - exact

        return probability_of_ever(bad, truth, sizes)

    assert misses(len(sizes)) <= 0.1 < misses(1)


@pytest.mark.parametrize("false_alarm", [1e-17, 1e-30, 1e-100])
def test_an_error_too_small_for_any_confidence(false_alarm):
    options = {"resolution": 1, "false_alarm": false_alarm}
    right = [
        mean_verdict("x", [7000, 3000], 0.3, **options),
        running_mean_verdict("x", [[10_000, 3000, 3000]], 1, 0.3, **options),
        pmf_verdict("x", [7000, 3000], [0.7, 0.3], **options),
        marginals_verdict("x", [[7000, 3000]], 10_000, [[0.7, 0.3]], **options),
        total_variation_verdict("x", [7000, 3000], 0.3, 0.3, **options),
    ]
    wrong = [
        mean_verdict("x", [7000, 3000], 0.95, **options),
        running_mean_verdict("x", [[10_000, 3000, 3000]], 1, 0.95, **options),
        pmf_verdict("x", [7000, 3000], [0.05, 0.95], **options),
        marginals_verdict("x", [[7000, 3000]], 10_000, [[0.05, 0.95]], **options),
        total_variation_verdict("x", [7000, 3000], 0.95, 0.95, **options),
    ]
    assert {verdict.status for verdict in right} == {Status.PASS}
    assert all(0 < verdict.low < verdict.exact < verdict.high < 1 for verdict in right)
    assert {verdict.status for verdict in wrong} == {Status.FAIL}
    assert {verdict.false_alarm for verdict in right + wrong} == {false_alarm}


def test_detectable_is_what_it_says_at_a_moderate_level():
    """With miss = 10%: a truth off by more than `detectable` and no FAIL in at most 10% of 400 samples.

    The rate observed may exceed 10% by chance: more than 71 of 400 has probability 8e-7.
    Control: claiming a quarter of that is caught.
    """
    rng = np.random.default_rng(11)
    unseen = claimed = 0
    for hits in rng.binomial(2_000, 0.3, size=400):
        histogram = np.array([2_000 - hits, hits])
        levels = {"resolution": 1, "false_alarm": 0.1, "miss": 0.1}
        shift = pmf_verdict("x", histogram, [0.7, 0.3], **levels).detectable
        for scale in (1, 0.25):
            exact = 0.3 + scale * shift * 1.0001
            verdict = pmf_verdict("x", histogram, [1 - exact, exact], **levels)
            missed = verdict.status != Status.FAIL
            unseen, claimed = unseen + (missed and scale == 1), claimed + (missed and scale < 1)
    assert unseen <= 71 < claimed


def test_false_alarms_at_a_moderate_level():
    """At 10%, of 300 samples more than 57 FAIL with probability 8e-7."""
    fails = sum(
        pmf_verdict("x", sample(500, seed), PMF, resolution=1, false_alarm=0.1).status == Status.FAIL
        for seed in range(300)
    )
    assert fails <= 57


@pytest.mark.parametrize("judge", JUDGES)
def test_json(judge):
    fields = json.loads(json.dumps(dataclasses.asdict(judge(6)), allow_nan=False))
    assert fields["status"] == "PASS" and fields["kind"] == "equality"
    assert fields["false_alarm"] == fields["miss"] == MISS == 1e-6
    assert fields["method"] == ("confidence sequence" if judge is judge_running else "fixed size")


def test_an_impossible_cell_fails_on_the_first_hit():
    histogram = np.array([10**7 - 1, 1, 0])
    verdict = pmf_verdict("x", histogram, [1 - 1e-7, 0, 1e-7], resolution=1)
    assert verdict.status == Status.FAIL and verdict.statistic.startswith("P(N = 1)")
    assert pmf_verdict("x", histogram, [1 - 1e-7, 1e-7, 0], resolution=1).status == Status.PASS


def test_a_nearly_impossible_cell_fails_when_the_hits_cannot_be_its_own():
    for tiny in (1e-15, 1e-13, 1e-12):
        exact = [1 - tiny, tiny]
        few, many = np.array([10**6 - 1, 1]), np.array([10**6 - 3, 3])
        # One hit of probability 1e-12 in a million is as likely as the false alarms allowed; three are not.
        assert pmf_verdict("x", few, exact, resolution=1).status == Status.PASS
        assert pmf_verdict("x", many, exact, resolution=1).status == Status.FAIL


def test_a_certain_token_fails_on_the_first_miss():
    tokens = np.array([[10**6 - 1, 1], [10**6, 0]])
    exact = np.array([[1.0, 0.0], [1.0, 0.0]])
    verdict = marginals_verdict("x", tokens, 10**6, exact, resolution=1)
    assert verdict.status == Status.FAIL and "t = 0" in verdict.statistic
    alone = marginals_verdict("x", tokens[:, :1] * 0 + 10**6, 10**6, exact[:, :1], resolution=1)
    assert alone.status == Status.PASS
    # The cell of the certain token alone tells too, though its band rounds to an upper end of 1.
    exact = np.array([[1.0, 1e-6], [1.0, 0.0]])
    verdict = marginals_verdict("x", tokens, 10**6, exact, resolution=1)
    assert verdict.status == Status.FAIL and verdict.statistic.startswith("P(token 0 at t = 0)")


def test_rounding_of_exact_values_is_forgiven():
    histogram = np.array([10**6, 0])
    for exact in ([1 + 2e-15, -1e-17], [1 - 1e-13, 1e-13], [1.0, 0.0]):
        assert pmf_verdict("x", histogram, exact, resolution=1e-4).status == Status.PASS
    assert mean_verdict("x", histogram, -1e-16, resolution=1).status == Status.PASS
    assert mean_verdict("x", histogram[::-1], 1 + 1e-15, resolution=1).status == Status.PASS
    assert running_mean_verdict("x", [[10**6, 0, 0]], 1, -1e-16, resolution=1).status == Status.PASS
    assert mean_verdict("x", histogram, -1e-6, resolution=1).status == Status.FAIL


def test_the_statistic_names_the_failing_cell():
    exact = MARGINALS.copy()
    exact[0, [0, 2]] = 0.45, 0.25
    verdict = marginals_verdict("x", token_sample(10**5, 8), 10**5, exact, resolution=0.1)
    assert verdict.status == Status.FAIL
    assert verdict.statistic == "P(token 2 at t = 0), the furthest out of 6 cells"
    assert (verdict.exact, verdict.estimate) == (0.25, pytest.approx(0.2, abs=0.01))


def test_one_trajectory():
    assert mean_verdict("x", [0, 1], 0.5, resolution=0.1).status == Status.INCONCLUSIVE
    assert pmf_verdict("x", [0, 1], [0.5, 0.5], resolution=0.1).status == Status.INCONCLUSIVE
    assert marginals_verdict("x", [[1]], 1, [[1.0]], resolution=0.1).status == Status.INCONCLUSIVE


def test_mistakes():
    with pytest.raises(SimlabError, match="x: exact values of shape"):
        pmf_verdict("x", [1, 1], [1.0], resolution=1)
    with pytest.raises(SimlabError, match=r"x: the exact value at \(1,\) is nan"):
        pmf_verdict("x", [1, 1], [1.0, float("nan")], resolution=1)
    with pytest.raises(SimlabError, match=r"is 1\.1"):
        marginals_verdict("x", [[1, 1]], 2, [[1.1, -0.1]], resolution=1)
    with pytest.raises(SimlabError, match="x: the exact value is nan"):
        mean_verdict("x", [1, 1], float("nan"), resolution=1)
    for false_alarm in (0, 1, 1e-101, -0.1, float("nan")):
        with pytest.raises(SimlabError, match=f"false_alarm = {false_alarm}: give"):
            mean_verdict("x", [1, 1], 0.5, resolution=1, false_alarm=false_alarm)
        with pytest.raises(SimlabError, match=f"false_alarm = {false_alarm}: give"):
            running_mean_verdict("x", [[2, 1, 1]], 1, 0.5, resolution=1, false_alarm=false_alarm)
    with pytest.raises(SimlabError, match="false_alarm = 1e-99 over 100 sizes"):
        pmf_verdict("x", [1, 1], [0.5, 0.5], resolution=1, false_alarm=1e-99, looks=100)
    with pytest.raises(SimlabError, match="looks = 0"):
        pmf_verdict("x", [1, 1], [0.5, 0.5], resolution=1, looks=0)


@pytest.mark.parametrize("missing", [0.3, 1e-6, 1e-8, 1e-12])
def test_what_is_detectable_is_that_of_all_cells(missing):
    random, tail = np.random.default_rng(0), 1e-8
    for cells in (1, 2, 50):
        for trials in (1, 9, 40_000):
            hits = random.multinomial(trials, random.dirichlet(np.full(cells, 0.3)))
            band = clopper_pearson(hits, trials, tail)
            whole = detectable_of(band, clopper_pearson(hits, trials, missing))
            found = verdicts._detectable_in_cells(hits, trials, band, tail, missing)
            assert found == pytest.approx(whole, rel=1e-12)
