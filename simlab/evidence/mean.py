"""The mean of bounded numbers from a sample of fixed size: an interval that holds at every sample size.

The normal interval is wrong where it matters here, at error probabilities of 1e-6 and for rejections so
rare that the sample may hold none. This one rests on betting (Waudby-Smith and Ramdas, *Estimating means
of bounded random variables by betting*, JRSS B 2024, the capital process of section 4): if X_1..X_n are
independent, in [0, T] and of mean m, then for every fixed bet 0 <= b <= 1/m the wealth
prod_i (1 + b (X_i - m)) is not negative and has mean 1, so that by Markov's inequality it reaches 1/error
with probability at most `error`. An m at which the wealth reached 1/error is not believed. The wealth
depends on the data through their histogram only, of counts or of any other numbers.

Which bets is our choice (own). The wealth of `mean_interval` is an average of two parts:

*Sized by the variance.* The best bet is close to b(s) = sqrt(2 log(1/error) / (n s)) with s the variance,
which is not known but lies, but for a small part of the error, in an interval [s_low, s_high]. log wealth is
concave in b, so the smallest wealth over all bets b(s), s in that interval, is the smaller of the two at its
ends; it is at most that of the bet at the true variance, whatever that is. For large n the interval reaches
sqrt(2 s log(1/error') / n) to each side, with error' = 0.36 of the error given: at 1e-6 within 2% of what
Chernoff's bound would give were the variance known. The empirical Bernstein interval (Maurer and Pontil 2009)
adds 7 T log(4/error) / (3 n): at T = 50 and n = 10^4 it is twice as wide, and more where rejections are rare.

*Of all sizes.* Wealth prod_i (1 - k + k X_i / m), with the part k of the wealth at stake running over a grid
that is even in log(k / (1 - k)), and k = 1. This one is the sharper where rejections are very rare (or their
absence is) and the variance therefore hardly known.

In both, every factor falls as m grows, so wealth does, and the m believed are an interval.

*Nearly normal.* A bet that holds for all n is 1.4 times as wide as the normal interval at 95%. Where n is so
large that the theorem of Berry and Esseen leaves the normal distribution nearly all of the error (`normal`,
decided by n and the error alone), its interval is taken instead (own). It needs bounds on the variance and on
the third absolute moment about the mean m. With any m held to be the mean, these are means of (X - m)^2 and
|X - m|^3, and bets of all sizes bound them with a small part of the error. Only the m that a bet on the mean
itself believes count, and the worst of them is taken: no part of the error is lost to their number. Between
two m that are near the moments are bounded by those of the largest, and of the least, distance that a value
has from any m in between: the wealth of these bets is monotone in every value.

The variance interval: the sample variance is a U-statistic with kernel (x - y)^2 / 2 in [0, T^2/2], for which
Chernoff's bound holds with floor(n/2) in the place of n (Hoeffding 1963, section 5).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from simlab.checks import check_count, check_number
from simlab.errors import SimlabError
from simlab.evidence import normal
from simlab.evidence.interval import ROUNDING, Interval, check_histogram, error_of, last_true

VARIANCE_SHARE = 0.05
"""The part of the error that the variance interval spends: its width matters only to second order."""

SIZED_SHARE = 0.75
"""The part of the wealth that bets as the variance asks; the rest bets all sizes."""

GRID_STEP = 0.35
"""Step of the grid in log(k / (1 - k)); wealth as a function of log k has a width of about 0.5 at 1e-6."""

TINY, HUGE = 1e-290, 1e150
"""Values below TINY count as 0, which is within rounding; squares of HUGE are finite."""

SURE, SECOND, THIRD = 0.02, 0.015, 0.003
"""Where the normal interval is taken: the parts of the error for the bets on the mean, for the upper bound on
the second moment, and for each of the two bounds that only the theorem's distance rests on."""

PIECES = 6
"""The means that are believed are gone through in so many pieces."""

REACH = 32
"""Bounds of distances are multiples of 1 / REACH of the range: a bet is of one m and its bound alone."""

MANY, GRID = 1100, 512
"""Of more distinct values than MANY the wealth is found on a grid of GRID points."""


def mean_interval(histogram, confidence: float, looks: int = 1) -> Interval:
    """The mean of i.i.d. counts in 0..T and an interval that holds it with probability >= confidence.

    histogram: whole numbers (T+1,), how many of the n trajectories had each count; n fixed beforehand, not
    chosen by looking at the data (see `confidence_sequence`). looks: at how many sizes, named beforehand, the
    run might have stopped; the interval holds at all of them at once. Valid for every n >= 1 and every
    distribution on 0..T, without approximation. Returns floats, 0 <= low <= estimate <= high <= T. Raises
    SimlabError for an empty or malformed histogram, a confidence outside (0, 1), or looks < 1. Source: the
    module's docstring; a union over the looks.
    """
    return mean_interval_at(histogram, error_of(confidence) / check_count("looks", looks))


