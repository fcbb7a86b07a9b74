"""Finite windows where every drafted token is accepted with the same probability: what engineers tune by.

Each drafted token is accepted with probability a, independently of all others (Leviathan, Kalman, Matias
2023, [L]; their alpha, gamma and c are acceptance a, window N and the cost ratio c = T_s/T_v here). Drafting
N tokens costs T_s N, the target call that verifies them T_v, and there is no horizon. All follows from one
sum, g(n) = 1 + a + .. + a^(n-1) = (1 - a^n)/(1 - a), which is n at a = 1.

*Tokens per call.* A call yields more than k tokens if the first k drafted ones are accepted, for every k that
is less than the most it can yield; so their mean is the sum of a^k over k = 0, 1, .. With the bonus token it
can yield N + 1, and the mean is g(N + 1), [L] eq. (1). Without it, it can yield N, the last of them a
replacement or an accepted token, and the mean is g(N). A window of 0 is the target alone: a token a call.

*The best window, with the bonus token* (own). With f(N) = (c N + 1)/g(N + 1), f(N) < f(N - 1) if and only if
c g(N) < (c (N - 1) + 1) a^N, that is, if s(N) < 1/c - 1 with

    s(N) = (1/a - 1) + (1/a^2 - 1) + .. + (1/a^N - 1).

s does not fall with N, so f falls up to the best window and never falls after it: it is quasi-convex, and the
least of the best windows is the number of N with s(N) < 1/c - 1. The first of them, 1, is there if and only
if c < a: otherwise drafting does not pay, with any window. At a = 1, s is 0: for c < 1 the longer the better.

*Without the bonus token* f(N) = (c N + 1)/g(N), and f(N) < f(N - 1) for N >= 2 if and only if s(N - 1) < 1/c:
quasi-convex again over N >= 1. But N = 1 costs c + 1 a token, more than the target alone, so that the best of
these is to be held against 1. It is never less for c >= a: c N >= N a >= a + .. + a^(N-1) = g(N) - 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from simlab.checks import check_count, check_flag, check_number
from simlab.cost import CostModel, check_cost
from simlab.errors import SimlabError

TIED = 1e-13
"""Relative difference in s(N) up to which two windows count as equally good: decimals are rounded."""

LONGEST = 2**62
MOST_TRIED = 2**20
"""So many windows are tried where no formula says which is the best."""
TOO_MANY = f"more than {MOST_TRIED:,} windows could be the best: give a smaller longest"


def accepted_length(acceptance, window):
    """The mean number of drafted tokens that a call accepts: a + a^2 + .. + a^N = a (1 - a^N)/(1 - a).

    acceptance: a in [0, 1]; window: N, whole numbers >= 0, or inf. Numbers or arrays that broadcast; floats
    come back, of their common shape. N at a = 1. Neither replacements nor bonus tokens are counted. Raises
    SimlabError for values outside. Source: the module's docstring.
    """
    acceptance, window = _checked(acceptance, window)
    return _plain(acceptance * _powers_sum(acceptance, window))


def tokens_per_call(acceptance, window, bonus: bool = True):
    """The mean number of tokens that a call yields, replacements and bonus tokens included.

    With the bonus token (1 - a^(N+1))/(1 - a), N + 1 at a = 1; without (1 - a^N)/(1 - a), N at a = 1; 1 for a
    window of 0, the target alone. Arguments and errors as of `accepted_length`. Source: [L] eq. (1), and the
    module's docstring.
    """
    bonus = check_flag("bonus", bonus)
    acceptance, window = _checked(acceptance, window)
    return _plain(_tokens(acceptance, window, bonus))


def time_per_token(acceptance, window, cost: CostModel, bonus: bool = True):
    """The time of a call, T_s N + T_v or what the cost says of it, over the tokens per call.

    Arguments and errors as of `accepted_length`; cost: a `CostModel`, whose unit the time has. An endless
    window takes what one more drafted token takes, T_s, a token at a = 1, and forever otherwise. Source: [L]
    Theorem 3.8, before it is divided by T_v.
    """
    cost, bonus = check_cost(cost), check_flag("bonus", bonus)
    acceptance, window = _checked(acceptance, window)
    return _plain(cost.alone * _relative_times(acceptance, window, cost, bonus))


def speedup(acceptance, window, cost: CostModel, bonus: bool = True):
    """The time of autoregressive decoding over that with the window: T_v over the time per token.

    (1 - a^(N+1))/((1 - a)(N c + 1)) with the bonus token and a cost that `is_flat`; 1 for a
    window of 0. Arguments and errors as of `time_per_token`. Source: [L] Theorem 3.8.
    """
    cost, bonus = check_cost(cost), check_flag("bonus", bonus)
    acceptance, window = _checked(acceptance, window)
    return _plain(1 / _relative_times(acceptance, window, cost, bonus))


def best_window(
    acceptance: float, cost: CostModel, bonus: bool = True, longest: int | None = None
) -> int | float:
    """The window with the least time per token, in a tie the smallest; 0 where drafting does not pay.

    Where the cost `is_flat` it pays, with the bonus token, if and only if c < a. acceptance: one number in
    [0, 1]. longest: no longer one is considered. At a = 1, where it pays, the longer the better: math.inf, or
    `longest`. Raises SimlabError for an acceptance outside [0, 1], a cost that is not a `CostModel`, longest
    < 1, and where costs that are not flat leave too many windows to try. Source: the module's docstring;
    costs
    that are not flat: all windows that could be the best are tried.
    """
    acceptance, ratio = _number(acceptance), check_cost(cost).ratio
    if not cost.is_flat:
        return _tried(acceptance, cost, check_flag("bonus", bonus), longest)
    if acceptance == 1 and longest is None:
        return math.inf if ratio < 1 else 0
    return int(best_window_of(acceptance, ratio, bonus, longest))


def best_window_of(acceptance, ratio, bonus: bool = True, longest: int | None = None) -> np.ndarray:
    """`best_window` for arrays that broadcast: acceptance a in [0, 1], ratio c = T_s/T_v > 0. Returns int64.

    Raises SimlabError as `best_window` does, for ratios that are not finite numbers > 0, and where the best
    window is endless (a = 1, c < 1) and `longest` does not end it.
    """
    bonus = check_flag("bonus", bonus)
    acceptance, _ = _checked(acceptance, 0)
    acceptance, ratio = np.broadcast_arrays(acceptance, _check_ratio(ratio))
    longest = LONGEST if longest is None else check_count("longest", longest, most=LONGEST)
    if longest == LONGEST and ((acceptance == 1) & (ratio < 1)).any():
        raise SimlabError("acceptance = 1 with a draft that costs less than the target: give longest")
    pays = ratio < acceptance
    a, c = np.where(pays, acceptance, 0.5), np.where(pays, ratio, 0.25)  # where it does not, numbers that do
    with np.errstate(over="ignore"):  # of a draft that costs next to nothing
        best = _gaining_windows(a, (1 - c) / c) if bonus else 1 + _gaining_windows(a, 1 / c)
    best = np.minimum(best, longest)
    if not bonus:
        pays &= _relative_time(a, best.astype(float), c, bonus) < 1 - TIED
    return np.where(pays, best, 0)


def windows_within(
    acceptance: float, cost: CostModel, share: float = 0.02, longest: int | None = None
) -> tuple[int, int]:
    """The shortest and the longest window whose time per token is at most 1 + share times the least.

    With the bonus token; all windows between are as good where the cost `is_flat`, as the time is then
    quasi-convex; of other costs only the two ends are. 0 is among them where
    drafting gains no more than that. Arguments as of `best_window`. Raises SimlabError as it does, for a
    share that is not a finite number >= 0, and where the best window is endless.
    """
    share = check_number("share", share, least=0.0)
    best = best_window(acceptance, cost, longest=longest)
    if best == math.inf:
        raise SimlabError("acceptance = 1 with a draft that costs less than the target: give longest")
    limit = (1 + share) * time_per_token(acceptance, best, cost)
    if not cost.is_flat:
        tried = windows_to_try(acceptance, cost, share=share) if longest is None else min(longest, MOST_TRIED)
        within = np.flatnonzero(_all_times(acceptance, cost, True, int(tried)) <= limit)
        return int(within[0]), int(within[-1])

    def is_within(window: int) -> bool:
        return window == best or time_per_token(acceptance, window, cost) <= limit

    beyond = best + 1
    while beyond < LONGEST and is_within(beyond):
        beyond = 2 * beyond
    least, most = _bisected(is_within, best, -1), _bisected(is_within, best, beyond)
    return least, most if longest is None else min(most, longest)


def _bisected(within: Callable[[int], bool], inside: int, outside: int) -> int:
    """The last number on the way from `inside` to `outside` that is within."""
    while abs(outside - inside) > 1:
        middle = (inside + outside) // 2
        inside, outside = (middle, outside) if within(middle) else (inside, middle)
    return inside


def from_rates(rates) -> np.ndarray:
    """Tokens per call by window, from acceptance rates by position: (K,) -> (K+1,), entry N for a window of
    N.

    rates: entry i - 1, of the calls that draft a token at position i of the window the part in which it is
    accepted, the i - 1 tokens before it included (not given that they are): so they fall. With the bonus
    token: 1 + the sum of the first N. That is exact, whatever the dependence, for calls whose start has the
    distribution of those that were measured. (Another window starts its calls elsewhere; this is what a
    measurement cannot know.) Raises SimlabError for rates outside [0, 1], or that rise.
    """
    rates = np.asarray(rates)
    if rates.ndim != 1 or rates.dtype.kind not in "iuf" or not ((rates >= 0) & (rates <= 1)).all():
        raise SimlabError("rates by position: give numbers in [0, 1], one a position")
    if (np.diff(rates) > 0).any():
        position = int((np.diff(rates) > 0).argmax()) + 2
        raise SimlabError(
            f"the rate of position {position} is larger than that of position {position - 1}: give the part "
            "of all calls, not of those that accepted the tokens before it"
        )
    return np.concatenate([[1.0], 1.0 + np.cumsum(rates)])


def _tokens(acceptance: np.ndarray, window: np.ndarray, bonus: bool) -> np.ndarray:
    most = window + 1 if bonus else np.maximum(window, 1)
    return _powers_sum(acceptance, most)


def _relative_time(acceptance: np.ndarray, window: np.ndarray, ratio, bonus: bool) -> np.ndarray:
    """The time per token with T_v = 1."""
    tokens = _tokens(acceptance, window, bonus)
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(tokens), ratio, (ratio * window + 1) / tokens)


def _relative_times(acceptance: np.ndarray, window: np.ndarray, cost: CostModel, bonus: bool) -> np.ndarray:
    """The time per token in units of autoregressive decoding's, at any cost."""
    if cost.is_flat:
        return _relative_time(acceptance, window, cost.ratio, bonus)
    tokens, finite = _tokens(acceptance, window, bonus), np.isfinite(window)
    call = cost.call_time(np.where(finite, window, 0)) + np.where(finite, 0.0, np.inf)
    with np.errstate(invalid="ignore"):
        times = np.where(np.isinf(tokens), cost.marginal / cost.alone, call / (cost.alone * tokens))
    return np.where(window == 0, 1.0, times)


