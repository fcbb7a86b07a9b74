"""`mean_interval`: exact coverage where every sample can be listed, simulated where it cannot."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.decoders import Speculative
from simlab.errors import SimlabError
from simlab.evidence import mean_interval, normal
from simlab.evidence.interval import last_true
from simlab.evidence.mean import (
    VARIANCE_SHARE,
    _by_betting,
    _last_reached,
    _variance_interval,
    log_wealth,
    mean_interval_at,
    sample_of_counts,
)
from simlab.pairs import paper
from simlab.theory import predict
from tests.strategies import examples

histograms = st.lists(st.integers(0, 50), min_size=2, max_size=8).filter(any)


def multinomial(counts, pmf):
    """The probability of a histogram: exact up to float rounding."""
    ways = math.factorial(sum(counts))
    for count in counts:
        ways //= math.factorial(count)
    return ways * math.prod(p**count for p, count in zip(pmf, counts, strict=True))


def all_histograms(total, cells):
    for bars in itertools.combinations(range(total + cells - 1), cells - 1):
        edges = (-1, *bars, total + cells - 1)
        yield tuple(b - a - 1 for a, b in itertools.pairwise(edges))


def worst_miss(interval, total, bound, pmfs):
    """The largest probability, over pmfs, that the interval misses the mean: summed over all samples."""
    samples = [(h, interval(np.array(h))) for h in all_histograms(total, bound + 1)]
    misses = []
    for pmf in pmfs:
        mean = sum(n * p for n, p in enumerate(pmf))
        misses.append(sum(multinomial(h, pmf) for h, (_, low, high) in samples if not low <= mean <= high))
    return max(misses)


def coins():
    return [
        (1 - p, p) for p in np.concatenate([np.geomspace(1e-7, 0.5, 60), 1 - np.geomspace(1e-7, 0.5, 60)])
    ]


def triples():
    grid = np.concatenate([np.geomspace(1e-6, 0.3, 12), np.linspace(0.3, 1, 8)])
    return [(1 - a - b, a, b) for a in grid for b in grid if a + b <= 1]


@pytest.mark.parametrize("error", [0.2, 0.01, 1e-6])
@pytest.mark.parametrize("total", [1, 2, 7, 40])
def test_exact_coverage_of_a_coin(total, error):
    assert worst_miss(lambda h: mean_interval(h, 1 - error), total, 1, coins()) <= error * (1 + 1e-9)


@pytest.mark.parametrize("error", [0.2, 1e-6])
@pytest.mark.parametrize("total", [1, 3, 9])
def test_exact_coverage_of_three_values(total, error):
    assert worst_miss(lambda h: mean_interval(h, 1 - error), total, 2, triples()) <= error * (1 + 1e-9)


def mean_wealth(pmf, total, variances):
    """The average over all samples of the wealth at the true mean."""
    mean = sum(n * p for n, p in enumerate(pmf))
    return math.fsum(
        multinomial(h, pmf)
        * math.exp(log_wealth(sample_of_counts(np.array(h)), mean, variances, math.log(1e6)))
        for h in all_histograms(total, len(pmf))
    )


@pytest.mark.parametrize("pmf", [(0.7, 0.3), (0.999, 0.001), (0.2, 0.5, 0.3), (0.9, 0.0, 0.09, 0.01)])
@pytest.mark.parametrize("total", [1, 2, 6])
def test_wealth_is_one_on_average(pmf, total):
    """The identity on which validity rests; it does not depend on how the bets are sized."""
    for variance in (1e-9, 0.1, 3.0, 1e5):
        assert mean_wealth(pmf, total, (variance, variance)) == pytest.approx(1, abs=1e-12)
    assert mean_wealth(pmf, total, (0.01, 1e5)) < 1 - 1e-6


@pytest.mark.parametrize("total", [2, 5, 40])
def test_exact_coverage_of_the_variance(total):
    """On its own, as the mean's interval would long hide a mistake in it."""
    error = 0.1
    samples = [
        (h, _variance_interval(sample_of_counts(np.array(h)), error)) for h in all_histograms(total, 2)
    ]
    for pmf in coins():
        variance = pmf[0] * pmf[1]
        missed = sum(multinomial(h, pmf) for h, (low, high) in samples if not low <= variance <= high)
        assert missed <= error


