"""P(S meets U): how likely drafts contain a token of U, for the sets U that the optimum looks at.

S is the set of the values of k drafts, and U_j holds the first j tokens of a row in a given order. Each
function takes the draft's rows in that order, (N, V), and returns (N, V + 1), P(S meets U_j) for j = 0..V.
The masses p(U_j) and of the rest are summed from their own ends, so that neither loses its digits where it is
small. A row with at most k tokens of positive probability has them all drafted where drafts differ.
"""

from __future__ import annotations

import math

import numpy as np

NEGLIGIBLE = 1e-18
"""What an integrand may still have where the sum over its nodes ends."""

NODES = 32, 512
"""Nodes at which the integral is summed at once, at least and at most."""

ENTRIES = 200_000
"""Entries of the largest array that is worked on at once: what a processor has at hand."""

FEW_DRAFTS = 8
"""Up to so many drafts a Poisson probability is summed term by term."""


def masses(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mass of the first j entries, mass of the others), each (N, V + 1) for rows (N, V)."""
    zero = np.zeros((len(rows), 1))
    first = np.concatenate([zero, np.cumsum(rows, axis=1)], axis=1)
    others = np.concatenate([np.cumsum(rows[:, ::-1], axis=1)[:, ::-1], zero], axis=1)
    return first, others


def sums_of_others(rows: np.ndarray) -> np.ndarray:
    """The sum of each row's other entries, (N, V): nothing is lost where one is nearly all."""
    zero = np.zeros((len(rows), 1))
    before = np.cumsum(np.concatenate([zero, rows[:, :-1]], axis=1), axis=1)
    behind = np.cumsum(np.concatenate([zero, rows[:, :0:-1]], axis=1), axis=1)[:, ::-1]
    return before + behind


def meeting_with_replacement(draft: np.ndarray, drafts: int | float) -> np.ndarray:
    """1 - p(rest)^k, (N, V + 1); drafts = inf: 1 where U_j has any mass, else 0."""
    inside, outside = masses(draft)
    if drafts == math.inf:
        return (inside > 0).astype(float)
    with np.errstate(divide="ignore"):
        small = -np.expm1(drafts * np.log1p(-np.minimum(inside, 0.5)))
    return np.where(inside < 0.5, small, 1.0 - np.minimum(outside, 1.0) ** drafts)


