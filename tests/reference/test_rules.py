"""The reference of rules of acceptance against brute force; a rule that is off is caught."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from simlab import RuleSpeculative, reference, rules
from tests.oracles.enumerate import joint_distribution
from tests.oracles.pairs import as_pair, rational_chains
from tests.oracles.statistics import mismatches
from tests.rules.examples import EVERY, WINDOWS, named

N = 10_000
CASES = [(rule, WINDOWS[3]) for rule in EVERY] + [(rule, WINDOWS[0]) for rule in EVERY[-3:]]


def cells(paths):
    return Counter((tuple(tokens), tuple(rejected)) for tokens, rejected in paths)


@pytest.mark.statistical
@pytest.mark.parametrize(("rule", "settings"), CASES, ids=named)
def test_the_reference_follows_the_joint_distribution(rule, settings):
    chains, decoder = rational_chains(2, 3, seed=6), RuleSpeculative(rule, **settings)
    paths = reference.simulate(as_pair(*chains), decoder, N, random.Random(9))
    assert not mismatches(joint_distribution(*chains, decoder), cells(paths))


@pytest.mark.statistical
def test_another_leniency_is_caught():
    chains = rational_chains(2, 3, seed=6, zeros=0.0)
    paths = reference.simulate(as_pair(*chains), RuleSpeculative(rules.Lenient(0.6)), N, random.Random(9))
    assert mismatches(joint_distribution(*chains, RuleSpeculative(rules.Lenient(0.8))), cells(paths))
