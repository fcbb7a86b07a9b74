"""Total variation of whole sequences: exact where prefixes can be enumerated, a bracket elsewhere."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.decoders import REPLACEMENTS, Autoregressive, BatchSpeculative, BiasedSpeculative, Speculative
from simlab.errors import SimlabError
from simlab.pairs import ChainPair, dirichlet, paper
from simlab.theory import chains_total_variation, output_chain, predict, sequence_total_variation
from tests.oracles.enumerate import total_variation
from tests.oracles.pairs import as_pair, rational_chains
from tests.strategies import pairs

EPSILONS = (0.0, 0.0625, 0.25, 1.0)


def by_brute_force(output, target, initial) -> float:
    """All sequences at once, nothing left out: V^(T+1) numbers."""
    states = len(initial)
    k = q = np.asarray(initial, float) / np.sum(initial)
    for now, goal in zip(output, target, strict=True):
        now, goal = (rows / rows.sum(axis=-1, keepdims=True) for rows in (now, goal))
        last = np.arange(len(k)) % states
        k, q = (k[:, None] * now[last]).ravel(), (q[:, None] * goal[last]).ravel()
    return float(np.maximum(k - q, 0).sum())


@pytest.mark.parametrize("replacement", REPLACEMENTS)
@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize(
    ("horizon", "states", "seed"), [(1, 1, 0), (1, 3, 1), (3, 2, 2), (2, 3, 3), (3, 3, 4), (4, 2, 5)]
)
def test_equals_and_brackets_the_rational_enumeration(replacement, epsilon, horizon, states, seed):
    chains, decoder = rational_chains(horizon, states, seed), BiasedSpeculative(epsilon, replacement)
    exact = float(total_variation(*chains, decoder))
    pair = as_pair(*chains)
    low, high = sequence_total_variation(pair, decoder)
    assert low == high == pytest.approx(exact, abs=1e-12)
    for cells in (2, 10, 101, 3000):
        low, high = sequence_total_variation(pair, decoder, cells=cells)
        assert low <= exact <= high
    assert high - low < 1e-4


@given(pairs(most_steps=6, most_states=4), st.sampled_from([2, 3, 7, 40, 500]))
def test_any_two_chains_are_bracketed(pair, cells):
    """Draft against target: equal, nearly equal, disjoint, with zeros and masses near the smallest number."""
    exact = by_brute_force(pair.draft, pair.target, pair.initial)
    low, high = chains_total_variation(pair.draft, pair.target, pair.initial)
    assert low == high == pytest.approx(exact, abs=1e-13)
    low, high = chains_total_variation(pair.draft, pair.target, pair.initial, cells=cells)
    assert low - 1e-15 <= exact <= high + 1e-15
    assert 0 <= low <= high <= 1


@given(pairs(most_steps=1, most_states=6), st.sampled_from([0.0, 1e-9, 0.05, 0.3, 1.0]))
def test_one_token_is_the_mean_distance_of_the_rows(pair, epsilon):
    for replacement in REPLACEMENTS:
        decoder = BiasedSpeculative(epsilon, replacement)
        rows = 0.5 * np.abs(output_chain(pair, decoder)[0] - pair.target[0]).sum(axis=-1)
        for cells in (None, 2, 20):  # the last step needs no grid
            low, high = sequence_total_variation(pair, decoder, cells=cells)
            assert low == pytest.approx(pair.initial @ rows, abs=1e-12)
            assert high == pytest.approx(low, abs=1e-12)


@pytest.mark.parametrize("replacement", ["optimal", "target"])
@pytest.mark.parametrize("seed", range(3))
def test_the_gap_closes_with_the_square_of_the_step(seed, replacement):
    pair, decoder = dirichlet(9, 3, seed=seed), BiasedSpeculative(0.05, replacement)
    exact = by_brute_force(output_chain(pair, decoder), pair.target, pair.initial)
    coarse, middle, fine = (sequence_total_variation(pair, decoder, cells=n) for n in (100, 1000, 10_000))
    for low, high in (coarse, middle, fine):
        assert low <= exact <= high
    widths = [bracket.high - bracket.low for bracket in (coarse, middle, fine)]
    assert widths[1] < widths[0] / 20 and widths[2] < widths[1] / 20
    assert widths[2] < 1e-6
    assert fine.middle == pytest.approx(exact, abs=1e-6)
    for outer, inner in itertools.pairwise((coarse, middle, fine)):
        assert outer.low <= inner.low and inner.high <= outer.high


def test_the_papers_instance_lies_between_what_its_affinity_allows():
    """1 - BC <= TV <= sqrt(1 - BC^2), with BC the Bhattacharyya coefficient by its own recursion."""
    pair = paper(50)
    for epsilon in (0.003, 0.05, 0.2):
        decoder = BiasedSpeculative(epsilon)
        distribution = pair.initial
        for now, goal in zip(output_chain(pair, decoder), pair.target, strict=True):
            distribution = distribution @ np.sqrt(now * goal)
        low, high = sequence_total_variation(pair, decoder, cells=4000)
        assert 1 - distribution.sum() < low < high < np.sqrt(1 - distribution.sum() ** 2)
        assert high - low < 5e-5
        assert low <= np.sqrt(predict(pair, decoder).sequence_kl / 2)  # Pinsker


def test_two_independent_roads_at_a_size_that_only_one_could_enumerate():
    """V = 2 and equal rows: the count of ones is all that matters, so the distribution is a binomial one."""
    horizon = 40
    draft, target = np.array([0.45, 0.55]), np.array([0.5, 0.5])
    pair = ChainPair.stationary([draft] * 2, [target] * 2, [1.0, 0.0], horizon)
    low, high = sequence_total_variation(pair, BiasedSpeculative(1.0))
    ones = np.arange(horizon + 1)
    choose = np.cumprod(np.r_[1.0, (horizon - ones[:-1]) / (ones[:-1] + 1)])
    distributions = [choose * row[1] ** ones * row[0] ** (horizon - ones) for row in (draft, target)]
    exact = 0.5 * np.abs(distributions[0] - distributions[1]).sum()
    assert low < exact < high and high - low < 2e-5


def test_zeros_on_either_side_leave_at_once():
    draft = np.array([[[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]] * 12)
    target = np.array([[[0.5, 0.0, 0.5], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0]]] * 12)
    pair = ChainPair(draft, target, [1.0, 0.0, 0.0])
    exact = by_brute_force(pair.draft, pair.target, pair.initial)
    for cells in (None, 5, 200):
        low, high = sequence_total_variation(pair, BiasedSpeculative(1.0), cells=cells)
        assert low - 1e-15 <= exact <= high and high - low < 1e-12


def test_disjoint_supports_share_nothing():
    draft, target = np.tile([1.0, 0.0], (30, 2, 1)), np.tile([0.0, 1.0], (30, 2, 1))
    pair = ChainPair(draft, target, [1, 0])
    assert sequence_total_variation(pair, BiasedSpeculative(1.0)) == (1.0, 1.0)


@pytest.mark.parametrize("cells", [None, 300])
def test_rows_that_are_a_bit_off_one_are_taken_as_distributions(cells):
    """Their defects, 9e-10 each, would add up over the steps; and the initial distribution's counts once."""
    pair = dirichlet(8, 3, seed=6)
    off = pair.draft * (1 + 9e-10), pair.target * (1 - 9e-10), pair.initial * (1 + 9e-10)
    ends = [
        chains_total_variation(*chains, cells=cells)
        for chains in ((pair.draft, pair.target, pair.initial), off)
    ]
    np.testing.assert_allclose(*ends, rtol=0, atol=1e-12)


