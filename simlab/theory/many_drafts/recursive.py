"""Recursive rejection: drafts are tried one by one, each against what the target has left.

target^1 = target, draft^1 = draft. Draft m, of draft^m, is accepted with probability min(1,
target^m/draft^m); if it is not, target^{m+1} = [target^m - draft^m]_+ made to sum to 1. With replacement
draft^m = draft (SpecInfer, arXiv 2305.09781; Yin et al. 2024, Algorithm 4). Without, draft^{m+1} is draft^m
without the rejected token, made to sum to 1 (recursive speculative decoding, arXiv 2402.14160; Sequoia,
arXiv 2402.12374).

**Both in one form** (own). Let s be the draft probability of all tokens rejected so far, c(S) = sum [target
- S draft]_+. By induction target^m = [target - S_m draft]_+ / c(S_m) with S_1 = 0 and

    S_{m+1} = S_m + c(S_m) / (1 - s):

subtracting in parts and clipping at zero commute, and a rejected token has no target left, so it does not
matter that draft^m is 0 there instead of draft/(1 - s). So draft m is rejected with probability
c(S_{m+1})/c(S_m), whatever it was: the product along the rejected tokens telescopes to c(S_{k+1}), as c(0) =
1. Which token x was rejected is random given the rejection, in proportion to [draft^m(x) - target^m(x)]_+;
the next draft is tried with s larger by draft(x). With replacement s = 0 throughout, and S_m is the same for
all orders.

Hence: what is rejected and replaced by y has mass E[target(y) - S_{k+1} draft(y)]_+ over the orders of
rejected tokens; and **without replacement never accepts less** (own): S + c(S) rises with S, as c falls by
at most draft mass 1 per unit, so by induction every order's S_m is at least that with replacement, and c
falls.

**Recursive rejection of k independent drafts accepts at least rho_k of the optimum** (own),

    rho_k = 1 - max over b of [b^k - b^(2k-1)] = 1 - (k-1)/(2k-1) (k/(2k-1))^(k/(k-1)),

which falls from 1 (k = 1) and 23/27 (k = 2) to 3/4, and no larger number will do, whatever the vocabulary.
Proof. Let S = S_{k+1}, c = c(S), which is what is rejected, U the tokens with target > S draft, a their
draft mass and b = 1 - a; their target mass is c + S a. The cut at U gives alpha* <= 1 - (c + S a) + 1 - b^k.
As c(.) is convex with slope -a at S, c(S_m) >= c + a (S - S_m), so D_m = S - S_m obeys D_{m+1} <= b D_m - c.
From D_2 = S - 1 to D_{k+1} = 0 this is S a >= a + c (b^(1-k) - 1), hence alpha* <= 1 + b - b^k - c b^(1-k),
and alpha* <= 1. With c_0 = b^k - b^(2k-1) the first bound is 1 at c = c_0. For c <= c_0 the ratio is at
least 1 - c >= 1 - c_0. For c >= c_0 (1 - c)/(1 + b - b^k - c b^(1-k)) has the sign of b^(1-k) - (1 + b -
b^k) as its slope in c, and this is not negative, since (1 - b^(k-1))(1 - b^k) >= 0: it is at least its value
at c_0, again 1 - c_0. The largest c_0 is at b^(k-1) = k/(2k-1). Two tokens attain it: draft (1 - b, b),
target (1 - b^k, b^k) with this b have alpha* = 1, and recursive rejection rejects b^k - b^(2k-1).
"""

from __future__ import annotations

import math

import numpy as np

from simlab.errors import SimlabError
from simlab.theory.kernels import batch_rejected
from simlab.theory.many_drafts.meeting import sums_of_others
from simlab.theory.many_drafts.rows import checked_drafts

MOST_ORDERS = 3_000_000
"""Orders of rejected tokens that are enumerated of one row: some tenths of a second."""

MOST_ORDERS_OF_ALL = 200_000_000
"""Of all rows together: some ten seconds."""


def recursive_rejected(draft: np.ndarray, target: np.ndarray, drafts: int | float, replacement: bool):
    """Entry y is P(all drafts are rejected, and y is emitted), for rows (N, V).

    Without replacement every order of k - 1 rejected tokens is enumerated, V (V-1) .. (V-k+2) at most.
    Where that is more than MOST_ORDERS for a row, or MOST_ORDERS_OF_ALL for all, SimlabError is raised.
    Where there are no more tokens of positive draft probability than drafts none is enumerated: all of them
    are tried, S_{k+1} is at least their largest target/draft, and only tokens never drafted are rejected.
    """
    if replacement or drafts == 1:
        return batch_rejected(draft, target, drafts)
    rejected = np.where(draft > 0, 0.0, target)
    _check_orders(draft, drafts)
    for row in np.flatnonzero(np.count_nonzero(draft, axis=1) > drafts):
        rejected[row] = _by_orders(draft[row], target[row], int(drafts))
    return rejected


