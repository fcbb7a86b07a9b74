"""Tiny pairs with rational rows, for tests that compare with exact distributions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from simlab.pairs.pair import ChainPair


def rational_chains(horizon: int, states: int, seed: int, zeros: float = 0.3, denominator: int = 16):
    """(draft, target, initial) of dyadic Fractions: (T, V, V) twice and (V,); some entries are 0.

    A denominator that is a power of two makes every entry an exact float too.
    """
    generator = np.random.default_rng(seed)

    def row():
        weights = generator.random(states) * (generator.random(states) >= zeros)
        if not weights.any():
            weights[generator.integers(states)] = 1.0
        cuts = np.round(np.cumsum(weights) / weights.sum() * denominator).astype(int)
        return [Fraction(int(part), denominator) for part in np.diff(cuts, prepend=0)]

    chains = [[[row() for _ in range(states)] for _ in range(horizon)] for _ in range(2)]
    return chains[0], chains[1], row()


def as_pair(draft, target, initial) -> ChainPair:
    """The ChainPair of rational chains."""
    return ChainPair(*(np.array(part, dtype=object).astype(np.float64) for part in (draft, target, initial)))