def mean_interval_at(histogram, error: float) -> Interval:
    """`mean_interval` by its error probability, which 1 - confidence would round: 1e-20 becomes 0."""
    return _interval(sample_of_counts(histogram), error)


def sample_mean_interval(values, most: float, confidence: float) -> Interval:
    """The mean of i.i.d. numbers in [0, most] and an interval that holds it with probability >= confidence.

    values: floats (n,), n fixed beforehand, as many as there are. most: what no value can exceed, >= 0. Valid
    for every n >= 1 and every distribution on [0, most], without approximation. Returns floats, 0 <= low <=
    estimate <= high <= most. Raises SimlabError for no values, values outside [0, most], a `most` above
    1e150, or a confidence outside (0, 1). Source: the module's docstring; nothing there needs whole numbers.
    """
    return sample_mean_interval_at(values, most, error_of(confidence))


def sample_mean_interval_at(values, most: float, error: float) -> Interval:
    """`sample_mean_interval` by its error probability."""
    return _interval(sample_of_values(values, most), error)


def signed_mean_interval_at(values, most: float, error: float) -> Interval:
    """The same for numbers in [-most, most]."""
    shifted = sample_mean_interval_at(np.asarray(values, float) + most, 2 * most, error)
    return Interval(*(end - most for end in shifted))


def sample_mean_ends_at(values, most: float, low_error: float, high_error: float) -> Interval:
    """As `sample_mean_interval`, each end by an error of its own: the mean is below `low` with probability <=
    low_error, and above `high` with probability <= high_error. For claims of one side.
    """
    sample = sample_of_values(values, most)
    estimate = _mean(sample)
    low = _lower_end(sample, estimate, low_error)
    high = sample.bound - _lower_end(_mirrored(sample), sample.bound - estimate, high_error)
    return Interval(estimate, min(low, estimate), max(high, estimate))


class Sample(NamedTuple):
    """Distinct values, float64 (K,), ascending, in [0, bound], and how often each came, float64 (K,)."""

    values: np.ndarray
    weights: np.ndarray
    bound: float


def sample_of_counts(histogram) -> Sample:
    """A histogram, whole numbers (T+1,), as a sample of numbers in [0, T]."""
    histogram = check_histogram(histogram)
    values = np.flatnonzero(histogram)
    return Sample(values.astype(float), histogram[values].astype(float), histogram.size - 1)


def sample_of_values(values, most: float) -> Sample:
    """Floats (n,) in [0, most], but for rounding, as a sample; raises SimlabError for others."""
    values, most = np.asarray(values), check_number("most", most, least=0.0, most=HUGE)
    if values.ndim != 1 or values.size == 0 or values.dtype.kind not in "iuf":
        raise SimlabError(
            f"values of shape {values.shape} and type {values.dtype}; expected numbers (n,), at least one"
        )
    slack = ROUNDING * max(most, 1.0)
    wrong = ~((values >= -slack) & (values <= most + slack))
    if wrong.any():
        index = int(wrong.argmax())
        raise SimlabError(
            f"values[{index}] = {float(values[index])!r} is not valid; expected numbers in [0, {most:g}]"
        )
    values, most = np.clip(values.astype(float), 0.0, most), most if most >= TINY else 0.0
    distinct, counts = np.unique(np.where(values >= TINY, values, 0.0), return_counts=True)
    return Sample(distinct, counts.astype(float), most)


def _mirrored(sample: Sample) -> Sample:
    return Sample((sample.bound - sample.values)[::-1], sample.weights[::-1], sample.bound)


def _mean(sample: Sample) -> float:
    return float(sample.weights @ sample.values) / float(sample.weights.sum())


def _interval(sample: Sample, error: float) -> Interval:
    total = float(sample.weights.sum())
    if sample.bound == 0 or not normal.is_near(total, error):
        return _by_betting(sample, error)
    estimate, low, high = sure = _by_betting(sample, SURE * error)
    half_width = _normal_half_width(sample, sure, total, error)
    return Interval(estimate, max(low, estimate - half_width), min(high, estimate + half_width))


