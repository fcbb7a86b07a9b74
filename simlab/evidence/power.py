"""How large a sample must be for a verdict to notice that a distribution is another one."""

from __future__ import annotations

import numpy as np

from simlab.errors import SimlabError
from simlab.evidence.verdict import FALSE_ALARM, MISS, error_share

MOST = 2**50
"""Samples larger than this are as good as none."""


def trajectories_to_notice(
    exact_pmf, true_pmf, *, false_alarm: float = FALSE_ALARM, miss: float = MISS
) -> int | None:
    """About how many trajectories `pmf_verdict` needs to refute `exact_pmf` when `true_pmf` is the
    distribution.

    exact_pmf, true_pmf: floats (K,), probabilities. The size, to three digits, at which one cell is outside
    its band (Clopper and Pearson at false_alarm / 2K a side, as in `pmf_band`) with probability at least
    1 - miss, while at half of it none is so surely; binomial tails jump, so that a size between
    may do. None where the distributions agree, but for rounding, or it would take more than 2^50. Raises
    SimlabError for shapes that disagree. Source: own; exact binomial tails.
    """
    exact, true = (np.clip(np.asarray(pmf, float), 0.0, 1.0) for pmf in (exact_pmf, true_pmf))
    if exact.shape != true.shape or exact.ndim != 1 or not exact.size:
        raise SimlabError(f"distributions of shapes {exact.shape} and {true.shape}; expected two of (K,)")
    error = error_share(false_alarm) / (2 * exact.size)
    differ = np.abs(exact - true) > 1e-12
    if not differ.any():
        return None
    exact, true = exact[differ], true[differ]
    enough = 1
    while not _notices(exact, true, enough, error, miss):
        enough *= 2
        if enough > MOST:
            return None
    least = enough // 2
    while enough - least > max(1, 10 ** (len(str(enough)) - 3)):
        middle = (least + enough) // 2
        least, enough = (least, middle) if _notices(exact, true, middle, error, miss) else (middle, enough)
    return enough


def _notices(exact: np.ndarray, true: np.ndarray, trials: int, error: float, miss: float) -> bool:
    """Whether some cell leaves its band with probability >= 1 - miss, each band's ends missing by `error`."""
    from scipy.stats import binom

    # Refuted from `most` hits on, where P(hits >= most | exact) <= error, and up to `fewest`, likewise.
    most = binom.isf(error, trials, exact) + 1
    fewest = binom.ppf(error, trials, exact) - 1
    above = binom.cdf(most - 1, trials, true) <= miss
    below = binom.sf(fewest, trials, true) <= miss
    return bool((above | below).any())
