"""Speculative decoding with any rule of acceptance: the tables of a rule for the compiled samplers.

A draft table takes any acceptance, and what replaces a rejected token any rows: so a rule needs no loops of
its own. To the horizon those of `biased` run, which also weigh how far the output strays from the target;
with windows or the bonus token those of `windows`.

A rejected token is never looked at again, so what replaces it is drawn from the mixture, over all tokens that
may have been rejected, of their replacements: the same distribution of tokens and rejections as with one row
for each rejected token, from tables that are smaller by a factor of V.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from simlab.decoders import RuleSpeculative, RuleTables, Speculative
from simlab.decoding import windows
from simlab.decoding.biased import BiasedTables
from simlab.decoding.core.alias import acceptance_threshold, pack_row
from simlab.decoding.core.bits import LOW32, U16, U32
from simlab.decoding.core.tables import (
    AliasTable,
    DraftTable,
    alias_table,
    initial_table,
    step_of,
    usable,
)
from simlab.jit import compiled
from simlab.pairs.pair import ChainPair
from simlab.pairs.size import PairSize


def bytes_per_row(size: PairSize, decoder: RuleSpeculative) -> int:
    """What the tables take for each of their S * V rows, those of the rule included while it is asked."""
    by_rejected = getattr(getattr(decoder.rule, "replacement", None), "ndim", 3) == 4
    return (112 + (8 * size.states if by_rejected else 0)) * size.states


def tables(pair: ChainPair, decoder: RuleSpeculative) -> BiasedTables | windows.WindowTables:
    """Build the tables. The rule comes as tables of this pair; raises SimlabError where more tokens can be
    drafted than are counted."""
    rule = decoder.rule
    drafts = _draft_table(rule)
    replacement = _replacement_table(rule, pair.target_rows)
    if decoder.window is None and not decoder.bonus:
        ratios, initial = _ratios(rule, pair.target_rows), initial_table(pair.initial)
        return BiasedTables(pair.horizon, pair.states, initial, drafts, replacement, ratios)
    calls = windows.tables(pair, Speculative(decoder.window, decoder.bonus))
    return dataclasses.replace(calls, drafts=drafts, residual=replacement)


def _draft_table(rule: RuleTables) -> DraftTable:
    steps, states = rule.accept.shape[:2]
    shape = (steps, states * states)
    table = DraftTable(np.empty(shape, np.uint64), np.empty(shape, np.uint32), np.empty(shape, np.uint32))
    halves = table.records.view(np.uint32)
    _pack_drafts(rule.proposed, rule.accept, halves, table.lows, table.acceptance_lows)
    return table


@compiled
def _pack_drafts(proposed, accept, halves, lows, acceptance_lows):
    """As `core.tables` packs drafts, of acceptances that are given."""
    states = proposed.shape[2]
    shares, aliases = np.empty(states), np.empty(states, np.int64)
    stack, needed = np.empty(states, np.int64), np.empty(states, np.uint64)
    entries = np.empty(states, np.uint32)
    for step in range(lows.shape[0]):
        for x in range(states):
            row = slice(x * states, (x + 1) * states)
            pack_row(proposed[step, x], entries, lows[step, row], shares, aliases, stack)
            for y in range(states):
                needed[y] = acceptance_threshold(accept[step, x, y], 1.0)
                acceptance_lows[step, row][y] = np.uint32(needed[y] & LOW32)
            for y in range(states):
                bars = ((needed[aliases[y]] >> U32) << U16) | (needed[y] >> U32)
                halves[step, 2 * (x * states + y)] = entries[y]
                halves[step, 2 * (x * states + y) + 1] = np.uint32(bars)


def _replacement_table(rule: RuleTables, target: np.ndarray) -> AliasTable:
    """The rows that a rejected token is replaced from; the target where none can be rejected."""
    rows = np.array(rule.replaced)
    _fill_usable(rows, target)
    return alias_table(rows)


@compiled
def _fill_usable(rows, target):
    for step in range(rows.shape[0]):
        for x in range(rows.shape[1]):
            usable(rows[step, x], target[step_of(target, step), x])


def _ratios(rule: RuleTables, target: np.ndarray) -> np.ndarray:
    """target/output of each token, float64 (S, V * V); (1, 0) where they are one up to rounding."""
    output = rule.proposed * rule.accept + rule.replaced
    goal = np.broadcast_to(target, np.broadcast_shapes(target.shape, output.shape))
    output = np.broadcast_to(output, goal.shape)
    if np.abs(output - goal).max() <= 8 * rule.accept.shape[1] * np.finfo(float).eps:
        return np.ones((1, 0))
    with np.errstate(over="ignore"):
        ratios = np.divide(goal, output, out=np.ones(goal.shape), where=output > 0)
    return np.ascontiguousarray(ratios.reshape(len(goal), -1))
