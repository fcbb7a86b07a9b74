"""Verifying the windows of calls that start together, from their ends backwards.

Asked is from the window's end on for the first position i whose uniform is at most h_i (`chances`), which is
the last such position; at the window's end h is p, and where p = 1, h is 1. Positions not asked need no
uniform. A call that has found its position is *decided*: it accepts its first i tokens. So the decided calls
stand in order of what they accept, most first.
"""

from __future__ import annotations

import numpy as np

from simlab.decoding.block.chances import UNSURE, excess
from simlab.decoding.core.bits import HALF, SHORT, U0, U1, U2, UNIT, U
from simlab.decoding.core.chunks import CHUNK, any_of, look_up
from simlab.decoding.core.randomness import fill, spare_word
from simlab.decoding.core.tables import step_of
from simlab.jit import compiled

_UNSURE, _U27, _U37 = np.uint32(UNSURE), U(27), U(37)


@compiled
def begin_verifying(drafted, count, windows):
    """None of `count` calls is decided."""
    windows.edges[drafted + 1] = 0
    for j in range(count):
        windows.undecided[j] = np.uint32(j)


@compiled
def verify_position(rows, bounds, t, i, drafted, states, count, state, windows, scratch, work):
    """Decide which of the undecided calls, of `count` in all, accept their first i tokens and no more."""
    decided, going, tokens, shares = windows.decided, work.going, windows.tokens[i], windows.shares[i]
    found, still = windows.edges[i + 1], U0
    asked, now = count - found, t + i
    draft, target = rows[0][step_of(rows[0], now)], rows[1][step_of(rows[1], now)]
    for begin in range(U0, asked, U(CHUNK)):
        size, undecided = min(U(CHUNK), asked - begin), windows.undecided[begin:]
        fill(state, scratch.words, (size >> U2) + U1)
        if i == drafted:
            ask_last(shares[begin:], size, scratch, work)  # all calls are asked
        else:
            ask(bounds[step_of(bounds, now)], tokens, shares, undecided, states, size, scratch, work)
        if any_of(scratch.ties, size):
            for j in range(size):
                if scratch.ties[j]:
                    call = undecided[j]
                    x, share = tokens[call], shares[call]
                    chance = share if i == drafted else chance_of(draft[x], target[x], share)
                    uniform = np.float64((U(scratch.pieces[j]) << _U37) | (spare_word(state) >> _U27)) * UNIT
                    going[j] = np.uint16(uniform >= chance)
        for j in range(size):
            call, on = undecided[j], U(going[j])
            decided[found] = call
            windows.undecided[still] = call
            found += U1 - on
            still += on
    windows.edges[i] = found


@compiled
def ask_last(shares, count, scratch, work):
    """Whether calls go on asking: their uniform is at or above p. Ties: its first bits do not tell."""
    going, unsure, pieces = work.going, scratch.ties, scratch.pieces
    for j in range(count):
        bound, first = np.uint32(np.int32(shares[j] * 65536.0)), np.uint32(pieces[j])
        going[j] = np.uint16(first > bound)
        unsure[j] = np.uint16(first == bound)


@compiled
def ask(bounds, tokens, shares, undecided, states, count, scratch, work):
    """Whether undecided calls go on asking: their uniform is at or above h. Ties: the bounds do not tell."""
    indices, found, held = work.indices, work.bounds, work.shares
    going, unsure, pieces = work.going, scratch.ties, scratch.pieces
    width = np.uint32(U(bounds.size) // states)
    cells = np.float64(width) - 1.0
    for j in range(count):
        held[j] = shares[undecided[j]]
        indices[j] = np.uint32(tokens[undecided[j]])
    for j in range(count):
        indices[j] = np.uint32(np.uint32(indices[j] * width) + np.uint32(np.int32(held[j] * cells)))
    look_up(bounds, indices, count, found)
    for j in range(count):
        low, high, first = np.uint32(found[j] & SHORT), np.uint32(found[j] >> HALF), np.uint32(pieces[j])
        going[j] = np.uint16(first >= high)
        unsure[j] = np.uint16(((first >= low) & (first < high)) | (first == _UNSURE))


@compiled
def chance_of(draft, target, share):
    """h of two rows at this running ratio."""
    if share >= 1.0:
        return 1.0
    mass = excess(draft, target, share)
    return mass / (mass + 1.0 - share)


@compiled
def count_accepted(t, i, start, windows, tally):
    """Count the i-th tokens, from 1, of the calls that accept them."""
    decided, running, tokens = windows.decided, windows.running, windows.tokens[i]
    found, counts = windows.edges[i], tally.tokens[t + i - 1]
    for k in range(found):
        counts[tokens[decided[k]]] += 1
    if tally.path_initial.size > 0:
        path = tally.path_tokens[t + i - 1]
        for k in range(found):
            path[start + running[decided[k]]] = tokens[decided[k]]


@compiled
def end_verifying(count, windows):
    """Who is undecided accepts nothing."""
    first = windows.edges[1]
    for k in range(first, count):
        windows.decided[k] = windows.undecided[k - first]
    windows.edges[0] = count