def normal_interval(histogram, z):
    values = np.arange(len(histogram))
    total = histogram.sum()
    mean = histogram @ values / total
    half = z * math.sqrt(histogram @ (values - mean) ** 2 / total / total)
    return mean, mean - half, mean + half


def test_the_coverage_check_catches_the_normal_interval():
    assert worst_miss(lambda h: normal_interval(h, 4.9), 40, 1, coins()) > 1e-6 * 1000


@pytest.mark.statistical
def test_simulated_coverage_and_its_control():
    """At 80%, of 120 samples a valid interval misses more than 47 with probability 4.1e-7 (Bin(120, 1/5))."""
    rng = np.random.default_rng(20)
    allowed = 47
    for bound, pmf in [
        (20, np.ones(21) / 21),
        (20, np.array([0.97, *[0] * 19, 0.03])),
        (8, np.array([0, 0.2, 0.5, 0.2, 0.1, 0, 0, 0, 0])),
    ]:
        mean = pmf @ np.arange(bound + 1)
        draws = rng.multinomial(300, pmf, size=120)
        intervals = [mean_interval(h, 0.8) for h in draws]
        assert sum(not low <= mean <= high for _, low, high in intervals) <= allowed
        halved = [(e, e - (e - low) / 8, e + (high - e) / 8) for e, low, high in intervals]
        assert sum(not low <= mean <= high for _, low, high in halved) > allowed


@pytest.mark.parametrize("error", [0.2, 1e-6])
@pytest.mark.parametrize("histogram", [[60, 30, 10], [9_000, 700, 200, 100], [3, 0, 0, 7]])
def test_the_two_ends_and_the_variance_share_the_error(histogram, error):
    """By betting each end is where its wealth reaches 1/(its part), and the three parts make up the error.

    Coverage cannot tell: these intervals are valid with room to spare, and 5% too much error fits into it.
    """
    histogram = np.array(histogram)
    bound = len(histogram) - 1
    _, low, high = _by_betting(sample_of_counts(histogram), error)
    for_the_variance = VARIANCE_SHARE * error
    variances = _variance_interval(sample_of_counts(histogram), for_the_variance)
    threshold = -math.log((error - for_the_variance) / 2)
    assert 0 < low < high < bound
    for end, counts in ((low, histogram), (bound - high, histogram[::-1])):
        assert log_wealth(sample_of_counts(counts), end, variances, threshold) == pytest.approx(
            threshold, abs=1e-8
        )


def test_an_error_that_no_confidence_can_spell():
    histogram = [9_000, 700, 200, 100]
    for error in (0.01, 1e-6):
        np.testing.assert_allclose(
            mean_interval_at(histogram, error), mean_interval(histogram, 1 - error), rtol=1e-9
        )
    ends = [mean_interval_at(histogram, error) for error in (1e-12, 1e-17, 1e-40, 1e-100)]
    for wide, wider in itertools.pairwise(ends):
        assert 0 < wider.low < wide.low < wide.high < wider.high < 3


@pytest.mark.parametrize(("total", "widening"), [(10**4, 1.2), (10**6, 1.03), (10**9, 1.02)])
def test_as_narrow_as_with_a_known_variance(total, widening):
    pmf = np.array([math.comb(50, n) * 0.33**n * 0.67 ** (50 - n) for n in range(51)])
    histogram = np.rint(pmf * total).astype(np.int64)
    values = np.arange(51)
    estimate, low, high = mean_interval(histogram, 1 - 1e-6)
    variance = histogram @ (values - estimate) ** 2 / histogram.sum()
    chernoff = math.sqrt(2 * variance * math.log(2e6) / histogram.sum())
    assert chernoff < (high - low) / 2 < widening * chernoff


