"""The mending of ties and the later tries of batch decoding, bit by bit against Python integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simlab.decoders import BatchSpeculative
from simlab.decoding import build_tables
from simlab.decoding.batch import try_again
from simlab.decoding.core.alias import ALWAYS
from simlab.decoding.core.chunks import CHUNK, U, mend_draws, mend_verified, new_scratch, padded
from simlab.decoding.core.randomness import BATCH, LANES, seed_state
from simlab.decoding.core.tables import AliasTable, DraftTable
from tests.decoding.model import MASK, Lane, drafting, expected_draw, expected_tokens, random_table
from tests.decoding.test_simulate import paper
from tests.strategies import examples

LOW32 = 0xFFFFFFFF
NEITHER = 7
"""What a buffer holds before a call that must not write there: neither a flag nor a token."""


def aimed(word):
    """A state whose next spare word is `word`: rotating s3 by 23 positions gives it, as s0 = 0."""
    state = seed_state(np.random.SeedSequence(0))
    state[:, LANES] = 0, 1, 2, (word >> 23) | ((word << 41) & MASK)
    return state


def random_needed(random, size):
    """Acceptance thresholds of 48 bits, the extreme ones among them."""
    needed = random.integers(0, 2**48, size, dtype=np.uint64)
    extremes = np.array([0, ALWAYS - 1, ALWAYS, 0xFFFF << 32, LOW32], np.uint64)
    return np.where(random.random(size) < 0.3, random.choice(extremes, size), needed)


@examples(300)
@given(
    states=st.integers(1, 6),
    seed=st.integers(0, 2**32),
    uniform=st.integers(0, LOW32),
    more=st.integers(0, MASK),
    upper=st.integers(0, 0xFFFF) | st.just(0xFFFF),
    above=st.sampled_from([-1, 0, 1, None]),
)
@example(states=3, seed=1, uniform=2**31, more=MASK, upper=0xFFFF, above=0)  # chance = needed = ALWAYS
@example(states=3, seed=1, uniform=2**31, more=MASK - 1, upper=0xFFFF, above=0)  # needed = ALWAYS - 1
@example(states=3, seed=1, uniform=2**31, more=MASK - 1, upper=0xFFFF, above=1)  # ALWAYS, chance just below
@example(states=3, seed=1, uniform=2**31, more=MASK, upper=0xFFFF, above=-1)
@example(states=3, seed=1, uniform=2**31, more=LOW32 << 32, upper=9, above=0)  # the lower bits are all zeros
def test_a_tie_is_verified_to_48_bits(states, seed, uniform, more, upper, above):
    """The chance is at the threshold, next to it, or (above = None) anywhere."""
    alias, random, x, i = random_table(states, seed), np.random.default_rng(seed), seed % states, seed % 32
    token, _, _ = expected_draw(alias, x, states, uniform, more)
    chance = upper << 32 | more & LOW32
    needed = random_needed(random, states**2)
    if above is not None:
        needed[x * states + token] = min(max(chance + above, 0), ALWAYS)
    scratch, last = new_scratch(), np.zeros(40, np.uint16)
    scratch.ties[i], scratch.uniforms[i], scratch.pieces[64 + i], last[8 + i] = 1, uniform, upper, x
    scratch.tokens[:], scratch.rejected[:] = NEITHER, NEITHER
    mend_verified(drafting(alias, needed), last, U(8), U(states), U(32), scratch, aimed(more))
    bar = int(needed[x * states + token])
    assert scratch.tokens[i] == token
    assert scratch.rejected[i] == (chance >= bar and bar != ALWAYS)
    assert (np.delete(scratch.tokens, i) == NEITHER).all()
    assert (np.delete(scratch.rejected, i) == NEITHER).all()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("states", [1, 3, 50])
def test_every_tie_takes_a_word_of_its_own(states, seed):
    """A whole chunk of ties on random words, each chance in the first 16 bits of its threshold."""
    alias, random = random_table(states, seed), np.random.default_rng(seed)
    needed = random_needed(random, states**2)
    table, scratch = drafting(alias, needed), new_scratch()
    state = seed_state(np.random.SeedSequence(seed))
    spare, copy = Lane(state[:, LANES]), state.copy()
    last = random.integers(0, states, CHUNK).astype(np.uint16)
    scratch.ties[:] = 1
    scratch.words[:] = random.integers(0, MASK, CHUNK, np.uint64, endpoint=True)
    tokens, rejected = [], []
    for i, x in enumerate(last.tolist()):
        more = spare.word()
        token, _, _ = expected_draw(alias, x, states, int(scratch.uniforms[i]), more)
        bar = int(needed[x * states + token])
        scratch.pieces[2 * CHUNK + i] = bar >> 32
        tokens.append(token)
        rejected.append((bar >> 32 << 32 | more & LOW32) >= bar and bar != ALWAYS)
    mend_verified(table, last, U(0), U(states), U(CHUNK), scratch, state)
    assert scratch.tokens.tolist() == tokens
    assert scratch.rejected.tolist() == rejected
    for entries in alias.entries, table.records:
        mended = np.zeros(CHUNK, np.uint16)
        mend_draws(entries, table.lows, last, U(states), U(CHUNK), scratch, copy.copy(), mended)
        assert mended.tolist() == tokens


def words_of(lanes, count):
    """What `fill` writes for `count` words."""
    return [lanes[lane].word() for _ in range(-(-count // BATCH) * BATCH // LANES) for lane in range(LANES)]


@pytest.mark.parametrize("count", [1, 31, 700, CHUNK])
@pytest.mark.parametrize("m", [0, 1])
def test_another_try_drafts_and_verifies_with_words_of_its_own(count, m):
    states, begin, random = 5, 64, np.random.default_rng(count)
    tables = build_tables(paper(1, states), BatchSpeculative(3))
    table = DraftTable(*(part[0] for part in tables.drafts))
    ratios, limits = tables.ratios[0], tables.limits[0]
    alias = AliasTable(table.records.view(np.uint32)[::2].copy(), table.lows)
    state, scratch = seed_state(np.random.SeedSequence(count)), new_scratch()
    lanes = [Lane(state[:, lane]) for lane in range(LANES + 1)]
    last = random.integers(0, states, begin + CHUNK).astype(np.uint16)
    places = np.sort(random.permutation(CHUNK)[:count])
    failures = np.zeros(CHUNK, np.uint32)
    failures[:count] = places
    scratch.tokens[:], scratch.rejected[:] = NEITHER, NEITHER
    tokens, rejected = scratch.tokens.copy(), scratch.rejected.copy()
    for place, (token, failed) in expected_tries(alias, ratios, limits[:, m], last, begin, places, lanes):
        tokens[place], rejected[place] = token, failed
    args = last, U(begin), U(states), failures, U(count), scratch, state
    still = try_again(table, ratios, limits, m, *args)
    assert np.array_equal(scratch.tokens, tokens)
    assert np.array_equal(scratch.rejected, rejected)
    assert failures[:still].tolist() == [place for place in places if rejected[place]]
    assert state.T.tolist() == [lane.s for lane in lanes]


def expected_tries(alias, ratios, limits, last, begin, places, lanes):
    """(position, (token, failed)) of one more try of each trajectory; limits: (V, 2) of this try."""
    states, count = len(limits), len(places)
    origins = np.zeros(padded(U(count)), np.uint16)  # the padding is drawn for too: its ties take spare words
    origins[:count] = last[begin + places]
    words = np.array(words_of(lanes, len(origins) // 2), np.uint64)
    drafted, _ = expected_tokens(alias, origins, words.view(np.uint32)[: len(origins)], lanes[LANES].word)
    levels = words_of(lanes, count)
    for j, place in enumerate(places):
        x, token = int(origins[j]), int(drafted[j])
        spent, reached = limits[x].tolist()
        yield place, (token, spent + (levels[j] >> 11) / 2**53 * reached >= ratios[x * states + token])
