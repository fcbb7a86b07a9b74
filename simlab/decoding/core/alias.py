"""Alias tables (Walker 1977, Vose 1991) in packed integers, and the acceptance thresholds.

A draw splits one 48-bit uniform into a slot (uniform on 0..V-1) and a coin (uniform on 0..2^48-1): the slot
is kept if the coin is below the slot's threshold, else its alias is taken. The coin is exact to 2^-48 given
its threshold. The threshold, a slot's share, is off by the rounding of floats, which adds up from slot to
slot: by some 1e5 * 2^-48 in uneven rows of V = 65536. A slot comes up once in V draws, so that each token's
distribution was within 2^-45 there.

A threshold is stored in two pieces, the upper 16 bits beside the alias in one 32-bit entry, the lower 32 bits
in a table of their own, which is read only where the coin's upper 16 bits equal the threshold's: once in
65,536 draws. So the tables that every draw reads are small, and nothing is rounded to 16 bits.

No token of mass 0 can be drawn, whatever the rounding: its threshold is exactly 0 and no slot names it as
alias.
"""

from __future__ import annotations

import numpy as np

from simlab.decoding.core.bits import LOW32, U16, U32, U
from simlab.jit import compiled

COIN = float(2**48)
ALWAYS = 2**48 - 1
"""The acceptance threshold of a token that is always accepted; all others are smaller."""


@compiled
def alias_row(weights, shares, aliases, stack):
    """Vose's method: fill `shares`, the chance in [0, 1] to keep each slot, and `aliases`.

    weights: float64 (V,), nonnegative with a positive sum, of any scale. stack: int64 (V,), scratch.
    """
    states = weights.size
    total = 0.0
    best = 0
    for y in range(states):
        total += weights[y]
        if weights[y] > weights[best]:
            best = y
    # `stack` holds the slots below their fair share from the front and the others from the back.
    small, large = 0, states
    for y in range(states):
        shares[y] = weights[y] / total * states
        aliases[y] = best
        if shares[y] < 1.0:
            stack[small] = y
            small += 1
        else:
            large -= 1
            stack[large] = y
    while small > 0 and large < states:
        small -= 1
        poor, rich = stack[small], stack[large]
        aliases[poor] = rich
        shares[rich] = (shares[rich] + shares[poor]) - 1.0
        if shares[rich] < 1.0:
            large += 1
            stack[small] = rich
            small += 1
    # What is left has a share of 1 up to rounding. The rich keep their slots; a poor one keeps its share
    # (0 if its mass is 0) and gives the rest to the most probable token, as set above.
    for index in range(large, states):
        shares[stack[index]] = 1.0
        aliases[stack[index]] = stack[index]


@compiled
def coin_threshold(share):
    """A share in [0, 1] as an integer of 48 bits; 1 becomes 2^48 - 1."""
    threshold = U(min(max(share, 0.0), 1.0) * COIN + 0.5)
    return min(threshold, U(ALWAYS))


@compiled
def acceptance_threshold(target, draft):
    """min(1, target/draft) as an integer of 48 bits: ALWAYS from 1 on, at most ALWAYS - 1 below."""
    if target >= draft:
        return U(ALWAYS)
    return min(U(target / draft * COIN + 0.5), U(ALWAYS - 1))


@compiled
def pack_row(weights, entries, lows, shares, aliases, stack):
    """The packed alias table of one row: entries and lows, uint32 (V,)."""
    alias_row(weights, shares, aliases, stack)
    for y in range(weights.size):
        threshold = coin_threshold(shares[y])
        entries[y] = np.uint32((U(aliases[y]) << U16) | (threshold >> U32))
        lows[y] = np.uint32(threshold & LOW32)


@compiled
def pack_rows(chain, entries, lows):
    """`pack_row` for each row: chain float64 (S, V, V); entries, lows uint32 (S, V * V)."""
    states = chain.shape[2]
    shares, aliases = np.empty(states), np.empty(states, np.int64)
    stack = np.empty(states, np.int64)
    for step in range(chain.shape[0]):
        for x in range(chain.shape[1]):
            row = slice(x * states, (x + 1) * states)
            pack_row(chain[step, x], entries[step, row], lows[step, row], shares, aliases, stack)