def _normal_half_width(sample: Sample, sure: Interval, total: float, error: float) -> float:
    """The half-width of the normal interval, inf where the moments are not known well enough."""
    values, ends = sample.values / sample.bound, np.linspace(sure.low, sure.high, PIECES + 1) / sample.bound
    variance, least, third = 0.0, 1.0, 0.0
    for first, last in itertools.pairwise(ends):
        furthest = np.maximum(np.abs(values - first), np.abs(values - last))
        nearest = np.maximum(np.maximum(first - values, values - last), 0.0)
        least = min(least, _all_sizes_below(nearest**2, sample.weights, 1.0, THIRD * error))
        for reach in _reaches(first, last):
            seen = np.minimum(furthest, reach)
            variance = max(variance, _all_sizes_above(seen**2, sample.weights, reach**2, SECOND * error))
            third = max(third, _all_sizes_above(seen**3, sample.weights, reach**3, THIRD * error))
    if least <= 0:
        return math.inf
    left = (1 - SURE - SECOND - 2 * THIRD) * error
    deviations = normal.deviations(total, left, third / least**1.5)
    return sample.bound * math.sqrt(variance / total) * deviations


def _reaches(first: float, last: float) -> np.ndarray:
    """What bounds the distance from m of a value in [0, 1]: max(m, 1 - m), rounded up to a REACH-th. All that
    an m between `first` and `last` may have.
    """
    longest = max(last, 1 - first)
    shortest = min(max(m, 1 - m) for m in (first, last, min(max(0.5, first), last)))
    return np.arange(math.ceil(shortest * REACH), math.ceil(longest * REACH) + 1) / REACH


def _all_sizes_below(values: np.ndarray, weights: np.ndarray, bound: float, error: float) -> float:
    """The mean of numbers in [0, bound] is below it with probability <= error, by bets of all sizes alone."""
    order = np.argsort(values)
    sample = _condensed(Sample(np.where(values < TINY, 0.0, values)[order], weights[order], bound))
    mean, threshold = _mean(sample), math.log(1 / error)
    return _last_reached(_bets_of_all_sizes(sample), threshold, mean) if mean > 0 else 0.0


def _all_sizes_above(values: np.ndarray, weights: np.ndarray, bound: float, error: float) -> float:
    """The mean of numbers in [0, bound] is above it with probability <= error, by bets of all sizes alone."""
    return bound - _all_sizes_below(bound - values, weights, bound, error)


def _by_betting(sample: Sample, error: float) -> Interval:
    variances = _variance_interval(sample, VARIANCE_SHARE * error)
    side_error = (1 - VARIANCE_SHARE) * error / 2
    estimate = _mean(sample)
    low = _lower_bound(sample, estimate, variances, side_error)
    high = sample.bound - _lower_bound(_mirrored(sample), sample.bound - estimate, variances, side_error)
    return Interval(estimate, min(low, estimate), max(high, estimate))


def _lower_end(sample: Sample, mean: float, error: float) -> float:
    """The lower end by itself, which need not share the error with an upper one."""
    variances = _variance_interval(sample, VARIANCE_SHARE * error)
    return _lower_bound(sample, mean, variances, (1 - VARIANCE_SHARE) * error)


def _lower_bound(sample: Sample, mean: float, variances, error: float) -> float:
    """The largest m, up to rounding, at which the wealth of betting on a larger mean has reached 1/error."""
    if mean <= 0:
        return 0.0
    threshold = math.log(1 / error)
    return _last_reached(_all_bets(_condensed(sample), variances, threshold), threshold, mean)


@np.errstate(divide="ignore")  # as in `log_wealth`, once for all looks
def _last_reached(log_wealth_at, threshold: float, mean: float, halvings: int = 48) -> float:
    """What bisecting 0..mean finds to be the last m with log wealth >= threshold, from a third of the looks.

    Around the mean log wealth is nearly a parabola, its root nearly straight: the Illinois rule closes in on
    the end in a few steps, and of the bisection's middles only those between are looked at.
    """
    goal = math.sqrt(threshold)
    reached, missed = (0.0, math.inf), (mean, -goal)  # the ends known, and sqrt(log wealth) - goal there

    def look(m: float) -> bool:
        nonlocal reached, missed
        value = log_wealth_at(m)
        if holds := value >= threshold:
            reached = (m, math.sqrt(value) - goal)
        else:
            missed = (m, math.sqrt(max(value, 0.0)) - goal)
        return holds

    start = mean / 2
    while not look(start) and start > mean * 2.0**-halvings:
        start /= 2
    finest, sides = mean * 2.0**-45, [None, None]
    while missed[0] - reached[0] > 4 * finest and len(sides) < 40:
        (low, above), (high, below) = reached, missed
        if sides[-1] == sides[-2] is not None:  # twice on this side: the other one is to come
            above, below = (above, below / 2) if sides[-1] else (above / 2, below)
        guess = high if below == 0 else low + (high - low) * above / (above - below)
        sides.append(look(min(max(guess, low + finest), high - finest)))
    inside, outside = 0.0, mean
    for _ in range(halvings):
        middle = (inside + outside) / 2
        holds = middle <= reached[0] or (middle < missed[0] and look(middle))
        inside, outside = (middle, outside) if holds else (inside, middle)
    return inside


