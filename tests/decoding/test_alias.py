"""The packed alias tables: the distribution they give, computed exactly from their bits."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simlab.decoding.core.alias import ALWAYS, acceptance_threshold
from simlab.decoding.core.tables import draft_table, initial_table, residual_table
from tests.strategies import examples, pairs


def law_of(entries, lows) -> list[Fraction]:
    """The exact distribution of one packed row; fails where a token without mass could be drawn by a tie."""
    states = len(entries)
    distribution = [Fraction(0)] * states
    for slot, (entry, low) in enumerate(zip(entries.tolist(), lows.tolist(), strict=True)):
        kept = Fraction(((entry & 0xFFFF) << 32) | low, 2**48)
        distribution[slot] += kept / states
        distribution[entry >> 16] += (1 - kept) / states
    return distribution


def check(weights, entries, lows):
    """The distribution is that of the weights to 2^-46, tokens without mass have none, and the distribution
    sums to 1."""
    distribution = law_of(entries, lows)
    total = sum(map(Fraction, weights))
    assert sum(distribution) == 1
    for weight, mass in zip(weights, distribution, strict=True):
        assert abs(mass - Fraction(weight) / total) < Fraction(1, 2**46)
        if weight == 0:
            assert mass == 0


ADVERSARIAL = [
    [1.0],
    [0.0, 1.0],
    [0.1] * 10,  # sums to 1 - 1e-16
    [0.1] * 10 + [0.0] * 3,
    [0.0] * 3 + [0.1] * 10,
    [1 / 3, 1 / 3, 1 / 3, 0.0],
    [1e-300, 1.0 - 1e-16, 0.0, 1e-17],
    [5e-324, 0.0],
    [0.0] * 499 + [1.0] + [0.0] * 500,
    [2.0**-60] * 64 + [1.0],
    (np.arange(1000) % 7 == 0).astype(float).tolist(),
]


@pytest.mark.parametrize("weights", ADVERSARIAL, ids=lambda weights: f"{len(weights)}-{weights[0]}")
def test_adversarial_rows(weights):
    check(weights, *initial_table(np.array(weights)))


@examples(200)
@given(st.lists(st.floats(0, 1) | st.just(0.0) | st.floats(0, 1e-12), min_size=1, max_size=60).filter(any))
def test_any_row(weights):
    check(weights, *initial_table(np.array(weights)))


@examples(100)
@given(pairs())
def test_draft_and_residual_tables_of_any_pair(pair):
    draft, target, states = pair.draft_rows, pair.target_rows, pair.states
    drafts, residual = draft_table(draft, target), residual_table(draft, target)
    for step in range(len(drafts.records)):
        p, q = draft[min(step, len(draft) - 1)], target[min(step, len(target) - 1)]
        for x in range(states):
            row = slice(x * states, (x + 1) * states)
            halves = drafts.records[step, row].view(np.uint32)
            entries, bars = halves[::2], halves[1::2]
            check(p[x].tolist(), entries, drafts.lows[step, row])
            excess = np.maximum(q[x] - p[x], 0.0)
            if excess.any():
                check(excess.tolist(), residual.entries[step, row], residual.lows[step, row])
            else:  # never used, but legal
                distribution = law_of(residual.entries[step, row], residual.lows[step, row])
                assert all(q[x, y] > 0 for y in range(states) if distribution[y])
            needed = [acceptance_threshold(q[x, y], p[x, y]) for y in range(states)]
            for slot in range(states):
                alias = int(entries[slot]) >> 16
                assert int(bars[slot]) & 0xFFFF == int(needed[slot]) >> 32
                assert int(bars[slot]) >> 16 == int(needed[alias]) >> 32
                assert int(drafts.acceptance_lows[step, row][slot]) == int(needed[slot]) & 0xFFFFFFFF


@given(st.floats(0, 1), st.floats(0, 1))
@example(1 - 2**-53, 1.0)  # rounds to 2^48, which would be more than ALWAYS
def test_acceptance_thresholds(target, draft):
    threshold = int(acceptance_threshold(target, draft))
    if target >= draft:
        assert threshold == ALWAYS
    else:
        assert threshold < ALWAYS
        assert abs(Fraction(threshold, 2**48) - Fraction(target) / Fraction(draft)) <= Fraction(1, 2**47)
    if target == 0 < draft:
        assert threshold == 0
