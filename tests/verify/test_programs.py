"""The linear programs: against exact values, against algorithms drawn at random, on odd pairs."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simlab
from simlab.errors import SimlabError
from simlab.pairs import ChainPair, paper
from simlab.verify import programs
from simlab.verify.programs import (
    ACCURACY,
    least_loss,
    least_rejection,
    least_sequence_loss,
    least_unbiased_rejections,
    sequence_accuracy,
    sequence_front,
)
from tests.strategies import examples, pairs

LARGE = 1e3  # a weight at which bias is never worth a rejection on pairs as small as ours


def _distance(one, other) -> float:
    return 0.5 * float(np.abs(np.asarray(one) - other).sum())


def _drafting_alone(pair: ChainPair) -> float:
    """TV between the laws of whole sequences of draft and target, by a loop over all of them."""
    total = 0.0
    for path in product(range(pair.states), repeat=pair.horizon + 1):
        drafted = targeted = pair.initial[path[0]]
        for t, (x, y) in enumerate(pairwise(path)):
            drafted, targeted = drafted * pair.draft[t, x, y], targeted * pair.target[t, x, y]
        total += 0.5 * abs(drafted - targeted)
    return total


def _cost(pair: ChainPair, random: np.random.Generator) -> tuple[float, float]:
    """(E[N_rej], TV) of an algorithm with acceptance and replacement drawn anew for every prefix."""
    rejections, distance = 0.0, 0.0
    greed = random.choice([0.0, 1.0, random.random()])  # from speculative decoding to accepting all
    noise = random.choice([0.0, 1.0])
    stack = [((x,), mass, mass) for x, mass in enumerate(pair.initial)]
    while stack:
        prefix, reached, wanted = stack.pop()
        t = len(prefix) - 1
        if t == pair.horizon:
            distance += 0.5 * abs(reached - wanted)
            continue
        draft, target = pair.draft[t, prefix[-1]], pair.target[t, prefix[-1]]
        fair = np.minimum(1, target / np.where(draft > 0, draft, 1))
        accept = fair + greed * (1 - fair) * random.random(pair.states) ** noise
        accept *= random.random(pair.states) ** (noise * random.choice([0.0, 0.1, 2.0]))
        residual = np.maximum(target - accept * draft, 0) + 1e-12
        replacement = residual * random.random(pair.states) ** (noise * random.choice([0.0, 1.0]))
        rejected = 1 - accept @ draft
        rejections += reached * rejected
        law = accept * draft + rejected * replacement / replacement.sum()
        stack += [((*prefix, y), reached * law[y], wanted * target[y]) for y in range(pair.states)]
    return rejections, distance


@given(pairs(most_steps=1, most_states=6))
@examples(60)
def test_at_one_position_the_front_is_the_segment_of_theorem_5(pair):
    whole = float(pair.initial @ (0.5 * np.abs(pair.draft[0] - pair.target[0]).sum(axis=1)))
    for weight, (rejections, loss) in zip((0, 0.5, 2), sequence_front(pair, (0, 0.5, 2)), strict=True):
        assert rejections + loss == pytest.approx(whole, abs=sequence_accuracy(pair))
        assert min(rejections, loss) == pytest.approx(0, abs=sequence_accuracy(pair)), weight
        assert (loss if weight > 1 else rejections) == pytest.approx(0, abs=sequence_accuracy(pair))
    middle = least_sequence_loss(pair, 0.25 * whole)
    assert middle == pytest.approx((0.25 * whole, 0.75 * whole), abs=sequence_accuracy(pair))
    draft, target = pair.draft[0, 0], pair.target[0, 0]
    assert least_rejection(draft, target) == pytest.approx(
        _distance(draft, target), abs=sequence_accuracy(pair)
    )


@given(pairs(most_steps=3, most_states=3))
@examples(25)
def test_the_ends_of_the_front_are_drafting_alone_and_speculative_decoding(pair):
    nothing, everything = sequence_front(pair, [0, LARGE])
    assert nothing == pytest.approx((0, _drafting_alone(pair)), abs=sequence_accuracy(pair))
    exact = simlab.predict(pair, simlab.Speculative()).expected_rejections
    assert least_unbiased_rejections(pair) == pytest.approx(exact, abs=sequence_accuracy(pair))
    if (
        min(pair.target.min(), pair.initial.min()) > 1e-2
    ):  # else a tiny path's bias may be worth its rejections
        assert everything == pytest.approx((exact, 0), abs=sequence_accuracy(pair))


@pytest.mark.parametrize(("states", "horizon", "seed"), [(2, 1, 0), (2, 3, 1), (3, 2, 2), (2, 4, 3)])
def test_no_algorithm_drawn_at_random_lies_below_the_front(states, horizon, seed):
    pair = paper(horizon, states, seed)
    weights = (0.3, 1.0, 1.5, 3.0, 10.0)
    front = sequence_front(pair, weights)
    random = np.random.default_rng(seed)
    costs = np.array([_cost(pair, random) for _ in range(300)])
    nearest = np.inf
    for weight, point in zip(weights, front, strict=True):
        value = point.rejections + weight * point.total_variation
        excess = costs @ (1, weight) - value
        assert excess.min() > -ACCURACY
        nearest = min(nearest, excess.min())
    assert nearest < 1e-9  # drafting alone is on the front at weight 0.3: the search comes near it


def test_a_program_that_forbids_too_much_is_seen_by_the_search(monkeypatch):
    """Control: with half of the draft's mass forbidden the front lies too high, and draws lie below it."""
    pair = paper(2, 3, seed=2)
    paths = programs._paths
    monkeypatch.setattr(programs, "_paths", lambda *a: (0.5 * paths(*a)[0], paths(*a)[1]))
    random = np.random.default_rng(2)
    costs = np.array([_cost(pair, random) for _ in range(300)])
    point = sequence_front(pair, [1.5])[0]
    assert (costs @ (1, 1.5)).min() < point.rejections + 1.5 * point.total_variation - 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_a_point_of_the_front_is_attained_by_an_algorithm(seed):
    """Acceptance and replacement read off the masses are probabilities, and lead to the same two costs."""
    pair = paper(3, 2, seed)
    tree = programs._Tree.of(pair)
    variables = tree.solve(tree.rejections + 1.7 * tree.excess)
    nodes = sum(2 * 2**t for t in (1, 2, 3))
    accepted, replaced = np.split(variables[: 2 * nodes], 2)
    rejections, distance, start = 0.0, 0.0, 0
    reached, wanted, last = pair.initial.copy(), pair.initial.copy(), np.arange(2)
    for t in range(3):
        width = 2 * len(reached)
        kept = accepted[start : start + width].reshape(-1, 2)
        drawn = replaced[start : start + width].reshape(-1, 2)
        proposed = reached[:, None] * pair.draft[t][last]
        accept = np.divide(kept, proposed, out=np.zeros_like(kept), where=proposed > 1e-12)
        assert accept.min() > -1e-9 and accept.max() < 1 + 1e-9
        rejected = (proposed * (1 - accept)).sum(axis=1)
        law = np.divide(drawn, drawn.sum(axis=1, keepdims=True), out=np.full_like(drawn, 0.5),
                        where=drawn.sum(axis=1, keepdims=True) > 1e-12)  # fmt: skip
        rejections += rejected.sum()
        reached = (proposed * accept + rejected[:, None] * law).ravel()
        wanted = (wanted[:, None] * pair.target[t][last]).ravel()
        last = np.tile(np.arange(2), len(last))
        start += width
    distance = 0.5 * np.abs(reached - wanted).sum()
    assert tree.point(variables) == pytest.approx((rejections, distance), abs=ACCURACY)


