"""What decoding with windows takes on average, from the end backwards, for many rules at once.

With k drafted tokens still to be verified, W_k(t, x) = sum_y A(x, y) W_{k-1}(t + 1, y) +
R(x, y) C(t + 1, y), W_0(t, x) = sum_y target(x, y) C(t + 1, y) with the bonus token and C(t, x) without, and
C(t, x) = cost of the call + W_g(t, x). By the position e = t + k where drafting ends (`rules`) this is one
column W_e for each e, which keeps its name from step to step; and many rules are columns side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from simlab.pairs.pair import ChainPair
from simlab.theory.products import product
from simlab.theory.windows.rules import Rules, steps


def costs_to_go(pair: ChainPair, rules: Rules, call_time: Callable) -> Iterator[np.ndarray]:
    """C(t, x) of each rule, (J, V), for t = T-1, .., 0: the mean cost of tokens t..T-1 for calls that start.

    call_time: what a call costs that drafts so many tokens, of an array of whole numbers. Time O(T V^2) for
    each column that is alive: K of them for a rule with windows of K tokens, one where all calls draft to the
    horizon and no confidence stops them. Source: own.
    """
    rule, end, first = _columns(rules)
    by_end = np.argsort(end, kind="stable")
    reach, ends = int(np.max(end - first, initial=0)), end[by_end]
    index = np.full((len(rules.windows), pair.horizon + 1), -1)
    index[rule, end] = np.arange(len(rule))
    value = np.zeros((len(rule), pair.states))  # W_e(t + 1, x)
    times = call_time(np.arange(reach + 1))
    drafts = None if rules.thresholds is None else _Drafts(len(rules.windows), pair.states, times)
    later = np.zeros((len(rules.windows), pair.states))
    which, token = np.arange(len(later))[:, None], np.arange(pair.states)
    for t, step in steps(pair, backwards=True, verified=rules.verified):
        # Those that end at t, and up to the longest window behind it: never all columns of a long horizon.
        at, behind, far = np.searchsorted(ends, (t, t + 1, t + reach + 1))
        over, near = by_end[at:behind], by_end[behind:far]
        alive = np.sort(near[first[near] <= t])
        stopped = rules.stopped(step.draft)
        replaced, fresh = product(later, step.rejected.T), product(later, step.target.T)
        value[alive] = product(value[alive], step.accepted.T) + replaced[rule[alive]]
        length = rules.drafted(t)
        column = index[which, t + length]
        cost = times[length]
        if drafts is not None:
            unsure = stopped[rule[alive]]
            value[alive] = np.where(unsure, fresh[rule[alive]], value[alive])
            cost = drafts.mean_time(step.draft, stopped, int(length.max()))
        if rules.bonus:
            value[over] = fresh[rule[over]]
        later = cost + value[column, token]
        if not rules.bonus:
            value[over] = later[rule[over]]
        yield later


class _Drafts:
    """What calls cost on average whose draft goes on along its own chain until it is unsure.

    H_i(t, x) = [sure at (t, x)] sum_y draft(y) H_{i-1}(t + 1, y), H_0 = 1, is the probability that a call
    from (t, x) drafts at least i tokens; its mean cost is c(0) + sum_i (c(i) - c(i-1)) H_i, up to the window.
    """

    def __init__(self, rules: int, states: int, times: np.ndarray) -> None:
        self.first, self.more = times[0], np.diff(times)
        self.at_least = np.zeros((rules, len(times), states))  # H_i(t + 1, x); no token is left at T

    def mean_time(self, draft: np.ndarray, stopped: np.ndarray, most: int) -> np.ndarray:
        """(J, V), at one step earlier than the last time; most: the longest draft that fits."""
        ahead = self.at_least[:, :-1]
        going = product(ahead.reshape(-1, ahead.shape[2]), draft.T).reshape(ahead.shape)
        self.at_least[:, 1:] = np.where(stopped[:, None], 0.0, going)
        self.at_least[:, 0] = 1.0
        return self.first + np.einsum("i,jix->jx", self.more[:most], self.at_least[:, 1 : most + 1])


def _columns(rules: Rules) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(rule, end e, first start of a call that ends there) of each column that some call needs."""
    horizon, many = rules.horizon, len(rules.windows)
    first = np.full((many, horizon + 1), horizon + 1)
    which = np.arange(many)[:, None]
    for t in reversed(range(horizon)):
        first[which, t + rules.drafted(t)] = t
    rule, end = np.nonzero(first <= horizon)
    return rule, end, first[rule, end]
