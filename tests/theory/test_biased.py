"""Biased decoding predicted: against brute force over the algorithm, its two ends, Theorems 4 and 5."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.decoders import REPLACEMENTS, Autoregressive, BatchSpeculative, BiasedSpeculative, Speculative
from simlab.errors import SimlabError
from simlab.pairs import ChainPair, dirichlet, paper
from simlab.theory import (
    expected_rejections_per_position,
    optimal_loss,
    output_chain,
    predict,
    single_token_tradeoff,
)
from tests.exact import close
from tests.oracles.enumerate import joint_distribution
from tests.oracles.pairs import as_pair, rational_chains
from tests.strategies import pairs

EPSILONS = (0.0, 0.0625, 0.125, 0.5, 1.0, 3.0)
SHAPES = [(1, 1, 0), (1, 3, 1), (3, 2, 2), (2, 3, 3), (3, 3, 4), (2, 4, 6)]
epsilons = st.sampled_from([0.0, 1e-300, 1e-17, 1e-9, 0.01, 0.1, 0.5, 0.999, 1.0, 7.0])


def sure(state: int, states: int) -> list[int]:
    return [int(x == state) for x in range(states)]


def law_of_tokens(chains, decoder) -> dict[tuple, Fraction]:
    distribution: dict[tuple, Fraction] = {}
    for (tokens, _), mass in joint_distribution(*chains, decoder).items():
        distribution[tokens] = distribution.get(tokens, Fraction(0)) + mass
    return distribution


def divergence(draft, target, initial, decoder) -> float:
    """KL of the whole sequences from the enumerated distributions, x_0 by x_0."""
    total = 0.0
    for x, mass in enumerate(initial):
        if not mass:
            continue
        chains = draft, target, sure(x, len(initial))
        output, alone = (law_of_tokens(chains, each) for each in (decoder, Autoregressive()))
        for tokens, share in output.items():
            if share and not alone.get(tokens):
                return math.inf
            if share:
                total += float(mass * share) * math.log(share / alone[tokens])
    return total


@pytest.mark.parametrize("replacement", REPLACEMENTS)
@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize(("horizon", "states", "seed"), SHAPES)
def test_equals_brute_force_over_the_algorithm(replacement, epsilon, horizon, states, seed):
    chains, decoder = rational_chains(horizon, states, seed), BiasedSpeculative(epsilon, replacement)
    pmf, positions = np.zeros(horizon + 1), np.zeros(horizon)
    marginals = np.zeros((horizon, states))
    for (tokens, rejected), mass in joint_distribution(*chains, decoder).items():
        pmf[sum(rejected)] += mass
        positions += float(mass) * np.array(rejected)
        marginals[range(horizon), tokens] += float(mass)
    prediction = predict(as_pair(*chains), decoder)
    np.testing.assert_allclose(prediction.rejections_pmf, pmf, atol=1e-12)
    np.testing.assert_allclose(prediction.rejections_per_position, positions, atol=1e-12)
    np.testing.assert_allclose(prediction.token_marginals, marginals, atol=1e-12)
    counts = np.arange(horizon + 1)
    assert prediction.expected_rejections == pytest.approx(pmf @ counts, abs=1e-12)
    assert prediction.variance == pytest.approx(pmf @ counts**2 - (pmf @ counts) ** 2, abs=1e-12)
    assert prediction.sequence_kl == pytest.approx(divergence(*chains, decoder), abs=1e-12)


@pytest.mark.parametrize("replacement", REPLACEMENTS)
@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize(("horizon", "states", "seed"), SHAPES)
def test_whole_sequences_follow_the_output_chain(replacement, epsilon, horizon, states, seed):
    draft, target, initial = rational_chains(horizon, states, seed)
    decoder = BiasedSpeculative(epsilon, replacement)
    chain = predict(as_pair(draft, target, initial), decoder).output_chain
    assert chain.shape == (horizon, states, states)
    for start in np.flatnonzero([float(mass) for mass in initial]):
        distribution = law_of_tokens((draft, target, sure(start, states)), decoder)
        for tokens in np.ndindex(*[states] * horizon):
            mass = np.prod([chain[t, x, y] for t, (x, y) in enumerate(itertools.pairwise((start, *tokens)))])
            assert mass == pytest.approx(float(distribution.get(tokens, 0)), abs=1e-12)


def test_the_oracle_sees_what_another_replacement_or_epsilon_would_change():
    """The comparison above is no tautology: predictions of neighbouring settings differ by far more."""
    chains = rational_chains(3, 3, 4)
    distributions = [
        law_of_tokens(chains, BiasedSpeculative(0.125, each)) for each in ("optimal", "target", "draft")
    ]
    distributions.append(law_of_tokens(chains, BiasedSpeculative(0.0625, "optimal")))
    for i, one in enumerate(distributions):
        for other in distributions[:i]:
            assert max(abs(one.get(key, 0) - other.get(key, 0)) for key in {*one, *other}) > 1e-3


@given(pairs(most_steps=6), epsilons, st.sampled_from(REPLACEMENTS))
def test_every_prediction_is_a_law_and_its_parts_agree(pair, epsilon, replacement):
    decoder = BiasedSpeculative(epsilon, replacement)
    prediction = predict(pair, decoder)
    pmf, chain = prediction.rejections_pmf, prediction.output_chain
    assert (pmf >= 0).all() and pmf.sum() == pytest.approx(1, abs=1e-12)
    assert pmf @ np.arange(pair.horizon + 1) == pytest.approx(prediction.expected_rejections, abs=1e-12)
    positions = expected_rejections_per_position(pair, decoder)
    np.testing.assert_allclose(positions, prediction.rejections_per_position, atol=1e-12)
    close(output_chain(pair, decoder), chain, 1e-14)
    assert (chain >= 0).all() and not chain.flags.writeable
    np.testing.assert_allclose(chain.sum(axis=-1), 1, atol=1e-12)
    distribution = pair.initial
    for t in range(pair.horizon):
        lost = np.maximum(pair.draft[t] - pair.target[t] - epsilon, 0).sum(axis=-1)
        assert positions[t] == pytest.approx(distribution @ lost, abs=1e-12)
        distribution = distribution @ chain[t]
        np.testing.assert_allclose(prediction.token_marginals[t], distribution, atol=1e-12)
    assert prediction.sequence_kl >= 0


@given(pairs(most_steps=6), st.sampled_from(["optimal", "residual"]))
def test_without_excess_it_is_speculative_decoding(pair, replacement):
    plain, biased = predict(pair, Speculative()), predict(pair, BiasedSpeculative(0.0, replacement))
    for name in ("rejections_pmf", "rejections_per_position", "token_marginals"):
        close(getattr(biased, name), getattr(plain, name), 1e-14)
    assert biased.output_chain is plain.output_chain is pair.target
    assert biased.sequence_kl == 0.0
    # And not by the special case alone: an excess that is nothing goes the long way round.
    nearly = predict(pair, BiasedSpeculative(1e-300, replacement))
    np.testing.assert_allclose(nearly.rejections_pmf, plain.rejections_pmf, atol=1e-12)
    np.testing.assert_allclose(nearly.output_chain, pair.target, atol=1e-12)


@given(pairs(most_steps=5), st.sampled_from(REPLACEMENTS), st.sampled_from([1.0, 1.5, 1e300]))
def test_from_an_excess_of_one_on_the_draft_decodes_alone(pair, replacement, epsilon):
    prediction = predict(pair, BiasedSpeculative(epsilon, replacement))
    np.testing.assert_array_equal(prediction.rejections_per_position, 0)
    assert prediction.acceleration == math.inf and prediction.variance == 0
    np.testing.assert_array_equal(prediction.output_chain, pair.draft)


@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_everything_is_accepted_though_rows_sum_to_more_than_one(replacement):
    draft, target = [[1 + 9e-10, 0.0]] * 2, [[0.0, 1.0]] * 2
    pair = ChainPair.stationary(draft, target, [1, 0], 4)
    for epsilon in (1.0, 7.0):
        prediction = predict(pair, BiasedSpeculative(epsilon, replacement))
        assert prediction.expected_rejections == 0 and not prediction.rejections_pmf[1:].any()


@given(pairs(), epsilons, st.floats(-9e-10, 9e-10), st.floats(-9e-10, 9e-10))
def test_it_is_for_rows_that_are_a_bit_off_one_too(pair, epsilon, defect, other):
    """Token by token, not only in sum: where draft > target + epsilon neither has any mass."""
    off = ChainPair(pair.draft * (1 + defect), pair.target * (1 + other), pair.initial)
    chains = [output_chain(off, BiasedSpeculative(max(epsilon, 1e-300), e)) for e in ("optimal", "residual")]
    close(*chains, 1e-14)


@given(pairs(), epsilons)
def test_the_optimal_replacement_is_the_residual(pair, epsilon):
    chains = [output_chain(pair, BiasedSpeculative(epsilon, each)) for each in ("optimal", "residual")]
    close(*chains, 1e-14)


@given(pairs(), epsilons)
def test_theorem_5_and_what_other_replacements_lose(pair, epsilon):
    draft, target = np.array(pair.draft), np.array(pair.target)
    distance = 0.5 * np.abs(draft - target).sum(axis=-1)
    accepted = np.minimum(draft, target + epsilon)
    rejected, loss = single_token_tradeoff(draft, target, BiasedSpeculative(epsilon, "optimal"))
    np.testing.assert_allclose(rejected + loss, distance, atol=1e-12)
    np.testing.assert_allclose(optimal_loss(accepted, target), loss, atol=1e-12)
    printed = 0.5 * np.abs(target - accepted).sum(axis=-1) - 0.5 * (1 - accepted.sum(axis=-1))
    np.testing.assert_allclose(optimal_loss(accepted, target), printed, atol=1e-12)
    for replacement in REPLACEMENTS:
        again, other = single_token_tradeoff(draft, target, BiasedSpeculative(epsilon, replacement))
        np.testing.assert_allclose(again, rejected, atol=1e-15)
        assert (other >= loss - 1e-12).all()


@pytest.mark.parametrize("seed", range(6))
def test_theorem_4_no_replacement_beats_the_optimal_loss_for_any_acceptance(seed):
    random = np.random.default_rng(seed)
    states = int(random.integers(2, 6))
    draft, target = random.dirichlet(np.ones(states), 2)
    accepted = draft * random.random(states) ** random.choice([0.2, 1, 5])
    least, rejected = optimal_loss(accepted, target), 1 - accepted.sum()
    excess = np.maximum(target - accepted, 0)
    attained = accepted + rejected * excess / excess.sum()
    assert 0.5 * np.abs(attained - target).sum() == pytest.approx(least, abs=1e-12)
    others = accepted + rejected * random.dirichlet(np.full(states, 0.3), 5000)
    losses = 0.5 * np.abs(others - target).sum(axis=-1)
    assert losses.min() >= least - 1e-12
    assert losses.max() > least + 0.05  # the bound is no triviality


def test_single_rows_give_floats_and_shapes_are_checked():
    rejected, loss = single_token_tradeoff([0.75, 0.25], [0.25, 0.75], BiasedSpeculative(0.25))
    assert (rejected, loss) == (0.25, 0.25) and isinstance(rejected, float)
    assert optimal_loss([0.5, 0.25], [0.25, 0.75]) == 0.25
    for call in (
        lambda: optimal_loss([0.5], [0.5, 0.5]),
        lambda: single_token_tradeoff([1.0], [0.5, 0.5], BiasedSpeculative(0.1)),
    ):
        with pytest.raises(SimlabError, match="expected the same shape"):
            call()


def test_the_divergence_is_infinite_only_where_the_impossible_is_reached():
    """Token 1 never follows token 0 in the target; the biased draft lets it; token 2 leads elsewhere."""
    draft = np.array([[[0.5, 0.5, 0.0], [0.2, 0.4, 0.4], [0.0, 0.0, 1.0]]] * 2)
    target = np.array([[[1.0, 0.0, 0.0], [0.3, 0.3, 0.4], [0.0, 0.0, 1.0]]] * 2)
    decoder = BiasedSpeculative(0.25)
    assert predict(ChainPair(draft, target, [1, 0, 0]), decoder).sequence_kl == math.inf
    assert predict(ChainPair(draft, target, [0, 0, 1]), decoder).sequence_kl == 0.0
    assert predict(ChainPair(draft[:1], target[:1], [0, 1, 0]), decoder).sequence_kl > 0
    assert predict(ChainPair(draft, target, [0, 1, 0]), decoder).sequence_kl == math.inf


def test_a_divergence_of_masses_near_the_smallest_number_is_finite():
    draft, target = [[[1.0, 0.0], [0.0, 1.0]]], [[[1 - 1e-16, 1e-310], [0.5, 0.5]]]
    kl = predict(ChainPair(draft, target, [0.0, 1.0]), BiasedSpeculative(1.0)).sequence_kl
    assert kl == pytest.approx(math.log(2), abs=1e-12)
    flipped = ChainPair([[[0.0, 1.0], [0.0, 1.0]]], target, [1.0, 0.0])
    assert predict(flipped, BiasedSpeculative(1.0)).sequence_kl == pytest.approx(
        310 * math.log(10), rel=1e-12
    )


def test_a_stationary_pair_has_one_step_of_output():
    pair = dirichlet(6, 4, stationary=True)
    decoder = BiasedSpeculative(0.1, "target")
    assert predict(pair, decoder).output_chain.strides[0] == 0
    steps = [ChainPair(pair.draft[:1], pair.target[:1], pair.initial) for _ in range(1)]
    close(predict(pair, decoder).output_chain[3], output_chain(steps[0], decoder)[0], 1e-14)
    distribution, total = pair.initial, 0.0
    for now, goal in zip(predict(pair, decoder).output_chain, pair.target, strict=True):
        total += distribution @ (now * np.log(now / goal)).sum(axis=-1)
        distribution = distribution @ now
    assert predict(pair, decoder).sequence_kl == pytest.approx(total, abs=1e-12)


def test_the_unbiased_decoders_have_the_target_for_an_output_chain():
    pair = paper(4)
    for decoder in (Autoregressive(), Speculative(), BatchSpeculative(3), BatchSpeculative(math.inf)):
        prediction = predict(pair, decoder)
        assert prediction.output_chain is pair.target and prediction.sequence_kl == 0.0


def test_more_excess_rejects_less_and_strays_further():
    pair, last = paper(20), predict(paper(20), Speculative())
    for epsilon in (0.01, 0.05, 0.1, 0.2, 0.4):
        now = predict(pair, BiasedSpeculative(epsilon))
        assert now.expected_rejections < last.expected_rejections
        assert now.sequence_kl > last.sequence_kl
        last = now
