"""What an interval is, and how far an exact value lies outside of one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.errors import SimlabError

ROUNDING = 1e-12
"""Relative rounding allowed to an exact value: far above what the theory's sums lose, far below any band."""


class Interval(NamedTuple):
    """An estimate and its interval; floats, or arrays of one shape for a band."""

    estimate: float | np.ndarray
    low: float | np.ndarray
    high: float | np.ndarray


def scaled_residuals(interval: Interval, exact) -> np.ndarray:
    """(estimate - exact) / half-width, the half-width taken on the side on which the exact value lies.

    -1 and 1 are then exactly the ends of the interval, also where it is lopsided, as it is for a rare event.
    Where that half-width is 0 (no hits, and a negative exact value) a difference is infinite, no difference
    0. Returns float64 of the shape of the estimate.
    """
    estimate, low, high, exact = (np.asarray(a, float) for a in (*interval, exact))
    difference = estimate - exact
    half_width = np.where(difference > 0, estimate - low, high - estimate)
    difference = np.where((half_width == 0) & (np.abs(difference) <= ROUNDING), 0.0, difference)
    with np.errstate(divide="ignore"):
        return np.divide(difference, half_width, out=np.zeros_like(difference), where=difference != 0)


def error_of(confidence: float) -> float:
    """The error probability 1 - confidence; raises SimlabError unless 0 < confidence < 1."""
    if not 0 < confidence < 1:
        raise SimlabError(
            f"confidence = {confidence!r} is not valid; expected a probability between 0 and 1, both excluded"
        )
    return 1 - confidence


def check_histogram(histogram) -> np.ndarray:
    """`histogram` as int64 (T+1,), T >= 1, counting at least one trajectory; raises SimlabError otherwise."""
    histogram = np.asarray(histogram)
    if histogram.ndim != 1 or histogram.size < 2 or histogram.dtype.kind not in "iu":
        raise SimlabError(
            f"a histogram of shape {histogram.shape} and type {histogram.dtype}: "
            "give whole numbers (T+1,), T >= 1"
        )
    histogram = histogram.astype(np.int64)
    if histogram.min() < 0 or histogram.sum() < 1:
        raise SimlabError(
            f"a histogram with least entry {histogram.min()} and sum {histogram.sum()}: "
            "give counts of at least one trajectory"
        )
    return histogram


def last_true(condition, inside, outside, halvings: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """Bisect from `inside`, where `condition` holds, to `outside`: elementwise (still inside, outside).

    condition: arrays -> bool arrays, monotone along the way. inside, outside: floats or arrays of one shape.
    The two answers differ by 2^-halvings of the way; that `condition` holds at `inside` is not looked at.
    """
    inside, outside = np.broadcast_arrays(np.asarray(inside, float), np.asarray(outside, float))
    if inside.ndim == 0:  # the same, for numbers
        inside, outside = inside[()], outside[()]
        for _ in range(halvings):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if condition(middle) else (inside, middle)
        return inside, outside
    for _ in range(halvings):
        middle = (inside + outside) / 2
        holds = condition(middle)
        inside, outside = np.where(holds, middle, inside), np.where(holds, outside, middle)
    return inside, outside
