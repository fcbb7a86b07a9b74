"""What the samplers of windows carry for each trajectory's target call, and what they count of calls.

A call that begins drafts some tokens, `goal`, and ends with a rejection, with the bonus token, or, where
there is none, with the last drafted token. `accepted` is how many of its tokens are accepted so far: 0 at its
first step and at no other, so that it tells where a call begins, and it is the position in the window, from
0, of the token that comes next.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.decoders import MultiDraftSpeculative, Windowed, most_drafted
from simlab.decoding.core.bits import U0, U1, U2, U3, U4, YES
from simlab.decoding.core.chunks import CHUNK
from simlab.errors import SimlabError
from simlab.jit import compiled

MOST_COUNTED = 2**24
"""So many numbers of drafted tokens can be told apart: 128 MB of counts."""
FEW_POSITIONS = 24
"""Up to so many positions are counted by comparing, position by position; more, by incrementing counters."""


class Calls(NamedTuple):
    """The running calls of a block of trajectories, and flags of one chunk."""

    accepted: np.ndarray  # uint16 (block,): drafted tokens of the running call that are accepted so far
    goal: np.ndarray  # uint16 (block,): tokens that it drafts, at most
    number: np.ndarray  # uint16 (block,): calls of the trajectory so far
    drafted: np.ndarray  # uint32 (block,): drafted tokens of the trajectory so far
    limits: np.ndarray  # uint16 (CHUNK,): tokens that a call would draft that began here
    begun: np.ndarray  # uint16 (CHUNK,): 1 where a call begins
    bonus: np.ndarray  # uint16 (CHUNK,): 1 where the token comes straight from the target
    verified: np.ndarray  # uint16 (CHUNK,): 1 where a drafted token is verified


class Positions(NamedTuple):
    """Calls by the position in the window, from 0: int64 (4, K+1), to be summed over the rows."""

    begun: np.ndarray  # calls that draft so many tokens
    further: np.ndarray  # tokens drafted at this position behind a rejection; not for calls in `begun`
    reached: np.ndarray  # drafted tokens verified at this position
    rejected: np.ndarray  # of those, rejected


def check_counted(decoder: Windowed | MultiDraftSpeculative, horizon: int) -> int:
    """D, the most tokens that a trajectory can draft. Raises SimlabError where they are too many to count."""
    most = most_drafted(decoder, horizon)
    if most >= MOST_COUNTED:
        raise SimlabError(
            f"a trajectory may draft {most:,} tokens, more than the {MOST_COUNTED - 1:,} that are counted: "
            + ("give fewer drafts" if hasattr(decoder, "drafts") else "give a window, or a shorter one")
            + ", or fewer steps"
        )
    return most


@compiled
def new_calls(block):
    """Room for `block` trajectories."""
    return Calls(
        np.zeros(block, np.uint16),
        np.zeros(block, np.uint16),
        np.zeros(block, np.uint16),
        np.zeros(block, np.uint32),
        np.zeros(CHUNK, np.uint16),
        np.zeros(CHUNK, np.uint16),
        np.zeros(CHUNK, np.uint16),
        np.ones(CHUNK, np.uint16),
    )


@compiled
def new_positions(longest):
    """No calls counted yet; longest: K."""
    shape = (4, longest + 1)
    return Positions(
        np.zeros(shape, np.int64),
        np.zeros(shape, np.int64),
        np.zeros(shape, np.int64),
        np.zeros(shape, np.int64),
    )


@compiled
def begin_calls(limits, last, begin, count, calls):
    """Begin a call where none runs. limits: uint16 (V,) by the last token, or (1,) for all."""
    accepted, goal, number = calls.accepted[begin:], calls.goal[begin:], calls.number[begin:]
    allowed, begun = calls.limits, calls.begun
    if limits.size > 1:
        for i in range(count):
            allowed[i] = limits[last[begin + i]]
    else:
        allowed[:] = limits[0]
    for i in range(count):
        new = np.uint16(accepted[i] == 0)
        begun[i] = new
        number[i] = np.uint16(number[i] + new)
    for i in range(count):
        # Chosen by arithmetic, which makes vector instructions of it.
        old = np.uint16(begun[i] - YES)
        goal[i] = np.uint16(np.uint16(goal[i] & old) | np.uint16(allowed[i] & ~old))


@compiled
def count_begun(limits, begin, count, calls, positions):
    """Count what the calls that begin here draft: for rules that know it beforehand."""
    drafted, begun, allowed = calls.drafted[begin:], calls.begun, calls.limits
    for i in range(count):
        drafted[i] += np.uint32(np.uint32(allowed[i]) * np.uint32(begun[i]))
    if limits.size > 1:
        count_positions(allowed, begun, count, positions.begun)
    else:
        number = np.uint16(0)
        for i in range(count):
            number = np.uint16(number + begun[i])
        positions.begun[0, limits[0]] += number


@compiled
def take_bonus(begin, count, calls, scratch):
    """Where all drafted tokens are accepted the token is a bonus token, and none is rejected."""
    accepted, goal = calls.accepted[begin:], calls.goal[begin:]
    bonus, verified, rejected = calls.bonus, calls.verified, scratch.rejected
    for i in range(count):
        drafted = np.uint16(accepted[i] != goal[i])
        bonus[i] = np.uint16(YES - drafted)
        verified[i] = drafted
        rejected[i] = np.uint16(rejected[i] & drafted)


@compiled
def end_calls(begin, count, has_bonus, calls, scratch):
    """Count this step's token for each running call, or end the call: accepted = 0."""
    accepted, goal = calls.accepted[begin:], calls.goal[begin:]
    bonus, rejected = calls.bonus, scratch.rejected
    last = np.uint16(0 if has_bonus else 1)
    for i in range(count):
        more = np.uint16(accepted[i] + YES)
        over = (rejected[i] | bonus[i]) != 0
        if last:
            over |= more == goal[i]
        accepted[i] = np.uint16(0) if over else more


