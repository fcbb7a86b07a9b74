"""Speculative decoding (Yin et al. 2024, Algorithms 1 and 2), compiled.

The look-ahead reaches the horizon and drafting is free, so "draft everything, verify in order, restart after
a rejection" is step by step: draft one token, verify it, replace it if rejected. A drafted token behind a
rejection is never looked at and is not drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

from simlab.decoders import Speculative
from simlab.decoding.core.bits import U
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
class SpeculativeTables:
    """What the sampler of `Speculative()` looks up for a horizon of T steps over V states."""

    horizon: int
    states: int
    initial: AliasTable
    drafts: DraftTable
    residual: AliasTable

    @property
    def room(self) -> Room:
        """What is counted beside tokens and rejections."""
        return Room()

    def sample(self, trajectories: int, block: int, state, tally: Tally) -> None:
        """Simulate, adding to `tally`."""
        _sample(self.initial, self.drafts, self.residual, U(trajectories), U(block), state, tally)


def bytes_per_row(size: PairSize, decoder: Speculative) -> int:
    """What the tables take for each of their S * V rows."""
    return 24 * size.states


def tables(pair: ChainPair, decoder: Speculative) -> SpeculativeTables:
    """Build the tables."""
    return SpeculativeTables(
        pair.horizon,
        pair.states,
        initial_table(pair.initial),
        draft_table(pair.draft_rows, pair.target_rows),
        residual_table(pair.draft_rows, pair.target_rows),
    )


@compiled
def _sample(initial, drafts, residual, trajectories, block, state, tally):
    scratch = new_scratch()
    running = new_block(block, tally)
    last = running.last
    states = U(tally.tokens.shape[1])
    for start in range(U(0), trajectories, block):
        size = min(block, trajectories - start)
        first_tokens(initial, size, start, scratch, state, running, tally)
        for t in range(tally.tokens.shape[0]):
            step = step_of(drafts.records, t)
            draft = DraftTable(drafts.records[step], drafts.lows[step], drafts.acceptance_lows[step])
            step = step_of(residual.entries, t)
            spare = AliasTable(residual.entries[step], residual.lows[step])
            for begin in range(U(0), size, U(CHUNK)):
                count = min(U(CHUNK), size - begin)
                draft_and_verify(draft, last, begin, states, count, scratch, state)
                failed = choose(scratch.rejected, count, scratch.chosen)
                replace(spare, last, begin, states, failed, scratch, state)
                note(scratch, begin, count, start, t, running, tally)
                tally.per_position[t] += failed
                advance(last, begin, scratch.tokens, count, running.histogram)
            collect(running.histogram, tally.tokens[t])
        count_block(size, running, tally)
