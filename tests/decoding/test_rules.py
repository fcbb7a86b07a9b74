"""The compiled samplers of rules: their joint distribution against enumeration; spoilt rules are caught."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import simlab
from simlab import RuleSpeculative, rules
from simlab.decoders import on_pair
from simlab.decoders.rule_tables import made_tables
from simlab.decoding import build_tables, sample_paths
from simlab.decoding.simulate import record_paths
from simlab.evidence import mean_verdict, total_variation_verdict
from simlab.theory import sequence_total_variation
from tests.oracles.acceptance import call_distribution
from tests.oracles.enumerate import joint_distribution
from tests.oracles.pairs import as_pair, rational_chains
from tests.oracles.statistics import mismatches, outcomes
from tests.oracles.windows import marginal
from tests.rules.examples import EVERY, WINDOWS, named

N = 200_000


@pytest.mark.statistical
@pytest.mark.parametrize("settings", WINDOWS, ids=named)
@pytest.mark.parametrize("rule", EVERY, ids=named)
def test_the_sampler_follows_the_joint_distribution_and_a_spoilt_rule_does_not(rule, settings):
    chains = rational_chains(2, 3, seed=11, zeros=0.15)
    pair, decoder = as_pair(*chains), RuleSpeculative(rule, **settings)
    distribution = joint_distribution(*chains, decoder)
    paths = sample_paths(pair, decoder, N, seed=5)
    assert not mismatches(distribution, outcomes(paths.tokens, paths.rejected))
    tables = on_pair(decoder, pair).rule
    spoilt = made_tables(
        "spoilt", {}, True, pair.digest, tables.proposed, 0.95 * tables.accept + 0.025,
        np.array(tables.replacement) + 0.01,
    )  # fmt: skip
    wrong = build_tables(pair, RuleSpeculative(spoilt, **settings))
    paths = record_paths(wrong, N, np.random.SeedSequence(1))
    assert mismatches(distribution, outcomes(paths.tokens, paths.rejected))


@pytest.mark.statistical
@pytest.mark.parametrize("settings", WINDOWS[1:], ids=named)
def test_calls_and_drafted_tokens_are_counted(settings):
    chains = rational_chains(3, 3, seed=2)
    for rule in (rules.Typical(0.2, 0.6), rules.GreedyMatch()):
        decoder = RuleSpeculative(rule, **settings)
        counts = simlab.simulate(as_pair(*chains), decoder, trajectories=N, seed=3)
        distribution = call_distribution(*chains, decoder)
        for histogram, of in (
            (counts.target_calls, lambda y, r, calls: len(calls)),
            (counts.drafted_tokens, lambda y, r, calls: sum(drafted for drafted, _ in calls)),
            (counts.rejections, lambda y, r, calls: sum(r)),
        ):
            found = Counter({n: int(count) for n, count in enumerate(histogram) if count})
            assert not mismatches(marginal(distribution, of), found)


@pytest.mark.statistical
@pytest.mark.parametrize("rule", [rules.Typical(), rules.Lenient(0.7), rules.TokenMatch()], ids=named)
def test_the_simulated_bias_of_sequences_is_the_exact_one(rule):
    pair, decoder = simlab.pairs.mixture(6, states=5), RuleSpeculative(rule)
    counts = simlab.simulate(pair, decoder, trajectories=N, seed=4)
    bracket = sequence_total_variation(pair, decoder)
    verdict = total_variation_verdict("TV", counts.deviations, *bracket, resolution=0.02)
    assert verdict.status == "PASS"
    exact = simlab.predict(pair, decoder).expected_rejections
    assert mean_verdict("mean", counts.rejections, exact, resolution=0.1).status == "PASS"


def test_speculative_decoding_as_a_rule_draws_the_very_same_tokens():
    """The same tables, from another road: the same random numbers give the same trajectories."""
    pair = simlab.pairs.paper(8)
    for settings in ({}, {"window": 3, "bonus": True}):
        ours = sample_paths(pair, RuleSpeculative(rules.Speculative(), **settings), 500, seed=1)
        theirs = sample_paths(pair, simlab.Speculative(**settings), 500, seed=1)
        assert (ours.tokens != theirs.tokens).mean() < 0.01  # thresholds may differ in the 48th bit
        assert (ours.rejected != theirs.rejected).mean() < 0.01
