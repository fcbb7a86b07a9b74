"""The memoryless formulas: against sums in rationals, a simulated process, published forms, and a chain."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simlab
from simlab import CostModel, SimlabError
from simlab.evidence import Status, mean_verdict
from simlab.theory import memoryless
from tests.exact import same

ACCEPTANCES = [0.0, 1e-300, 1e-9, 0.2, 0.5, 0.8, 0.95, 1 - 1e-9, 1 - 2**-53, 1.0]
probabilities = st.floats(0, 1) | st.floats(0, 1e-12).map(lambda missing: 1 - missing)
ratios = st.floats(1e-9, 2) | st.sampled_from([0.05, 0.2, 0.5, 1.0])


def powers(acceptance, first, last):
    """a^first + .. + a^last, exactly."""
    return sum((Fraction(acceptance) ** k for k in range(first, last + 1)), Fraction(0))


def exact_tokens(acceptance, window, bonus):
    """By what a call can yield: k drafted tokens accepted, and one more, or without the bonus token none."""
    a = Fraction(acceptance)
    yields = window + 1 if bonus or not window else window
    stopped = sum(((1 - a) * a**k * (k + 1) for k in range(window)), Fraction(0))
    return stopped + a**window * yields


def exact_time(acceptance, window, ratio, bonus=True):
    return (Fraction(ratio) * window + 1) / exact_tokens(acceptance, window, bonus)


def exact_times(acceptance, ratio, longest, bonus=True):
    """The time per token of windows 0..longest, in rationals, by adding up P(more than k tokens) = a^k."""
    a, c, tokens, times = Fraction(acceptance), Fraction(ratio), Fraction(1), [Fraction(1)]
    power = a if bonus else Fraction(0)
    for window in range(1, longest + 1):
        tokens += power
        times.append((c * window + 1) / tokens)
        power = a ** (window + bonus)
    return times


def exact_best(acceptance, ratio, longest, bonus=True):
    """The smallest of the windows with the least time per token, in rationals."""
    times = exact_times(acceptance, ratio, longest, bonus)
    return times.index(min(times)), times


@pytest.mark.parametrize("acceptance", ACCEPTANCES)
@pytest.mark.parametrize("window", [0, 1, 2, 7, 30])
def test_tokens_are_the_sums_to_rounding(acceptance, window):
    accepted = powers(acceptance, 1, window)
    assert memoryless.accepted_length(acceptance, window) == pytest.approx(float(accepted), rel=1e-14)
    for bonus in (True, False):
        tokens = exact_tokens(acceptance, window, bonus)
        assert memoryless.tokens_per_call(acceptance, window, bonus) == pytest.approx(
            float(tokens), rel=1e-14
        )
        time = memoryless.time_per_token(acceptance, window, CostModel(3.0, 40.0), bonus)
        assert time == pytest.approx(
            float(40 * exact_time(acceptance, window, Fraction(3, 40), bonus)), rel=1e-14
        )


@pytest.mark.parametrize("window", [1, 10**6, 10**12])
def test_near_one_no_digits_are_lost(window):
    """1 + a + .. + a^(n-1) = n - n (n-1) d/2 + .., d = 1 - a: the next term is below rounding here."""
    missing, n = 2.0**-53, window + 1
    tokens = memoryless.tokens_per_call(1 - missing, window)
    series = n - n * (n - 1) / 2 * missing + n * (n - 1) * (n - 2) / 6 * missing**2
    assert tokens == pytest.approx(series, rel=1e-14 + (n * missing) ** 3)


def test_limits():
    assert memoryless.accepted_length(0, 5) == 0 and memoryless.accepted_length(1, 5) == 5
    assert memoryless.tokens_per_call(0, 5) == 1 and memoryless.tokens_per_call(1, 5) == 6
    assert memoryless.tokens_per_call(0, 5, bonus=False) == 1
    assert memoryless.tokens_per_call(1, 5, bonus=False) == 5
    assert memoryless.accepted_length(0.8, math.inf) == pytest.approx(4, rel=1e-14)
    assert memoryless.tokens_per_call(0.8, math.inf) == pytest.approx(5, rel=1e-14)
    cost = CostModel(0.1, 2.0)
    assert memoryless.time_per_token(1, math.inf, cost) == pytest.approx(0.1, rel=1e-14)
    assert memoryless.speedup(0.8, math.inf, cost) == 0
    for bonus in (True, False):
        for acceptance in (0.0, 0.3, 0.8, 1 - 2.0**-53, 1.0):
            branch = "one token a call is a branch, without a logarithm"
            same(memoryless.speedup(acceptance, 0, cost, bonus), 1.0, branch)
            same(memoryless.time_per_token(acceptance, 0, cost, bonus), 2.0, branch)
            same(memoryless.tokens_per_call(acceptance, 1, bonus=False), 1.0, branch)


def test_the_published_forms():
    """[L] eq. (1), and Theorem 3.8 as printed, with their alpha, gamma and c."""
    alpha, gamma = np.linspace(0.01, 0.99, 50)[:, None], np.arange(1, 12)
    cost = CostModel(0.07, 1.4)
    c = 0.05
    np.testing.assert_allclose(
        memoryless.tokens_per_call(alpha, gamma), (1 - alpha ** (gamma + 1)) / (1 - alpha), rtol=1e-12
    )
    np.testing.assert_allclose(
        memoryless.speedup(alpha, gamma, cost),
        (1 - alpha ** (gamma + 1)) / ((1 - alpha) * (gamma * c + 1)),
        rtol=1e-12,
    )


def test_arrays_broadcast_and_numbers_come_back_as_floats():
    assert memoryless.tokens_per_call(np.full((3, 1), 0.5), np.arange(4)).shape == (3, 4)
    assert type(memoryless.tokens_per_call(0.5, 2)) is float
    assert type(memoryless.speedup(np.float32(0.5), 2, CostModel())) is float
    assert memoryless.best_window_of(np.full((3, 1), 0.5), np.full(4, 0.1)).shape == (3, 4)


def simulated_accepted(rng, acceptance, window, calls):
    """How many calls accepted 0..window drafted tokens: the first rejection of so many coins."""
    accepted = np.logical_and.accumulate(rng.random((calls, window)) < acceptance, axis=1).sum(axis=1)
    return np.bincount(accepted, minlength=window + 1)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("acceptance", "window"), [(0.3, 3), (0.8, 5), (0.97, 12)])
def test_a_simulated_bernoulli_process(acceptance, window, seed):
    """Error probability 1e-6 each. The control, a process that stops a token late now and then, is caught."""
    rng = np.random.default_rng(seed)
    accepted = simulated_accepted(rng, acceptance, window, 100_000)
    exact = memoryless.accepted_length(acceptance, window)
    assert mean_verdict("accepted", accepted, exact, resolution=0.15).status is Status.PASS
    with_bonus = np.concatenate([[0], accepted])
    exact = memoryless.tokens_per_call(acceptance, window)
    assert mean_verdict("tokens", with_bonus, exact, resolution=0.15).status is Status.PASS
    without = np.concatenate([[0], accepted[:-2], [accepted[-2] + accepted[-1]]])
    exact_without = memoryless.tokens_per_call(acceptance, window, bonus=False)
    assert mean_verdict("tokens", without, exact_without, resolution=0.15).status is Status.PASS
    assert mean_verdict("tokens", without, exact, resolution=0.15).status is Status.FAIL
    wrong = simulated_accepted(rng, acceptance + 0.5 * (1 - acceptance), window, 100_000)
    assert mean_verdict("tokens", np.concatenate([[0], wrong]), exact, resolution=0.15).status is Status.FAIL


@given(acceptance=probabilities, ratio=ratios, bonus=st.booleans(), longest=st.integers(1, 16))
def test_the_best_window_is_that_of_the_rationals(acceptance, ratio, bonus, longest):
    """To the window, but for times that agree to 1e-12: then neither is better to speak of."""
    found = memoryless.best_window(acceptance, CostModel(ratio, 1.0), bonus, longest)
    exact, times = exact_best(acceptance, ratio, longest, bonus)
    assert found == exact or abs(times[found] / times[exact] - 1) < Fraction(1, 10**12)


@given(acceptance=probabilities, ratio=ratios)
def test_the_time_falls_to_the_best_window_and_rises_after(acceptance, ratio):
    """Quasi-convexity, in rationals: no window beyond a first rise is better."""
    for bonus, first in ((True, 0), (False, 1)):
        times = exact_times(acceptance, ratio, 14, bonus)[first:]
        rising = [later >= time for time, later in itertools.pairwise(times)]
        assert rising == sorted(rising)


@given(acceptance=probabilities, ratio=ratios)
def test_drafting_pays_if_and_only_if_the_ratio_is_below_the_acceptance(acceptance, ratio):
    assert (memoryless.best_window(acceptance, CostModel(ratio, 1.0), longest=50) > 0) == (ratio < acceptance)
    if ratio >= acceptance:
        assert memoryless.best_window(acceptance, CostModel(ratio, 1.0), bonus=False, longest=50) == 0


@pytest.mark.parametrize(
    ("acceptance", "ratio", "best"),
    [(0.5, 0.5, 0), (0.5, 0.2, 1), (0.5, 1 / 12, 2), (0.25, 0.25, 0), (0.75, 0.75, 0), (1.0, 1.0, 0)],
)
def test_of_windows_that_tie_the_smallest(acceptance, ratio, best):
    """c = 1/(1/a + .. + 1/a^N - (N - 1)), a = 1/2: windows N and N - 1 take the same time."""
    assert memoryless.best_window(acceptance, CostModel(ratio, 1.0)) == best
    tied = exact_times(acceptance, Fraction(ratio).limit_denominator(100), 12)
    assert tied[best + 1] == tied[best] == min(tied)


@pytest.mark.parametrize("bonus", [True, False], ids=["bonus", "none"])
def test_a_tie_is_seen_to_all_digits_and_a_little_less_is_none(bonus):
    """At these costs, from rationals, a window and the next tie; one part in 10^11 off they do not."""
    for acceptance in (0.3, 0.6, 0.88, 0.89, 0.93, 0.97, 0.99, 0.999):
        for shorter in range(2, 12):
            a = Fraction(acceptance)
            s = sum((1 / a**k - 1 for k in range(1, shorter + 1)), Fraction(0))
            tie = 1 / (s + 1) if bonus else 1 / s  # of windows `shorter` - bonus and the one after
            first = shorter - bonus
            if bonus or (1 + tie * first) < powers(a, 0, first - 1):  # without: if it pays at all
                for ratio, best in ((tie, first), (tie * (1 - Fraction(1, 10**11)), first + 1)):
                    cost = CostModel(float(ratio), 1.0)
                    assert memoryless.best_window(acceptance, cost, bonus) == best


@pytest.mark.parametrize("acceptance", [0.5, 0.9, 1 - 1e-6, 1 - 1e-12])
@pytest.mark.parametrize("ratio", [0.3, 1e-3, 1e-9])
@pytest.mark.parametrize("bonus", [True, False])
def test_long_windows_are_the_best_to_rounding(acceptance, ratio, bonus):
    """Where rationals take too long: no window near by, and none far off, has a smaller time."""
    best = memoryless.best_window(acceptance, CostModel(ratio, 1.0), bonus)
    around = np.unique(np.clip(np.round(best * np.geomspace(0.3, 3, 401)), 0, None))
    around = np.unique([*around, 0, *(best + np.arange(-3, 4)).clip(0)])
    times = memoryless.time_per_token(acceptance, around, CostModel(ratio, 1.0), bonus)
    least = memoryless.time_per_token(acceptance, best, CostModel(ratio, 1.0), bonus)
    assert (times >= least * (1 - 1e-14)).all()
    # The condition of the module's docstring by the series of s for a near 1, to its first orders.
    missing, bound = 1 - acceptance, (1 / ratio - 1 if bonus else 1 / ratio)
    if missing < 1e-5 and best and best * missing < 0.01:
        n = best - (not bonus)
        assert n == pytest.approx(math.sqrt(2 * bound / missing), rel=0.01)


def test_endless_windows():
    cheap, dear = CostModel(0.1, 1.0), CostModel(1.0, 1.0)
    assert memoryless.best_window(1, cheap) == math.inf and memoryless.best_window(1, dear) == 0
    assert memoryless.best_window(1, cheap, longest=9) == 9
    assert memoryless.best_window(1, CostModel(0.95, 1.0), bonus=False, longest=9) == 0  # 1/9 + 0.95 > 1
    assert memoryless.best_window(1, CostModel(0.95, 1.0), bonus=False, longest=21) == 21
    assert memoryless.best_window(1.0, CostModel(5e-324, 1.0)) == math.inf
    assert memoryless.best_window(0.5, CostModel(1e-300, 1.0)) == pytest.approx(300 * math.log2(10), abs=15)


def test_the_map_is_the_best_window_of_each_cell():
    acceptances, costs = np.linspace(0, 0.99, 34)[:, None], np.geomspace(1e-3, 1.2, 25)
    for bonus in (True, False):
        found = memoryless.best_window_of(acceptances, costs, bonus, longest=12)
        assert found.dtype == np.int64
        for row, acceptance in enumerate(acceptances[::11, 0]):
            for column, cost in enumerate(costs[::6]):
                exact, _ = exact_best(acceptance, cost, 12, bonus)
                assert found[11 * row, 6 * column] == exact


@pytest.mark.parametrize(("acceptance", "ratio"), [(0.8, 0.05), (0.97, 0.02), (0.4, 0.39), (0.2, 0.5)])
@pytest.mark.parametrize("longest", [None, 6])
def test_windows_within_a_share_of_the_best(acceptance, ratio, longest):
    least, most = memoryless.windows_within(acceptance, CostModel(ratio, 1.0), 0.02, longest)
    _, times = exact_best(acceptance, ratio, longest or 60)
    within = [window for window, time in enumerate(times) if time <= Fraction(1.02) * min(times)]
    assert within == list(range(least, most + 1)) and most < 60


def test_windows_within_nothing_is_the_best_alone():
    cost = CostModel(0.05, 1.0)
    assert memoryless.windows_within(0.8, cost, 0.0) == (8, 8)
    with pytest.raises(SimlabError, match="give longest"):
        memoryless.windows_within(1.0, cost)
    assert memoryless.windows_within(1.0, cost, longest=40)[1] == 40


@pytest.mark.parametrize(("u", "v"), [(0.9, 0.7), (0.3, 0.8), (0.4, 0.4)])
@pytest.mark.parametrize("bonus", [True, False])
def test_a_chain_without_memory_of_its_own(u, v, bonus):
    """Coins: every token is accepted with probability 1 - |u - v|, and only the horizon is cut off.

    A horizon of n calls and nothing else would have E[calls] = T/tokens + O(1): twice the horizon takes as
    many calls more as the formula says.
    """
    window, acceptance = 3, 1 - abs(u - v)
    calls = [
        simlab.predict(
            simlab.pairs.bernoulli(u, v, horizon=horizon), simlab.Speculative(window, bonus)
        ).expected_target_calls
        for horizon in (200, 320)
    ]
    per_call = memoryless.tokens_per_call(acceptance, window, bonus)
    assert 120 / (calls[1] - calls[0]) == pytest.approx(per_call, rel=1e-12)


def test_rates_by_position():
    tokens = memoryless.from_rates([0.8, 0.64, 0.512])
    np.testing.assert_allclose(tokens, memoryless.tokens_per_call(0.8, np.arange(4)), rtol=1e-14)
    np.testing.assert_array_equal(memoryless.from_rates([]), [1.0])
    np.testing.assert_array_equal(memoryless.from_rates([1, 0]), [1.0, 2.0, 2.0])


@pytest.mark.parametrize(
    ("rates", "told"),
    [([0.5, 0.6], "rate of position 2 is larger"), ([1.5], r"in \[0, 1\]"), ([[0.5]], "one a position"),
     ([float("nan")], r"in \[0, 1\]"), ([True], "one a position")],
    ids=["rising", "above 1", "a table", "nan", "truth"],
)  # fmt: skip
def test_rates_that_are_none(rates, told):
    with pytest.raises(SimlabError, match=told):
        memoryless.from_rates(rates)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: memoryless.tokens_per_call(1.2, 3), "acceptance = 1.2 is not valid; expected a number in"),
        (lambda: memoryless.tokens_per_call([0.5, -0.1], 3), "acceptance = -0.1"),
        (lambda: memoryless.tokens_per_call(float("nan"), 3), "acceptance = nan"),
        (
            lambda: memoryless.accepted_length(0.5, -1),
            "window = -1.0 is not valid; expected a whole number of at least 0",
        ),
        (lambda: memoryless.accepted_length(0.5, 2.5), "window = 2.5"),
        (lambda: memoryless.accepted_length("0.5", 2), "acceptance = '0.5' is not valid; expected a number"),
        (lambda: memoryless.accepted_length([0.5, 0.6], [1, 2, 3]), "expected shapes that broadcast"),
        (lambda: memoryless.accepted_length([[0.5], [0.6, 0.7]], 1), "acceptance: give a number"),
        (lambda: memoryless.speedup(0.5, 2, 0.05), "cost = 0.05 is not valid; expected a simlab.CostModel"),
        (lambda: memoryless.speedup(0.5, 2, CostModel(), bonus="no"), "bonus = 'no'"),
        (lambda: memoryless.best_window(0.5, None), "cost = None is not valid; expected a simlab.CostModel"),
        (lambda: memoryless.best_window([0.5, 0.6], CostModel()), "give best_window_of an array"),
        (lambda: memoryless.best_window(0.5, CostModel(), longest=0), "longest = 0"),
        (
            lambda: memoryless.best_window_of(0.5, 0.0),
            "ratio = 0.0 is not valid; expected a finite number > 0",
        ),
        (lambda: memoryless.best_window_of([0.5, 1.0], 0.1), "give longest"),
        (lambda: memoryless.windows_within(0.5, CostModel(), -0.1), "share = -0.1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_mistakes_are_one_line(call, told):
    with pytest.raises(SimlabError) as caught:
        call()
    assert told in str(caught.value) and "\n" not in str(caught.value)
