"""What a user hands over: rows of draft and target, and how many drafts; one clear line where it is wrong."""

from __future__ import annotations

import math

import numpy as np

from simlab.checks import check_count, shortened
from simlab.errors import SimlabError

SUM_TOLERANCE = 1e-9
"""How far the sum of a row may lie from 1."""


def checked_rows(draft, target) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 (..., V), broadcast to one shape. Raises SimlabError unless they are distributions."""
    rows = [_distributions(name, value) for name, value in (("draft", draft), ("target", target))]
    try:
        return tuple(np.broadcast_arrays(*rows))
    except ValueError:
        shapes = f"draft has shape {rows[0].shape} and target {rows[1].shape}"
        raise SimlabError(f"{shapes}: give rows of the same tokens, (V,) or (..., V)") from None


def checked_drafts(drafts) -> int | float:
    """`drafts` as an int, or math.inf for the limit of many. Raises SimlabError for anything else."""
    if isinstance(drafts, float) and drafts == math.inf:
        return math.inf
    try:
        return check_count("drafts", drafts)
    except SimlabError:
        wanted = "expected a whole number of at least 1, or inf for the limit"
        raise SimlabError(f"drafts = {shortened(drafts)} is not valid; {wanted}") from None


def _distributions(name: str, value) -> np.ndarray:
    try:
        rows = np.asarray(value, float)
    except (TypeError, ValueError):
        raise SimlabError(
            f"{name} = {shortened(value)} is not valid; expected rows of numbers, (V,) or (..., V)"
        ) from None
    if rows.ndim == 0 or not rows.shape[-1]:
        raise SimlabError(
            f"{name} has shape {rows.shape}; expected rows of at least one token, (V,) or (..., V)"
        )
    sums = rows.sum(axis=-1)
    good = (rows.min(axis=-1) >= 0) & (np.abs(sums - 1) <= SUM_TOLERANCE)  # neither holds for nan
    if not good.all():
        where = tuple(int(index) for index in np.argwhere(~good)[0])
        at = f"{name}{list(where)}" if where else name
        raise SimlabError(
            f"{at} has sum {sums[where]:.12g} and least entry {rows[where].min():.6g}: give probabilities "
            "of at least 0 that sum to 1"
        )
    return rows
