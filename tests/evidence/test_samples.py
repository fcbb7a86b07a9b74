"""Means of real numbers: the interval, its coverage, and verdicts of kinds equality, bound and rate."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.errors import SimlabError
from simlab.evidence import (
    MISS,
    Status,
    bound_verdict,
    mean_interval,
    most_second_moment,
    rate_verdict,
    row_moments,
    sample_mean_interval,
    sample_mean_verdict,
    sampled_moments,
)
from simlab.evidence import mean as module
from simlab.evidence.mean import sample_mean_ends_at, sample_mean_interval_at
from tests.exact import close
from tests.strategies import examples

MOST = 20.0
MEAN = 3.0
"""Of `sample`: 3 times a gamma number of mean 1, cut off at 20, which hardly ever happens."""


def sample(size, seed, factor=1.0):
    return np.minimum(factor * np.random.default_rng(seed).gamma(9, MEAN / 9, size), MOST)


# The interval


@examples(25)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=60), st.floats(1e-9, 0.5))
def test_whole_numbers_get_the_interval_of_their_histogram(values, error):
    histogram = np.bincount(values, minlength=8)
    np.testing.assert_allclose(
        sample_mean_interval(np.array(values), 7, 1 - error), mean_interval(histogram, 1 - error), rtol=1e-12
    )


@examples(25)
@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=40),
    st.floats(1e-3, 1e6),
    st.floats(1e-9, 0.5),
)
def test_the_unit_makes_no_difference(values, unit, error):
    one = sample_mean_interval(values, 1, 1 - error)
    other = sample_mean_interval(np.array(values) * unit, unit, 1 - error)
    np.testing.assert_allclose(np.array(other) / unit, one, rtol=1e-6, atol=1e-9)
    assert 0 <= one.low <= one.estimate <= one.high <= 1


@pytest.mark.statistical
def test_simulated_coverage_and_its_control():
    """At 80%, of 120 samples a valid interval misses more than 47 with probability 4.1e-7 (Bin(120, 1/5))."""
    random = np.random.default_rng(21)
    distributions = [
        (lambda n: random.random(n), 0.5),
        (lambda n: random.beta(0.05, 5, n), 0.05 / 5.05),
        (lambda n: np.where(random.random(n) < 0.05, random.random(n), 0.0), 0.025),
    ]
    for draw, mean in distributions:
        intervals = [sample_mean_interval(draw(150), 1, 0.8) for _ in range(120)]
        assert sum(not low <= mean <= high for _, low, high in intervals) <= 47
        narrow = [(e, e - (e - low) / 8, e + (high - e) / 8) for e, low, high in intervals]
        assert sum(not low <= mean <= high for _, low, high in narrow) > 47


def test_many_values_are_condensed_without_a_claim_too_much(monkeypatch):
    """On a grid the interval can only be wider, and it hardly is."""
    for size, seed in ((3_000, 1), (20_000, 2)):
        values = sample(size, seed)
        fast = sample_mean_interval(values, MOST, 1 - 1e-6)
        monkeypatch.setattr(module, "MANY", 10**9)
        full = sample_mean_interval(values, MOST, 1 - 1e-6)
        monkeypatch.undo()
        close(fast.estimate, full.estimate)
        assert fast.low <= full.low + 1e-12 and full.high <= fast.high + 1e-12
        assert fast.high - fast.low < (full.high - full.low) * (1 + 1e-3)


def test_as_narrow_as_with_a_known_variance():
    values = sample(200_000, 4)
    _, low, high = sample_mean_interval(values, MOST, 1 - 1e-6)
    chernoff = math.sqrt(2 * values.var() * math.log(2e6) / values.size)
    assert chernoff < (high - low) / 2 < 1.1 * chernoff


def test_each_end_by_an_error_of_its_own():
    """The two-sided interval spends 5% of the error on the variance once, each end alone 5% of its own."""
    values = sample(500, 5)
    ends = sample_mean_ends_at(values, MOST, 1e-6, 1e-3)
    wide = sample_mean_interval_at(values, MOST, 1e-6)
    assert wide.low < ends.low < ends.estimate < ends.high < wide.high
    close(ends.low, sample_mean_ends_at(values, MOST, 1e-6, 0.1).low)
    close(ends.high, sample_mean_ends_at(values, MOST, 0.1, 1e-3).high)
    twice = sample_mean_interval_at(values, MOST, 2e-6)
    assert ends.low == pytest.approx(twice.low, abs=2e-3)
    mirrored = sample_mean_ends_at(MOST - values, MOST, 1e-3, 1e-6)
    np.testing.assert_allclose((MOST - mirrored.high, MOST - mirrored.low), (ends.low, ends.high), atol=1e-9)


def test_an_end_of_its_own_pays_for_the_variance_too(monkeypatch):
    """With the variance known, it is that of a two-sided interval of twice the error, to the last digit."""
    values = sample(300, 11)
    monkeypatch.setattr(module, "_variance_interval", lambda *_: (0.9, 1.1))
    ends, twice = sample_mean_ends_at(values, MOST, 1e-3, 1e-3), sample_mean_interval_at(values, MOST, 2e-3)
    assert ends == pytest.approx(twice, rel=1e-13)


def test_one_sided_ends_miss_no_more_often_than_they_may():
    """A coin, all samples of 60: the probability of a lower end above the mean, at most the error."""
    ends = [sample_mean_ends_at((np.arange(60) < hits).astype(float), 1, 0.01, 0.2) for hits in range(61)]
    for p in np.linspace(0.02, 0.98, 25):
        pmf = [math.comb(60, hits) * p**hits * (1 - p) ** (60 - hits) for hits in range(61)]
        assert sum(mass for mass, end in zip(pmf, ends, strict=True) if end.low > p) <= 0.01
        assert sum(mass for mass, end in zip(pmf, ends, strict=True) if end.high < p) <= 0.2


def test_odd_samples():
    assert sample_mean_interval([0.0, 0.0], 0.0, 0.9) == (0, 0, 0)
    assert sample_mean_interval([0.3], 1.0, 0.9).estimate == 0.3
    estimate, low, high = sample_mean_interval(np.full(1000, 2.0), 2.0, 1 - 1e-6)
    assert (estimate, high) == (2, 2) and 1.9 < low < 2
    rounded = sample_mean_interval([1 + 1e-15, -1e-15], 1.0, 0.9)
    assert 0 <= rounded.low and rounded.high <= 1


@pytest.mark.parametrize("values", [[5e-324], [5e-324, 0.0], [1e-309] * 50])
@pytest.mark.parametrize("most", [1.0, 1e-309, 1e-291])
def test_values_next_to_nothing(values, most):
    """Divided by a mean so small they would not be finite; with them the interval is that of zeros."""
    found = sample_mean_interval(values, most, 0.9)
    assert found == sample_mean_interval(np.zeros(len(values)), most, 0.9)
    assert (found.low, found.estimate) == (0, 0) and (found.high == 0) == (most < 1)


def test_the_largest_unit_that_there_is():
    one = sample_mean_interval([0.2, 0.9, 0.4], 1.0, 0.99)
    other = sample_mean_interval([2e149, 9e149, 4e149], 1e150, 0.99)
    np.testing.assert_allclose(np.array(other) / 1e150, one)
    for most in (1.1e150, 1e308):
        with pytest.raises(SimlabError, match="most = "):
            sample_mean_interval([0.5], most, 0.9)


@pytest.mark.parametrize(
    ("values", "most", "says"),
    [
        ([], 1, "at least one"),
        ([[0.5]], 1, "shape"),
        (["a"], 1, "numbers"),
        ([0.5, 1.5], 1, r"values\[1\] = 1.5"),
        ([-0.1], 1, r"values\[0\] = -0.1"),
        ([math.nan], 1, "nan"),
        ([0.5], math.inf, "most = inf"),
        ([0.5], -1, "most = -1"),
    ],
)
def test_mistakes(values, most, says):
    with pytest.raises(SimlabError, match=says):
        sample_mean_interval(values, most, 0.9)


# Verdicts


def judge_equality(seed, shift=0.0, size=20_000, **options):
    settings = {"most": MOST, "resolution": 0.2, **options}
    return sample_mean_verdict("mean", sample(size, seed), MEAN + shift, **settings)


def judge_bound(seed, shift=0.0, size=20_000, **options):
    return bound_verdict(
        "bound", sample(size, seed), MEAN + shift, **{"most": MOST, "resolution": 0.2, **options}
    )


def judge_rate(seed, shift=0.0, size=20_000, **options):
    settings = {"least": -1.0, "most": MOST - 1, "allowance": 0.05, "resolution": 0.3, **options}
    return rate_verdict("rate", sample(size, seed) - 1, MEAN - 1 + shift, **settings)


JUDGES = [judge_equality, judge_bound, judge_rate]


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_truth_passes_and_what_is_detectable_fails(judge, seed):
    """Each of these may go wrong with probability 1e-6."""
    verdict = judge(seed)
    assert verdict.status == Status.PASS
    assert verdict.kind == judge.__name__.removeprefix("judge_")
    assert verdict.low <= verdict.exact <= verdict.high
    assert verdict.detectable <= verdict.resolution
    assert (verdict.trajectories, verdict.miss) == (20_000, MISS)
    wrong = judge(seed, -verdict.detectable * 1.000001)
    assert wrong.status == Status.FAIL and wrong.exact < wrong.low - wrong.allowance
    other = judge(seed, verdict.detectable * 1.000001)
    assert other.status == (Status.PASS if judge is judge_bound else Status.FAIL)


@pytest.mark.parametrize("judge", JUDGES)
def test_a_small_sample_is_inconclusive_and_a_gross_error_fails_even_then(judge):
    assert judge(4, size=60).status == Status.INCONCLUSIVE
    assert judge(4, -2.3, size=60).status == Status.FAIL


@pytest.mark.parametrize("judge", JUDGES)
def test_more_values_detect_less(judge):
    seen = [judge(5, size=size).detectable for size in (500, 5_000, 50_000)]
    assert seen[0] > seen[1] > seen[2] > 0


@pytest.mark.parametrize("false_alarm", [0.01, 1e-6])
def test_a_bound_spends_all_of_its_false_alarm_on_one_side(false_alarm):
    values = sample(1_000, 6)
    verdict = bound_verdict("x", values, 9.0, most=MOST, lost=0.25, resolution=1, false_alarm=false_alarm)
    ends = sample_mean_ends_at(values, MOST, false_alarm, MISS)
    assert (verdict.low, verdict.high) == (ends.low, ends.high + 0.25)
    assert verdict.detectable == verdict.high - verdict.low
    assert (
        bound_verdict(
            "x", values, ends.low * (1 - 1e-9), most=MOST, resolution=1, false_alarm=false_alarm
        ).status
        == Status.FAIL
    )


def test_a_bound_passes_by_what_is_left_above_it():
    values = sample(1_000, 7)
    high = sample_mean_ends_at(values, MOST, 1e-6, MISS).high
    passing = {"most": MOST, "lost": 0.1, "resolution": 0.2}
    assert bound_verdict("x", values, high + 0.1 - 0.2 + 1e-9, **passing).status == Status.PASS
    assert bound_verdict("x", values, high + 0.1 - 0.2 - 1e-9, **passing).status == Status.INCONCLUSIVE
    assert bound_verdict("x", values, 100.0, most=MOST, resolution=0.0).status == Status.PASS


def test_values_that_were_cut_off_neither_raise_nor_hide_an_alarm():
    """Cut off at 4 the mean of the values is far below 3; with what is lost the upper end is not."""
    values = sample(20_000, 8)
    lost = float(np.maximum(values - 4, 0).mean()) * 1.5
    cut = {"most": 4.0, "lost": lost, "resolution": 0.5}
    assert bound_verdict("x", np.minimum(values, 4), MEAN, **cut).status == Status.PASS
    assert bound_verdict("x", np.minimum(values, 4), MEAN, **cut).high > MEAN
    assert bound_verdict("x", np.minimum(values, 4), 2.0, **cut).status == Status.FAIL


@pytest.mark.statistical
def test_false_alarms_of_a_bound_and_their_control():
    """At a false alarm of 0.1 and a mean that is the bound: of 150 samples more than 35 with probability
    7e-7 (Bin(150, 0.1)). A bound 0.4 below the mean is flagged in most.
    """
    flagged = [0, 0]
    for seed in range(150):
        for k, bound in enumerate((MEAN, MEAN - 0.4)):
            verdict = judge_bound(1000 + seed, bound - MEAN, size=150, false_alarm=0.1)
            flagged[k] += verdict.status == Status.FAIL
    assert flagged[0] <= 35 < flagged[1]


def test_a_rate_may_be_off_by_its_allowance():
    verdict = judge_rate(9, 0.0, allowance=0.0)
    for allowance in (0.1, 0.5):
        for end, sign in ((verdict.high, 1), (verdict.low, -1)):
            off = end + sign * allowance - (MEAN - 1)  # from the interval's end, by the allowance
            near = judge_rate(9, off - sign * 1e-6, allowance=allowance, resolution=2)
            assert near.status == Status.PASS and near.allowance == allowance
            assert near.detectable == pytest.approx(verdict.detectable + allowance)
            assert judge_rate(9, off + sign * 1e-6, allowance=allowance).status == Status.FAIL


def test_verdicts_are_plain_data():
    for judge in JUDGES:
        fields = json.loads(json.dumps(dataclasses.asdict(judge(10, size=100))))
        assert fields["kind"] in ("equality", "bound", "rate") and "allowance" in fields


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: judge_bound(1, math.inf, size=10), "inf"),
        (lambda: judge_bound(1, size=10, lost=-0.1), "lost = -0.1"),
        (lambda: judge_bound(1, size=10, false_alarm=0), "false_alarm = 0"),
        (lambda: judge_bound(1, size=10, most=0.1), r"values\[0\]"),
        (lambda: judge_rate(1, size=10, allowance=-1), "allowance = -1"),
        (lambda: judge_rate(1, size=10, most=-2.0), "most = -2.0"),
        (lambda: judge_rate(1, math.nan, size=10), "nan"),
        (lambda: rate_verdict("x", ["a"], 1, least=0, most=1, allowance=0, resolution=1), "numbers"),
        (lambda: judge_equality(1, math.nan, size=10), "nan"),
    ],
)
def test_mistakes_of_verdicts(call, says):
    with pytest.raises(SimlabError, match=says):
        call()


# Moments of rows


def test_the_largest_second_moment():
    assert most_second_moment(1) == 0
    assert most_second_moment(2) == pytest.approx(0.5629, abs=1e-4)
    y = np.linspace(1e-9, 1 - 1e-9, 100_001)
    assert (y * np.log(y) ** 2 + (1 - y) * np.log(1 - y) ** 2).max() == pytest.approx(
        most_second_moment(2), abs=1e-9
    )
    with pytest.raises(SimlabError, match="states = 0"):
        most_second_moment(0)


@examples(200)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6).filter(lambda row: sum(row) > 1e-3))
def test_no_row_has_more(row):
    row = np.array(row) / sum(row)
    logs = -np.log(row[row > 0])
    assert row[row > 0] @ logs**2 <= most_second_moment(len(row)) + 1e-12
    entropies, seconds = row_moments(row[None])
    assert 0 <= entropies[0] <= math.log(len(row)) and 0 <= seconds[0] <= most_second_moment(len(row))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_moments_of_sampled_rows_and_the_control(seed):
    """Dirichlet(1, 1, 1, 1, 1): mu = 1/2 + .. + 1/5, variance 1/4 + .. + 1/25. Errs with probability 1e-6."""
    entropy = sum(1 / k for k in range(2, 6))
    second = sum(1 / k**2 for k in range(2, 6)) + entropy**2
    rows = np.random.default_rng(seed).dirichlet(np.ones(5), 4_000)
    first, other = sampled_moments(rows, 1 - 1e-6)
    assert first.low <= entropy <= first.high and other.low <= second <= other.high
    assert first.high - first.low < 0.1 and other.high - other.low < 0.15
    sharpened = rows**1.2 / (rows**1.2).sum(axis=1, keepdims=True)
    assert (
        not sampled_moments(sharpened, 1 - 1e-6)[0].low <= entropy <= sampled_moments(sharpened, 0.9)[0].high
    )


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([0.5, 0.5], "shape"),
        ([[0.5, 0.4]], "row 0 sums to 0.9"),
        ([[0.5, 0.5], [1.5, -0.5]], "row 1"),
        ([[math.nan, 1.0]], "row 0"),
        ([["a"]], "type"),
    ],
)
def test_rows_that_are_none(rows, says):
    with pytest.raises(SimlabError, match=says):
        sampled_moments(np.array(rows), 0.9)