def test_the_front_is_the_same_by_weight_and_by_level():
    pair = paper(3, 3)
    for point in sequence_front(pair, [1.3, 2.0, 3.0]):
        assert least_sequence_loss(pair, point.rejections) == pytest.approx(point, abs=1e-8)


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.sampled_from([0.0, 0.4]))
@examples(60)
def test_least_loss_is_a_law_that_attains_it_and_no_law_has_less(seed, states, zeros):
    random = np.random.default_rng(seed)
    draft, target, *others = random.dirichlet(np.full(states, 0.5), size=8)
    accepted = draft * random.random(states) * (random.random(states) >= zeros)
    loss, replacement = least_loss(accepted, target)
    rejected = 1 - accepted.sum()
    assert replacement.min() >= 0 and replacement.sum() == pytest.approx(1, abs=1e-12)
    assert loss == pytest.approx(_distance(accepted + rejected * replacement, target), abs=ACCURACY)
    for other in (*others, target, draft):
        assert loss <= _distance(accepted + rejected * other, target) + ACCURACY


def test_where_nothing_is_rejected_any_replacement_does():
    loss, replacement = least_loss([0.25, 0.75], [0.5, 0.5])
    assert loss == pytest.approx(0.25, abs=1e-12) and replacement.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: least_rejection([0.5, 0.4], [0.5, 0.5]), "draft_row"),
        (lambda: least_rejection([0.5, 0.5], [1.5, -0.5]), "target_row"),
        (lambda: least_loss([0.9, 0.4], [0.5, 0.5]), "accepted"),
        (lambda: sequence_front(paper(2, 2), [-1]), "weight = -1"),
        (lambda: least_sequence_loss(paper(2, 2), float("nan")), "rejections = nan"),
        (lambda: sequence_front(paper(50), [1]), "7 states and 50 steps .*: give fewer states"),
        (lambda: least_unbiased_rejections(paper(1, 300)), "at most 100,000"),
    ],
    ids=["sum", "negative", "too much", "weight", "level", "deep", "wide"],
)
def test_mistakes_are_one_line(call, words):
    with pytest.raises(SimlabError, match=words):
        call()
