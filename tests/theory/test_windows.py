"""Decoding with windows, exactly: against brute force call by call, identities, limits, a second route."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simlab.cost import CostModel
from simlab.decoders import (
    AdaptiveSpeculative,
    Autoregressive,
    BatchSpeculative,
    BiasedSpeculative,
    ConfidenceSpeculative,
    Speculative,
    TreeSpeculative,
    longest_window,
)
from simlab.errors import SimlabError
from simlab.pairs import ChainPair, bernoulli, dirichlet, paper
from simlab.theory import (
    expected_rejections_per_position,
    expected_target_calls,
    expected_time,
    memoryless,
    output_chain,
    predict,
    sequence_total_variation,
    win_rates,
)
from tests.oracles.enumerate import joint_distribution
from tests.oracles.pairs import as_pair, rational_chains
from tests.oracles.windows import call_distribution, expected_by_position
from tests.strategies import examples, pairs

WINDOWED = {
    **{
        f"{window}-{'bonus' if bonus else 'none'}": lambda T, V, w=window, b=bonus: Speculative(w, b)
        for window in (1, 2, None, 9)
        for bonus in (True, False)
    },
    "adaptive-bonus": lambda T, V: AdaptiveSpeculative(_policy(T, V, True)),
    "adaptive-none": lambda T, V: AdaptiveSpeculative(_policy(T, V, False)),
    "confidence-all": lambda T, V: ConfidenceSpeculative(0.0, 2),
    "confidence-some": lambda T, V: ConfidenceSpeculative(0.6, None),
    "confidence-few": lambda T, V: ConfidenceSpeculative(0.75, 2),
    "confidence-sure": lambda T, V: ConfidenceSpeculative(1.0, 9),
    "entropy-all": lambda T, V: ConfidenceSpeculative(9.0, 2, "entropy"),
    "entropy-some": lambda T, V: ConfidenceSpeculative(0.8, None, "entropy"),
    "entropy-few": lambda T, V: ConfidenceSpeculative(0.6, 2, "entropy"),
    "entropy-sure": lambda T, V: ConfidenceSpeculative(0.0, 9, "entropy"),
    "cumulative-all": lambda T, V: ConfidenceSpeculative(0.0, 2, "cumulative"),
    "cumulative-most": lambda T, V: ConfidenceSpeculative(0.2, None, "cumulative"),
    "cumulative-some": lambda T, V: ConfidenceSpeculative(0.4, None, "cumulative"),
    "cumulative-few": lambda T, V: ConfidenceSpeculative(0.5, 2, "cumulative"),
    "cumulative-sure": lambda T, V: ConfidenceSpeculative(1.0, 9, "cumulative"),
}


def _policy(horizon: int, states: int, bonus: bool, seed: int = 5):
    from simlab.decoders.policy import Policy

    windows = np.random.default_rng(seed).integers(0 if bonus else 1, horizon + 2, (horizon, states))
    return Policy(windows, bonus)


@pytest.mark.parametrize("name", WINDOWED)
@pytest.mark.parametrize(
    ("horizon", "states", "seed"), [(1, 1, 0), (1, 3, 1), (4, 1, 2), (4, 2, 3), (4, 2, 4), (3, 3, 5)]
)
def test_equals_brute_force_over_calls(name, horizon, states, seed):
    chains = rational_chains(horizon, states, seed)
    decoder = WINDOWED[name](horizon, states)
    _compare_with_brute_force(chains, decoder)


@pytest.mark.parametrize(
    "name", ["2-bonus", "adaptive-none", "confidence-some", "entropy-some", "cumulative-some"]
)
@pytest.mark.parametrize("kind", ["equal", "disjoint", "stationary"])
def test_equals_brute_force_on_odd_pairs(name, kind):
    draft, target, initial = rational_chains(4, 2, 6)
    if kind == "equal":
        draft = target
    elif kind == "disjoint":
        draft = [[[Fraction(1), Fraction(0)]] * 2] * 4
        target = [[[Fraction(0), Fraction(1)]] * 2] * 4
    else:
        draft, target = [draft[0]] * 4, [target[1]] * 4
    _compare_with_brute_force((draft, target, initial), WINDOWED[name](4, 2))


def _compare_with_brute_force(chains, decoder) -> None:
    horizon, states = len(chains[0]), len(chains[2])
    distribution = call_distribution(*chains, decoder)
    assert sum(distribution.values()) == 1
    calls, rejections = np.zeros((2, horizon + 1))
    per_position, marginals = np.zeros(horizon), np.zeros((horizon, states))
    drafted = accepted = Fraction(0)
    for (tokens, rejected, made), mass in distribution.items():
        calls[len(made)] += mass
        rejections[sum(rejected)] += mass
        per_position += np.array(rejected) * float(mass)
        marginals[np.arange(horizon), tokens] += float(mass)
        drafted += mass * sum(g for g, _ in made)
        accepted += mass * sum(a for _, a in made)
    longest = longest_window(decoder, horizon)
    places = expected_by_position(distribution, longest)
    found = predict(as_pair(*chains), decoder)
    for name, value in [
        ("target_calls_pmf", calls),
        ("rejections_pmf", rejections),
        ("rejections_per_position", per_position),
        ("token_marginals", marginals),
        ("expected_target_calls", calls @ np.arange(horizon + 1)),
        ("expected_rejections", per_position.sum()),
        ("variance", rejections @ np.arange(horizon + 1) ** 2 - per_position.sum() ** 2),
        ("expected_drafted_tokens", float(drafted)),
        ("expected_accepted_tokens", float(accepted)),
        *((f"{part}_by_position", np.array(row, float)) for part, row in places.items()),
    ]:
        np.testing.assert_allclose(getattr(found, name), value, atol=1e-12, err_msg=name)
    assert found.drafted_by_position.shape == (longest,)
    cost = CostModel(0.3, 2.0)
    pair = as_pair(*chains)
    exact = 0.3 * float(drafted) + 2 * found.expected_target_calls
    assert pair.initial @ expected_time(pair, decoder, cost)[0] == pytest.approx(exact, abs=1e-12)
    assert pair.initial @ expected_target_calls(pair, decoder)[0] == pytest.approx(
        found.expected_target_calls, abs=1e-12
    )


@examples(60)
@given(pairs(most_steps=7), st.sampled_from(list(WINDOWED)), st.integers(0, 2**16))
@example(paper(1), "1-bonus", 0)
@example(dirichlet(6, 1, stationary=True), "adaptive-bonus", 0)
def test_every_prediction_is_a_law_and_its_parts_agree(pair, name, seed):
    decoder = WINDOWED[name](pair.horizon, pair.states)
    if isinstance(decoder, AdaptiveSpeculative):
        decoder = AdaptiveSpeculative(_policy(pair.horizon, pair.states, decoder.policy.bonus, seed))
    found, plain = predict(pair, decoder), predict(pair, Speculative())
    counts = np.arange(pair.horizon + 1)
    np.testing.assert_allclose(found.target_calls_pmf.sum(), 1, atol=1e-12)
    np.testing.assert_allclose(found.rejections_pmf.sum(), 1, atol=1e-12)
    np.testing.assert_allclose(found.rejections_pmf @ counts, found.expected_rejections, atol=1e-12)
    np.testing.assert_allclose(found.token_marginals, plain.token_marginals, atol=1e-12)
    assert found.sequence_kl == 0 and found.output_chain is pair.target
    np.testing.assert_allclose(
        expected_rejections_per_position(pair, decoder), found.rejections_per_position, atol=1e-12
    )
    cost = CostModel(0.7, 1.1)
    for exact, backwards in [
        (found.expected_target_calls, expected_target_calls(pair, decoder)),
        (cost.expected_time(found), expected_time(pair, decoder, cost)),
    ]:
        assert backwards.shape == (pair.horizon + 1, pair.states) and not backwards[-1].any()
        np.testing.assert_allclose(pair.initial @ backwards[0], exact, rtol=1e-12)
    drafted, reached, accepted = (
        found.drafted_by_position,
        found.reached_by_position,
        found.accepted_by_position,
    )
    assert (reached <= drafted + 1e-12).all() and (accepted <= reached + 1e-12).all()
    assert (np.diff(drafted) <= 1e-12).all()
    np.testing.assert_allclose(reached[:1], drafted[:1], atol=1e-12)
    np.testing.assert_allclose(found.expected_drafted_tokens, drafted.sum(), atol=1e-12)
    np.testing.assert_allclose(found.expected_accepted_tokens, accepted.sum(), atol=1e-12)
    if name.endswith("none"):  # what is accepted or rejected does not depend on where calls end
        np.testing.assert_allclose(found.rejections_pmf, plain.rejections_pmf, atol=1e-12)
        left = pair.horizon - found.expected_rejections
    else:  # every call ends with a token that was not drafted
        left = pair.horizon - found.expected_target_calls
    np.testing.assert_allclose(found.expected_accepted_tokens, left, atol=1e-11)


FIELDS = [
    "rejections_pmf",
    "rejections_per_position",
    "expected_rejections",
    "variance",
    "target_calls_pmf",
    "expected_target_calls",
    "token_marginals",
    "expected_drafted_tokens",
    "expected_accepted_tokens",
    "drafted_by_position",
    "reached_by_position",
    "accepted_by_position",
]


@examples(30)
@given(pairs(most_steps=6))
def test_a_window_to_the_horizon_is_speculative_decoding(pair):
    plain = predict(pair, Speculative())
    for window in (pair.horizon, pair.horizon + 3):
        found = predict(pair, Speculative(window=window))
        for name in FIELDS:
            np.testing.assert_allclose(getattr(found, name), getattr(plain, name), atol=1e-12, err_msg=name)
        assert np.isnan(found.acceleration) and found.tokens_per_call == pytest.approx(
            plain.tokens_per_call, abs=1e-12
        )
    np.testing.assert_allclose(
        pair.initial @ expected_target_calls(pair, Speculative())[0], plain.expected_target_calls, atol=1e-12
    )
    # With the bonus token the last token is not drafted: the same calls, one token less in each.
    bonus = predict(pair, Speculative(window=None, bonus=True))
    np.testing.assert_allclose(bonus.target_calls_pmf, plain.target_calls_pmf, atol=1e-12)
    np.testing.assert_allclose(bonus.drafted_by_position, plain.drafted_by_position[1:], atol=1e-12)


@examples(30)
@given(pairs(most_steps=6), st.integers(1, 7))
def test_policies_and_thresholds_that_are_fixed_windows(pair, window):
    from simlab.decoders.policy import Policy

    same = np.full((pair.horizon, pair.states), window)
    for bonus in (True, False):
        fixed = predict(pair, Speculative(window, bonus))
        others = [AdaptiveSpeculative(Policy(same, bonus))]
        if bonus:
            others.append(ConfidenceSpeculative(0.0, window))
        for other in others:
            found = predict(pair, other)
            for name in FIELDS:
                np.testing.assert_allclose(getattr(found, name), getattr(fixed, name), atol=1e-12)


def test_a_draft_that_is_never_sure_enough_leaves_the_target_alone():
    found = predict(paper(7, 4), ConfidenceSpeculative(1.0))
    np.testing.assert_allclose(found.target_calls_pmf, np.eye(8)[-1], atol=1e-15)
    assert found.expected_drafted_tokens == 0 and found.expected_rejections == 0
    assert np.isnan(found.acceptance_rate) and found.acceptance_length == pytest.approx(0, abs=1e-15)


def test_a_confidence_equal_to_the_threshold_drafts_on():
    rows = np.array([[0.75, 0.25], [0.4, 0.6]])
    pair = ChainPair.stationary(rows, rows[::-1], [1.0, 0.0], 5)
    assert predict(pair, ConfidenceSpeculative(0.75, 1)).drafted_by_position[0] > 0
    assert predict(pair, ConfidenceSpeculative(np.nextafter(0.75, 1), 1)).drafted_by_position[0] == 0


ACCEPTANCES = [(0.9, 0.6), (0.5, 0.5), (0.3, 0.8), (1.0, 0.0)]


@pytest.mark.parametrize(("draft", "target"), ACCEPTANCES)
@pytest.mark.parametrize("bonus", [True, False])
def test_independent_tokens_follow_the_memoryless_formulas(draft, target, bonus):
    acceptance = 1 - abs(draft - target)
    for window in (1, 3, 6):
        decoder = Speculative(window, bonus)
        found = predict(bernoulli(draft, target, 30), decoder)
        powers = acceptance ** np.arange(1, window + 1)
        np.testing.assert_allclose(found.acceptance_rate_by_position, powers, atol=1e-12)
        pair = bernoulli(draft, target, 2 * 84)
        calls = expected_target_calls(pair, decoder) @ pair.initial
        # The ends' part of the mean is the same for both horizons: 84 tokens take 84 / tokens_per_call.
        per_call = memoryless.tokens_per_call(acceptance, window, bonus)
        assert 84 / (calls[0] - calls[84]) == pytest.approx(per_call, rel=1e-9)


OLD = [
    Speculative(),
    BatchSpeculative(1),
    BatchSpeculative(3),
    BiasedSpeculative(0.2, "optimal"),
    BiasedSpeculative(0.05, "target"),
]


@pytest.mark.parametrize("decoder", OLD, ids=str)
@pytest.mark.parametrize(("horizon", "states", "seed"), [(1, 2, 0), (4, 1, 1), (4, 2, 2), (3, 3, 3)])
def test_places_of_decoders_that_draft_to_the_horizon(decoder, horizon, states, seed):
    chains = rational_chains(horizon, states, seed)
    drafted, reached, accepted = np.zeros((3, horizon))
    for (_, rejected), mass in joint_distribution(*chains, decoder).items():
        starts = [0, *(t + 1 for t in range(horizon - 1) if rejected[t])]
        for start in starts:
            taken = next((t for t in range(start, horizon) if rejected[t]), horizon) - start
            drafted[: horizon - start] += float(mass)
            reached[: min(taken + 1, horizon - start)] += float(mass)
            accepted[:taken] += float(mass)
    found = predict(as_pair(*chains), decoder)
    for name, value in [("drafted", drafted), ("reached", reached), ("accepted", accepted)]:
        np.testing.assert_allclose(getattr(found, f"{name}_by_position"), value, atol=1e-12, err_msg=name)
    drafts = decoder.drafts if isinstance(decoder, BatchSpeculative) else 1
    assert found.expected_drafted_tokens == pytest.approx(drafts * drafted.sum(), abs=1e-12)
    assert found.expected_accepted_tokens == pytest.approx(horizon - found.expected_rejections, abs=1e-12)
    assert found.error_bound == 0.0


def test_acceptance_by_position_may_rise_where_few_calls_draft_so_far():
    """Only the first call has room for two tokens, and only its tokens are likely to be accepted."""
    sure = [[1.0, 0.0]] * 2
    pair = ChainPair([sure] * 3, [[[0.9, 0.1]] * 2, [[1.0, 0.0], [0.0, 1.0]], sure], [1.0, 0.0])
    exact = predict(pair, Speculative(2, bonus=True))
    np.testing.assert_allclose(exact.drafted_by_position, [1.1, 1.0], atol=1e-15)
    np.testing.assert_allclose(exact.acceptance_rate_by_position, [0.9 / 1.1, 0.9], atol=1e-15)


def test_what_decoders_without_windows_draft():
    pair = paper(5)
    alone = predict(pair, Autoregressive())
    assert alone.expected_drafted_tokens == alone.expected_accepted_tokens == 0
    assert (
        alone.drafted_by_position.shape
        == alone.reached_by_position.shape
        == alone.accepted_by_position.shape
        == (0,)
    )
    assert CostModel(0.1, 2.0).expected_time(alone) == 10.0
    limit = predict(pair, BatchSpeculative(np.inf))
    assert limit.expected_drafted_tokens == np.inf and limit.acceptance_rate == 0
    tree = predict(pair, TreeSpeculative(4))
    assert np.isnan(tree.expected_drafted_tokens) and np.isnan(tree.expected_accepted_tokens)
    assert tree.drafted_by_position.shape == (0,) and tree.error_bound == 0.0


@pytest.mark.parametrize("name", ["2-bonus", "adaptive-none", "confidence-some", "cumulative-some"])
def test_the_output_is_the_targets(name):
    pair = paper(5, 3)
    decoder = WINDOWED[name](5, 3)
    assert output_chain(pair, decoder) is pair.target
    assert sequence_total_variation(pair, decoder) == (0.0, 0.0)
    (bracket,) = win_rates(pair, [(decoder, Speculative())])
    assert bracket.low <= 0.5 + 1e-9 and bracket.high >= 0.5 - 1e-9


def test_a_long_horizon_stays_a_distribution():
    pair = dirichlet(300, 3, stationary=True)
    for decoder in (Speculative(4, True), ConfidenceSpeculative(0.5, 8), Speculative(None, True)):
        found = predict(pair, decoder)
        assert found.target_calls_pmf.sum() == pytest.approx(1, abs=1e-10)
        mean = pair.initial @ expected_target_calls(pair, decoder)[0]
        assert found.expected_target_calls == pytest.approx(mean, rel=1e-11)


def test_a_policy_of_another_pair_is_refused_in_one_line():
    decoder = AdaptiveSpeculative(_policy(5, 3, True))
    for wrong in (paper(6, 3), paper(5, 4)):
        for ask in (
            predict,
            expected_rejections_per_position,
            expected_target_calls,
            lambda pair, decoder: expected_time(pair, decoder, CostModel()),
        ):
            with pytest.raises(SimlabError, match=r"the policy is for \(T, V\) = \(5, 3\)"):
                ask(wrong, decoder)


def test_times_need_a_decoder_of_windows_and_a_cost():
    with pytest.raises(SimlabError, match="expected a simlab.CostModel"):
        expected_time(paper(3), Speculative(2), 0.05)
    for decoder in (Autoregressive(), BatchSpeculative(2), TreeSpeculative(4)):
        with pytest.raises(SimlabError, match="give a decoder of windows"):
            expected_time(paper(3), decoder, CostModel())
    with pytest.raises(SimlabError, match="is not a pair"):
        expected_time(None, Speculative(2), CostModel())
