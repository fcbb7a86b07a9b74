"""Rounding the columns of a trace to what a small file holds. Stated in the file's provenance (compact)."""

from __future__ import annotations

import numpy as np

PROBABILITY_BITS = 20
"""Significant bits of the two probabilities of the token: relative error at most 1e-6."""

OTHER_BITS = 11
"""Significant bits of every other real number: relative error at most 5e-4."""

FLOOR = 2.0**-30
"""Multiples of it are kept: of other columns than probabilities what is smaller than half of it becomes 0."""

PROBABILITIES = ("draft_probability", "target_probability")


def compacted(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The columns with real numbers rounded; whole numbers and text as they are.

    draft_confidence stays at least the draft probability of the token, which it is the largest of.
    """
    rounded = {
        name: _rounded(name, values) if values.dtype.kind == "f" else values
        for name, values in columns.items()
    }
    if "draft_confidence" in rounded:
        rounded["draft_confidence"] = np.maximum(rounded["draft_confidence"], rounded["draft_probability"])
    return rounded


def _rounded(name: str, values: np.ndarray) -> np.ndarray:
    if name in PROBABILITIES:
        return significant(values, PROBABILITY_BITS)
    return np.round(significant(values, OTHER_BITS) / FLOOR) * FLOOR + 0.0


def significant(values: np.ndarray, bits: int) -> np.ndarray:
    """Floats rounded to so many significant binary digits."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits)
