"""Expectations along paths, by a forward recursion over where calls start: O(rows K), compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.jit import compiled
from simlab.theory.paths.memory import follow_means
from simlab.theory.paths.rules import MemoryRule, PathRule

TINY = 1e-25
"""A call that has come so far with a smaller probability is followed no further."""


class PathMeans(NamedTuple):
    """Expectations given the path; n paths, K the longest window, G groups of paths, T the longest path.

    calls, rejections, accepted, least_drafted, most_drafted, smooth_rejections: (n,) by path: target calls,
    rejections, accepted tokens, the ends of the bracket of drafted tokens, and rejections again as the sum
    of P(verified) * total variation (nan without one), the same on average and less spread (Rao-Blackwell).
    reached_by_position, accepted_by_position, most_drafted_by_position: (G, K), sums over the paths of a
    group of weight times calls; what is reached is also the least that was drafted.
    rejections_per_position: (T,), the sum over all paths of weight times P(token t of the text is rejected).
    """

    calls: np.ndarray
    rejections: np.ndarray
    accepted: np.ndarray
    least_drafted: np.ndarray
    most_drafted: np.ndarray
    smooth_rejections: np.ndarray
    reached_by_position: np.ndarray
    accepted_by_position: np.ndarray
    most_drafted_by_position: np.ndarray
    rejections_per_position: np.ndarray


def path_means(
    first: np.ndarray,
    accept: np.ndarray,
    rule: PathRule | MemoryRule,
    offsets: np.ndarray,
    weights: np.ndarray,
    total_variation: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> PathMeans:
    """The expectations of decoding by `rule` along paths.

    accept: (rows,), a_t. first: (rows,), the same for the first token that a call drafts; `accept` itself but
    for batch decoding. offsets: (n + 1,). weights: (n,). total_variation: (rows,) or None. groups: (n,) whole
    numbers from 0, the group of each path; None: all are one. Time O(rows K), memory O(n + G K); with a
    memory as many times as there are states.
    """
    n, longest = len(offsets) - 1, rule.longest
    groups = np.zeros(n, np.int64) if groups is None else np.asarray(groups, np.int64)
    by_path = np.zeros((6, n))
    by_position = np.zeros((int(groups.max()) + 1, 3, longest + 1))
    per_position = np.zeros(int(np.diff(offsets).max()))
    given = np.zeros(0) if total_variation is None else total_variation
    sums = (by_path, by_position, per_position)
    if isinstance(rule, MemoryRule):
        follow_means(accept, given, rule.windows, rule.after, offsets, weights, groups, *sums)
    else:
        arrays = (first, accept, given, rule.drafted, rule.most, offsets, weights, groups)
        _follow(*arrays, int(rule.bonus), *sums)
    if total_variation is None:
        by_path[5] = np.nan
    # A call counts at the number that it drafted; at least i were drafted by those with i or more.
    most = np.cumsum(by_position[:, 2, ::-1], axis=1)[:, ::-1]
    reached, accepted = by_position[:, 0, :longest], by_position[:, 1, :longest]
    return PathMeans(*by_path, reached, accepted, most[:, 1:], per_position)


@compiled
def _follow(
    first,
    accept,
    variation,
    drafted,
    most,
    offsets,
    weights,
    groups,
    bonus,
    by_path,
    by_position,
    per_position,
):
    """Adds up the fields of `PathMeans`: by_path (6, n), by_position (G, 3, K + 1), per_position (T,)."""
    starts = np.zeros(per_position.size + 1)  # P(a call starts at this token of the path)
    verified = np.zeros(per_position.size)  # P(a drafted token is verified there)
    rejected = np.zeros(per_position.size)
    for path in range(offsets.size - 1):
        begin, length, weight = offsets[path], offsets[path + 1] - offsets[path], weights[path]
        sums = by_position[groups[path]]
        reached, accepted, exactly = sums[0], sums[1], sums[2]
        starts[: length + 1] = 0.0
        verified[:length] = 0.0
        rejected[:length] = 0.0
        starts[0] = 1.0
        for s in range(length):
            mass = starts[s]
            if mass == 0.0:
                continue
            window, largest = drafted[begin + s], most[begin + s]
            going, chance = mass, first[begin + s]
            for i in range(window):
                t = s + i
                if i:
                    chance = accept[begin + t]
                passed = going * chance
                verified[t] += going
                rejected[t] += going - passed
                starts[t + 1] += going - passed
                reached[i] += weight * going
                accepted[i] += weight * passed
                going = passed
                if going < TINY:
                    break
            starts[s + window + bonus] += going
            exactly[window] += weight * going
            exactly[largest] += weight * (mass - going)
            by_path[0, path] += mass
            by_path[4, path] += window * going + largest * (mass - going)
        for t in range(length):
            by_path[1, path] += rejected[t]
            by_path[2, path] += verified[t] - rejected[t]
            by_path[3, path] += verified[t]
            per_position[t] += weight * rejected[t]
            if variation.size:
                by_path[5, path] += verified[t] * variation[begin + t]