def windows_to_try(acceptance: float, cost: CostModel, bonus: bool = True, share: float = 0.0) -> int | float:
    """A window beyond which none takes less than 1 + share times the least time of those up to it.

    math.inf at a = 1 where there is none. A call yields 1/(1 - a) tokens at most, and beyond the entries of
    its table takes so much more for every token that it drafts. Raises SimlabError as `best_window` does.
    """
    acceptance, window = _number(acceptance), 64
    if acceptance == 1:
        endless = cost.marginal < float(np.min(_all_times(1.0, cost, bonus, _measured(cost, window))))
        return math.inf if endless else _measured(cost, window)
    while True:
        window = _measured(cost, window)
        least = float(_all_times(acceptance, cost, bonus, window).min())
        if cost.marginal >= 0 and cost.call_time(window) * (1 - acceptance) >= (1 + share) * least:
            return window
        if window > MOST_TRIED:
            raise SimlabError(TOO_MANY)
        window *= 4


def _measured(cost: CostModel, window: int) -> int:
    """`window`, or further if the table of the target has longer forwards."""
    last = cost.target.tokens[-1] // cost.concurrency if hasattr(cost.target, "tokens") else 0
    return max(window, min(last, MOST_TRIED))


def _all_times(acceptance: float, cost: CostModel, bonus: bool, longest: int) -> np.ndarray:
    return time_per_token(acceptance, np.arange(longest + 1), cost, bonus)


