"""`CostModel`: its parts by hand, and expected times against whole algorithms, in fractions."""

from __future__ import annotations

import dataclasses
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab import CostModel, Policy, SimlabError, predict, simulate
from simlab.cost import TimeTable
from simlab.decoders import (
    AdaptiveSpeculative,
    Autoregressive,
    BatchSpeculative,
    BlockSpeculative,
    ConfidenceSpeculative,
    Speculative,
    TreeSpeculative,
)
from simlab.pairs import paper
from simlab.theory import best_threshold, best_window, expected_time, memoryless, optimal_policy, window_times
from tests.oracles.pairs import as_pair, rational_chains
from tests.oracles.windows import call_distribution, marginal
from tests.strategies import examples

STAIRS = [Fraction(2), Fraction(9, 4), Fraction(9, 4), Fraction(5), Fraction(41, 8)]


def call_time(drafted: int, load: int) -> Fraction:
    """What `COST` says of a call, written out once more, in fractions."""

    def forward(tokens: int) -> Fraction:
        if tokens <= len(STAIRS):
            return STAIRS[tokens - 1]
        return STAIRS[-1] + (tokens - len(STAIRS)) * (STAIRS[-1] - STAIRS[-2])

    each = Fraction(1, 4) + Fraction(1, 8) * load  # {1: 3/8, 3: 5/8}
    fixed = Fraction(1, 2) + (Fraction(3, 4) if drafted else 0)
    return drafted * each + forward(load * (drafted + 1)) + fixed


def cost_at(load: int) -> CostModel:
    target = [float(time) for time in STAIRS]
    return CostModel({1: 0.375, 3: 0.625}, target, draft_call=0.75, overhead=0.5, concurrency=load)


def brute_time(chains, decoder, load: int) -> Fraction:
    """E[time], call by call, over every path of the whole algorithm."""
    law = call_distribution(*chains, decoder)
    times = {calls: sum(call_time(drafted, load) for drafted, _ in calls) for _, _, calls in law}
    return sum(mass * times[calls] for (_, _, calls), mass in law.items())


DECODERS = {
    "1": Speculative(1, True),
    "2": Speculative(2, True),
    "3": Speculative(3, True),
    "2 without bonus": Speculative(2),
    "confident": ConfidenceSpeculative(0.6, 3),
    "adaptive": AdaptiveSpeculative(Policy(np.array([[2, 1], [0, 2], [1, 0], [0, 0]]), True)),
}


@pytest.mark.parametrize("load", [1, 2, 5])
@pytest.mark.parametrize("name", DECODERS)
def test_expected_times_are_those_of_the_whole_algorithm_in_fractions(name, load):
    chains, cost, decoder = rational_chains(4, 2, seed=5), cost_at(load), DECODERS[name]
    pair, exact = as_pair(*chains), brute_time(chains, decoder, load)
    prediction = predict(pair, decoder)
    assert cost.expected_time(prediction) == pytest.approx(float(exact), rel=1e-12)
    assert expected_time(pair, decoder, cost)[0] @ pair.initial == pytest.approx(float(exact), rel=1e-12)
    alone = 4 * call_time(0, load) - 4 * Fraction(1, 2)
    assert cost.speedup(prediction) == pytest.approx(float(alone / exact), rel=1e-12)
    assert cost.throughput(prediction) == pytest.approx(float(4 * load / exact), rel=1e-12)


@pytest.mark.parametrize("name", DECODERS)
def test_calls_by_drafted_tokens_are_those_of_the_whole_algorithm(name):
    chains, decoder = rational_chains(4, 2, seed=8), DECODERS[name]
    law = call_distribution(*chains, decoder)
    found = predict(as_pair(*chains), decoder).calls_by_drafted
    exact = np.zeros(len(found))
    for number in range(len(found)):
        counts = marginal(law, lambda t, r, calls, n=number: sum(drafted == n for drafted, _ in calls))
        exact[number] = float(sum(count * mass for count, mass in counts.items()))
    assert found == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("load", [1, 2])
@pytest.mark.parametrize("seed", [1, 2])
def test_best_windows_and_policies_are_the_best_of_all_of_them(seed, load):
    """Over every window, and every policy of windows by position and last token, in fractions."""
    chains, cost = rational_chains(3, 2, seed), cost_at(load)
    pair, alone = as_pair(*chains), 3 * (call_time(0, load) - Fraction(1, 2))
    times = [alone, *(brute_time(chains, Speculative(window, True), load) for window in (1, 2))]
    assert window_times(pair, cost) == pytest.approx([float(time) for time in times], rel=1e-12)
    assert best_window(pair, cost).window == times.index(min(times))
    rows = itertools.product(*([range(3)] * 2 + [range(2)] * 2))
    policies = [Policy(np.array([row[:2], row[2:], (0, 0)]), True) for row in rows]
    best = min(brute_time(chains, AdaptiveSpeculative(policy), load) for policy in policies)
    policy = optimal_policy(pair, cost)
    assert brute_time(chains, AdaptiveSpeculative(policy), load) == pytest.approx(best, rel=1e-12)


