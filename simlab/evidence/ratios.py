"""The ratio of two means of bounded numbers, from independent pairs: an interval at every sample size.

Tokens per call, accepted over drafted tokens and weighted means are ratios of sums over sequences. Let
(P_i, W_i), i = 1..n, be independent pairs in [0, most_part] x [0, most_whole], which need not have one
distribution, and r = sum E[P_i] / sum E[W_i]. So the linear combination P_i - r W_i has mean 0 on average
over i, and that is what is tested, for every r at once, as Fieller did for normal pairs (own):

    y_i(r) = 1 + (P_i / r - W_i) / most_whole,    not negative, of mean 1 at the true r, falling in r,
    y'_i(r) = 1 + (r W_i - P_i) / most_part,      the same, rising in r.

For a stake 0 <= k <= 1 the wealth prod_i (1 + k (y_i - 1)) is not negative, and at the true r its mean is
prod_i (1 + k (E[y_i] - 1)) <= (1 + k mean_i(E[y_i] - 1))^n = 1, by independence and the inequality of means.
So is that of an average of wealths over fixed stakes, and by Markov's inequality it reaches 1/error with
probability at most `error`. It is monotone in r, so that what is not believed lies outside of an interval. A
bootstrap has no such guarantee, and where rejections are rare it is far from its level.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from simlab.checks import check_number
from simlab.errors import SimlabError
from simlab.evidence.interval import ROUNDING, Interval, error_of, last_true
from simlab.evidence.mean import HUGE, log_mean_exp

STEP = 0.7
"""Step of the grid of stakes in log(k / (1 - k))."""

HALVINGS = 30

FEW = 4096
"""Of up to so many pairs the bets of all stakes fit into memory that is near."""

NOTHING = 1e-100
"""Numbers below this part of their bound count as 0, which is within rounding."""


def mean_ratio_interval(
    parts, wholes, *, most_part: float, most_whole: float, confidence: float, most: float = math.inf
) -> Interval:
    """sum E[parts] / sum E[wholes] and an interval that holds it with probability >= confidence.

    parts, wholes: floats (n,), independent pairs, n >= 1 fixed beforehand. most_part, most_whole: what none
    can exceed, > 0. most: what the ratio cannot exceed. Valid for every n and every distribution of the
    pairs, alike or not. Returns 0 <= low <= estimate <= high <= most; the estimate is nan, and the interval
    all of [0, most], where the wholes are all 0. Raises SimlabError for shapes that disagree, numbers outside
    their range, or a confidence outside (0, 1). Source: the module's docstring.
    """
    return mean_ratio_interval_at(
        parts, wholes, most_part=most_part, most_whole=most_whole, error=error_of(confidence), most=most
    )


def mean_ratio_interval_at(
    parts, wholes, *, most_part: float, most_whole: float, error: float, most: float = math.inf
) -> Interval:
    """`mean_ratio_interval` by its error probability."""
    parts = _checked("parts", parts, most_part)
    wholes = _checked("wholes", wholes, most_whole)
    if parts.shape != wholes.shape:
        raise SimlabError(f"{len(parts)} parts and {len(wholes)} wholes; expected as many")
    if not wholes.any():
        return Interval(math.nan, 0.0, most)
    estimate = min(float(parts.sum() / wholes.sum()), most)
    limit = math.log(2 / error)

    def too_small(ratio) -> np.ndarray:
        return np.asarray(_log_wealth((parts / float(ratio) - wholes) / most_whole) >= limit)

    def too_large(ratio) -> np.ndarray:
        return np.asarray(_log_wealth((float(ratio) * wholes - parts) / most_part) >= limit)

    low = 0.0 if estimate == 0 else float(last_true(too_small, 0.0, estimate, HALVINGS)[0])
    ceiling = _ceiling(too_large, max(estimate, most_part / most_whole / len(parts)), most)
    if math.isinf(ceiling) or not too_large(ceiling):
        return Interval(estimate, low, most)
    high = float(last_true(too_large, ceiling, estimate, HALVINGS)[0])
    return Interval(estimate, min(low, estimate), max(high, estimate))


def _ceiling(too_large, ratio: float, most: float) -> float:
    """A ratio that is too large to be believed, or `most`."""
    while ratio < most:
        ratio *= 2
        if ratio > HUGE or too_large(min(ratio, most)):
            return ratio if ratio < HUGE else math.inf
    return most


def _log_wealth(gains: np.ndarray) -> float:
    """log of the mean over stakes k of prod (1 + k gain); gains (n,) >= -1."""
    stakes = _stakes(len(gains))
    gains = np.maximum(gains, -1.0)  # but for rounding
    with np.errstate(divide="ignore"):  # a stake of 1 is lost, log(0), by the first gain of -1
        if len(gains) <= FEW:
            return float(log_mean_exp(np.log1p(stakes[:, None] * gains).sum(axis=1)))
        return float(log_mean_exp(np.array([np.log1p(stake * gains).sum() for stake in stakes])))


@functools.lru_cache(64)
def _stakes(n: int) -> np.ndarray:
    reach = math.log(n + 1)
    return np.append(1 / (1 + np.exp(-np.arange(-reach, reach + STEP, STEP))), 1.0)


def _checked(name: str, values, most: float) -> np.ndarray:
    values, most = np.asarray(values, float), check_number("most", most, above=0.0, most=HUGE)
    if values.ndim != 1 or not values.size:
        raise SimlabError(f"{name} of shape {values.shape}; expected (n,), at least one")
    wrong = ~((values >= 0) & (values <= most * (1 + ROUNDING)))
    if wrong.any():
        row = int(wrong.argmax())
        raise SimlabError(f"{name}[{row}] = {float(values[row])!r}; expected a number in [0, {most:g}]")
    return np.where(values < NOTHING * most, 0.0, np.minimum(values, most))
