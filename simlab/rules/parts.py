"""What rules are made of: ratios, residuals and the likeliest token of rows (V,)."""

from __future__ import annotations

import numpy as np


def ratio(goal: np.ndarray, draft: np.ndarray) -> np.ndarray:
    """min(1, goal/draft), (V,); 1 where the draft is 0, which proposes no such token.

    Rounded so that draft * ratio is goal itself wherever a number of this precision can do so.
    """
    found = np.ones(len(draft))
    np.divide(goal, draft, out=found, where=goal < draft)
    for _ in range(2):
        missing = np.where(goal < draft, goal - draft * found, 0.0)
        found = np.where(missing == 0, found, np.nextafter(found, np.where(missing > 0, 1.0, 0.0)))
    return found


def residual(target: np.ndarray, accepted: np.ndarray) -> np.ndarray:
    """[target - accepted]_+, normalised, (V,); the target where that is 0 everywhere."""
    excess = np.maximum(target - accepted, 0.0)
    whole = excess.sum()
    return excess / whole if whole > 0 else target


def likeliest(row: np.ndarray) -> np.ndarray:
    """All the mass on the likeliest token, (V,); of equally likely ones on the lowest number."""
    sure = np.zeros(len(row))
    sure[int(np.argmax(row))] = 1.0
    return sure
