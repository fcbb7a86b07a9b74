"""Rules of acceptance: exact predictions against enumeration, and against the decoders that they equal."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from math import log

import numpy as np
import pytest
from hypothesis import given

import simlab
from simlab import RuleSpeculative, rules
from simlab.decoders import longest_window
from simlab.theory import expected_rejections_per_position, expected_target_calls, sequence_total_variation
from tests.oracles.acceptance import call_distribution
from tests.oracles.enumerate import joint_distribution
from tests.oracles.pairs import as_pair, rational_chains
from tests.oracles.windows import expected_by_position, marginal
from tests.rules.examples import EXACT, NAMED, SOME_QUICK, WINDOWS, named
from tests.strategies import examples, pairs

FIELDS = (
    "rejections_pmf", "expected_rejections", "variance", "rejections_per_position", "target_calls_pmf",
    "expected_target_calls", "token_marginals", "output_chain", "sequence_kl", "drafted_by_position",
    "reached_by_position", "accepted_by_position", "expected_drafted_tokens", "bias_per_position",
)  # fmt: skip


@pytest.mark.parametrize("settings", WINDOWS, ids=named)
@pytest.mark.parametrize("rule", SOME_QUICK, ids=named)
def test_predictions_agree_with_enumeration(rule, settings):
    horizon, states = 3, 3
    for seed in (1, 2):
        chains = rational_chains(horizon, states, seed=seed)
        decoder = RuleSpeculative(rule, **settings)
        exact = simlab.predict(as_pair(*chains), decoder)
        distribution = call_distribution(*chains, decoder)

        def histogram(of, size, distribution=distribution):
            found = np.zeros(size)
            for value, mass in marginal(distribution, of).items():
                found[value] += float(mass)
            return found

        sizes = horizon + 1
        assert exact.rejections_pmf == pytest.approx(histogram(lambda y, r, c: sum(r), sizes), abs=1e-12)
        assert exact.target_calls_pmf == pytest.approx(histogram(lambda y, r, c: len(c), sizes), abs=1e-12)
        for t in range(horizon):
            tokens = histogram(lambda y, r, c, t=t: y[t], states)
            assert exact.token_marginals[t] == pytest.approx(tokens, abs=1e-12)
            rejected = histogram(lambda y, r, c, t=t: int(r[t]), 2)[1]
            assert exact.rejections_per_position[t] == pytest.approx(rejected, abs=1e-12)
        longest = longest_window(decoder, horizon)
        for name, wanted in expected_by_position(distribution, longest).items():
            found = getattr(exact, f"{name}_by_position")
            assert found == pytest.approx(np.array(wanted, float), abs=1e-12), name
        assert expected_rejections_per_position(as_pair(*chains), decoder) == pytest.approx(
            exact.rejections_per_position, abs=1e-12
        )
        calls = expected_target_calls(as_pair(*chains), decoder)
        assert float(as_pair(*chains).initial @ calls[0]) == pytest.approx(
            exact.expected_target_calls, abs=1e-12
        )


@pytest.mark.parametrize("settings", WINDOWS, ids=named)
@pytest.mark.parametrize("rule", SOME_QUICK, ids=named)
def test_the_bias_of_sequences_agrees_with_enumeration(rule, settings):
    draft, target, initial = rational_chains(3, 2, seed=4, zeros=0.2)
    decoder, pair = RuleSpeculative(rule, **settings), as_pair(draft, target, initial)
    variation, divergence, possible = Fraction(0), 0.0, True
    for x, start in enumerate(initial):
        given_x = [Fraction(int(x == z)) for z in range(2)]
        both = defaultdict(lambda: [Fraction(0)] * 2)
        for side, each in enumerate((decoder, simlab.Autoregressive())):
            for (tokens, _), mass in joint_distribution(draft, target, given_x, each).items():
                both[tokens] = [part + mass * (side == n) for n, part in enumerate(both[tokens])]
        for k, q in both.values():
            variation += start * max(k - q, Fraction(0))
            possible &= not (start and k) or q > 0
            divergence += float(start * k) * log(k / q) if k and q else 0.0
    bracket = sequence_total_variation(pair, decoder)
    assert bracket == pytest.approx((float(variation),) * 2, abs=1e-12)
    exact = simlab.predict(pair, decoder)
    assert exact.sequence_kl == (pytest.approx(divergence, abs=1e-12) if possible else np.inf)
    # The total variation is at most the sum of the biases step by step; equal for one token.
    first = sequence_total_variation(pair.with_horizon(1), decoder)
    if not decoder.bonus:
        assert exact.bias_per_position[0] == pytest.approx(first.middle, abs=1e-12)
        assert bracket.low <= exact.bias_per_position.sum() + 1e-12


@pytest.mark.parametrize(
    "name", ["paper", *(pytest.param(name, marks=pytest.mark.statistical) for name in ("mixture", "corpus"))]
)
@pytest.mark.parametrize(
    ("rule", "settings", "known"),
    [
        (rules.Speculative(), {}, simlab.Speculative()),
        (rules.Lenient(1.0), {}, simlab.Speculative()),
        (rules.OverAcceptance(0, "residual"), {}, simlab.BiasedSpeculative(0, "residual")),
        (rules.Speculative(), {"window": 3}, simlab.Speculative(3)),
        (rules.Speculative(), {"window": 4, "bonus": True}, simlab.Speculative(4, True)),
        (rules.Speculative(), {"bonus": True}, simlab.Speculative(bonus=True)),
        *(
            (rules.OverAcceptance(e, how), {}, simlab.BiasedSpeculative(e, how))
            for e, how in (
                (0.03, "optimal"),
                (0.2, "target"),
                (0.1, "draft"),
                (1.0, "optimal"),
                (0, "target"),
            )
        ),
    ],
    ids=named,
)
def test_rules_that_are_known_decoders_have_their_numbers(name, rule, settings, known):
    pair = {
        "paper": simlab.pairs.paper,
        "mixture": simlab.pairs.mixture,
        "corpus": lambda n: simlab.pairs.corpus(horizon=n, max_states=30),
    }[name](12)
    decoder = RuleSpeculative(rule, **settings)
    exact, wanted = simlab.predict(pair, decoder), simlab.predict(pair, known)
    for field in FIELDS:
        assert getattr(exact, field) == pytest.approx(getattr(wanted, field), abs=1e-14, rel=1e-14), field
    short = pair.with_horizon(2)
    brackets = sequence_total_variation(short, decoder), sequence_total_variation(short, known)
    assert brackets[0] == pytest.approx(brackets[1], abs=1e-14)


@pytest.mark.statistical
@pytest.mark.parametrize("settings", WINDOWS, ids=named)
@given(pair=pairs())
@examples(10)
def test_unbiased_rules_have_the_target_itself_as_their_output(pair, settings):
    for rule in EXACT:
        exact = simlab.predict(pair, RuleSpeculative(rule, **settings))
        assert exact.output_chain is pair.target and exact.sequence_kl == 0
        assert not exact.bias_per_position.any()
        assert sequence_total_variation(pair, RuleSpeculative(rule, **settings)) == (0, 0)
        least = simlab.predict(pair, simlab.Speculative(**settings)).expected_rejections
        if not settings and not hasattr(rule, "propose"):  # Theorem 2: of tokens from the draft
            assert exact.expected_rejections >= least - 1e-12


def test_matching_tokens_is_exact_for_every_proposal_and_rejects_more():
    draft, target = np.array([0.6, 0.3, 0.1]), np.array([0.1, 0.6, 0.3])
    pair = simlab.ChainPair.stationary([draft] * 3, [target] * 3, [1, 0, 0], 1)
    rejected = {
        rule: simlab.predict(pair, RuleSpeculative(rule)).expected_rejections
        for rule in (rules.TokenMatch(), rules.GreedyMatch(), rules.Speculative())
    }
    assert rejected[rules.TokenMatch()] == pytest.approx(1 - draft @ target, abs=1e-15)
    assert rejected[rules.GreedyMatch()] == pytest.approx(1 - target[0], abs=1e-15)
    assert rejected[rules.Speculative()] == pytest.approx(0.5, abs=1e-15)


@pytest.mark.statistical
@pytest.mark.parametrize("rule", NAMED, ids=named)
def test_with_the_bonus_token_the_bracket_holds_what_enumeration_finds(rule, monkeypatch):
    """Few numbers at a time force the bounds: of the first tokens, and of the chains that show more."""
    from simlab.theory.rules import hidden

    pair, decoder = simlab.pairs.paper(5, states=3), RuleSpeculative(rule, window=2, bonus=True)
    exact = sequence_total_variation(pair, decoder)
    assert exact.low == exact.high
    monkeypatch.setattr(hidden, "ENUMERATED", 81)
    chains = sequence_total_variation(pair, decoder)
    monkeypatch.setattr(hidden, "LARGEST", 1)
    summed = sequence_total_variation(pair, decoder)
    for bracket in (chains, summed):
        assert bracket.low <= exact.low + 1e-12 and exact.high <= bracket.high + 1e-12
    assert chains.high <= summed.high + 1e-12


def test_an_assumed_draft_that_moves_makes_a_pair_that_does_not_move_move():
    draft, target, initial = rational_chains(1, 3, seed=3)
    believed, _, _ = rational_chains(3, 3, seed=5)
    chains = draft * 3, target * 3, initial
    rows = np.array(believed, dtype=object).astype(float)
    for settings in WINDOWS:
        decoder = RuleSpeculative(rules.Speculative(), **settings, assumed_draft=rows)
        exact, distribution = simlab.predict(as_pair(*chains), decoder), call_distribution(*chains, decoder)
        for t in range(3):
            tokens = marginal(distribution, lambda y, r, c, t=t: y[t])
            wanted = [float(tokens.get(y, 0)) for y in range(3)]
            assert exact.token_marginals[t] == pytest.approx(wanted, abs=1e-12)
