"""Random words, draws and verifications, bit by bit against unbounded Python integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simlab.decoding.core.chunks import (
    CHUNK,
    U,
    draft,
    draft_and_verify,
    draw,
    exact_draw,
    locate,
    new_scratch,
    select,
)
from simlab.decoding.core.randomness import BATCH, LANES, fill, seed_state, spare_word
from simlab.decoding.core.tables import AliasTable, DraftTable, draft_table
from tests.decoding.model import (
    MASK,
    Lane,
    drafting,
    expected_draw,
    expected_tokens,
    random_table,
    split,
    undecided,
)


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
    """The second generator's lanes included; the first generator is the same with it and without."""
    seeds = [np.random.SeedSequence(n) for n in range(50)]
    pairs = [seed_state(seed, generators=2) for seed in seeds]
    states = np.concatenate([part.T for pair in pairs for part in (pair[:4], pair[4:])])
    assert len(np.unique(states, axis=0)) == len(states) == 100 * (LANES + 1)
    for seed, pair in zip(seeds, pairs, strict=True):
        assert np.array_equal(seed_state(seed), pair[:4])


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


ROUNDS = 60  # times 4096 draws: enough for some tens of ties


@pytest.mark.parametrize("sampler", [draw, draft])
def test_draws_are_exact_with_and_without_ties(sampler):
    states, ties = 3, 0
    alias, scratch = random_table(states, 5), new_scratch()
    table = alias if sampler is draw else drafting(alias, np.zeros(states**2, np.uint64))
    state = seed_state(np.random.SeedSequence(8))
    last = (np.arange(CHUNK) % states).astype(np.uint16)
    for _ in range(ROUNDS):
        spare = Lane(state[:, LANES])
        tokens = np.zeros(CHUNK, np.uint16)
        sampler(table, last, U(states), U(CHUNK), scratch, state, tokens)
        expected, tied = expected_tokens(alias, last, scratch.uniforms[:CHUNK], spare.word)
        assert np.array_equal(tokens, expected)
        ties += tied
    assert ties >= 2


@pytest.mark.parametrize("sampler", [draw, draft])
def test_ties_by_the_thousand_are_mended(sampler):
    """Each threshold begins with the 16 bits of a coin that will be thrown at it: about half of them turn."""
    states, random = 64, np.random.default_rng(1)
    state, scratch = seed_state(np.random.SeedSequence(1)), new_scratch()
    fill(state.copy(), scratch.words, U(CHUNK // 2))
    last = random.integers(0, states, CHUNK).astype(np.uint16)
    slots, coins = split(scratch.uniforms[:CHUNK].astype(np.uint64), states)
    entries = random.integers(0, states, states**2).astype(np.uint32) << np.uint32(16)
    for place, coin in zip((last * states + slots.astype(int)).tolist(), coins.tolist(), strict=True):
        entries[place] = entries[place] >> 16 << 16 | coin
    alias = AliasTable(entries, random.integers(0, 2**32, states**2).astype(np.uint32))
    table = alias if sampler is draw else drafting(alias, np.zeros(states**2, np.uint64))
    expected, ties = expected_tokens(alias, last, scratch.uniforms[:CHUNK], Lane(state[:, LANES]).word)
    tokens = np.zeros(CHUNK, np.uint16)
    sampler(table, last, U(states), U(CHUNK), scratch, state, tokens)
    assert np.array_equal(tokens, expected)
    assert ties > CHUNK / 2


def test_verifications_are_exact_with_and_without_ties():
    states, ties = 3, 0
    rows = np.random.default_rng(4).dirichlet(np.ones(states), size=(2, 1, states))
    table = DraftTable(*(array[0] for array in draft_table(*rows)))
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
