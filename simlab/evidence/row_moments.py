"""Entropy and second moment of rows of which one has a sample only: estimates with intervals."""

from __future__ import annotations

import math

import numpy as np

from simlab.checks import check_count
from simlab.errors import SimlabError
from simlab.evidence.interval import Interval, error_of
from simlab.evidence.mean import sample_mean_interval_at


def sampled_moments(rows, confidence: float) -> tuple[Interval, Interval]:
    """mu = E[sum p log 1/p] and mu2 = E[sum p log^2 p] from n independent rows, with intervals.

    rows: floats (n, V), each a distribution; n fixed beforehand. Returns the estimates with intervals that
    hold both at once with probability >= confidence, in nats and nats^2. Valid for every n >= 1 and every
    distribution of the rows. Raises SimlabError for rows that are not distributions or a confidence outside
    (0, 1). Source: `sample_mean_interval` of numbers in [0, log V] and [0, `most_second_moment`], the error
    halved.
    """
    entropies, seconds = row_moments(rows)
    states = np.shape(rows)[1]
    error = error_of(confidence) / 2
    return (
        sample_mean_interval_at(entropies, math.log(states), error),
        sample_mean_interval_at(seconds, most_second_moment(states), error),
    )


def row_moments(rows) -> tuple[np.ndarray, np.ndarray]:
    """sum p log 1/p and sum p log^2 p of each row, (n,) and (n,), from floats (n, V).

    Rows are divided by their sums, which may be 1e-9 off 1. Raises SimlabError if it is not a distribution.
    """
    rows = np.asarray(rows)
    if rows.ndim != 2 or 0 in rows.shape or rows.dtype.kind not in "iuf":
        raise SimlabError(
            f"rows of shape {rows.shape} and type {rows.dtype}; expected numbers (n, V), n, V >= 1"
        )
    sums = rows.sum(axis=1)
    wrong = ~((rows >= 0).all(axis=1) & (np.abs(sums - 1) <= 1e-9))
    if wrong.any():
        index = int(wrong.argmax())
        raise SimlabError(
            f"row {index} sums to {float(sums[index])!r}, its least entry is {float(rows[index].min())!r}: "
            "give distributions"
        )
    rows = rows / sums[:, None]
    logs = -np.log(np.where(rows > 0, rows, 1.0))
    entropies = np.clip((rows * logs).sum(axis=1), 0.0, math.log(rows.shape[1]))
    return entropies, np.minimum((rows * logs**2).sum(axis=1), most_second_moment(rows.shape[1]))


def most_second_moment(states: int) -> float:
    """The largest sum p log^2 p of a distribution on V tokens: log^2 V, but 0.5629 for V = 2 (own).

    Proof. f(p) = p log^2 p has f'(0+) = infinity, so no p is 0 at the maximum (V >= 2), and f'' = 2 (1 + log
    p) / p: concave below 1/e, convex above. Two entries above 1/e, moved apart, would gain; those below it
    have one derivative, on a branch where f' falls, so are equal. What remains is V - 1 entries x <= 1/V and
    one y = 1 - (V - 1) x, with f'(x) = f'(y). As f' = (1 + log p)^2 - 1, that is x = y or x y = e^-2, hence
    y (1 - y) = (V - 1) e^-2, which is at most 1/4 for V = 2 only. So for V >= 3 nothing but the uniform
    distribution is left; for V = 2 the two solutions y = (1 +- sqrt(1 - 4 e^-2)) / 2 = 0.8387, 0.1613 are
    better than the uniform distribution's log^2 2 = 0.4805. Raises SimlabError for V < 1.
    """
    states = check_count("states", states)
    if states != 2:
        return math.log(states) ** 2
    y = (1 + math.sqrt(1 - 4 * math.exp(-2))) / 2
    return y * math.log(y) ** 2 + (1 - y) * math.log(1 - y) ** 2
