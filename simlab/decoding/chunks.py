"""The inner loops: one step of CHUNK trajectories at a time, each loop with one thought.

A trajectory's draw is a multiplication, one table look-up that depends on it, and a selection. Done token by
token the processor spends its time on scalar bookkeeping, and at large V it waits for memory. Split into
short loops over a chunk that lives in the L1 cache, the arithmetic becomes vector instructions, and the
look-ups stand in a loop of their own where many cache misses overlap.

The look-ups read entries with 16-bit thresholds (see alias.py). Where 16 bits cannot decide ("a tie", about
once in 65,536 draws) a repair loop decides by all 48.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.decoding.alias import ALWAYS
from simlab.decoding.jit import compiled
from simlab.decoding.randomness import spare_word

CHUNK = 512
"""Trajectories taken through one step together: their scratch stays in the L1 cache."""
U = np.uint64
_0, _1, _16, _32, _48 = U(0), U(1), U(16), U(32), U(48)
_LOW16, _LOW32, _LOW48 = U(0xFFFF), U(0xFFFFFFFF), U(2**48 - 1)
_ALWAYS = U(ALWAYS)
_SHORT, _HALF = np.uint32(0xFFFF), np.uint32(16)


class Scratch(NamedTuple):
    """Buffers of CHUNK elements each."""

    words: np.ndarray  # uint64: random words
    tokens: np.ndarray  # uint16: the tokens of this step
    rejected: np.ndarray  # uint16: 1 where the first draft was rejected
    chosen: np.ndarray  # uint32: places in the chunk of the trajectories to replace
    origins: np.ndarray  # uint16: their last tokens
    replacements: np.ndarray  # uint16: their new tokens
    places: np.ndarray  # uint32: flat index of row and slot
    points: np.ndarray  # uint32: slot << 16 | upper 16 bits of the coin
    found: np.ndarray  # uint32: alias << 16 | upper 16 bits of the threshold
    bars: np.ndarray  # uint32: upper 16 bits of the acceptance thresholds of alias << 16 | slot
    chances: np.ndarray  # uint16: upper 16 bits of the uniform that verifies
    ties: np.ndarray  # uint16: 1 where 16 bits do not decide


@compiled
def new_scratch():
    """Buffers for one run."""
    return Scratch(
        np.empty(CHUNK, np.uint64),
        np.empty(CHUNK, np.uint16),
        np.empty(CHUNK, np.uint16),
        np.empty(CHUNK, np.uint32),
        np.empty(CHUNK, np.uint16),
        np.empty(CHUNK, np.uint16),
        np.empty(CHUNK, np.uint32),
        np.empty(CHUNK, np.uint32),
        np.empty(CHUNK, np.uint32),
        np.empty(CHUNK, np.uint32),
        np.empty(CHUNK, np.uint16),
        np.empty(CHUNK, np.uint16),
    )


@compiled
def locate(last, words, states, count, places, points):
    """Split the upper 48 bits of each word into a slot and a coin: fill `places` and `points`."""
    wide = U(states)
    for i in range(count):
        product = (words[i] >> _16) * wide
        places[i] = np.uint32((U(last[i]) * wide + (product >> _48)) & _LOW32)
        points[i] = np.uint32((product >> _32) & _LOW32)


@compiled
def any_of(flags, count):
    """Whether one of the first `count` flags is set."""
    union = np.uint16(0)
    for i in range(count):
        union = np.uint16(union | flags[i])
    return union != 0


@compiled
def keeps_slot(entry, low, word, states):
    """Whether the word's coin, all 48 bits of it, keeps the slot."""
    coin = ((word >> _16) * U(states)) & _LOW48
    return coin < (((U(entry) & _LOW16) << _32) | U(low))


@compiled
def draw(table, last, states, count, scratch, tokens):
    """tokens[i] ~ the law of row last[i], for i < count, from scratch.words[i].

    table: AliasTable of one step. last, tokens: uint16 of at least `count`; they may be the same array.
    """
    words, places, points = scratch.words, scratch.places, scratch.points
    found, ties, entries = scratch.found, scratch.ties, table.entries
    locate(last, words, states, count, places, points)
    for i in range(count):
        found[i] = entries[places[i]]
    for i in range(count):
        entry, point = found[i], points[i]
        threshold, coin = np.uint32(entry & _SHORT), np.uint32(point & _SHORT)
        tokens[i] = np.uint16(np.uint32(point if coin < threshold else entry) >> _HALF)
        ties[i] = np.uint16(coin == threshold)
    if any_of(ties, count):
        for i in range(count):
            if ties[i]:
                kept = keeps_slot(found[i], table.lows[places[i]], words[i], states)
                tokens[i] = np.uint16(np.uint32(points[i] if kept else found[i]) >> _HALF)


