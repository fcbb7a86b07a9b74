"""Does a sample follow a distribution? A rigorous test, for distributions given exactly."""

from __future__ import annotations

from collections import Counter

import numpy as np
from scipy.stats import binom

ERROR = 1e-6
"""The probability that a correct sampler fails `mismatches`."""


def mismatches(distribution: dict, outcomes: Counter) -> list[tuple]:
    """The cells in which the counted outcomes contradict the distribution: (cell, expected, observed).

    Each cell's count is exactly binomial; a cell is listed if a tail this heavy has probability below
    ERROR / (2 * cells), so that the whole test rejects a correct sampler with probability at most ERROR,
    whatever the sample size. An outcome to which the distribution gives no mass is always listed. A cell
    whose probability p is wrong by 11 * sqrt(p (1 - p) / n) is missed with probability below 1e-6 (at n p >=
    100).
    """
    counts, trials = outcomes, outcomes.total()
    cells = list(distribution)
    expected = np.array([float(distribution[cell]) for cell in cells])
    observed = np.array([counts[cell] for cell in cells])
    below = binom.cdf(observed, trials, expected)
    above = binom.sf(observed - 1, trials, expected)
    bad = np.minimum(below, above) < ERROR / (2 * len(cells))
    wrong = [(cells[i], expected[i], observed[i] / trials) for i in np.flatnonzero(bad)]
    return wrong + [(cell, 0.0, counts[cell] / trials) for cell in counts if cell not in distribution]


def outcomes(tokens: np.ndarray, rejected: np.ndarray) -> Counter:
    """How often each cell of `joint_distribution` occurs among simulated paths, (N, T) each."""
    radix = 2 * (int(tokens.max()) + 1)
    digits = tokens.astype(np.int64) * 2 + rejected
    codes = digits @ radix ** np.arange(tokens.shape[1])
    _, first, times = np.unique(codes, return_index=True, return_counts=True)
    cells = zip(map(tuple, tokens[first].tolist()), map(tuple, rejected[first].tolist()), strict=True)
    return Counter(dict(zip(cells, times.tolist(), strict=True)))
