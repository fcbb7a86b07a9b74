"""Deterministic speculation with draft trees (Pankratov and Alistarh 2026), compiled.

Every token is drawn from the target, as in autoregressive decoding and with the same random numbers, and so
are the same tokens. Beside it each trajectory walks the tree of its call: a token that is a child of the node
where the trajectory stands was drafted; any other is the call's bonus token, and the next call's tree begins
behind it. A trajectory is kept as the word of its node (see `trees`), and a step takes two look-ups beyond
the draw: the token's place in the chooser's sorted row, which says whether it is a child and which, and the
word found there or at the next root. Each call ends with its bonus token, or with the horizon.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.decoders import TreeSpeculative
from simlab.decoding.block import Tally, count_block, first_tokens, new_block, note
from simlab.decoding.chunks import CHUNK, U, advance, collect, draw, look_up, new_scratch, padded
from simlab.decoding.tables import AliasTable, alias_table, initial_table, step_of
from simlab.decoding.trees import MASK, SHIFT, Forest, forest
from simlab.jit import compiled
from simlab.pairs.pair import ChainPair

_0, _1 = U(0), U(1)


@dataclass(frozen=True, eq=False)
class TreeTables:
    """What the sampler of `TreeSpeculative()` looks up for a horizon of T steps over V states."""

    horizon: int
    states: int
    initial: AliasTable
    target: AliasTable
    forest: Forest


def bytes_per_row(pair: ChainPair, decoder: TreeSpeculative) -> int:
    """What the tables take for each of their S * V rows, but for the trees, which `forest` checks."""
    return 12 * pair.states


def tables(pair: ChainPair, decoder: TreeSpeculative) -> TreeTables:
    """Build the tables."""
    return TreeTables(
        pair.horizon,
        pair.states,
        initial_table(pair.initial),
        alias_table(pair.target_rows),
        forest(pair, decoder),
    )


def sample(tables: TreeTables, trajectories: int, block: int, state, tally: Tally) -> None:
    """Simulate, adding to `tally`."""
    _sample(tables.initial, tables.target, tables.forest, U(trajectories), U(block), state, tally)


@compiled
def _sample(initial, target, forest, trajectories, block, state, tally):
    scratch = new_scratch()
    ranks, places = np.zeros(CHUNK, np.uint16), np.zeros(CHUNK, np.uint64)
    running = new_block(block, tally)
    last, words = running.last, np.zeros(padded(block), np.uint64)
    states, horizon = U(tally.tokens.shape[1]), tally.tokens.shape[0]
    for start in range(U(0), trajectories, block):
        size = min(block, trajectories - start)
        first_tokens(initial, size, start, scratch, state, running, tally)
        for i in range(size):
            words[i] = forest.nodes[forest.roots[0] + U(last[i])]
        for t in range(horizon):
            step = step_of(target.entries, t)
            rows = AliasTable(target.entries[step], target.lows[step])
            order = forest.ranks[step_of(forest.ranks, t)]
            for begin in range(U(0), size, U(CHUNK)):
                count = min(U(CHUNK), size - begin)
                draw(rows, last[begin:], states, count, scratch, state, scratch.tokens)
                rank(order, last[begin:], states, count, scratch, ranks)
                walk(ranks, forest.roots[t + 1], count, scratch, words[begin:], places)
                look_up(forest.nodes, places, padded(count), words[begin:])
                note(scratch, begin, count, start, t, running, tally)
                tally.per_position[t] += np.int64(total(scratch.rejected, count))
                if t == horizon - 1:
                    running.fresh[begin : begin + count] = scratch.rejected[:count]
                advance(last, begin, scratch.tokens, count, running.histogram)
            collect(running.histogram, tally.tokens[t])
        count_block(size, running, tally)
        count_calls(size, running, tally)


@compiled
def rank(order, last, states, count, scratch, ranks):
    """ranks[i]: the place of the new token in the chooser's sorted row after the last one."""
    count, wide = padded(count), np.uint32(states)
    tokens, places = scratch.tokens, scratch.places
    for i in range(count):
        row = np.uint32(np.uint32(last[i]) * wide)
        places[i] = np.uint32(row + np.uint32(tokens[i]))
    look_up(order, places, count, ranks)


@compiled
def walk(ranks, roots, count, scratch, words, places):
    """places[i]: the node that the new token leads to, or the root behind it where no node is its own.

    words: uint64, the nodes where the trajectories stand. roots: uint64, of the next step. Fills
    scratch.rejected: 1 where the token is the bonus token.
    """
    tokens, rejected = scratch.tokens, scratch.rejected
    for i in range(padded(count)):
        place, word = U(ranks[i]), words[i]
        drafted = U(place < (word & MASK))
        # Chosen by arithmetic: which one it is cannot be foretold, and a branch would be taken amiss.
        child, root = (word >> SHIFT) + place, roots + U(tokens[i])
        places[i] = (child & (_0 - drafted)) | (root & (drafted - _1))
        rejected[i] = np.uint16(_1 - drafted)


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
