"""Verifying the windows of calls that start together, from their ends backwards, and ending the calls.

Asked is from the window's end on for the first position i whose uniform is at most h_i (`excess`), which is
the last such position; at the window's end h is p, and where p = 1, h is 1. Positions not asked need no
uniform. A call that has found its position is *decided*: it accepts its first i tokens. So the decided calls
stand in order of what they accept, most first.
"""

from __future__ import annotations

import numpy as np

from simlab.decoding.block.drafting import draw_words, token_of
from simlab.decoding.block.excess import CELLS, UNSURE, find_excess, sum_excess
from simlab.decoding.block.work import CHUNK
from simlab.decoding.core.bits import HALF, SHORT, U0, U1, U11, UNIT, U
from simlab.decoding.core.chunks import choose, look_up
from simlab.decoding.core.randomness import fill
from simlab.decoding.core.tables import step_of
from simlab.jit import compiled

_WIDTH, _CELLS, _UNSURE, _U48 = np.uint32(CELLS + 1), float(CELLS), np.uint32(UNSURE), U(48)


@compiled
def begin_verifying(drafted, count, windows):
    """None of `count` calls is decided."""
    windows.edges[drafted + 1] = 0
    for j in range(count):
        windows.undecided[j] = np.uint32(j)


@compiled
def verify_position(excess, t, i, drafted, states, count, state, windows, work):
    """Decide which of the undecided calls, of `count` in all, accept their first i tokens and no more."""
    decided, going, words = windows.decided, work.going, work.words
    found, still, step = windows.edges[i + 1], U0, step_of(excess.sums, t + i)
    asked = count - found
    for begin in range(U0, asked, U(CHUNK)):
        size, undecided = min(U(CHUNK), asked - begin), windows.undecided[begin:]
        fill(state, words, size)
        if i == drafted:
            shares = windows.shares[i, begin:]  # all calls are asked
            for j in range(size):
                going[j] = np.uint16(np.float64(words[j] >> U11) * UNIT >= shares[j])
        else:
            ask(excess, step, windows.tokens[i], windows.shares[i], undecided, states, size, work)
        for j in range(size):
            call, on = undecided[j], U(going[j])
            decided[found] = call
            windows.undecided[still] = call
            found += U1 - on
            still += on
    windows.edges[i] = found


@compiled
def ask(excess, step, tokens, all_shares, undecided, states, count, work):
    """Whether undecided calls stay so: their uniform is above h."""
    words, indices, bounds, shares = work.words, work.indices, work.entries, work.shares
    going, unsure = work.going, work.ties
    for j in range(count):
        shares[j] = all_shares[undecided[j]]
        indices[j] = np.uint32(tokens[undecided[j]])
    for j in range(count):
        indices[j] = np.uint32(np.uint32(indices[j] * _WIDTH) + np.uint32(np.int32(shares[j] * _CELLS)))
    look_up(excess.chances[step], indices, count, bounds)
    for j in range(count):
        low, high = np.uint32(bounds[j] & SHORT), np.uint32(bounds[j] >> HALF)
        first = np.uint32(words[j] >> _U48)
        going[j] = np.uint16(first >= high)
        unsure[j] = np.uint16(((first >= low) & (first < high)) | (first == _UNSURE))
    number, chosen, masses = choose(unsure, count, work.chosen), work.chosen, work.masses
    for k in range(number):
        shares[k] = shares[chosen[k]]
        indices[k] = np.uint32(U(tokens[undecided[chosen[k]]]) * states)
    sum_excess(excess.sums[step], indices, shares, states, number, work.positive, masses)
    for k in range(number):
        uniform = np.float64(words[chosen[k]] >> U11) * UNIT
        sure = shares[k] >= 1.0
        going[chosen[k]] = np.uint16(not sure and uniform >= masses[k] / (masses[k] + 1.0 - shares[k]))


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
def end_calls(
    distribution, excess, t, drafted, states, count, start, state, lanes, windows, work, ends, tally
):
    """The token behind the accepted ones: corrected, or the bonus token; the next call starts behind it."""
    edges, decided, undecided = windows.edges, windows.decided, windows.undecided
    for j in range(edges[1], count):  # who accepts nothing
        decided[j] = undecided[j - edges[1]]
    edges[0] = count
    ends.drafted[drafted] += count
    ends.whole[drafted] += edges[drafted]
    fill(state, work.words, count)
    for i in range(drafted, -1, -1):
        step, moving = step_of(distribution.entries, t + i), step_of(excess.sums, t + i)
        table = distribution.entries[step], distribution.lows[step]
        ends.accepted[i] += edges[i] - edges[i + 1]
        tally.per_position[t + i] += edges[i] - edges[i + 1] if i < drafted else U0
        for begin in range(edges[i + 1], edges[i], U(CHUNK)):
            size, ending = min(U(CHUNK), edges[i] - begin), decided[begin:]
            if i == drafted:
                draw_bonus(table, windows.tokens[i], ending, states, size, work)
            else:
                correct(excess, moving, table, i, ending, states, size, windows, work)
            write_down(t + i, drafted, i < drafted, ending, size, start, lanes, windows, work, tally)


@compiled
def draw_bonus(table, tokens, ending, states, count, work):
    """The bonus tokens of `count` calls."""
    words, origins = work.chosen_words, work.origins
    for k in range(count):
        words[k] = work.words[ending[k]]
        origins[k] = tokens[ending[k]]
    draw_words(table[0], table[1], origins, words, states, count, work, work.drawn)


@compiled
def correct(excess, step, table, i, ending, states, count, windows, work):
    """The corrected tokens of `count` calls that accept i tokens."""
    ordered, sums, drawn, words = excess.tokens[step], excess.sums[step], work.drawn, work.words
    tokens, all_shares = windows.tokens[i], windows.shares[i]
    rows, shares, masses, positive = work.indices, work.shares, work.masses, work.positive
    for k in range(count):
        rows[k] = np.uint32(U(tokens[ending[k]]) * states)
        shares[k] = all_shares[ending[k]]
    sum_excess(sums, rows, shares, states, count, positive, masses)
    for k in range(count):
        masses[k] *= np.float64(words[ending[k]] >> U11) * UNIT
    find_excess(sums, rows, shares, masses, states, count, positive, work.found)
    for k in range(count):
        drawn[k] = ordered[rows[k] + work.found[k]]
    for k in range(count):
        if positive[k] == 0:  # only where rounding made it a rejection
            drawn[k] = np.uint16(token_of(table[0], table[1], U(rows[k]), states, words[ending[k]]))


@compiled
def write_down(now, drafted, rejected, ending, count, start, lanes, windows, work, tally):
    """Count the tokens drawn at position `now` for the calls that end there."""
    running, drawn, counts = windows.running, work.drawn, tally.tokens[now]
    time, more = np.uint16(now + 1), np.uint16(rejected)
    for k in range(count):
        lane, y = running[ending[k]], drawn[k]
        counts[y] += 1
        lanes.last[lane], lanes.time[lane] = y, time
        lanes.calls[lane] += np.uint16(1)
        lanes.rejections[lane] += more
        lanes.drafted[lane] += np.uint32(drafted)
    if tally.path_initial.size > 0:
        for k in range(count):
            lane = start + running[ending[k]]
            tally.path_tokens[now, lane] = drawn[k]
            tally.path_rejected[now, lane] = np.uint8(rejected)
