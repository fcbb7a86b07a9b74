"""The exact distributions of decoding with windows, by forward recursions (own).

Theory: with A = min(draft, target) (accepted) and R = target - A (rejected) a call whose drafting ends at e
(`rules`) moves its mass F_e at t < e to F_e A, and F_e R starts a new call at t + 1. At t = e all its tokens
are accepted: with the bonus token F_e target starts a new call at t + 1, without F_e starts one at t. What
confidence stops moves to e = t first. Two things are carried along, in recursions of their own:

- a count n, of calls or of rejections, for their distributions: F_e[n, x];
- the position s at which the call started, F_e[s, x], which gives the position t - s + 1 in the window.

Drafted tokens: all, those behind a rejection too. The draft that goes on until it is unsure goes along its
own chain, not along the target's: H_i(t, x) = [sure at (t, x)] sum_y draft(y) H_{i-1}(t + 1, y), H_0 = 1, is
the probability that a call from (t, x) drafts at least i tokens.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from simlab.decoders import Windowed, longest_window
from simlab.pairs.pair import ChainPair
from simlab.theory.prediction import Prediction
from simlab.theory.products import NEGLIGIBLE, Counted, by_count, product, total, trimmed
from simlab.theory.windows import backward, cumulative
from simlab.theory.windows.rules import Means, Rules, rules_of, steps


def predict(pair: ChainPair, decoder: Windowed) -> Prediction:
    """The exact prediction for Speculative, AdaptiveSpeculative and ConfidenceSpeculative.

    Time O(T^1.5 V^2 K) as matrix products, K the longest window, memory O(T V K); O(T^1.5 V^2) and O(T V)
    where all calls draft to the horizon. Raises SimlabError for a policy of another pair. Source: own, see
    the module's head; the output is the target's (Leviathan et al. 2023, Yin et al. 2024, Theorem 1).
    """
    levels = cumulative.levels_of(pair, decoder)
    if levels is not None:
        return cumulative.predict(pair, decoder, levels)
    rules, longest = rules_of(pair, decoder), longest_window(decoder, pair.horizon)
    means = means_by_position(pair, rules, longest)
    drafted = drafted_by_position(pair, rules, means.starts, longest)
    return Prediction.build(
        pair,
        decoder,
        rejections_pmf=distribution(pair, rules, of_calls=False),
        rejections_per_position=means.rejections,
        target_calls_pmf=distribution(pair, rules, of_calls=True),
        by_position=(drafted, means.reached, means.accepted),
    )


def rejections_per_position(pair: ChainPair, decoder: Windowed) -> np.ndarray:
    """P(position t is rejected), (T,), without the count. Raises SimlabError as `predict` does."""
    levels = cumulative.levels_of(pair, decoder)
    if levels is not None:
        return cumulative.means(pair, levels).rejections
    return means_by_position(pair, rules_of(pair, decoder), longest_window(decoder, pair.horizon)).rejections


def output_chain(pair: ChainPair, decoder: Windowed) -> np.ndarray:
    """The target, (T, V, V): the decoder is unbiased."""
    return pair.target


def costs_to_go(pair: ChainPair, decoder: Windowed, call_time: Callable) -> np.ndarray:
    """The mean cost of tokens t..T-1 after token x, (T + 1, V), by `backward`. Raises as `predict` does."""
    levels = cumulative.levels_of(pair, decoder)
    if levels is not None:
        return cumulative.costs_to_go(pair, levels, call_time)
    found = np.zeros((pair.horizon + 1, pair.states))
    backwards = enumerate(backward.costs_to_go(pair, rules_of(pair, decoder), call_time), start=1)
    for steps_left, values in backwards:
        found[pair.horizon - steps_left] = values[0]
    return found


def distribution(pair: ChainPair, rules: Rules, *, of_calls: bool) -> np.ndarray:
    """P(n target calls) or P(n rejections), (T+1,)."""
    starts = Counted(0, np.array(pair.initial)[None])  # calls that start at t, by what was counted before
    verified: dict[int, Counted] = {}  # F_e
    nothing = Counted(0, np.zeros((0, pair.states)))
    what = "the distribution of target calls" if of_calls else "the distribution of rejections"
    for t, step in steps(pair, verified=rules.verified, what=what):
        if not rules.bonus and t in verified:
            starts = total(starts, verified.pop(t).raised(int(of_calls)))
        ends = t + rules.drafted(t)[0]
        for end in np.unique(ends):
            begun = starts._replace(mass=np.where(ends == end, starts.mass, 0.0))
            verified[end] = total(begun, verified.get(end, nothing))
        _stop(verified, t, rules.stopped(step.draft))
        finished = verified.pop(t, nothing)
        new = [finished._replace(mass=product(finished.mass, step.target)).raised(int(of_calls))]
        if verified:
            going = total(*verified.values(), nothing)
            new.append(going._replace(mass=product(going.mass, step.rejected)).raised())
        starts = trimmed(total(*new))
        verified = {
            end: trimmed(part._replace(mass=product(part.mass, step.accepted)))
            for end, part in verified.items()
        }
    if not rules.bonus:
        starts = total(starts, verified.pop(pair.horizon).raised(int(of_calls)))
    return by_count(starts, pair.horizon)


def _stop(verified: dict[int, Counted], t: int, stopped: np.ndarray | None) -> None:
    """Calls whose last token leaves the draft unsure end drafting at t: changes `verified` in place."""
    if stopped is None or not stopped.any():
        return
    for end in [end for end in verified if end > t]:
        going = verified[end]
        done = going._replace(mass=np.where(stopped[0], going.mass, 0.0))
        verified[end] = going._replace(mass=going.mass - done.mass)
        verified[t] = total(done, *([verified[t]] if t in verified else []))


def means_by_position(pair: ChainPair, rules: Rules, longest: int) -> Means:
    """The recursion that carries the start of a call; longest: K. Time O(T K^2 V^2), far less for one window.

    Without a count: where a window is the same for all, calls that end drafting at e < T - bonus all started
    at one position.
    """
    starts, verified, straight = np.zeros((3, pair.horizon, pair.states))
    rejections = np.zeros(pair.horizon)
    reached, accepted = np.zeros(longest), np.zeros(longest)
    now = np.array(pair.initial)  # calls that start at t
    end, since = np.zeros((2, 0), np.int64)
    mass = np.zeros((0, pair.states))  # F, a row for each pair of an end e and a start s
    for t, step in steps(pair, verified=rules.verified):
        if not rules.bonus:
            now = now + mass[end == t].sum(axis=0)
            end, since, mass = (part[end > t] for part in (end, since, mass))
        starts[t] = now
        ends = t + rules.drafted(t)[0]
        new = np.unique(ends)
        end, since = np.append(end, new), np.append(since, np.full(len(new), t))
        mass = np.vstack([mass, np.where(ends == new[:, None], now, 0.0)])
        finished = mass[end == t].sum(axis=0)
        end, since, mass = (part[end > t] for part in (end, since, mass))
        stopped = rules.stopped(step.draft)
        if stopped is not None:
            finished += np.where(stopped[0], mass, 0.0).sum(axis=0)
            mass = np.where(stopped[0], 0.0, mass)
        reached += np.bincount(t - since, mass.sum(axis=1), minlength=longest)
        verified[t], straight[t] = mass.sum(axis=0), finished
        replaced = product(verified[t], step.rejected)
        mass = product(mass, step.accepted)
        mass[mass < NEGLIGIBLE] = 0.0
        accepted += np.bincount(t - since, mass.sum(axis=1), minlength=longest)
        rejections[t] = replaced.sum()
        now = replaced + product(finished, step.target)
    return Means(starts, rejections, reached, accepted, verified, straight)


def drafted_by_position(pair: ChainPair, rules: Rules, starts: np.ndarray, longest: int) -> np.ndarray:
    """The expected number of calls that draft at least i tokens, (K,), from the distribution of their
    starts."""
    if rules.thresholds is None:
        exactly = np.zeros(longest + 1)
        for t, now in enumerate(starts):
            exactly += np.bincount(rules.drafted(t)[0], now, minlength=longest + 1)
        return np.cumsum(exactly[:0:-1])[::-1]
    drafted = np.zeros(longest)
    at_least = np.zeros((longest + 1, pair.states))  # H_i(t + 1, x); H(T) = 0, as no token is left
    for t, step in steps(pair, backwards=True, verified=rules.verified):
        sure = ~rules.stopped(step.draft)[0]
        at_least[1:] = np.where(sure, product(at_least[:-1], step.draft.T), 0.0)
        at_least[0] = 1.0
        drafted += at_least[1:] @ starts[t]
    return drafted
