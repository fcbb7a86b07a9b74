"""Counts by position out of lines that print rounded rates: the calls, and how often each position accepted.

A line has A accepted of D drafted tokens, the mean length 1 + A/N and the rates A_i/N, rounded. N is D/K
where every draft was full; otherwise it is sought among the whole numbers that the length allows. Given N,
A_i is a whole number within the rounding of its rate, and all of them sum to A, which narrows it further:
below 1/(2 h) calls, h half a unit of the last digit, at most one is left.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from simlab.errors import SimlabError

BATCH = 50_000
SEARCHED = 5000
TINY = 1e-9


@dataclass
class Sums:
    """What lines with K rates each add up to."""

    lines: int
    calls: int
    drafted: int
    accepted: int
    point: np.ndarray
    low: np.ndarray
    high: np.ndarray
    broken_sums: int
    broken_lengths: int


class RateLines:
    """Lines with rates by position, summed up in batches, by their number of positions.

    A row is (mean length, accepted, drafted, rates) as the line has them, bytes, the length empty where it is
    not printed, and a fifth entry, the calls, where the line says them.
    """

    def __init__(self) -> None:
        self.waiting: Counter = Counter()
        self.sums: dict[int, Sums] = {}

    def add(self, rows: Iterable[tuple]) -> None:
        self.waiting.update(rows)
        if len(self.waiting) >= BATCH:
            self._settle()

    def settled(self) -> dict[int, Sums]:
        """The sums by the number of positions."""
        self._settle()
        return self.sums

    def _settle(self) -> None:
        by_positions: dict[int, list] = {}
        for row, weight in self.waiting.items():
            by_positions.setdefault(row[3].count(b",") + 1, []).append((row, weight))
        self.waiting = Counter()
        for positions, weighted in by_positions.items():
            rows, weights = zip(*weighted, strict=True)
            new, old = _sums(rows, np.array(weights)), self.sums.get(positions)
            names = [field.name for field in dataclasses.fields(Sums)]
            self.sums[positions] = new if old is None else Sums(
                *(getattr(old, name) + getattr(new, name) for name in names)
            )  # fmt: skip


def _sums(rows: Sequence[tuple], weights: np.ndarray) -> Sums:
    """Of rows with the same number of rates, each so many times."""
    half = _half_unit(rows[0][3])
    rates = np.array([row[3].split(b",") for row in rows]).astype(float)
    accepted, drafted = (np.array([int(row[at]) for row in rows]) for at in (1, 2))
    length = np.array([float(row[0]) if row[0] else np.nan for row in rows])
    _check(rates, accepted, drafted, rows)
    calls, fits = calls_of(length, accepted, drafted, rates, half)
    for at, row in enumerate(rows):
        if len(row) > 4:
            calls[at] = row[4]
            fits[at] = not row[0] or abs(1 + int(row[1]) / row[4] - length[at]) <= 0.005 + TINY
    point, low, high, sums = counts_of(calls, accepted, rates, half)
    return Sums(
        int(weights.sum()), *(int(values @ weights) for values in (calls, drafted, accepted)),
        *(weights @ part for part in (point, low, high)), int((~sums) @ weights), int((~fits) @ weights),
    )  # fmt: skip


def _half_unit(rates: bytes) -> float:
    return 0.5 * 10.0 ** -len(rates.split(b",")[0].strip().partition(b".")[2])


def _check(rates, accepted, drafted, rows) -> None:
    if (accepted > drafted).any():
        at = int((accepted > drafted).argmax())
        raise SimlabError(
            f"accepted = {accepted[at]} of drafted = {drafted[at]} in one line: these numbers contradict"
        )
    wrong = (np.diff(rates, axis=1) > 0).any(axis=1) | (rates > 1).any(axis=1)
    if wrong.any():
        shown = rows[int(wrong.argmax())][3].decode("ascii", "replace")
        raise SimlabError(
            f"acceptance rates by position {shown}: rates of all calls lie in [0, 1] and fall from position "
            "to position: these numbers contradict"
        )


def calls_of(length, accepted, drafted, rates, half: float) -> tuple[np.ndarray, np.ndarray]:
    """The calls N of each line, int64 (n,), and whether some N fits all that the line says, bool (n,).

    length: floats (n,), to half a unit of 0.01, nan where not printed; accepted, drafted: (n,); rates:
    (n, K).
    """
    positions = rates.shape[1]
    calls = drafted // positions
    full = (drafted % positions == 0) & (calls > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        full &= np.isnan(length) | (np.abs(1 + accepted / calls - length) <= 0.005 + TINY)
    full &= _feasible(calls[:, None], accepted, rates, half)[:, 0]
    fits = full.copy()
    for at in np.flatnonzero(~full):
        calls[at], fits[at] = _searched(length[at], accepted[at], drafted[at], rates[at], half)
    return calls, fits


def _searched(length, accepted, drafted, rates, half) -> tuple[int, bool]:
    """N of a line whose drafts were not all full, nearest to A/(length - 1) of those that fit."""
    least = max(-(-int(drafted) // len(rates)), 1)
    gained = length - 1 if not np.isnan(length) else float(rates.sum())
    slack = 0.005 if not np.isnan(length) else half * len(rates)
    if not accepted or gained <= 0:
        return least, bool(np.isnan(length) or abs(length - 1) <= 0.005) and not accepted
    lowest = max(int(np.ceil(accepted / (gained + slack + TINY))), 1)
    highest = int(accepted / max(gained - slack - TINY, TINY)) if gained > slack else lowest + SEARCHED
    nearest = max(round(accepted / gained), 1)
    tried = np.arange(lowest, min(highest, lowest + SEARCHED) + 1)
    fitting = tried[_feasible(tried[None, :], np.array([accepted]), rates[None, :], half)[0]]
    if not fitting.size:
        return nearest, False
    fitting = fitting[fitting >= least] if (fitting >= least).any() else fitting
    return int(fitting[np.abs(fitting - nearest).argmin()]), True


def _feasible(calls, accepted, rates, half) -> np.ndarray:
    """Whether so many calls, (n, m), allow whole numbers within the rates' rounding that sum to A; (n, m)."""
    low = np.ceil((rates[:, None, :] - half) * calls[:, :, None] - TINY)
    high = np.floor((rates[:, None, :] + half) * calls[:, :, None] + TINY)
    inside = (np.maximum(low, 0) <= np.minimum(high, calls[:, :, None])).all(axis=2)
    return inside & (low.sum(axis=2) <= accepted[:, None]) & (accepted[:, None] <= high.sum(axis=2))


