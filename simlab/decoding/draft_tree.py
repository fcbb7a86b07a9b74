"""Deterministic speculation with draft trees (Pankratov and Alistarh 2026), compiled.

Every token is drawn from the target, as in autoregressive decoding and with the same random numbers, and so
are the same tokens. Beside it each trajectory walks the tree of its call: a token that is a child of the node
where the trajectory stands was drafted; any other is the call's bonus token, and the next call's tree begins
behind it. A trajectory is kept as the word of its node (see `trees`). The record that a draw looks up tells
with each token its rank, the position in the chooser's sorted row that says whether it is a child and which;
the one look-up more that a step takes is for the word of that child, or of the next root. Each call ends with
its bonus token, or with the horizon.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from simlab.decoders import TreeSpeculative
from simlab.decoding.core.alias import pack_row
from simlab.decoding.core.bits import HALF, LOW16, NEAR, SHORT, U0, U1, U2, U16, U32, U
from simlab.decoding.core.chunks import (
    CHUNK,
    advance,
    any_of,
    collect,
    exact_draw,
    locate,
    look_up,
    new_scratch,
    padded,
)
from simlab.decoding.core.forest import MASK, SHIFT, Forest, grow_forest, sorted_rows
from simlab.decoding.core.randomness import fill, spare_word
from simlab.decoding.core.tables import AliasTable, initial_table, step_of
from simlab.decoding.core.tally import Room, Tally, count_block, first_tokens, new_block, note
from simlab.jit import compiled
from simlab.pairs.pair import ChainPair
from simlab.pairs.size import PairSize


class RankedTable(NamedTuple):
    """Rows to draw from, with the ranks of the tokens.

    records: uint64 (S, V * V), to be seen as pairs of uint32: the slot's alias entry (see alias.py), and the
    ranks of both tokens it can give, the alias's << 16 | the slot's. lows: uint32 (S, V * V).
    """

    records: np.ndarray
    lows: np.ndarray


@dataclass(frozen=True, eq=False)
class TreeTables:
    """What the sampler of `TreeSpeculative()` looks up for a horizon of T steps over V states."""

    horizon: int
    states: int
    initial: AliasTable
    target: RankedTable
    forest: Forest

    @property
    def room(self) -> Room:
        """What is counted beside tokens and rejections."""
        return Room(calls=self.horizon + 1)

    def sample(self, trajectories: int, block: int, state, tally: Tally) -> None:
        """Simulate, adding to `tally`."""
        _sample(self.initial, self.target, self.forest, U(trajectories), U(block), state, tally)


def bytes_per_row(size: PairSize, decoder: TreeSpeculative) -> int:
    """What the tables take for each of their S * V rows, but for the trees, which `grow_forest` checks."""
    return 16 * size.states


def tables(pair: ChainPair, decoder: TreeSpeculative) -> TreeTables:
    """Build the tables."""
    chooser = pair.target_rows if decoder.drafted_by == "target" else pair.draft_rows
    order, ranks = sorted_rows(chooser)
    forest = grow_forest(chooser, order, pair.horizon, decoder)
    target = ranked_table(pair.target_rows, ranks)
    return TreeTables(pair.horizon, pair.states, initial_table(pair.initial), target, forest)


def ranked_table(target: np.ndarray, ranks: np.ndarray) -> RankedTable:
    """The table that draws from `target` and tells the ranks, (1 or S, V, V) each."""
    steps, states = max(len(target), len(ranks)), target.shape[1]
    shape = (steps, states * states)
    table = RankedTable(np.empty(shape, np.uint64), np.empty(shape, np.uint32))
    _pack_ranked(target, ranks, table.records.view(np.uint32), table.lows)
    return table


@compiled
def _pack_ranked(target, ranks, halves, lows):
    states = target.shape[2]
    shares, aliases = np.empty(states), np.empty(states, np.int64)
    stack, entries = np.empty(states, np.int64), np.empty(states, np.uint32)
    for step in range(lows.shape[0]):
        for x in range(states):
            indices = ranks[step_of(ranks, step), x]
            row = slice(x * states, (x + 1) * states)
            pack_row(target[step_of(target, step), x], entries, lows[step, row], shares, aliases, stack)
            for y in range(states):
                halves[step, 2 * (x * states + y)] = entries[y]
                both = (U(indices[aliases[y]]) << U16) | U(indices[y])
                halves[step, 2 * (x * states + y) + 1] = np.uint32(both)


@compiled
def _sample(initial, target, forest, trajectories, block, state, tally):
    scratch = new_scratch()
    ranks, indices = np.zeros(CHUNK, np.uint16), np.zeros(CHUNK, np.uint64)
    running = new_block(block, tally)
    last, words = running.last, np.zeros(padded(block), np.uint64)
    states, horizon = U(tally.tokens.shape[1]), tally.tokens.shape[0]
    for start in range(U(0), trajectories, block):
        size = min(block, trajectories - start)
        first_tokens(initial, size, start, scratch, state, running, tally)
        for i in range(size):
            words[i] = forest.nodes[forest.roots[0] + U(last[i])]
        for t in range(horizon):
            step = step_of(target.records, t)
            rows = RankedTable(target.records[step], target.lows[step])
            for begin in range(U(0), size, U(CHUNK)):
                count = min(U(CHUNK), size - begin)
                draw_ranked(rows, last[begin:], states, count, scratch, state, ranks)
                walk(ranks, forest.roots[t + 1], count, scratch, words[begin:], indices)
                look_up(forest.nodes, indices, padded(count), words[begin:])
                note(scratch, begin, count, start, t, running, tally)
                tally.per_position[t] += np.int64(total(scratch.rejected, count))
                if t == horizon - 1:
                    running.fresh[begin : begin + count] = scratch.rejected[:count]
                advance(last, begin, scratch.tokens, count, running.histogram)
            collect(running.histogram, tally.tokens[t])
        count_block(size, running, tally)
        count_calls(size, running, tally)


@compiled
def draw_ranked(table, last, states, count, scratch, state, ranks):
    """`draw` from a RankedTable of one step: fill scratch.tokens, and `ranks` with their ranks."""
    count = padded(count)
    slots, coins, indices, ties = scratch.slots, scratch.coins, scratch.indices, scratch.ties
    fill(state, scratch.words, count // U2)
    locate(last, U0, scratch.uniforms, states, count, slots, coins, indices)
    look_up(table.records, indices, count, scratch.records)
    select_ranked(scratch.halves, slots, coins, count, scratch.tokens, ranks, ties)
    if any_of(ties, count):
        mend_ranked(table, last, states, count, scratch, state, ranks)


@compiled
def select_ranked(halves, slots, coins, count, tokens, ranks, ties):
    """`select`, and with each token its rank. halves: uint32 (2 * CHUNK,), pairs (alias entry, ranks)."""
    for i in range(count):
        entry, both = halves[U2 * i], halves[U2 * i + U1]
        coin = np.uint32(coins[i])
        threshold = np.uint32(entry & SHORT)
        kept = coin < threshold
        tokens[i] = np.uint16(slots[i] if kept else np.uint32(entry >> HALF))
        ranks[i] = np.uint16(np.uint32(both & SHORT) if kept else np.uint32(both >> HALF))
        below = np.uint32(np.uint32(threshold - coin) & SHORT)
        ties[i] = np.uint16((below < NEAR) | (coin == SHORT))


@compiled
def mend_ranked(table, last, states, count, scratch, state, ranks):
    """Draw with more bits where the first ones do not decide."""
    for i in range(count):
        if scratch.ties[i]:
            more = spare_word(state)
            token, index, kept = exact_draw(
                table.records, table.lows, last[i], states, scratch.uniforms[i], more
            )
            both = table.records[index] >> U32
            scratch.tokens[i] = np.uint16(token)
            ranks[i] = np.uint16((both & LOW16) if kept else (both >> U16))


@compiled
def walk(ranks, roots, count, scratch, words, indices):
    """indices[i]: where the node of the new token lies, or else the root behind it.

    ranks: uint16, of scratch.tokens. words: uint64, the nodes where the trajectories stand. roots: uint64,
    the position of the next step's first root. Fills scratch.rejected: 1 where the token is the bonus token.
    """
    tokens, rejected = scratch.tokens, scratch.rejected
    for i in range(padded(count)):
        index, word = U(ranks[i]), words[i]
        drafted = U(index < (word & MASK))
        # Chosen by arithmetic: which one it is cannot be foretold, and a branch would be taken amiss.
        child, root = (word >> SHIFT) + index, roots + U(tokens[i])
        indices[i] = (child & (U0 - drafted)) | (root & (drafted - U1))
        rejected[i] = np.uint16(U1 - drafted)


@compiled
def total(flags, count):
    """How many of the first `count` <= CHUNK flags are set."""
    found = np.uint16(0)
    for i in range(count):
        found = np.uint16(found + flags[i])
    return found


@compiled
def count_calls(size, running, tally):
    """Count the finished trajectories by their calls: one a bonus token, and one that the horizon ended."""
    for i in range(size):
        calls = np.int64(running.rejections[i]) + 1 - np.int64(running.fresh[i])
        tally.target_calls[calls] += 1
