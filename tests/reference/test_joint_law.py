"""The joint distribution of the references against brute force, and broken samplers that must be caught."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import Counter
from itertools import accumulate

import numpy as np
import pytest

from simlab import reference
from simlab.decoders import (
    DRAFTED_BY,
    REPLACEMENTS,
    SHAPES,
    Autoregressive,
    BatchSpeculative,
    BiasedSpeculative,
    Speculative,
    TreeSpeculative,
)
from simlab.errors import SimlabError
from simlab.reference import tree
from simlab.reference.draws import draw, residual
from simlab.reference.tree import draft_tree
from tests.oracles.enumerate import drafted_tree, joint_distribution
from tests.oracles.pairs import as_pair, rational_chains
from tests.oracles.statistics import mismatches

pytestmark = pytest.mark.statistical

N = 30_000


def cells(paths):
    return Counter((tuple(tokens), tuple(rejected)) for tokens, rejected in paths)


@pytest.mark.parametrize(
    "decoder", [Autoregressive(), Speculative(), BatchSpeculative(1), BatchSpeculative(3)], ids=str
)
@pytest.mark.parametrize(("horizon", "states"), [(3, 3), (1, 2), (2, 1)])
def test_the_references_follow_the_joint_distribution(decoder, horizon, states):
    chains = rational_chains(horizon, states, seed=horizon)
    paths = reference.simulate(as_pair(*chains), decoder, N, random.Random(7))
    assert not mismatches(joint_distribution(*chains, decoder), cells(paths))


@pytest.mark.parametrize("replacement", REPLACEMENTS)
@pytest.mark.parametrize("epsilon", [0.0, 0.125, 1.0])
@pytest.mark.parametrize(("horizon", "states", "seed"), [(3, 3, 3), (2, 4, 8), (2, 1, 2)])
def test_the_reference_of_biased_decoding_follows_the_joint_distribution(
    replacement, epsilon, horizon, states, seed
):
    chains, decoder = rational_chains(horizon, states, seed), BiasedSpeculative(epsilon, replacement)
    paths = reference.simulate(as_pair(*chains), decoder, N, random.Random(seed))
    assert not mismatches(joint_distribution(*chains, decoder), cells(paths))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("drafted_by", DRAFTED_BY)
@pytest.mark.parametrize("capacity", [1, 3, 50])
@pytest.mark.parametrize(("horizon", "states", "seed"), [(3, 3, 3), (2, 4, 8), (2, 1, 2), (1, 2, 4)])
def test_the_reference_of_trees_follows_the_joint_distribution(
    capacity, drafted_by, shape, horizon, states, seed
):
    chains = rational_chains(horizon, states, seed, zeros=0.1)
    decoder = TreeSpeculative(capacity, drafted_by, shape)
    paths = reference.simulate(as_pair(*chains), decoder, 10_000, random.Random(seed))
    assert not mismatches(joint_distribution(*chains, decoder), cells(paths))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("zeros", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("denominator", [2, 4, 16])
def test_the_references_trees_are_the_oracles_node_by_node(shape, zeros, denominator):
    """Products of such fractions are exact floats. With small denominators nearly every choice is a tie."""
    for seed, (horizon, states) in enumerate([(4, 2), (3, 3), (2, 4), (4, 3), (1, 4), (3, 1)]):
        target, *_ = rational_chains(horizon, states, seed, zeros, denominator)
        for capacity in (1, 2, 5, 11, 500):
            decoder = TreeSpeculative(capacity, shape=shape)
            for time in range(horizon):
                found = draft_tree(as_pair(target, target, target[0][0]).target.tolist(), time, 0, decoder)
                assert found == drafted_tree(target, time, 0, decoder)


def test_takes_a_numpy_generator_too():
    chains = rational_chains(2, 2, seed=1)
    paths = reference.simulate(as_pair(*chains), Speculative(), 2000, np.random.default_rng(3))
    assert not mismatches(joint_distribution(*chains, Speculative()), cells(paths))


def test_a_draw_past_the_end_gives_the_last_token_of_positive_mass():
    class Highest:
        def random(self):
            return 1.0 - 2.0**-53

    assert draw([0.1] * 10 + [0.0, 0.0], Highest()) == 9
    with pytest.raises(ValueError, match="positive weight"):
        draw([0.0, 0.0], Highest())


def test_refuses_what_it_cannot_run():
    pair = as_pair(*rational_chains(1, 2, seed=0))
    with pytest.raises(SimlabError, match="exact limit"):
        reference.simulate(pair, BatchSpeculative(float("inf")), 1, random.Random(0))
    with pytest.raises(SimlabError, match="is not a decoder"):
        reference.simulate(pair, "speculative", 1, random.Random(0))
    with pytest.raises(SimlabError, match="trajectories"):
        reference.simulate(pair, Speculative(), 0, random.Random(0))


# Negative controls: one step of samplers broken as others broke theirs. The test above must catch each.


def invert(distribution, level):
    """An inverse distribution function without the clamp: one past the end where the distribution falls
    short."""
    return bisect_right(list(accumulate(distribution)), level)


def shared_uniform(draft, target, rng):
    y, level = draw(draft, rng), rng.random()
    accept = min(1.0, target[y] / draft[y])
    if level < accept:
        return y, False
    return invert(residual(target, draft), level), True


def clamp_missing(draft, target, rng):
    y = draw(draft, rng)
    if rng.random() < min(1.0, target[y] / draft[y]):
        return y, False
    return invert([max(b - a, 0.0) for a, b in zip(draft, target, strict=True)], rng.random()), True


def clamped_to_a_token_without_mass(draft, target, rng):
    y, rejected = clamp_missing(draft, target, rng)
    return min(y, len(draft) - 1), rejected


def residual_twice(draft, target, rng):
    goal = target
    for _ in range(2):
        y = draw(draft, rng)
        if rng.random() < min(1.0, goal[y] / draft[y]):
            return y, False
        goal = residual(goal, draft)
    return draw(residual(goal, draft), rng), True


def correct(draft, target, rng):
    y = draw(draft, rng)
    if rng.random() < min(1.0, target[y] / draft[y]):
        return y, False
    return draw(residual(target, draft), rng), True


def biased(draft, target, rng, epsilon=0.125, distribution=None, shared=False):
    """A step of BiasedSpeculative(0.125, "optimal"), for the test's own ways to break it."""
    y, level = draw(draft, rng), rng.random()
    if level < min(1.0, (target[y] + epsilon) / draft[y]):
        return y, False
    distribution = residual(target, draft) if distribution is None else distribution(draft, target)
    return (invert(distribution, level) if shared else draw(distribution, rng)), True