def test_rare_rejections_do_not_cost_the_horizon():
    """Of a million trajectories 10,000 rejected once: the horizon of 50 must not show in the width."""
    histogram = np.zeros(51, np.int64)
    histogram[:2] = 990_000, 10_000
    estimate, low, high = mean_interval(histogram, 1 - 1e-6)
    assert estimate == 0.01
    assert (high - low) / 2 < 1.5 * math.sqrt(2 * 0.01 * math.log(2e6) / 1e6)


def test_no_rejections_at_all():
    estimate, low, high = mean_interval([10**6] + [0] * 50, 1 - 1e-6)
    # Nobody can do better: a rejection of size T with probability log(2e6)/n would stay unseen.
    best = 50 * math.log(2e6) / 1e6
    assert (estimate, low) == (0, 0)
    assert best <= high < 1.1 * best


def test_all_rejected():
    estimate, low, high = mean_interval([0] * 50 + [10**6], 1 - 1e-6)
    assert (estimate, high) == (50, 50)
    assert 50 - 1.1 * 50 * math.log(2e6) / 1e6 < low < 50


@examples(25)
@given(histograms)
def test_ordered_inside_the_range_and_mirrored(histogram):
    bound = len(histogram) - 1
    estimate, low, high = mean_interval(histogram, 0.99)
    assert 0 <= low <= estimate <= high <= bound
    mirrored = mean_interval(histogram[::-1], 0.99)
    np.testing.assert_allclose(
        [bound - mirrored.high, bound - mirrored.low], [low, high], rtol=0, atol=1e-9 * bound
    )


@examples(25)
@given(histograms, st.floats(1e-9, 0.5), st.floats(1.01, 100))
def test_more_confidence_is_wider_and_more_data_narrower(histogram, error, factor):
    _, low, high = mean_interval(histogram, 1 - error)
    _, lower, higher = mean_interval(histogram, 1 - error / factor)
    assert lower <= low + 1e-9 and high - 1e-9 <= higher
    many = mean_interval(np.array(histogram) * 100, 1 - error)
    assert many.high - many.low <= high - low + 1e-9


@pytest.mark.parametrize(
    ("histogram", "confidence", "says"),
    [
        ([3], 0.9, "T >= 1"),
        ([0, 0], 0.9, "at least one trajectory"),
        ([5, -1], 0.9, "least entry -1"),
        ([0.5, 0.5], 0.9, "whole numbers"),
        ([1, 1], 1.0, "confidence = 1.0"),
        ([1, 1], 0, "confidence = 0"),
        ([1, 1], float("nan"), "confidence = nan"),
    ],
)
def test_mistakes(histogram, confidence, says):
    with pytest.raises(SimlabError, match=says):
        mean_interval(histogram, confidence)


WEALTHS = {
    "a cliff": lambda m, end: 1e9 if m <= end else 0.0,
    "a line": lambda m, end: 3.0 + (end - m),
    "a parabola": lambda m, end: 3.0 + 1e4 * (end - m) * abs(3 - m),
    "nothing and all": lambda m, end: 1e300 if m <= end else -math.inf,
}


@given(st.floats(0.0, 2.0), st.sampled_from(sorted(WEALTHS)))
def test_the_end_is_the_one_that_bisecting_finds(end, shape):
    """To the last digit, as the same middles are compared with the same end, from fewer looks."""

    def wealth(m):
        looks.append(m)
        return WEALTHS[shape](m, end)

    looks = []
    found = _last_reached(wealth, 3.0, 2.0)
    assert found == float(last_true(lambda m: np.asarray(wealth(float(m)) >= 3.0), 0.0, 2.0)[0])


def test_the_end_of_a_parabola_takes_a_third_of_the_looks():
    looks = []

    def wealth(m):
        looks.append(m)
        return 1e5 * (2.0 - m) ** 2

    _last_reached(wealth, 14.0, 2.0)
    assert len(looks) <= 20


