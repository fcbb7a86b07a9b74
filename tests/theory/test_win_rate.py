"""WinRate, the target being the judge: against exact likelihoods as fractions, and certified brackets."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.decoders import REPLACEMENTS, BatchSpeculative, BiasedSpeculative, Speculative
from simlab.errors import SimlabError
from simlab.pairs import ChainPair, dirichlet, paper
from simlab.theory import win_rates
from simlab.theory.bias import win_rate
from simlab.theory.bias.win_rate import win_rates_by_start
from tests.exact import close
from tests.oracles.enumerate import joint_distribution
from tests.oracles.pairs import as_pair, rational_chains
from tests.strategies import pairs

OPTIMAL, TARGET, DRAFT = (BiasedSpeculative(0.125, each) for each in ("optimal", "target", "draft"))
ALONE = BiasedSpeculative(1.0)
MATCHES = [(OPTIMAL, TARGET), (TARGET, OPTIMAL), (OPTIMAL, DRAFT), (TARGET, Speculative()), (DRAFT, DRAFT)]


def laws_of_likelihood(draft, target, start: int, decoder) -> dict[Fraction, Fraction]:
    """The distribution of the target's probability of the response, in fractions."""
    initial = [int(x == start) for x in range(len(target[0]))]
    distribution: dict[Fraction, Fraction] = {}
    for (tokens, _), mass in joint_distribution(draft, target, initial, decoder).items():
        likelihood = Fraction(1)
        for t, (x, y) in enumerate(zip((start, *tokens[:-1]), tokens, strict=True)):
            likelihood *= target[t][x][y]
        distribution[likelihood] = distribution.get(likelihood, Fraction(0)) + mass
    return distribution


def exact(chains, match) -> Fraction:
    """Wins and half the ties, by comparing fractions."""
    draft, target, initial = chains
    total = Fraction(0)
    for start, share in enumerate(initial):
        mine, other = (laws_of_likelihood(draft, target, start, decoder) for decoder in match)
        for one, mass in mine.items():
            for another, weight in other.items():
                total += share * mass * weight * ((one > another) + Fraction(one == another, 2))
    return total


@pytest.mark.parametrize(
    ("horizon", "states", "seed"), [(1, 1, 0), (1, 4, 1), (2, 3, 2), (3, 3, 3), (4, 2, 5), (3, 3, 7)]
)
def test_equals_and_brackets_the_comparison_of_fractions(horizon, states, seed):
    chains = rational_chains(horizon, states, seed)
    wanted = [float(exact(chains, match)) for match in MATCHES]
    assert [bracket.middle for bracket in win_rates(as_pair(*chains), MATCHES)] == pytest.approx(
        wanted, abs=1e-12
    )
    for frequencies in (1, 2, 7, 100):
        brackets = win_rates(as_pair(*chains), MATCHES, frequencies=frequencies)
        for bracket, value in zip(brackets, wanted, strict=True):
            assert 0 <= bracket.low <= value <= bracket.high <= 1


@given(pairs(most_steps=4, most_states=4), st.sampled_from([1, 3, 50, 400]), st.sampled_from([0.01, 0.3]))
def test_the_two_roads_agree_on_odd_pairs(pair, frequencies, epsilon):
    """Responses the target cannot give, tiny masses, one state, disjoint supports."""
    decoders = [BiasedSpeculative(epsilon, each) for each in REPLACEMENTS]
    matches = [(decoders[0], each) for each in decoders[1:]] + [(decoders[1], decoders[0])]
    for certain, bracket in zip(
        win_rates(pair, matches), win_rates(pair, matches, frequencies=frequencies), strict=True
    ):
        assert bracket.low <= certain.low <= certain.high <= bracket.high
        # One number, but where scores differ by the tie threshold: by masses of 1e-9, log(1 - 1e-9).
        assert certain.high - certain.low < 1e-8


