"""Children that are tried in turn, each with a coin: recursive rejection, K-SEQ and greedy drafting.

All three accept a drafted y at the m-th try iff S_(m-1) + U s_m < target(y)/draft(y), U a fresh uniform
number: recursive rejection with the numbers of `simlab.decoding.batch`, K-SEQ with S = 0 and s = gamma at
every try, greedy drafting with one try of the draft's rest, S = 0 and s = 1. If all tries fail, a token is
drawn from what is left of the target; for greedy drafting it counts as accepted where it is one of the
likeliest ones.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from simlab.decoding.batch import try_again
from simlab.decoding.core.alias import pack_row
from simlab.decoding.core.bits import U0, U
from simlab.decoding.core.chunks import choose, draft_and_verify, gather_origins, replace
from simlab.decoding.core.tables import (
    AliasTable,
    DraftTable,
    distinct_steps,
    draft_table,
    residual_table,
    step_of,
    usable,
)
from simlab.jit import compiled
from simlab.pairs.pair import ChainPair


class Tries(NamedTuple):
    """Tables of C numbers of children, S steps.

    drafts: a DraftTable, (C or 1, S, V * V) each, which verifies the first try. ratios: float64 (S, V * V).
    limits: float64 (C or 1, S, V, k - 1, 2), S_(m-1) and s_m for m = 2, 3, ..; (.., 0, 2), without ratios,
    where all tries are as the first one. rest: an AliasTable, (C, S, V * V) each, to draw from when all fail.
    kept: uint8 (C, S, V * V), 1 where a token drawn from there counts as accepted, or (0, ..) where none
    does. children: int64 (C,), the tries.
    """

    drafts: DraftTable
    ratios: np.ndarray
    limits: np.ndarray
    rest: AliasTable
    kept: np.ndarray
    children: np.ndarray


@compiled
def verify_tries(tables, c, t, count, states, scratch, work, state):
    """Verify the children of class c for the first `count` origins of `work`: fill scratch.tokens and
    scratch.rejected."""
    first = step_of(tables.drafts.records, c)
    step = step_of(tables.drafts.records[first], t)
    rows = DraftTable(
        tables.drafts.records[first, step],
        tables.drafts.lows[first, step],
        tables.drafts.acceptance_lows[first, step],
    )
    rest = AliasTable(tables.rest.entries[c, step], tables.rest.lows[c, step])
    limits = tables.limits[step_of(tables.limits, c), step]
    draft_and_verify(rows, work.origins, U0, states, count, scratch, state)
    still = choose(scratch.rejected, count, work.open)
    if limits.shape[1] == 0:
        still = same_again(rows, tables.children[c] - 1, count, still, states, scratch, work, state)
    for m in range(min(tables.children[c] - 1, limits.shape[1])):
        if still > 0:
            still = try_again(
                rows,
                tables.ratios[step],
                limits,
                m,
                work.origins,
                U0,
                states,
                work.open,
                still,
                scratch,
                state,
            )
    for j in range(still):
        scratch.chosen[j] = work.open[j]
    replace(rest, work.origins, U0, states, still, scratch, state)
    if tables.kept.shape[0] > 0:
        kept = tables.kept[c, step]
        for j in range(still):
            i = scratch.chosen[j]
            known = kept[U(work.origins[i]) * states + U(scratch.tokens[i])]
            scratch.rejected[i] = np.uint16(1 - known)


@compiled
def same_again(rows, tries, count, still, states, scratch, work, state):
    """So many further tries, each as the first one, for the `still` open ones; returns how many fail."""
    if still == 0 or tries == 0:
        return still
    for i in range(count):
        work.answers[i] = scratch.tokens[i]
    for _ in range(tries):
        if still > 0:
            gather_origins(work.origins, U0, work.open, still, scratch.origins)
            draft_and_verify(rows, scratch.origins, U0, states, still, scratch, state)
            failed = U0
            for j in range(still):
                i = work.open[j]
                work.answers[i] = scratch.tokens[j]
                work.open[failed] = i
                failed += U(scratch.rejected[j])
            still = failed
    for i in range(count):
        scratch.tokens[i], scratch.rejected[i] = work.answers[i], np.uint16(0)
    for j in range(still):
        scratch.rejected[work.open[j]] = np.uint16(1)
    return still


def recursive_tries(pair: ChainPair, counts: np.ndarray) -> Tries:
    """Recursive rejection with replacement; counts: (C,), the children of each class."""
    draft, target = pair.draft_rows, pair.target_rows
    shape = distinct_steps(pair), pair.states**2
    ratios, limits = np.empty(shape), np.empty((shape[0], pair.states, max(counts) - 1, 2))
    rest = _alias_room(len(counts), *shape)
    _pack_recursive(draft, target, counts, ratios, limits, *rest)
    drafts = DraftTable(*(part[None] for part in draft_table(draft, target)))
    return Tries(drafts, ratios, limits[None], rest, _nothing_kept(), counts)


@compiled
def _pack_recursive(draft, target, counts, ratios, limits, entries, lows):
    states = draft.shape[2]
    shares, aliases = np.empty(states), np.empty(states, np.int64)
    stack, weights = np.empty(states, np.int64), np.empty(states)
    for step in range(ratios.shape[0]):
        for x in range(states):
            drafted, goal = draft[step_of(draft, step), x], target[step_of(target, step), x]
            row = slice(x * states, (x + 1) * states)
            fill_ratios(drafted, goal, ratios[step, row])
            reached, spent = 1.0, 0.0
            for m in range(limits.shape[2] + 1):
                if m > 0:
                    limits[step, x, m - 1, 0], limits[step, x, m - 1, 1] = spent, reached
                spent += reached
                reached = 0.0
                for y in range(states):
                    weights[y] = max(goal[y] - drafted[y] * spent, 0.0)
                    reached += weights[y]
                usable(weights, goal)
                for c in range(counts.size):
                    if counts[c] == m + 1:
                        pack_row(weights, entries[c, step, row], lows[c, step, row], shares, aliases, stack)


@compiled
def fill_ratios(drafted, goal, ratios):
    """target/draft, infinite where nothing is drafted."""
    for y in range(drafted.size):
        ratios[y] = goal[y] / drafted[y] if drafted[y] > 0.0 else math.inf


def k_seq_tries(pair: ChainPair, counts: np.ndarray) -> Tries:
    """K-SEQ (Sun et al. 2023, arXiv 2310.15141)."""
    draft, target = pair.draft_rows, pair.target_rows
    shape = distinct_steps(pair), pair.states**2
    rest = _alias_room(len(counts), *shape)
    lowered = np.empty((len(counts), shape[0], pair.states, pair.states))
    _pack_k_seq(draft, target, counts, lowered, *rest)
    parts = [draft_table(draft, rows) for rows in lowered]
    drafts = DraftTable(*(np.stack(each) for each in zip(*parts, strict=True)))
    return Tries(drafts, *_all_the_same(*shape[:1], pair.states), rest, _nothing_kept(), counts)


@compiled
def _pack_k_seq(draft, target, counts, lowered, entries, lows):
    """lowered: target/gamma, against which each try is verified."""
    states = draft.shape[2]
    shares, aliases = np.empty(states), np.empty(states, np.int64)
    stack, weights = np.empty(states, np.int64), np.empty(states)
    for step in range(entries.shape[1]):
        for x in range(states):
            drafted, goal = draft[step_of(draft, step), x], target[step_of(target, step), x]
            row = slice(x * states, (x + 1) * states)
            for c in range(counts.size):
                gamma, beta = gamma_of(drafted, goal, counts[c])
                share = (1.0 - (1.0 - beta) ** counts[c]) / beta if beta > 0.0 else 0.0
                for y in range(states):
                    lowered[c, step, x, y] = goal[y] / gamma
                    weights[y] = max(goal[y] - min(drafted[y], goal[y] / gamma) * share, 0.0)
                usable(weights, goal)
                pack_row(weights, entries[c, step, row], lows[c, step, row], shares, aliases, stack)


@compiled
def gamma_of(drafted, goal, children):
    """(gamma, beta): the smallest gamma in [1, k] with 1 - (1 - beta)^k <= gamma beta, by bisection.

    gamma beta = sum of min(gamma draft, target) rises with gamma, beta falls: the first that holds is the end
    of an interval. beta: sum of min(draft, target/gamma).
    """
    low, high = 1.0, np.float64(children)
    beta = _overlap(drafted, goal, 1.0)
    if 1.0 - (1.0 - beta) ** children <= beta:
        return 1.0, beta
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle <= low or middle >= high:
            break
        beta = _overlap(drafted, goal, middle)
        if 1.0 - (1.0 - beta) ** children <= middle * beta:
            high = middle
        else:
            low = middle
    return high, _overlap(drafted, goal, high)


@compiled
def _overlap(drafted, goal, gamma):
    found = 0.0
    for y in range(drafted.size):
        found += min(drafted[y], goal[y] / gamma)
    return min(found, 1.0)


def greedy_tries(pair: ChainPair, counts: np.ndarray) -> Tries:
    """Greedy drafting: the likeliest tokens, and one try of the rest."""
    steps, states = distinct_steps(pair), pair.states
    kept = np.zeros((len(counts), steps, states * states), np.uint8)
    tables, residuals = [], []
    for c, children in enumerate(counts):
        draft = _rest_of(pair.draft_rows, int(children) - 1, kept[c].reshape(steps, states, states))
        tables.append(draft_table(draft, pair.target_rows))
        residuals.append(residual_table(draft, pair.target_rows))
    drafts = DraftTable(*(np.stack(each) for each in zip(*tables, strict=True)))
    rest = AliasTable(*(np.stack(each) for each in zip(*residuals, strict=True)))
    return Tries(drafts, *_all_the_same(steps, states), rest, kept, np.ones(len(counts), np.int64))


def _rest_of(draft: np.ndarray, top: int, kept: np.ndarray) -> np.ndarray:
    """The draft without its `top` likeliest tokens, normalised; marks these in `kept`, (S, V, V).

    Where they are all that the draft proposes, the draft itself: its tokens are kept whatever happens.
    """
    order = np.argsort(-draft, axis=2, kind="stable")[..., :top]
    marked = np.zeros(draft.shape, bool)
    np.put_along_axis(marked, order, True, axis=2)
    marked &= draft > 0
    kept[:] = marked
    rest = np.where(marked, 0.0, draft)
    whole = rest.sum(axis=2, keepdims=True)
    return np.where(whole > 0, rest / np.where(whole > 0, whole, 1.0), draft)


def _alias_room(classes: int, steps: int, size: int) -> AliasTable:
    return AliasTable(*(np.empty((classes, steps, size), np.uint32) for _ in range(2)))


def _all_the_same(steps: int, states: int) -> tuple[np.ndarray, np.ndarray]:
    """No ratios and limits."""
    return np.zeros((steps, 0)), np.zeros((1, steps, states, 0, 2))


def _nothing_kept() -> np.ndarray:
    return np.zeros((0, 1, 1), np.uint8)
