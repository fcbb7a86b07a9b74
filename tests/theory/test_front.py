"""The front over all algorithms: against the linear program, and where it is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.decoders import BiasedSpeculative, Speculative
from simlab.errors import SimlabError
from simlab.pairs import ChainPair, dirichlet, paper
from simlab.theory import (
    chains_total_variation,
    front_floor,
    predict,
    sequence_front,
    sequence_total_variation,
    sequence_tradeoff,
)
from simlab.theory.bias import front
from simlab.verify import programs
from tests.exact import close
from tests.strategies import examples, pairs

WEIGHTS = [0.0, 0.5, 1.0, 1.5, 2.0, 3.3, 12.0]
SOLVED = 1e-7


def stationary(draft, target, horizon):
    return ChainPair.stationary(draft, target, np.full(len(draft), 1 / len(draft)), horizon)


@pytest.mark.parametrize("horizon", [1, 2, 3])
def test_the_linear_program_lies_between_both_sides(horizon):
    pair = dirichlet(horizon, 3, seed=4, draft_concentration=0.5)
    for point, optimum in zip(
        sequence_tradeoff(pair, WEIGHTS), programs.front_by_linear_program(pair, WEIGHTS), strict=True
    ):
        cost = optimum.rejections + point.weight * optimum.total_variation
        attained = point.rejections + point.weight * point.total_variation
        assert point.least <= cost + SOLVED and cost <= attained + SOLVED
        assert attained - point.least < 3e-3


@examples(40)
@given(pairs(most_steps=3, most_states=3), st.sampled_from(WEIGHTS), st.sampled_from([3, 20, 61]))
def test_both_sides_hold_on_odd_pairs(pair, weight, nodes):
    (point,) = sequence_tradeoff(pair, [weight], nodes=nodes)
    (optimum,) = programs.front_by_linear_program(pair, [weight])
    cost = optimum.rejections + weight * optimum.total_variation
    assert point.least <= cost + SOLVED * (1 + weight)
    assert cost <= point.rejections + weight * point.total_variation + SOLVED * (1 + weight)
    assert 0 <= point.rejections <= pair.horizon + 1e-12 and 0 <= point.total_variation <= 1 + 1e-12


def test_the_linear_program_sees_a_front_that_is_off():
    """Control: a per cent of either side is more than the sides are apart."""
    pair = paper(2, 3)
    (point,), (optimum,) = sequence_tradeoff(pair, [1.5]), programs.front_by_linear_program(pair, [1.5])
    cost = optimum.rejections + 1.5 * optimum.total_variation
    assert 0.99 * (point.rejections + 1.5 * point.total_variation) < cost < 1.01 * point.least


@pytest.mark.parametrize("seed", range(4))
def test_prefixes_heavier_than_the_last_node_are_certified_all_the_same(monkeypatch, seed):
    """The nodes end at k/q = 1.3; beyond, the value at the last one is an upper bound, a line is not."""
    monkeypatch.setattr(front, "REACH", 1.3)
    pair = dirichlet(3, 3, seed=seed, draft_concentration=0.3)
    for nodes in (3, 20):
        for point, optimum in zip(
            sequence_tradeoff(pair, WEIGHTS, nodes=nodes),
            programs.front_by_linear_program(pair, WEIGHTS),
            strict=True,
        ):
            cost = optimum.rejections + point.weight * optimum.total_variation
            assert point.least <= cost + SOLVED
            assert cost <= point.rejections + point.weight * point.total_variation + SOLVED


def test_one_token_is_theorem_5():
    pair = paper(1)
    front = sequence_front(pair)
    distance = predict(pair, Speculative()).expected_rejections
    np.testing.assert_allclose(front.rejections + front.total_variation, distance, atol=1e-12)
    rejections = np.linspace(0, distance, 7)
    np.testing.assert_allclose(front_floor(front, rejections), distance - rejections, atol=1e-10)
    assert front_floor(front, 2.0) == 0.0


def test_finer_grids_close_in_from_both_sides():
    pair = paper(6, 4)
    coarse, fine = (sequence_tradeoff(pair, [2.5], nodes=nodes)[0] for nodes in (30, 400))
    cost = [point.rejections + 2.5 * point.total_variation for point in (coarse, fine)]
    assert coarse.least < fine.least < cost[1] < cost[0]
    assert cost[1] - fine.least < 0.1 * (cost[0] - coarse.least)


@pytest.mark.parametrize("weight", [0.5, 1.0, 5.0, 20.0])
def test_the_lower_bound_is_not_vacuous_where_the_value_is_flat(weight):
    """After 50 tokens the two distributions have next to nothing in common: drafting alone costs the weight
    itself.

    The value of a prefix is then flat at the weight up to ratios far beyond the last node.
    """
    draft = np.tile([0.95, 0.05], (2, 1))
    pair = stationary(draft, draft[:, ::-1], 50)
    (point,) = sequence_tradeoff(pair, [weight])
    attained = point.rejections + weight * point.total_variation
    assert attained == pytest.approx(weight, abs=1e-6)
    assert attained - 1e-3 * (1 + weight / 10) < point.least <= attained


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_algorithm_of_ours_is_below_and_the_front_bends(seed):
    pair = paper(5, 4, seed=seed)
    front = sequence_front(pair, 8)
    assert (np.diff(front.rejections) > 0).all() and (np.diff(front.total_variation) < 0).all()
    for epsilon in (0.0, 0.02, 0.1, 0.3):
        for replacement in ("optimal", "target", "draft"):
            decoder = BiasedSpeculative(epsilon, replacement)
            place = predict(pair, decoder).expected_rejections
            assert sequence_total_variation(pair, decoder).low >= front_floor(front, place) - 1e-9
    alone = chains_total_variation(pair.draft, pair.target, pair.initial).middle
    coin = alone * (1 - front.rejections / front.rejections[-1])
    assert front.total_variation[0] == pytest.approx(alone) and front.total_variation[-1] == 0
    assert (coin - front.total_variation).max() > 0.01
    assert (front_floor(front, front.rejections) <= front.total_variation + 1e-9).all()


@pytest.mark.parametrize(
    "pair",
    [
        stationary(np.eye(2), np.eye(2)[::-1], 3),
        stationary(np.eye(3), np.eye(3), 2),
        paper(4, states=1),
        stationary(np.array([[0.5, 0.5, 0, 0]] * 4), np.array([[0, 0, 0.5, 0.5]] * 4), 2),
    ],
    ids=["certain and wrong", "certain and right", "one token", "disjoint"],
)
def test_odd_pairs(pair):
    front = sequence_front(pair, 4)
    assert np.isfinite(np.concatenate(front)).all()
    close(front.rejections[-1], predict(pair, Speculative()).expected_rejections)
    alone = chains_total_variation(pair.draft, pair.target, pair.initial).middle
    assert front_floor(front, 0.0) == pytest.approx(alone, abs=1e-12)


def test_on_disjoint_supports_one_rejection_saves_nothing_but_all_do():
    """A token that must be wrong where it is drafted: every position has to be rejected, or all is lost."""
    pair = stationary(np.eye(2), np.eye(2)[::-1], 3)
    front = sequence_front(pair, 4)
    np.testing.assert_allclose(front_floor(front, [0.0, 1.5, 3.0]), [1.0, 0.5, 0.0], atol=1e-3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: sequence_tradeoff(paper(2), [-1.0]),
            "weight = -1.0 is not valid; expected a finite number >= 0",
        ),
        (lambda: sequence_tradeoff(paper(2), [1e9]), "weight"),
        (lambda: sequence_tradeoff(paper(2), [1.0], nodes=2), "nodes = 2"),
        (lambda: sequence_tradeoff("pair", [1.0]), "str is not a pair"),
        (lambda: sequence_front(paper(2), 0), "queries = 0"),
    ],
    ids=["negative", "heavy", "nodes", "no pair", "no queries"],
)
def test_mistakes(call, words):
    with pytest.raises(SimlabError, match=words):
        call()
