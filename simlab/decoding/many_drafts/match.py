"""Sampler match: the target draws, and its token is accepted where it is one of the children."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.decoding.core.bits import U0, U
from simlab.decoding.core.chunks import draft, draw
from simlab.decoding.core.tables import AliasTable, DraftTable, alias_table, draft_table, step_of
from simlab.decoding.many_drafts.distinct import draw_distinct
from simlab.jit import compiled
from simlab.pairs.pair import ChainPair


class Matching(NamedTuple):
    """target: what the tokens are drawn from, drafts: what independent children are; (1 or S, V * V) each.
    children: int64 (C,)."""

    target: AliasTable
    drafts: DraftTable
    children: np.ndarray


class DistinctMatching(NamedTuple):
    """target: as above. draft: float64 (1 or S, V, V), what distinct children are drawn from. children:
    int64 (C,)."""

    target: AliasTable
    draft: np.ndarray
    children: np.ndarray


def matching(pair: ChainPair, counts: np.ndarray) -> Matching:
    """Independent children."""
    return Matching(alias_table(pair.target_rows), draft_table(pair.draft_rows, pair.draft_rows), counts)


def distinct_matching(pair: ChainPair, counts: np.ndarray) -> DistinctMatching:
    """Distinct children."""
    return DistinctMatching(alias_table(pair.target_rows), pair.draft_rows, counts)


@compiled
def verify_matching(tables, c, t, count, states, scratch, work, state):
    """As `verify_tries`."""
    step = step_of(tables.target.entries, t)
    target = AliasTable(tables.target.entries[step], tables.target.lows[step])
    step = step_of(tables.drafts.records, t)
    drafts = tables.drafts
    rows = DraftTable(drafts.records[step], drafts.lows[step], drafts.acceptance_lows[step])
    draw(target, work.origins, states, count, scratch, state, scratch.tokens)
    still = U(count)
    for i in range(count):
        work.open[i] = np.uint32(i)
        scratch.rejected[i] = np.uint16(1)
    for _ in range(tables.children[c]):
        if still == U0:
            break
        for j in range(still):
            scratch.origins[j] = work.origins[work.open[j]]
        for j in range(still, scratch.origins.size):
            scratch.origins[j] = np.uint16(0)
        draft(rows, scratch.origins, states, still, scratch, state, work.drawn)
        others = U0
        for j in range(still):
            i = work.open[j]
            differs = work.drawn[j] != scratch.tokens[i]
            scratch.rejected[i] = np.uint16(differs)
            work.open[others] = i
            others += U(differs)
        still = others


@compiled
def verify_distinct_matching(tables, c, t, count, states, scratch, work, state):
    """As `verify_tries`."""
    step = step_of(tables.target.entries, t)
    target = AliasTable(tables.target.entries[step], tables.target.lows[step])
    draft_rows = tables.draft[step_of(tables.draft, t)]
    draw(target, work.origins, states, count, scratch, state, scratch.tokens)
    for i in range(count):
        work.rest[:] = draft_rows[work.origins[i]]
        scratch.rejected[i] = np.uint16(1)
        for _ in range(tables.children[c]):
            y = draw_distinct(work.rest, state)
            if y < 0:
                break
            if y == scratch.tokens[i]:
                scratch.rejected[i] = np.uint16(0)
                break