def test_the_bracket_closes_with_the_number_of_frequencies():
    pair = dirichlet(7, 4, seed=3)
    (wanted, _), (reverse, _) = win_rates(pair, [(OPTIMAL, DRAFT), (DRAFT, OPTIMAL)])
    assert wanted + reverse == pytest.approx(1, abs=1e-12) and wanted > 0.51
    widths = []
    for frequencies in (50, 200, 800, 3200):
        ((low, high),) = win_rates(pair, [(OPTIMAL, DRAFT)], frequencies=frequencies)
        assert low <= wanted <= high
        widths.append(high - low)
    assert all(later < earlier / 3 for earlier, later in itertools.pairwise(widths))


def test_equal_decoders_are_even_on_a_long_horizon():
    pair, matches = paper(50), [(OPTIMAL, OPTIMAL), (Speculative(), BatchSpeculative(3)), (OPTIMAL, DRAFT)]
    even, unbiased, won = win_rates(pair, matches, frequencies=500)
    for bracket in (even, unbiased):
        assert bracket.middle == pytest.approx(0.5, abs=1e-9)
    assert won.low > 0.5 and won.high - won.low < 0.02
    first, second = win_rates(pair, [(OPTIMAL, DRAFT), (DRAFT, OPTIMAL)], frequencies=500)
    assert first.low + second.high == pytest.approx(1, abs=1e-9)


def test_responses_the_target_cannot_give_lose_and_tie_with_each_other():
    """From token 0 the target goes to 0 alone; the draft goes to 1 half the time."""
    draft, target = [[[0.5, 0.5], [0.0, 1.0]]] * 2, [[[1.0, 0.0], [0.0, 1.0]]] * 2
    pair = ChainPair(draft, target, [1.0, 0.0])
    alone, plain = BiasedSpeculative(1.0), Speculative()
    for frequencies in (None, 40):
        brackets = win_rates(pair, [(plain, alone), (alone, alone)], frequencies=frequencies)
        # Alone it stays with probability 1/4: a tie then, a win for the target's own response else.
        for bracket, value in zip(brackets, (0.25 / 2 + 0.75, 0.5), strict=True):
            assert bracket.low - 1e-12 <= value <= bracket.high + 1e-12


