"""Distinct children, each drawn from what the others leave of the draft: recursive rejection of them.

What is left of target and draft depends on which tokens were tried and in which order, so that no table holds
it: it is found for each failure, in O(V) a try.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.decoding.core.bits import U0
from simlab.decoding.core.chunks import choose, draft_and_verify
from simlab.decoding.core.tables import DraftTable, draft_table, step_of
from simlab.decoding.many_drafts.work import invert, total, uniform
from simlab.jit import compiled
from simlab.pairs.pair import ChainPair


class Distinct(NamedTuple):
    """drafts: a DraftTable, (S, V * V) each, for the first try. draft, target: float64 (1 or S, V, V).
    children: int64 (C,)."""

    drafts: DraftTable
    draft: np.ndarray
    target: np.ndarray
    children: np.ndarray


def distinct_tries(pair: ChainPair, counts: np.ndarray) -> Distinct:
    """Recursive rejection without replacement; counts: (C,), the children of each class."""
    return Distinct(draft_table(pair.draft_rows, pair.target_rows), pair.draft_rows, pair.target_rows, counts)


@compiled
def draw_distinct(rest, state):
    """A token from the weights `rest`, which loses it; -1 where nothing is left."""
    left = total(rest)
    if left <= 0.0:
        return -1
    y = invert(rest, uniform(state) * left)
    rest[y] = 0.0
    return y


@compiled
def verify_distinct(tables, c, t, count, states, scratch, work, state):
    """As `verify_tries`."""
    drafts = tables.drafts
    step = step_of(drafts.records, t)
    rows = DraftTable(drafts.records[step], drafts.lows[step], drafts.acceptance_lows[step])
    draft, target = tables.draft[step_of(tables.draft, t)], tables.target[step_of(tables.target, t)]
    draft_and_verify(rows, work.origins, U0, states, count, scratch, state)
    failed = choose(scratch.rejected, count, work.open)
    for j in range(failed):
        i = work.open[j]
        x = work.origins[i]
        token, rejected = go_on(
            draft[x], target[x], np.int64(scratch.tokens[i]), tables.children[c], work.goal, work.rest, state
        )
        scratch.tokens[i], scratch.rejected[i] = np.uint16(token), np.uint16(rejected)


@compiled
def go_on(draft, target, failed, children, goal, rest, state):
    """(token, rejected) behind the first child, `failed`, which was rejected.

    goal / whole is the residual that stands in the target's place, rest / left what the draft is by now.
    """
    rest[:] = draft
    goal[:] = target
    whole = left = 1.0
    for m in range(1, children + 1):
        whole = _lose(goal, whole, rest, left, target)
        rest[failed] = 0.0
        left = total(rest)
        if m == children or left <= 0.0:
            break
        y = invert(rest, uniform(state) * left)
        if uniform(state) * rest[y] * whole < goal[y] * left:
            return y, False
        failed = y
    return invert(goal, uniform(state) * whole), True


@compiled
def _lose(goal, whole, rest, left, target):
    """goal / whole becomes [goal / whole - rest / left]_+; returns the new whole. The target stands in where
    nothing is left, which only rounding can reach."""
    found = 0.0
    for z in range(goal.size):
        goal[z] = max(goal[z] - rest[z] * (whole / left), 0.0)
        found += goal[z]
    if found <= 0.0:
        goal[:] = target
        found = total(target)
    return found
