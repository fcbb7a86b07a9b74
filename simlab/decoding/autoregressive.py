"""Autoregressive decoding, compiled: every token is drawn from the target."""

from __future__ import annotations

from dataclasses import dataclass

from simlab.decoders import Autoregressive
from simlab.decoding.core.bits import U
from simlab.decoding.core.chunks import CHUNK, advance, collect, draw, new_scratch
from simlab.decoding.core.tables import AliasTable, alias_table, initial_table, step_of
from simlab.decoding.core.tally import Room, Tally, count_block, first_tokens, new_block, note
from simlab.jit import compiled
from simlab.pairs.pair import ChainPair
from simlab.pairs.size import PairSize


@dataclass(frozen=True, eq=False)
class AutoregressiveTables:
    """What the sampler of `Autoregressive()` looks up for a horizon of T steps over V states."""

    horizon: int
    states: int
    initial: AliasTable
    target: AliasTable

    @property
    def room(self) -> Room:
        """What is counted beside tokens and rejections."""
        return Room()

    def sample(self, trajectories: int, block: int, state, tally: Tally) -> None:
        """Simulate, adding to `tally`."""
        _sample(self.initial, self.target, U(trajectories), U(block), state, tally)


def bytes_per_row(size: PairSize, decoder: Autoregressive) -> int:
    """What the tables take for each of their S * V rows."""
    return 8 * size.states


def tables(pair: ChainPair, decoder: Autoregressive) -> AutoregressiveTables:
    """Build the tables."""
    return AutoregressiveTables(
        pair.horizon, pair.states, initial_table(pair.initial), alias_table(pair.target_rows)
    )


@compiled
def _sample(initial, target, trajectories, block, state, tally):
    scratch = new_scratch()
    scratch.rejected[:] = 0
    running = new_block(block, tally)
    last = running.last
    states = U(tally.tokens.shape[1])
    for start in range(U(0), trajectories, block):
        size = min(block, trajectories - start)
        first_tokens(initial, size, start, scratch, state, running, tally)
        for t in range(tally.tokens.shape[0]):
            step = step_of(target.entries, t)
            rows = AliasTable(target.entries[step], target.lows[step])
            for begin in range(U(0), size, U(CHUNK)):
                count = min(U(CHUNK), size - begin)
                draw(rows, last[begin:], states, count, scratch, state, scratch.tokens)
                note(scratch, begin, count, start, t, running, tally)
                advance(last, begin, scratch.tokens, count, running.histogram)
            collect(running.histogram, tally.tokens[t])
        count_block(size, running, tally)