def _condensed(sample: Sample) -> Sample:
    """A sample whose wealth is smaller, but hardly, and much sooner found; itself if its values are few.

    Each value is shared out between its neighbours on a grid, with its mean kept. log wealth is concave in
    every value, so this can only lower it, whatever the bet: an m that is not believed then is not believed.
    """
    if sample.values.size <= MANY:
        return sample
    least, largest = sample.values[0], sample.values[-1]
    grid = np.linspace(least, largest, GRID)
    level = (sample.values - least) / (largest - least) * (GRID - 1)
    below = np.minimum(level.astype(np.int64), GRID - 2)
    above = sample.weights * (level - below)
    weights = np.bincount(below, sample.weights - above, GRID) + np.bincount(below + 1, above, GRID)
    return Sample(grid, weights, sample.bound)


@np.errstate(divide="ignore")  # a stake of 1 is lost, log(0), by the first value of 0
def log_wealth(sample: Sample, m: float, variances, threshold: float) -> float:
    """log of the wealth of having bet that the mean is larger than m, 0 < m < bound; falls as m grows.

    variances: the ends of an interval; threshold: log(1/error). If m is the mean and both ends are the
    variance of the values, or any one number, the wealth is 1 on average.
    """
    return _all_bets(sample, variances, threshold)(m)


def _all_bets(sample: Sample, variances, threshold: float) -> Callable[[float], float]:
    """`log_wealth` at m, with all that does not depend on m found once."""
    sized, any_size = _sized_bets(sample, variances, threshold), _bets_of_all_sizes(sample)
    shares = math.log(SIZED_SHARE), math.log(1 - SIZED_SHARE)
    return lambda m: float(np.logaddexp(shares[0] + sized(m), shares[1] + any_size(m)))


def _bets_of_all_sizes(sample: Sample) -> Callable[[float], float]:
    values, weights = sample.values, sample.weights
    stakes = _stakes(float(weights.sum()))[:, None]
    return lambda m: float(log_mean_exp(np.log1p(stakes * (values / m - 1)) @ weights))


@functools.lru_cache(64)
def _stakes(total: float) -> np.ndarray:
    """The parts of the wealth at stake, (S,), for samples of that size."""
    reach = math.log(total + 1)
    return np.append(1 / (1 + np.exp(-np.arange(-reach, reach + GRID_STEP, GRID_STEP))), 1.0)


def _sized_bets(sample: Sample, variances, threshold: float) -> Callable[[float], float]:
    """log of the smaller wealth of the two bets that the ends of the variance interval ask for."""
    values, weights = sample.values, sample.weights
    total = float(weights.sum())
    bets = np.array([[_sized_bet(variance, total, threshold, sample.bound)] for variance in variances])
    return lambda m: float((np.log1p(bets * (values - m)) @ weights).min())


def _sized_bet(variance: float, total: float, threshold: float, bound: float) -> float:
    """sqrt(2 threshold / (total variance)), but at most 1/bound, so that no wealth becomes negative."""
    if 2 * threshold * bound**2 >= total * variance:
        return 1 / bound
    return math.sqrt(2 * threshold / (total * variance))


def _variance_interval(sample: Sample, error: float) -> tuple[float, float]:
    """An interval that holds the variance of the values with probability >= 1 - error."""
    total = float(sample.weights.sum())
    pairs = int(total) // 2
    scale = sample.bound**2 / 2
    largest = 0.5  # in that scale; Popoviciu: no distribution on [0, bound] has a larger variance
    if pairs == 0 or scale == 0:
        return 0.0, largest * scale
    mean = sample.weights @ sample.values / total
    seen = min(float(sample.weights @ (sample.values - mean) ** 2) / (total - 1) / scale, 1.0)
    limit = math.log(2 / error) / pairs
    _, low = last_true(lambda s: divergence(seen, s) <= limit, seen, 0.0)
    _, high = last_true(lambda s: divergence(seen, s) <= limit, min(seen, largest), largest)
    return float(low) * scale, float(high) * scale


def divergence(seen: float, claimed) -> float:
    """Relative entropy of a coin of probability `seen` to one of probability `claimed`."""
    first = seen * math.log(seen / claimed) if seen > 0 else 0.0
    second = (1 - seen) * math.log((1 - seen) / (1 - claimed)) if seen < 1 else 0.0
    return first + second


def log_mean_exp(logs: np.ndarray) -> np.ndarray:
    """log of the mean of exp(logs) over the last axis; entries may be -inf, but not all of them."""
    top = logs.max(axis=-1)
    return top + np.log(np.add.reduce(np.exp(logs - top[..., None]), axis=-1) / logs.shape[-1])
