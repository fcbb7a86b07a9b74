"""Drafting that stops when the product of the draft's confidences falls under a threshold (own).

A call remembers the sum l of its rows' rounded -log(confidence), its *level*. At t the row after x adds
s_t(x) to it; above the limit drafting stops, and the target gives the bonus token. So within a call (l, x) is
a Markov chain, and beyond it nothing of l is kept. What a call does that starts at s after token x0 is said
by two kernels for each number i of its accepted tokens, `arrived` and `going`, (V, V) each, from x0 to the
last token. All recursions over calls need these alone:

    going_i R: the next token is rejected, and a call starts at s + i + 1;
    (arrived_i - going_i) target: drafting has stopped, the bonus token comes, a call starts at s + i + 1;
    arrived_i target: the same where i is all that the window or the horizon allows.

Tokens drafted behind a rejection follow the draft's own chain: H_i(t, l, x) = [l + s_t(x) <= limit]
sum_y draft(y) H_{i-1}(t + 1, l + s_t(x), y) is the probability that i more are drafted. Time O(T K L V^3) for
K tokens in the window and L levels, a T-th of it where the pair is stationary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from simlab.checks import physical_memory
from simlab.decoders import ConfidenceSpeculative, Windowed, longest_window
from simlab.decoders.settings import LOG_STEP
from simlab.errors import SimlabError
from simlab.pairs.pair import ChainPair
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
    """What calls do that start at one position: arrived, going (K + 1, V, V), i = 0..K; see the module's
    head. at_least: (K + 1, V), P(a call after token x0 drafts at least i tokens). The horizon is not seen."""

    arrived: np.ndarray
    going: np.ndarray
    at_least: np.ndarray


def levels_of(pair: ChainPair, decoder: Windowed) -> Levels | None:
    """The levels of a rule by the product of confidences; None for other rules, and where it never stops.

    Raises SimlabError where they take more memory than there is.
    """
    if not isinstance(decoder, ConfidenceSpeculative) or decoder.log_limit is None:
        return None
    added = np.rint(-np.log(pair.draft_rows.max(axis=-1)) / LOG_STEP).astype(np.int64)
    longest = longest_window(decoder, pair.horizon)
    if decoder.log_limit >= longest * int(added.max()):
        return None
    needed = 8.0 * (decoder.log_limit + 1) * pair.states * (4 * pair.states + 3 * longest)
    needed += 16.0 * len(added) * longest * pair.states**2
    if needed > physical_memory() / 2:
        raise SimlabError(
            f"cumulative with {decoder.log_limit + 1:,} products and {longest} tokens in the window takes "
            f"{needed / 1e9:.1f} GB; give a larger threshold or a smaller window"
        )
    return Levels(added, decoder.log_limit, longest)


def predict(pair: ChainPair, decoder: ConfidenceSpeculative, levels: Levels) -> Prediction:
    """The exact prediction."""
    calls = _calls(pair, levels)
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
    return _forward(pair, levels, _calls(pair, levels), None)[0]


def costs_to_go(pair: ChainPair, levels: Levels, call_time: Callable) -> np.ndarray:
    """The mean cost of tokens t..T-1 after token x, (T + 1, V); a call of g tokens costs call_time(g)."""
    times = np.asarray(call_time(np.arange(levels.longest + 1)), float)
    more = np.diff(times)
    calls, rows = _calls(pair, levels), dict(steps(pair))
    found = np.zeros((pair.horizon + 1, pair.states))
    for start in reversed(range(pair.horizon)):
        here = calls[start % len(calls)]
        most = min(levels.longest, pair.horizon - 1 - start)
        found[start] = times[0] + more[:most] @ here.at_least[1 : most + 1]
        for i in range(most + 1):
            step, later = rows[start + i], found[start + i + 1]
            going = here.going[i] if i < most else 0.0 * here.going[i]
            found[start] += going @ (step.rejected @ later)
            found[start] += (here.arrived[i] - going) @ (step.target @ later)
    return found


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
    for start in range(horizon):
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


def _calls(pair: ChainPair, levels: Levels) -> list[Calls]:
    """Of calls that start at each position; one for all where the pair is stationary."""
    rows = dict(steps(pair))
    if pair.is_stationary:
        ahead = _drafted_ahead(levels, ((0, rows[0]) for _ in range(levels.longest)))
        *_, at_least = ahead
        return [Calls(*_kernels(rows, levels, 0), at_least)]
    ahead = list(_drafted_ahead(levels, reversed(rows.items())))[::-1]
    return [Calls(*_kernels(rows, levels, t), ahead[t]) for t in range(pair.horizon)]


def _kernels(rows: dict[int, Step], levels: Levels, start: int) -> tuple[np.ndarray, np.ndarray]:
    """`arrived` and `going` of calls that start there."""
    states = len(levels.added[0])
    found = np.zeros((2, levels.longest + 1, states, states))
    mass = np.zeros((states, levels.limit + 1, states))  # by x0, level and last token
    mass[np.arange(states), 0, np.arange(states)] = 1.0
    last = max(rows)
    for i in range(levels.longest + 1):
        t = min(start + i, last)  # behind the horizon nothing is asked for
        found[0, i] = mass.sum(axis=1)
        source = np.arange(levels.limit + 1)[:, None] - levels.at(t)
        mass = np.where(source >= 0, np.take_along_axis(mass, np.maximum(source, 0)[None], axis=1), 0.0)
        found[1, i] = mass.sum(axis=1)
        if i == levels.longest or start + i >= last:
            break
        kept = mass.reshape(-1, states)
        held = kept.any(axis=1)
        kept[held] = product(kept[held], rows[t].accepted)
        mass = kept.reshape(mass.shape)
    return found[0], found[1]


def _drafted_ahead(levels: Levels, backwards: Iterator[tuple[int, Step]]) -> Iterator[np.ndarray]:
    """(K + 1, V), H_i(t, 0, x), for each step given, from the last one on."""
    states = len(levels.added[0])
    at_least = np.zeros((levels.longest + 1, levels.limit + 1, states))
    at_least[0] = 1.0
    for t, step in backwards:
        ahead = product(at_least[:-1].reshape(-1, states), step.draft.T).reshape(at_least[:-1].shape)
        reached = np.arange(levels.limit + 1)[:, None] + levels.at(t)
        shifted = np.take_along_axis(ahead, np.minimum(reached, levels.limit)[None], axis=1)
        at_least[1:] = np.where(reached <= levels.limit, shifted, 0.0)
        yield at_least[:, 0].copy()
