"""Biased decoding: its joint distribution, its deviations from the target, and speculative decoding at
epsilon = 0."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given

from simlab.decoders import REPLACEMENTS, BiasedSpeculative, Speculative
from simlab.decoding import build_tables, sample_paths, simulate_batch
from simlab.decoding.biased import count_deviations
from simlab.decoding.core.chunks import CHUNK, U
from simlab.decoding.core.randomness import fill, seed_state
from simlab.decoding.core.tables import alias_table
from simlab.decoding.counts import DEVIATION_LEVELS
from simlab.decoding.simulate import BLOCK, record_paths
from simlab.evidence import total_variation_interval
from simlab.pairs import ChainPair
from tests.decoding.test_simulate import paper, seeded
from tests.oracles.enumerate import joint_distribution, total_variation
from tests.oracles.pairs import as_pair, rational_chains
from tests.oracles.statistics import ERROR, mismatches, outcomes
from tests.strategies import examples, pairs

EPSILONS = (0, 0.05, 0.3, 1, 7)
DECODERS = [BiasedSpeculative(epsilon, distribution) for distribution in REPLACEMENTS for epsilon in EPSILONS]
SHAPES = [(3, 3, 0.3), (4, 2, 0.0), (2, 4, 0.5), (1, 5, 0.2), (3, 1, 0)]
N = 100_000


def equal_chains():
    draft, _, initial = rational_chains(3, 3, seed=2)
    return draft, draft, initial


def disjoint_chains():
    """The target never gives what the draft gives."""
    half, quarter = Fraction(1, 2), Fraction(1, 4)
    return [[[half, half, 0, 0]] * 4] * 2, [[[0, 0, quarter, 3 * quarter]] * 4] * 2, [1, 0, 0, 0]


CHAINS = {f"T={t} V={v}": rational_chains(t, v, seed=11, zeros=zeros) for t, v, zeros in SHAPES}
CHAINS |= {"draft = target": equal_chains(), "disjoint": disjoint_chains()}


@pytest.mark.statistical
@pytest.mark.parametrize("decoder", DECODERS, ids=str)
@pytest.mark.parametrize("chains", CHAINS)
def test_tokens_rejections_and_deviations_follow_the_oracle(chains, decoder):
    """False alarm at most 2e-6: the joint distribution, and the total variation that the deviations
    estimate."""
    chains = CHAINS[chains]
    tables = build_tables(as_pair(*chains), decoder)
    paths, counts = record_paths(tables, N, seeded(5)), simulate_batch(tables, N, seeded(5))
    assert not mismatches(joint_distribution(*chains, decoder), outcomes(paths.tokens, paths.rejected))
    exact = float(total_variation(*chains, decoder))
    _, low, high = total_variation_interval(counts.deviations, 1 - ERROR)
    assert low - 1e-12 <= exact <= high + 1e-12
    assert high - low < 0.03 or exact == 0


# Negative controls: the same tests must catch each of these, on the production kernels with spoilt tables.


@pytest.fixture
def dense():
    return rational_chains(3, 3, seed=12, zeros=0.0)


def spoilt(decoder, chains, **tables):
    spoilt_tables = replace(build_tables(as_pair(*chains), decoder), **tables)
    paths = record_paths(spoilt_tables, N, seeded(1))
    return mismatches(joint_distribution(*chains, decoder), outcomes(paths.tokens, paths.rejected))


@pytest.mark.parametrize("distribution", REPLACEMENTS)
def test_catches_the_replacement_of_another_distribution(dense, distribution):
    pair = as_pair(*dense)
    wrong = pair.draft if distribution == "target" else pair.target
    assert spoilt(BiasedSpeculative(0.05, distribution), dense, replacement=alias_table(wrong))
    assert not spoilt(BiasedSpeculative(0.05, distribution), dense)


@pytest.mark.parametrize("distribution", REPLACEMENTS)
@pytest.mark.parametrize("epsilon", [0, 0.03])
def test_catches_the_thresholds_of_another_epsilon(dense, distribution, epsilon):
    other = build_tables(as_pair(*dense), BiasedSpeculative(epsilon, distribution))
    assert spoilt(BiasedSpeculative(0.05, distribution), dense, drafts=other.drafts)


@pytest.mark.parametrize("distribution", REPLACEMENTS)
def test_catches_one_uniform_for_verification_and_replacement(dense, distribution):
    """The bug of production verifiers, in NumPy: the uniform that rejects also draws the replacement."""
    decoder = BiasedSpeculative(0.05, distribution)
    for shared in (False, True):
        paths = numpy_paths(as_pair(*dense), decoder, shared)
        assert bool(mismatches(joint_distribution(*dense, decoder), outcomes(*paths))) == shared


def numpy_paths(pair, decoder, shared):
    random, draft, target = np.random.default_rng(3), pair.draft, pair.target
    distributions = {"target": target, "draft": draft}
    distributions["optimal"] = distributions["residual"] = np.maximum(target - draft, 0) / np.maximum(
        target - draft, 0
    ).sum(-1, keepdims=True)

    def draws(rows, uniforms):
        return (uniforms[:, None] >= rows.cumsum(-1)[:, :-1]).sum(1)

    last, tokens, rejected = draws(np.tile(pair.initial, (N, 1)), random.random(N)), [], []
    for t in range(pair.horizon):
        drafted, chance = draws(draft[t][last], random.random(N)), random.random(N)
        accept = (target[t][last, drafted] + decoder.epsilon) / draft[t][last, drafted]
        again = draws(distributions[decoder.replacement][t][last], chance if shared else random.random(N))
        rejected.append(chance >= accept)
        last = np.where(rejected[-1], again, drafted)
        tokens.append(last)
    return np.array(tokens).T, np.array(rejected).T


@pytest.mark.statistical
def test_catches_deviations_from_another_output(dense):
    right, wrong = (build_tables(as_pair(*dense), BiasedSpeculative(e, "target")) for e in (0.1, 0.05))
    exact = float(total_variation(*dense, BiasedSpeculative(0.1, "target")))
    for ratios, caught in ((right.ratios, False), (wrong.ratios, True), (right.ratios**0.95, True)):
        counts = simulate_batch(replace(right, ratios=ratios), N, seeded(4))
        _, low, high = total_variation_interval(counts.deviations, 1 - ERROR)
        assert (not low <= exact <= high) == caught


# What the deviations are, trajectory by trajectory.


def output_chain(pair, decoder):
    """K, in another way: accepted mass, and the rejected mass spread by the replacement's distribution."""
    accepted = np.minimum(1, (pair.target + decoder.epsilon) / pair.draft) * pair.draft
    residual = np.maximum(pair.target - accepted, 0)
    distributions = {"target": pair.target, "draft": pair.draft, "optimal": residual, "residual": residual}
    distribution = distributions[decoder.replacement]
    return accepted + (1 - accepted.sum(-1, keepdims=True)) * distribution / distribution.sum(
        -1, keepdims=True
    )


