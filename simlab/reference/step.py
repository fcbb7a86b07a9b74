"""One step of speculative decoding, done right or with one of its classical mistakes: token by token as an
implementation would, many steps at a time.
"""

from __future__ import annotations

import numpy as np

CHUNK = 1 << 17


def simulate_step(draft, target, trajectories: int, rng, mistake: str | None = None) -> np.ndarray:
    """Independent single steps: int64 (2, V), how often y was accepted, and how often it was a replacement.

    draft, target: (V,), probabilities. rng: a numpy Generator. mistake: None, or one of "no residual",
    "shared uniform", "greedy draft", "not normalised" and "roles exchanged". Raises ValueError for others.
    """
    draft, target = np.asarray(draft, float), np.asarray(target, float)
    counts = np.zeros((2, len(draft)), np.int64)
    for start in range(0, trajectories, CHUNK):
        tokens, rejected = _steps(draft, target, min(CHUNK, trajectories - start), rng, mistake)
        for row, these in enumerate((~rejected, rejected)):
            counts[row] += np.bincount(tokens[these], minlength=len(draft))
    return counts


def _steps(draft, target, count: int, rng, mistake) -> tuple[np.ndarray, np.ndarray]:
    """The tokens that come out, and whether what was proposed was rejected, (count,) each."""
    known = (None, "no residual", "shared uniform", "greedy draft", "not normalised", "roles exchanged")
    if mistake not in known:
        raise ValueError(f"no mistake {mistake!r}")
    proposed = _invert(draft, rng.random(count))
    if mistake == "greedy draft":
        proposed = np.full(count, np.argmax(draft))
    over, under = (draft, target) if mistake == "roles exchanged" else (target, draft)
    coin = rng.random(count)
    # coin < over/under, without the division, which has no value where a token cannot be.
    rejected = coin * under[proposed] >= over[proposed]
    rejected &= over[proposed] < under[proposed]
    excess = np.maximum(over - under, 0.0)
    if not excess.any():  # one distribution: rounding alone may have rejected
        rejected[:] = False
    fresh = coin[rejected] if mistake == "shared uniform" else rng.random(int(rejected.sum()))
    if mistake == "no residual":
        excess = target
    whole = 1.0 if mistake == "not normalised" else excess.sum()
    tokens = proposed.copy()
    tokens[rejected] = _invert(excess, fresh, whole, clamp_to_end=mistake == "not normalised")
    return tokens, rejected


def _invert(weights, uniforms, whole: float | None = None, clamp_to_end: bool = False) -> np.ndarray:
    """Tokens by inverting the distribution function: the first whose cumulated weight exceeds u * whole.

    Where rounding leaves no such token, the last one with positive weight. clamp_to_end: the last token,
    whatever its weight, as the mistake has it.
    """
    if not uniforms.size:
        return np.zeros(0, np.int64)
    ends = np.cumsum(weights)
    last = len(ends) - 1 if clamp_to_end else int(np.flatnonzero(weights)[-1])
    level = uniforms * (ends[-1] if whole is None else whole)
    return np.minimum(np.searchsorted(ends, level, side="right"), last)