def recursive_guarantee(drafts: int | float) -> float:
    """rho_k: recursive rejection of k independent drafts accepts at least this part of the optimum.

    drafts: k, a whole number >= 1, or math.inf for its limit, 3/4. Own; tight for every k (two tokens attain
    it). The proof is in the module's docstring. Raises SimlabError for other drafts.
    """
    drafts = checked_drafts(drafts)
    if drafts == 1:
        return 1.0
    if drafts == math.inf:
        return 0.75
    power = (drafts / (2 * drafts - 1)) ** (drafts / (drafts - 1))
    return 1.0 - power * (drafts - 1) / (2 * drafts - 1)


def enumerated_orders(draft, drafts: int | float) -> np.ndarray:
    """How many orders of rejected tokens recursive rejection without replacement enumerates, (...), float64.

    draft: (..., V). V' (V'-1) .. (V'-k+2) where V' > k tokens have positive probability, else 0.
    """
    proposed = np.count_nonzero(draft, axis=-1).astype(float)
    orders = np.where(proposed > drafts, 1.0, 0.0)
    if orders.any():
        for rejected in range(int(drafts) - 1):
            orders *= proposed - rejected
    return orders


def _check_orders(draft: np.ndarray, drafts: int | float) -> None:
    orders = enumerated_orders(draft, drafts)
    if orders.size and (orders.max() > MOST_ORDERS or orders.sum() > MOST_ORDERS_OF_ALL):
        raise SimlabError(
            f"{drafts} drafts without replacement of {draft.shape[-1]} tokens: recursive rejection is exact "
            f"by enumerating orders of rejected tokens, {orders.max():.3g} of a row and {orders.sum():.3g} "
            f"of all {len(orders)} rows, where at most {MOST_ORDERS:.0e} and {MOST_ORDERS_OF_ALL:.0e} are "
            "enumerated: give fewer drafts or fewer tokens"
        )


def _by_orders(draft: np.ndarray, target: np.ndarray, drafts: int) -> np.ndarray:
    """What is rejected of one row, (V,), level by level: one node for each order of rejected tokens."""
    used, weight, left = np.zeros(1), np.ones(1), np.full(1, draft.sum())  # S, P(order), 1 - s
    mass = np.full(1, target.sum())  # c(S)
    gone = np.zeros((1, 0), int)
    for tried in range(1, drafts):
        now = draft / left[:, None]
        if tried > 1:
            now[np.arange(len(gone))[:, None], gone] = 0.0
        wanted = np.maximum(target - used[:, None] * draft, 0.0) / mass[:, None]
        lost = np.maximum(now - wanted, 0.0)
        after = used + mass / left
        mass_after = np.maximum(target - after[:, None] * draft, 0.0).sum(axis=1)
        whole = lost.sum(axis=1)
        go_on = (mass_after > 0) & (whole > 0)  # elsewhere one of the drafts so far is accepted for certain
        node, token = np.nonzero(lost * go_on[:, None])
        if not len(node):
            return np.zeros(len(target))
        weight = weight[node] * lost[node, token] / whole[node]
        left = sums_of_others(now * left[:, None])[node, token]
        used, mass = after[node], mass_after[node]
        if tried < drafts - 1:
            gone = np.concatenate([gone[node], token[:, None]], axis=1)
    return _expected_excess(draft, target, used + mass / left, weight)


def _expected_excess(draft, target, used: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """E[target - S draft]_+ of every token, (V,), for values `used` of S with probabilities `weight`."""
    order = np.argsort(used, kind="stable")
    used, weight = used[order], weight[order]
    probability = np.concatenate([[0.0], np.cumsum(weight)])
    moment = np.concatenate([[0.0], np.cumsum(weight * used)])
    ratio = np.divide(target, draft, out=np.full(len(draft), np.inf), where=draft > 0)
    below = used.searchsorted(ratio)
    return np.maximum(target * probability[below] - np.where(draft > 0, draft * moment[below], 0.0), 0.0)
