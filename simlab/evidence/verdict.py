"""Verdicts: does what was simulated agree with what was predicted, and what could have been noticed?

An *equality* verdict says FAIL where the exact value lies outside an interval (or a simultaneous band) that
holds the truth with probability 1 - false_alarm: with the theory and the sampler both right, FAIL has at most
that probability, at any sample size. It says what it could have seen as well: `detectable` is such that

    P(the truth differs from the exact value by more than `detectable`, and yet no FAIL) <= miss.

It is read off the data, and holds without approximation: with probability 1 - miss the truth lies in the
interval [low', high'] at that level; and an exact value further from it than max(high' - low, high - low')
lies outside [low, high]. Where the exact value is itself known only to lie in a bracket, FAIL takes all of
the bracket outside, `exact` is its middle, and half its width is added to `detectable`. A PASS that could not
have seen what the caller cares about is INCONCLUSIVE.

A *bound* verdict claims that a mean is at most `exact`. FAIL takes a lower end above it, and this end alone
spends the false alarm; `detectable` is how far above the bound the truth must lie to be flagged with
probability 1 - miss: more than high' - low, by the argument above, high' missing the truth with probability
miss. PASS: no excess of more than `resolution` is left, high' <= exact + resolution; if the truth is
further above the bound, PASS has at most the probability miss. `low` and `high` are these two ends.

A *rate* verdict claims that a slope is within `allowance` of `exact`: FAIL takes an interval that lies
outside of that altogether, and the allowance is added to `detectable`, as half a bracket is.

Intervals for a fixed size also serve a size chosen by looking at the data, if it is one of K sizes named
beforehand: at a K-th of either error they hold, and so do both statements above, at all K sizes at once (own:
a union over the sizes).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import numpy as np

from simlab.errors import SimlabError
from simlab.evidence.interval import ROUNDING, Interval

Made = TypeVar("Made")

FALSE_ALARM = MISS = 1e-6
"""The probabilities with which a true claim may FAIL, and a discrepancy of more than `detectable` may not."""

LEAST_ERROR = 1e-100
"""The least error probability of one size: the binomial ends are accurate at tails down to 1e-120."""


class Status(StrEnum):
    """PASS: what is claimed holds, and a difference of `resolution` would have been noticed.
    FAIL: it does not. INCONCLUSIVE: it may hold, but the sample is too small to see `resolution`.
    """

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True)
class Verdict:
    """What was held against what, and what came out. `dataclasses.asdict` makes it fit for JSON.

    name: of the claim, given by the caller. kind: "equality", "bound" (the statistic is at most `exact`) or
    "rate" (a slope is within `allowance` of `exact`). statistic: what estimate, exact, low and high are of;
    for a table the cell that lies furthest out of its interval, in half-widths. low, high: the interval, in a
    table one that holds all cells at once. false_alarm: at most the probability of FAIL if the
    claim is true. miss, detectable: a discrepancy (in a table: of any cell) of more than `detectable` is
    flagged with probability >= 1 - miss. resolution: the discrepancy that the caller wants to see. method:
    "fixed size"; "fixed size, at each of K sizes at once", where the size may be any of those; or "confidence
    sequence", which stays valid when the size was chosen by looking at the data.
    """

    name: str
    kind: str
    status: Status
    statistic: str
    estimate: float
    exact: float
    low: float
    high: float
    false_alarm: float
    miss: float
    detectable: float
    resolution: float
    trajectories: int
    method: str
    allowance: float = 0.0


def judge_mean(
    name: str,
    interval: Interval,
    miss_interval: Interval,
    exact: float,
    *,
    trajectories: int,
    method: str,
    resolution: float,
    false_alarm: float,
    miss: float,
    kind: str = "equality",
    statistic: str = "mean",
    allowance: float = 0.0,
) -> Verdict:
    """Is the mean `exact`, but for the allowance? By intervals at the false alarm and at the miss.

    Raises SimlabError for an exact value that is not finite.
    """
    exact = check_finite(name, exact)
    slack = ROUNDING * max(1.0, abs(exact)) + allowance
    outside = not interval.low - slack <= exact <= interval.high + slack
    detectable = detectable_of(interval, miss_interval) + allowance
    return Verdict(
        name=name,
        kind=kind,
        status=status_of(outside, detectable, resolution),
        statistic=statistic,
        estimate=interval.estimate,
        exact=exact,
        low=interval.low,
        high=interval.high,
        false_alarm=float(false_alarm),
        miss=float(miss),
        detectable=detectable,
        resolution=float(resolution),
        trajectories=trajectories,
        method=method,
        allowance=allowance,
    )


def check_finite(name: str, exact: float) -> float:
    """`exact` as a float; raises SimlabError naming the claim unless it is finite."""
    if not np.isfinite(exact):
        raise SimlabError(f"{name}: the exact value is {float(exact)}: give a finite number")
    return float(exact)


def detectable_of(interval: Interval, miss_interval: Interval) -> float:
    """The discrepancy that would have been flagged, in a table of any cell; see the module's docstring."""
    return float(np.max(np.maximum(miss_interval.high - interval.low, interval.high - miss_interval.low)))


def status_of(outside: bool, detectable: float, resolution: float) -> Status:
    """FAIL where the exact value is outside; where it is not, whether `resolution` could have been seen."""
    if outside:
        return Status.FAIL
    return Status.PASS if detectable <= resolution else Status.INCONCLUSIVE


def method_of(looks: int) -> str:
    """How the sample size came about, in words."""
    return "fixed size" if looks == 1 else f"fixed size, at each of {looks} sizes at once"


def error_share(error: float, looks: int = 1, name: str = "false_alarm") -> float:
    """The part of an error probability, by its name, that each of `looks` sizes may spend."""
    if not (error < 1 and error / looks >= LEAST_ERROR):
        shared = f" over {looks} sizes" if looks > 1 else ""
        raise SimlabError(
            f"{name} = {error!r}{shared}: give a probability < 1, at least {LEAST_ERROR} a size"
        )
    return error / looks


def error_shares(false_alarm: float, miss: float, looks: int = 1) -> tuple[float, float]:
    """The false alarm and the miss that each of `looks` sizes may spend."""
    return error_share(false_alarm, looks), error_share(miss, looks, "miss")


def at_each(errors: tuple[float, float], made: Callable[[float], Made]) -> tuple[Made, Made]:
    """What is made at the false alarm and at the miss, once where they are the same."""
    alarm, miss = errors
    first = made(alarm)
    return first, first if alarm == miss else made(miss)
