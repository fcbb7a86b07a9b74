"""The linear programs: against exact values, against algorithms drawn at random, on odd pairs."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import example, given, reject
from hypothesis import strategies as st
from scipy.optimize import OptimizeResult, linprog

import simlab
from simlab.errors import SimlabError
from simlab.pairs import ChainPair, paper
from simlab.verify import programs
from simlab.verify.check import Undecided
from simlab.verify.programs import (
    ACCURACY,
    front_by_linear_program,
    least_loss,
    least_rejection,
    least_sequence_loss,
    least_unbiased_rejections,
    sequence_accuracy,
)
from tests.strategies import LANGUAGE_MODELS, examples, found_pairs, pairs, softmax_pair

LARGE = 1e3  # a weight at which bias is never worth a rejection: above 2T - 1
ROUNDING = 1e-12


def _distance(one, other) -> float:
    return 0.5 * float(np.abs(np.asarray(one) - other).sum())


def _drafting_alone(pair: ChainPair) -> float:
    """TV between the distributions of whole sequences of draft and target, by a loop over all of them."""
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
        distribution = accept * draft + rejected * replacement / replacement.sum()
        stack += [((*prefix, y), reached * distribution[y], wanted * target[y]) for y in range(pair.states)]
    return rejections, distance


@contextmanager
def decided():
    """What another machine's solver may leave undecided is no example of what it decides."""
    try:
        yield
    except Undecided:
        reject()


@given(pairs(most_steps=1, most_states=6))
@examples(60)
def test_at_one_position_the_front_is_the_segment_of_theorem_5(pair):
    """As N + TV >= whole, N + w TV <= min(w, 1) whole + accuracy leaves twice that at w = 1/2 and 2."""
    whole = float(pair.initial @ (0.5 * np.abs(pair.draft[0] - pair.target[0]).sum(axis=1)))
    allowed = 2 * sequence_accuracy(pair) + ROUNDING
    with decided():
        for weight, point in zip((0, 0.5, 2), front_by_linear_program(pair, (0, 0.5, 2)), strict=True):
            assert point == pytest.approx((whole, 0) if weight > 1 else (0, whole), abs=allowed), weight
        middle = least_sequence_loss(pair, 0.25 * whole)
        assert middle == pytest.approx((0.25 * whole, 0.75 * whole), abs=allowed)
        draft, target = pair.draft[0, 0], pair.target[0, 0]
        assert least_rejection(draft, target) == pytest.approx(_distance(draft, target), abs=ACCURACY)


@given(pairs(most_steps=3, most_states=3))
@example(found_pairs()[0])
@example(found_pairs()[1])
@examples(25)
def test_the_ends_of_the_front_are_drafting_alone_and_speculative_decoding(pair):
    """An output is no further from the draft than it rejects; bias saves at most (2T - 1) TV rejections."""
    allowed = sequence_accuracy(pair) + ROUNDING
    exact = simlab.predict(pair, simlab.Speculative()).expected_rejections
    with decided():
        nothing, everything = front_by_linear_program(pair, [0, LARGE])
        assert nothing == pytest.approx((0, _drafting_alone(pair)), abs=allowed)
        assert everything == pytest.approx((exact, 0), abs=allowed)
        assert least_unbiased_rejections(pair) == pytest.approx(exact, abs=allowed)


@pytest.mark.parametrize(("scale", "apart"), LANGUAGE_MODELS)
@pytest.mark.statistical
def test_rows_like_a_language_models_are_solved_or_undecided(scale, apart):
    solved = 0
    for seed in range(3):
        pair = softmax_pair(scale, seed, horizon=5, states=4, apart=apart)
        exact = simlab.predict(pair, simlab.Speculative()).expected_rejections
        try:
            found = least_unbiased_rejections(pair)
        except Undecided:
            continue
        assert found == pytest.approx(exact, abs=sequence_accuracy(pair) + ROUNDING)
        solved += 1
    assert solved


@pytest.mark.parametrize("seed", range(4))
def test_what_bias_saves_is_at_most_its_price(seed):
    """The exact penalty: no algorithm drawn at random has E[N_rej] + (2T - 1) TV below the unbiased least."""
    pair = paper(3, 2, seed)
    random = np.random.default_rng(seed)
    costs = np.array([_cost(pair, random) for _ in range(300)])
    least = least_unbiased_rejections(pair)
    assert (costs @ (1, 2 * pair.horizon - 1)).min() >= least - ROUNDING
    assert (costs @ (1, 0.5)).min() < least - 1e-3  # control: a weight that is too small does not do


