"""Random 64-bit words: xoshiro256++ (Blackman and Vigna 2021) in interleaved lanes.

The lanes advance together, so that the compiler turns the loop into vector instructions. Every lane starts
from its own words of numpy's SeedSequence. Integer arithmetic only: the words are the same on every machine.
"""

from __future__ import annotations

import numpy as np

from simlab.decoding.core.bits import U
from simlab.jit import compiled, inlined

LANES = 32
BATCH = 2 * LANES
"""Words come in batches: each lane takes two steps between loading and storing its state."""
_17, _19, _23, _41, _45 = U(17), U(19), U(23), U(41), U(45)


def seed_state(seed: np.random.SeedSequence, generators: int = 1) -> np.ndarray:
    """The states of so many generators, one below the other, uint64 (4 * generators, LANES + 1).

    The last lane is the spare one of `spare_word`. The first generator is the same whatever their number.
    """
    return seed.generate_state(4 * generators * (LANES + 1), np.uint64).reshape(-1, LANES + 1)


@inlined
def next_word(s0, s1, s2, s3):
    """One step of one lane: its word and its new state."""
    mixed = s0 + s3
    word = ((mixed << _23) | (mixed >> _41)) + s0
    shifted = s1 << _17
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= shifted
    return word, s0, s1, s2, (s3 << _45) | (s3 >> _19)


@compiled
def fill(state, words, count):
    """Write at least `count` fresh words to `words`, whose size is a multiple of BATCH."""
    first, second, third, fourth = state[0], state[1], state[2], state[3]
    for start in range(U(0), count, U(BATCH)):
        # With the start in a slice, not in the index, the compiler can tell that the loop may be vectorised.
        early, late = words[start : start + U(LANES)], words[start + U(LANES) : start + U(BATCH)]
        for lane in range(LANES):
            s0, s1, s2, s3 = first[lane], second[lane], third[lane], fourth[lane]
            early[lane], s0, s1, s2, s3 = next_word(s0, s1, s2, s3)
            late[lane], s0, s1, s2, s3 = next_word(s0, s1, s2, s3)
            first[lane], second[lane], third[lane], fourth[lane] = s0, s1, s2, s3


@compiled
def spare_word(state):
    """One fresh word of the spare lane: for the few draws that need more bits than their word has."""
    word, s0, s1, s2, s3 = next_word(state[0, LANES], state[1, LANES], state[2, LANES], state[3, LANES])
    state[0, LANES], state[1, LANES], state[2, LANES], state[3, LANES] = s0, s1, s2, s3
    return word
