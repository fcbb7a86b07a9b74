"""What decoding with draft trees takes: the distribution of the number of target calls, exactly (own).

A call that starts at position t after token x has its tree; the target's path leaves it at depth d with bonus
token y with probability E[d, y] (`exits`), and the next call starts at t + d + 1 after y; or it ends at the
horizon inside the tree, with the last token. So the distribution F[t][n, x] of calls that start at t after x
with n calls before moves as

    F[t + d + 1][n + 1, y] += sum_x F[t][n, x] E_{t, x}[d, y],

one matrix product for each t. The mean follows once more from the end backwards:
C[t, x] = 1 + sum_{d, y} E_{t, x}[d, y] C[t + d + 1, y].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from simlab.checks import check_count, shortened
from simlab.decoders import TreeSpeculative
from simlab.errors import SimlabError
from simlab.pairs.pair import ChainPair, check_pair
from simlab.progress import stepping
from simlab.theory.prediction import Prediction
from simlab.theory.products import NEGLIGIBLE
from simlab.theory.trees.tree import chain_tree, optimal_tree, room_for

_BLOCK = 2**22
"""About how many entries of exit distributions are held at once."""
_KEPT = 2**27
"""Bytes of exit distributions that are kept for other starts."""


def predict(pair: ChainPair, decoder: TreeSpeculative) -> Prediction:
    """The exact distributions of the target calls and of the bonus tokens.

    Time: a search for each (t, x) that calls can start from (a stationary pair shares most of them), O(P V)
    for each tree's exits, and O(T^2 V^2 D) as matrix products, D the depth of the trees. Memory: one tree,
    the distributions of D starts, O(T V D), and the exits of some trees, 200 MB at most. Raises SimlabError
    for a tree too large.
    """
    bonus, inside, per_position = _calls(pair, _ExitDistributions(pair, decoder))
    calls = bonus.copy()
    calls[1:] += inside[:-1]
    return Prediction.build(
        pair,
        decoder,
        rejections_pmf=bonus + inside,
        rejections_per_position=per_position,
        target_calls_pmf=calls,
        by_position=None,
    )


def rejections_per_position(pair: ChainPair, decoder: TreeSpeculative) -> np.ndarray:
    """P(the token at t is a bonus token), (T,). Raises SimlabError as `predict` does."""
    return _calls(pair, _ExitDistributions(pair, decoder))[2]


def output_chain(pair: ChainPair, decoder: TreeSpeculative) -> np.ndarray:
    """The target, (T, V, V): the decoder is unbiased."""
    return pair.target


def _calls(pair: ChainPair, distributions: _ExitDistributions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """P(n calls, the last one with a bonus token), P(n others, then one that ends inside), P(bonus at t)."""
    horizon, states = pair.horizon, pair.states
    starts = {0: np.array(pair.initial)[None]}  # F[t], (t + 1, V), of those that are not yet passed
    inside, per_position = np.zeros(horizon + 1), np.zeros(horizon)
    for t in stepping(range(horizon), "calls with trees"):
        now = starts.pop(t, np.zeros((1, states)))
        per_position[t - 1] = now.sum() if t else 0.0
        for tokens, exits, ends in distributions.at(t, np.flatnonzero(now.any(axis=0))):
            before = now[:, tokens]
            inside[: len(now)] += before @ ends
            moved = (before @ exits.reshape(len(tokens), -1)).reshape(len(now), *exits.shape[1:])
            moved[moved < NEGLIGIBLE] = 0.0
            for d in np.flatnonzero(moved.any(axis=(0, 2))):
                later = starts.setdefault(t + d + 1, np.zeros((t + d + 2, states)))
                later[1 : len(now) + 1] += moved[:, d]
    last = starts.get(horizon, np.zeros((horizon + 1, states)))
    per_position[-1] = last.sum()
    return last.sum(axis=1), inside, per_position


def costs_to_go(pair: ChainPair, decoder: TreeSpeculative, call_time: Callable) -> np.ndarray:
    """The mean cost of tokens t..T-1 after token x, (T + 1, V), where a target call costs call_time(0); 0
    at T.

    By backward recursion, for every (t, x), visited or not: a second road to the mean that `predict` has from
    the distribution. Raises SimlabError unless drafted tokens are free, as it is not predicted how many there
    are, and for trees too large.
    """
    call = float(call_time(0))
    if call_time(1) != call:
        raise SimlabError(
            f"drafted tokens of {shortened(decoder)} are not counted: give a decoder of windows, or "
            "cost.draft = 0"
        )
    horizon, states = pair.horizon, pair.states
    costs = np.zeros((horizon + 1, states))
    distributions = _ExitDistributions(pair, decoder)
    for t in stepping(range(horizon)[::-1], "expected times with trees"):
        for chosen, exits, _ in distributions.at(t, np.arange(states)):
            depths = exits.shape[1]
            costs[t, chosen] = call + np.einsum("xdy,dy->x", exits, costs[t + 1 : t + 1 + depths])
    return costs


def expected_accepted(pair: ChainPair, decoder: TreeSpeculative, capacities) -> np.ndarray:
    """E[X] of the first call for each capacity, (K,), averaged over x_0 ~ initial.

    capacities: whole numbers >= 1, (K,); they take the place of the decoder's own. One search a start token.
    Raises SimlabError for a decoder without trees, and for a capacity below 1 or too large.
    """
    _check(pair, decoder)
    try:
        wanted = [check_count("capacity", capacity) for capacity in capacities]
    except TypeError as error:
        raise SimlabError(
            f"capacities = {capacities!r} is not valid; expected a list of whole numbers"
        ) from error
    means = np.zeros(len(wanted))
    make = optimal_tree if decoder.shape == "tree" else chain_tree
    for token in np.flatnonzero(pair.initial) if wanted else ():
        sums = make(pair, 0, int(token), max(wanted), decoder.drafted_by).expected_accepted_by_capacity
        if len(sums):
            means += pair.initial[token] * sums[np.minimum(wanted, len(sums)) - 1]
    return means / pair.initial.sum()


class _ExitDistributions:
    """Searches trees and hands out their exit distributions, block by block.

    Where both models are stationary, a tree that ends before the horizon is the same wherever the call
    starts, and its exit distributions are kept, as far as they fit into _KEPT bytes.
    """

    def __init__(self, pair: ChainPair, decoder: TreeSpeculative):
        from simlab.theory.trees.exits import exit_distributions  # brings a compiler along
        from simlab.theory.trees.rows import read_only, unsorted_rows
        from simlab.theory.trees.search import room

        self.pair, self.decoder = pair, decoder
        self.chooser = pair.target_rows if decoder.drafted_by == "target" else pair.draft_rows
        self.rows = unsorted_rows(read_only(self.chooser), self.chooser.shape[0] * self.chooser.shape[1])
        self.target = read_only(pair.target_rows)
        self.search, self.room = exit_distributions, room
        states = pair.states
        stationary = len(self.chooser) == len(pair.target_rows) == 1
        depths = min(decoder.capacity + 1, pair.horizon, _KEPT // (8 * states**2)) if stationary else 0
        self.kept = np.empty((states, depths, states))
        self.depth = np.full(states, pair.horizon)  # of the kept trees; the horizon where there is none

    def at(self, t: int, tokens: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(last tokens (n,), exits (n, D + 1, V), P(the call ends inside) (n,)) for calls that start at t."""
        steps = self.pair.horizon - t
        known = self.depth[tokens] < steps
        if known.any():
            chosen = tokens[known]
            yield chosen, self.kept[chosen, : self.depth[chosen].max() + 1], np.zeros(len(chosen))
        new = tokens[~known]
        depths = min(self.decoder.capacity, steps - 1) + 1
        block = max(1, _BLOCK // (depths * self.pair.states))
        for start in range(0, len(new), block):
            yield self._search(t, new[start : start + block], steps, depths)

    def _search(self, t: int, tokens: np.ndarray, steps: int, depths: int) -> tuple[np.ndarray, ...]:
        chain = self.decoder.shape == "chain"
        nodes = self.decoder.capacity
        if chain:
            nodes = min(nodes, steps)
        else:
            nodes = max(room_for(self.chooser, t, int(token), steps, nodes) for token in tokens)
        found = self.room(nodes)
        exits = np.empty((len(tokens), depths, self.pair.states))
        inside, deep = np.empty(len(tokens)), np.empty(len(tokens), np.int64)
        self.search(self.rows, self.target, t, tokens, steps, chain, found, exits, inside, deep)
        keep = (deep < steps) & (deep < self.kept.shape[1])
        size = min(depths, self.kept.shape[1])
        self.kept[tokens[keep], :size] = exits[keep, :size]
        self.kept[tokens[keep], size:] = 0.0
        self.depth[tokens[keep]] = deep[keep]
        return tokens, exits[:, : min(deep.max() + 1, depths)], inside


def _check(pair: ChainPair, decoder: TreeSpeculative) -> None:
    check_pair(pair)
    if not isinstance(decoder, TreeSpeculative):
        raise SimlabError(f"{shortened(decoder)} drafts no trees: give simlab.TreeSpeculative()")
