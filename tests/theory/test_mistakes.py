"""One step, right and mistaken: against sums over everything in rationals, and against a simulation."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simlab
from simlab.evidence import pmf_verdict
from simlab.reference.step import simulate_step
from simlab.theory.mistakes import MISTAKES, Step, correct_step, mistaken_step
from tests.strategies import examples

WORKED = np.array([0.3, 0.4, 0.2, 0.1]), np.array([0.4, 0.3, 0.2, 0.1])
TELLING = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.1, 0.2, 0.3, 0.4])
SAME_RATE = ("no residual", "shared uniform", "not normalised")
"""Mistakes that leave the acceptance rate as it should be."""


@st.composite
def rational_distributions(draw):
    """Two distributions of up to five tokens as fractions, zeros and equal distributions among them."""
    states = draw(st.integers(1, 5))
    distributions = []
    for _ in range(2):
        weights = draw(st.lists(st.integers(0, 4), min_size=states, max_size=states).filter(any))
        distributions.append([Fraction(weight, sum(weights)) for weight in weights])
    return (distributions[0], distributions[0]) if draw(st.integers(0, 9)) == 0 else tuple(distributions)


def brute(mistake, draft, target):
    """(accepted, replaced) by running through what is proposed, the coin's intervals and what is drawn.

    Uniform numbers run through all intervals between any two numbers that they are compared with.
    """
    states = range(len(draft))
    over, under = (draft, target) if mistake == "roles exchanged" else (target, draft)
    proposals = list(draft)
    if mistake == "greedy draft":
        proposals = [Fraction(int(y == draft.index(max(draft)))) for y in states]
    excess = [max(a - b, Fraction(0)) for a, b in zip(over, under, strict=True)]
    distribution = target if mistake == "no residual" else excess
    whole = 1 if mistake == "not normalised" else sum(distribution)
    ends = [sum(distribution[: z + 1], Fraction(0)) / whole if whole else None for z in states]
    accepted, replaced = [Fraction(0)] * len(draft), [Fraction(0)] * len(draft)
    for y in states:
        bound = min(Fraction(1), over[y] / under[y]) if under[y] else Fraction(1)
        accepted[y] += proposals[y] * bound
        if proposals[y] == 0 or bound == 1:
            continue
        from_coin = bound if mistake == "shared uniform" else Fraction(0)
        chance = proposals[y] * (1 if mistake == "shared uniform" else 1 - bound)
        cuts = sorted({from_coin, Fraction(1), *(end for end in ends if from_coin < end < 1)})
        for low, high in itertools.pairwise(cuts):
            z = next((z for z in states if low < ends[z]), len(draft) - 1)
            replaced[z] += chance * (high - low)
    return accepted, replaced


def step_of(mistake, draft, target) -> Step:
    return correct_step(draft, target) if mistake is None else mistaken_step(mistake, draft, target)


@pytest.mark.parametrize("mistake", [None, *MISTAKES])
@examples(50)
@given(distributions=rational_distributions())
def test_each_step_is_the_sum_over_all_that_can_happen(mistake, distributions):
    step = step_of(mistake, *(np.array(distribution, float) for distribution in distributions))
    accepted, replaced = brute(mistake, *distributions)
    np.testing.assert_allclose(step.accepted, np.array(accepted, float), atol=1e-12)
    np.testing.assert_allclose(step.replaced, np.array(replaced, float), atol=1e-12)
    assert sum(accepted) + sum(replaced) == 1
    if mistake is None:
        assert [a + b for a, b in zip(accepted, replaced, strict=True)] == distributions[1]
        assert 1 - sum(accepted) == sum(abs(a - b) for a, b in zip(*distributions, strict=True)) / 2
    if mistake in SAME_RATE:
        assert accepted == brute(None, *distributions)[0]


def test_the_worked_case():
    step = correct_step(*WORKED)
    assert step.acceptance == pytest.approx(0.9, abs=1e-15) and step.bias(WORKED[1]) == 0
    np.testing.assert_allclose(step.accepted, [0.3, 0.3, 0.2, 0.1], atol=1e-15)
    np.testing.assert_allclose(step.replaced, [0.1, 0, 0, 0], atol=1e-15)
    biases = {mistake: mistaken_step(mistake, *WORKED).bias(WORKED[1]) for mistake in MISTAKES}
    expected = [0.06, 0, 0.45, 0.09, 0.175]  # by hand; one residual token hides the shared uniform
    np.testing.assert_allclose(list(biases.values()), expected, atol=1e-12)


def test_no_residual_is_replacement_by_the_target():
    """Decoding-UNO of Yin et al. at epsilon = 0, by the theory of biased decoding."""
    rows = [np.tile(distribution, (4, 1)) for distribution in TELLING]
    pair = simlab.ChainPair.stationary(*rows, np.full(4, 0.25), 1)
    exact = simlab.predict(pair, simlab.BiasedSpeculative(0, "target")).token_marginals[0]
    np.testing.assert_allclose(mistaken_step("no residual", *TELLING).distribution, exact, atol=1e-14)


ODD = {
    "one token": ([1.0], [1.0]),
    "equal": ([0.25, 0.75], [0.25, 0.75]),
    "disjoint": ([0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]),
    "zeros": ([0, 0.5, 0.5, 0], [0.2, 0.8, 0, 0]),
    "certain": ([1.0, 0], [0, 1.0]),
    "telling": TELLING,
    "worked": WORKED,
}


@pytest.mark.parametrize("mistake", [None, *MISTAKES], ids=str)
@pytest.mark.parametrize("name", ODD)
def test_the_simulation_has_that_distribution(name, mistake):
    """The joint distribution of token and acceptance; false alarms of 1e-6, at three seeds."""
    distributions = [np.array(distribution, float) for distribution in ODD[name]]
    exact = np.concatenate(step_of(mistake, *distributions))
    for seed in range(3):
        counts = simulate_step(*distributions, 40_000, np.random.default_rng(seed), mistake)
        assert counts.shape == (2, len(distributions[0])) and counts.sum() == 40_000
        assert pmf_verdict("step", counts.ravel(), exact, resolution=0.03).status == "PASS"


@pytest.mark.parametrize("mistake", MISTAKES)
def test_and_no_other(mistake):
    """Negative control: neither the target's distribution nor that of another mistake passes."""
    others = {other: step_of(other, *TELLING) for other in (None, *MISTAKES) if other != mistake}
    for seed in range(3):
        counts = simulate_step(*TELLING, 40_000, np.random.default_rng(seed), mistake)
        for other in others.values():
            joint = pmf_verdict("step", counts.ravel(), np.concatenate(other), resolution=0.03)
            assert joint.status == "FAIL"
        tokens = pmf_verdict("tokens", counts.sum(axis=0), TELLING[1], resolution=0.03)
        assert tokens.status == "FAIL"
        accepted = pmf_verdict("rate", counts.sum(axis=1), [0.6, 0.4], resolution=0.03)
        assert accepted.status == ("PASS" if mistake in SAME_RATE else "FAIL")


def test_unknown_mistakes():
    with pytest.raises(simlab.SimlabError, match="no mistake 'typo': known are no residual, shared uniform"):
        mistaken_step("typo", *WORKED)
    with pytest.raises(ValueError, match="typo"):
        simulate_step(*WORKED, 10, np.random.default_rng(0), "typo")
