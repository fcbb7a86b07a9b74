"""The distribution of the calls of block verification, and its means by a second road."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from simlab.checks import check_count
from simlab.decoders import BlockSpeculative, Speculative, longest_window
from simlab.pairs.pair import ChainPair, check_pair
from simlab.progress import stepping
from simlab.theory.block.masses import WORK, BlockMasses, block_masses, least_work
from simlab.theory.prediction import Prediction
from simlab.theory.products import NEGLIGIBLE
from simlab.theory.windows import forward as windows

ACCURATE = 1e-3
"""Half-widths of brackets are made this small, if MOST times WORK is enough for it."""
MOST = 16


class _Calls(NamedTuple):
    """P(n calls), P(n rejections), (T + 1,) each; P(position t is rejected), (T,); starts[t, x] =
    P(a call starts at t after x), (T, V)."""

    calls: np.ndarray
    rejections: np.ndarray
    per_position: np.ndarray
    starts: np.ndarray


class _Means(NamedTuple):
    """mean[k, t, x] of what calls from (t, x) on add up, (K, T + 1, V), and how far it may be off."""

    mean: np.ndarray
    half_width: np.ndarray


def predict(pair: ChainPair, decoder: BlockSpeculative) -> Prediction:
    """The exact distributions of calls and rejections; what is drafted and accepted, position by position.

    Exact to rounding while the drafted prefixes of a start can be followed one by one (V = 7, T = 50: windows
    up to 6; V = 100: up to 3; where ratios repeat far beyond); else the masses of `block_masses` are the
    middles of certified brackets, and `error_bound` bounds what that does to each expectation. Time O(T^2 V^2
    window) as matrix products beyond that of the masses.
    Raises SimlabError where it would take hours.
    """
    window = longest_window(decoder, pair.horizon)
    masses = enough_masses(pair, window)
    distribution = _forward(pair, masses, window)
    return Prediction.build(
        pair,
        decoder,
        rejections_pmf=distribution.rejections,
        rejections_per_position=distribution.per_position,
        target_calls_pmf=distribution.calls,
        by_position=_by_position(pair, masses, window, distribution.starts),
        error_bound=_error_bound(pair, masses, window),
    )


def rejections_per_position(pair: ChainPair, decoder: BlockSpeculative) -> np.ndarray:
    """P(position t is rejected), (T,). Raises SimlabError as `predict` does."""
    window = longest_window(decoder, pair.horizon)
    return _forward(pair, enough_masses(pair, window), window).per_position


def output_chain(pair: ChainPair, decoder: BlockSpeculative) -> np.ndarray:
    """The target, (T, V, V): the decoder is unbiased."""
    return pair.target


def costs_to_go(pair: ChainPair, decoder: BlockSpeculative, call_time: Callable) -> np.ndarray:
    """The mean cost of tokens t..T-1 after token x, (T + 1, V), where a call that drafts g tokens
    costs call_time(g) >= 0; 0 at T.

    By backward recursion, for every (t, x), visited or not: a second road to the means that `predict` has
    from the distribution, and to the same accuracy. Raises SimlabError where it would take hours.
    """
    window = longest_window(decoder, pair.horizon)

    def cost(accepted: int, tokens: int) -> float:
        return float(call_time(tokens))

    return _backward(pair, enough_masses(pair, window), window, [cost]).mean[0]


@lru_cache(maxsize=2)
def enough_masses(pair: ChainPair, window: int) -> BlockMasses:
    """`block_masses` with as much work as makes all expectations certain to ACCURATE, up to MOST * WORK.

    The last ones are kept: all that is asked of one pair and window rests on them.
    """
    work = max(WORK, least_work(pair, window))
    masses = block_masses(pair, window, work)
    # Widths fall with the square of the work, but on uneven rows with less.
    more = min(1.2 * work * (_error_bound(pair, masses, window) / ACCURATE) ** 0.7, MOST * WORK)
    return masses if more <= 1.2 * work else block_masses(pair, window, more)


def block_gain(pair: ChainPair, window: int | None = 4) -> tuple[float, float]:
    """(E[calls] token by token, E[calls] with block verification), both with the bonus token.

    The second is never larger (the package's head). Raises SimlabError for a window below 1 and where it
    would take hours.
    """
    check_pair(pair)
    window = window if window is None else check_count("window", window)
    token = windows.predict(pair, Speculative(window, bonus=True))
    block = predict(pair, BlockSpeculative(window))
    return token.expected_target_calls, block.expected_target_calls


def _exits(pair: ChainPair, masses: BlockMasses, window: int, t: int) -> np.ndarray:
    """(V, g + 1, V): [x, i, y] = P(the call from (t, x) accepts i tokens, and y comes behind them)."""
    index = t if len(masses.accepted) > 1 else 0
    drafted = min(window, pair.horizon - 1 - t)
    exits = np.empty((pair.states, drafted + 1, pair.states))
    exits[:, :drafted] = masses.stopped[index, :drafted].swapaxes(0, 1)
    exits[:, drafted] = masses.accepted[index, drafted] @ pair.target[t + drafted]
    return exits


def _forward(pair: ChainPair, masses: BlockMasses, window: int) -> _Calls:
    """Both counts carried along from start to start: every exit is a call, those before the window's end are
    rejections."""
    horizon, states = pair.horizon, pair.states
    calls, rejections = ([np.zeros((t + 1, states)) for t in range(horizon + 1)] for _ in range(2))
    calls[0][0] = rejections[0][0] = pair.initial
    per_position, starts = np.zeros(horizon), np.empty((horizon, states))
    for t in stepping(range(horizon), "the distributions of calls and rejections"):
        exits = _exits(pair, masses, window, t)
        starts[t] = calls[t].sum(axis=0)
        last = exits.shape[1] - 1
        for i in range(last + 1):
            moved = _carried(calls[t], exits[:, i])
            calls[t + i + 1][1 : t + 2] += moved
            ended = _carried(rejections[t], exits[:, i])
            first = int(i < last)
            rejections[t + i + 1][first : t + 1 + first] += ended
            per_position[t + i] += ended.sum() if i < last else 0.0
        calls[t] = rejections[t] = None  # passed
    return _Calls(calls[-1].sum(axis=1), rejections[-1].sum(axis=1), per_position, starts)


def _carried(distribution: np.ndarray, exits: np.ndarray) -> np.ndarray:
    moved = distribution @ exits
    moved[moved < NEGLIGIBLE] = 0.0
    return moved


def _by_position(
    pair: ChainPair, masses: BlockMasses, window: int, starts: np.ndarray
) -> tuple[np.ndarray, ...]:
    """The expected calls that draft, reach and accept each position, (window,) each."""
    drafted, reached, accepted = (np.zeros(window) for _ in range(3))
    for t, distribution in enumerate(starts):
        index = t if len(masses.accepted) > 1 else 0
        deep = min(window, pair.horizon - 1 - t)
        going = (
            masses.accepted[index, : deep + 1].sum(axis=2) @ distribution
        )  # P(a call at t accepts i or more)
        drafted[:deep] += distribution.sum()
        reached[:deep] += going[:deep]
        accepted[:deep] += going[1:]
    return drafted, reached, accepted


def _calls(accepted: int, drafted: int) -> float:
    return 1.0


def _error_bound(pair: ChainPair, masses: BlockMasses, window: int) -> float:
    """The largest half-width of all expectations of a Prediction that rest on the calls."""
    if masses.spread is None:
        return 0.0
    counted = [
        _calls,
        lambda accepted, drafted: float(drafted),
        lambda accepted, drafted: float(accepted < drafted),
    ]
    for i in range(1, window + 1):
        counted += [
            lambda accepted, drafted, i=i: float(drafted >= i),
            lambda accepted, drafted, i=i: float(drafted >= i and accepted >= i - 1),
            lambda accepted, drafted, i=i: float(accepted >= i),
        ]
    return float((_backward(pair, masses, window, counted).half_width[:, 0] @ pair.initial).max())


def _backward(pair: ChainPair, masses: BlockMasses, window: int, worths: Sequence[Callable]) -> _Means:
    """Means of the sums over calls of each worth(accepted, drafted) >= 0, from the end backwards.

    W(t, x) = sum_{i, y} E[i, y] f_i(y), f_i(y) = worth(i, g) + W(t + i + 1, y), with the exits E. For exits
    E' of the middles W' instead, W - W' = (E - E') f + E' (W - W'), and as E is linear in the accepted
    masses,

        (E - E') f = sum_{i=1..g} sum_z (M - M')_i(z) (sum_y target(z, y) f_i(y) - f_{i-1}(z)),

    whose size is at most the masses' half-widths times that of the last bracket, which is known but for the
    half-widths of later means: no bound is assumed that is not found by then.
    """
    horizon, states = pair.horizon, pair.states
    shape = (len(worths), horizon + 1, states)
    mean, width = np.zeros(shape), np.zeros(shape)
    for t in stepping(range(horizon)[::-1], "expected numbers of block verification"):
        drafted = min(window, horizon - 1 - t)
        exits = _exits(pair, masses, window, t).reshape(states, -1)
        worth = np.array([[each(i, drafted) for i in range(drafted + 1)] for each in worths])
        later = slice(t + 1, t + drafted + 2)
        behind = mean[:, later] + worth[:, :, None]
        mean[:, t] = behind.reshape(len(worths), -1) @ exits.T
        if masses.spread is None:
            continue
        index = t if len(masses.spread) > 1 else 0
        width[:, t] = width[:, later].reshape(len(worths), -1) @ exits.T
        for i in range(1, drafted + 1):
            target = pair.target[t + i]
            bracket = np.abs(behind[:, i] @ target.T - behind[:, i - 1])
            bracket += width[:, t + i + 1] @ target.T + width[:, t + i]
            width[:, t] += bracket @ masses.spread[index, i].T
    return _Means(mean, width)
