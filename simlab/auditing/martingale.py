"""Martingales that grow when a sample does not follow its distribution.

Each function returns the logarithm of a nonnegative martingale that starts at 1 and has mean 1 while every
observation follows the distribution it is held against. By Ville's inequality it reaches 1/alpha at any time
with probability at most alpha; so does any weighted mean of such martingales with weights of sum 1.
"""

from __future__ import annotations

import numpy as np

TILTS = np.array([s * t for t in (0.02, 0.05, 0.12, 0.3, 1.0) for s in (-1.0, 1.0)])
"""Alternatives of a single event: its odds are exp(tilt) times what they should be."""

CONCENTRATIONS = np.array([10.0, 300.0, 5000.0])
"""Alternatives of a distribution: Dirichlet about it, from far (10) to within some .01 (5000)."""


def log_dirichlet(counts: np.ndarray, wanted: np.ndarray, concentration) -> np.ndarray:
    """log of prod_j (n_j(cell) + K w(cell)) / (j - 1 + K) / w(cell), the Dirichlet mixture about `wanted`.

    counts, wanted (..., cells) -> (...), or for several concentrations K (k, ...). Infinite where a cell of
    probability zero was seen. Theory: the product does not depend on the order of the observations, so that
    counts are enough.
    """
    from scipy.special import gammaln

    several = np.atleast_1d(concentration)[:, None]
    seen = counts > 0  # the others gain nothing, and many rows are never visited
    number, mass = counts[seen], np.broadcast_to(wanted, counts.shape)[seen]
    possible = np.where(mass > 0, mass, 1.0)
    prior = several * possible
    gained = np.zeros((len(several), *counts.shape))
    gained[:, seen] = gammaln(number + prior) - gammaln(prior) - number * np.log(possible)
    gained[:, seen & (wanted <= 0)] = np.inf
    logs, total = gained.sum(axis=-1), counts.sum(axis=-1)
    visited = total > 0
    logs[:, visited] -= gammaln(total[visited] + several) - gammaln(several)
    return logs if np.ndim(concentration) else logs[0]


def log_tilted(counts: np.ndarray, wanted: np.ndarray, event: np.ndarray) -> np.ndarray:
    """log of prod exp(tilt [event]) / E exp(tilt [event]) for every tilt: (tilts, ...).

    counts, wanted, event (..., contexts, cells): the event's probability may be another in every context.
    """
    chance = np.where(event, wanted, 0.0).sum(axis=-1)
    hits = np.where(event, counts, 0).sum(axis=(-2, -1))
    tilts = TILTS.reshape(-1, *[1] * chance.ndim)
    price = (counts.sum(axis=-1) * np.log1p(chance * np.expm1(tilts))).sum(axis=-1)
    return TILTS.reshape(-1, *[1] * hits.ndim) * hits - price


def log_mean(logs: np.ndarray) -> np.ndarray:
    """log of the mean of exp(logs) along the first axis, without overflow."""
    logs = np.asarray(logs, dtype=float)
    top = np.maximum.reduce(logs)
    safe = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(over="ignore"):
        total = np.add.reduce(np.exp(logs - safe))
    return np.log(total / len(logs)) + safe
