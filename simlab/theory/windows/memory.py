"""The exact distributions of decoding whose window has a memory, by recursions over (t, x, state) (own).

The rule is an automaton (`simlab.decoders.memory`): a call that starts at s in state m drafts
g = min(windows[m], T - s - 1) tokens, and where a of them are accepted the next call starts in state
after[m, a]. Theory: with A = min(draft, target) (accepted) and R = target - A (rejected) the mass F_m at t of
the calls of state m that started at s, and so have a = t - s accepted tokens, moves to F_m A while a < g, and
F_m R starts calls at t + 1 in state after[m, a]; at a = g all are accepted, and F_m target starts calls in
state after[m, g]. All that follows depends on (t, x, m, a) alone, so this is exact. A count n, of calls or of
rejections, is carried along for its distribution.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from simlab.decoders import Remembering, longest_window
from simlab.decoders.memory import memory_of
from simlab.pairs.pair import ChainPair
from simlab.theory.prediction import Prediction
from simlab.theory.products import product
from simlab.theory.windows.rules import steps

TINY = 1e-25
"""States and counts in which fewer calls start than this are left out: together less than a rounding."""


def predict(pair: ChainPair, decoder: Remembering) -> Prediction:
    """The exact prediction for the decoders with a memory, such as HistorySpeculative.

    Time O(T^2 V^2 R) as matrix products and memory O(T V R), R the sum of the windows of all states that can
    occur. Raises SimlabError for a rule with too many states. Source: own, see the module's head; the output
    is the target's, as the windows depend on earlier calls alone.
    """
    sums, calls = _follow(pair, decoder, calls=1, rejections=0)
    return Prediction.build(
        pair,
        decoder,
        rejections_pmf=_follow(pair, decoder, calls=0, rejections=1)[1],
        rejections_per_position=sums.rejections,
        target_calls_pmf=calls,
        by_position=(np.cumsum(sums.exactly[:0:-1])[::-1], sums.reached, sums.accepted),
    )


def rejections_per_position(pair: ChainPair, decoder: Remembering) -> np.ndarray:
    """P(position t is rejected), (T,), without the count. Raises SimlabError as `predict` does."""
    return _follow(pair, decoder, calls=0, rejections=0)[0].rejections


def calls_by_drafted(pair: ChainPair, decoder: Remembering) -> np.ndarray:
    """`Prediction.calls_by_drafted`, (K+1,), without distributions: what any cost needs, in O(T V^2 R) time.

    Raises SimlabError as `predict` does.
    """
    return _follow(pair, decoder, calls=0, rejections=0)[0].exactly


def output_chain(pair: ChainPair, decoder: Remembering) -> np.ndarray:
    """The target, (T, V, V): the decoder is unbiased."""
    return pair.target


class _Sums(NamedTuple):
    """Expected numbers of calls that draft exactly 0..K tokens, (K+1,), of those that reach and accept each
    position in the window, (K,), and of rejections by position of the text, (T,)."""

    exactly: np.ndarray
    reached: np.ndarray
    accepted: np.ndarray
    rejections: np.ndarray


class _Running(NamedTuple):
    """The calls that started at one position and whose drafted tokens are all accepted so far.

    states, windows: (m,), by falling window. least: the count of mass[:, 0]. mass: (m, n, V), F by state and
    count.
    """

    states: np.ndarray
    windows: np.ndarray
    least: int
    mass: np.ndarray


def _follow(
    pair: ChainPair, decoder: Remembering, *, calls: int, rejections: int
) -> tuple[_Sums, np.ndarray]:
    """The expectations, and the distribution of what is counted, (T+1,).

    calls, rejections: by how much each call and each rejection raises the count, 0 or 1.
    """
    horizon, longest = pair.horizon, longest_window(decoder, pair.horizon)
    memory = memory_of(decoder, horizon)
    sums = _Sums(np.zeros(longest + 1), np.zeros(longest), np.zeros(longest), np.zeros(horizon))
    # By state and count: the calls that start at t, and then at t + 1.
    begun = np.zeros((len(memory.windows), horizon + 1, pair.states))
    begun[0, 0] = pair.initial
    running: list[_Running] = []  # entry a: the calls that started at t - a
    for t, step in steps(pair):
        running = [_started(begun, memory.windows), *running][: memory.after.shape[1]]
        drafted = np.minimum(running[0].windows, horizon - 1 - t)
        sums.exactly[:] += np.bincount(drafted, running[0].mass.sum(axis=(1, 2)), minlength=longest + 1)
        for a, (states, windows, least, mass) in enumerate(running):
            going = np.count_nonzero(windows > a) if t < horizon - 1 else 0
            bonus = _product(mass[going:], step.target)
            _add(begun, memory.after[states[going:], a], least + calls, bonus)
            states, mass = states[:going], mass[:going]
            replaced, kept = _product(mass, step.rejected), _product(mass, step.accepted)
            if going:
                _add(begun, memory.after[states, a], least + (calls | rejections), replaced)
                sums.reached[a] += mass.sum()
                sums.accepted[a] += kept.sum()
                sums.rejections[t] += replaced.sum()
            running[a] = _Running(states, windows[:going], least, kept)
    return sums, begun.sum(axis=(0, 2))


def _started(begun: np.ndarray, windows: np.ndarray) -> _Running:
    """The calls that start now, taken out of `begun`."""
    by_state, by_count = begun.sum(axis=(1, 2)), begun.sum(axis=(0, 2))
    states = np.flatnonzero(by_state > TINY)
    states = states[np.argsort(-windows[states], kind="stable")]
    counts = np.flatnonzero(by_count > TINY)
    least, most = (int(counts[0]), int(counts[-1]) + 1) if len(counts) else (0, 1)
    mass = begun[states, least:most]
    begun[:, by_count > 0] = 0.0
    return _Running(states, windows[states], least, mass)


def _add(begun: np.ndarray, states: np.ndarray, least: int, mass: np.ndarray) -> None:
    """Add each row of `mass`, (m, n, V), to its state in `begun`, from the count `least` on."""
    from scipy.sparse import csr_array

    if not len(states):
        return
    found, which = np.unique(states, return_inverse=True)
    of_state = csr_array((np.ones(len(states)), (which, np.arange(len(states)))), (len(found), len(states)))
    summed = (of_state @ mass.reshape(len(states), -1)).reshape(len(found), *mass.shape[1:])
    begun[found, least : least + mass.shape[1]] += summed


def _product(mass: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return product(mass.reshape(-1, mass.shape[2]), rows).reshape(mass.shape) if mass.size else mass.copy()


def costs_to_go(pair: ChainPair, decoder: Remembering, call_time: Callable) -> np.ndarray:
    """The mean cost of tokens t..T-1 after token x, (T + 1, V), of calls that start there as the first one.

    By the same recursion backwards: W_{m,a}(t, x) = sum_y A(x, y) W_{m,a+1}(t + 1, y) + R(x, y)
    C_{after[m,a]}(t + 1, y) for a < g, sum_y target(x, y) C_{after[m,g]}(t + 1, y) at a = g, and C_m(t, x) =
    call_time(g) + W_{m,0}(t, x), for all states m at once. Raises SimlabError as `predict` does.
    """
    horizon, memory = pair.horizon, memory_of(decoder, pair.horizon)
    columns = np.arange(memory.after.shape[1])
    found = np.zeros((horizon + 1, pair.states))
    later = np.zeros((len(memory.windows), pair.states))  # C_m(t + 1, x)
    value = np.zeros((len(memory.windows), len(columns) + 1, pair.states))  # W_{m,a}(t + 1, x)
    for t, step in steps(pair, backwards=True):
        goal = np.minimum(memory.windows[:, None], horizon - 1 - t + columns)
        bonus = product(later, step.target.T)[memory.after]
        going = _product(value[:, 1:], step.accepted.T) + product(later, step.rejected.T)[memory.after]
        value[:, :-1] = np.where((columns == goal)[..., None], bonus, going)
        later = call_time(goal[:, 0])[:, None] + value[:, 0]
        found[t] = later[0]
    return found
