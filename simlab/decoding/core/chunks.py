"""The inner loops: one step of CHUNK trajectories at a time, each loop with one thought.

A trajectory's draw is a multiplication, one table look-up that depends on it, and a selection. Done token by
token the processor spends its time on scalar bookkeeping, and at large V it waits for memory. Split into
short loops over a chunk that stays in the cache, the arithmetic becomes vector instructions of 32 bits and
less, and the look-ups stand in a loop of their own where many cache misses overlap.

A draw takes 32 bits: times V, the integer part is the slot, the fraction is the coin that keeps the slot or
takes its alias. A verification takes 16 bits of its own. Where these do not decide ("a tie": the upper 16
bits of the coin, or the chance that verifies, equal those of the threshold, or would if more bits carried
into them; about four times in 65,536 draws) a mending loop takes 32 more bits for each from the spare lane.
So every draw is as exact as its thresholds of 48 bits.

The 16- and 32-bit pieces are views of the 64-bit words, in the little-endian order of every processor that
numba supports.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.decoding.core.alias import ALWAYS
from simlab.decoding.core.bits import HALF, LOW16, LOW32, NEAR, SHORT, U0, U1, U2, U3, U4, U16, U32, U
from simlab.decoding.core.randomness import fill, spare_word
from simlab.jit import compiled

CHUNK = 4096
"""Trajectories taken through one step together: so few that their scratch (140 KB) stays in the L2 cache, so
many that the fixed cost of a loop (checks for overlap, reference counts) does not matter."""
WHOLE = 32
"""Loops run over multiples of this many trajectories, so that none is left to scalar code."""
FEW = 8
"""Up to so many tokens are counted by comparing, token by token; more, by incrementing counters."""
_ALWAYS = U(ALWAYS)


class Scratch(NamedTuple):
    """Buffers of CHUNK elements each."""

    words: np.ndarray  # uint64: random words
    uniforms: np.ndarray  # uint32: the same words, by halves
    pieces: np.ndarray  # uint16: the same words, by quarters
    tokens: np.ndarray  # uint16: the tokens of this step
    rejected: np.ndarray  # uint16: 1 where the token was rejected
    chosen: np.ndarray  # uint32: positions in the chunk of the trajectories whose token is replaced
    origins: np.ndarray  # uint16: their last tokens
    replacements: np.ndarray  # uint16: their new tokens
    slots: np.ndarray  # uint32
    coins: np.ndarray  # uint16: their upper 16 bits
    indices: np.ndarray  # uint32: flat index of row and slot
    entries: np.ndarray  # uint32: the alias entries found there
    records: np.ndarray  # uint64: the draft records found there
    halves: np.ndarray  # uint32: the same records, as pairs (alias entry, acceptance thresholds)
    ties: np.ndarray  # uint16: 1 where the first bits do not decide


@compiled
def new_scratch():
    """Buffers for one run."""
    words, records = np.zeros(CHUNK, np.uint64), np.zeros(CHUNK, np.uint64)
    return Scratch(
        words,
        words.view(np.uint32),
        words.view(np.uint16),
        np.zeros(CHUNK, np.uint16),
        np.zeros(CHUNK, np.uint16),
        np.zeros(CHUNK, np.uint32),
        np.zeros(CHUNK, np.uint16),
        np.zeros(CHUNK, np.uint16),
        np.zeros(CHUNK, np.uint32),
        np.zeros(CHUNK, np.uint16),
        np.zeros(CHUNK, np.uint32),
        np.zeros(CHUNK, np.uint32),
        records,
        records.view(np.uint32),
        np.zeros(CHUNK, np.uint16),
    )


@compiled
def padded(count):
    """`count` rounded up to a multiple of WHOLE."""
    return (count + U(WHOLE - 1)) & ~U(WHOLE - 1)


@compiled
def locate(last, begin, uniforms, states, count, slots, coins, indices):
    """Slots and coins: integer part and fraction of V * uniforms[i] / 2^32, the fraction cut to 16 bits.

    indices[i] is the slot's flat index in row last[begin + i]. V * 2^32 does not fit 32 bits, so the uniform
    is multiplied by halves, which gives the same floor.
    """
    wide = np.uint32(states)
    for i in range(count):
        uniform = uniforms[i]
        lower = np.uint32(np.uint32(uniform & SHORT) * wide) >> HALF
        product = np.uint32(np.uint32(np.uint32(uniform >> HALF) * wide) + lower)
        slot = np.uint32(product >> HALF)
        slots[i] = slot
        coins[i] = np.uint16(product & SHORT)
        indices[i] = np.uint32(np.uint32(np.uint32(last[begin + i]) * wide) + slot)


@compiled
def look_up(table, indices, count, found):
    """found[i] = table[indices[i]]: nothing else, so that many cache misses are under way at once."""
    for i in range(count):
        found[i] = table[indices[i]]


@compiled
def select(entries, stride, slots, coins, count, tokens, ties):
    """Keep the slot or take its alias: entries[i * stride] is the alias entry of draw i.

    More bits of the uniform could raise the coin by one in its last place: a tie, then, is a coin at its
    threshold or just below, or one that could carry into the slot.
    """
    for i in range(count):
        entry, coin = entries[i * stride], np.uint32(coins[i])
        threshold = np.uint32(entry & SHORT)
        tokens[i] = np.uint16(slots[i] if coin < threshold else np.uint32(entry >> HALF))
        below = np.uint32(np.uint32(threshold - coin) & SHORT)
        ties[i] = np.uint16((below < NEAR) | (coin == SHORT))


@compiled
def verify(halves, slots, coins, pieces, count, tokens, rejected, ties):
    """`select`, and reject where the chance is not below the acceptance threshold of the token selected.

    halves: uint32 (2 * CHUNK,), the records as pairs (alias entry, acceptance thresholds).
    """
    for i in range(count):
        entry, bars = halves[U2 * i], halves[U2 * i + U1]
        coin, chance = np.uint32(coins[i]), np.uint32(pieces[U2 * count + i])
        threshold = np.uint32(entry & SHORT)
        kept = coin < threshold
        bar = np.uint32(bars & SHORT) if kept else np.uint32(bars >> HALF)
        tokens[i] = np.uint16(slots[i] if kept else np.uint32(entry >> HALF))
        rejected[i] = np.uint16(chance >= bar)
        below = np.uint32(np.uint32(threshold - coin) & SHORT)
        ties[i] = np.uint16((below < NEAR) | (coin == SHORT) | (chance == bar))


@compiled
def any_of(flags, count):
    """Whether one of the first `count` flags is set."""
    union = np.uint16(0)
    for i in range(count):
        union = np.uint16(union | flags[i])
    return union != 0


@compiled
def exact_draw(entries, lows, x, states, uniform, more):
    """(token, position, slot kept?) of a draw whose uniform has the upper 32 bits of `more` as further
    bits."""
    tail = (more >> U32) * states
    product = U(uniform) * states + (tail >> U32)
    index = U(x) * states + (product >> U32)
    coin = ((product & LOW32) << U16) | ((tail & LOW32) >> U16)
    entry = U(entries[index]) & LOW32
    if coin < (((entry & LOW16) << U32) | U(lows[index])):
        return product >> U32, index, True
    return entry >> U16, index, False


@compiled
def mend_draws(entries, lows, last, states, count, scratch, state, tokens):
    """Draw with more bits where the first ones do not decide."""
    for i in range(count):
        if scratch.ties[i]:
            token, _, _ = exact_draw(entries, lows, last[i], states, scratch.uniforms[i], spare_word(state))
            tokens[i] = np.uint16(token)


@compiled
def mend_verified(table, last, begin, states, count, scratch, state):
    """Draw and verify with more bits where the first ones do not decide."""
    for i in range(count):
        if not scratch.ties[i]:
            continue
        x, more = last[begin + U(i)], spare_word(state)
        token, index, kept = exact_draw(table.records, table.lows, x, states, scratch.uniforms[i], more)
        bars = table.records[index] >> U32
        bar = (bars & LOW16) if kept else (bars >> U16)
        needed = (bar << U32) | U(table.acceptance_lows[U(x) * states + token])
        chance = (U(scratch.pieces[U2 * count + U(i)]) << U32) | (more & LOW32)
        scratch.tokens[i] = np.uint16(token)
        scratch.rejected[i] = np.uint16(chance >= needed and needed != _ALWAYS)


@compiled
def draw(table, last, states, count, scratch, state, tokens):
    """tokens[i] ~ the distribution of row last[i], for i < count.

    table: AliasTable of one step. last, tokens: two uint16 arrays of `padded(count)` elements, all of `last`
    legal tokens. states, count: uint64.
    """
    count = padded(count)
    slots, coins, indices, ties = scratch.slots, scratch.coins, scratch.indices, scratch.ties
    fill(state, scratch.words, count // U2)
    locate(last, U0, scratch.uniforms, states, count, slots, coins, indices)
    look_up(table.entries, indices, count, scratch.entries)
    select(scratch.entries, U1, slots, coins, count, tokens, ties)
    if any_of(ties, count):
        mend_draws(table.entries, table.lows, last, states, count, scratch, state, tokens)


@compiled
def draft(table, last, states, count, scratch, state, tokens):
    """`draw` from a DraftTable of one step, without verifying."""
    count = padded(count)
    slots, coins, indices, ties = scratch.slots, scratch.coins, scratch.indices, scratch.ties
    fill(state, scratch.words, count // U2)
    locate(last, U0, scratch.uniforms, states, count, slots, coins, indices)
    look_up(table.records, indices, count, scratch.records)
    select(scratch.halves, U2, slots, coins, count, tokens, ties)
    if any_of(ties, count):
        mend_draws(table.records, table.lows, last, states, count, scratch, state, tokens)


@compiled
def draft_and_verify(table, last, begin, states, count, scratch, state):
    """Draft a token for each trajectory and verify it: fill scratch.tokens and scratch.rejected.

    table: DraftTable of one step. last: uint16, `padded(count)` legal tokens from `begin` on. begin, states,
    count: uint64.
    """
    count = padded(count)
    slots, coins, indices, ties = scratch.slots, scratch.coins, scratch.indices, scratch.ties
    fill(state, scratch.words, U3 * count // U4)
    locate(last, begin, scratch.uniforms, states, count, slots, coins, indices)
    look_up(table.records, indices, count, scratch.records)
    verify(scratch.halves, slots, coins, scratch.pieces, count, scratch.tokens, scratch.rejected, ties)
    if any_of(ties, count):
        mend_verified(table, last, begin, states, count, scratch, state)


@compiled
def choose(flags, count, chosen):
    """Write the positions of the set flags to `chosen`; return how many there are."""
    found = U0
    for i in range(count):
        chosen[found] = np.uint32(i)
        found += U(flags[i])
    return found


@compiled
def gather_origins(last, begin, chosen, count, origins):
    """The last tokens of the chosen trajectories, padded with token 0."""
    for j in range(count):
        origins[j] = last[begin + U(chosen[j])]
    for j in range(count, padded(count)):
        origins[j] = np.uint16(0)


@compiled
def replace(table, last, begin, states, count, scratch, state):
    """Replace the tokens of the first `count` chosen trajectories by draws from `table`."""
    chosen, replacements, tokens = scratch.chosen, scratch.replacements, scratch.tokens
    gather_origins(last, begin, chosen, count, scratch.origins)
    draw(table, scratch.origins, states, count, scratch, state, replacements)
    for j in range(count):
        tokens[chosen[j]] = replacements[j]


@compiled
def advance(last, begin, tokens, count, histogram):
    """Make `tokens` the last ones, from `begin` on, and count them in `histogram`, int64 (4, V)."""
    if histogram.shape[1] <= FEW:
        count_few(tokens, count, histogram)
    else:
        count_many(tokens, count, histogram)
    for i in range(count):
        last[begin + i] = tokens[i]


@compiled
def count_few(tokens, count, histogram):
    """Count each token by comparing all with it: vector instructions, V passes."""
    for y in range(histogram.shape[1]):
        token, found = np.uint16(y), np.uint16(0)
        for i in range(count):
            found = np.uint16(found + np.uint16(tokens[i] == token))
        histogram[0, y] += found


@compiled
def count_many(tokens, count, histogram):
    """Count by incrementing. Neighbours count in different rows: a run of one token would otherwise wait for
    its own increments to come back from the store buffer."""
    first, second, third, fourth = histogram[0], histogram[1], histogram[2], histogram[3]
    whole = count & ~U3
    for i in range(U0, whole, U4):
        first[tokens[i]] += 1
        second[tokens[i + U1]] += 1
        third[tokens[i + U2]] += 1
        fourth[tokens[i + U3]] += 1
    for i in range(whole, count):
        first[tokens[i]] += 1


@compiled
def collect(histogram, counts):
    """Add the four histograms to `counts`, int64 (V,), and clear them."""
    for y in range(counts.size):
        counts[y] += histogram[0, y] + histogram[1, y] + histogram[2, y] + histogram[3, y]
    histogram[:] = 0
