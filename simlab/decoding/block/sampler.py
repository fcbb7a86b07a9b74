"""Speculative decoding with block verification (Sun et al. 2024, arXiv 2403.10444), compiled.

A window is drafted to its end before anything is decided, and calls of different trajectories end at
different positions. So it is the calls that go position by position together: at each t, those of the
trajectories whose next call starts there. All draft their first token, then their second, .., each time from
one step's rows, which stay in the cache (`drafting`); then the windows are verified from their ends backwards
(`verifying`), the tokens behind the accepted ones are drawn (`ending`), and each trajectory waits at the
position where its next call starts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.decoders import BlockSpeculative, longest_window
from simlab.decoding.block.calls import begin, count_lanes, count_positions, new_ends, new_lanes, waiting_at
from simlab.decoding.block.chances import bounded_chances, cells_of, read_only
from simlab.decoding.block.drafting import draft_position
from simlab.decoding.block.ending import end_calls, write_down
from simlab.decoding.block.verifying import begin_verifying, count_accepted, end_verifying, verify_position
from simlab.decoding.block.work import new_windows, new_work
from simlab.decoding.core.bits import U
from simlab.decoding.core.calls import check_counted
from simlab.decoding.core.chunks import new_scratch
from simlab.decoding.core.tables import AliasTable, alias_table, initial_table, residual_table
from simlab.decoding.core.tally import Room, Tally
from simlab.jit import compiled
from simlab.pairs.pair import ChainPair

_LANES, _LEAST_LANES = 2**14, 64
_LANE_POSITIONS = 2**17
"""Positions of all lanes' windows together, 10 bytes each: of long windows fewer run side by side."""


@dataclass(frozen=True, eq=False)
class BlockTables:
    """What the sampler of `BlockSpeculative()` looks up for a horizon of T steps over V states.

    residual: [target - draft]_+. ratios: float64 (S, V * V), target/draft of the token, inf where only the
    target has mass, 0 where it has none. bounds, distances: of `bounded_chances`. rows: draft and target,
    float64 (1 or T, V, V), for what is rare. longest: K, most_drafted: D, as in Counts.
    """

    horizon: int
    states: int
    initial: AliasTable
    draft: AliasTable
    target: AliasTable
    residual: AliasTable
    ratios: np.ndarray
    bounds: np.ndarray
    distances: np.ndarray
    rows: tuple[np.ndarray, np.ndarray]
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
            self.draft,
            (self.target, self.residual, self.ratios, self.distances, self.rows),
            self.bounds,
            self.longest,
            trajectories,
            state,
            tally,
        )


def bytes_per_row(pair: ChainPair, decoder: BlockSpeculative) -> int:
    """What the tables take for each of their S * V rows."""
    return 32 * pair.states + 4 * cells_of(pair.states) + 12


def tables(pair: ChainPair, decoder: BlockSpeculative) -> BlockTables:
    """Build the tables. Raises SimlabError where more tokens can be drafted than are counted."""
    most = check_counted(decoder, pair.horizon)
    draft, target = read_only(pair.draft_rows), read_only(pair.target_rows)
    bounds, distances = bounded_chances(draft, target)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratios = np.divide(target, draft)
    ratios[np.broadcast_to(target, ratios.shape) == 0] = 0.0  # not 0/0
    return BlockTables(
        pair.horizon,
        pair.states,
        initial_table(pair.initial),
        alias_table(draft),
        alias_table(target),
        residual_table(draft, target),
        ratios.reshape(len(ratios), -1),
        bounds,
        distances,
        (draft, target),
        longest_window(decoder, pair.horizon),
        most,
    )


@compiled
def _sample(initial, draft, tables, bounds, window, trajectories, state, tally):
    horizon, states, rows = tally.tokens.shape[0], U(tally.tokens.shape[1]), tables[4]
    room = min(max(_LANE_POSITIONS // (window + 1), _LEAST_LANES), _LANES)
    lanes, windows, ends = new_lanes(room), new_windows(room, window), new_ends(window)
    scratch, work = new_scratch(), new_work(room)
    for start in range(0, trajectories, room):
        size, first = U(min(room, trajectories - start)), U(start)
        begin(initial, size, first, state, scratch, lanes, tally)
        for t in range(horizon):
            count, drafted = waiting_at(t, size, lanes, windows), min(window, horizon - 1 - t)
            for i in range(drafted):
                draft_position(draft, tables[2], t, i, states, count, state, windows, scratch, work)
            begin_verifying(drafted, count, windows)
            for i in range(drafted, 0, -1):
                verify_position(rows, bounds, t, i, drafted, states, count, state, windows, scratch, work)
                count_accepted(t, i, first, windows, tally)
            end_verifying(count, windows)
            end_calls(tables, t, drafted, states, count, state, windows, scratch, work)
            write_down(t, drafted, count, first, lanes, ends, windows, tally)
        count_lanes(size, lanes, tally)
    count_positions(ends, tally)
