"""How many tokens a call drafts that starts at a row of a trace."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class PathRule(NamedTuple):
    """A rule along the paths of a trace, whose rows stand one path after the other.

    drafted: (rows,) int64, g, how many tokens a call that starts there drafts if all of them are accepted.
    most: (rows,) int64, how many it may have drafted where one is rejected: g, or more where what it sees
    off the path decides. bonus: whether all g accepted yield one more token. longest: K, no call drafts more.
    """

    drafted: np.ndarray
    most: np.ndarray
    bonus: bool
    longest: int

    @property
    def is_known(self) -> bool:
        """Whether the path tells how many tokens each call drafts."""
        return self.drafted is self.most


class MemoryRule(NamedTuple):
    """Windows with a memory: the automaton of a rule, with the bonus token.

    windows: (S,) int64, by state. after: (S, A + 1) int64, the state after a call of which 0..A tokens were
    accepted; the first call is of state 0. longest: K, no call drafts more.
    """

    windows: np.ndarray
    after: np.ndarray
    longest: int

    @property
    def is_known(self) -> bool:
        """Whether the path tells how many tokens each call drafts."""
        return True


def window_rule(offsets: np.ndarray, windows, bonus: bool, longest: int | None = None) -> PathRule:
    """Windows that depend on the start alone; windows: one number, (rows,) of them, or None: to the end.

    offsets: (n + 1,), path i has the rows offsets[i] to offsets[i + 1]. With R tokens left a call drafts
    min(window, R - 1) with the bonus token and min(window, R) without. longest: K, where no call here may
    draft so many; None: the most that one does.
    """
    drafted = _left(offsets)
    drafted -= int(bonus)
    if windows is not None:
        np.minimum(drafted, windows, out=drafted)
    return PathRule(drafted, drafted, bonus, int(drafted.max()) if longest is None else longest)


def run_rule(offsets: np.ndarray, window: int | None, bonus: bool, horizon: int) -> PathRule:
    """`window_rule` of a decoder that was run to a horizon T, along the texts that it wrote.

    A text of less than T tokens ended with its end token, which the decoder did not know of: with R = T less
    what is written, it drafts min(window, R - 1) tokens with the bonus token and min(window, R) without. What
    would come behind the end is not drafted here, and no bonus token follows it.
    """
    left = _left(offsets)
    short = np.repeat(horizon - np.diff(offsets), np.diff(offsets))
    drafted = left + short - int(bonus)
    if window is not None:
        np.minimum(drafted, window, out=drafted)
    np.minimum(drafted, left, out=drafted)
    return PathRule(drafted, drafted, bonus, int(drafted.max()))


def confident_rule(offsets: np.ndarray, unsure: np.ndarray, window: int | None) -> PathRule:
    """Drafting goes on until the draft is unsure, with the bonus token; window: at most so many.

    unsure: (rows,) bool, whether a call stops before it drafts the token of the row.
    """
    rows = np.arange(len(unsure))
    first_unsure = np.minimum.accumulate(np.where(unsure, rows, len(rows))[::-1])[::-1]
    return _stopped_at(offsets, first_unsure, window)


def cumulative_rule(offsets: np.ndarray, added: np.ndarray, limit: int, window: int | None) -> PathRule:
    """Drafting goes on while the sum of `added` over the rows of the call is <= limit, as `confident_rule`.

    added: (rows,) whole numbers >= 0, that of the row before which the call would stop included.
    """
    total = np.cumsum(added)
    return _stopped_at(offsets, np.searchsorted(total, total - added + limit, side="right"), window)


def _stopped_at(offsets: np.ndarray, first: np.ndarray, window: int | None) -> PathRule:
    """With the bonus token; first: (rows,), the row before which a call from here stops."""
    always = window_rule(offsets, window, True)
    return always._replace(drafted=np.minimum(always.most, first - np.arange(len(first))))


def _left(offsets: np.ndarray) -> np.ndarray:
    """R, (rows,): the tokens of the path from this one on."""
    left = np.repeat(offsets[1:], np.diff(offsets))
    left -= np.arange(len(left))
    return left
