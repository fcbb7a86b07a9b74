"""What decoding with windows takes on average, from the end backwards, for many rules at once.

With k drafted tokens still to be verified, W_k(t, x) = sum_y A(x, y) W_{k-1}(t + 1, y) +
R(x, y) C(t + 1, y), W_0(t, x) = sum_y target(x, y) C(t + 1, y) with the bonus token and C(t, x) without, and
C(t, x) = cost of the call + W_g(t, x). By the position e = t + k where drafting ends (`rules`) this is one
column W_e for each e, which keeps its name from step to step; and many rules are columns side by side.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from simlab.pairs.pair import ChainPair
from simlab.theory.products import product
from simlab.theory.windows.rules import Rules, steps


def costs_to_go(pair: ChainPair, rules: Rules, drafted: float, call: float) -> Iterator[np.ndarray]:
    """C(t, x) of each rule, (J, V), for t = T-1, .., 0: the mean cost of tokens t..T-1 for calls that start.

    drafted, call: the cost of a drafted token and of a call. Time O(T V^2) for each column that is alive: K
    of them for a rule with windows of K tokens, one where all calls draft to the horizon. Source: own.
    """
    rule, end, first = _columns(rules)
    place = np.full((len(rules.windows), pair.horizon + 1), -1)
    place[rule, end] = np.arange(len(rule))
    value = np.zeros((len(rule), pair.states))  # W_e(t + 1, x)
    ahead = np.zeros_like(value) if rules.thresholds is not None else None
    later = np.zeros((len(rules.windows), pair.states))
    which, token = np.arange(len(later))[:, None], np.arange(pair.states)
    for t, step in steps(pair, backwards=True):
        alive = np.flatnonzero((first <= t) & (end > t))
        over = np.flatnonzero(end == t)
        stopped = rules.stopped(step.draft)
        replaced, fresh = product(later, step.rejected.T), product(later, step.target.T)
        value[alive] = product(value[alive], step.accepted.T) + replaced[rule[alive]]
        length = rules.drafted(t)
        column = place[which, t + length]
        if ahead is not None:
            unsure = stopped[rule[alive]]
            value[alive] = np.where(unsure, fresh[rule[alive]], value[alive])
            ahead[alive] = np.where(unsure, 0.0, 1.0 + product(ahead[alive], step.draft.T))
            length = ahead[column, token]
        if rules.bonus:
            value[over] = fresh[rule[over]]
        later = call + drafted * length + value[column, token]
        if not rules.bonus:
            value[over] = later[rule[over]]
        yield later


def _columns(rules: Rules) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(rule, end e, first start of a call that ends there) of each column that some call needs."""
    horizon, many = rules.horizon, len(rules.windows)
    first = np.full((many, horizon + 1), horizon + 1)
    which = np.arange(many)[:, None]
    for t in reversed(range(horizon)):
        first[which, t + rules.drafted(t)] = t
    rule, end = np.nonzero(first <= horizon)
    return rule, end, first[rule, end]
