"""The distribution of a count along paths, of calls or of rejections, by a backward recursion; compiled.

f_s(n) is the probability of n calls (or rejections) from a call that starts at token s on. With S the
probability that the tokens before are accepted, r_t = 1 - a_t, and z the shift of a distribution by one,

    f_s = z sum_{s <= t < s + g} S_t r_t f_{t+1} + (z or 1) S_{s+g} f_{s+g+bonus}.

Its sum slides with s: V_s, the sum where all tokens are accepted with a, is r_s f_{s+1} + a_s (V_{s+1} less
the terms behind the end of the call from s). So a path of L tokens takes O(L^2) operations whatever the
window, where ends rise with their starts; elsewhere the sum is made anew. Subtraction leaves an absolute
error of some L roundings of numbers below 1.
"""

from __future__ import annotations

import numpy as np

from simlab.errors import SimlabError
from simlab.jit import compiled
from simlab.memory import UNASKED, available_memory
from simlab.theory.paths.memory import follow_counts
from simlab.theory.paths.rules import MemoryRule, PathRule


def count_pmf(
    first: np.ndarray,
    accept: np.ndarray,
    rule: PathRule | MemoryRule,
    offsets: np.ndarray,
    weights: np.ndarray,
    *,
    of_calls: bool,
) -> np.ndarray:
    """(T + 1,), the mean over paths of P(n target calls | path), or of P(n rejections | path), n = 0..T.

    first, accept, rule, offsets: as for `path_means`. weights: (n,), which sum to 1. T: the longest path.
    Time O(L^2) a path of L tokens, memory O(T K); with S states of a memory K S and S times as much. Raises
    SimlabError where that is more than there is.
    """
    longest = int(np.diff(offsets).max())
    if isinstance(rule, MemoryRule):
        pmf = np.zeros(longest + 1)
        follow_counts(accept, rule.windows, rule.after, offsets, weights, int(of_calls), pmf)
        return pmf
    rows = int(_rows_kept(rule.drafted, offsets, int(rule.bonus)))
    needed = 8 * rows * longest
    if needed > UNASKED and needed > available_memory() / 2:  # what there is takes a ms to find
        raise SimlabError(
            f"texts of {longest} tokens: the distribution of counts takes {1e-9 * needed:.1f} GB; "
            "give a shorter window or shorter texts"
        )
    pmf = np.zeros(longest + 1)
    _count(first, accept, rule.drafted, offsets, weights, int(rule.bonus), int(of_calls), rows, pmf)
    return np.maximum(pmf, 0.0)


@compiled
def _rows_kept(drafted, offsets, bonus):
    """How many f must be kept at once: from s to the furthest that f_s or V_s asks for."""
    most = 1
    for path in range(offsets.size - 1):
        end = offsets[path + 1]
        for s in range(offsets[path], end):
            stop = s + drafted[s]
            behind = s + 1 + drafted[s + 1] if s + 1 < end else end
            if stop + bonus < end:
                most = max(most, stop + bonus - s)
            if behind > stop:
                most = max(most, behind - s)
            if behind < stop:
                most = max(most, stop - s)
    return most + 1


@compiled
def _count(first, accept, drafted, offsets, weights, bonus, of_calls, rows, pmf):
    found = np.zeros((rows, pmf.size))  # f_s at row s % rows
    sliding = np.zeros(pmf.size)
    for path in range(offsets.size - 1):
        begin, length = offsets[path], offsets[path + 1] - offsets[path]
        found[length % rows] = 0.0
        found[length % rows, 0] = 1.0
        sliding[: length + 1] = 0.0
        behind = length  # where the call from s + 1 ends drafting
        for s in range(length - 1, -1, -1):
            most = length - s  # f_s has the counts 0..most
            stop = s + drafted[begin + s]
            survived = _slide(sliding, found, accept, begin, length, s, stop, behind, rows)
            next_start, now = found[(s + 1) % rows], found[s % rows]
            now[0] = 0.0
            if stop == s:
                now[1 : most + 1] = 0.0
            else:
                accepted, passed = accept[begin + s], first[begin + s]
                survived *= passed
                for n in range(most):
                    after = sliding[n]
                    now[n + 1] = (1.0 - passed) * next_start[n] + passed * after
                    sliding[n] = (1.0 - accepted) * next_start[n] + accepted * after
            start = stop + bonus
            if start >= length:  # beyond it where the last drafted token ended the text
                now[of_calls] += survived
            else:
                _add(now[of_calls:], survived, found[start % rows], length - start + 1)
            behind = stop
        _add(pmf, weights[path], found[0], length + 1)


@compiled
def _slide(sliding, found, accept, begin, length, s, stop, behind, rows):
    """Turns `sliding` from V_{s+1} into the sum over s < t < stop of a_{s+1} .. a_{t-1} r_t f_{t+1}.

    V_{s+1} has the terms to `behind`. Returns a_{s+1} .. a_{stop-1}.
    """
    going = 1.0
    if stop == s or behind < stop:
        sliding[: length - s] = 0.0
        behind = s + 1
    for t in range(s + 1, stop):
        if t >= behind:
            _add(sliding, going * (1.0 - accept[begin + t]), found[(t + 1) % rows], length - t)
        going *= accept[begin + t]
    survived = going
    for t in range(stop if stop > s else behind, behind):
        _add(sliding, -going * (1.0 - accept[begin + t]), found[(t + 1) % rows], length - t)
        going *= accept[begin + t]
    return survived


@compiled
def _add(total, factor, row, size):
    for n in range(size):
        total[n] += factor * row[n]
