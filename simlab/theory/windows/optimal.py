"""The fastest adaptive window: a Bellman recursion over position and last token (own)."""

from __future__ import annotations

import numpy as np

from simlab.checks import check_count
from simlab.cost import CostModel, check_cost
from simlab.decoders.policy import Policy
from simlab.errors import SimlabError
from simlab.pairs.pair import ChainPair, check_pair
from simlab.theory.products import product
from simlab.theory.windows.rules import steps

TIE = 1e-13
"""Relative differences in time up to this are rounding, and the smaller window is taken."""


def optimal_policy(
    pair: ChainPair, cost: CostModel, bonus: bool = True, longest: int | None = None
) -> Policy:
    """Of all policies that fix a call's window before it drafts, one with the least expected time.

    With C(t, x) the time from (t, x) on and W_k as in `backward`, C(t, x) = min over g of c(g) +
    W_g(t, x), c(g) what a call costs that drafts g tokens: all g are tried, as nothing is known of its shape.
    The distribution of all that follows a start depends on (t, x) alone, so no policy that remembers more is
    faster. A rule that looks at the tokens while it drafts them, as ConfidenceSpeculative does, is of another
    kind, and
    can be faster. bonus: whether calls have the bonus token; then g = 0..R - 1, else 1..R. longest: the
    largest window, None for the horizon's. Of windows whose times agree to 1e-13 of them the smallest is
    taken, so that rounding does not decide. Time O(T V^2 K) as matrix products, K the longest window. Raises
    SimlabError if it is not a pair or a cost, and for longest < 1.
    """
    return optimal_policy_and_time(pair, cost, bonus, longest)[0]


def optimal_policy_and_time(
    pair: ChainPair, cost: CostModel, bonus: bool = True, longest: int | None = None
) -> tuple[Policy, float]:
    """`optimal_policy`, and its E[time for T tokens], which the recursion has found with it."""
    longest = check_planned(pair, cost, bonus, longest)
    horizon, states = pair.horizon, pair.states
    least = 0 if bonus else 1
    windows = np.zeros((horizon, states), np.int64)
    values = np.zeros((longest + 1, states))  # W_k(t + 1, x), k = 0..K
    later = np.zeros(states)
    for t, step in steps(pair, backwards=True, what="the optimal policy"):
        most = min(longest, horizon - t - bonus)
        values[1:] = product(values[:-1], step.accepted.T) + product(later, step.rejected.T)
        if bonus:
            values[0] = product(later, step.target.T)
        lengths = np.arange(least, most + 1)
        times = cost.call_time(lengths[:, None]) + values[least : most + 1]
        chosen = np.argmax(times <= times.min(axis=0) * (1 + TIE), axis=0)
        windows[t] = lengths[chosen]
        later = times[chosen, np.arange(states)]
        if not bonus:
            values[0] = later
    return Policy(windows, bonus), float(later @ pair.initial)


def check_planned(pair: ChainPair, cost: CostModel, bonus: bool, longest: int | None) -> int:
    """The longest window that calls can have. Raises SimlabError for other arguments."""
    check_pair(pair)
    check_cost(cost)
    if not isinstance(bonus, bool | np.bool_):
        raise SimlabError(f"bonus = {bonus!r} is not valid; expected true or false")
    left = pair.horizon - bool(bonus)
    return left if longest is None else min(check_count("longest", longest), left)