def _tried(acceptance: float, cost: CostModel, bonus: bool, longest: int | None) -> int | float:
    """The best window by trying all; 0 is the target alone."""
    longest = LONGEST if longest is None else check_count("longest", longest, most=LONGEST)
    limit = longest if longest <= MOST_TRIED else min(windows_to_try(acceptance, cost, bonus), longest)
    if limit >= LONGEST:
        return math.inf
    if limit > MOST_TRIED:
        raise SimlabError(TOO_MANY)
    times = _all_times(acceptance, cost, bonus, int(limit))
    return int(np.argmax(times <= times.min() * (1 + TIED)))


def _powers_sum(a: np.ndarray, n: np.ndarray) -> np.ndarray:
    """1 + a + .. + a^(n-1), to rounding for every a in [0, 1]: expm1 keeps the digits that 1 - a^n loses.

    Exactly n for n = 0 and 1, and 1 at a = 0: no logarithm has a say there.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        sums = np.expm1(n * np.log(a)) / (a - 1)
    return np.where((a == 1) | (n <= 1), n, np.where(a == 0, 1.0, sums))


def _gaining_windows(a: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """How many N >= 1 have s(N) < bound > 0, for 0 < a <= 1; int64, at most LONGEST, which it is at a = 1."""
    endless = a == 1
    a = np.where(endless, 0.5, a)
    decay, bound = -np.log(a), bound * (1 - TIED)
    # s(N) >= decay N (N + 1)/2 and s(N) >= 1/a^N - 1: from here on it is no longer below the bound.
    enough = np.minimum(np.sqrt(2 * bound / decay), np.log1p(bound) / decay)
    inside = np.zeros(a.shape, np.int64)
    outside = np.minimum(np.ceil(enough) + 1, LONGEST).astype(np.int64)
    while (outside - inside > 1).any():
        middle = inside + (outside - inside) // 2
        holds = (middle == 0) | (_excess(a, decay, middle.astype(float)) < bound)
        inside, outside = np.where(holds, middle, inside), np.where(holds, outside, middle)
    return np.where(endless, LONGEST, inside)


def _excess(a: np.ndarray, decay: np.ndarray, n: np.ndarray) -> np.ndarray:
    """s(n) = ((e^x - 1 - x) + n (decay - (1 - a)))/(1 - a), x = n decay: two parts that are not negative.

    So near a = 1 nothing cancels, where (1/a^n - 1)/(1 - a) - n would.
    """
    x, missing = n * decay, 1 - a
    with np.errstate(over="ignore"):
        return (_beyond_linear(x) + n * _log_beyond_linear(missing, decay)) / missing


def _beyond_linear(x: np.ndarray) -> np.ndarray:
    """e^x - 1 - x for x >= 0: below 1/2 by its series, the 15th term of which is less than rounding."""
    small = np.minimum(x, 0.5)
    series = np.zeros_like(small)
    for k in range(15, 1, -1):
        series = (series + 1 / math.factorial(k)) * small
    return np.where(x < 0.5, series * small, np.expm1(x) - x)


def _log_beyond_linear(d: np.ndarray, decay: np.ndarray) -> np.ndarray:
    """-log(1 - d) - d for 0 <= d < 1, decay = -log(1 - d): below 1/8 by its series."""
    small = np.minimum(d, 0.125)
    series = np.zeros_like(small)
    for k in range(18, 1, -1):
        series = (series + 1 / k) * small
    return np.where(d < 0.125, series * small, decay - d)


def _plain(values: np.ndarray):
    """A float where all arguments were numbers, else the array."""
    return float(values) if values.ndim == 0 else values


def _number(acceptance) -> float:
    if np.ndim(acceptance):
        raise SimlabError("best_window takes one acceptance: give best_window_of an array of them")
    return float(_checked(acceptance, 0)[0])


def _checked(acceptance, window) -> tuple[np.ndarray, np.ndarray]:
    """Both as floats of one shape."""
    acceptance, window = _numbers("acceptance", acceptance), _numbers("window", window)
    wrong = ~((acceptance >= 0) & (acceptance <= 1))
    if wrong.any():
        raise SimlabError(
            f"acceptance = {float(acceptance[wrong][0])!r} is not valid; expected a number in [0, 1]"
        )
    wrong = ~((window >= 0) & (window == np.floor(window)))
    if wrong.any():
        raise SimlabError(
            f"window = {float(window[wrong][0])!r} is not valid; expected a whole number of at least 0"
        )
    try:
        return np.broadcast_arrays(acceptance, window)
    except ValueError as error:
        raise SimlabError(
            f"acceptance of shape {acceptance.shape} and window of {window.shape}; "
            "expected shapes that broadcast"
        ) from error


def _check_ratio(ratio) -> np.ndarray:
    ratio = _numbers("ratio", ratio)
    wrong = ~((ratio > 0) & (ratio < math.inf))
    if wrong.any():
        raise SimlabError(f"ratio = {float(ratio[wrong][0])!r} is not valid; expected a finite number > 0")
    return ratio


def _numbers(name: str, values) -> np.ndarray:
    try:
        values = np.asarray(values)
    except ValueError as error:
        raise SimlabError(f"{name}: give a number, or an array of numbers") from error
    if values.dtype.kind not in "iuf":
        raise SimlabError(
            f"{name} = {values.tolist()!r} is not valid; expected a number, or an array of numbers"
        )
    return values.astype(float)
