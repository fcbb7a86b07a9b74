"""The oracle of windows itself: the output is the target's, limits that are known, and a case by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest

from simlab.decoders import AdaptiveSpeculative, Autoregressive, ConfidenceSpeculative, Speculative
from tests.decoding.test_windows import NAMES, decoders
from tests.oracles.enumerate import joint_distribution
from tests.oracles.pairs import rational_chains
from tests.oracles.windows import call_distribution, expected_by_position, marginal


def tokens_of(distribution: dict) -> dict:
    return marginal(distribution, lambda tokens, *_: tokens)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("horizon", "states"), [(4, 2), (3, 3), (2, 1), (1, 3)])
def test_the_tokens_follow_the_target_whatever_the_windows(name, horizon, states):
    chains, decoder = rational_chains(horizon, states, seed=7), decoders(horizon, states)[name]
    distribution = call_distribution(*chains, decoder)
    assert sum(distribution.values()) == 1
    assert tokens_of(distribution) == tokens_of(joint_distribution(*chains, Autoregressive()))
    for _, rejected, calls in distribution:
        bonus = sum(accepted == drafted for drafted, accepted in calls) if name not in WITHOUT else 0
        assert sum(accepted for _, accepted in calls) + sum(rejected) + bonus == horizon


WITHOUT = {"1", "2", "adaptive without"}


@pytest.mark.parametrize("seed", range(3))
def test_a_window_to_the_horizon_is_speculative_decoding(seed):
    """With the end of a window, and without: a call may end there, but no token is drawn otherwise."""
    chains = rational_chains(3, 3, seed)
    plain = joint_distribution(*chains, Speculative())
    for window in (1, 2, 3, 5):
        assert joint_distribution(*chains, Speculative(window)) == plain
    ended = marginal(
        call_distribution(*chains, Speculative(3)), lambda t, rejected, c: (sum(rejected), rejected[-1])
    )
    calls = marginal(call_distribution(*chains, Speculative(3)), lambda t, r, calls: len(calls))
    for number in range(1, 4):
        assert calls.get(number, 0) == ended.get((number, True), 0) + ended.get((number - 1, False), 0)


@pytest.mark.parametrize("seed", range(3))
def test_rules_that_say_the_same_have_one_distribution(seed):
    chains = rational_chains(3, 3, seed)
    same = [Speculative(2, bonus=True), AdaptiveSpeculative([[2] * 3] * 3), ConfidenceSpeculative(0.0, 2)]
    distributions = [call_distribution(*chains, decoder) for decoder in same]
    assert distributions[0] == distributions[1] == distributions[2]
    none = call_distribution(*chains, AdaptiveSpeculative([[0] * 3] * 3))
    assert {calls for *_, calls in none} == {((0, 0),) * 3}


def test_two_steps_worked_by_hand():
    """One token is accepted with 1/2 and replaced by token 1 if not; two steps, one drafted token at most."""
    draft, target = [[["3/4", "1/4"]] * 2] * 2, [[["1/4", "3/4"]] * 2] * 2
    distribution = call_distribution(draft, target, [1, 0], Speculative(1, bonus=True))
    half, one = Fraction(1, 2), ((1, 1),)
    assert marginal(distribution, lambda t, rejected, calls: (rejected, calls)) == {
        ((False, False), one): half,  # drafted and accepted, then the bonus token
        ((True, False), ((1, 0), (0, 0))): half,  # rejected; where one token is left none is drafted
    }
    assert distribution[(0, 1), (False, False), one] == Fraction(1, 4) * Fraction(3, 4)
    assert distribution[(1, 0), (True, False), ((1, 0), (0, 0))] == half * Fraction(1, 4)
    places = expected_by_position(distribution, 1)
    assert places == {"drafted": [1], "reached": [1], "accepted": [half]}


def test_a_draft_in_doubt_drafts_on_behind_a_rejection():
    """After token 0 the draft is sure, after token 1 it is not. Both drafted tokens are 0 or the first is 1:
    what is drafted behind a rejected 0 counts, and what is drafted behind a rejected 1 does not exist."""
    sure, unsure = ["3/4", "1/4"], ["1/2", "1/2"]
    draft, target = [[sure, unsure]] * 3, [[["1/4", "3/4"]] * 2] * 3
    distribution = call_distribution(draft, target, [1, 0], ConfidenceSpeculative(0.75, 2))
    first = marginal(distribution, lambda t, r, calls: calls[0])
    assert first == {
        (2, 0): Fraction(1, 2),  # 0 drafted (3/4) and rejected (2/3), another one behind it
        (2, 1): Fraction(1, 4) * Fraction(1, 2),
        (2, 2): Fraction(1, 4) * Fraction(1, 2),
        (1, 1): Fraction(1, 4),  # 1 drafted, always accepted, and then the draft is unsure
    }
