"""Drafting the windows of calls that start together, position by position.

The running ratios are p_i = min(p_{i-1} target/draft, 1).
"""

from __future__ import annotations

import numpy as np

from simlab.decoding.core.bits import U0, U
from simlab.decoding.core.chunks import CHUNK, draw, look_up
from simlab.decoding.core.tables import AliasTable, step_of
from simlab.jit import compiled


@compiled
def draft_position(distribution, all_ratios, t, i, states, count, state, windows, scratch, work):
    """Draft the i-th token, from 0, of each of the `count` windows that start at t."""
    step = step_of(distribution.entries, t + i)
    table, ratios = (
        AliasTable(distribution.entries[step], distribution.lows[step]),
        all_ratios[step_of(all_ratios, t + i)],
    )
    indices, factors, wide = work.indices, work.factors, np.uint32(states)
    for begin in range(U0, count, U(CHUNK)):
        size = min(U(CHUNK), count - begin)
        last, drawn = windows.tokens[i, begin:], windows.tokens[i + 1, begin:]
        before, after = windows.shares[i, begin:], windows.shares[i + 1, begin:]
        draw(table, last, states, size, scratch, state, drawn)
        for j in range(size):
            indices[j] = np.uint32(np.uint32(np.uint32(last[j]) * wide) + np.uint32(drawn[j]))
        look_up(ratios, indices, size, factors)
        for j in range(size):
            share = before[j] * factors[j]
            share = share if share < 1.0 else 1.0
            after[j] = share if before[j] > 0.0 else 0.0
