"""The sequences of a biased rule with the bonus token: a chain with a hidden state (own).

Whether a token is drafted, with distribution K, or the bonus token, with the target's, hangs on how many
drafted tokens its call has left to verify, k: 0 is the bonus token. Tokens alone do not tell k. Given a
prefix the output's probability is a vector over k, which a step moves by A to k - 1, and by R, or the target
at k = 0, to the window of a new call.

*Few sequences*: all vectors are kept, and the total variation and the divergence are exact. *Many*, a lower
bound: prefixes with one last token and nearby ratios of output and target are merged, their vectors and their
target's probabilities added. All that follows is linear in these, and [k - q]_+ subadditive, so that it can
only shrink. An upper bound: show k as well. If the target is given the hidden state that the output would
have, P(accepted | x, y) = A(x, y) / K(x, y), then (token, k) is a pair of chains whose tokens are the two
sequences; and to see more can only tell them apart better. Where those chains are too large the sum of the
steps' biases is one.
"""

from __future__ import annotations

import math

import numpy as np

from simlab.pairs.pair import ChainPair
from simlab.progress import stepping
from simlab.theory.bias.total_variation import Bracket, chains_total_variation
from simlab.theory.products import NEGLIGIBLE
from simlab.theory.windows.rules import Rules

ENUMERATED = 2**20
"""Up to this many numbers are the vectors of all prefixes of one length."""
WORK, LEAST_CELLS, MOST_CELLS = 1e7, 16, 2000
"""Of the grid of ratios by which prefixes are merged: about a second."""
LARGEST = 2**25
"""Entries of the chains of (token, k)."""


def total_variation(pair: ChainPair, rules: Rules, cells: int | None) -> Bracket:
    """The total variation between the sequences of output and target given x_0, averaged over x_0.

    cells: of the grid of the upper bound, as `chains_total_variation` takes them. Equal ends where sequences
    are few enough to enumerate.
    """
    if _enumerable(pair, rules):
        k, q = _prefixes(pair, rules)
        exact = float(np.maximum(k - q, 0.0).sum())
        return Bracket(exact, exact)
    least = _merged(pair, rules)
    return Bracket(least, max(least, _most(pair, rules, cells)))


def divergence(pair: ChainPair, rules: Rules) -> float:
    """KL(output || target) of the sequence in nats; nan where sequences are too many to enumerate."""
    if not _enumerable(pair, rules):
        return math.nan
    k, q = _prefixes(pair, rules)
    given = k > 0
    if (q[given] == 0).any():
        return math.inf
    k, q = k[given], q[given]
    return max(float((k * (np.log(k) - np.log(q))).sum()), 0.0)


def _enumerable(pair: ChainPair, rules: Rules) -> bool:
    """Whether all sequences can be looked at one by one."""
    return pair.states ** (pair.horizon + 1) * (_longest(rules) + 1) <= ENUMERATED


def _longest(rules: Rules) -> int:
    return int(max(rules.drafted(t).max() for t in range(rules.horizon)))