@compiled
def draft_and_verify(table, last, states, count, scratch, state):
    """Draft a token for each trajectory and verify it: fill scratch.tokens and scratch.rejected.

    table: DraftTable of one step. The token comes from the upper 48 bits of scratch.words[i]; the uniform
    that verifies it is fresh: the other 16 bits, and 32 more from the spare lane where those do not decide.
    """
    words, places, points, found = scratch.words, scratch.places, scratch.points, scratch.found
    bars, chances, ties = scratch.bars, scratch.chances, scratch.ties
    tokens, rejected, records = scratch.tokens, scratch.rejected, table.records
    locate(last, words, states, count, places, points)
    for i in range(count):
        record = records[places[i]]
        found[i] = np.uint32(record & _LOW32)
        bars[i] = np.uint32(record >> _32)
    for i in range(count):
        chances[i] = np.uint16(words[i] & _LOW16)
    for i in range(count):
        entry, point, both, chance = found[i], points[i], bars[i], np.uint32(chances[i])
        threshold, coin = np.uint32(entry & _SHORT), np.uint32(point & _SHORT)
        kept = coin < threshold
        bar = np.uint32(both & _SHORT) if kept else np.uint32(both >> _HALF)
        tokens[i] = np.uint16(np.uint32(point if kept else entry) >> _HALF)
        rejected[i] = np.uint16(chance >= bar)
        ties[i] = np.uint16((coin == threshold) | (chance == bar))
    if any_of(ties, count):
        repair(table, last, states, count, scratch, state)


@compiled
def repair(table, last, states, count, scratch, state):
    """Decide by 48 bits the draws and the verifications that 16 bits left open."""
    for i in range(count):
        if not scratch.ties[i]:
            continue
        entry, point, both = scratch.found[i], scratch.points[i], scratch.bars[i]
        kept = keeps_slot(entry, table.lows[scratch.places[i]], scratch.words[i], states)
        token = np.uint16(np.uint32(point if kept else entry) >> _HALF)
        bar = np.uint32(both & _SHORT) if kept else np.uint32(both >> _HALF)
        chance = (U(scratch.chances[i]) << _32) | (spare_word(state) >> _32)
        needed = (U(bar) << _32) | U(table.acceptance_lows[U(last[i]) * U(states) + U(token)])
        scratch.tokens[i] = token
        scratch.rejected[i] = np.uint16(chance >= needed and needed != _ALWAYS)


@compiled
def choose(flags, count, chosen):
    """Write the places of the set flags to `chosen`; return how many there are."""
    found = _0
    for i in range(count):
        chosen[found] = np.uint32(i)
        found += U(flags[i])
    return found


@compiled
def replace(table, last, states, count, scratch):
    """Replace the tokens of the first `count` chosen trajectories by draws from `table` with fresh words."""
    chosen, origins = scratch.chosen, scratch.origins
    replacements, tokens = scratch.replacements, scratch.tokens
    for j in range(count):
        origins[j] = last[chosen[j]]
    draw(table, origins, states, count, scratch, replacements)
    for j in range(count):
        tokens[chosen[j]] = replacements[j]


@compiled
def advance(last, tokens, count, histogram):
    """Make `tokens` the last ones and count them.

    histogram: int64 (4, V). Neighbours count in different rows: a run of one token would otherwise wait for
    its own increments to come back from the store buffer.
    """
    first, second, third, fourth = histogram[0], histogram[1], histogram[2], histogram[3]
    whole = count & ~U(3)
    for i in range(_0, whole, U(4)):
        first[tokens[i]] += 1
        second[tokens[i + _1]] += 1
        third[tokens[i + U(2)]] += 1
        fourth[tokens[i + U(3)]] += 1
    for i in range(whole, count):
        first[tokens[i]] += 1
    for i in range(count):
        last[i] = tokens[i]


@compiled
def collect(histogram, counts):
    """Add the four histograms to `counts`, int64 (V,), and clear them."""
    for y in range(counts.size):
        counts[y] += histogram[0, y] + histogram[1, y] + histogram[2, y] + histogram[3, y]
    histogram[:] = 0
