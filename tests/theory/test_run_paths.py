"""Texts that a decoder wrote towards a horizon, some ended early: against every outcome in fractions."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.theory.paths import count_pmf, path_means, run_rule, window_rule
from tests.strategies import examples

EIGHTHS = st.lists(st.integers(0, 8), min_size=1, max_size=7)


def outcomes(accept: list[Fraction], window: int | None, bonus: bool, horizon: int) -> Counter:
    """P(calls, rejections | path), by following every call token by token as a decoder does."""
    found: Counter = Counter()

    def call(at: int, chance: Fraction, calls: int, rejections: int) -> None:
        if at == len(accept):
            found[calls, rejections] += chance
            return
        most = horizon - at - int(bonus)
        verify(at, most if window is None else min(window, most), chance, calls + 1, rejections)

    def verify(at: int, left: int, chance: Fraction, calls: int, rejections: int) -> None:
        if not chance:
            return
        if at == len(accept) or not left:
            call(min(at + int(bonus), len(accept)), chance, calls, rejections)
            return
        verify(at + 1, left - 1, chance * accept[at], calls, rejections)
        call(at + 1, chance * (1 - accept[at]), calls, rejections + 1)

    call(0, Fraction(1), 0, 0)
    return found


@pytest.mark.parametrize(("window", "bonus"), [(None, False), (1, True), (2, True), (4, True), (3, False)])
@given(paths=st.lists(EIGHTHS, min_size=1, max_size=3), more=st.integers(0, 3))
@examples(30)
def test_calls_and_rejections_of_texts_that_ended_early(window, bonus, paths, more):
    horizon = max(map(len, paths)) + more
    accept = np.concatenate(paths) / 8
    offsets = np.concatenate([[0], np.cumsum([len(path) for path in paths])])
    rule = run_rule(offsets, window, bonus, horizon)
    told = [outcomes([Fraction(a, 8) for a in path], window, bonus, horizon) for path in paths]
    means = path_means(accept, accept, rule, offsets, np.ones(len(paths)))
    for index, (name, of_calls) in enumerate((("calls", True), ("rejections", False))):
        for row, one in enumerate(told):
            expected = float(sum(chance * counts[index] for counts, chance in one.items()))
            assert getattr(means, name)[row] == pytest.approx(expected, abs=1e-12)
        pmf = count_pmf(accept, accept, rule, offsets, np.full(len(paths), 1 / len(paths)), of_calls=of_calls)
        exact = np.zeros(len(pmf))
        for one in told:
            for counts, chance in one.items():
                exact[counts[index]] += float(chance) / len(paths)
        assert pmf == pytest.approx(exact, abs=1e-12)


def test_a_text_that_fills_the_horizon_is_that_of_a_trace():
    offsets = np.array([0, 5, 8])
    for window, bonus in ((None, False), (2, True), (9, True)):
        ours, theirs = run_rule(offsets[:2], window, bonus, 5), window_rule(offsets[:2], window, bonus)
        assert np.array_equal(ours.drafted, theirs.drafted) and ours.longest == theirs.longest
    assert run_rule(offsets, 2, True, 5).drafted.tolist() == [2, 2, 2, 1, 0, 2, 2, 1]
