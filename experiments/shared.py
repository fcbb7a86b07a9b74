"""What the experiments share: verdicts on one job, and the data of the panels they draw."""

from __future__ import annotations

import dataclasses

import numpy as np

from simlab.evidence import (
    Verdict,
    confidence_sequence,
    marginals_verdict,
    mean_interval,
    mean_verdict,
    pmf_verdict,
    running_mean_verdict,
)
from simlab.evidence.interval import Interval
from simlab.runs import HalfWidth, Job, Result
from simlab.theory import Prediction

MEAN_RESOLUTION = 0.005
"""A verdict on E[N_rej] is PASS only if it could have seen a difference of this many rejections a token."""

CELL_RESOLUTION = 0.01
"""A verdict on a pmf or on token marginals is PASS only if it could have seen this difference of probability."""

FALSE_ALARM = 1e-6


def judge(name: str, job: Job, result: Result, prediction: Prediction) -> list[Verdict]:
    """Mean, law of N_rej and token marginals of one job against the exact ones.

    A job of fixed size gets fixed-size intervals. One that stopped by its own interval gets the confidence
    sequence for the mean, and for the cells fixed-size bands at a K-th of the level, where K is the number
    of batches at which it might have stopped (own: a union over those K sizes).
    """
    counts = result.counts
    adaptive = isinstance(job.stop, HalfWidth)
    looks = -(-job.stop.at_most // job.task.batch_size) if adaptive else 1
    cells = {"resolution": CELL_RESOLUTION, "false_alarm": FALSE_ALARM / looks}
    verdicts = [
        judge_mean(f"{name}: E[N_rej]", job, result, prediction),
        pmf_verdict(f"{name}: law of N_rej", counts.rejections, prediction.rejections_pmf, **cells),
        marginals_verdict(
            f"{name}: tokens follow the target",
            counts.tokens,
            counts.trajectories,
            prediction.token_marginals,
            **cells,
        ),
    ]
    if looks > 1:
        method = f"fixed size, at each of {looks} sizes at once"
        verdicts[1:] = [
            dataclasses.replace(verdict, false_alarm=FALSE_ALARM, method=method) for verdict in verdicts[1:]
        ]
    return verdicts


def judge_mean(name: str, job: Job, result: Result, prediction: Prediction) -> Verdict:
    """E[N_rej] of one job against the exact one, by the interval that its stopping rule allows."""
    resolution = MEAN_RESOLUTION * prediction.horizon
    if isinstance(job.stop, HalfWidth):
        return judge_running_average(name, result, prediction)
    return mean_verdict(
        name,
        result.counts.rejections,
        prediction.expected_rejections,
        resolution=resolution,
        false_alarm=FALSE_ALARM,
    )


def judge_running_average(name: str, result: Result, prediction: Prediction) -> Verdict:
    """E[N_rej] against the exact one at whatever number of batches one stopped to look."""
    return running_mean_verdict(
        name,
        result.batch_sums,
        prediction.horizon,
        prediction.expected_rejections,
        resolution=MEAN_RESOLUTION * prediction.horizon,
        false_alarm=FALSE_ALARM,
    )


def interval_of(job: Job, result: Result, prediction: Prediction, confidence: float) -> Interval:
    """The estimate of E[N_rej] and the interval that the job's stopping rule allows."""
    if isinstance(job.stop, HalfWidth):
        return Interval(*(float(end[-1]) for end in running_average(result, prediction, confidence)[1:]))
    return mean_interval(result.counts.rejections, confidence)


def running_average(
    result: Result, prediction: Prediction, confidence: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(runs, mean, low, high), each (K,): after each batch, with an interval valid at all of them at once."""
    runs = np.cumsum(result.batch_sums[:, 0])
    return runs, *confidence_sequence(result.batch_sums, prediction.horizon, confidence)
