"""Draft trees: node by node against the plain search, and against every other tree."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simlab
from simlab.decoders import TreeSpeculative
from simlab.errors import SimlabError
from simlab.pairs import ChainPair, corpus, dirichlet, paper, softmax, uniform
from simlab.theory import expected_accepted, optimal_tree
from simlab.theory.trees import rows
from simlab.theory.trees import tree as trees
from simlab.theory.trees.queue import FRONT
from simlab.theory.trees.tree import chain_tree
from tests.exact import close
from tests.oracles.pairs import as_pair, rational_chains
from tests.strategies import examples, pairs
from tests.theory.plain_trees import all_trees, as_nodes, plain_chain, plain_tree, prefixes, reach

MODELS = ["target", "draft"]


def stationary(rows, horizon: int) -> ChainPair:
    rows = np.array(rows, float)
    return ChainPair.stationary(rows, rows, np.full(len(rows), 1 / len(rows)), horizon)


@examples(150)
@given(pairs(), st.sampled_from([1, 2, 3, 7, 40, 500]), st.sampled_from(MODELS))
def test_every_node_is_the_plain_searchs(pair, capacity, drafted_by):
    for time in range(pair.horizon):
        for token in range(pair.states):
            tree = optimal_tree(pair, time, token, capacity, drafted_by)
            assert as_nodes(tree) == plain_tree(pair, time, token, capacity, drafted_by)
            chain = chain_tree(pair, time, token, capacity, drafted_by)
            assert as_nodes(chain) == plain_chain(pair, time, token, capacity, drafted_by)


NEAR_CERTAIN = stationary([[1 - 1e-12, 1e-12], [1e-12, 1 - 1e-12]], 400)
LARGE = {
    "ties": uniform(7, 7, horizon=9),
    "corpus": corpus(horizon=12),
    "softmax": softmax(horizon=30, states=150, seed=3),  # rows are merged from two runs
    "sparse": dirichlet(30, 40, target_concentration=0.02, seed=4),
    "dyadic": stationary(np.tile(2.0 ** -np.array([1, 2, 3, 4, 5, 5]), (6, 1)), 40),
    "near certain": NEAR_CERTAIN,
    "certain": stationary(np.eye(3)[[1, 2, 0]], 5000),
    "above 1": stationary([[1 + 5e-10, 0, 0], [0.5, 0.25, 0.25 + 4e-10], [0, 1 + 2**-52, 0]], 3000),
}


@pytest.mark.statistical
@pytest.mark.parametrize("capacity", [FRONT, 3 * FRONT + 1, 2500])
@pytest.mark.parametrize("name", LARGE)
def test_so_they_are_in_large_trees(name, capacity):
    """With enough nodes that buckets are left and closed, filled with ties, and re-used."""
    pair = LARGE[name]
    for token in range(min(pair.states, 3)):
        assert as_nodes(optimal_tree(pair, 0, token, capacity)) == plain_tree(pair, 0, token, capacity)


def test_and_a_tree_in_another_order_is_not():
    """Control: of two equal prefixes the one whose parent was chosen later does not come first."""
    nodes = plain_tree(LARGE["ties"], 0, 0, 400)
    i = next(i for i in range(399) if nodes[i][3] == nodes[i + 1][3] and nodes[i][0] != nodes[i + 1][0])
    nodes[i], nodes[i + 1] = nodes[i + 1], nodes[i]
    assert as_nodes(optimal_tree(LARGE["ties"], 0, 0, 400)) != nodes


UNCOMPILED = """
import numba
from tests.theory.plain_trees import as_nodes, plain_tree
from simlab import TreeSpeculative, optimal_tree, pairs, predict
assert numba.config.DISABLE_JIT
odd = [pairs.uniform(7, 7, horizon=4), pairs.softmax(4, 140, stationary=True), pairs.paper(3, 2)]
for pair in odd:
    for capacity in (1, 2, 13, 700):
        assert as_nodes(optimal_tree(pair, 0, 0, capacity)) == plain_tree(pair, 0, 0, capacity)
predict(odd[2], TreeSpeculative(3)), predict(odd[2], TreeSpeculative(3, "draft", "chain"))
"""


@pytest.mark.processes
def test_no_index_is_out_of_bounds():
    """Compiled code does not look; run as Python it does, on the same arrays."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", UNCOMPILED],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    )
    assert done.returncode == 0, done.stderr


def test_probabilities_below_all_buckets_are_found_in_order():
    """1e-12 and less, with room for nodes that do not exist: the last bucket and subnormal numbers."""
    pair = stationary([[0.0, 2.0**-400, 1.0 - 2.0**-53], [2.0**-200, 1.0, 0], [0, 1.0, 0]], 5)
    tree = optimal_tree(pair, 0, 0, 10**6)
    assert as_nodes(tree) == plain_tree(pair, 0, 0, 10**6)
    assert tree.probability.min() < 2.0**-700
    least = 5e-324
    smallest = stationary([[0.0, 1.0, least], [least, 0.0, 1.0], [2 * least, 1.0, 0.0]], 20)
    tree = optimal_tree(smallest, 0, 0, 10**15)  # 3^20 paths, few of them possible: these are counted
    assert as_nodes(tree) == plain_tree(smallest, 0, 0, 10**15)
    assert len(tree) > 20 and tree.probability.min() == least


