"""Theorem 3 of Yin et al. 2024 as it is printed: a second route to E[N_rej] of batch speculative decoding.

It normalises every residual, as the paper does, and carries the paper's f instead of the forward
distribution, so that it shares no step with `forward` but the definition of the instance.
"""

from __future__ import annotations

import math

import numpy as np

from simlab.checks import check_count
from simlab.errors import SimlabError
from simlab.pairs.pair import ChainPair


def theorem3_expected_rejections(pair: ChainPair, drafts: int) -> float:
    """E[N_rej] of BatchSpeculative(drafts) by the printed f recursion.

    With f(x_{1:n}) = P(x_{1:n}, the n-th token is rejected) and f(x_0) = P(x_0),

        f(x_{1:n}) = f(x_{1:n-1}) prod_m TV(target^m, draft) target^{M+1}(x_n)
                   + (P(x_{1:n-1}) - f(x_{1:n-1})) TV(target, draft) [target - draft]_+(x_n)
        E[N_rej]   = sum_n E_f[prod_m TV(target^m, draft)] + E_{P - f}[TV(target, draft)]

    with P the target's distribution; on a Markov chain f and P matter through the last token only. Residuals
    are normalised. Time O(T V^2 M). Raises SimlabError unless drafts is a finite whole number >= 1.
    """
    if drafts == math.inf:
        raise SimlabError("drafts = inf: the printed recursion is finite; predict knows the limit")
    check_count("drafts", drafts)
    rejected_distribution = np.array(pair.initial)
    target_distribution = np.array(pair.initial)
    total = 0.0
    for draft, target in zip(pair.draft, pair.target, strict=True):
        all_fail, last_residual = _tried_in_order(draft, target, drafts)
        distance, residual = _tried_in_order(draft, target, 1)
        from_rejected = rejected_distribution * all_fail
        from_accepted = (target_distribution - rejected_distribution) * distance
        total += float(from_rejected.sum() + from_accepted.sum())
        rejected_distribution = from_rejected @ last_residual + from_accepted @ residual
        target_distribution = target_distribution @ target
    return total


def _tried_in_order(draft: np.ndarray, target: np.ndarray, drafts: int) -> tuple[np.ndarray, np.ndarray]:
    """(prod_{m <= M} TV(target^m, draft), (V,); target^{M+1}, (V, V), any distribution where the product is
    0)."""
    product = np.ones(len(target))
    current = target
    for _ in range(drafts):
        positive = np.maximum(current - draft, 0.0)
        distance = positive.sum(axis=1)
        product = product * distance
        current = positive / np.where(distance > 0, distance, 1.0)[:, None]
        current[distance == 0] = 0.0
    return product, current
