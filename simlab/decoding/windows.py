"""Speculative decoding with finite windows, fixed, adaptive or stopped by the draft's doubt, compiled.

Drafting g tokens, verifying them in order and starting over is step by step: draft one token, verify it,
replace it if rejected, as in `speculative`. Beside it each trajectory carries how many tokens of its call are
accepted and how many the call drafts. With the bonus token, where all of them are accepted, the next token
comes from the target. A drafted token behind a rejection is never looked at and is not drawn, except where
the draft's own tokens decide how many are drafted: there the draft goes on from the rejected token, blind to
the rejection, until its rule stops it.

The drafts and coins of a step are made for all trajectories, those that take the bonus token included: their
random numbers are thrown away, and the bonus token is drawn with fresh ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from simlab.checks import shortened
from simlab.decoders import (
    AdaptiveSpeculative,
    ConfidenceSpeculative,
    Speculative,
    longest_window,
)
from simlab.decoders.settings import LOG_STEP, SAME
from simlab.decoding.core.bits import U1, U3, YES, U
from simlab.decoding.core.calls import (
    begin_calls,
    check_counted,
    count_begun,
    count_calls,
    count_positions,
    end_calls,
    finish_positions,
    new_calls,
    new_positions,
    take_bonus,
)
from simlab.decoding.core.chunks import (
    CHUNK,
    advance,
    choose,
    collect,
    draft,
    draft_and_verify,
    new_scratch,
    padded,
    replace,
)
from simlab.decoding.core.tables import (
    AliasTable,
    DraftTable,
    alias_table,
    check_memory,
    draft_table,
    initial_table,
    residual_table,
    step_of,
)
from simlab.decoding.core.tally import Room, Tally, count_block, first_tokens, new_block, note
from simlab.errors import SimlabError
from simlab.jit import compiled
from simlab.pairs.pair import ChainPair
from simlab.pairs.size import PairSize

Decoder = Speculative | AdaptiveSpeculative | ConfidenceSpeculative


class Ghosts(NamedTuple):
    """The calls of a chunk whose draft goes on behind a rejection: CHUNK elements each."""

    owners: np.ndarray  # uint64: positions of their trajectories in the block
    positions: np.ndarray  # uint64: tokens drafted so far
    tokens: np.ndarray  # uint16: the last of them
    drawn: np.ndarray  # uint16: the next of them


@dataclass(frozen=True, eq=False)
class WindowTables:
    """What the sampler of a decoder with a window looks up for a horizon of T steps over V states.

    target: empty where there is no bonus token. limits: uint16 (T, V), or (T, 1) where the last token does
    not matter: how many tokens a call that starts there drafts at most. doubts: uint16 (1 or T, V), what a
    row adds to the doubt of its call; (0, V) where drafting never stops. doubt_limit: drafting goes on up to
    this doubt. bonus: whether there is a bonus token. longest: K, most_drafted: D, as in Counts.
    """

    horizon: int
    states: int
    initial: AliasTable
    drafts: DraftTable
    residual: AliasTable
    target: AliasTable
    limits: np.ndarray
    doubts: np.ndarray
    doubt_limit: int
    bonus: bool
    longest: int
    most_drafted: int

    @property
    def room(self) -> Room:
        """What is counted beside tokens and rejections."""
        return Room(0, self.horizon + 1, self.most_drafted + 1, self.longest)

    def sample(self, trajectories: int, block: int, state, tally: Tally) -> None:
        """Simulate, adding to `tally`."""
        _sample(
            self.initial,
            self.drafts,
            (self.residual, self.target),
            (self.limits, self.doubts, np.uint32(self.doubt_limit)),
            self.bonus,
            U(trajectories),
            U(block),
            state,
            tally,
        )


def bytes_per_row(size: PairSize, decoder: Decoder) -> int:
    """What the tables take for each of their S * V rows, but for the limits."""
    return (32 if decoder.has_bonus else 24) * size.states


def tables(pair: ChainPair, decoder: Decoder) -> WindowTables:
    """Build the tables. Raises SimlabError for a policy that does not fit the pair, and where more tokens
    can be drafted than are counted."""
    bonus, longest = decoder.has_bonus, longest_window(decoder, pair.horizon)
    limits = window_limits(pair, decoder)
    none = np.zeros((1, 0), np.uint32)
    return WindowTables(
        pair.horizon,
        pair.states,
        initial_table(pair.initial),
        draft_table(pair.draft_rows, pair.target_rows),
        residual_table(pair.draft_rows, pair.target_rows),
        alias_table(pair.target_rows) if bonus else AliasTable(none, none),
        limits,
        doubts_of(pair, decoder),
        getattr(decoder, "log_limit", None) or 0,
        bonus,
        longest,
        check_counted(decoder, pair.horizon),
    )


def window_limits(pair: ChainPair, decoder: Decoder) -> np.ndarray:
    """How many tokens a call drafts at most, by position and last token: uint16 (T, V) or (T, 1)."""
    match decoder:
        case AdaptiveSpeculative(policy=policy):
            policy.check_fits(pair.horizon, pair.states)
            check_memory(10 * policy.windows.size)
            limits = policy.windows
        case Speculative() | ConfidenceSpeculative():
            limits = longest_window(decoder, pair.horizon)
        case _:
            raise SimlabError(f"no sampler for {shortened(decoder)}")
    left = np.arange(pair.horizon, 0, -1)[:, None] - decoder.has_bonus
    return np.minimum(limits, left).astype(np.uint16)


def doubts_of(pair: ChainPair, decoder: Decoder) -> np.ndarray:
    """What each of the draft's rows adds to the doubt of a call, uint16 (1 or T, V): 1 for a row of which the
    rule is unsure, or for `cumulative` the logarithm of its largest probability, negative, in its steps.

    (0, V) where drafting never stops: then the window alone says how many tokens a call drafts.
    """
    rows = pair.draft_rows
    never = np.zeros((0, pair.states), np.uint16)
    if not isinstance(decoder, ConfidenceSpeculative):
        return never
    match decoder.signal:
        case "confidence":
            doubts, limit = rows.max(axis=-1) < decoder.threshold, 0
        case "entropy":
            terms = rows * np.log(np.where(rows > 0, rows, 1.0))
            doubts, limit = np.sqrt(np.maximum(-terms.sum(axis=-1), 0.0)) > decoder.threshold + SAME, 0
        case "cumulative":
            doubts, limit = np.rint(-np.log(rows.max(axis=-1)) / LOG_STEP), decoder.log_limit
        case _:
            raise SimlabError(f"no sampler for {shortened(decoder)}")
    stops = limit is not None and doubts.max() * longest_window(decoder, pair.horizon) > limit
    return doubts.astype(np.uint16) if stops else never


@compiled
def _sample(initial, drafts, spare, rules, bonus, trajectories, block, state, tally):
    scratch, running = new_scratch(), new_block(block, tally)
    calls, positions, ghosts = new_calls(block), new_positions(tally.drafted_by_position.size), new_ghosts()
    levels = np.zeros(block, np.uint32)  # the doubt of each running call
    last, states = running.last, U(tally.tokens.shape[1])
    for start in range(U(0), trajectories, block):
        size = min(block, trajectories - start)
        first_tokens(initial, size, start, scratch, state, running, tally)
        calls.accepted[:], calls.number[:], calls.drafted[:] = 0, 0, 0
        for t in range(tally.tokens.shape[0]):
            step = step_of(drafts.records, t)
            rows = DraftTable(drafts.records[step], drafts.lows[step], drafts.acceptance_lows[step])
            step = step_of(spare[0].entries, t)
            residual = AliasTable(spare[0].entries[step], spare[0].lows[step])
            step = step_of(spare[1].entries, t)
            target = AliasTable(spare[1].entries[step], spare[1].lows[step])
            for begin in range(U(0), size, U(CHUNK)):
                count = min(U(CHUNK), size - begin)
                begin_calls(rules[0][t], last, begin, count, calls)
                draft_and_verify(rows, last, begin, states, count, scratch, state)
                if rules[1].shape[0] > 0:
                    add_doubt(rules[1][step_of(rules[1], t)], last, begin, count, calls, levels)
                    doubt(rules[2], levels, begin, count, calls, scratch)
                else:
                    count_begun(rules[0][t], begin, count, calls, positions)
                    if bonus:
                        take_bonus(begin, count, calls, scratch)
                failed = choose(scratch.rejected, count, scratch.chosen)
                if rules[1].shape[0] > 0:
                    draft_on(
                        drafts,
                        rules,
                        t,
                        begin,
                        failed,
                        states,
                        ghosts,
                        scratch,
                        state,
                        calls,
                        positions,
                        levels,
                    )
                replace(residual, last, begin, states, failed, scratch, state)
                if bonus:
                    taken = choose(calls.bonus, count, scratch.chosen)
                    replace(target, last, begin, states, taken, scratch, state)
                count_positions(calls.accepted[begin:], calls.verified, count, positions.reached)
                count_positions(calls.accepted[begin:], scratch.rejected, count, positions.rejected)
                end_calls(begin, count, bonus, calls, scratch)
                note(scratch, begin, count, start, t, running, tally)
                tally.per_position[t] += failed
                advance(last, begin, scratch.tokens, count, running.histogram)
            collect(running.histogram, tally.tokens[t])
        count_block(size, running, tally)
        count_calls(size, calls, tally)
    finish_positions(positions, rules[1].shape[0] == 0, tally)


@compiled
def add_doubt(doubts, last, begin, count, calls, levels):
    """Add the doubt of this step's rows to that of each running call; a call begins with none."""
    begun, level = calls.begun, levels[begin:]
    for i in range(count):
        kept = np.uint32(begun[i]) - np.uint32(1)  # all bits, or none where the call begins
        level[i] = np.uint32(np.uint32(level[i] & kept) + np.uint32(doubts[last[begin + i]]))


