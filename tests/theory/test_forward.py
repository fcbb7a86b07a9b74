"""Exact predictions against brute force, published values, the paper's own formula, and identities."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simlab.decoders import Autoregressive, BatchSpeculative, Speculative
from simlab.errors import SimlabError
from simlab.pairs import ChainPair, dirichlet, paper
from simlab.theory import expected_rejections_per_position, kernels, predict, theorem3_expected_rejections
from tests.oracles.enumerate import joint_distribution
from tests.oracles.pairs import as_pair, rational_chains
from tests.strategies import pairs

DECODERS = [Autoregressive(), Speculative(), BatchSpeculative(1), BatchSpeculative(2), BatchSpeculative(3)]

TABLE_50 = {
    1: 16.404890, 2: 15.002349, 3: 14.421829, 4: 14.090080, 5: 13.868446, 8: 13.475278, 16: 13.026362,
    64: 12.456140, 400: 12.165307, 100000: 12.099355,
}  # fmt: skip
TABLE_100 = {1: 33.534849, 2: 30.867526, 4: 29.048714, 5: 28.598124}


@pytest.mark.parametrize("decoder", DECODERS, ids=str)
@pytest.mark.parametrize(
    ("horizon", "states", "seed"), [(1, 1, 0), (1, 3, 1), (3, 2, 2), (2, 3, 3), (3, 3, 4)]
)
def test_equals_brute_force_over_the_printed_algorithm(decoder, horizon, states, seed):
    chains = rational_chains(horizon, states, seed)
    pmf = [Fraction(0)] * (horizon + 1)
    marginals = np.zeros((horizon, states), dtype=object)
    positions = np.zeros(horizon, dtype=object)
    for (tokens, rejected), mass in joint_distribution(*chains, decoder).items():
        pmf[sum(rejected)] += mass
        for t in range(horizon):
            marginals[t, tokens[t]] += mass
            positions[t] += mass * rejected[t]
    prediction = predict(as_pair(*chains), decoder)
    np.testing.assert_allclose(prediction.rejections_pmf, np.array(pmf, float), atol=1e-12)
    np.testing.assert_allclose(prediction.token_marginals, marginals.astype(float), atol=1e-12)
    np.testing.assert_allclose(prediction.rejections_per_position, positions.astype(float), atol=1e-12)
    mean = sum(n * mass for n, mass in enumerate(pmf))
    second = sum(n * n * mass for n, mass in enumerate(pmf))
    assert prediction.expected_rejections == pytest.approx(float(mean), abs=1e-12)
    assert prediction.variance == pytest.approx(float(second - mean**2), abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_the_joint_output_law_is_the_targets(seed):
    """What token marginals rest on: the oracle's distribution of whole sequences, exactly, for every
    decoder."""
    chains = rational_chains(3, 2, seed)
    distributions = []
    for decoder in DECODERS:
        distribution: dict[tuple, Fraction] = {}
        for (tokens, _), mass in joint_distribution(*chains, decoder).items():
            distribution[tokens] = distribution.get(tokens, Fraction(0)) + mass
        distributions.append({tokens: mass for tokens, mass in distribution.items() if mass})
    assert all(distribution == distributions[0] for distribution in distributions)


@pytest.mark.parametrize(("horizon", "table"), [(50, TABLE_50), (100, TABLE_100)])
def test_published_regression_values(horizon, table):
    pair = paper(horizon)
    for drafts, value in table.items():
        assert predict(pair, BatchSpeculative(drafts)).expected_rejections == pytest.approx(value, abs=6e-7)
    assert predict(pair, Speculative()).expected_rejections == pytest.approx(table[1], abs=6e-7)


@given(pairs(most_steps=6))
def test_every_prediction_is_a_law_and_its_parts_agree(pair):
    for decoder in [*DECODERS, BatchSpeculative(math.inf), BatchSpeculative(1000)]:
        prediction = predict(pair, decoder)
        pmf = prediction.rejections_pmf
        assert pmf.shape == (pair.horizon + 1,) and (pmf >= 0).all()
        assert pmf.sum() == pytest.approx(1, abs=1e-12)
        assert pmf @ np.arange(pair.horizon + 1) == pytest.approx(prediction.expected_rejections, abs=1e-12)
        means = expected_rejections_per_position(pair, decoder)
        np.testing.assert_allclose(means, prediction.rejections_per_position, atol=1e-12)
        distribution = pair.initial
        for t in range(pair.horizon):
            distribution = distribution @ pair.target[t]
            np.testing.assert_allclose(prediction.token_marginals[t], distribution, atol=1e-12)


@given(pairs(most_steps=6))
def test_theorem_1_is_the_total_variation_along_the_targets_chain(pair):
    distribution, total = pair.initial, 0.0
    for draft, target in zip(pair.draft, pair.target, strict=True):
        total += distribution @ (0.5 * np.abs(draft - target).sum(-1))
        distribution = distribution @ target
    assert predict(pair, Speculative()).expected_rejections == pytest.approx(total, abs=1e-12)


@given(pairs(most_steps=6), st.integers(1, 9))
def test_theorem_3_as_printed(pair, drafts):
    printed = theorem3_expected_rejections(pair, drafts)
    assert predict(pair, BatchSpeculative(drafts)).expected_rejections == pytest.approx(printed, abs=1e-11)


@given(pairs(most_steps=3))
def test_more_drafts_reject_less_at_a_fresh_position_down_to_the_limit(pair):
    limit = kernels.batch_rejected(pair.draft[0], pair.target[0], math.inf)
    last = kernels.speculative_rejected(pair.draft[0], pair.target[0])
    for drafts in (1, 2, 3, 10, 100, 10**4, 10**7):
        now = kernels.batch_rejected(pair.draft[0], pair.target[0], drafts)
        assert (now <= last + 1e-12).all() and (now >= limit - 1e-12).all()
        last = now


@given(pairs(most_states=6), st.integers(1, 300))
@example(paper(4), 300)
def test_many_drafts_at_once_equal_one_after_the_other(pair, drafts):
    for draft, target in zip(pair.draft, pair.target, strict=True):
        residual, tried = target, np.ones(len(target))
        for _ in range(drafts):
            residual = np.maximum(residual - tried[:, None] * draft, 0)
            tried = residual.sum(-1)
        lost = kernels._many_drafts(draft, target, drafts)
        np.testing.assert_allclose(np.maximum(target - draft * lost[:, None], 0), residual, atol=1e-12)


def _residual_in_many_digits(draft, target, drafts: int) -> list[float]:
    """The residual after `drafts` tries of one row, by the closed form of each segment in 120 digits."""
    with localcontext(prec=120):
        draft, target = ([Decimal(float(value)) for value in row] for row in (draft, target))
        lost, left = Decimal(0), drafts
        while left > 0:
            active = [i for i, goal in enumerate(target) if goal - draft[i] * lost > Decimal("1e-60")]
            a, b = (sum((distribution[i] for i in active), Decimal(0)) for distribution in (target, draft))
            first = a - b * lost
            if not active:
                break
            if b == 0:
                lost += first * left
                break
            way = b * (min(target[i] / draft[i] for i in active if draft[i] > 0) - lost) / first
            steps = left
            if way < 1:
                needed = (1 - way).ln() / (1 - b).ln() if b < 1 else Decimal(1)
                steps = max(1, min(left, int(needed.to_integral_value(ROUND_CEILING))))
            lost += first * (1 - (1 - b) ** steps if b < 1 else 1) / b
            left -= steps
        return [float(max(goal - draft[i] * lost, 0)) for i, goal in enumerate(target)]


HARD_ROWS = [
    ([1, 1e-310], [0.5, 0.5], 65),
    ([1, 1e-18, 1e-19], [0.5, 1e-17, 0.5], 10**5),
    ([1, 1e-18, 1e-19], [0.5, 1e-17, 0.5], 10**9),
    ([1.0, 1e-17], [0.5, 0.5], 10**12),
    ([1 - 1e-13, 1e-13], [0.5, 0.5], 10**9),
    ([1 - 1e-13, 1e-13], [0.5, 0.5], 10**12),
    ([1 - 1e-12, 1e-12], [0.5, 0.5], 10**6),
    ([0.5, 0.5 - 1e-8, 1e-8], [0.2, 0.3, 0.5], 10**7),
    ([0.0, 1 - 1e-9, 1e-9], [0.3, 0.3, 0.4], 10**8),
    ([1e-320, 1 - 1e-5, 1e-5], [0.2, 0.3, 0.5], 10**7),
    ([0.25, 0.75], [0.25, 0.75], 10**6),
]


@pytest.mark.parametrize(("draft", "target", "drafts"), HARD_ROWS, ids=str)
def test_many_drafts_lose_no_digits_where_masses_are_tiny(draft, target, drafts):
    rows = [np.array([row], float) for row in (draft, target)]
    found = kernels.batch_rejected(*rows, drafts)[0]
    np.testing.assert_allclose(found, _residual_in_many_digits(draft, target, drafts), atol=1e-14)


@pytest.mark.parametrize("seed", range(40))
def test_many_drafts_on_random_rows_of_all_scales(seed):
    random = np.random.default_rng(seed)
    states = random.integers(2, 7)
    draft, target = (random.random(states) ** random.choice([1, 10, 40, 200]) for _ in range(2))
    draft, target = draft / draft.sum(), target / target.sum()
    drafts = int(10 ** random.uniform(1.9, 13))
    found = kernels.batch_rejected(draft[None], target[None], drafts)[0]
    np.testing.assert_allclose(found, _residual_in_many_digits(draft, target, drafts), atol=1e-13)


def test_the_limit_is_positive_where_the_draft_cannot_go():
    draft = np.array([[[1.0, 0.0], [1.0, 0.0]]])
    target = np.array([[[0.25, 0.75], [0.25, 0.75]]])
    pair = ChainPair(draft, target, [1.0, 0.0])
    assert predict(pair, BatchSpeculative(math.inf)).expected_rejections == 0.75
    assert predict(pair, BatchSpeculative(10**9)).expected_rejections == pytest.approx(0.75, abs=1e-12)


def test_published_limit_on_the_papers_instance():
    limit = predict(paper(), BatchSpeculative(math.inf)).expected_rejections
    assert predict(paper(), BatchSpeculative(10**12)).expected_rejections == pytest.approx(limit, abs=1e-12)
    assert limit == pytest.approx(12.099355, abs=6e-7)


def test_acceleration_says_what_happens_at_its_ends():
    pair = paper(4)
    assert predict(pair, Autoregressive()).acceleration == 1.0
    assert predict(pair, Speculative()).acceleration == 4 / predict(pair, Speculative()).expected_rejections
    same = ChainPair(pair.target, pair.target, pair.initial)
    assert predict(same, Speculative()).acceleration == math.inf
    np.testing.assert_allclose(predict(same, BatchSpeculative(3)).rejections_pmf, [1, 0, 0, 0, 0], atol=1e-12)


def test_disjoint_supports_reject_everything():
    draft, target = np.tile([1.0, 0.0], (3, 2, 1)), np.tile([0.0, 1.0], (3, 2, 1))
    for decoder in (Speculative(), BatchSpeculative(4), BatchSpeculative(math.inf)):
        pmf = predict(ChainPair(draft, target, [1, 0]), decoder).rejections_pmf
        np.testing.assert_array_equal(pmf, [0, 0, 0, 1])


def test_a_stationary_pair_is_predicted_as_its_steps_one_by_one():
    pair = dirichlet(6, 4, stationary=True)
    for drafts in (1, 3):
        printed = theorem3_expected_rejections(pair, drafts)
        found = predict(pair, BatchSpeculative(drafts)).expected_rejections
        assert found == pytest.approx(printed, abs=1e-12)


@pytest.mark.parametrize("which", ["draft", "target"])
def test_one_chain_may_be_stationary_and_the_other_not(which):
    plain = paper(5, 4)
    mixed = {"draft": plain.draft, "target": plain.target}
    mixed[which] = np.broadcast_to(mixed[which][0], mixed[which].shape)
    pair = ChainPair(mixed["draft"], mixed["target"], plain.initial)
    assert len(pair.draft_rows) + len(pair.target_rows) == 1 + 5
    # The printed formula walks through the steps one by one and knows no shortcut.
    for drafts in (1, 2, 5):
        printed = theorem3_expected_rejections(pair, drafts)
        found = predict(pair, BatchSpeculative(drafts)).expected_rejections
        assert found == pytest.approx(printed, abs=1e-12)


def test_a_long_horizon_stays_a_distribution():
    pair = dirichlet(4000, 3, stationary=True)
    prediction = predict(pair, Speculative())
    assert prediction.rejections_pmf.sum() == pytest.approx(1, abs=1e-10)
    assert prediction.expected_rejections == pytest.approx(
        expected_rejections_per_position(pair, Speculative()).sum(), abs=1e-9
    )


def test_what_is_no_pair_and_no_decoder():
    with pytest.raises(SimlabError, match="expected a simlab.ChainPair"):
        predict(np.eye(2), Speculative())
    with pytest.raises(SimlabError, match="is not a decoder"):
        predict(paper(2), "speculative")
    with pytest.raises(SimlabError, match="printed recursion is finite"):
        theorem3_expected_rejections(paper(2), math.inf)


@pytest.mark.parametrize("drafts", [0, -1, 2.5, True, "4", math.nan, -math.inf, None])
def test_numbers_of_drafts_that_are_none(drafts):
    with pytest.raises(SimlabError, match="expected a whole number of at least 1"):
        BatchSpeculative(drafts)


@pytest.mark.parametrize("decoder", [Speculative(), Speculative(window=2, bonus=True)], ids=str)
def test_counts_that_have_no_probability_are_left_out_and_the_others_are_exact(decoder):
    """With rows that are all alike rejections are independent: a binomial distribution, of which
    the recursion keeps some 40 standard deviations."""
    draft, target, horizon = np.array([0.7, 0.3]), np.array([0.5, 0.5]), 3000
    pair = ChainPair.stationary(np.tile(draft, (2, 1)), np.tile(target, (2, 1)), [1.0, 0.0], horizon=horizon)
    found = predict(pair, decoder)
    assert abs(found.rejections_pmf.sum() - 1) < 1e-12
    mean = float(found.rejections_pmf @ np.arange(horizon + 1))
    assert mean == pytest.approx(found.expected_rejections, rel=1e-12)
    if decoder.window is None:
        counts = np.arange(horizon + 1)
        log = [math.lgamma(horizon + 1) - math.lgamma(n + 1) - math.lgamma(horizon - n + 1) for n in counts]
        binomial = np.exp(np.array(log) + counts * math.log(0.2) + (horizon - counts) * math.log(0.8))
        np.testing.assert_allclose(found.rejections_pmf, binomial, rtol=0, atol=1e-11)
        seen = binomial > 1e-60
        np.testing.assert_allclose(found.rejections_pmf[seen], binomial[seen], rtol=1e-8)
