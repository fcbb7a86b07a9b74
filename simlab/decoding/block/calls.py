"""Trajectories that run side by side, and their calls by what they drafted and accepted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.decoding.core.bits import U0, U
from simlab.decoding.core.chunks import CHUNK, draw, padded
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
def begin(initial, size, start, state, scratch, lanes, tally):
    """Start `size` trajectories: draw their initial tokens."""
    for first in range(U0, size, U(CHUNK)):
        count = min(U(CHUNK), size - first)
        for j in range(padded(count)):
            scratch.origins[j] = np.uint16(0)
        draw(initial, scratch.origins, U(tally.tokens.shape[1]), count, scratch, state, scratch.tokens)
        for j in range(count):
            lanes.last[first + j] = scratch.tokens[j]
    for lane in range(size):
        lanes.time[lane] = lanes.rejections[lane] = lanes.calls[lane] = np.uint16(0)
        lanes.drafted[lane] = np.uint32(0)
    if tally.path_initial.size > 0:
        for lane in range(size):
            tally.path_initial[start + lane] = lanes.last[lane]


@compiled
def waiting_at(t, size, lanes, windows):
    """List the trajectories whose next call starts at t, with their last tokens; returns their number."""
    time, last, running = lanes.time, lanes.last, windows.running
    tokens, shares = windows.tokens[0], windows.shares[0]
    now, found = np.uint16(t), U(0)
    for lane in range(size):
        running[found] = np.uint32(lane)
        found += U(time[lane] == now)
    for j in range(found):
        tokens[j] = last[running[j]]
        shares[j] = 1.0
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