def _starts(pair: ChainPair, rules: Rules) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(last token (n,), vectors (n, K+1), the target's probability (n,)) of the empty prefix after x_0."""
    last = np.flatnonzero(pair.initial)
    vectors = np.zeros((len(last), _longest(rules) + 1))
    vectors[:, _window(rules, 0)] = pair.initial[last]
    return last, vectors, pair.initial[last]


def _longer(pair: ChainPair, rules: Rules, t: int, last, vectors, q) -> tuple:
    """The prefixes with the token at t, of those that output or target can give, as `_starts`."""
    step, target = rules.verified.at(t), pair.target[t]
    after = np.zeros((len(last), pair.states, vectors.shape[1]))
    after[..., :-1] = vectors[:, None, 1:] * step.accepted[last][..., None]
    begun = vectors[:, 1:].sum(axis=1, keepdims=True) * step.rejected[last]
    after[..., _window(rules, t + 1)] += begun + vectors[:, :1] * target[last]
    q = q[:, None] * target[last]
    kept = (after.sum(axis=-1) > 0) | (q > 0)
    return np.nonzero(kept)[1], after[kept], q[kept]


def _prefixes(pair: ChainPair, rules: Rules) -> tuple[np.ndarray, np.ndarray]:
    """(output's, target's) probabilities of x_0 and all sequences that either can give, (n,) each."""
    prefixes = _starts(pair, rules)
    for t in stepping(range(pair.horizon), "the output of a biased rule"):
        prefixes = _longer(pair, rules, t, *prefixes)
    _, vectors, q = prefixes
    return vectors.sum(axis=1), q


def _merged(pair: ChainPair, rules: Rules) -> float:
    """The lower bound of the module's head. Which prefixes are merged decides how tight it is, never whether
    it holds."""
    size = pair.horizon * pair.states**2 * (_longest(rules) + 2)
    cells = int(np.clip(WORK / size, LEAST_CELLS, MOST_CELLS))
    last, vectors, q = _starts(pair, rules)
    total = 0.0
    for t in stepping(range(pair.horizon), "the output of a biased rule"):
        last, vectors, q = _longer(pair, rules, t, last, vectors, q)
        k = vectors.sum(axis=1)
        total += float(k[q <= NEGLIGIBLE].sum())  # what the target (hardly) gives stays, to rounding
        both = (q > NEGLIGIBLE) & (k > NEGLIGIBLE)
        last, vectors, q, k = last[both], vectors[both], q[both], k[both]
        reach = 2 * np.log(cells)
        index = np.rint(np.clip(np.log(k) - np.log(q), -reach, reach) / reach * (cells // 2)).astype(np.int64)
        groups, which = np.unique(last * (2 * cells) + index + cells, return_inverse=True)
        columns = [np.bincount(which, column, len(groups)) for column in (*vectors.T, q)]
        last, vectors, q = groups // (2 * cells), np.array(columns[:-1]).T, columns[-1]
    total += float(np.maximum(vectors.sum(axis=1) - q, 0.0).sum())
    return max(total - pair.horizon * 1e-12, 0.0)


def _window(rules: Rules, t: int) -> int:
    """How many tokens a call drafts that starts at t."""
    return int(rules.drafted(t)[0, 0]) if t < rules.horizon else 0


def _most(pair: ChainPair, rules: Rules, cells: int | None) -> float:
    """An upper bound: of the chains that show the hidden state, or the sum of the steps' biases."""
    many = _longest(rules) + 1
    if pair.horizon * (pair.states * many) ** 2 > LARGEST:
        return min(1.0, _summed(pair, rules))
    shape = (pair.horizon, pair.states, many, pair.states, many)
    output, target = np.zeros(shape), np.zeros(shape)
    for t in stepping(range(pair.horizon), "the output of a biased rule"):
        step, goal, new = rules.verified.at(t), pair.target[t], _window(rules, t + 1)
        given = step.output > 0
        share = np.divide(step.accepted, step.output, out=np.ones_like(goal), where=given)
        for k in range(1, many):
            for chain, part in ((output, step.accepted), (target, goal * share)):
                chain[t, :, k, :, k - 1] += part
            for chain, part in ((output, step.rejected), (target, goal * (1 - share))):
                chain[t, :, k, :, new] += part
        output[t, :, 0, :, new] = target[t, :, 0, :, new] = goal
    size = pair.states * many
    start = np.zeros((pair.states, many))
    start[:, _window(rules, 0)] = pair.initial
    chains = (chain.reshape(pair.horizon, size, size) for chain in (output, target))
    return chains_total_variation(*chains, start.ravel(), cells=cells).high


def _summed(pair: ChainPair, rules: Rules) -> float:
    from simlab.theory.windows.forward import means_by_position

    means = means_by_position(pair, rules, _longest(rules))
    biases = [
        drafted @ (0.5 * np.abs(rules.verified.at(t).output - pair.target[t]).sum(axis=1))
        for t, drafted in enumerate(means.verified)
    ]
    return float(np.sum(biases))
