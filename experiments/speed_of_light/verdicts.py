"""What is known of one distribution of random environments: its moments, its bounds, what was simulated, and
verdicts.

An environment's E[X] at capacity P may be as large as P, and few environments then say nothing of the mean:
all intervals are of values cut off at a whole number that `simlab.theory.cap` finds, with what that may take
from the mean added to the upper end.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simlab.evidence import (
    Interval,
    Judging,
    Verdict,
    bound_verdict,
    most_second_moment,
    rate_verdict,
    row_moments,
    sample_mean_interval,
    sample_mean_verdict,
)
from simlab.experiments.common.outcome import Presentation
from simlab.laws import Softmax
from simlab.reference.environment import row_of
from simlab.report.rows import rank
from simlab.runs import EnvironmentTask, Job, Trajectories
from simlab.theory import speed_of_light as light

TITLE = "The speed of light"

MORE = 10
"""Trees of up to a MORE-th of the largest capacity are searched in MORE times as many environments: either
way it is the same work."""

REMAINDERS = (1e-3, 1e-2, 1e-1)
"""What cutting values off may take from the mean, in tokens: the more, the narrower the interval is else."""

ALLOWANCE = 0.1
"""How far the slope over the capacities fitted may be from 1/mu, its limit, as a part of it."""

ROWS = 10_000
"""Rows that a distribution's moments are estimated from."""

BOUNDS: dict[str, Callable] = {
    "first_order": light.first_order,
    "sharper": light.sharper_bound,
    "dual": light.dual_bound,
    "asymptote": light.asymptote,
}
"""What the moments alone say of E[X], by the names that figures have."""


@dataclass(frozen=True, eq=False)
class Measured:
    """One law: its exact moments, and its environments' values with the bounds at the same capacities.

    capacities: int (K,). values: an array (n,) a capacity, an environment's E[X] in tokens each. most: (K,),
    the whole numbers at which values are cut off; lost: (K,), what that takes from the mean at most. bounds:
    arrays (K,) by name, for each name of BOUNDS and "renewal" where the distribution has that bound. near:
    how many of the capacities, the first, share their environments. interval: the simulated E[X] and its
    interval at every capacity, each for itself: arrays (K,). jobs: what was simulated.
    """

    law: object
    moments: light.Moments
    capacities: np.ndarray
    values: tuple[np.ndarray, ...]
    most: np.ndarray
    lost: np.ndarray
    bounds: dict[str, np.ndarray]
    near: int
    interval: Interval
    jobs: list[Job]

    def cut(self, index: int) -> np.ndarray:
        """The values at one capacity, cut off."""
        return np.minimum(self.values[index], self.most[index])


def environment_jobs(law, capacities, environments: int, seed: int) -> list[Job]:
    """The jobs of one law: MORE times as many environments where trees are small, and the large trees.

    These are asked for the largest of the small ones too, see `measure`.
    """
    near = [capacity for capacity in capacities if MORE * capacity <= capacities[-1]]
    far = [*near[-1:], *capacities[len(near) :]]
    shares = [(near, MORE * environments), (far, environments)]
    return [
        Job(EnvironmentTask(law, tuple(some), seed=seed), law, Trajectories(count))
        for some, count in shares
        if some
    ]


def measure(law, jobs: list[Job], told: Presentation) -> Measured:
    """What the jobs of `environment_jobs` came to, beside the bounds of the distribution.

    Environments differ most near the root, where large trees and small ones are the same: what the estimate
    of a large tree adds to that of the largest small one is averaged over the environments that have both.
    Intervals are of each capacity's own environments.
    """
    parts = [told.result(one).counts.values for one in jobs]
    near = parts[0]
    values, estimates = list(near.T), list(near.mean(axis=0))
    capacities = list(jobs[0].task.capacities)
    for far, one in zip(parts[1:], jobs[1:], strict=True):
        values += list(far[:, 1:].T)
        estimates += list(near[:, -1].mean() + (far[:, 1:] - far[:, :1]).mean(axis=0))
        capacities += one.task.capacities[1:]
    capacities, moments = np.array(capacities), light.moments(law)
    bounds = {name: bound(moments, capacities) for name, bound in BOUNDS.items()}
    if not isinstance(law, Softmax):  # whose steps have no renewal function that is cheap
        bounds["renewal"] = light.renewal_bound(law, capacities)
    judging, confidence = told.settings.judging, told.settings.confidence
    cuts = [
        _cut(law, int(one), len(found), judging.false_alarm)
        for one, found in zip(capacities, values, strict=True)
    ]
    most, lost = np.array(cuts, float).T
    ends = [
        sample_mean_interval(np.minimum(found, cut), cut, confidence)
        for found, cut in zip(values, most, strict=True)
    ]
    low, high = np.array([end[1:] for end in ends]).T
    estimates = np.array(estimates)
    interval = Interval(estimates, np.minimum(low, estimates), np.maximum(high + lost, estimates))
    return Measured(
        law, moments, capacities, tuple(values), most, lost, bounds, near.shape[1], interval, jobs
    )  # fmt: skip


def _cut(law, capacity: int, environments: int, false_alarm: float) -> tuple[int, float]:
    """Where values are cut off and what that loses, such that an interval of so many is narrow: its width has
    a term c log(1 / error) / n. Chosen before anything is looked at.
    """
    cuts = [light.cap(law, capacity, remainder) for remainder in REMAINDERS]
    return min(cuts, key=lambda cut: cut[0] * math.log(1 / false_alarm) / environments + cut[1])