def test_the_best_threshold_is_the_best_of_those_in_fractions():
    chains, cost = rational_chains(4, 2, seed=5), cost_at(1)
    best = best_threshold(as_pair(*chains), cost, window=3)
    for threshold, time in zip(best.thresholds.tolist(), best.times.tolist(), strict=True):
        exact = brute_time(chains, ConfidenceSpeculative(threshold, 3), 1)
        assert time == pytest.approx(float(exact), rel=1e-12)
    assert best.time == pytest.approx(best.times.min(), rel=1e-12)


def test_block_verification_takes_what_its_calls_take():
    pair, cost = paper(horizon=9), cost_at(2)
    for decoder in (BlockSpeculative(3), Speculative(3, True), ConfidenceSpeculative(0.3, 4)):
        backwards = expected_time(pair, decoder, cost)[0] @ pair.initial
        assert backwards == pytest.approx(cost.expected_time(predict(pair, decoder)), rel=1e-12)


def test_the_cost_of_a_number_is_the_old_one():
    cost = CostModel(0.3, 2.0)
    assert cost.is_flat
    assert cost.call_time(4) == 0.3 * 4 + 2.0
    for decoder in (Speculative(3, True), Speculative(), BatchSpeculative(2), Autoregressive()):
        exact = predict(paper(horizon=6), decoder)
        drafted, calls = exact.expected_drafted_tokens, exact.expected_target_calls
        assert cost.expected_time(exact) == pytest.approx(0.3 * drafted + 2 * calls, rel=1e-13)
        assert exact.calls_by_drafted.sum() == pytest.approx(calls, rel=1e-12)
        assert exact.calls_by_drafted @ np.arange(len(exact.calls_by_drafted)) == pytest.approx(
            drafted / max(decoder.drafts_per_call, 1), rel=1e-12
        )
        table = CostModel(0.3, [2.0])
        assert table.expected_time(exact) == pytest.approx(cost.expected_time(exact), rel=1e-12)


def test_autoregressive_decoding_pays_no_overhead():
    cost = CostModel(1.0, [3.0, 4.0], draft_call=2.0, overhead=5.0, concurrency=2)
    exact = predict(paper(horizon=6), Autoregressive())
    assert exact.calls_by_drafted.tolist() == [6.0]
    assert (cost.alone, cost.expected_time(exact), cost.speedup(exact)) == (4.0, 24.0, 1.0)
    assert cost.call_time(0) == 9.0
    assert cost.call_time(np.arange(3)).tolist() == [9.0, 1 + 6 + 2 + 5, 2 + 8 + 2 + 5]


@pytest.mark.parametrize("name", DECODERS)
def test_counts_have_the_same_histogram(name):
    pair, decoder = as_pair(*rational_chains(4, 2, seed=5)), DECODERS[name]
    counts = simulate(pair, decoder, trajectories=2000, seed=1)
    found = counts.calls_by_drafted
    assert found.dtype == np.int64
    assert found.min() >= 0
    assert found.sum() == counts.calls
    assert found @ np.arange(len(found)) == counts.drafted_tokens @ np.arange(len(counts.drafted_tokens))
    cost = cost_at(1)
    assert cost.expected_time(counts) == pytest.approx(cost.time_of_calls(found) / 2000, rel=1e-12)
    assert cost.expected_time(counts) == pytest.approx(cost.expected_time(predict(pair, decoder)), rel=0.1)


def test_trees_have_no_such_histogram():
    exact = predict(paper(horizon=4), TreeSpeculative(2))
    assert exact.calls_by_drafted.shape == (0,)
    with pytest.raises(SimlabError, match="is not predicted"):
        cost_at(1).expected_time(exact)


def test_tables_are_linear_between_and_go_on_with_the_last_slope():
    table = CostModel(target={1: 2.0, 5: 4.0, 6: 7.0}).target
    assert table.at(np.array([1, 3, 5, 6, 8])).tolist() == [2.0, 3.0, 4.0, 7.0, 13.0]
    assert CostModel(target={1: 5}).target.at(100) == 5.0
    assert CostModel(target={"base": 300, "per_token": 109}).target.at(4) == 736.0
    assert CostModel(target={"relative": [1, 0.75], "time": 4}).target.at(2) == 6.0
    assert CostModel(target=np.array([1.0, 2.0])) == CostModel(target={1: 1, 2: 2})
    assert CostModel(target=TimeTable((1, 2), (1.0, 2.0))) == CostModel(target=[1, 2])