@pytest.mark.parametrize("total", [30_000, 100_000, 1_000_000])
@pytest.mark.parametrize("share", [0.5, 0.3, 0.01, 1e-4])
def test_the_interval_near_the_normal_holds_the_mean_as_often_as_it_says(total, share):
    """The exact coverage: of the counts of successes that leave the true share inside, the binomial sum."""

    def inside(hits: int) -> bool:
        interval = mean_interval(np.array([total - hits, hits]), 0.95)
        return interval.low <= share <= interval.high

    assert normal.is_near(total, 0.05)
    assert covered(total, share, inside) >= 0.95


def test_the_plain_normal_interval_does_not():
    """The control: it misses a share of 1e-5 more than twice as often as it says."""
    total, share = 100_000, 1e-5

    def inside(hits: int) -> bool:
        return abs(hits / total - share) <= 1.959964 * math.sqrt(hits * (total - hits) / total**3)

    assert covered(total, share, inside) < 0.9


def covered(total: int, share: float, inside) -> float:
    """P(inside(N)), N binomial, for an interval whose ends grow with the count."""
    middle = round(total * share)
    assert inside(middle)
    spread = 2 + int(10 * math.sqrt(total * share))
    ends = []
    for step in (-1, 1):
        near, far = 0, min(spread, middle if step < 0 else total - middle) + 1
        while far - near > 1:
            half = (near + far) // 2
            near, far = (half, far) if inside(middle + step * half) else (near, half)
        ends.append(middle + step * near)
    counts = np.arange(ends[0], ends[1] + 1)
    log = [
        math.lgamma(total + 1) - math.lgamma(n + 1) - math.lgamma(total - n + 1)
        + n * math.log(share) + (total - n) * math.log1p(-share)
        for n in counts.tolist()
    ]  # fmt: skip
    return math.fsum(map(math.exp, log))


@pytest.mark.parametrize(("total", "most"), [(10**5, 1.05), (10**6, 1.03), (10**7, 1.02)])
def test_a_large_sample_has_nearly_the_normal_interval(total, most):
    pmf = predict(paper(horizon=50), Speculative()).rejections_pmf
    histogram = np.floor(total * pmf).astype(np.int64)
    counts = np.arange(len(histogram))
    mean = histogram @ counts / histogram.sum()
    spread = math.sqrt(histogram @ (counts - mean) ** 2 / histogram.sum())
    interval = mean_interval(histogram, 0.95)
    assert (interval.high - interval.low) / 2 < most * 1.959964 * spread / math.sqrt(histogram.sum())


@pytest.mark.parametrize(("total", "error"), [(400, 0.1), (1600, 0.05)])
def test_the_deviations_leave_room_for_what_the_normal_distribution_errs(total, error):
    """Of binomial counts, whose distribution has steps: no share is missed too often, and by the plain normal
    quantile some are (the control)."""
    plain = normal.deviations(10**30, error, 1.0)
    missed = {"bounded": [], "plain": []}
    for share in np.linspace(0.3, 0.7, 41).tolist():
        spread = math.sqrt(share * (1 - share))
        ratio = (share**2 + (1 - share) ** 2) / spread  # E|X - m|^3 / s^3
        for kind, z in (("bounded", normal.deviations(total, error, ratio)), ("plain", plain)):
            reach = z * spread * math.sqrt(total)
            counts = range(math.ceil(total * share - reach), math.floor(total * share + reach) + 1)
            inside = (
                math.exp(
                    math.lgamma(total + 1) - math.lgamma(n + 1) - math.lgamma(total - n + 1)
                    + n * math.log(share) + (total - n) * math.log1p(-share)
                )
                for n in counts
            )  # fmt: skip
            missed[kind].append(1 - math.fsum(inside))
    assert max(missed["bounded"]) <= error < max(missed["plain"])
