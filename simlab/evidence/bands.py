"""Simultaneous bands for cells whose counts are binomial: Clopper-Pearson with Bonferroni's correction."""

from __future__ import annotations

import numpy as np

from simlab.checks import check_count
from simlab.errors import SimlabError
from simlab.evidence.interval import Interval, check_histogram, error_of


def clopper_pearson(hits, trials: int, tail: float) -> Interval:
    """The exact interval of a binomial probability, missing on each side with probability <= tail.

    hits: whole numbers of any shape, each in 0..trials. Returns float64 arrays of that shape. The lower end
    is the probability at which `hits` or more has probability `tail`, and 0 for no hits; the upper end
    mirrors it. Holds at tails of 1e-14 and 1e10 trials, where relative errors of the tail stay below 1e-4
    (at 1e-120 below 0.2%; but for an upper end within 1e-15 of 1, which is rounded). Raises SimlabError for
    hits outside 0..trials or trials < 1. Source: Clopper and Pearson, Biometrika 1934.
    """
    from scipy.special import betainccinv, betaincinv

    hits = np.asarray(hits)
    if trials < 1 or hits.dtype.kind not in "iu" or hits.size == 0 or hits.min() < 0 or hits.max() > trials:
        raise SimlabError(f"hits outside 0..{trials}: give whole numbers of hits in at least one trial")
    # Most cells of a large table are empty or repeat a count, and the inverse is what costs.
    k, where = np.unique(hits, return_inverse=True)
    k = k.astype(float)
    low, high = np.zeros_like(k), np.ones_like(k)
    some, not_all = k > 0, k < trials
    low[some] = betaincinv(k[some], trials - k[some] + 1, tail)
    high[not_all] = betainccinv(k[not_all] + 1, trials - k[not_all], tail)
    where = where.reshape(hits.shape)
    return Interval(hits / trials, low[where], high[where])


def pmf_band(histogram, confidence: float, looks: int = 1) -> Interval:
    """The simulated pmf and a band that holds the whole exact one with probability >= confidence.

    histogram: whole numbers (T+1,), how many trajectories had each count. looks: at how many sizes, named
    beforehand, the run might have stopped; the band holds at all of them at once. Returns float64 arrays
    (T+1,). Raises SimlabError for a malformed histogram, a confidence outside (0, 1) or looks < 1. Source:
    Clopper-Pearson for each cell, its error divided by 2 (T+1) looks (Bonferroni), which holds whatever the
    dependence of cells and looks.
    """
    histogram = check_histogram(histogram)
    error = error_of(confidence) / check_count("looks", looks)
    return clopper_pearson(histogram, int(histogram.sum()), error / (2 * histogram.size))


def marginals_band(tokens, trajectories: int, confidence: float) -> Interval:
    """The simulated token marginals and a band that holds all the exact ones with probability >= confidence.

    tokens: whole numbers (T, V), how many trajectories had token y at position t; every row sums to
    trajectories. Returns float64 arrays (T, V). Raises SimlabError for malformed counts or a confidence
    outside (0, 1). Source: as `pmf_band`, over the T V cells.
    """
    tokens = check_tokens(tokens, trajectories)
    return clopper_pearson(tokens, trajectories, error_of(confidence) / (2 * tokens.size))


def check_tokens(tokens, trajectories: int) -> np.ndarray:
    """`tokens` as an array; raises SimlabError unless it is (T, V) with rows that sum to trajectories."""
    tokens = np.asarray(tokens)
    if tokens.ndim != 2 or tokens.size == 0 or tokens.dtype.kind not in "iu":
        raise SimlabError(
            f"token counts of shape {tokens.shape} and type {tokens.dtype}; expected whole numbers (T, V)"
        )
    sums = tokens.sum(axis=1)
    if (sums != trajectories).any():
        t = int((sums != trajectories).argmax())
        raise SimlabError(
            f"the token counts at t = {t} sum to {sums[t]}, not to the {trajectories} trajectories"
        )
    return tokens
