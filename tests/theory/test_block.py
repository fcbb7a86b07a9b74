"""Block verification, exactly: unbiased in rationals, against brute force, never more calls, brackets."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simlab.cost import CostModel
from simlab.decoders import Autoregressive, BlockSpeculative, Speculative, longest_window
from simlab.errors import SimlabError
from simlab.pairs import ChainPair, bernoulli, mixture, paper
from simlab.theory import expected_target_calls, expected_time, predict
from simlab.theory.block import block_gain, masses
from simlab.theory.block import calls as block_calls
from simlab.theory.block.masses import WORK, block_masses
from tests.oracles import windows
from tests.oracles.blocks import BLOCK, MISTAKES, call_distribution
from tests.oracles.enumerate import joint_distribution
from tests.oracles.pairs import as_pair, rational_chains
from tests.oracles.windows import expected_by_position, marginal
from tests.strategies import examples, pairs

INSTANCES = [(1, 1, 0), (1, 3, 1), (4, 1, 2), (4, 2, 3), (4, 2, 4), (3, 3, 5), (4, 3, 6), (5, 2, 7)]
WINDOWS = (1, 2, 3, None)


def odd_chains(kind: str):
    """Draft equal to the target, of disjoint support, or both stationary."""
    draft, target, initial = rational_chains(4, 2, 6)
    match kind:
        case "equal":
            return target, target, initial
        case "disjoint":
            return [[[1, 0]] * 2] * 4, [[[0, 1]] * 2] * 4, initial
    return [draft[0]] * 4, [target[0]] * 4, initial


def target_distribution(chains) -> dict:
    return marginal(joint_distribution(*chains, Autoregressive()), lambda tokens, rejected: tokens)


def of_tokens(tokens, rejected, calls):
    return tokens


# The output's distribution, in rationals.


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("horizon", "states", "seed"), INSTANCES)
def test_the_output_is_the_targets_over_several_iterations(window, horizon, states, seed):
    for zeros in (0.0, 0.4):
        chains = rational_chains(horizon, states, seed, zeros)
        distribution = call_distribution(*chains, BlockSpeculative(window), BLOCK)
        assert marginal(distribution, of_tokens) == target_distribution(chains)


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("seed", [5, 12, 13])
def test_every_mistake_is_biased(mistake, seed):
    """Among them greedy block verification with the target unchanged behind a correction. At window 1 there
    is nothing to get wrong."""
    chains = rational_chains(3, 3, seed, zeros=0.0)
    for window, biased in ((2, True), (None, True), (1, False)):
        distribution = call_distribution(*chains, BlockSpeculative(window), MISTAKES[mistake])
        assert (marginal(distribution, of_tokens) != target_distribution(chains)) == biased


def test_greedy_accepts_more_of_one_call_which_is_why_its_target_must_change():
    """Worked by hand: after 0 the target is half the draft, then twice: it takes 0, 0 whenever drafted."""
    half, quarter = Fraction(1, 2), Fraction(1, 4)
    draft, target = [[half, half], [quarter, 3 * quarter]], [[quarter, 3 * quarter], [half, half]]
    chains = [[row] * 2 for row in draft] + [[[1, 0]] * 2], [[row] * 2 for row in target] + [[[1, 0]] * 2]
    chains = *chains, [1, 0]
    decoder = BlockSpeculative(2)
    greedy, block = (
        sum(m * calls[0][1] for (_, _, calls), m in call_distribution(*chains, decoder, rules).items())
        for rules in (MISTAKES["greedy, target unchanged"], BLOCK)
    )
    assert greedy > block


# Predictions against brute force.


def compare(chains, decoder):
    distribution, pair = call_distribution(*chains, decoder), as_pair(*chains)
    found, horizon = predict(pair, decoder), len(chains[0])
    for of, pmf in (
        (lambda tokens, rejected, calls: len(calls), found.target_calls_pmf),
        (lambda tokens, rejected, calls: sum(rejected), found.rejections_pmf),
    ):
        counted = marginal(distribution, of)
        np.testing.assert_allclose(pmf, [float(counted.get(n, 0)) for n in range(horizon + 1)], atol=1e-12)
    rejected = [sum(m for (_, flags, _), m in distribution.items() if flags[t]) for t in range(horizon)]
    np.testing.assert_allclose(found.rejections_per_position, np.array(rejected, float), atol=1e-12)
    calls = sum(m * len(calls) for (*_, calls), m in distribution.items())
    drafted = sum(m * sum(g for g, _ in calls) for (*_, calls), m in distribution.items())
    np.testing.assert_allclose(found.expected_target_calls, float(calls), atol=1e-12)
    np.testing.assert_allclose(found.expected_drafted_tokens, float(drafted), atol=1e-12)
    np.testing.assert_allclose(found.expected_accepted_tokens, float(horizon - calls), atol=1e-12)
    longest = longest_window(decoder, horizon)
    for name, values in expected_by_position(distribution, longest).items():
        expected = np.array([float(value) for value in values])
        np.testing.assert_allclose(getattr(found, f"{name}_by_position"), expected, atol=1e-12)
    assert found.error_bound == 0.0
    back = pair.initial @ expected_target_calls(pair, decoder)[0]
    np.testing.assert_allclose(back, float(calls), atol=1e-12)
    time = pair.initial @ expected_time(pair, decoder, CostModel(0.25, 3.0))[0]
    np.testing.assert_allclose(time, float(drafted / 4 + 3 * calls), atol=1e-12)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("horizon", "states", "seed"), INSTANCES)
def test_equals_brute_force_over_calls(window, horizon, states, seed):
    compare(rational_chains(horizon, states, seed), BlockSpeculative(window))


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("kind", ["equal", "disjoint", "stationary"])
def test_equals_brute_force_on_odd_pairs(window, kind):
    compare(odd_chains(kind), BlockSpeculative(window))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_comparison_sees_a_mistaken_verification(mistake):
    wrong = []
    for seed in (12, 13, 14):
        chains, decoder = rational_chains(4, 3, seed, zeros=0.0), BlockSpeculative(2)
        distribution = call_distribution(*chains, decoder, MISTAKES[mistake])
        rejected = [float(sum(m for (_, flags, _), m in distribution.items() if flags[t])) for t in range(4)]
        found = predict(as_pair(*chains), decoder).rejections_per_position
        wrong.append(np.abs(found - rejected).max())
    assert max(wrong) > 1e-5  # against the 1e-12 up to which they agree


def test_given_the_output_a_call_accepts_as_far_as_the_least_ratio_of_a_prefix():
    """P(first call accepts i or more | output) = min over j <= i of draft(x^j)/target(x^j), in rationals."""
    draft, target, _ = rational_chains(4, 3, 6, zeros=0.2)
    distribution = call_distribution(draft, target, [1, 0, 0], BlockSpeculative(None))
    outputs = target_distribution((draft, target, [1, 0, 0]))
    for i in range(1, 4):
        reached = marginal(distribution, lambda tokens, rejected, calls, i=i: (tokens, calls[0][1] >= i))
        for tokens, mass in outputs.items():
            path, ratio, least = (0, *tokens), Fraction(1), Fraction(1)
            for j in range(i):
                x, y = path[j : j + 2]
                ratio *= draft[j][x][y] / target[j][x][y]
                least = min(least, ratio)
            assert reached.get((tokens, True), 0) == mass * least


# Against token by token.


@pytest.mark.parametrize(("horizon", "states", "seed"), INSTANCES)
def test_given_the_output_its_calls_are_stochastically_fewer(horizon, states, seed):
    """In rationals, for each sequence of tokens: P(n calls or fewer) is at least that of token by token."""
    for window in (1, 2, 3):
        chains = rational_chains(horizon, states, seed, zeros=0.1)
        distributions = []
        for distribution in (
            call_distribution(*chains, BlockSpeculative(window)),
            windows.call_distribution(*chains, Speculative(window, True)),
        ):
            below: dict = defaultdict(Fraction)
            for (tokens, _, calls), mass in distribution.items():
                for n in range(len(calls), horizon + 1):
                    below[tokens, n] += mass
            distributions.append(below)
        block, token = distributions
        assert all(block[cell] >= mass for cell, mass in token.items())
        if window == 1:
            assert block == token


@examples(60)
@given(pairs(most_steps=5), st.integers(1, 5))
def test_never_more_calls_than_token_by_token(pair, window):
    token, block = (
        predict(pair, decoder) for decoder in (Speculative(window, True), BlockSpeculative(window))
    )
    tails = [np.cumsum(distribution.target_calls_pmf) for distribution in (block, token)]
    assert (tails[0] >= tails[1] - 1e-12).all()
    if window == 1:
        np.testing.assert_allclose(block.target_calls_pmf, token.target_calls_pmf, atol=1e-12)


def test_the_gain_on_an_instance():
    token, block = block_gain(paper(50), 4)
    assert (token, block) == pytest.approx((19.5356, 18.2665), abs=1e-4)
    assert np.diff(block_gain(paper(50), 1)) == pytest.approx(0, abs=1e-12)


# What holds for every pair.


@examples(60)
@given(pairs(), st.sampled_from([1, 2, 3, None]))
@example(bernoulli(0.3, 0.9, horizon=1), 4)
def test_any_legal_pair_is_predicted(pair, window):
    decoder = BlockSpeculative(window)
    found = predict(pair, decoder)
    longest = longest_window(decoder, pair.horizon)
    for pmf in (found.target_calls_pmf, found.rejections_pmf):
        assert pmf.min() >= 0 and abs(pmf.sum() - 1) < 1e-9
    n = np.arange(pair.horizon + 1)
    assert found.target_calls_pmf @ n == pytest.approx(found.expected_target_calls)
    assert found.rejections_pmf @ n == pytest.approx(found.rejections_per_position.sum(), abs=1e-12)
    assert found.expected_accepted_tokens == pytest.approx(pair.horizon - found.expected_target_calls)
    assert found.expected_accepted_tokens == pytest.approx(found.accepted_by_position.sum())
    assert found.expected_drafted_tokens == pytest.approx(found.drafted_by_position.sum())
    assert len(found.drafted_by_position) == longest
    for more, fewer in (("drafted", "reached"), ("reached", "accepted")):
        parts = getattr(found, f"{more}_by_position") - getattr(found, f"{fewer}_by_position")
        assert (parts >= -1e-12).all()
    back = pair.initial @ expected_target_calls(pair, decoder)[0]
    assert back == pytest.approx(found.expected_target_calls)


def test_equal_models_accept_all_and_disjoint_ones_nothing():
    target = paper(23, states=3).target
    found = predict(ChainPair(target, target, [1, 0, 0]), BlockSpeculative(4))
    assert found.expected_target_calls == pytest.approx(-(-23 // 5)) and found.expected_rejections < 1e-12
    pair = as_pair(*odd_chains("disjoint"))
    assert predict(pair, BlockSpeculative(3)).target_calls_pmf.tolist() == [0, 0, 0, 0, 1]


def test_what_a_window_accepts_by_position_is_the_same_for_longer_windows():
    pair = paper(6, states=3)
    shorter, longer = (block_masses(pair, window, WORK).accepted for window in (2, 4))
    np.testing.assert_allclose(shorter, longer[:, :3], atol=1e-15)


# Brackets.


@pytest.mark.parametrize("horizon", [8, 30])
def test_brackets_hold_the_exact_masses_and_expectations(monkeypatch, horizon):
    pair, decoder = paper(horizon), BlockSpeculative(5)
    exact, sure = predict(pair, decoder), block_masses(pair, 5, WORK)
    assert exact.error_bound == 0.0 and sure.spread is None
    widths = []
    for cells in (4, 16):
        monkeypatch.setattr(masses, "LEAST_CELLS", cells)
        rough = block_masses(pair, 5, work=0.0)
        monkeypatch.setattr(block_calls, "enough_masses", lambda pair, window, rough=rough: rough)
        found = predict(pair, decoder)
        assert (np.abs(rough.accepted - sure.accepted) <= rough.spread + 1e-15).all()
        widths.append(found.error_bound)
        for name in ("expected_target_calls", "expected_drafted_tokens", "expected_accepted_tokens"):
            assert abs(getattr(found, name) - getattr(exact, name)) <= found.error_bound
        for name in (
            "expected_rejections",
            "drafted_by_position",
            "reached_by_position",
            "accepted_by_position",
        ):
            assert np.abs(getattr(found, name) - getattr(exact, name)).max() <= found.error_bound
        assert abs(found.target_calls_pmf.sum() - 1) < 1e-12
    assert 0 < widths[1] < widths[0] / 8  # the error falls with the square of the cells' width


@examples(40)
@given(pair=pairs(most_steps=6, most_states=4))
def test_brackets_hold_for_any_pair(pair):
    exact = block_masses(pair, longest := min(pair.horizon - 1, 5), WORK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(masses, "LEAST_CELLS", 2)
        rough = block_masses(pair, longest, work=0.0)
    spread = np.zeros_like(exact.accepted) if rough.spread is None else rough.spread
    assert exact.spread is None
    assert (np.abs(rough.accepted - exact.accepted) <= spread + 1e-14).all()


def test_one_bound_alone_is_no_bracket():
    """Control: the merged masses lie above the exact ones, the split ones below, by more than rounding."""
    pair = paper(6)
    high, low = (masses._bound(pair, 6, 5, atoms=56, upper=upper)[0] for upper in (True, False))
    exact = block_masses(pair, 5, WORK).accepted
    assert (high >= exact - 1e-15).all() and (exact >= low - 1e-15).all()
    assert (high - exact).max() > 1e-5 and (exact - low).max() > 1e-5


def test_more_work_is_done_where_the_bracket_is_wide(monkeypatch):
    pair, works = paper(12), []

    def counted(pair, window, work):
        works.append(work)
        return block_masses(pair, window, work=0.0)

    monkeypatch.setattr(masses, "LEAST_CELLS", 4)
    monkeypatch.setattr(block_calls, "block_masses", counted)
    block_calls.enough_masses.cache_clear()
    for _ in range(2):
        assert predict(pair, BlockSpeculative(6)).error_bound > block_calls.ACCURATE
    assert works[0] == WORK < works[1] <= block_calls.MOST * WORK and len(works) == 2
    block_calls.enough_masses.cache_clear()


def test_ratios_that_repeat_lose_nothing():
    """Two ratios, 2/3 and 3/2, make few prefixes: 30 positions are exact, and few cells too."""
    draft, target = np.array([[0.6, 0.4]] * 2), np.array([[0.4, 0.6]] * 2)
    found = predict(ChainPair.stationary(draft, target, [1, 0], 31), BlockSpeculative(None))
    assert found.error_bound < 1e-9
    assert predict(mixture(20, states=4), BlockSpeculative(8)).error_bound < 1e-6


def test_what_would_take_hours_is_refused_at_once():
    pair = paper(60, states=300)
    with pytest.raises(SimlabError, match="window = 59: .* hours"):
        predict(pair, BlockSpeculative(None))


def test_bad_arguments_are_named():
    with pytest.raises(SimlabError, match="is not a pair"):
        block_gain("paper", 4)
    with pytest.raises(SimlabError, match="window = 0"):
        block_gain(paper(3), 0)
