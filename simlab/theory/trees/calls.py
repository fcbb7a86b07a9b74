"""What decoding with draft trees takes: the law of the number of target calls, exactly (own).

A call that starts at position t after token x has its tree; the target's path leaves it at depth d with bonus
token y with probability E[d, y] (`exits`), and the next call starts at t + d + 1 after y; or it ends at the
horizon inside the tree, with the last token. So the law F[t][n, x] of calls that start at t after x with n
calls before moves as

    F[t + d + 1][n + 1, y] += sum_x F[t][n, x] E_{t, x}[d, y],

one matrix product for each t. The mean follows once more from the end backwards:
C[t, x] = 1 + sum_{d, y} E_{t, x}[d, y] C[t + d + 1, y].
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from simlab.checks import check_count
from simlab.decoders import TreeSpeculative
from simlab.errors import SimlabError
from simlab.pairs.pair import ChainPair
from simlab.theory.prediction import Prediction
from simlab.theory.trees.tree import chain_tree, optimal_tree, room_for

_NEGLIGIBLE = 1e-290  # smaller masses are dropped: they would slow the arithmetic as subnormal numbers
_BLOCK = 2**22
"""About how many entries of exit laws are held at once."""


def predict_tree(pair: ChainPair, decoder: TreeSpeculative) -> Prediction:
    """The exact law of the target calls and of the bonus tokens. Raises SimlabError for a tree too large."""
    horizon, states = pair.horizon, pair.states
    starts: list = [None] * (horizon + 1)  # F[t], (t + 1, V)
    starts[0] = np.array(pair.initial)[None]
    inside = np.zeros(horizon + 1)  # P(the last call, after n others, ends inside its tree)
    laws = _ExitLaws(pair, decoder)
    for t in range(horizon):
        before = starts[t]
        if before is None:
            continue
        tokens = np.flatnonzero(before.any(axis=0))
        for chosen, exits, ends in laws.at(t, tokens):
            moved = before[:, chosen] @ exits.reshape(len(chosen), -1)
            moved = moved.reshape(len(before), *exits.shape[1:])
            inside[: len(before)] += before[:, chosen] @ ends
            for d in range(exits.shape[1]):
                if moved[:, d].any():
                    if starts[t + d + 1] is None:
                        starts[t + d + 1] = np.zeros((t + d + 2, states))
                    starts[t + d + 1][1 : len(before) + 1] += np.where(
                        moved[:, d] > _NEGLIGIBLE, moved[:, d], 0.0
                    )
        starts[t] = before.sum()
    ended = np.zeros(horizon + 1) if starts[horizon] is None else starts[horizon].sum(axis=1)
    per_position = np.array([0.0 if start is None else start.sum() for start in starts[1:]])
    calls = ended.copy()
    calls[1:] += inside[:-1]
    bonus = ended + inside
    expected = float(per_position.sum())
    expected_calls = float(np.dot(calls, np.arange(horizon + 1)))
    return Prediction(
        decoder=decoder,
        rejections_pmf=bonus,
        expected_rejections=expected,
        variance=float(np.dot((np.arange(horizon + 1) - expected) ** 2, bonus)),
        rejections_per_position=per_position,
        target_calls_pmf=calls,
        expected_target_calls=expected_calls,
        acceleration=horizon / expected_calls,
        token_marginals=_target_marginals(pair),
        output_chain=pair.target,
        sequence_kl=0.0,
    )


def expected_target_calls(pair: ChainPair, decoder: TreeSpeculative) -> np.ndarray:
    """C[t, x]: the mean number of target calls for tokens t..T-1 after token x, (T + 1, V), C[T] = 0.

    By backward recursion, for every (t, x), visited or not: a second road to the mean that `predict` has from
    the law. Raises SimlabError for a decoder without trees and for trees too large.
    """
    _check(pair, decoder)
    horizon, states = pair.horizon, pair.states
    calls = np.zeros((horizon + 1, states))
    laws = _ExitLaws(pair, decoder)
    for t in reversed(range(horizon)):
        for chosen, exits, _ in laws.at(t, np.arange(states)):
            depths = exits.shape[1]
            calls[t, chosen] = 1 + np.einsum("xdy,dy->x", exits, calls[t + 1 : t + 1 + depths])
    return calls


def expected_accepted(pair: ChainPair, decoder: TreeSpeculative, capacities) -> np.ndarray:
    """E[X] of the first call for each capacity, (K,), averaged over x_0 ~ initial.

    capacities: whole numbers >= 1, (K,); they take the place of the decoder's own. One search a start token.
    Raises SimlabError for a decoder without trees, and for a capacity below 1 or too large.
    """
    _check(pair, decoder)
    wanted = [check_count("capacity", int(c) if isinstance(c, np.integer) else c) for c in capacities]
    means = np.zeros(len(wanted))
    if not wanted:
        return means
    make = optimal_tree if decoder.shape == "tree" else chain_tree
    for token in np.flatnonzero(pair.initial):
        sums = make(pair, 0, int(token), max(wanted), decoder.drafted_by).expected_accepted_by_capacity
        means += pair.initial[token] * np.array(
            [sums[min(c, len(sums)) - 1] if len(sums) else 0.0 for c in wanted]
        )
    return means / pair.initial.sum()


class _ExitLaws:
    """Searches trees and hands out their exit laws, block by block."""

    def __init__(self, pair: ChainPair, decoder: TreeSpeculative):
        from simlab.theory.trees.exits import exit_laws  # brings a compiler along
        from simlab.theory.trees.rows import unsorted_rows
        from simlab.theory.trees.search import room

        self.pair, self.decoder = pair, decoder
        self.chooser = pair.target_rows if decoder.drafted_by == "target" else pair.draft_rows
        self.rows = unsorted_rows(self.chooser)
        self.target = unsorted_rows(pair.target_rows).chain
        self.search, self.room = exit_laws, room

    def at(self, t: int, tokens: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(tokens of a block (n,), their exits (n, D + 1, V), what ends inside (n,)) for calls that start at t."""
        steps = self.pair.horizon - t
        chain = self.decoder.shape == "chain"
        capacity = min(self.decoder.capacity, steps) if chain else self.decoder.capacity
        depths = min(capacity, steps - 1) + 1
        block = max(1, _BLOCK // (depths * self.pair.states))
        for start in range(0, len(tokens), block):
            chosen = tokens[start : start + block]
            nodes = (
                capacity
                if chain
                else max(room_for(self.chooser, t, int(token), steps, capacity) for token in chosen)
            )
            exits = np.empty((len(chosen), depths, self.pair.states))
            inside = np.empty(len(chosen))
            deepest = self.search(
                self.rows, self.target, t, chosen, steps, chain, self.room(nodes), exits, inside
            )
            yield chosen, exits[:, : deepest + 1], inside


def _check(pair: ChainPair, decoder: TreeSpeculative) -> None:
    if not isinstance(pair, ChainPair):
        raise SimlabError(f"{type(pair).__name__} is no pair: give a simlab.ChainPair")
    if not isinstance(decoder, TreeSpeculative):
        raise SimlabError(f"{decoder!r} drafts no trees: give simlab.TreeSpeculative()")


def _target_marginals(pair: ChainPair) -> np.ndarray:
    """P(token t = y) under the target, (T, V)."""
    marginals, now = np.empty((pair.horizon, pair.states)), pair.initial
    for t in range(pair.horizon):
        marginals[t] = now = now @ pair.target[t]
    return marginals