def test_the_unbiased_have_none():
    for decoder in (Autoregressive(), Speculative(), BatchSpeculative(3), BiasedSpeculative(0.0, "optimal")):
        assert sequence_total_variation(paper(50), decoder) == (0.0, 0.0)


def test_prefixes_that_can_no_longer_matter_are_no_burden():
    """Deterministic but for one step: thousands of tokens are enumerated, since few prefixes are left."""
    horizon = 3000
    rows = np.broadcast_to(np.eye(3), (horizon, 3, 3)).copy()
    draft, target = rows.copy(), rows.copy()
    draft[1500], target[1500] = np.full((3, 3), 1 / 3), [[0.5, 0.25, 0.25]] * 3
    low, high = sequence_total_variation(ChainPair(draft, target, [1, 0, 0]), BiasedSpeculative(1.0))
    assert low == high == pytest.approx(1 / 6, abs=1e-12)


def test_refuses_what_is_no_number_of_cells():
    for cells in (1, 0, 2.5, "many"):
        with pytest.raises(SimlabError, match="cells"):
            sequence_total_variation(paper(2), BiasedSpeculative(0.1), cells=cells)
    with pytest.raises(SimlabError, match="is not a decoder"):
        sequence_total_variation(paper(2), "biased")
    with pytest.raises(SimlabError, match="is not a pair"):
        sequence_total_variation(np.eye(2), BiasedSpeculative(0.1))


def _up_and_down():
    """Tokens 0 and 1, then 2 and 3, then 0 and 1 again, where the ratio of the step before is undone."""
    output, target = np.random.default_rng(3).dirichlet(np.ones(4), (2, 4, 4))
    output[0, :, 2:] = target[0, :, 2:] = 0
    output[1], target[1] = [0, 0, 0.6, 0.4], [0, 0, 0.4, 0.6]
    output[2], target[2] = [0.6, 0.4, 0, 0], [0.4, 0.6, 0, 0]
    output[2, 2], target[2, 2] = target[2, 0], output[2, 0]
    target[3] = output[3]
    return [rows / rows.sum(axis=-1, keepdims=True) for rows in (output, target)]


def _equal_after_the_first_step(horizon):
    output, target = np.random.default_rng(0).dirichlet(np.ones(3), (2, horizon, 3))
    target[1:] = output[1:]
    return output, target


@pytest.mark.parametrize("cells", [2, 8, 64, 1000])
@pytest.mark.parametrize(
    ("output", "target", "most"),
    [
        (*_equal_after_the_first_step(2), [1e-12] * 4),
        (*_equal_after_the_first_step(6), [1e-12] * 4),
        (*_up_and_down(), [0.5, 0.02, 2e-3, 1e-9]),
    ],
    ids=["two steps", "six steps", "up and down"],
)
def test_the_bracket_closes_where_nothing_can_cross_any_more(output, target, most, cells):
    """Prefixes for good above 1 and for good below it end in one token: to add them would lose them."""
    initial = np.full(output.shape[-1], 1 / output.shape[-1])
    exact = chains_total_variation(output, target, initial).middle
    low, high = chains_total_variation(output, target, initial, cells=cells)
    assert low - 1e-15 <= exact <= high + 1e-15
    assert high - low < most[[2, 8, 64, 1000].index(cells)]


def test_a_decoder_is_known_exactly_where_draft_and_target_part_in_the_first_step_only():
    draft, target = _equal_after_the_first_step(4)
    pair = ChainPair(draft, target, np.full(3, 1 / 3))
    decoder = BiasedSpeculative(0.05)
    exact = sequence_total_variation(pair, decoder).middle
    assert exact > 0.01
    low, high = sequence_total_variation(pair, decoder, cells=20)
    assert low <= exact + 1e-15 and exact <= high + 1e-15 and high - low < 1e-12
