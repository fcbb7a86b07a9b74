"""The best window, threshold and policy: against all of them, in rationals; ties, limits, and bad input."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simlab
from simlab.cost import CostModel
from simlab.decoders import AdaptiveSpeculative, ConfidenceSpeculative, Speculative
from simlab.decoders.policy import Policy
from simlab.errors import SimlabError
from simlab.pairs import ChainPair, bernoulli, dirichlet, paper
from simlab.theory import (
    best_threshold,
    best_window,
    expected_time,
    mean_acceptance,
    memoryless,
    optimal_policy,
    predict,
    threshold_times,
    window_times,
)
from simlab.theory.windows import best, cumulative
from tests.exact import close, same
from tests.oracles.pairs import as_pair, rational_chains
from tests.strategies import examples, pairs

COSTS = [CostModel(0.0625, 1.0), CostModel(0.5, 1.0), CostModel(0.75, 1.0), CostModel(2.0, 0.5)]


def _exact_time(draft, target, initial, windows, bonus, cost) -> Fraction:
    """E[time] of a table of windows in rationals, token by token: one drafted token, verified, and so on."""
    horizon, states = len(target), len(initial)
    each, call = Fraction(cost.draft), Fraction(cost.target)

    @cache
    def from_start(t: int, x: int) -> Fraction:
        if t == horizon:
            return Fraction(0)
        drafted = min(int(windows[t][x]), horizon - t - bonus)
        return call + each * drafted + verifying(t, x, drafted)

    @cache
    def verifying(t: int, x: int, left: int) -> Fraction:
        if left == 0 and not bonus:
            return from_start(t, x)
        total = Fraction(0)
        for y in range(states):
            accepted = min(draft[t][x][y], target[t][x][y]) if left else Fraction(0)
            if accepted:
                total += accepted * verifying(t + 1, y, left - 1)
            total += (target[t][x][y] - accepted) * from_start(t + 1, y)
        return total

    return sum((mass * from_start(0, x) for x, mass in enumerate(initial)), Fraction(0))


@pytest.mark.parametrize("bonus", [True, False], ids=["bonus", "none"])
@pytest.mark.parametrize(("horizon", "longest", "seed"), [(1, None, 0), (3, None, 1), (3, 1, 2), (4, 2, 3)])
def test_no_policy_at_all_is_faster(bonus, horizon, longest, seed):
    chains = rational_chains(horizon, 2, seed, zeros=0.1)
    pair = as_pair(*chains)
    cells = []
    for t in range(horizon):
        most = horizon - t - bonus if longest is None else min(longest, horizon - t - bonus)
        cells += [range(0 if bonus else 1, most + 1)] * 2
    tables = [np.reshape(table, (horizon, 2)).tolist() for table in product(*cells)]
    for cost in COSTS:
        policy = optimal_policy(pair, cost, bonus, longest)
        found = _exact_time(*chains, policy.windows.tolist(), bonus, cost)
        least = min(_exact_time(*chains, table, bonus, cost) for table in tables)
        assert float(found) == pytest.approx(float(least), rel=1e-12)
        decoder = AdaptiveSpeculative(policy)
        assert cost.expected_time(predict(pair, decoder)) == pytest.approx(float(least), rel=1e-12)
        assert pair.initial @ expected_time(pair, decoder, cost)[0] == pytest.approx(float(least), rel=1e-12)


@pytest.mark.parametrize("bonus", [True, False], ids=["bonus", "none"])
@pytest.mark.parametrize("seed", range(3))
def test_no_single_window_of_a_larger_policy_can_be_bettered(bonus, seed):
    """The optimality equation at every (t, x), also where no call ever starts."""
    pair, cost = dirichlet(9, 4, seed=seed), CostModel(0.2, 1.0)
    windows = optimal_policy(pair, cost, bonus).windows
    value = expected_time(pair, AdaptiveSpeculative(Policy(windows, bonus)), cost)
    for t, x in product(range(9), range(4)):
        for other in range(0 if bonus else 1, 9 - t - bonus + 1):
            changed = windows.copy()
            changed[t, x] = other
            slower = expected_time(pair, AdaptiveSpeculative(Policy(changed, bonus)), cost)
            assert slower[t, x] >= value[t, x] * (1 - 1e-12)
            if other < windows[t, x]:  # of windows that are as good the smallest is taken
                assert slower[t, x] > value[t, x]


@examples(40)
@given(pairs(most_steps=6), st.sampled_from([0.01, 0.3, 0.9, 3.0]), st.booleans())
def test_the_policy_is_never_slower_than_fixed_windows(pair, draft, bonus):
    cost = CostModel(2 * draft, 2.0)
    policy = optimal_policy(pair, cost, bonus)
    least = cost.expected_time(predict(pair, AdaptiveSpeculative(policy)))
    times = window_times(pair, cost, bonus=bonus)
    fixed = times if bonus else times[1:]  # a call without the bonus token drafts at least one
    assert least <= fixed.min() * (1 + 1e-12)
    assert len(times) == pair.horizon + (0 if bonus else 1)
    for window in range(1, len(times)):
        exact = cost.expected_time(predict(pair, Speculative(window, bonus)))
        assert times[window] == pytest.approx(exact, rel=1e-12)
    if bonus:
        assert least <= times[0] * (1 + 1e-9)
    assert times[0] == 2 * pair.horizon


def test_a_rule_that_looks_at_drafted_tokens_can_be_faster_than_every_policy():
    """Token 1 or 2 comes first, and is accepted; behind 1 all is sure, behind 2 the draft is surely wrong.

    Two tokens are to be drafted after 1 and one after 2: 1.5 c + 1.5. The best policy always drafts two.
    """
    draft = np.zeros((3, 4, 4))
    draft[:, :, 0] = 1.0
    target = draft.copy()
    draft[0, 0] = target[0, 0] = [0.0, 0.5, 0.5, 0.0]
    draft[1, 2], target[1, 2] = [1 / 3, 1 / 3, 0.0, 1 / 3], [0.0, 0.0, 1.0, 0.0]
    pair, cost = ChainPair(draft, target, [1.0, 0.0, 0.0, 0.0]), CostModel(0.1, 1.0)
    policy = optimal_policy(pair, cost)
    assert policy.windows[0, 0] == 2
    assert cost.expected_time(predict(pair, AdaptiveSpeculative(policy))) == pytest.approx(1.7, abs=1e-12)
    found = best_threshold(pair, cost)
    assert 1 / 3 < found.threshold <= 0.5 and found.time == pytest.approx(1.65, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_the_least_time_grows_and_is_concave_in_the_draft_s_cost(seed):
    """It is the least of functions that are linear in the cost, with slopes E[drafted tokens] >= 0."""
    pair = dirichlet(12, 3, seed=seed)
    costs = np.linspace(0.01, 1.21, 25)
    least = [
        cost.expected_time(predict(pair, AdaptiveSpeculative(optimal_policy(pair, cost))))
        for cost in (CostModel(draft, 1.0) for draft in costs)
    ]
    assert (np.diff(least) >= -1e-12).all() and (np.diff(least, 2) <= 1e-12).all()
    assert least[0] < 12 and least[-1] == pytest.approx(12, rel=1e-12)  # from c = 1 on drafting never pays


@pytest.mark.parametrize("acceptance", [0.1, 0.3, 0.5, 0.7, 0.9, 1 / 3])
def test_rounding_does_not_decide_ties(acceptance):
    """With two tokens left a drafted token costs c and saves a call with probability a: c = a is a tie."""
    for below in (0.0, 1e-14):
        cost = CostModel(acceptance * (1 - below), 1.0)
        pair = bernoulli(1.0, acceptance, 2)
        assert not optimal_policy(pair, cost).windows.any()
        assert best_window(pair, cost).window == 0
    cheaper = CostModel(acceptance * (1 - 1e-9), 1.0)
    assert (optimal_policy(pair, cheaper).windows[0] == 1).all()
    assert best_window(pair, cheaper).window == 1


def test_equal_models_draft_to_the_horizon_and_disjoint_ones_not_at_all():
    rows = dirichlet(6, 3).target
    same = ChainPair(rows, rows, [1.0, 0.0, 0.0])
    assert (optimal_policy(same, CostModel(0.1, 1.0)).windows == np.arange(5, -1, -1)[:, None]).all()
    assert best_window(same, CostModel(0.1, 1.0)).window == 5
    never = ChainPair(*(np.broadcast_to(row, (6, 2, 2)) for row in ([1.0, 0.0], [0.0, 1.0])), [1.0, 0.0])
    assert not optimal_policy(never, CostModel(1e-6, 1.0)).windows.any()
    found = best_window(never, CostModel(1e-6, 1.0))
    assert (found.window, found.time, found.speedup) == (0, 6.0, 1.0)
    assert (optimal_policy(never, CostModel(1e-6, 1.0), bonus=False).windows == 1).all()


@pytest.mark.parametrize("bonus", [True, False], ids=["bonus", "none"])
def test_longest_is_a_limit_and_changes_nothing_else(bonus):
    pair, cost = paper(12), CostModel(0.02, 1.0)
    every = window_times(pair, cost, bonus=bonus)
    close(window_times(pair, cost, 3, bonus), every[:4])
    assert len(window_times(pair, cost, 99, bonus)) == len(every)
    limited = best_window(pair, cost, bonus, longest=2)
    assert limited.window == np.argmin(every[:3])
    close(limited.time, every[limited.window])
    assert optimal_policy(pair, cost, bonus, 2).longest == 2
    assert optimal_policy(pair, cost, bonus, 99) == optimal_policy(pair, cost, bonus)
    same(best_window(paper(1), cost).times, [1.0], "the target alone costs T T_v = 1 * 1, and no sum")


def test_rules_are_split_into_blocks_without_a_trace(monkeypatch):
    pair, cost = paper(9), CostModel(0.1, 1.0)
    whole, thresholds = window_times(pair, cost), best_threshold(pair, cost, 4)
    monkeypatch.setattr(best, "ALL_RULES", 2 * 7 * 9)
    np.testing.assert_allclose(window_times(pair, cost), whole, rtol=1e-14)
    np.testing.assert_allclose(best_threshold(pair, cost, 4).times, thresholds.times, rtol=1e-14)


def test_long_horizons_choose_the_window_of_the_memoryless_formula_on_independent_tokens():
    """There the formula is exact but for the horizon's end; and no policy can do better in the middle."""
    for acceptance, ratio in [(0.6, 0.05), (0.8, 0.05), (0.9, 0.2), (0.5, 0.6)]:
        cost = CostModel(ratio, 1.0)
        pair = bernoulli(1.0, acceptance, 300)
        expected = memoryless.best_window(acceptance, cost)
        assert best_window(pair, cost, longest=20).window == expected
        assert (optimal_policy(pair, cost, longest=20).windows[:200] == expected).all()
        assert mean_acceptance(pair) == pytest.approx(acceptance, abs=1e-12)


