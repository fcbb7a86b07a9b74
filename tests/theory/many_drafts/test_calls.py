"""What decoding with several children at each position takes, against brute force in exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simlab
from simlab.decoders import RULES, MultiDraftSpeculative, call_sizes, longest_window
from simlab.errors import SimlabError
from simlab.theory.dispatch import (
    expected_rejections_per_position,
    expected_target_calls,
    expected_time,
)
from simlab.theory.many_drafts import RULES as KNOWN
from tests.oracles.many_drafts import call_distribution
from tests.oracles.pairs import as_pair, rational_chains
from tests.oracles.windows import expected_by_position, marginal
from tests.strategies import examples, pairs

KINDS = [(rule, replacement) for rule in RULES for replacement in (True, False)]
KINDS.remove(("k-seq", False))
COST = simlab.CostModel(draft=0.1, target={1: 1.0, 4: 1.2, 8: 2.0}, draft_call=0.3)


def exact(value):
    return pytest.approx(float(value), rel=0, abs=1e-12)


@pytest.mark.parametrize(("rule", "replacement"), KINDS)
@pytest.mark.parametrize("bonus", [True, False])
def test_predictions_are_the_enumerations(rule, replacement, bonus):
    for horizon, states, zeros, drafts in [
        (3, 3, 0.3, (3, 1, 2)),
        (4, 2, 0.0, (2, 2)),
        (2, 4, 0.5, (2, 1, 1)),
        (1, 3, 0.2, (2,)),
    ]:
        chains = rational_chains(horizon, states, seed=11, zeros=zeros)
        decoder, pair = MultiDraftSpeculative(drafts, rule, replacement, bonus), as_pair(*chains)
        distribution, found = call_distribution(*chains, decoder), simlab.predict(pair, decoder)
        rejections = marginal(distribution, lambda tokens, rejected, calls: sum(rejected))
        calls = marginal(distribution, lambda tokens, rejected, calls: len(calls))
        for n in range(horizon + 1):
            assert found.rejections_pmf[n] == exact(rejections.get(n, 0))
            assert found.target_calls_pmf[n] == exact(calls.get(n, 0))
        for t in range(horizon):
            at = marginal(distribution, lambda tokens, rejected, calls, t=t: rejected[t])
            assert found.rejections_per_position[t] == exact(at.get(True, 0))
            tokens = marginal(distribution, lambda tokens, rejected, calls, t=t: tokens[t])
            assert found.token_marginals[t] == pytest.approx(
                [float(tokens.get(y, 0)) for y in range(states)], abs=1e-12
            )
        longest = longest_window(decoder, horizon)
        for name, values in expected_by_position(distribution, longest).items():
            assert list(getattr(found, f"{name}_by_position")) == [exact(value) for value in values]
        sizes = [int(size) for size in call_sizes(decoder, longest)]
        drafted = sum(
            (mass * sum(sizes[g] for g, _ in calls) for (_, _, calls), mass in distribution.items()),
            Fraction(0),
        )
        assert found.expected_drafted_tokens == exact(drafted)


@examples(20)
@given(
    pair=pairs(),
    kind=st.sampled_from(KINDS),
    drafts=st.lists(st.integers(1, 3), min_size=1),
    bonus=st.booleans(),
)
def test_the_means_from_the_end_backwards_are_those_of_the_distributions(pair, kind, drafts, bonus):
    decoder = MultiDraftSpeculative(drafts, *kind, bonus)
    found = simlab.predict(pair, decoder)
    assert found.rejections_pmf.sum() == pytest.approx(1, abs=1e-12)
    counts = np.arange(pair.horizon + 1)
    assert found.rejections_pmf @ counts == pytest.approx(found.expected_rejections, abs=1e-12)
    calls = pair.initial @ expected_target_calls(pair, decoder)[0]
    assert calls == pytest.approx(found.expected_target_calls, abs=1e-12)
    time = pair.initial @ expected_time(pair, decoder, COST)[0]
    assert time == pytest.approx(COST.expected_time(found), rel=1e-12)
    per_position = expected_rejections_per_position(pair, decoder)
    assert per_position == pytest.approx(found.rejections_per_position, abs=1e-12)
    assert found.calls_by_drafted.sum() == pytest.approx(calls, abs=1e-12)


@pytest.mark.parametrize("drafts", [1, 2, 4, 9])
@pytest.mark.parametrize("make", [simlab.pairs.paper, simlab.pairs.mixture], ids=["paper", "mixture"])
def test_drafts_of_one_to_the_horizon_are_batch_decoding(drafts, make):
    pair = make(horizon=12)
    many = simlab.predict(pair, MultiDraftSpeculative((drafts, *[1] * 11), bonus=False))
    batch = simlab.predict(pair, simlab.BatchSpeculative(drafts))
    for name in ("rejections_pmf", "target_calls_pmf", "rejections_per_position", "token_marginals"):
        assert getattr(many, name) == pytest.approx(getattr(batch, name), rel=0, abs=1e-12)
    for name in ("drafted", "reached", "accepted"):
        name = f"{name}_by_position"
        assert getattr(many, name) == pytest.approx(getattr(batch, name), rel=0, abs=1e-12)
    for name in ("variance", "acceleration", "expected_drafted_tokens", "expected_accepted_tokens"):
        assert getattr(many, name) == pytest.approx(getattr(batch, name), rel=1e-12)
    for cost in (simlab.CostModel(), COST):
        assert cost.expected_time(many) == pytest.approx(cost.expected_time(batch), rel=1e-12)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "match"])
@pytest.mark.parametrize("window", [1, 3])
def test_one_child_a_position_is_speculative_decoding(rule, window):
    pair = simlab.pairs.mixture(horizon=8)
    for bonus in (True, False):
        many = simlab.predict(pair, MultiDraftSpeculative((1,) * window, rule, bonus=bonus))
        one = simlab.predict(pair, simlab.Speculative(window, bonus))
        assert many.rejections_pmf == pytest.approx(one.rejections_pmf, abs=1e-12)
        assert many.target_calls_pmf == pytest.approx(one.target_calls_pmf, abs=1e-12)
        assert COST.expected_time(many) == pytest.approx(COST.expected_time(one), rel=1e-12)


@pytest.mark.statistical
def test_a_call_costs_what_its_whole_tree_does():
    pair, decoder = simlab.pairs.paper(9), MultiDraftSpeculative((4, 2, 1))
    found = simlab.predict(pair, decoder)
    assert list(call_sizes(decoder, 3)) == [0, 4, 12, 20]
    time = found.calls_by_drafted @ COST.call_time(np.array([0, 4, 12, 20]))
    assert COST.expected_time(found) == pytest.approx(time, rel=1e-12)
    counts = simlab.simulate(pair, decoder, trajectories=4000, seed=1)
    assert list(counts.call_sizes) == [0, 4, 12, 20]
    mean = counts.drafted_tokens @ np.arange(len(counts.drafted_tokens)) / 4000
    assert counts.mean_drafted_tokens == pytest.approx(mean, rel=1e-12)
    time = counts.calls_by_drafted @ COST.call_time(counts.call_sizes) / 4000
    assert COST.expected_time(counts) == pytest.approx(time, rel=1e-12)


def test_the_theory_knows_the_rules_of_the_settings():
    assert tuple(KNOWN) == RULES


def test_the_acceleration_is_there_where_calls_reach_the_horizon():
    pair = simlab.pairs.paper(4)
    assert math.isnan(simlab.predict(pair, MultiDraftSpeculative((2, 1, 1), bonus=False)).acceleration)
    assert math.isnan(simlab.predict(pair, MultiDraftSpeculative((2, 1, 1, 1))).acceleration)
    assert simlab.predict(pair, MultiDraftSpeculative((2, 1, 1, 1), bonus=False)).acceleration > 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"drafts": (4, 0, 1)}, r"drafts\[1\] = 0 is not valid; expected a whole number of at least 1"),
        ({"drafts": (2.5,)}, r"drafts\[0\] = 2.5 is not valid; expected a whole number"),
        (
            {"drafts": ()},
            r"drafts = \(\) is not valid; expected a whole number of at least 1 for each position",
        ),
        ({"drafts": 4}, r"drafts = 4 is not valid; expected .* such as \[4, 2, 1\]"),
        ({"rule": "best"}, r"no rule 'best': known are recursive, k-seq, optimal, match, greedy"),
        ({"rule": "k-seq", "replacement": False}, "its gamma is for independent children"),
        ({"bonus": 1}, "bonus = 1 is not valid; expected true or false"),
        ({"replacement": None}, "replacement = None is not valid; expected true or false"),
    ],
)
def test_settings_that_are_none_are_told_in_one_line(arguments, told):
    with pytest.raises(SimlabError, match=told) as caught:
        MultiDraftSpeculative(**arguments)
    assert "\n" not in str(caught.value)


def test_recursive_rejection_of_distinct_children_says_what_too_many_would_take():
    pair = simlab.pairs.softmax(horizon=2, states=300, stationary=True)
    with pytest.raises(SimlabError, match="give fewer drafts or fewer tokens"):
        simlab.predict(pair, MultiDraftSpeculative((4,), replacement=False))