def meeting_without_replacement(draft: np.ndarray, drafts: int | float) -> np.ndarray:
    """P(S meets U_j) where each draft is drawn from the draft without the tokens drawn before, (N, V + 1).

    Exponential clocks: let token y ring first at a time of rate p(y), all independent. The first k tokens to
    ring are k draws without replacement. Let r = p(U). U is met unless k tokens of the rest ring before any
    of U, so P(S meets U) = ∫ r e^(-rt) G(t) dt, where G(t) = P(fewer than k tokens of the rest have rung by
    t) is a Poisson-binomial probability. Were tokens replaced, rings at t would be a Poisson number Q of
    mean p(rest) t instead, and the same integral is 1 - p(rest)^k. So

        P(S meets U) = 1 - p(rest)^k + ∫ r e^(-rt) [G(t) - Q(t)] dt,    Q(t) = P(Poisson(p(rest) t) < k),

    with G >= Q, as different tokens are at most as many as rings: distinct drafts meet U at least as often.
    The difference is at most (p(rest) t)^k / k! for small t, so that few nodes are needed there.

    With t = e^x the integrand is analytic in |Im x| < pi/2 and falls on both sides, so the trapezoidal rule
    converges geometrically in 1/step; `_step` is chosen so that a step half as long changes nothing above
    1e-13 (tests). One pass over the tokens from the last to the first updates the k probabilities of 0..k-1
    rings at all nodes: O(V k) per node. Own; the clocks are the usual ones of successive sampling.
    """
    inside, outside = masses(draft)
    if drafts == 1:
        return inside
    meets = (inside > 0).astype(float)
    choice = np.count_nonzero(draft, axis=1) > drafts
    size = max(1, ENTRIES // (NODES[0] * int(drafts))) if choice.any() else 1
    chosen = np.flatnonzero(choice)
    for start in range(0, len(chosen), size):
        part = chosen[start : start + size]
        meets[part] = _by_clocks(draft[part], inside[part], outside[part], int(drafts))
    return meets


def _step(drafts: int) -> float:
    """The distance of nodes in log t: G turns from 1 to 0 over some 1/sqrt(k)."""
    return min(0.2, 0.5 / math.sqrt(drafts))


def _nodes(entries: int) -> int:
    """How many nodes are worked on at once, each of so many entries."""
    return int(np.clip(ENTRIES // entries, *NODES))


def _first_node(drafts: int) -> float:
    """The log t before which the integrand, at most t^(k+1) / k!, is negligible."""
    return (math.log(NEGLIGIBLE) + math.lgamma(drafts + 1)) / (drafts + 1)


def _by_clocks(draft, inside, outside, drafts: int) -> np.ndarray:
    """`meeting_without_replacement` of rows with more than k tokens of positive probability."""
    step, first = _step(drafts), _first_node(drafts)
    others = masses((draft > 0).astype(float))[1]
    asked = (inside > 0) & (others >= drafts)  # otherwise U has no mass, or is met for certain
    added = np.zeros(inside.shape)
    nodes, node, left = _nodes(len(draft) * drafts), 0, 1.0
    while left >= NEGLIGIBLE:
        logs = first + step * np.arange(node, node + nodes)
        more, left = _at_nodes(draft, inside, outside, logs, drafts, asked)
        added += step * more
        node += nodes
    with_replacement = meeting_with_replacement(draft, drafts)
    return np.where(asked, np.minimum(with_replacement + added, 1.0), (inside > 0).astype(float))


def _rates(mass: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """mass times t, (..., nodes), for masses (...): rings to be expected by t = e^logs; above 1e299 as 1e299.

    By logarithms only where t is too large a number, as masses below 1e-260 ring at such times.
    """
    if logs[-1] < 600:
        return mass[..., None] * np.exp(logs)
    with np.errstate(divide="ignore"):
        return np.exp(np.minimum(np.log(mass)[..., None] + logs, 690.0))


def _fewer_of_poisson(drafts: int, mean: np.ndarray) -> np.ndarray:
    """P(a Poisson number of that mean is below k), of the shape of `mean`."""
    if drafts > FEW_DRAFTS:
        from scipy.special import gammaincc

        return gammaincc(drafts, mean)
    mean = np.minimum(mean, 700.0)  # where it is below 1e-200
    terms = np.ones(mean.shape)
    for number in range(drafts - 1, 0, -1):
        terms = 1.0 + terms * mean / number
    return np.exp(-mean) * terms


def _at_nodes(draft, inside, outside, logs, drafts: int, asked) -> tuple[np.ndarray, float]:
    """(sum of the integrand over these log t, (N, V + 1); what bounds it at all later times).

    r t e^(-rt) falls once r t > 1, and G falls always, so that the smaller of the two bounds what follows.
    """
    number, states = draft.shape
    rings = np.zeros((drafts, number, len(logs)))
    rings[0] = 1.0
    total, left = np.zeros((number, states + 1)), 0.0
    for j in range(states - 1, -1, -1):
        own = _rates(draft[:, j], logs)
        silent, rung = np.exp(-own), -np.expm1(-own)
        rings[1:] = rings[1:] * silent + rings[:-1] * rung
        rings[0] *= silent
        here = np.flatnonzero(asked[:, j])
        if not len(here):
            continue
        rate = _rates(inside[here, j], logs)
        weight = rate * np.exp(-rate)
        few = rings[:, here].sum(axis=0)
        replaced = _fewer_of_poisson(drafts, _rates(outside[here, j], logs))
        total[here, j] = (weight * (few - replaced)).sum(axis=1)
        later = np.where(rate[:, -1] > 1, weight[:, -1], 1.0)
        left = max(left, float(np.minimum(later, few[:, -1]).max()))
    return total, left


def inclusion_without_replacement(draft: np.ndarray, drafts: int) -> np.ndarray:
    """P(y is among k drafts without replacement) of every token, (N, V), for rows (N, V) in any order.

    That S meets {y}, by the same integral; the probabilities of 0..k-1 rings of the tokens before y and of
    those behind it are put together: O(V k) per node still.
    """
    included = (draft > 0).astype(float)
    chosen = np.flatnonzero(np.count_nonzero(draft, axis=1) > drafts)
    size = max(1, ENTRIES // (NODES[0] * draft.shape[1] * drafts))
    for start in range(0, len(chosen), size):
        part = chosen[start : start + size]
        included[part] = _each_by_clocks(draft[part], drafts)
    return included


def _each_by_clocks(draft: np.ndarray, drafts: int) -> np.ndarray:
    """`inclusion_without_replacement` of rows with more than k tokens of positive probability."""
    step, first = _step(drafts), _first_node(drafts)
    others = sums_of_others(draft)
    added, node, left = np.zeros(draft.shape), 0, 1.0
    nodes = _nodes(draft.size * drafts)
    while left >= NEGLIGIBLE:
        logs = first + step * np.arange(node, node + nodes)
        rates = _rates(draft, logs)
        few = _fewer_of_others(rates, drafts)
        weight = rates * np.exp(-rates)
        added += step * (weight * (few - _fewer_of_poisson(drafts, _rates(others, logs)))).sum(axis=2)
        later = np.where(rates[:, :, -1] > 1, weight[:, :, -1], 1.0)
        left = float(np.where(draft > 0, np.minimum(later, few[:, :, -1]), 0.0).max())
        node += nodes
    with np.errstate(divide="ignore"):
        replaced = -np.expm1(drafts * np.log1p(-np.minimum(draft, 1.0)))
    return np.where(draft > 0, np.minimum(replaced + added, 1.0), 0.0)


def _fewer_of_others(rates: np.ndarray, drafts: int) -> np.ndarray:
    """P(fewer than k of the other tokens have rung), (N, V, nodes), for `rates` of that shape."""
    silent, rung = np.exp(-rates), -np.expm1(-rates)
    number, states, nodes = rates.shape
    before = np.zeros((states, drafts, number, nodes))
    before[0, 0] = 1.0
    for j in range(states - 1):
        before[j + 1] = before[j] * silent[:, j]
        before[j + 1, 1:] += before[j, :-1] * rung[:, j]
    behind = np.zeros((drafts, number, nodes))
    behind[0] = 1.0
    few = np.empty(rates.shape)
    for j in range(states - 1, -1, -1):
        at_most = np.cumsum(behind, axis=0)[::-1]  # at most k - 1 - i behind, for i before
        few[:, j] = (before[j] * at_most).sum(axis=0)
        behind[1:] = behind[1:] * silent[:, j] + behind[:-1] * rung[:, j]
        behind[0] *= silent[:, j]
    return few
