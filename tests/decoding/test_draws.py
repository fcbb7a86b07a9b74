"""Random words, draws and verifications, bit by bit against unbounded Python integers."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simlab.decoding.chunks import CHUNK, U, draft_and_verify, draw, exact_draw, locate, new_scratch, select
from simlab.decoding.randomness import BATCH, LANES, fill, seed_state, spare_word
from simlab.decoding.tables import AliasTable, DraftTable, alias_table, draft_table

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


def test_the_published_first_words():
    lane = Lane([1, 2, 3, 4])  # the reference implementation's output for this state
    assert [lane.word() for _ in range(3)] == [41943041, 58720359, 3588806011781223]


def test_the_lanes_are_xoshiro():
    state = seed_state(np.random.SeedSequence(3))
    lanes = [Lane(state[:, lane]) for lane in range(LANES + 1)]
    words = np.zeros(4 * BATCH, np.uint64)
    for count in (4 * BATCH, BATCH - 5, 1):
        words[:] = 0
        fill(state, words, U(count))
        made = -(-count // BATCH) * BATCH
        expected = [lanes[lane].word() for _ in range(made // LANES) for lane in range(LANES)]
        # Each lane takes its steps in order: batch by batch, two rows of LANES words.
        assert words[:made].tolist() == expected
        assert not words[made:].any()
    assert [int(spare_word(state)) for _ in range(5)] == [lanes[LANES].word() for _ in range(5)]


def test_no_two_lanes_or_seeds_start_alike():
    states = np.concatenate([seed_state(np.random.SeedSequence(n)).T for n in range(50)])
    assert len(np.unique(states, axis=0)) == len(states)


@settings(deadline=None)
@given(st.integers(1, 65536), st.lists(st.integers(0, 2**32 - 1), min_size=32, max_size=32))
@example(65536, [2**32 - 1] * 32)
@example(7, [(k << 32) // 7 + d for k in (1, 2, 3, 4) for d in range(-4, 4)])
def test_slots_and_coins_are_the_product_to_16_bits_below_a_carry(states, uniforms):
    last = np.full(32, states - 1, np.uint16)
    slots, coins, places = np.zeros(32, np.uint32), np.zeros(32, np.uint16), np.zeros(32, np.uint32)
    locate(last, U(0), np.array(uniforms, np.uint32), U(states), U(32), slots, coins, places)
    drawn = slots.tolist(), coins.tolist(), places.tolist()
    for uniform, slot, coin, place in zip(uniforms, *drawn, strict=True):
        least, most = uniform * states >> 16, ((uniform << 32 | 0xFFFFFFFF) * states) >> 48
        assert slot << 16 | coin == least
        assert place == (states - 1) * states + slot
        assert most - least in (0, 1)  # so that a tie is a coin at its threshold or one below, or all ones


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**16 - 1), min_size=32, max_size=32), st.integers(-2, 2))
def test_a_draw_is_tied_wherever_a_carry_could_change_it(thresholds, offset):
    coins = np.array(thresholds, np.uint16) + np.uint16(offset % 2**16)
    entries, slots = np.array(thresholds, np.uint32) | np.uint32(9 << 16), np.full(32, 4, np.uint32)
    tokens, ties = np.zeros(32, np.uint16), np.zeros(32, np.uint16)
    select(entries, U(1), slots, coins, U(32), tokens, ties)
    drawn = coins.tolist(), tokens.tolist(), ties.tolist()
    for threshold, coin, token, tie in zip(thresholds, *drawn, strict=True):
        assert token == (4 if coin < threshold else 9)
        assert tie == (coin in (threshold, threshold - 1, 0xFFFF) or (threshold, coin) == (0, 0xFFFF))


@settings(deadline=None)
@given(
    st.integers(1, 40),
    st.integers(0, 2**32 - 1),
    st.integers(0, MASK),
    st.integers(0, 2**32),
)
def test_the_exact_draw_uses_all_bits(states, uniform, more, seed):
    table = random_table(states, seed)
    x = seed % states
    drawn = exact_draw(*table, np.uint16(x), U(states), np.uint32(uniform), U(more))
    assert [int(part) for part in drawn] == list(expected_draw(table, x, states, uniform, more))


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


ROUNDS = 60  # times 4096 draws: enough for some tens of ties


def test_draws_are_exact_with_and_without_ties():
    states, ties = 3, 0
    table, scratch = random_table(states, 5), new_scratch()
    state = seed_state(np.random.SeedSequence(8))
    last = (np.arange(CHUNK) % states).astype(np.uint16)
    for _ in range(ROUNDS):
        spare = Lane(state[:, LANES])
        tokens = np.zeros(CHUNK, np.uint16)
        draw(table, last, U(states), U(CHUNK), scratch, state, tokens)
        uniforms = scratch.uniforms[:CHUNK].astype(np.uint64)
        slots, coins = split(uniforms, states)
        entries = table.entries[last * states + slots.astype(int)]
        expected = np.where(coins < (entries & 0xFFFF), slots, entries >> 16)
        tied = undecided(coins, entries)
        for i in np.flatnonzero(tied):
            expected[i] = expected_draw(table, int(last[i]), states, int(uniforms[i]), spare.word())[0]
        assert np.array_equal(tokens, expected)
        ties += tied.sum()
    assert ties >= 2


def test_verifications_are_exact_with_and_without_ties():
    states, ties = 3, 0
    draft, target = np.random.default_rng(4).dirichlet(np.ones(states), size=(2, 1, states))
    table = DraftTable(*(array[0] for array in draft_table(draft, target)))
    halves = table.records.view(np.uint32)
    entries_of, bars_of = halves[::2], halves[1::2]
    alias = AliasTable(entries_of, table.lows)
    scratch, state = new_scratch(), seed_state(np.random.SeedSequence(9))
    last = (np.arange(CHUNK) % states).astype(np.uint16)
    for _ in range(ROUNDS):
        spare = Lane(state[:, LANES])
        draft_and_verify(table, last, U(0), U(states), U(CHUNK), scratch, state)
        uniforms = scratch.uniforms[:CHUNK].astype(np.uint64)
        chances = scratch.pieces[2 * CHUNK : 3 * CHUNK]
        slots, coins = split(uniforms, states)
        places = last * states + slots.astype(int)
        entries, bars = entries_of[places], bars_of[places]
        kept = coins < (entries & 0xFFFF)
        tokens = np.where(kept, slots, entries >> 16)
        bar = np.where(kept, bars & 0xFFFF, bars >> 16)
        rejected = chances >= bar
        tied = undecided(coins, entries) | (chances == bar)
        for i in np.flatnonzero(tied):
            x, more = int(last[i]), spare.word()
            token, place, kept_slot = expected_draw(alias, x, states, int(uniforms[i]), more)
            bar_bits = int(bars_of[place]) & 0xFFFF if kept_slot else int(bars_of[place]) >> 16
            needed = bar_bits << 32 | int(table.acceptance_lows[x * states + token])
            tokens[i] = token
            rejected[i] = (int(chances[i]) << 32 | more & 0xFFFFFFFF) >= needed and needed != 2**48 - 1
        assert np.array_equal(scratch.tokens, tokens)
        assert np.array_equal(scratch.rejected, rejected)
        ties += tied.sum()
    assert ties >= 2
