"""The exact distributions of decoding whose window has a memory, by recursions over (t, x, state) (own).

The rule is an automaton (`simlab.decoders.memory`): a call that starts at s in state m drafts
g = min(windows[m], T - s - 1) tokens, and where a of them are accepted the next call starts in state
after[m, a]. Theory: with A = min(draft, target) (accepted) and R = target - A (rejected) the mass F_m at t of
the calls of state m that started at s, and so have a = t - s accepted tokens, moves to F_m A while a < g, and
F_m R starts calls at t + 1 in state after[m, a]; at a = g all are accepted, and F_m target starts calls in
state after[m, g]. All that follows depends on (t, x, m, a) alone, so this is exact. A count n, of calls or of
rejections, is carried along for its distribution.

Of all (m, a, n) few can occur at one t, and those alone are kept, a row over x each. What leads to the same
(m, n) at t + 1 is added up before it is multiplied by R or target, as these are linear.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from simlab.decoders import Remembering, longest_window
from simlab.decoders.memory import Memory, memory_of
from simlab.pairs.pair import ChainPair
from simlab.theory.prediction import Prediction
from simlab.theory.products import product
from simlab.theory.windows.rules import steps

TINY = 1e-30
"""Rows with less mass than this are left out: all that there can be are together less than a rounding."""


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


class _Calls(NamedTuple):
    """Calls that are under way at t, a row for each that differs: (N,) its state, its accepted tokens and
    what is counted so far, and (N, V) the mass by last token."""

    state: np.ndarray
    accepted: np.ndarray
    count: np.ndarray
    mass: np.ndarray

    def part(self, which: np.ndarray) -> _Calls:
        return _Calls(*(field[which] for field in self))

    def __add__(self, other: _Calls) -> _Calls:
        return _Calls(*map(np.concatenate, zip(self, other, strict=True)))


def _follow(
    pair: ChainPair, decoder: Remembering, *, calls: int, rejections: int
) -> tuple[_Sums, np.ndarray]:
    """The expectations, and the distribution of what is counted, (T+1,).

    calls, rejections: by how much each call and each rejection raises the count, 0 or 1.
    """
    horizon, longest = pair.horizon, longest_window(decoder, pair.horizon)
    memory = memory_of(decoder, horizon)
    sums = _Sums(np.zeros(longest + 1), np.zeros(longest), np.zeros(longest), np.zeros(horizon))
    begun = _Calls(*np.zeros((3, 1), np.int64), pair.initial[None])
    running = begun.part([])
    for t, step in steps(pair):
        drafted = np.minimum(memory.windows[begun.state], horizon - 1 - t)
        sums.exactly[:] += np.bincount(drafted, begun.mass.sum(axis=1), minlength=longest + 1)
        running += begun
        is_going = (running.accepted < memory.windows[running.state]) & (t < horizon - 1)
        going, ended = running.part(is_going), running.part(~is_going)
        rejected = _product_of(_next(memory, going, calls | rejections), step.rejected)
        begun = _merged(rejected + _product_of(_next(memory, ended, calls), step.target))
        running = _Calls(going.state, going.accepted + 1, going.count, product(going.mass, step.accepted))
        for found, mass in ((sums.reached, going.mass), (sums.accepted, running.mass)):
            found[:] += np.bincount(going.accepted, mass.sum(axis=1), minlength=longest)
        sums.rejections[t] = rejected.mass.sum()
    return sums, np.bincount(begun.count, begun.mass.sum(axis=1), minlength=horizon + 1)


def _next(memory: Memory, over: _Calls, more: int) -> _Calls:
    """The calls that follow those that are over, before their first token; the count is raised."""
    state = memory.after[over.state, over.accepted]
    return _merged(_Calls(state, np.zeros_like(state), over.count + more, over.mass))


def _merged(begun: _Calls) -> _Calls:
    """Calls that begin, a row for each state and count."""
    from scipy.sparse import csr_array

    rows, base = len(begun.state), int(begun.count.max(initial=0)) + 1
    found, which = np.unique(begun.state * base + begun.count, return_inverse=True)
    of_row = csr_array((np.ones(rows), (which, np.arange(rows))), (len(found), rows))
    mass = of_row @ begun.mass
    kept = mass.sum(axis=1) > TINY
    state, count = np.divmod(found[kept], base)
    return _Calls(state, np.zeros_like(state), count, mass[kept])


def _product_of(calls: _Calls, rows: np.ndarray) -> _Calls:
    return calls._replace(mass=product(calls.mass, rows))


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