@pytest.mark.parametrize("window", [1, 3, None])
@pytest.mark.parametrize("seed", range(2))
def test_every_threshold_between_those_tried_is_one_of_them(window, seed):
    pair, cost = dirichlet(5, 3, seed=seed), CostModel(0.1, 1.0)
    found = best_threshold(pair, cost, window)
    assert (np.diff(found.thresholds) > 0).all() and found.time == found.times.min()
    assert found.speedup == pytest.approx(5 / found.time)
    for threshold in np.linspace(0, 1, 60):
        exact = cost.expected_time(predict(pair, ConfidenceSpeculative(threshold, window)))
        place = np.searchsorted(found.thresholds, threshold)  # the next one above stops at the same tokens
        assert exact == pytest.approx(found.times[place], rel=1e-12)
        assert exact >= found.time * (1 - 1e-12)


@pytest.mark.parametrize("window", [1, 3, None])
@pytest.mark.parametrize("seed", range(2))
def test_every_root_of_an_entropy_between_those_tried_is_one_of_them(window, seed):
    pair, cost = dirichlet(5, 3, seed=seed), CostModel(0.1, 1.0)
    found = best_threshold(pair, cost, window, "entropy")
    assert found.thresholds[0] == 0 and found.time == found.times.min()
    for threshold in np.linspace(0, 1.2, 40):
        exact = cost.expected_time(predict(pair, ConfidenceSpeculative(threshold, window, "entropy")))
        at = np.searchsorted(found.thresholds, threshold, side="right") - 1
        assert exact == pytest.approx(found.times[at], rel=1e-12)


