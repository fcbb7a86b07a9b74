"""Decoding along paths whose window has a memory: forward recursions over start and state, compiled.

As in `means` and `counts`, but what a call drafts depends on the state of its rule, which is known from the
calls before: so mass is carried by (start, state). A call of state m from s that drafts g tokens ends with a
rejection after a < g accepted tokens, and the next one starts at s + a + 1 in state after[m, a]; or all are
accepted, and it starts at s + g + 1 in state after[m, g].
"""

from __future__ import annotations

import numpy as np

from simlab.jit import compiled

TINY = 1e-25
"""A start, or a call that has come so far, with a smaller probability is followed no further."""


@compiled
def follow_means(
    accept, variation, windows, after, offsets, weights, groups, by_path, by_position, per_position
):
    """Adds up the fields of `PathMeans`: by_path (6, n), by_position (G, 3, K + 1), per_position (T,)."""
    starts = np.zeros((per_position.size + 1, windows.size))
    verified, rejected = np.zeros(per_position.size), np.zeros(per_position.size)
    for path in range(offsets.size - 1):
        begin, length, weight = offsets[path], offsets[path + 1] - offsets[path], weights[path]
        sums = by_position[groups[path]]
        reached, accepted, exactly = sums[0], sums[1], sums[2]
        starts[: length + 1] = 0.0
        verified[:length] = 0.0
        rejected[:length] = 0.0
        starts[0, 0] = 1.0
        for s in range(length):
            for state in range(windows.size):
                mass = starts[s, state]
                if mass < TINY:
                    continue
                window = min(windows[state], length - s - 1)
                going = mass
                for i in range(window):
                    t = s + i
                    passed = going * accept[begin + t]
                    verified[t] += going
                    rejected[t] += going - passed
                    starts[t + 1, after[state, i]] += going - passed
                    reached[i] += weight * going
                    accepted[i] += weight * passed
                    going = passed
                    if going < TINY:
                        break
                starts[s + window + 1, after[state, window]] += going
                exactly[window] += weight * mass
                by_path[0, path] += mass
                by_path[4, path] += window * mass
        for t in range(length):
            by_path[1, path] += rejected[t]
            by_path[2, path] += verified[t] - rejected[t]
            by_path[3, path] += verified[t]
            per_position[t] += weight * rejected[t]
            if variation.size:
                by_path[5, path] += verified[t] * variation[begin + t]


@compiled
def follow_counts(accept, windows, after, offsets, weights, of_calls, pmf):
    """Adds P(n calls | path), or of rejections where of_calls is 0, times the path's weight to pmf, (T + 1,).

    Mass by count is kept for the starts that lie ahead of a call, in a ring, and its least and largest count.
    """
    ring = after.shape[1] + 1
    starts = np.zeros((ring, windows.size, pmf.size))
    least, most = np.zeros((ring, windows.size), np.int64), np.zeros((ring, windows.size), np.int64)
    for path in range(offsets.size - 1):
        begin, length = offsets[path], offsets[path + 1] - offsets[path]
        starts[:] = 0.0
        least[:], most[:] = pmf.size, -1
        starts[0, 0, 0] = 1.0
        least[0, 0], most[0, 0] = 0, 0
        for s in range(length):
            now = s % ring
            for state in range(windows.size):
                first, last = least[now, state], most[now, state]
                if last < first:
                    continue
                mass = starts[now, state]
                window = min(windows[state], length - s - 1)
                going = 1.0
                for i in range(window):
                    passed = going * accept[begin + s + i]
                    ahead, follows = (s + i + 1) % ring, after[state, i]
                    _shift(starts, least, most, ahead, follows, mass, first, last, 1, going - passed)
                    going = passed
                    if going < TINY:
                        break
                ahead, follows = (s + window + 1) % ring, after[state, window]
                _shift(starts, least, most, ahead, follows, mass, first, last, of_calls, going)
                mass[first : last + 1] = 0.0
                least[now, state], most[now, state] = pmf.size, -1
        for state in range(windows.size):
            for n in range(length + 1):
                pmf[n] += weights[path] * starts[length % ring, state, n]


@compiled
def _shift(starts, least, most, ahead, state, mass, first, last, by, factor):
    """Add factor * mass[first..last], its counts raised by `by`, to the starts ahead."""
    while first <= last and factor * mass[first] < TINY:
        first += 1
    while first <= last and factor * mass[last] < TINY:
        last -= 1
    if last < first:
        return
    row = starts[ahead, state]
    for n in range(first, last + 1):
        row[n + by] += factor * mass[n]
    least[ahead, state] = min(least[ahead, state], first + by)
    most[ahead, state] = max(most[ahead, state], last + by)