def counts_of(calls, accepted, rates, half: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A_i of each line, int64 (n, K): the likeliest, the least, the most; and whether they sum to A, (n,)."""
    times = calls[:, None]
    low = np.clip(np.ceil((rates - half) * times - TINY), 0, times).astype(np.int64)
    high = np.clip(np.floor((rates + half) * times + TINY), low, times).astype(np.int64)
    total = accepted[:, None]
    summed = (low.sum(axis=1) <= accepted) & (accepted <= high.sum(axis=1))
    known = summed[:, None]
    narrow_high = np.where(known, np.minimum(high, total - (low.sum(axis=1)[:, None] - low)), high)
    narrow_low = np.where(known, np.maximum(low, total - (high.sum(axis=1)[:, None] - high)), low)
    point = np.clip(np.rint(rates * times).astype(np.int64), narrow_low, narrow_high)
    missing = np.where(summed, accepted - point.sum(axis=1), 0)
    for at in range(point.shape[1]):  # too few: to the first positions, so that the counts still fall
        more = np.clip(missing, 0, narrow_high[:, at] - point[:, at])
        point[:, at] += more
        missing -= more
    for at in reversed(range(point.shape[1])):  # too many: from the last ones
        less = np.clip(-missing, 0, point[:, at] - narrow_low[:, at])
        point[:, at] -= less
        missing += less
    return point, narrow_low, narrow_high, summed