@pytest.mark.parametrize("states", [127, 129, 300])
def test_equal_entries_of_long_rows_stand_by_number(states):
    """Rows that are merged from runs; of three levels, so that all runs have entries of each."""
    rows = np.random.default_rng(states).choice([4.0, 2.0, 1.0], (states, states))
    pair = stationary(rows / rows.sum(axis=1, keepdims=True), 5)
    assert as_nodes(optimal_tree(pair, 0, 1, 1500)) == plain_tree(pair, 0, 1, 1500)


SMALL = [(seed, states, horizon) for seed in range(6) for states, horizon in ((2, 4), (3, 2), (3, 3))]


@pytest.mark.parametrize("lowest", [-40, -3])
@pytest.mark.parametrize("states", [3, 127, 129, 300])
def test_visit_after_visit_a_row_comes_into_falling_order(states, lowest):
    exponents = np.random.default_rng(states).integers(lowest, 0, (states, states))
    table = np.ldexp(1.0, exponents)  # many equal entries, over many visits
    table[:, states // 2] = -0.0
    sorted_rows = rows.unsorted_rows(rows.read_only(table[None]), states)
    for number in range(states):
        falling = np.argsort(-table[number], kind="stable")
        visits, before = 0, 0
        while before < states:
            rows.visit(sorted_rows, number)
            start, ready, _ = sorted_rows.places[number]
            assert before < ready <= states
            assert np.array_equal(sorted_rows.tokens[start : start + ready], falling[:ready])
            assert np.array_equal(sorted_rows.values[start : start + ready], table[number, falling[:ready]])
            visits, before = visits + 1, ready
        assert visits > 1
    assert sorted_rows.places[-1, rows.START] <= sorted_rows.values.size  # there was room


@pytest.mark.parametrize(("seed", "states", "horizon"), SMALL)
def test_no_tree_has_a_larger_sum_of_reach(seed, states, horizon):
    """All trees of up to five nodes, of nonstationary pairs with zeros and ties, in rationals."""
    pair = as_pair(*rational_chains(horizon, states, seed, denominator=(16, 4)[seed % 2]))
    for time, token in ((0, 0), (0, 1), (1, states - 1)):
        mass = {}
        best = [0] * 6
        for tree in all_trees(pair, time, token, 5):
            for path in tree - mass.keys():
                mass[path] = reach(pair, time, token, path)
            best[len(tree)] = max(best[len(tree)], sum(mass[path] for path in tree))
        tree = optimal_tree(pair, time, token, 5)
        for nodes in range(1, 6):
            ours = sum(mass[path] for path in prefixes(as_nodes(tree.first(nodes))))
            assert ours == max(best[: nodes + 1])
            assert tree.first(nodes).expected_accepted == pytest.approx(float(ours), abs=1e-12)


def test_brute_force_sees_a_tree_that_is_not_the_best():
    """Control: the chain of the same size, and the draft's tree, are not the best ones."""
    pair = paper(3, 3)
    best = max(sum(reach(pair, 0, 0, path) for path in tree) for tree in all_trees(pair, 0, 0, 3))
    for worse in (plain_chain(pair, 0, 0, 3), plain_tree(pair, 0, 0, 3, "draft")):
        assert sum(reach(pair, 0, 0, path) for path in prefixes(worse)) < best


@pytest.mark.parametrize("drafted_by", MODELS)
def test_trees_are_nested_and_scored_by_the_target(drafted_by):
    pair = paper(20, 5)
    whole = optimal_tree(pair, 3, 2, 3000, drafted_by)
    reached = []
    for node in range(len(whole)):
        parent = whole.parents[node]
        above, last = (reached[parent], whole.tokens[parent]) if parent >= 0 else (1.0, 2)
        reached.append(above * pair.target[3 + whole.depth[node] - 1, last, whole.tokens[node]])
    np.testing.assert_allclose(whole.reach, reached, rtol=1e-12)
    np.testing.assert_allclose(whole.expected_accepted_by_capacity, np.cumsum(reached), rtol=1e-12)
    for capacity in (1, 2, 17, 999, 2999, 5000):
        tree = optimal_tree(pair, 3, 2, capacity, drafted_by)
        begun = whole.first(capacity)
        assert len(tree) == capacity and len(begun) == min(capacity, 3000)
        end = len(begun)
        assert as_nodes(tree)[:end] == as_nodes(begun)
        close(begun.expected_accepted, whole.expected_accepted_by_capacity[end - 1])
        close(tree.first(end).expected_accepted, begun.expected_accepted)
    best = optimal_tree(pair, 3, 2, 3000)
    assert (whole.expected_accepted_by_capacity <= best.expected_accepted_by_capacity + 1e-12).all()


def test_sums_of_a_million_nodes_are_sums():
    pair = stationary(np.random.default_rng(1).dirichlet(np.full(50, 0.3), 50), 40)
    tree = optimal_tree(pair, 0, 0, 10**6)
    assert len(tree) == 10**6 and (np.diff(tree.probability) <= 0).all()
    exact = np.cumsum(tree.reach.astype(np.longdouble))
    np.testing.assert_allclose(tree.expected_accepted_by_capacity, exact.astype(float), rtol=1e-13)


def test_there_are_no_more_nodes_than_prefixes():
    assert len(optimal_tree(paper(3, 2), 0, 0, 10**15)) == 2 + 4 + 8
    assert len(optimal_tree(paper(3, 2), 2, 0, 10**15)) == 2
    assert len(optimal_tree(paper(1, 1), 0, 0, 10**15)) == 1
    certain = stationary(
        np.eye(200)[np.arange(1, 201) % 200], 3000
    )  # 200^3000 prefixes, 3000 of them possible
    tree = optimal_tree(certain, 10, 5, 10**15)
    assert tree.depth.tolist() == list(range(1, 2991)) and tree.expected_accepted == 2990


def test_arrays_are_read_only_and_a_tree_can_be_empty():
    tree = optimal_tree(paper(5), 0, 0, 10)
    for name in ("parents", "tokens", "depth", "probability", "reach", "expected_accepted_by_capacity"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(tree, name)[0] = 0
    none = np.empty(0, int)
    empty = simlab.DraftTree(none, none, none, np.empty(0), np.empty(0))
    assert len(empty) == 0 and empty.expected_accepted == 0.0


BAD = {
    "no pair": ((np.eye(2), 0, 0, 1), "ndarray is not a pair; expected a simlab.ChainPair"),
    "early": ((paper(5), -1, 0, 1), "time = -1 is not valid; expected a whole number of at least 0"),
    "late": ((paper(5), 5, 0, 1), "time = 5 is not valid; expected a whole number of at most 4"),
    "half a token": ((paper(5), 0, 0.5, 1), "token = 0.5 is not valid; expected a whole number"),
    "no such token": ((paper(5), 0, 7, 1), "token = 7 is not valid; expected a whole number of at most 6"),
    "nothing": ((paper(5), 0, 0, 0), "capacity = 0 is not valid; expected a whole number of at least 1"),
    "true": ((paper(5), 0, 0, True), "capacity = True is not valid; expected a whole number"),
    "by whom": (
        (paper(5), 0, 0, 1, "Draft"),
        "drafted_by = 'Draft' is not valid; expected one of target, draft",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line(name):
    arguments, words = BAD[name]
    with pytest.raises(SimlabError) as caught:
        optimal_tree(*arguments)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_tree_beyond_memory_says_how_much_it_needs(monkeypatch):
    monkeypatch.setattr(trees, "available_memory", lambda: 2.0**30)
    message = (
        r"capacity = 10000000000000: a tree of 10000000000000 nodes takes \d{6,7}\.\d GiB, more than there is"
    )
    with pytest.raises(SimlabError, match=message):
        optimal_tree(paper(), 0, 0, 10**13)
    with pytest.raises(SimlabError, match=message):
        simlab.predict(paper(), TreeSpeculative(10**13))
    with pytest.raises(SimlabError, match=message):
        expected_accepted(paper(), TreeSpeculative(), [1, 10**13])
    assert len(optimal_tree(paper(3), 0, 0, 10**13)) == 7 + 49 + 343


@pytest.mark.parametrize("drafted_by", MODELS)
@pytest.mark.parametrize("shape", ["tree", "chain"])
def test_the_first_calls_expectation_at_every_capacity(drafted_by, shape):
    pair = as_pair(*rational_chains(3, 3, seed=7))
    decoder, capacities = TreeSpeculative(5, drafted_by, shape), [1, 2, 3, 5, 30, 10**9]
    make = plain_tree if shape == "tree" else plain_chain
    expected = [
        sum(
            float(
                weight * sum(reach(pair, 0, x, path) for path in prefixes(make(pair, 0, x, size, drafted_by)))
            )
            for x, weight in enumerate(pair.initial)
        )
        for size in capacities
    ]
    np.testing.assert_allclose(expected_accepted(pair, decoder, capacities), expected, atol=1e-12)
    assert expected_accepted(pair, decoder, []).shape == (0,)
    with pytest.raises(SimlabError, match="capacity = 0"):
        expected_accepted(pair, decoder, [3, 0])
    with pytest.raises(SimlabError, match="drafts no trees"):
        expected_accepted(pair, simlab.Speculative(), [3])