def bound_verdicts(
    measured: Measured, bound: str, judging: Judging, *, resolution: float, false_alarm: float | None = None
) -> list[Verdict | None]:
    """E[X] <= bound at every capacity, None where the bound is infinite.

    resolution: a part of the bound. false_alarm: of each, that of `judging` unless it is given.
    """
    return [
        bound_verdict(
            f"{TITLE}, {measured.law.label}: {bound} bound at P = {capacity:,}",
            measured.cut(index),
            float(value),
            most=float(measured.most[index]),
            lost=float(measured.lost[index]),
            resolution=resolution * float(value),
            false_alarm=false_alarm or judging.false_alarm,
            miss=judging.miss,
        )
        if np.isfinite(value)
        else None
        for index, (capacity, value) in enumerate(
            zip(measured.capacities, measured.bounds[bound], strict=True)
        )
    ]


def closest_of(name: str, verdicts: list[Verdict]) -> Verdict:
    """Several bound verdicts as one: the worst, and of those the one whose estimate is closest to its bound.

    Its false alarm is that of all of them together.
    """
    worst = min(verdicts, key=lambda one: (rank(one.status), (one.exact - one.estimate) / one.exact))
    return dataclasses.replace(
        worst,
        name=name,
        statistic=f"{worst.statistic}, {worst.name.rpartition(' at ')[2]}, the closest of {len(verdicts)}",
        false_alarm=sum(one.false_alarm for one in verdicts),
        detectable=max(one.detectable for one in verdicts),
    )


def moment_verdicts(measured: Measured, seed: int, judging: Judging) -> list[Verdict]:
    """The exact mu and mu2 of the distribution against rows drawn by NumPy, which knows nothing of either."""
    law = measured.law
    words = np.frombuffer(bytes.fromhex(law.digest), dtype=">u4")
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(map(int, words))))
    draw = row_of(law)
    found = row_moments(np.array([draw(random) for _ in range(ROWS)]))
    largest = math.log(law.states), most_second_moment(law.states)
    return [
        sample_mean_verdict(
            f"{TITLE}, {law.label}: {word}",
            values,
            exact,
            most=most,
            resolution=judging.moment_resolution * most,
            **judging.errors,
            statistic="mean over sampled rows",
        )
        for word, values, exact, most in zip(
            ("entropy mu", "second moment mu2"), found, measured.moments, largest, strict=True
        )
    ]


def slope_weights(capacities) -> np.ndarray:
    """(K,) numbers whose product with values at the capacities is the least-squares slope in log P."""
    logs = np.log(np.asarray(capacities, float))
    logs -= logs.mean()
    return logs / (logs @ logs)


def fitted(measured: Measured) -> slice | None:
    """Which capacities the slope is fitted to: those that share most environments, the upper half of them on
    a logarithmic axis. None where these are fewer than two.
    """
    capacities = measured.capacities[: measured.near]
    first = int(np.searchsorted(capacities, np.sqrt(capacities[-1])))
    return slice(first, measured.near) if measured.near - first > 1 else None


def slopes(measured: Measured, span: slice) -> tuple[np.ndarray, float, float]:
    """Each environment's slope in log P, (n,), the largest there can be, and how much of the mean is lost.

    Values are cut off at the largest capacity's number c. They rise with the capacity, and so do the parts
    that are cut off. The slope of a rising sequence between 0 and c is at least 0 and at most c times the
    largest tail sum of the weights, as on such sequences a linear function is largest at a step. So the parts
    cut off, whose mean at the largest capacity is at most `lost`, take at most `lost` times that sum.
    """
    weights = slope_weights(measured.capacities[span])
    tail = float(np.cumsum(weights[::-1]).max())
    most, lost = measured.most[span][-1], measured.lost[span][-1]
    values = np.minimum(np.stack(measured.values[span], axis=1), most)
    return np.clip(values @ weights, 0, most * tail), float(most * tail), float(lost * tail)


def near_limit(measured: Measured) -> bool:
    """Whether the slope in log P can be near 1/mu at the capacities fitted, as that of the tightest bound is.

    Not where rows are nearly certain, for which 1/mu is reached much later, nor where they are uniform or
    nearly so, for which E[X] rises in waves.
    """
    span = fitted(measured)
    if span is None or measured.moments.entropy <= 0:
        return False
    rate = 1 / measured.moments.entropy
    tightest = measured.bounds.get("renewal", measured.bounds["dual"])[span]
    slope = float(slope_weights(measured.capacities[span]) @ tightest)
    return abs(slope - rate) <= ALLOWANCE * rate / 2


def rate_of(measured: Measured, judging: Judging) -> Verdict | None:
    """Is the slope of E[X] in log P 1/mu? None where there is no slope to fit, or none that is near 1/mu."""
    span = fitted(measured)
    if span is None or not near_limit(measured):
        return None
    found, most, lost = slopes(measured, span)
    rate = 1 / measured.moments.entropy
    capacities = measured.capacities[span]
    return rate_verdict(
        f"{TITLE}, {measured.law.label}: slope in log P over {capacities[0]:,} to {capacities[-1]:,}",
        found,
        rate,
        least=0.0,
        most=most,
        allowance=ALLOWANCE * rate + lost,
        resolution=judging.rate_resolution * rate,
        **judging.errors,
    )
