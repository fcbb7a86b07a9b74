"""Random numbers of a recording: a generator a sequence, so that no batch and no restart changes a text."""

from __future__ import annotations

import numpy as np

RECORDED, COUNTED, DECODED = 0, 1, 2
"""What a text is for: the trace; the counts of an n-gram draft; a decoder that is run. Streams differ."""


def generator(seed: int, purpose: int, sequence: int, part: int = 0) -> np.random.Generator:
    """The generator of one sequence, a function of these numbers alone.

    part: of DECODED texts the number of the decoder: runs of several decoders are independent.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, purpose, part, sequence))))


def draw(row: np.ndarray, uniform: float) -> int:
    """The token that a uniform number in [0, 1) picks from weights (V,), which need not sum to 1.

    Never a token of weight 0, whatever rounding does to the sum.
    """
    sums = row.cumsum()
    token = int(np.searchsorted(sums, uniform * sums[-1], side="right"))
    if token < row.size and row[token] > 0:
        return token
    return int(np.flatnonzero(row)[-1])


def rank_mass(row: np.ndarray, token: int, uniform: float) -> float:
    """The probability of likelier tokens, and a uniform part of that of the equally likely ones.

    If the token came from the row, this number is uniform on [0, 1): exactly, for every row. Source: the
    probability integral transform, randomised.
    """
    own = row[token]
    return float(row[row > own].sum() + uniform * row[row == own].sum())