@pytest.mark.parametrize("window", [2, None])
def test_the_best_product_is_nearly_the_best_of_all(window):
    pair, cost = dirichlet(5, 3, seed=1), CostModel(0.1, 1.0)
    found = best_threshold(pair, cost, window, "cumulative")
    assert (np.diff(found.thresholds) > 0).all() and found.thresholds[0] == 0
    exact = cost.expected_time(predict(pair, ConfidenceSpeculative(found.threshold, window, "cumulative")))
    assert exact == pytest.approx(found.time, rel=1e-12)
    times = [
        cost.expected_time(predict(pair, ConfidenceSpeculative(threshold, window, "cumulative")))
        for threshold in np.linspace(0, 1, 60)
    ]
    assert found.time <= min(times) * (1 + 2e-3)


@pytest.mark.parametrize("signal", ["confidence", "entropy", "cumulative"])
@pytest.mark.parametrize("stationary", [True, False])
def test_thresholds_of_many_windows_and_costs_are_those_of_each_alone(signal, stationary):
    pair = dirichlet(6, 3, seed=5, stationary=stationary)
    costs, windows = [CostModel(0.1, 1.0), CostModel(0.2, {1: 1.0, 3: 1.5}, draft_call=0.25)], [1, 3, 9]
    thresholds, times = threshold_times(pair, costs, windows, signal, 6)
    assert times.shape == (len(thresholds), 3, 2) and (np.diff(thresholds) > 0).all()
    for (n, w, c), time in np.ndenumerate(times):
        rule = ConfidenceSpeculative(float(thresholds[n]), windows[w], signal)
        exact = pair.initial @ expected_time(pair, rule, costs[c])[0]
        assert time == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("signal", ["confidence", "entropy", "cumulative"])