@pytest.mark.statistical
@pytest.mark.parametrize("trajectories", [1, 33, CHUNK, CHUNK + 1, BLOCK + 777])
@pytest.mark.parametrize("decoder", [BiasedSpeculative(0.02), BiasedSpeculative(0.1, "draft")], ids=str)
def test_deviations_are_those_of_the_paths(decoder, trajectories):
    pair = paper(3, states=9)
    tables = build_tables(pair, decoder)
    paths = record_paths(tables, trajectories, seeded(4))
    counts = simulate_batch(tables, trajectories, seeded(4))
    ratios = pair.target / output_chain(pair, decoder)
    before = np.column_stack([paths.initial, paths.tokens[:, :-1]])
    weights = ratios[np.arange(3), before, paths.tokens].prod(axis=1)
    steps = DEVIATION_LEVELS * np.maximum(1 - weights, 0)
    rounding, levels = seed_state(seeded(4), generators=2)[4:], []
    for block in np.split(steps, range(BLOCK, trajectories, BLOCK)):
        for chunk in np.split(block, range(CHUNK, len(block), CHUNK)):
            words = np.zeros(CHUNK, np.uint64)
            fill(rounding, words, U(len(chunk)))
            up = (words[: len(chunk)] >> U(11)).astype(float) * 2.0**-53 < chunk - np.floor(chunk)
            levels.append(np.floor(chunk).astype(int) + up)
    expected = np.bincount(np.concatenate(levels), minlength=DEVIATION_LEVELS + 1)
    assert np.array_equal(counts.deviations, expected)
    assert counts.deviations.dtype == np.int64


@pytest.mark.parametrize("seed", range(3))
def test_rounding_keeps_the_mean(seed):
    """Of a weight whose deviation is 300.3 steps 0.3 +- 0.0024 are rounded up: 5.1 standard errors, 1e-6."""
    size, deviations = 1_000_000, np.zeros(DEVIATION_LEVELS + 1, np.int64)
    weights = np.full(size, 1 - 300.3 / DEVIATION_LEVELS)
    rounding = seed_state(seeded(seed))
    count_deviations(weights, U(size), np.zeros(CHUNK, np.uint64), rounding, deviations)
    assert deviations[[300, 301]].sum() == size
    assert abs(deviations[301] / size - 0.3) < 0.0024


