"""What rules are made of: ratios, residuals and the likeliest token, of a row (V,) or of many, (.., V)."""

from __future__ import annotations

import numpy as np


def ratio(goal, draft) -> np.ndarray:
    """min(1, goal/draft); 1 where the draft is 0, which proposes no such token.

    Rounded so that draft * ratio is goal itself wherever a number of this precision can do so.
    """
    less = goal < draft
    found = np.ones(less.shape)
    np.divide(goal, draft, out=found, where=less)
    for _ in range(2):
        missing = np.where(less, goal - draft * found, 0.0)
        found = np.where(missing == 0, found, np.nextafter(found, np.where(missing > 0, 1.0, 0.0)))
    return found


def residual(target, accepted) -> np.ndarray:
    """[target - accepted]_+, normalised; the target in rows where that is 0 everywhere."""
    excess = np.maximum(target - accepted, 0.0)
    whole = excess.sum(axis=-1, keepdims=True)
    return np.where(whole > 0, excess / np.where(whole > 0, whole, 1.0), target)


def likeliest(rows) -> np.ndarray:
    """All the mass on the likeliest token; of equally likely ones on the lowest number."""
    sure = np.zeros(np.shape(rows))
    np.put_along_axis(sure, np.argmax(rows, axis=-1)[..., None], 1.0, axis=-1)
    return sure
