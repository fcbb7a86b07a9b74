"""Speculative decoding with block verification (Sun et al. 2024, arXiv 2403.10444), compiled.

A window is drafted to its end before anything is decided, and calls of different trajectories end at
different positions. So it is the calls that go position by position together: at each t, those of the
trajectories whose next call starts there. All draft their first token, then their second, .., each time from
one step's rows, which stay in the cache (`drafting`); then the windows are verified from their ends backwards
(`verifying`), and each trajectory waits at the position where its next call starts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.decoders import BlockSpeculative, longest_window
from simlab.decoding.block.calls import begin, count_lanes, count_positions, new_ends, new_lanes, waiting_at
from simlab.decoding.block.drafting import draft_position
from simlab.decoding.block.excess import CELLS, Excess, sorted_rows
from simlab.decoding.block.verifying import (
    begin_verifying,
    count_accepted,
    end_calls,
    verify_position,
)
from simlab.decoding.block.work import new_windows, new_work
from simlab.decoding.core.bits import U
from simlab.decoding.core.calls import check_counted
from simlab.decoding.core.tables import AliasTable, alias_table, initial_table
from simlab.decoding.core.tally import Room, Tally
from simlab.jit import compiled
from simlab.pairs.pair import ChainPair

_LANES, _LEAST_LANES = 2**14, 64
_LANE_POSITIONS = 2**17
"""Positions of all lanes' windows together, 10 bytes each: of long windows fewer run side by side."""


@dataclass(frozen=True, eq=False)
class BlockTables:
    """What the sampler of `BlockSpeculative()` looks up for a horizon of T steps over V states.

    ratios: float64 (S, V * V), target/draft of the token. longest: K, most_drafted: D, as in Counts.
    """

    horizon: int
    states: int
    initial: AliasTable
    draft: AliasTable
    target: AliasTable
    ratios: np.ndarray
    excess: Excess
    longest: int
    most_drafted: int

    @property
    def room(self) -> Room:
        """What is counted beside tokens and rejections."""
        return Room(0, self.horizon + 1, self.most_drafted + 1, self.longest)

    def sample(self, trajectories: int, block: int, state, tally: Tally) -> None:
        """Simulate, adding to `tally`. block, of samplers that go step by step, is of no use here."""
        _sample(
            self.initial,
            (self.draft, self.target),
            self.ratios,
            self.excess,
            self.longest,
            trajectories,
            state,
            tally,
        )


def bytes_per_row(pair: ChainPair, decoder: BlockSpeculative) -> int:
    """What the tables take for each of their S * V rows."""
    return 50 * pair.states + 4 * (CELLS + 1)


def tables(pair: ChainPair, decoder: BlockSpeculative) -> BlockTables:
    """Build the tables. Raises SimlabError where more tokens can be drafted than are counted."""
    most = check_counted(decoder, pair.horizon)
    ratios, excess = sorted_rows(pair)
    return BlockTables(
        pair.horizon,
        pair.states,
        initial_table(pair.initial),
        alias_table(pair.draft_rows),
        alias_table(pair.target_rows),
        ratios,
        excess,
        longest_window(decoder, pair.horizon),
        most,
    )


@compiled
def _sample(initial, distributions, ratios, excess, window, trajectories, state, tally):
    horizon, states = tally.tokens.shape[0], U(tally.tokens.shape[1])
    room = min(max(_LANE_POSITIONS // (window + 1), _LEAST_LANES), _LANES)
    lanes, windows, work, ends = new_lanes(room), new_windows(room, window), new_work(room), new_ends(window)
    for start in range(0, trajectories, room):
        size = U(min(room, trajectories - start))
        begin(initial, size, U(start), state, work.words, lanes, tally)
        for t in range(horizon):
            count, drafted = waiting_at(t, size, lanes, windows), min(window, horizon - 1 - t)
            for i in range(drafted):
                draft_position(distributions[0], ratios, t, i, states, count, state, windows, work)
            begin_verifying(drafted, count, windows)
            for i in range(drafted, 0, -1):
                verify_position(excess, t, i, drafted, states, count, state, windows, work)
                count_accepted(t, i, U(start), windows, tally)
            end_calls(
                distributions[1],
                excess,
                t,
                drafted,
                states,
                count,
                U(start),
                state,
                lanes,
                windows,
                work,
                ends,
                tally,
            )
        count_lanes(size, lanes, tally)
    count_positions(ends, tally)
