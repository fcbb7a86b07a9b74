"""A block of trajectories that goes through one step before the next, and what is written down about it.

So a step's tables are read by the whole block while they are in cache; what a run holds of its trajectories
is a few bytes each, for one block, whatever their number.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.decoding.core.bits import U
from simlab.decoding.core.chunks import CHUNK, draw, padded
from simlab.jit import compiled


class Tally(NamedTuple):
    """What a run adds up, and the paths themselves where they are asked for.

    rejections int64 (T+1,), tokens int64 (T, V), per_position int64 (T,), deviations int64 (1025,) or (0,),
    target_calls int64 (T+1,) or (0,), drafted_tokens int64 (D+1,) or (0,), drafted_by_position,
    reached_by_position, accepted_by_position and nodes_by_position int64 (K,) or (0,), as in Counts.
    path_tokens uint16 (T, N), path_rejected uint8 (T, N), path_initial uint16 (N,): N = 0 where paths are not
    recorded.
    """

    rejections: np.ndarray
    tokens: np.ndarray
    per_position: np.ndarray
    deviations: np.ndarray
    target_calls: np.ndarray
    drafted_tokens: np.ndarray
    drafted_by_position: np.ndarray
    reached_by_position: np.ndarray
    accepted_by_position: np.ndarray
    nodes_by_position: np.ndarray
    path_tokens: np.ndarray
    path_rejected: np.ndarray
    path_initial: np.ndarray


class Block(NamedTuple):
    """The trajectories that run: last tokens, rejections so far, whether the last token was rejected."""

    last: np.ndarray  # uint16 (block,)
    rejections: np.ndarray  # uint16 (block,)
    fresh: np.ndarray  # uint16 (block,)
    histogram: np.ndarray  # int64 (4, V)


class Room(NamedTuple):
    """How many levels of deviation, numbers of target calls, numbers of drafted tokens and positions in the
    window a decoder counts; nodes: positions at which it may draft several tokens."""

    levels: int = 0
    calls: int = 0
    drafted: int = 0
    positions: int = 0
    nodes: int = 0


def new_tally(horizon: int, states: int, room: Room, recorded: int) -> Tally:
    """A tally of nothing, with room for so many recorded paths."""
    return Tally(
        np.zeros(horizon + 1, np.int64),
        np.zeros((horizon, states), np.int64),
        np.zeros(horizon, np.int64),
        np.zeros(room.levels, np.int64),
        np.zeros(room.calls, np.int64),
        np.zeros(room.drafted, np.int64),
        np.zeros(room.positions, np.int64),
        np.zeros(room.positions, np.int64),
        np.zeros(room.positions, np.int64),
        np.zeros(room.nodes, np.int64),
        np.zeros((horizon, recorded), np.uint16),
        np.zeros((horizon, recorded), np.uint8),
        np.zeros(recorded, np.uint16),
    )


@compiled
def new_block(block, tally):
    """Room for `block` trajectories, padded with token 0 so that the last chunk has no remainder."""
    return Block(
        np.zeros(padded(block), np.uint16),
        np.zeros(block, np.uint16),
        np.zeros(block, np.uint16),
        np.zeros((4, tally.tokens.shape[1]), np.int64),
    )


@compiled
def first_tokens(initial, size, start, scratch, state, running, tally):
    """Start `size` trajectories: draw their initial tokens, no rejections, all at a fresh position."""
    for begin in range(U(0), size, U(CHUNK)):
        count = min(U(CHUNK), size - begin)
        scratch.origins[:] = 0
        draw(initial, scratch.origins, U(tally.tokens.shape[1]), count, scratch, state, scratch.tokens)
        for i in range(count):
            running.last[begin + i] = scratch.tokens[i]
    for i in range(size):
        running.rejections[i] = np.uint16(0)
        running.fresh[i] = np.uint16(1)
    if tally.path_initial.size > 0:
        for i in range(size):
            tally.path_initial[start + i] = running.last[i]


@compiled
def note(scratch, begin, count, start, t, running, tally):
    """Write down a chunk's rejections, and its step of the paths where they are asked for."""
    for i in range(count):
        running.rejections[begin + i] += scratch.rejected[i]
    if tally.path_initial.size > 0:
        for i in range(count):
            tally.path_tokens[t, start + begin + i] = scratch.tokens[i]
            tally.path_rejected[t, start + begin + i] = np.uint8(scratch.rejected[i])


@compiled
def count_block(size, running, tally):
    """Count the finished trajectories by their numbers of rejections."""
    for i in range(size):
        tally.rejections[running.rejections[i]] += 1
