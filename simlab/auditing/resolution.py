"""How large a bias a sample may still hide, and how many calls it takes to hide less."""

from __future__ import annotations

import math

import numpy as np

MISS = 0.01
"""The chance that a bias of the stated size would have looked smaller than it did."""

LOOKS = 10
"""Looks among which the chance of a miss is shared."""

LEAST_EXPECTED = 5.0


def settled(counts: np.ndarray, wanted: np.ndarray, size: float, miss: float) -> bool:
    """Whether a total variation of `size` or more from any distribution would have shown.

    counts (rows, cells) of samples, each held against its row of wanted. Pearson's statistic under a total
    variation d is noncentral chi-square with noncentrality of at least 4 n d**2 (Cauchy-Schwarz), to the
    usual approximation: where it would be as small as it is with probability <= miss only, d is excluded.
    """
    return all(
        _chance(statistic, freedom, calls, size) <= miss
        for statistic, freedom, calls in map(_pearson, counts, wanted)
    )


def hidden(counts: np.ndarray, wanted: np.ndarray, miss: float = MISS) -> float:
    """The largest total variation from any of the rows that `settled` does not exclude."""
    if not counts.sum():
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if settled(counts, wanted, middle, miss) else (middle, high)
    return high


def calls_at_most(size: float, log_threshold: float) -> int:
    """Calls on one instance by which a bias of `size` is found, with room to spare, or excluded."""
    return math.ceil(1.5 * (math.sqrt(2 * (log_threshold + 10)) + 3) ** 2 / (4 * size**2))


def _pearson(counts: np.ndarray, wanted: np.ndarray) -> tuple[float, int, int]:
    """(statistic, degrees of freedom, calls), rare cells taken together."""
    calls = int(counts.sum())
    rare = calls * wanted < LEAST_EXPECTED
    seen = np.append(counts[~rare], counts[rare].sum())
    expected = calls * np.append(wanted[~rare], wanted[rare].sum())
    possible = expected > 0
    statistic = float(((seen - expected)[possible] ** 2 / expected[possible]).sum())
    return statistic, max(int(possible.sum()) - 1, 0), calls


def _chance(statistic: float, freedom: int, calls: int, size: float) -> float:
    from scipy.special import chndtr

    if freedom == 0:  # one token is certain: another would have shown at its first appearance
        return (1 - min(size, 1.0)) ** calls
    chance = float(chndtr(statistic, freedom, 4 * calls * size**2))
    return 0.0 if math.isnan(chance) else chance


def least_calls_to_exclude(wanted: np.ndarray, size: float) -> int:
    """Calls from which on a look excludes `size`, where the largest statistic of all rows is at its median.

    wanted (rows, cells). The statistics are taken for independent chi-squares, with no rare cells.
    """
    from scipy.special import gammaincinv

    freedoms = np.maximum((wanted > 0).sum(axis=1) - 1, 0)
    # As chi2.ppf has it, without loading scipy.stats; where there is no freedom it is not looked at.
    medians = 2 * gammaincinv(np.maximum(freedoms, 1) / 2, 0.5 ** (1 / len(wanted)))
    low, high = 1, math.ceil(1000 / size**2)
    while low < high:
        calls = (low + high) // 2
        chances = [_chance(*each, calls, size) for each in zip(medians, freedoms, strict=True)]
        low, high = (low, calls) if max(chances) <= MISS / LOOKS else (calls + 1, high)
    return low