@pytest.mark.parametrize("seed", range(4))
def test_no_prices_prove_more_than_there_is(seed):
    """Any prices of the leaves bound the cost of every algorithm; the solver's bound the best one closely."""
    pair, weight = paper(3, 2, seed), 1.2
    tree = programs._Tree.of(pair)
    random = np.random.default_rng(seed)
    least = min(n + weight * loss for n, loss in (_cost(pair, random) for _ in range(300)))
    (best,) = front_by_linear_program(pair, [weight])
    value = best.rejections + weight * best.total_variation
    for _ in range(200):
        prices = weight * random.random(len(tree.target)) ** random.choice([0.1, 1.0, 10.0])
        assert tree.bound(prices, 1.0) <= min(value, least) + ROUNDING
    prices = next(tree.solutions(1.0, weight))[1]
    assert value - ACCURACY <= tree.bound(prices, 1.0) <= value + ROUNDING <= least + 2 * ROUNDING
    dearer = next(tree.solutions(1.0, 2 * weight))[1]
    assert tree.bound(dearer, 1.0) > value + 1e-3  # control: prices above the weight prove too much


def test_a_solver_that_is_wrong_or_fails_is_undecided(monkeypatch):
    """Its masses and prices are proposals: nothing false is returned for them."""
    pair = paper(2, 2)
    random = np.random.default_rng(0)
    honest = programs._solutions
    monkeypatch.setattr(
        programs, "_solutions",
        lambda *a, **k: ((random.random(len(m)), random.random(len(p))) for m, p in honest(*a, **k)),
    )  # fmt: skip
    with pytest.raises(Undecided, match="the best algorithm that HiGHS finds costs .* what is proven"):
        least_unbiased_rejections(pair)
    monkeypatch.undo()
    monkeypatch.setattr("scipy.optimize.linprog", lambda *a, **k: OptimizeResult(success=False, message="no"))
    for call in (
        lambda: front_by_linear_program(pair, [1.5]),
        lambda: least_sequence_loss(pair, 0.1),
        lambda: least_rejection([0.5, 0.5], [0.2, 0.8]),
        lambda: least_loss([0.1, 0.5], [0.2, 0.8]),
    ):
        with pytest.raises(Undecided, match="the linear program of .* variables was not solved: no"):
            call()


@pytest.mark.parametrize("broken", [1, 2])
def test_one_way_of_solving_that_fails_leaves_the_others(monkeypatch, broken):
    calls = []
    honest = linprog

    def failing(*arguments, **options):
        calls.append(options["method"])
        return honest(*arguments, **options) if len(calls) > broken else OptimizeResult(success=False)

    monkeypatch.setattr("scipy.optimize.linprog", failing)
    pair = paper(2, 3)
    exact = simlab.predict(pair, simlab.Speculative()).expected_rejections
    assert least_unbiased_rejections(pair) == pytest.approx(exact, abs=ACCURACY)
    assert len(calls) == broken + 1


@pytest.mark.parametrize(("states", "horizon", "seed"), [(2, 1, 0), (2, 3, 1), (3, 2, 2), (2, 4, 3)])
def test_no_algorithm_drawn_at_random_lies_below_the_front(states, horizon, seed):
    pair = paper(horizon, states, seed)
    weights = (0.3, 1.0, 1.5, 3.0, 10.0)
    front = front_by_linear_program(pair, weights)
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
    point = front_by_linear_program(pair, [1.5])[0]
    assert (costs @ (1, 1.5)).min() < point.rejections + 1.5 * point.total_variation - 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_a_point_of_the_front_is_attained_by_an_algorithm(seed):
    """Acceptance and replacement read off the masses are probabilities, and lead to the same two costs."""
    pair = paper(3, 2, seed)
    tree = programs._Tree.of(pair)
    variables = next(tree.solutions(1.0, 1.7))[0]
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
        distribution = np.divide(drawn, drawn.sum(axis=1, keepdims=True), out=np.full_like(drawn, 0.5),
                        where=drawn.sum(axis=1, keepdims=True) > 1e-12)  # fmt: skip
        rejections += rejected.sum()
        reached = (proposed * accept + rejected[:, None] * distribution).ravel()
        wanted = (wanted[:, None] * pair.target[t][last]).ravel()
        last = np.tile(np.arange(2), len(last))
        start += width
    distance = 0.5 * np.abs(reached - wanted).sum()
    assert tree.point(variables) == pytest.approx((rejections, distance), abs=ACCURACY)


def test_the_front_is_the_same_by_weight_and_by_level():
    pair = paper(3, 3)
    for point in front_by_linear_program(pair, [1.3, 2.0, 3.0]):
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
        (lambda: front_by_linear_program(paper(2, 2), [-1]), "weight = -1"),
        (lambda: least_sequence_loss(paper(2, 2), float("nan")), "rejections = nan"),
        (lambda: front_by_linear_program(paper(50), [1]), "7 states and 50 steps .*: give fewer states"),
        (lambda: least_unbiased_rejections(paper(1, 300)), "at most 100,000"),
    ],
    ids=["sum", "negative", "too much", "weight", "level", "deep", "wide"],
)
def test_mistakes_are_one_line(call, words):
    with pytest.raises(SimlabError, match=words):
        call()