def test_thresholds_where_no_token_can_be_drafted(signal):
    found = best_threshold(dirichlet(1, 3), CostModel(0.1, 2.0), None, signal)
    assert found.times == pytest.approx(np.full(len(found.thresholds), 2.0), rel=1e-12)


def test_each_token_of_a_product_rule_is_verified_or_comes_straight_from_the_target():
    pair = dirichlet(6, 3, seed=4)
    levels = cumulative.levels_of(pair, ConfidenceSpeculative(0.3, 3, "cumulative"))
    found = cumulative.means(pair, levels)
    last = np.vstack([pair.initial, predict(pair, Speculative()).token_marginals[:-1]])
    np.testing.assert_allclose(found.verified + found.straight, last, atol=1e-12)
    assert found.straight.sum() > 0 < found.verified.sum()


def test_the_product_of_one_row_is_its_confidence():
    pair = dirichlet(6, 3, seed=4)
    one, same = (predict(pair, ConfidenceSpeculative(0.6, 1, *signal)) for signal in (["cumulative"], []))
    np.testing.assert_allclose(one.target_calls_pmf, same.target_calls_pmf, atol=1e-12)
    np.testing.assert_allclose(one.drafted_by_position, same.drafted_by_position, atol=1e-12)


def test_products_that_need_more_memory_than_there_is_are_refused(monkeypatch):
    pair = dirichlet(4, 3)
    monkeypatch.setattr("simlab.theory.windows.cumulative.available_memory", lambda: 1e4)
    with pytest.raises(SimlabError, match="larger threshold or a smaller window"):
        predict(pair, ConfidenceSpeculative(0.1, None, "cumulative"))


def test_many_confidences_are_thinned_to_quantiles():
    pair, cost = paper(50), CostModel(0.1, 1.0)
    found = best_threshold(pair, cost, 4)
    assert best.MOST_THRESHOLDS <= len(found.thresholds) <= best.MOST_THRESHOLDS + 2 < 350
    assert found.thresholds[0] == 0 and found.thresholds[-1] == 1
    exact = cost.expected_time(predict(pair, ConfidenceSpeculative(found.threshold, 4)))
    assert exact == pytest.approx(found.time, rel=1e-12)


def test_mean_acceptance_is_one_less_the_mean_total_variation():
    pair = paper()
    expected = 1 - predict(pair, Speculative()).expected_rejections / 50
    assert mean_acceptance(pair) == pytest.approx(expected, abs=1e-14)
    assert mean_acceptance(ChainPair(pair.draft, pair.draft, pair.initial)) == 1.0


def test_the_names_are_at_the_top():
    assert simlab.optimal_policy is optimal_policy and simlab.best_window is best_window
    assert isinstance(best_window(paper(3), CostModel()), simlab.BestWindow)


ASKED = [optimal_policy, best_window, window_times, best_threshold]


@pytest.mark.parametrize("ask", ASKED, ids=lambda ask: ask.__name__)
def test_mistakes_end_in_one_line(ask):
    pair, cost = paper(4), CostModel()
    with pytest.raises(SimlabError, match=r"cost = 0.05 is not valid; expected a simlab.CostModel"):
        ask(pair, 0.05)
    with pytest.raises(SimlabError, match="list is not a pair"):
        ask([], cost)
    with pytest.raises(SimlabError, match="is not a pair"):
        mean_acceptance(None)
    if ask is best_threshold:
        with pytest.raises(
            SimlabError, match="window = 0 is not valid; expected a whole number of at least 1"
        ):
            ask(pair, cost, 0)
        return
    for longest in (0, -3, 2.5, True):
        with pytest.raises(
            SimlabError, match="longest = .* is not valid; expected a whole number of at least 1"
        ):
            ask(pair, cost, longest=longest)
    with pytest.raises(SimlabError, match="bonus = 1 is not valid; expected true or false"):
        ask(pair, cost, bonus=1)
