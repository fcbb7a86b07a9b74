"""The token behind the accepted ones: the bonus token from the target, or the corrected one from
[p target - draft]_+, p the running ratio; loops as in `core.chunks`.

A corrected token is proposed until one is kept. Proposed from [target - draft]_+, which is never smaller, it
is kept with probability (p r - 1)/(r - 1), r = target/draft; from p target with 1 - 1/(p r). Of the two the
one of the smaller sum is taken: the total variation, or p. So where verifying stops with the probability
S = sum of [p target - draft]_+, at most p/S proposals are made: one a position or less, on average.
"""

from __future__ import annotations

import numpy as np

from simlab.decoding.block.chances import excess
from simlab.decoding.core.bits import LOW16, LOW32, U0, U11, U16, U32, UNIT, U
from simlab.decoding.core.chunks import CHUNK, draw
from simlab.decoding.core.randomness import fill
from simlab.decoding.core.tables import AliasTable, step_of
from simlab.jit import compiled, inlined

_ROUNDS = 16
"""Proposals for a token before all of the row's tokens are weighed."""
_HUGE = 1e300


@compiled
def end_calls(tables, t, drafted, states, count, state, windows, scratch, work):
    """Draw the tokens behind the accepted ones of all `count` decided calls: windows.ends."""
    edges, decided, ends = windows.edges, windows.decided, windows.ends
    target, residual, ratios, distances, rows = tables
    step = step_of(target.entries, t + drafted)
    table, tokens = AliasTable(target.entries[step], target.lows[step]), windows.tokens[drafted]
    for begin in range(U0, edges[drafted], U(CHUNK)):
        size = min(U(CHUNK), edges[drafted] - begin)
        for k in range(size):
            scratch.origins[k] = tokens[decided[begin + k]]
        draw(table, scratch.origins, states, size, scratch, state, scratch.replacements)
        for k in range(size):
            ends[begin + k] = scratch.replacements[k]
    for from_target in (True, False):
        proposals = target if from_target else residual
        found = U0
        for i in range(drafted):
            found = want(proposals, ratios, distances, from_target, t, i, found, states, windows, work)
        found = propose(proposals, ratios, from_target, found, states, state, windows, work)
        fill(state, work.words, found)
        for j in range(found):
            k = work.wanted[j]
            weigh(target, rows, t, k, states, work.words[j], windows)


@compiled
def want(proposals, ratios, distances, from_target, t, i, found, states, windows, work):
    """List the calls that accept i tokens and whose proposals come from here, behind `found` others."""
    decided, tokens, shares = windows.decided, windows.tokens[i], windows.shares[i]
    least = distances[step_of(distances, t + i)]
    first = U(step_of(proposals.entries, t + i)) * states
    weight = U(step_of(ratios, t + i)) * states
    for k in range(windows.edges[i + 1], windows.edges[i]):
        x, share = U(tokens[decided[k]]), shares[decided[k]]
        work.wanted[found] = np.uint32(k)
        work.shares[found] = share
        work.rows[found] = (first + x) * states
        work.weights[found] = (weight + x) * states
        found += U((share < least[x]) == from_target)
    return found


@compiled
def propose(proposals, ratios, from_target, count, states, state, windows, work):
    """Draw corrected tokens for the listed calls; how many have none after so many rounds."""
    entries, factors, drawn, words, shares = work.entries, work.factors, work.drawn, work.words, work.shares
    packed, lows = proposals.entries.reshape(-1), proposals.lows.reshape(-1)
    places, rows, weights, wanted, flat = (
        work.places,
        work.rows,
        work.weights,
        work.wanted,
        ratios.reshape(-1),
    )
    for _ in range(_ROUNDS):
        if count == U0:
            break
        fill(state, words, count)
        for j in range(count):
            places[j] = rows[j] + slot_of(words[j], states)
        for j in range(count):
            entries[j] = packed[places[j]]
        for j in range(count):
            coin, threshold = coin_of(words[j], states), U(entries[j]) & LOW16
            kept = coin >> U32 < threshold
            if coin >> U32 == threshold:  # once in 65,536 draws
                kept = coin & LOW32 < U(lows[places[j]])
            drawn[j] = np.uint16(slot_of(words[j], states) if kept else U(entries[j]) >> U16)
        for j in range(count):
            factors[j] = flat[weights[j] + U(drawn[j])]
        fill(state, words, count)
        left = U0
        for j in range(count):
            share, factor = shares[j], min(factors[j], _HUGE)
            most = share * factor if from_target else factor - 1.0
            kept = np.float64(words[j] >> U11) * UNIT * most < share * factor - 1.0
            windows.ends[wanted[j]] = drawn[j]
            wanted[left], shares[left], rows[left], weights[left] = wanted[j], share, rows[j], weights[j]
            left += U(not kept)
        count = left
    return count


@inlined
def slot_of(word, states):
    """The slot of an alias table that a word draws: the integer part of V * word / 2^64."""
    return ((word >> U32) * states + (((word & LOW32) * states) >> U32)) >> U32


@inlined
def coin_of(word, states):
    """The first 48 bits of its fraction."""
    tail = (word & LOW32) * states
    return ((((word >> U32) * states + (tail >> U32)) & LOW32) << U16) | ((tail & LOW32) >> U16)


@compiled
def weigh(target, all_rows, t, k, states, word, windows):
    """The corrected token of the k-th decided call, by weighing all of the row's tokens."""
    i = 0
    while windows.edges[i + 1] > k:
        i += 1
    x, share = windows.tokens[i, windows.decided[k]], windows.shares[i, windows.decided[k]]
    draft = all_rows[0][step_of(all_rows[0], t + i)][x]
    goal = all_rows[1][step_of(all_rows[1], t + i)][x]
    uniform, mass = np.float64(word >> U11) * UNIT, excess(draft, goal, share)
    rounded = mass <= 0.0  # what made it a rejection: take the target's token
    level, chosen = uniform * (1.0 if rounded else mass), 0
    for y in range(draft.size):
        weight = goal[y] if rounded else share * goal[y] - draft[y]
        if weight > 0.0:
            chosen = y
            level -= weight
            if level < 0.0:
                break
    windows.ends[k] = np.uint16(chosen)


@compiled
def write_down(t, drafted, count, start, lanes, ends, windows, tally):
    """Count the calls and the tokens behind the accepted ones; the next calls start behind them."""
    edges, decided, running, drawn = windows.edges, windows.decided, windows.running, windows.ends
    ends.drafted[drafted] += count
    ends.whole[drafted] += edges[drafted]
    for i in range(drafted + 1):
        counts, rejected = tally.tokens[t + i], i < drafted
        time, more = np.uint16(t + i + 1), np.uint16(rejected)
        ends.accepted[i] += edges[i] - edges[i + 1]
        tally.per_position[t + i] += edges[i] - edges[i + 1] if rejected else U0
        for k in range(edges[i + 1], edges[i]):
            lane, y = running[decided[k]], drawn[k]
            counts[y] += 1
            lanes.last[lane], lanes.time[lane] = y, time
            lanes.calls[lane] += np.uint16(1)
            lanes.rejections[lane] += more
            lanes.drafted[lane] += np.uint32(drafted)
        if tally.path_initial.size > 0:
            for k in range(edges[i + 1], edges[i]):
                lane = start + running[decided[k]]
                tally.path_tokens[t + i, lane] = drawn[k]
                tally.path_rejected[t + i, lane] = np.uint8(rejected)