def test_costs_are_frozen_and_hashable_and_know_their_load():
    cost = CostModel([0.5, 0.75], [2.0, 3.0], draft_call=1.0)
    assert hash(cost) == hash(CostModel((0.5, 0.75), {1: 2.0, 2: 3.0}, 1.0))
    with pytest.raises(dataclasses.FrozenInstanceError):
        cost.overhead = 1.0
    assert cost.at_load(2).drafted == 0.75
    assert cost.at_load(2).ratio == 0.75 / 3
    assert CostModel(0.5, [2.0, 3.0]).at_load(2).drafted == 0.5
    assert dataclasses.replace(cost, concurrency=3) == cost.at_load(3)


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        ({"target": []}, "cost.target: the table is empty"),
        ({"target": {}}, "cost.target: the table is empty|give "),
        ({"target": [1, 0]}, "cost.target of 2 tokens = 0 is not valid; expected a finite number > 0"),
        ({"target": [1, math.inf]}, "cost.target of 2 tokens = inf"),
        ({"target": [1, math.nan]}, "cost.target of 2 tokens = nan"),
        ({"target": {4: 1, 2: 1}}, "2 tokens come after 4"),
        ({"target": {0: 1, 2: 1}}, "cost.target: tokens = 0"),
        ({"target": {1.5: 1}}, "cost.target: tokens = 1.5"),
        ({"target": {2: 1}}, "the table starts at 2 tokens, and the time of a forward over 1 is needed"),
        ({"target": {"base": -1, "per_token": 0.5}}, "cost.target of 1 token = -0.5"),
        ({"target": {"base": 1, "per_token": 0.5, "time": 1}}, "expected "),
        ({"target": {"relative": 0.5}}, "cost.target.relative = 0.5 is not valid; expected a list"),
        ({"target": {"relative": [1, -0.5]}}, "cost.target = -0.5"),
        ({"draft": [[1]]}, r"cost.draft of 1 token = \[1\]"),
        ({"draft": 0}, "cost.draft = 0 is not valid; expected a finite number > 0"),
        ({"draft_call": -1}, "cost.draft_call = -1 is not valid; expected a finite number >= 0"),
        ({"overhead": math.nan}, "cost.overhead = nan"),
        ({"concurrency": 0}, "concurrency = 0 is not valid; expected a whole number of at least 1"),
        ({"concurrency": 2.5}, "concurrency = 2.5"),
    ],
)
def test_costs_that_are_none_are_refused(costs, message):
    with pytest.raises(SimlabError, match=message):
        CostModel(**costs)


def test_a_table_that_falls_to_0_says_where():
    cost = CostModel(target=[3, 2])
    assert cost.call_time(1) == 2.05
    with pytest.raises(SimlabError, match="falls to 0 or below at 4 tokens"):
        cost.call_time(3)
    with pytest.raises(SimlabError, match="not linear in its drafted tokens"):
        cost.time(1, 1)


times = st.lists(st.integers(1, 64).map(lambda n: n / 8), min_size=1, max_size=6)


@examples(100)
@given(
    acceptance=st.sampled_from([0.0, 0.25, 0.5, 0.75, 0.875]),
    target=times.map(sorted),
    draft=st.sampled_from([0.125, 0.5]),
    fixed=st.tuples(st.sampled_from([0.0, 0.5, 4.0]), st.sampled_from([0.0, 1.0])),
    load=st.integers(1, 4),
)
@pytest.mark.statistical
def test_the_memoryless_window_is_the_best_of_all(acceptance, target, draft, fixed, load):
    """Of the first 200, which is far beyond the one from which no window can be better."""
    cost = CostModel(draft, target, *fixed, load)
    exact = [Fraction(cost.alone)]
    a = Fraction(acceptance)
    for window in range(1, 200):
        exact.append(Fraction(cost.call_time(window)) / sum(a**k for k in range(window + 1)))
    found = memoryless.best_window(acceptance, cost)
    assert exact[found] <= min(exact) * (1 + Fraction(1, 10**12))
    assert memoryless.time_per_token(acceptance, found, cost) == pytest.approx(float(exact[found]), rel=1e-12)
    least, most = memoryless.windows_within(acceptance, cost)
    assert least <= found <= most


def test_an_endless_window_takes_what_one_more_token_takes():
    cost = CostModel(0.25, [2.0, 2.5], concurrency=2)
    assert cost.marginal == 0.25 + 2 * 0.5
    assert memoryless.best_window(1.0, cost) == math.inf
    assert memoryless.time_per_token(1.0, math.inf, cost) == pytest.approx(1.25, rel=1e-12)
    assert memoryless.best_window(1.0, cost, longest=9) == 9
    assert memoryless.best_window(1.0, CostModel(3.0, [2.0, 2.5])) == 0
