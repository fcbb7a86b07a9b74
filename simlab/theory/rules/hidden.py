"""The sequences of a biased rule with the bonus token: a chain with a hidden state (own).

Whether a token is drafted, with distribution K, or the bonus token, with the target's, hangs on how many
drafted tokens its call has left to verify, k: 0 is the bonus token. Tokens alone do not tell k. Given a
prefix the output's probability is a vector over k, which a step moves by A to k - 1, and by R, or the target
at k = 0, to the window of a new call.

*Few sequences*: all vectors are kept, and the total variation and the divergence are exact. *Many*: of the
first tokens alone the total variation is exact and can only grow with more tokens, a lower bound. An upper
one: show k as well. If the target is given the hidden state that the output would have, P(accepted | x, y) =
A(x, y) / K(x, y), then (token, k) is a pair of chains whose tokens are the two sequences; and to see more can
only tell them apart better. Where those chains are too large the sum of the steps' biases is one.
"""

from __future__ import annotations

import math

import numpy as np

from simlab.pairs.pair import ChainPair
from simlab.theory.bias.total_variation import Bracket, chains_total_variation
from simlab.theory.windows.rules import Rules

ENUMERATED = 2**20
"""Up to this many numbers are the vectors of all prefixes of one length."""
LARGEST = 2**25
"""Entries of the chains of (token, k)."""


def total_variation(pair: ChainPair, rules: Rules, cells: int | None) -> Bracket:
    """The total variation between the sequences of output and target given x_0, averaged over x_0.

    cells: of the grid of the upper bound, as `chains_total_variation` takes them. Equal ends where sequences
    are few enough to enumerate.
    """
    length = _enumerable(pair, rules)
    k, q = _prefixes(pair, rules, length)
    exact = float(np.maximum(k - q, 0.0).sum())
    if length == pair.horizon:
        return Bracket(exact, exact)
    return Bracket(exact, max(exact, _most(pair, rules, cells)))


def divergence(pair: ChainPair, rules: Rules) -> float:
    """KL(output || target) of the sequence in nats; nan where sequences are too many to enumerate."""
    if _enumerable(pair, rules) < pair.horizon:
        return math.nan
    k, q = _prefixes(pair, rules, pair.horizon)
    given = k > 0
    if (q[given] == 0).any():
        return math.inf
    k, q = k[given], q[given]
    return max(float((k * (np.log(k) - np.log(q))).sum()), 0.0)


def _enumerable(pair: ChainPair, rules: Rules) -> int:
    """So many first tokens can be enumerated."""
    room = ENUMERATED // (_longest(rules) + 1) / pair.states
    most = math.inf if pair.states == 1 else math.floor(math.log(max(room, 1.0)) / math.log(pair.states))
    return int(min(pair.horizon, max(most, 1)))


def _longest(rules: Rules) -> int:
    return int(max(rules.drafted(t).max() for t in range(rules.horizon)))


def _prefixes(pair: ChainPair, rules: Rules, length: int) -> tuple[np.ndarray, np.ndarray]:
    """(output's, target's) probabilities of x_0 and all first tokens that either can give, (n,) each."""
    last = np.flatnonzero(pair.initial)
    q = pair.initial[last]
    vectors = np.zeros((len(last), _longest(rules) + 1))
    vectors[:, _window(rules, 0)] = q
    for t in range(length):
        step, target = rules.verified.at(t), pair.target[t]
        after = np.zeros((len(last), pair.states, vectors.shape[1]))
        after[..., :-1] = vectors[:, None, 1:] * step.accepted[last][..., None]
        begun = vectors[:, 1:].sum(axis=1, keepdims=True) * step.rejected[last]
        after[..., _window(rules, t + 1)] += begun + vectors[:, :1] * target[last]
        q = q[:, None] * target[last]
        kept = (after.sum(axis=-1) > 0) | (q > 0)
        vectors, q, last = after[kept], q[kept], np.nonzero(kept)[1]
    return vectors.sum(axis=1), q


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
    for t in range(pair.horizon):
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
