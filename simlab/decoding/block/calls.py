"""Trajectories that run side by side, and their calls by what they drafted and accepted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.decoding.block.drafting import token_of
from simlab.decoding.core.bits import U
from simlab.decoding.core.randomness import fill
from simlab.jit import compiled


class Lanes(NamedTuple):
    """Trajectories that run side by side, L of them: what each has so far, uint16 (L,), drafted uint32 (L,).

    last: its last token. time: the position where its next call starts.
    """

    last: np.ndarray
    time: np.ndarray
    rejections: np.ndarray
    calls: np.ndarray
    drafted: np.ndarray


class Ends(NamedTuple):
    """Calls by what they drafted, accepted, and accepted where that was all: int64 (K + 1,) each."""

    drafted: np.ndarray
    accepted: np.ndarray
    whole: np.ndarray


@compiled
def new_lanes(size):
    """Room for `size` trajectories."""
    return Lanes(
        np.zeros(size, np.uint16),
        np.zeros(size, np.uint16),
        np.zeros(size, np.uint16),
        np.zeros(size, np.uint16),
        np.zeros(size, np.uint32),
    )


@compiled
def new_ends(window):
    """No calls counted yet."""
    return Ends(
        np.zeros(window + 1, np.int64), np.zeros(window + 1, np.int64), np.zeros(window + 1, np.int64)
    )


@compiled
def begin(initial, size, start, state, words, lanes, tally):
    """Start `size` trajectories: draw their initial tokens."""
    fill(state, words, size)
    states = U(tally.tokens.shape[1])
    for lane in range(size):
        lanes.last[lane] = np.uint16(token_of(initial.entries, initial.lows, U(0), states, words[lane]))
    lanes.time[:], lanes.rejections[:], lanes.calls[:], lanes.drafted[:] = 0, 0, 0, 0
    if tally.path_initial.size > 0:
        for lane in range(size):
            tally.path_initial[start + lane] = lanes.last[lane]


@compiled
def waiting_at(t, size, lanes, windows):
    """List the trajectories whose next call starts at t, with their last tokens; returns their number."""
    time, last, running, tokens = lanes.time, lanes.last, windows.running, windows.tokens[0]
    now, found = np.uint16(t), U(0)
    for lane in range(size):
        running[found] = np.uint32(lane)
        found += U(time[lane] == now)
    for j in range(found):
        tokens[j] = last[running[j]]
    windows.shares[0, :found] = 1.0
    return found


@compiled
def count_lanes(size, lanes, tally):
    """Count the finished trajectories by their rejections, calls and drafted tokens."""
    for lane in range(size):
        tally.rejections[lanes.rejections[lane]] += 1
        tally.target_calls[lanes.calls[lane]] += 1
        tally.drafted_tokens[lanes.drafted[lane]] += 1


@compiled
def count_positions(ends, tally):
    """Add the calls by position to the tally; entry i - 1 is for position i."""
    drafted, going = 0, 0
    for i in range(tally.drafted_by_position.size, 0, -1):
        drafted += ends.drafted[i]
        going += ends.accepted[i]
        tally.drafted_by_position[i - 1] += drafted
        tally.accepted_by_position[i - 1] += going
        tally.reached_by_position[i - 1] += going + ends.accepted[i - 1] - ends.whole[i - 1]