def epsilon_ignored(draft, target, rng):
    return biased(draft, target, rng, epsilon=0.0)


def replaced_by_the_target(draft, target, rng):
    return biased(draft, target, rng, distribution=lambda draft, target: target)


def replaced_by_the_draft(draft, target, rng):
    return biased(draft, target, rng, distribution=lambda draft, target: draft)


def replaced_by_the_residual_of_the_widened_target(draft, target, rng):
    """[target + epsilon - draft]_+: what one gets who widens the target everywhere."""
    return biased(
        draft, target, rng, distribution=lambda draft, target: residual([q + 0.125 for q in target], draft)
    )


def one_uniform_for_both(draft, target, rng):
    return biased(draft, target, rng, shared=True)


DRAFT, TARGET = [0.5, 0.25, 0.125, 0.125], [0.125, 0.25, 0.625, 0.0]
SPREAD_DRAFT, SPREAD_TARGET = [0.5, 0.25, 0.125, 0.125], [0.0625, 0.1875, 0.4375, 0.3125]


SPREAD = SPREAD_DRAFT, SPREAD_TARGET


@pytest.mark.parametrize(
    ("step", "decoder", "draft", "target", "caught"),
    [
        (correct, Speculative(), DRAFT, TARGET, False),
        (correct, Speculative(), *SPREAD, False),
        (shared_uniform, Speculative(), *SPREAD, True),
        (clamp_missing, Speculative(), DRAFT, TARGET, True),
        (clamped_to_a_token_without_mass, Speculative(), DRAFT, TARGET, True),
        (residual_twice, BatchSpeculative(2), *SPREAD, True),
        (biased, BiasedSpeculative(0.125, "optimal"), *SPREAD, False),
        (biased, BiasedSpeculative(0.125, "residual"), *SPREAD, False),
        (replaced_by_the_target, BiasedSpeculative(0.125, "target"), *SPREAD, False),
        (replaced_by_the_draft, BiasedSpeculative(0.125, "draft"), *SPREAD, False),
        (epsilon_ignored, BiasedSpeculative(0.125), *SPREAD, True),
        (replaced_by_the_target, BiasedSpeculative(0.125), *SPREAD, True),
        (replaced_by_the_draft, BiasedSpeculative(0.125, "target"), *SPREAD, True),
        (biased, BiasedSpeculative(0.125, "draft"), *SPREAD, True),
        (replaced_by_the_residual_of_the_widened_target, BiasedSpeculative(0.125), *SPREAD, True),
        (one_uniform_for_both, BiasedSpeculative(0.125), *SPREAD, True),
    ],
)
def test_broken_samplers_are_caught(step, decoder, draft, target, caught):
    distribution = joint_distribution([[draft] * 4], [[target] * 4], [1, 0, 0, 0], decoder)
    rng = random.Random(5)
    steps = (step(draft, target, rng) for _ in range(N))
    sample = Counter(((y,), (rejected,)) for y, rejected in steps)
    assert bool(mismatches(distribution, sample)) == caught


def missing_node(tree):
    return tree[:-1]


def other_child(tree):
    """The last child, not the first, of the root."""
    return [(2, *path[1:]) if path[0] == 0 else path for path in tree if path[0] != 2]


def all_of_it(tree):
    return tree


@pytest.mark.parametrize(("spoil", "caught"), [(all_of_it, False), (missing_node, True), (other_child, True)])
def test_spoilt_trees_are_caught(spoil, caught):
    row, start = [0.5, 0.375, 0.125], [1, 0, 0]
    chain, decoder = [[row] * 3] * 2, TreeSpeculative(4)
    rng = random.Random(5)
    paths = [
        tree.walk(chain, 0, lambda time, token: spoil(draft_tree(chain, time, token, decoder)), rng)
        for _ in range(N)
    ]
    assert bool(mismatches(joint_distribution(chain, chain, start, decoder), cells(paths))) == caught


def test_one_uniform_row_worked_by_hand():
    """Two equal tokens, two steps, two nodes: both children of the root, and then there is no choice left."""
    chain = [[[0.5, 0.5]] * 2] * 2
    assert draft_tree(chain, 0, 0, TreeSpeculative(2)) == [(0,), (1,)]
    assert draft_tree(chain, 0, 0, TreeSpeculative(4)) == [(0,), (1,), (0, 0), (0, 1)]
    assert draft_tree(chain, 0, 0, TreeSpeculative(4, shape="chain")) == [(0,), (0, 0)]
    assert draft_tree(chain, 1, 0, TreeSpeculative(4)) == [(0,), (1,)]
