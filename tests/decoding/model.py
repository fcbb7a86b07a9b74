"""The generator and the draws in unbounded Python integers, for tests bit by bit."""

from __future__ import annotations

import numpy as np

from simlab.decoding.core.bits import U
from simlab.decoding.core.tables import AliasTable, DraftTable, alias_table

MASK = 2**64 - 1


class Lane:
    """xoshiro256++ as published, in Python integers."""

    def __init__(self, state):
        self.s = [int(word) for word in state]

    def word(self) -> int:
        def rotated(x, k):
            return ((x << k) | (x >> (64 - k))) & MASK

        s = self.s
        result = (rotated((s[0] + s[3]) & MASK, 23) + s[0]) & MASK
        t = (s[1] << 17) & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotated(s[3], 45)
        return result


def expected_draw(table, x, states, uniform, more):
    slot, fraction = divmod((uniform << 32 | more >> 32) * states, 2**64)
    place = x * states + slot
    entry, low = int(table.entries[place]), int(table.lows[place])
    kept = fraction >> 16 < ((entry & 0xFFFF) << 32 | low)
    return (slot if kept else entry >> 16), place, kept


def random_table(states, seed):
    rows = np.random.default_rng(seed).dirichlet(np.ones(states), size=(1, states))
    return AliasTable(*(array[0] for array in alias_table(rows)))


def split(uniforms, states):
    products = uniforms * U(states)
    return products >> U(32), (products >> U(16) & U(0xFFFF)).astype(np.int64)


def undecided(coins, entries):
    thresholds = entries.astype(np.int64) & 0xFFFF
    return ((thresholds - coins) % 2**16 < 2) | (coins == 0xFFFF)


def expected_tokens(table, last, uniforms, spare_word):
    """The tokens of an AliasTable's draws, and how many were ties; each tie takes a spare word."""
    states = int(len(table.lows) ** 0.5)
    slots, coins = split(uniforms.astype(np.uint64), states)
    entries = table.entries[last * states + slots.astype(int)]
    tokens = np.where(coins < (entries & 0xFFFF), slots, entries >> 16)
    tied = np.flatnonzero(undecided(coins, entries))
    for i in tied:
        tokens[i] = expected_draw(table, int(last[i]), states, int(uniforms[i]), spare_word())[0]
    return tokens, len(tied)


def drafting(table, needed):
    """The DraftTable that draws like an AliasTable and accepts below `needed`, uint64 (V * V), of 48 bits."""
    states = int(len(table.lows) ** 0.5)
    bars = needed >> U(32)
    rows = np.arange(states**2) // states * states
    aliased = bars[rows + (table.entries >> 16).astype(int)]
    records = table.entries | (bars << U(32)) | (aliased << U(48))
    return DraftTable(records, table.lows, (needed & U(0xFFFFFFFF)).astype(np.uint32))
