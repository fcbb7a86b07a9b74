"""Windows with a memory in plain Python: tokens, rejections and calls jointly against brute force."""

from __future__ import annotations

import random
from collections import Counter

import pytest

import simlab
from simlab.reference.draws import draw
from simlab.reference.memory import decode_calls
from tests.oracles.pairs import as_pair, rational_chains
from tests.oracles.rules import RULES
from tests.oracles.statistics import mismatches
from tests.oracles.windows import call_distribution

N = 4_000


def sampled(chains, decoder) -> Counter:
    pair, rng = as_pair(*chains), random.Random(7)
    draft, target, initial = (part.tolist() for part in (pair.draft, pair.target, pair.initial))
    sample: Counter = Counter()
    for _ in range(N):
        tokens, rejected, calls = decode_calls(draft, target, draw(initial, rng), decoder, rng)
        sample[tuple(tokens), tuple(rejected), tuple(map(tuple, calls))] += 1
    return sample


@pytest.mark.parametrize(
    "name",
    [name if name == "history" else pytest.param(name, marks=pytest.mark.statistical) for name in RULES],
)
def test_the_reference_follows_the_distribution_of_tokens_and_calls(name):
    chains = rational_chains(5, 2, seed=5)
    assert not mismatches(call_distribution(*chains, RULES[name]), sampled(chains, RULES[name]))


@pytest.mark.statistical
@pytest.mark.parametrize(("one", "other"), [("history", "history far"), ("streak", "ema")])
def test_another_rule_is_caught(one, other):
    chains = rational_chains(5, 2, seed=5)
    assert mismatches(call_distribution(*chains, RULES[one]), sampled(chains, RULES[other]))


def test_a_trace_shows_the_windows_move():
    """Equal models accept every token: 5, then 7, then 9 drafted, each with its bonus token."""
    pair = simlab.pairs.paper(horizon=30)
    same = simlab.ChainPair(pair.target, pair.target, pair.initial)
    calls = simlab.trace_one(same, simlab.HistorySpeculative(), seed=1).calls
    assert [len(call.drafted) for call in calls] == [5, 7, 9, 5]
    assert all(call.bonus is not None for call in calls)
