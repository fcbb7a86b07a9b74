"""Windows with a memory, exactly: against brute force call by call, and where other theory says the same."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given

import simlab
from simlab.decoders import AdaptiveSpeculative, HistorySpeculative, Speculative, StreakSpeculative
from simlab.theory import expected_rejections_per_position, expected_target_calls, expected_time
from tests.oracles.pairs import rational_chains
from tests.oracles.rules import RULES
from tests.oracles.windows import call_distribution, marginal
from tests.strategies import examples, pairs
from tests.test_memory import rules
from tests.theory.test_windows import _compare_with_brute_force


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(("horizon", "states", "seed"), [(1, 2, 0), (5, 1, 1), (6, 2, 3), (4, 3, 5)])
def test_equals_brute_force_over_calls(name, horizon, states, seed):
    _compare_with_brute_force(rational_chains(horizon, states, seed), RULES[name])


@pytest.mark.parametrize("name", ["history", "ema"])
@pytest.mark.parametrize("kind", ["equal", "disjoint"])
def test_equals_brute_force_on_odd_pairs(name, kind):
    """Where all drafted tokens are accepted, and where none is."""
    draft, target, initial = rational_chains(5, 2, 6)
    if kind == "disjoint":
        draft = [[[Fraction(1), Fraction(0)]] * 2] * 5
        target = [[[Fraction(0), Fraction(1)]] * 2] * 5
    else:
        draft = target
    _compare_with_brute_force((draft, target, initial), RULES[name])


def test_the_tokens_follow_the_target_whatever_is_remembered():
    chains = rational_chains(5, 2, 4)
    alone = marginal(call_distribution(*chains, AdaptiveSpeculative([[0, 0]] * 5)), lambda tokens, *_: tokens)
    for rule in RULES.values():
        assert marginal(call_distribution(*chains, rule), lambda tokens, *_: tokens) == alone


def test_two_calls_worked_by_hand():
    """Each token is accepted with 1/2, four of them; 1 drafted, then 2 or 1, by Hugging Face's heuristic.

    Accepted (1/2): two tokens, then a call with room for one token, accepted or not: 2 calls, or 3 where it
    is rejected. Rejected: one token; then a call of one: accepted it leaves one token, for one call, and
    rejected two, for one call more or two.
    """
    half = [[[Fraction(3, 4), Fraction(1, 4)]] * 2] * 4, [[[Fraction(1, 4), Fraction(3, 4)]] * 2] * 4
    found = simlab.predict(
        simlab.ChainPair(*(np.array(part, float) for part in half), np.array([1.0, 0.0])),
        HistorySpeculative(start=1, longest=2),
    )
    wanted = [0, 0, 1 / 4, 1 / 4 + 1 / 4 + 1 / 8, 1 / 8]
    np.testing.assert_allclose(found.target_calls_pmf, wanted, atol=1e-15)


@examples(40)
@given(pairs(most_steps=7), rules())
def test_the_parts_of_a_prediction_agree(pair, rule):
    found, counts = simlab.predict(pair, rule), np.arange(pair.horizon + 1)
    assert found.target_calls_pmf.sum() == pytest.approx(1, abs=1e-12)
    assert found.rejections_pmf.sum() == pytest.approx(1, abs=1e-12)
    assert found.rejections_pmf @ counts == pytest.approx(found.expected_rejections, abs=1e-12)
    assert found.calls_by_drafted.sum() == pytest.approx(found.expected_target_calls, abs=1e-12)
    kept = found.expected_accepted_tokens + found.expected_target_calls
    assert kept == pytest.approx(pair.horizon, abs=1e-12)  # a call gives its accepted tokens and one more
    rejected = expected_rejections_per_position(pair, rule)
    np.testing.assert_allclose(rejected, found.rejections_per_position, atol=1e-12)
    calls = pair.initial @ expected_target_calls(pair, rule)[0]
    assert calls == pytest.approx(found.expected_target_calls, abs=1e-12)
    staircase = simlab.CostModel(draft=0.1, target=[1.0, 1.0, 2.5], draft_call=0.2, overhead=0.1)
    time = pair.initial @ expected_time(pair, rule, staircase)[0]
    assert time == pytest.approx(staircase.expected_time(found), abs=1e-12)


@pytest.mark.parametrize(
    "still", [HistorySpeculative(3, 0, 0), StreakSpeculative(3, streak=99), HistorySpeculative(3, 9, 9, 3, 3)]
)
def test_a_rule_that_does_not_move_is_a_fixed_window(still):
    pair = simlab.pairs.corpus(horizon=12)
    one, other = simlab.predict(pair, still), simlab.predict(pair, Speculative(3, bonus=True))
    for name in ("target_calls_pmf", "rejections_pmf", "rejections_per_position"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-13)
    longest = len(one.drafted_by_position)
    for name in ("drafted_by_position", "reached_by_position", "accepted_by_position"):
        padded = np.pad(getattr(other, name), (0, longest - 3))
        np.testing.assert_allclose(getattr(one, name), padded, atol=1e-13)


def test_no_rule_beats_the_optimal_policy():
    """What follows a start depends on position and token alone, so that memory cannot help."""
    pair, cost = simlab.pairs.paper(horizon=12), simlab.CostModel(0.1, 1.0)
    policy = AdaptiveSpeculative(simlab.optimal_policy(pair, cost))
    least = cost.expected_time(simlab.predict(pair, policy))
    for rule in RULES.values():
        assert cost.expected_time(simlab.predict(pair, rule)) >= least - 1e-12