@pytest.mark.parametrize("match", [(Speculative(), ALONE), (ALONE, Speculative()), (ALONE, OPTIMAL)], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_differences_beyond_the_period_are_allowed_for(monkeypatch, seed, match):
    """Left out up to 0.2, they are most of the error; usually 1e-9, they would hide behind the rounding."""
    pair = dirichlet(6, 3, seed=seed, draft_concentration=0.1)
    (wanted,) = win_rates(pair, [match])
    monkeypatch.setattr(win_rate, "TAIL", 0.2)
    (bracket,) = win_rates(pair, [match], frequencies=3000)
    assert bracket.low <= wanted.low <= bracket.high
    assert abs(bracket.middle - wanted.low) > 0.01 and bracket.high - bracket.low > 0.1


def test_permuted_steps_tie():
    """In a stationary chain the order of the factors does not matter, nor does that of the sum."""
    row = np.array([0.1, 0.2, 0.7])
    pair = ChainPair.stationary([[0.3, 0.3, 0.4]] * 3, [row] * 3, [1, 0, 0], 8)
    alone = BiasedSpeculative(1.0)
    ((low, high),) = win_rates(pair, [(alone, alone)])
    assert low == high == pytest.approx(0.5, abs=1e-12)
    distributions = {}
    for counts in np.ndindex(9, 9):
        ones, twos = counts
        if ones + twos <= 8:
            ways = np.prod(np.arange(1, 9.0)) / np.prod(
                [np.prod(np.arange(1, n + 1.0)) for n in (ones, twos, 8 - ones - twos)]
            )
            mass = ways * 0.3**ones * 0.3**twos * 0.4 ** (8 - ones - twos)
            score = ones * np.log(0.1) + twos * np.log(0.2) + (8 - ones - twos) * np.log(0.7)
            distributions[counts] = (score, mass, ways * 0.1**ones * 0.2**twos * 0.7 ** (8 - ones - twos))
    wanted = sum(
        mine * other * (0.5 if abs(one - two) < 1e-9 else one > two)
        for one, mine, _ in distributions.values()
        for two, _, other in distributions.values()
    )
    ((low, high),) = win_rates(pair, [(alone, Speculative())])
    assert low == high == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("gap", [1e-10, 3e-10, 5e-10, 9e-10, 1e-9, 1.1e-9, 2e-9, 5e-9])
def test_scores_that_differ_by_about_the_tie_threshold(gap):
    """Two scores tie or do not, whatever lies between them; at the threshold itself the bracket has both."""
    half = 0.5 * (1 + gap / 2)
    draft, target = np.tile([0.8, 0.2], (2, 1)), np.tile([half, 1 - half], (2, 1))
    pair, matches = ChainPair.stationary(draft, target, [1, 0], 3), [(BiasedSpeculative(1.0), Speculative())]
    masses = [
        {n: math.comb(3, n) * p**n * (1 - p) ** (3 - n) for n in range(4)} for p in (0.8, half)
    ]  # by the number of tokens 0, each worth `gap` more than a token 1

    def win_rate(tie: float) -> float:
        worth = {-1: 0.0, 0: 0.5, 1: 1.0}
        return sum(
            mine * other * worth[0 if abs(one - two) * gap <= tie else int(np.sign(one - two))]
            for one, mine in masses[0].items()
            for two, other in masses[1].items()
        )

    least, most = sorted((win_rate(0.999e-9), win_rate(1.001e-9)))
    ((low, high),) = win_rates(pair, matches)
    assert low <= least + 1e-9 and most <= high + 1e-9
    if most == least:
        close([low, high], [least, most], 1e-9)
    for frequencies in (1, 30, 200, 2000):
        ((lower, higher),) = win_rates(pair, matches, frequencies=frequencies)
        assert lower <= low and high <= higher


def test_given_the_start_and_on_average():
    pair = paper(4, 3)
    low, high = win_rates_by_start(pair, MATCHES)
    assert low.shape == (len(MATCHES), 3)
    for start in range(3):
        alone = ChainPair(pair.draft, pair.target, np.eye(3)[start])
        np.testing.assert_allclose(win_rates(alone, MATCHES), np.stack([low, high], -1)[:, start], atol=1e-15)
    average = np.stack([low @ pair.initial, high @ pair.initial], -1)
    np.testing.assert_allclose(win_rates(pair, MATCHES), average, atol=1e-15)


@pytest.mark.parametrize("defect", [-9e-10, 9e-10])
@pytest.mark.parametrize("frequencies", [None, 300])
def test_rows_that_are_a_bit_off_one_make_no_difference(defect, frequencies):
    """As distributions they are what they were; the defects of T steps would add up, and equals would not be
    even."""
    pair = dirichlet(5, 4, seed=1)
    off = ChainPair(pair.draft * (1 + defect), pair.target * (1 + defect), pair.initial)
    matches = [(OPTIMAL, OPTIMAL), (Speculative(), Speculative()), (DRAFT, OPTIMAL)]
    ends = [win_rates(each, matches, frequencies=frequencies) for each in (pair, off)]
    np.testing.assert_allclose(ends[1][1], ends[0][1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(ends[1][1].middle, 0.5, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ends[1], ends[0], rtol=0, atol=5e-9)  # the bias itself feels the defect once


def test_refuses_what_is_no_decoder_and_no_number_of_frequencies():
    with pytest.raises(SimlabError, match="is not a decoder"):
        win_rates(paper(2), [("optimal", OPTIMAL)])
    for frequencies in (0, -1, 2.5, "many"):
        with pytest.raises(SimlabError, match="frequencies = "):
            win_rates(paper(2), [(OPTIMAL, TARGET)], frequencies=frequencies)