@pytest.mark.parametrize(
    ("weight", "level"),
    [(1.0, 0), (1.5, 0), (np.inf, 0), (np.nan, 0), (0.0, 1024), (0.5, 512), (1 - 2**-10, 1), (5e-324, 1024)],
)
def test_whole_levels_are_not_rounded(weight, level):
    deviations = np.zeros(DEVIATION_LEVELS + 1, np.int64)
    rounding = seed_state(seeded(0))
    count_deviations(np.full(5000, weight), U(5000), np.zeros(CHUNK, np.uint64), rounding, deviations)
    assert deviations[level] == deviations.sum() == 5000


# The edges: nothing accepted in excess, everything accepted, equal rows, any legal pair.


@pytest.mark.statistical
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("replacement", ["optimal", "residual"])
@pytest.mark.parametrize("states", [7, 100])
def test_without_excess_it_is_speculative_decoding_bit_by_bit(states, replacement, seed):
    pair, trajectories = paper(3, states), BLOCK + 777
    tables = [build_tables(pair, decoder) for decoder in (Speculative(), BiasedSpeculative(0, replacement))]
    plain, biased = (simulate_batch(each, trajectories, seeded(seed)) for each in tables)
    assert np.array_equal(plain.rejections, biased.rejections)
    assert np.array_equal(plain.tokens, biased.tokens)
    assert np.array_equal(plain.rejections_per_position, biased.rejections_per_position)
    assert biased.deviations[0] == biased.deviations.sum() == trajectories
    assert plain.deviations.size == 0


@examples(60)
@given(pairs())
def test_any_legal_pair_is_simulated_within_its_support(pair):
    for decoder in DECODERS:
        counts = simulate_batch(build_tables(pair, decoder), 200, seeded(1))
        assert counts.trajectories == counts.rejections.sum() == counts.deviations.sum() == 200
        assert (counts.tokens.sum(axis=1) == 200).all()
        assert counts.rejections @ np.arange(pair.horizon + 1) == counts.rejections_per_position.sum()
        reachable = pair.initial > 0
        for t in range(pair.horizon):
            possible = pair.draft[t] > 0 if decoder.epsilon >= 1 else (pair.draft[t] + pair.target[t]) > 0
            reachable = possible[reachable].any(axis=0)
            assert not counts.tokens[t][~reachable].any()
        if decoder.epsilon >= 1:
            assert counts.rejections[0] == 200
        if decoder.epsilon == 0 and decoder.replacement in ("optimal", "residual"):
            plain = simulate_batch(build_tables(pair, Speculative()), 200, seeded(1))
            assert np.array_equal(plain.tokens, counts.tokens)
            assert counts.deviations[0] == 200


@pytest.mark.parametrize("decoder", DECODERS, ids=str)
def test_equal_rows_never_reject_and_never_deviate(decoder):
    pair = paper(5)
    counts = simulate_batch(
        build_tables(ChainPair(pair.target, pair.target, pair.initial), decoder), 5000, seeded(2)
    )
    assert counts.rejections[0] == counts.deviations[0] == 5000


@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_everything_accepted_though_rows_sum_to_more_than_one(replacement):
    draft, target = np.array([[1 + 9e-10, 0]] * 2), np.array([[0.0, 1.0]] * 2)
    pair = ChainPair.stationary(draft, target, [1, 0], 4)
    tables = build_tables(pair, BiasedSpeculative(1, replacement))
    always = build_tables(pair, BiasedSpeculative(2, replacement))
    for mine, theirs in zip(tables.drafts, always.drafts, strict=True):  # thresholds to their last bits
        assert np.array_equal(mine, theirs)
    counts = simulate_batch(tables, 1000, seeded(0))
    assert counts.rejections[0] == counts.deviations[DEVIATION_LEVELS] == 1000


def test_the_initial_token_carries_over():
    chains = rational_chains(2, 3, seed=4, zeros=0.0)
    decoder = BiasedSpeculative(0.1, "target")
    paths = sample_paths(as_pair(*chains), decoder, 2 * N, seed=9)
    assert not mismatches(dict(enumerate(chains[2])), Counter(paths.initial.tolist()))
    for x in range(3):
        started = paths.initial == x
        distribution = joint_distribution(*chains[:2], [int(x == z) for z in range(3)], decoder)
        assert not mismatches(distribution, outcomes(paths.tokens[started], paths.rejected[started]))
