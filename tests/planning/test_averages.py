"""Plans from one average: exact at the window it was measured with, a bracket and a guess elsewhere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simlab
from simlab import CostModel
from simlab.planning.averages import acceptance_of, tokens_by_window
from simlab.planning.measured import bracket_beyond, continued
from simlab.theory import memoryless

falling = st.lists(st.floats(0, 1), min_size=1, max_size=8).map(lambda rates: np.sort(rates)[::-1])


@given(falling, st.integers(1, 8))
def test_the_bracket_holds_the_tokens_of_all_falling_rates(rates, window):
    window = min(window, len(rates))
    tokens = memoryless.from_rates(rates)
    low, guess, high = tokens_by_window(float(tokens[window]), window, len(rates))
    assert (low <= tokens + 1e-12).all() and (tokens <= high + 1e-12).all()
    assert (low <= guess).all() and (guess <= high).all()
    assert low[window] == high[window] == tokens[window]


@given(st.integers(1, 8), st.floats(0, 1), st.integers(1, 8))
def test_the_ends_of_the_bracket_are_reached(window, share, at):
    """All rates equal, and all mass early, have the same sum."""
    gained = share * window
    low, _, high = tokens_by_window(1 + gained, window, window)
    at = min(at, window)
    equal = memoryless.from_rates(np.full(window, share))
    early = memoryless.from_rates(np.clip(gained - np.arange(window), 0, 1))
    assert low[at] == pytest.approx(equal[at], abs=1e-12)
    assert high[at] == pytest.approx(early[at], abs=1e-12)


@given(st.floats(0, 1), st.integers(1, 12))
def test_the_geometric_acceptance_comes_back(acceptance, window):
    found = acceptance_of(memoryless.tokens_per_call(acceptance, window), window)
    assert memoryless.tokens_per_call(found, window) == pytest.approx(
        memoryless.tokens_per_call(acceptance, window), abs=1e-12
    )


@given(falling, st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_beyond_what_was_measured_all_falling_rates_are_in_the_bracket(rates, shares):
    further = rates[-1] * np.cumprod(shares)
    tokens, sure = memoryless.from_rates(np.concatenate([rates, further])), memoryless.from_rates(rates)
    low, high = bracket_beyond(sure, sure, len(shares))
    guess = memoryless.from_rates(continued(rates, len(shares)))
    for inside in (tokens, guess):
        assert (low <= inside + 1e-12).all() and (inside <= high + 1e-12).all()


def test_a_logged_rate_is_not_the_acceptance_of_the_formula():
    """Field: rates .805, .632, .483 log accepted over drafted .64; taken for the acceptance it says 1.23."""
    cost, rates = CostModel(10.35, 30.74), [0.805, 0.632, 0.483]
    exact = simlab.plan(rates=rates, cost=cost)
    logged = simlab.plan(acceptance_rate=sum(rates) / 3, window=3, cost=cost)
    wrong = simlab.plan(acceptance=sum(rates) / 3, cost=cost)
    assert logged.speedup[3] == pytest.approx(exact.speedup[3], rel=1e-12)
    assert logged.low[2] <= exact.speedup[2] <= logged.high[2]
    assert wrong.best_speedup < 1.25 < 1.45 < logged.best_speedup
    assert "accepted over drafted" in str(logged) and "this is what acceptance= takes" in str(logged)
    same = simlab.plan(mean_length=1 + sum(rates), window=3, cost=cost)
    np.testing.assert_allclose(same.speedup, logged.speedup, rtol=1e-12)


def test_a_plan_from_the_acceptance_of_the_formula_says_that_it_is_not_what_engines_log():
    plan = simlab.plan(acceptance=0.644, cost=CostModel(10.35, 30.74))
    assert plan.best_speedup == pytest.approx(1.23, abs=5e-3)
    assert any("a logged rate of 0.644" in line and "acceptance_rate=" in line for line in plan.remarks)
    assert "acceptance_rate=" in str(plan)


def test_longer_windows_than_measured_are_a_labelled_guess():
    plan = simlab.plan(rates=[0.8, 0.6, 0.4], longest=5)
    rates = [0.8, 0.6, 0.4, 0.4 * 2 / 3, 0.4 * 4 / 9]
    np.testing.assert_allclose(plan.tokens_per_call, 1 + np.cumsum([0, *rates]))
    assert plan.low[3] == plan.high[3] == plan.speedup[3] and plan.low[5] < plan.speedup[5] < plan.high[5]
    assert "windows 4 and 5 were not measured" in str(plan) and "bracket" in str(plan)
