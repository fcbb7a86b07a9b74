"""Drafting the windows of calls that start together, position by position; loops as in `core.chunks`.

The running ratios are p_i = min(p_{i-1} target/draft, 1).
"""

from __future__ import annotations

import numpy as np

from simlab.decoding.block.work import CHUNK
from simlab.decoding.core.bits import LOW16, LOW32, U0, U1, U16, U32, U
from simlab.decoding.core.chunks import any_of, locate, look_up, select
from simlab.decoding.core.randomness import fill
from simlab.decoding.core.tables import step_of
from simlab.jit import compiled, inlined


@inlined
def token_of(entries, lows, row, states, word):
    """The token that a word draws from the row of an alias table that begins at `row` (see alias.py)."""
    tail = (word & LOW32) * states
    product = (word >> U32) * states + (tail >> U32)
    index = row + (product >> U32)
    entry = U(entries[index])
    coin = ((product & LOW32) << U16) | ((tail & LOW32) >> U16)
    kept = coin < (((entry & LOW16) << U32) | U(lows[index]))
    return product >> U32 if kept else entry >> U16


@compiled
def draw_words(entries, lows, last, words, states, count, work, drawn):
    """drawn[j] = the token that words[j] draws from row last[j] of one step's alias table; count <= CHUNK."""
    for j in range(count):
        work.uppers[j] = np.uint32(words[j] >> U32)
    locate(last, U0, work.uppers, states, count, work.slots, work.coins, work.indices)
    look_up(entries, work.indices, count, work.entries)
    select(work.entries, U1, work.slots, work.coins, count, drawn, work.ties)
    if any_of(work.ties, count):
        for j in range(count):
            if work.ties[j]:
                drawn[j] = np.uint16(token_of(entries, lows, U(last[j]) * states, states, words[j]))


@compiled
def draft_position(distribution, all_ratios, t, i, states, count, state, windows, work):
    """Draft the i-th token, from 0, of each of the `count` windows that start at t."""
    step, moving = step_of(distribution.entries, t + i), step_of(all_ratios, t + i)
    entries, lows, ratios = distribution.entries[step], distribution.lows[step], all_ratios[moving]
    words, indices, factors, wide = work.words, work.indices, work.factors, np.uint32(states)
    for begin in range(U0, count, U(CHUNK)):
        size = min(U(CHUNK), count - begin)
        last, drawn = windows.tokens[i, begin:], windows.tokens[i + 1, begin:]
        before, after = windows.shares[i, begin:], windows.shares[i + 1, begin:]
        fill(state, words, size)
        draw_words(entries, lows, last, words, states, size, work, drawn)
        for j in range(size):
            indices[j] = np.uint32(np.uint32(np.uint32(last[j]) * wide) + np.uint32(drawn[j]))
        look_up(ratios, indices, size, factors)
        for j in range(size):
            share = before[j] * factors[j]
            share = share if share < 1.0 else 1.0
            after[j] = share if before[j] > 0.0 else 0.0
