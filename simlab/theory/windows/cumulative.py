"""Drafting that stops when the product of the draft's confidences falls under a threshold (own).

A call remembers the sum l of its rows' rounded -log(confidence), its *level*. At t the row after x adds
s_t(x) to it; above the limit drafting stops, and the target gives the bonus token. So within a call (l, x) is
a Markov chain, and beyond it nothing of l is kept. What a call does that starts at s after token x0 is said
by two kernels for each number i of its accepted tokens, `arrived` and `going`, (V, V) each, from x0 to the
last token. All recursions over calls need these alone:

    going_i R: the next token is rejected, and a call starts at s + i + 1;
    (arrived_i - going_i) target: drafting has stopped, the bonus token comes, a call starts at s + i + 1;
    arrived_i target: the same where i is all that the window or the horizon allows.

Tokens drafted behind a rejection follow the draft's own chain: H_i(t, b, x) = [s_t(x) <= b]
sum_y draft(y) H_{i-1}(t + 1, b - s_t(x), y) is the probability that i more are drafted where the level may
still rise by b. Time O(T K L V^3) for K tokens in the window and L levels, a T-th of it where the pair is
stationary.

A level never falls, so a call that is within a limit now was within it all the time: its kernels are sums
over the levels up to the limit. So one pass with the largest limit gives the kernels of N limits, and its
first steps those of shorter windows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from simlab.decoders import ConfidenceSpeculative, Windowed, longest_window
from simlab.decoders.settings import LOG_STEP
from simlab.errors import SimlabError
from simlab.memory import available_memory
from simlab.pairs.pair import ChainPair
from simlab.progress import stepping
from simlab.theory.prediction import Prediction
from simlab.theory.products import NEGLIGIBLE, product
from simlab.theory.windows.rules import Means, Step, steps


class Levels(NamedTuple):
    """added: (1 or T, V), what the row after token x adds to the level of its call. limit: drafting goes on
    up to this level. longest: K."""

    added: np.ndarray
    limit: int
    longest: int

    def at(self, t: int) -> np.ndarray:
        """(V,), s_t."""
        return self.added[t % len(self.added)]


class Calls(NamedTuple):
    """What calls do that start at one position, with each of N limits: arrived, going (N, K + 1, V, V),
    i = 0..K; see the module's head. at_least: (N, K + 1, V), P(a call after token x0 drafts at least i
    tokens). The horizon is not seen."""

    arrived: np.ndarray
    going: np.ndarray
    at_least: np.ndarray


def levels_of(pair: ChainPair, decoder: Windowed) -> Levels | None:
    """The levels of a rule by the product of confidences; None for other rules, and where it never stops.

    Raises SimlabError where they take more memory than there is.
    """
    if not isinstance(decoder, ConfidenceSpeculative) or decoder.log_limit is None:
        return None
    added, longest = added_levels(pair), longest_window(decoder, pair.horizon)
    if decoder.log_limit >= longest * int(added.max()):
        return None
    levels = Levels(added, decoder.log_limit, longest)
    _check_memory(pair, levels)
    return levels


def added_levels(pair: ChainPair) -> np.ndarray:
    """What the row after each token adds to the level of a call, (1 or T, V)."""
    return np.rint(-np.log(pair.draft_rows.max(axis=-1)) / LOG_STEP).astype(np.int64)


def _check_memory(pair: ChainPair, levels: Levels, limits: int = 1) -> None:
    """Raises SimlabError where the kernels take more than half of the memory there is."""
    needed = 8.0 * (levels.limit + 1) * pair.states * (3 * pair.states + 3 * levels.longest)
    needed += 16.0 * len(levels.added) * limits * levels.longest * pair.states**2
    if needed > available_memory() / 2:
        raise SimlabError(
            f"cumulative with {levels.limit + 1:,} products and {levels.longest} tokens in the window takes "
            f"{needed / 1e9:.1f} GB; give a larger threshold or a smaller window"
        )


def predict(pair: ChainPair, decoder: ConfidenceSpeculative, levels: Levels) -> Prediction:
    """The exact prediction."""
    calls = _of_one_limit(pair, levels)
    found = _forward(pair, levels, calls, None)[0]
    drafted = np.zeros(levels.longest)
    for t, starts in enumerate(found.starts):
        most = min(levels.longest, pair.horizon - 1 - t)
        drafted[:most] += calls[t % len(calls)].at_least[1 : most + 1] @ starts
    return Prediction.build(
        pair,
        decoder,
        rejections_pmf=_forward(pair, levels, calls, "rejections")[1],
        rejections_per_position=found.rejections,
        target_calls_pmf=_forward(pair, levels, calls, "calls")[1],
        by_position=(drafted, found.reached, found.accepted),
    )


def means(pair: ChainPair, levels: Levels) -> Means:
    """The expectations of the rule."""
    return _forward(pair, levels, _of_one_limit(pair, levels), None)[0]


def costs_to_go(pair: ChainPair, levels: Levels, call_time: Callable) -> np.ndarray:
    """The mean cost of tokens t..T-1 after token x, (T + 1, V); a call of g tokens costs call_time(g)."""
    times = np.asarray(call_time(np.arange(levels.longest + 1)), float)
    limits, windows = np.array([levels.limit]), np.array([levels.longest])
    return costs_of_rules(pair, limits, windows, times[None])[:, 0, 0]


def costs_of_rules(
    pair: ChainPair, limits: np.ndarray, windows: np.ndarray, call_times: np.ndarray
) -> np.ndarray:
    """`costs_to_go` of N rising limits, by W rising windows, each with its own times of calls of 0..K tokens,
    (W, K + 1) with K at least the last window: (T + 1, N, W, V). Raises SimlabError as `levels_of` does.
    """
    horizon, longest = pair.horizon, min(int(windows[-1]), pair.horizon - 1)
    levels = Levels(added_levels(pair), int(limits[-1]), longest)
    _check_memory(pair, levels, len(limits))
    found = np.zeros((horizon + 1, len(limits), len(windows), pair.states))
    fresh, other = np.zeros_like(found[:-1]), np.zeros_like(found[:-1])  # found[t + 1] before the token at t
    first, more = call_times[:, 0], np.diff(call_times[:, : longest + 1], axis=1)
    for start, step, here in _backwards(pair, levels, limits):
        later = found[start + 1].reshape(-1, pair.states)
        fresh[start] = product(later, step.target.T).reshape(fresh[start].shape)
        other[start] = product(later, step.rejected.T).reshape(fresh[start].shape) - fresh[start]
        most = np.minimum(windows, horizon - 1 - start)
        for column, width in enumerate(most):
            drafting = here.at_least[:, 1 : width + 1].transpose(0, 2, 1) @ more[column, :width]
            found[start, :, column] = first[column] + drafting
        for i in range(most[-1] + 1):
            arriving, going = np.searchsorted(most, [i, i + 1])
            found[start, :, arriving:] += _stacked(fresh[start + i, :, arriving:], here.arrived[:, i])
            found[start, :, going:] += _stacked(other[start + i, :, going:], here.going[:, i])
    return found


def _stacked(values: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    """sum_x kernels[n, x0, x] values[n, w, x] for all n, w and x0: (N, W, V)."""
    return np.stack([product(one, kernel.T) for one, kernel in zip(values, kernels, strict=True)])


def _forward(
    pair: ChainPair, levels: Levels, calls: list[Calls], counted: str | None
) -> tuple[Means, np.ndarray]:
    """Expectations, and the distribution of what is counted, "calls" or "rejections", (T + 1,)."""
    horizon, states, longest = pair.horizon, pair.states, levels.longest
    sizes = (horizon, states), horizon, longest, longest, (horizon, states), (horizon, states)
    found = Means(*map(np.zeros, sizes))
    most_counted = horizon + 1 if counted else 1
    starting = np.zeros((horizon + 1, most_counted, states))  # calls that start at s, by count and last token
    starting[0, 0] = pair.initial
    rows = dict(steps(pair))
    for start in stepping(range(horizon), "the calls of a rule of confidence"):
        now, here = starting[start], calls[start % len(calls)]
        found.starts[start] = now.sum(axis=0)
        most = min(longest, horizon - 1 - start)
        for i in range(most + 1):
            t = start + i
            arrived = product(now, here.arrived[i])
            going = product(now, here.going[i]) if i < most else np.zeros_like(arrived)
            replaced = product(going, rows[t].rejected)
            starting[t + 1] += _raised(replaced, bool(counted))
            fresh = product(arrived - going, rows[t].target)
            starting[t + 1] += _raised(fresh, counted == "calls")
            found.rejections[t] += replaced.sum()
            found.verified[t] += going.sum(axis=0)
            found.straight[t] += (arrived - going).sum(axis=0)
            if i < most:
                found.reached[i] += going.sum()
            if i:
                found.accepted[i - 1] += arrived.sum()
        starting[start + 1][starting[start + 1] < NEGLIGIBLE] = 0.0
    return found, starting[horizon].sum(axis=1)


def _raised(mass: np.ndarray, up: bool) -> np.ndarray:
    """(N, V), by one more of what is counted; at the last number there is nothing to raise."""
    return np.concatenate([np.zeros_like(mass[:1]), mass[:-1]]) if up else mass


def _of_one_limit(pair: ChainPair, levels: Levels) -> list[Calls]:
    """Of calls that start at each position, without the axis of limits; one for all where they are alike."""
    found = [here for _, _, here in _backwards(pair, levels, np.array([levels.limit]))][::-1]
    alike = found[:1] if pair.is_stationary else found
    return [Calls(*(field[0] for field in here)) for here in alike]


def _backwards(pair: ChainPair, levels: Levels, limits: np.ndarray) -> Iterator[tuple[int, Step, Calls]]:
    """Each position from the last one on, its step, and what calls do that start there."""
    rows = dict(steps(pair))
    if pair.is_stationary:
        *_, at_least = _drafted_ahead(levels, limits, ((0, rows[0]) for _ in range(levels.longest + 1)))
        same = Calls(*_kernels(rows, levels, limits, 0), at_least)
        yield from ((start, rows[start], same) for start in reversed(range(pair.horizon)))
        return
    ahead = _drafted_ahead(levels, limits, reversed(rows.items()))
    starts = stepping(range(pair.horizon)[::-1], "what calls do by their start")
    for start, at_least in zip(starts, ahead, strict=True):
        yield start, rows[start], Calls(*_kernels(rows, levels, limits, start), at_least)


def _kernels(
    rows: dict[int, Step], levels: Levels, limits: np.ndarray, start: int
) -> tuple[np.ndarray, np.ndarray]:
    """`arrived` and `going` of calls that start there."""
    states = len(levels.added[0])
    arrived, going = np.zeros((2, len(limits), levels.longest + 1, states, states))
    arrived[:, 0] = np.eye(states)
    mass = np.eye(states)[..., None]  # by last token, x0 and level
    last = max(rows)
    for i in range(levels.longest + 1):
        t = min(start + i, last)  # behind the horizon nothing is asked for
        mass = _raised_levels(mass, levels.at(t), levels.limit)
        going[:, i] = _up_to(mass, limits).T
        if i == levels.longest or start + i >= last:
            break
        accepted = rows[t].accepted
        mass = product(accepted.T, mass.reshape(states, -1)).reshape(mass.shape)
        arrived[:, i + 1] = product(going[:, i].reshape(-1, states), accepted).reshape(arrived[:, 0].shape)
    return arrived, going


def _raised_levels(mass: np.ndarray, added: np.ndarray, limit: int) -> np.ndarray:
    """(V, .., L'): the levels of each row of `mass`, (V, .., L), raised by its number, up to the limit."""
    width = min(mass.shape[-1] + int(added.max()), limit + 1)
    raised = np.zeros((*mass.shape[:-1], width))
    for row, by in enumerate(added):
        if by < width:
            part = mass[row, ..., : width - by]
            raised[row, ..., by : by + part.shape[-1]] = part
    return raised


def _up_to(mass: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """(V, V, N): the sums of (V, V, L) over the levels up to each limit."""
    limits = np.minimum(limits, mass.shape[-1] - 1)
    ends, which = np.unique(limits, return_inverse=True)
    parts = np.add.reduceat(mass, [0, *(ends[:-1] + 1)], axis=-1)
    return np.cumsum(parts, axis=-1)[..., which]


def _drafted_ahead(
    levels: Levels, limits: np.ndarray, backwards: Iterator[tuple[int, Step]]
) -> Iterator[np.ndarray]:
    """(N, K + 1, V), H_i(t, limit, x), for each step given, from the last one on."""
    states = len(levels.added[0])
    at_least = np.zeros((states, levels.longest + 1, levels.limit + 1))  # by x, i and b
    at_least[:, 0] = 1.0
    for t, step in backwards:
        ahead = product(step.draft, at_least[:, :-1].reshape(states, -1)).reshape(at_least[:, :-1].shape)
        at_least[:, 1:] = _raised_levels(ahead, levels.at(t), levels.limit)
        yield at_least[..., limits].transpose(2, 1, 0)
