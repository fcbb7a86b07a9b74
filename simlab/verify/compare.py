"""From numbers to checks: two numbers should be equal, or one at least the other, at every position."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from simlab.evidence import Status, Verdict
from simlab.pairs import ChainPair
from simlab.verify.check import Check, Undecided

EXACT = 1e-12
"""Up to which difference two exact numbers of one position are the same."""


@dataclass(frozen=True)
class Claim:
    """What a check is called, where it comes from, what it says, and what its two numbers are (see Check)."""

    name: str
    source: str
    statement: str
    left: str
    right: str


def equal(claim: Claim, left, right, *, tolerance: float, scope: str) -> Check:
    """The claim that left = right everywhere, at most `tolerance` apart; shows the position furthest apart.

    left, right: numbers, or arrays of one shape with at least one entry. A difference that is not a number is
    the largest.
    """
    left, right = _pair_of(left, right)
    difference = left - right
    place = int(np.argmax(np.where(np.isnan(difference), np.inf, np.abs(difference))))
    holds = abs(difference[place]) <= tolerance
    return _check(claim, left[place], right[place], tolerance, Status.PASS if holds else Status.FAIL, scope)


def at_least(claim: Claim, left, right, *, tolerance: float, scope: str) -> Check:
    """The claim that left >= right everywhere, but for `tolerance`; shows where left is the least above.

    left, right: as for `equal`.
    """
    left, right = _pair_of(left, right)
    difference = left - right
    place = int(np.argmin(np.where(np.isnan(difference), -np.inf, difference)))
    holds = difference[place] >= -tolerance
    return _check(claim, left[place], right[place], tolerance, Status.PASS if holds else Status.FAIL, scope)


def simulated(claim: Claim, verdict: Verdict, scope: str = "") -> Check:
    """The claim that a simulated number is `verdict.exact`, judged as the verdict judges it.

    The tolerance is the half-width of the verdict's interval on the side on which the exact value lies.
    scope: what else was looked at, said behind the trajectories.
    """
    end = verdict.high if verdict.exact > verdict.estimate else verdict.low
    cell, _, furthest = verdict.statistic.partition(", ")
    if furthest:
        claim = replace(claim, left=f"{claim.left} {cell}")
    trajectories = f"{verdict.trajectories:,} trajectories, false alarm {verdict.false_alarm:g}"
    scope = ", ".join(filter(None, [trajectories, furthest, scope]))
    return _check(claim, verdict.estimate, verdict.exact, abs(end - verdict.estimate), verdict.status, scope)


def decided(claim: Claim, scope: str, compare: Callable[[], Check]) -> Check:
    """compare(), or where that raises Undecided a check that is INCONCLUSIVE and says why in its scope."""
    try:
        return compare()
    except Undecided as reason:
        return undecided(claim, scope, reason)


def undecided(claim: Claim, scope: str, reason: Exception) -> Check:
    """The check of a claim that could not be decided, for that reason: INCONCLUSIVE, its numbers nan."""
    scope = "; ".join(filter(None, [scope, f"undecided: {str(reason) or type(reason).__name__}"]))
    return _check(claim, np.nan, np.nan, np.nan, Status.INCONCLUSIVE, scope)


def rounding(pair: ChainPair) -> float:
    """How far two exact numbers of the whole sequence may lie apart for rounding.

    A row's sum may differ from 1 (by 1e-9 at most), and each step of a recursion multiplies by such sums:
    after T steps T times the defect, in a sum of T terms T^2 times.
    """
    chains = (*pair.draft_rows, *pair.target_rows, pair.initial[None])
    defect = max(float(np.abs(rows.sum(axis=1) - 1).max()) for rows in chains)
    return EXACT + pair.horizon * 1e-13 + pair.horizon**2 * defect


def _check(claim: Claim, left, right, tolerance, status: Status, scope: str) -> Check:
    return Check(
        name=claim.name,
        source=claim.source,
        statement=claim.statement,
        left=claim.left,
        left_value=float(left),
        right=claim.right,
        right_value=float(right),
        difference=float(left) - float(right),
        tolerance=float(tolerance),
        status=status,
        scope=scope,
    )


def _pair_of(left, right) -> tuple[np.ndarray, np.ndarray]:
    left, right = np.broadcast_arrays(np.asarray(left, float), np.asarray(right, float))
    return left.ravel(), right.ravel()
