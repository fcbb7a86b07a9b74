"""Speculative decoding whose window has a memory, compiled: any rule that is an automaton.

Step by step as in `windows`. Beside its running call each trajectory carries the state of its rule, which
says how many tokens a call drafts that begins, and which the end of the call moves to the next state.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.decoders import Remembering, longest_window
from simlab.decoders.memory import memory_of
from simlab.decoding.core.bits import U
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
    draft_and_verify,
    new_scratch,
    replace,
)
from simlab.decoding.core.tables import (
    AliasTable,
    DraftTable,
    alias_table,
    draft_table,
    initial_table,
    residual_table,
    step_of,
)
from simlab.decoding.core.tally import Room, Tally, count_block, first_tokens, new_block, note
from simlab.jit import compiled
from simlab.pairs.pair import ChainPair
from simlab.pairs.size import PairSize


@dataclass(frozen=True, eq=False)
class MemoryTables:
    """What the sampler of a window with a memory looks up for a horizon of T steps over V states.

    windows: uint16 (S,), by state of the rule, at most T. after: uint16 (S, A + 1), as in
    `simlab.decoders.memory.Memory`. longest: K, most_drafted: D, as in Counts.
    """

    horizon: int
    states: int
    initial: AliasTable
    drafts: DraftTable
    residual: AliasTable
    target: AliasTable
    windows: np.ndarray
    after: np.ndarray
    longest: int
    most_drafted: int

    @property
    def room(self) -> Room:
        """What is counted beside tokens and rejections."""
        return Room(0, self.horizon + 1, self.most_drafted + 1, self.longest)

    def sample(self, trajectories: int, block: int, state, tally: Tally) -> None:
        """Simulate, adding to `tally`."""
        rule = self.windows, self.after
        spare = self.residual, self.target
        _sample(self.initial, self.drafts, spare, rule, U(trajectories), U(block), state, tally)


def bytes_per_row(size: PairSize, decoder: Remembering) -> int:
    """What the tables take for each of their S * V rows."""
    return 32 * size.states


def tables(pair: ChainPair, decoder: Remembering) -> MemoryTables:
    """Build the tables. Raises SimlabError for a rule with too many states, and where more tokens can be
    drafted than are counted."""
    memory = memory_of(decoder, pair.horizon)
    return MemoryTables(
        pair.horizon,
        pair.states,
        initial_table(pair.initial),
        draft_table(pair.draft_rows, pair.target_rows),
        residual_table(pair.draft_rows, pair.target_rows),
        alias_table(pair.target_rows),
        np.minimum(memory.windows, pair.horizon).astype(np.uint16),
        memory.after.astype(np.uint16),
        longest_window(decoder, pair.horizon),
        check_counted(decoder, pair.horizon),
    )


@compiled
def _sample(initial, drafts, spare, rule, trajectories, block, state, tally):
    scratch, running = new_scratch(), new_block(block, tally)
    calls, positions = new_calls(block), new_positions(tally.drafted_by_position.size)
    remembered = np.zeros(block, np.uint16)
    last, states = running.last, U(tally.tokens.shape[1])
    horizon = tally.tokens.shape[0]
    for start in range(U(0), trajectories, block):
        size = min(block, trajectories - start)
        first_tokens(initial, size, start, scratch, state, running, tally)
        calls.accepted[:], calls.number[:], calls.drafted[:], remembered[:] = 0, 0, 0, 0
        for t in range(horizon):
            limits = np.minimum(rule[0], np.uint16(horizon - 1 - t))
            step = step_of(drafts.records, t)
            rows = DraftTable(drafts.records[step], drafts.lows[step], drafts.acceptance_lows[step])
            step = step_of(spare[0].entries, t)
            residual = AliasTable(spare[0].entries[step], spare[0].lows[step])
            step = step_of(spare[1].entries, t)
            target = AliasTable(spare[1].entries[step], spare[1].lows[step])
            for begin in range(U(0), size, U(CHUNK)):
                count = min(U(CHUNK), size - begin)
                begin_calls(limits, remembered, begin, count, calls)
                draft_and_verify(rows, last, begin, states, count, scratch, state)
                count_begun(limits, begin, count, calls, positions)
                take_bonus(begin, count, calls, scratch)
                failed = choose(scratch.rejected, count, scratch.chosen)
                replace(residual, last, begin, states, failed, scratch, state)
                taken = choose(calls.bonus, count, scratch.chosen)
                replace(target, last, begin, states, taken, scratch, state)
                count_positions(calls.accepted[begin:], calls.verified, count, positions.reached)
                count_positions(calls.accepted[begin:], scratch.rejected, count, positions.rejected)
                remember(rule[1], remembered, begin, count, calls, scratch)
                end_calls(begin, count, True, calls, scratch)
                note(scratch, begin, count, start, t, running, tally)
                tally.per_position[t] += failed
                advance(last, begin, scratch.tokens, count, running.histogram)
            collect(running.histogram, tally.tokens[t])
        count_block(size, running, tally)
        count_calls(size, calls, tally)
    finish_positions(positions, True, tally)


@compiled
def remember(after, remembered, begin, count, calls, scratch):
    """Move the rules of the calls that end here on, by how many drafted tokens were accepted."""
    accepted, bonus, rejected = calls.accepted[begin:], calls.bonus, scratch.rejected
    for i in range(count):
        if rejected[i] | bonus[i]:
            remembered[begin + i] = after[remembered[begin + i], accepted[i]]