@compiled
def count_positions(positions, flags, count, found):
    """found[:, v] += the number of i with positions[i] == v and flags[i] == 1; found: int64 (4, K+1)."""
    if found.shape[1] <= FEW_POSITIONS:
        for v in range(found.shape[1]):
            position, number = np.uint16(v), np.uint16(0)
            for i in range(count):
                number = np.uint16(number + np.uint16(np.uint16(positions[i] == position) & flags[i]))
            found[0, v] += number
        return
    # Neighbours count in different rows, as in `chunks.count_many`.
    first, second, third, fourth = found[0], found[1], found[2], found[3]
    whole = count & ~U3
    for i in range(U0, whole, U4):
        first[positions[i]] += flags[i]
        second[positions[i + U1]] += flags[i + U1]
        third[positions[i + U2]] += flags[i + U2]
        fourth[positions[i + U3]] += flags[i + U3]
    for i in range(whole, count):
        first[positions[i]] += flags[i]


@compiled
def count_calls(size, calls, tally):
    """Count the finished trajectories by their calls and their drafted tokens."""
    for i in range(size):
        tally.target_calls[calls.number[i]] += 1
        tally.drafted_tokens[calls.drafted[i]] += 1


@compiled
def finish_positions(positions, known, tally):
    """Add what was counted by position to the tally. known: whether `begun` tells what calls draft; if not,
    they draft what is verified, and further tokens behind a rejection."""
    longest = tally.drafted_by_position.size
    drafted = 0
    for v in range(longest, 0, -1):
        drafted += positions.begun[:, v].sum()
        reached, rejected = positions.reached[:, v - 1].sum(), positions.rejected[:, v - 1].sum()
        tally.drafted_by_position[v - 1] += drafted if known else reached + positions.further[:, v - 1].sum()
        tally.reached_by_position[v - 1] += reached
        tally.accepted_by_position[v - 1] += reached - rejected