@compiled
def doubt(limit, levels, begin, count, calls, scratch):
    """`take_bonus` where the doubt is too large too; and each drafted token is counted as it is verified."""
    stops, bonus, verified, rejected = calls.begun, calls.bonus, calls.verified, scratch.rejected
    for i in range(count):
        stops[i] = np.uint16(levels[begin + i] > limit)
    take_bonus(begin, count, calls, scratch)
    for i in range(count):
        bonus[i] = np.uint16(bonus[i] | stops[i])
    for i in range(count):
        verified[i] = np.uint16(YES - bonus[i])
    for i in range(count):
        rejected[i] = np.uint16(rejected[i] & verified[i])
    drafted = calls.drafted[begin:]
    for i in range(count):
        drafted[i] += np.uint32(verified[i])


@compiled
def new_ghosts():
    """Room for the calls of a chunk that draft behind a rejection."""
    return Ghosts(
        np.zeros(CHUNK, np.uint64),
        np.zeros(CHUNK, np.uint64),
        np.zeros(CHUNK, np.uint16),
        np.zeros(CHUNK, np.uint16),
    )


@compiled
def draft_on(drafts, rules, time, begin, failed, states, ghosts, scratch, state, calls, positions, levels):
    """Let the draft go on from its rejected tokens, those of the first `failed` chosen, until it stops."""
    horizon, doubts, limit = rules[0].shape[0], rules[1], rules[2]
    owners, nexts, tokens, drawn = ghosts.owners, ghosts.positions, ghosts.tokens, ghosts.drawn
    for j in range(failed):
        owner = begin + U(scratch.chosen[j])
        owners[j], nexts[j] = owner, U(calls.accepted[owner]) + U1
        drawn[j] = scratch.tokens[scratch.chosen[j]]
    running = failed
    for t in range(time + 1, horizon):
        added = doubts[step_of(doubts, t)]
        alive = U(0)
        for j in range(running):
            owner, position, token = owners[j], nexts[j], drawn[j]
            # Whether it goes on cannot be foretold: without a branch.
            levels[owner] += np.uint32(added[token])
            on = U(position < U(calls.goal[owner])) & U(levels[owner] <= limit)
            calls.drafted[owner] += np.uint32(on)
            positions.further[U(j) & U3, position] += np.int64(on)
            owners[alive], nexts[alive], tokens[alive] = owner, position + U1, token
            alive += on
        running = alive
        if running == 0:
            break
        for j in range(running, padded(running)):
            tokens[j] = np.uint16(0)
        step = step_of(drafts.records, t)
        rows = DraftTable(drafts.records[step], drafts.lows[step], drafts.acceptance_lows[step])
        draft(rows, tokens, states, running, scratch, state, drawn)
