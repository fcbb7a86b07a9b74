"""What decoding with several drafted tokens at each position of a call takes, by forward recursions (own).

Theory: with A and R what the rule accepts and rejects at a position with k children (`acceptance`), A + R =
target, the mass of calls that have come to this position after token x moves on to the next one by A, and
starts a new call by R. So of all that happened in a call only its position matters, through the numbers of
children that are still to come: calls with the same ones ahead are one mass, F[n, x], n what is counted. At
their end the bonus token starts a new call by the target, or without it a new call starts on the spot.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from simlab.decoders import MultiDraftSpeculative, call_sizes, longest_window
from simlab.pairs.pair import ChainPair
from simlab.progress import stepping
from simlab.theory.many_drafts.acceptance import acceptance
from simlab.theory.prediction import Prediction
from simlab.theory.products import NEGLIGIBLE, product


def predict(pair: ChainPair, decoder: MultiDraftSpeculative) -> Prediction:
    """The exact distributions of calls and rejections; what is drafted and accepted, position by position.

    Time O(T^2 V^2 K) as matrix products, K the positions of a call, beyond that of `acceptance`, once for
    each row and number of children. Raises SimlabError where recursive rejection without replacement is too
    large to enumerate. Source: own, see the module's head; the output is the target's, whatever the rule.
    """
    kernels, longest = _kernels(pair, decoder), longest_window(decoder, pair.horizon)
    means = _means(pair, decoder, kernels)
    positions = [_positions(pair, decoder, t) for t in range(pair.horizon)]
    exactly = np.bincount(positions, means.starts, minlength=longest + 1)
    return Prediction.build(
        pair,
        decoder,
        rejections_pmf=_distribution(pair, decoder, kernels, of_calls=False),
        rejections_per_position=means.rejections,
        target_calls_pmf=_distribution(pair, decoder, kernels, of_calls=True),
        by_position=(np.cumsum(exactly[:0:-1])[::-1], means.reached, means.accepted),
        acceleration=_acceleration(pair, decoder, float(means.rejections.sum())),
    )


def rejections_per_position(pair: ChainPair, decoder: MultiDraftSpeculative) -> np.ndarray:
    """P(position t is rejected), (T,), without the count. Raises SimlabError as `predict` does."""
    return _means(pair, decoder, _kernels(pair, decoder)).rejections


def output_chain(pair: ChainPair, decoder: MultiDraftSpeculative) -> np.ndarray:
    """The target, (T, V, V): the decoder is unbiased."""
    return pair.target


def costs_to_go(pair: ChainPair, decoder: MultiDraftSpeculative, call_time: Callable) -> np.ndarray:
    """The mean cost of tokens t..T-1 after token x, (T + 1, V), where a call whose tree has g tokens costs
    call_time(g).

    By backward recursion over the calls that may be under way at t, each with its start: a second road to
    the means that `predict` has. Raises SimlabError as `predict` does.
    """
    kernels, horizon = _kernels(pair, decoder), pair.horizon
    times = call_time(call_sizes(decoder, longest_window(decoder, horizon)))
    found = np.zeros((horizon + 1, pair.states))
    later: dict[int, np.ndarray] = {}  # by start, what is to come of a call that has come to t + 1
    for t in stepping(range(horizon)[::-1], "expected times"):
        value = {}
        for start in range(max(0, t - len(decoder.drafts)), t + 1):
            positions = _positions(pair, decoder, start)
            if t < start + positions:
                accepted, rejected = kernels.step(t, decoder.drafts[t - start])
                ahead = later[start] if start in later else found[t + 1]  # without bonus the call may end
                value[start] = product(ahead, accepted.T) + product(found[t + 1], rejected.T)
            elif t == start + positions and decoder.bonus:
                value[start] = product(found[t + 1], pair.target[t].T)
        found[t] = times[_positions(pair, decoder, t)] + value[t]
        later = value
    return found


class _Kernels(NamedTuple):
    """rejected: by number of children, what is rejected, (1 or T, V, V). target: (1 or T, V, V)."""

    rejected: dict[int, np.ndarray]
    target: np.ndarray

    def step(self, t: int, children: int) -> tuple[np.ndarray, np.ndarray]:
        """(accepted, rejected), (V, V) each, of step t."""
        rejected = self.rejected[children][t if len(self.rejected[children]) > 1 else 0]
        return self.target[t if len(self.target) > 1 else 0] - rejected, rejected


def _kernels(pair: ChainPair, decoder: MultiDraftSpeculative, asked=None) -> _Kernels:
    """asked: numbers of children; None for those of the decoder."""
    if asked is None:
        asked = set(decoder.drafts[: longest_window(decoder, pair.horizon)])
    rows = pair.draft_rows, pair.target_rows
    rejected = {
        children: acceptance(decoder.rule, *rows, children, decoder.replacement).rejected
        for children in sorted(asked)
    }
    return _Kernels(rejected, pair.target_rows)


def _positions(pair: ChainPair, decoder: MultiDraftSpeculative, t: int) -> int:
    """How many positions a call has that starts at t."""
    return min(len(decoder.drafts), pair.horizon - t - decoder.bonus)


def _distribution(pair: ChainPair, decoder, kernels: _Kernels, *, of_calls: bool) -> np.ndarray:
    """P(n target calls) or P(n rejections), (T+1,)."""
    starts = pair.initial[None]  # (n, V): calls that start at t, by what was counted before
    under_way: dict[tuple, np.ndarray] = {}  # (n, V) each, by the numbers of children to come
    for t in stepping(range(pair.horizon), "the distributions of calls and rejections"):
        if not decoder.bonus:
            starts = _sum(starts, (under_way.pop((), starts[:0]), int(of_calls)))
        ahead = decoder.drafts[: _positions(pair, decoder, t)]
        under_way[ahead] = _sum(under_way.get(ahead, starts[:0]), (starts, 0))
        finished = under_way.pop((), starts[:0])
        starts = _sum(starts[:0], (product(finished, pair.target[t]), int(of_calls)))
        moved: dict[tuple, np.ndarray] = {}
        for children in {ahead[0] for ahead in under_way}:
            accepted, rejected = kernels.step(t, children)
            here = {ahead: mass for ahead, mass in under_way.items() if ahead[0] == children}
            whole = starts[:0]
            for ahead, mass in here.items():
                whole = _sum(whole, (mass, 0))
                moved[ahead[1:]] = _sum(
                    moved.get(ahead[1:], starts[:0]), (_trimmed(product(mass, accepted)), 0)
                )
            starts = _sum(starts, (product(whole, rejected), 1))
        under_way, starts = moved, _trimmed(starts)
    starts = _sum(starts, (under_way.get((), starts[:0]), int(of_calls)))
    distribution = np.zeros(pair.horizon + 1)
    by_count = starts.sum(axis=1)[: pair.horizon + 1]
    distribution[: len(by_count)] = by_count
    return distribution


def _sum(one: np.ndarray, other: tuple[np.ndarray, int]) -> np.ndarray:
    """The sum of two arrays (n, V) by their first index; that of the other is first raised by its second
    member."""
    mass, up = other
    if not len(mass):
        return one
    total = np.zeros((max(len(one), len(mass) + up), mass.shape[1]))
    total[: len(one)] += one
    total[up : up + len(mass)] += mass
    return total


def _trimmed(mass: np.ndarray) -> np.ndarray:
    mass[mass < NEGLIGIBLE] = 0.0
    return mass


class _Means(NamedTuple):
    """starts: (T,), P(a call starts at t). rejections: (T,), P(position t is rejected). reached, accepted:
    (K,) by position of the call, as in `Prediction`."""

    starts: np.ndarray
    rejections: np.ndarray
    reached: np.ndarray
    accepted: np.ndarray


def _means(pair: ChainPair, decoder: MultiDraftSpeculative, kernels: _Kernels) -> _Means:
    """The recursion that carries the start of a call: a mass (V,) for each start. Time O(T K V^2)."""
    longest = longest_window(decoder, pair.horizon)
    starts, rejections = np.zeros((2, pair.horizon))
    reached, accepted = np.zeros((2, longest))
    now = np.array(pair.initial)
    under_way: dict[int, np.ndarray] = {}  # by start
    for t in stepping(range(pair.horizon), "the distributions of calls and rejections"):
        over = [start for start in under_way if start + _positions(pair, decoder, start) == t]
        finished = sum((under_way.pop(start) for start in over), np.zeros(pair.states))
        if not decoder.bonus:
            now, finished = now + finished, np.zeros(pair.states)
        starts[t] = now.sum()
        if _positions(pair, decoder, t):
            under_way[t] = now
        else:
            finished = finished + now
        now = product(finished, pair.target[t])
        for children in {decoder.drafts[t - start] for start in under_way}:
            alike = [start for start in under_way if decoder.drafts[t - start] == children]
            at, mass = t - np.array(alike), np.array([under_way[start] for start in alike])
            kept, lost = kernels.step(t, children)
            replaced, moved = product(mass, lost), _trimmed(product(mass, kept))
            reached[at] += mass.sum(axis=1)
            accepted[at] += moved.sum(axis=1)
            rejections[t] += replaced.sum()
            now = now + replaced.sum(axis=0)
            under_way.update(zip(alike, moved, strict=True))
    return _Means(starts, rejections, reached, accepted)


def _acceleration(pair: ChainPair, decoder: MultiDraftSpeculative, rejections: float) -> float:
    """T / E[N_rej] where every call drafts to the horizon and ends with a rejection, as `horizon` has it."""
    if decoder.bonus or len(decoder.drafts) < pair.horizon:
        return math.nan
    return pair.horizon / rejections if rejections > 0 else math.inf


def calls_by_branching(pair: ChainPair, decoders: list[MultiDraftSpeculative]) -> np.ndarray:
    """E[target calls] of each decoder, (N,): they differ in their drafts alone, and what is found for a row
    and a number of children serves them all. Raises SimlabError as `predict` does."""
    widest = max(longest_window(decoder, pair.horizon) for decoder in decoders)
    asked = {children for decoder in decoders for children in decoder.drafts[:widest]}
    kernels = _kernels(pair, decoders[0], asked)
    return np.array([_means(pair, decoder, kernels).starts.sum() for decoder in decoders])
