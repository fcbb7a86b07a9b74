"""How far one chain's sequences are from another's, by recursions that need only the last token."""

from __future__ import annotations

import numpy as np


def sequence_divergence(output: np.ndarray, target: np.ndarray, initial: np.ndarray) -> float:
    """KL(output || target) of the whole sequence x_1..x_T in nats, given x_0, averaged over x_0 ~ initial.

    output, target: (T, V, V); initial: (V,). The chain rule: the sum over t of E[KL(output_t(x) ||
    target_t(x))] with x = x_{t-1} from the output chain. inf where a token the target excludes can be
    reached. Each row's divergence is summed as o log(o/g) - o + g, whose terms are never negative and whose
    last two cancel where both rows sum to 1.
    """
    distribution = np.array(initial)
    reached = distribution > 0  # apart from `distribution`, whose smallest masses may vanish
    total = 0.0
    for now, goal in zip(output, target, strict=True):
        if ((now > 0) & (goal == 0))[reached].any():
            return float("inf")
        total += float(distribution @ _row_divergence(now, goal))
        distribution, reached = distribution @ now, (now > 0)[reached].any(axis=0)
    return total


def _row_divergence(output: np.ndarray, target: np.ndarray) -> np.ndarray:
    """KL of each row, (V,); 0 for the terms where the target is 0, which the caller has looked at."""
    both = (output > 0) & (target > 0)
    ones = np.ones_like(output)
    # Two logarithms: the ratio of a number to a subnormal one would overflow.
    logs = np.log(np.where(both, output, ones)) - np.log(np.where(both, target, ones))
    return np.maximum(output * logs - output + target, 0.0).sum(axis=-1)
