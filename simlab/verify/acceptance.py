"""Acceptance rules drawn at random: what the claims about *all* rules are tried on.

Each function takes the rows of one position, draft and target (V,), a numpy Generator and how many rules of
each kind, and returns acceptance probabilities b (K, V), K rules: dull ones, extreme ones, sparse ones, and
ones next to the best.
"""

from __future__ import annotations

import numpy as np

NEAR = 10.0 ** -np.arange(1, 13, 2)
"""How far, relatively, the rules next to the best lie from it."""


def any_rules(draft: np.ndarray, target: np.ndarray, random: np.random.Generator, each: int) -> np.ndarray:
    """Rules of five kinds, biased ones too: even, sparse, over-acceptance, part of it, near the fair one."""
    shape = (each, len(draft))
    over = fair_rule(draft, target + random.random((each, 1)) ** 3)
    near = fair_rule(draft, target) * (1 + _nearness(random, each) * random.standard_normal(shape))
    return np.concatenate(
        [random.random(shape), _sparse(random, shape), over, over * random.random(shape), np.clip(near, 0, 1)]
    )


def unbiased_rules(
    draft: np.ndarray, target: np.ndarray, random: np.random.Generator, each: int
) -> np.ndarray:
    """`any_rules`, mended where they let a token pass more often than the target wants it.

    No replacement takes mass away, so an unbiased rule has b draft <= target, which is all that is mended;
    then there is a replacement that makes it unbiased, (target - b draft) / rejected.
    """
    rules = any_rules(draft, target, random, each)
    passed = rules * draft
    return rules * np.divide(target, passed, out=np.ones_like(rules), where=passed > target)


def between_rules(
    draft: np.ndarray, target: np.ndarray, random: np.random.Generator, each: int
) -> np.ndarray:
    """Rules between min(1, target/draft) and 1, of four kinds: uniform, sparse, and near either end."""
    shape = (each, len(draft))
    fair = fair_rule(draft, target)
    near = _nearness(random, each) * random.random(shape)
    ways = np.concatenate([random.random(shape), _sparse(random, shape), near, 1 - near])
    return fair + (1 - fair) * ways


def fair_rule(draft: np.ndarray, target: np.ndarray) -> np.ndarray:
    """min(1, target / draft), broadcast, and 1 where the draft proposes nothing."""
    draft, target = np.broadcast_arrays(draft, target)
    return np.divide(target, draft, out=np.ones(draft.shape), where=draft > target)


def _sparse(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return (random.random(shape) < random.random((shape[0], 1))).astype(float)


def _nearness(random: np.random.Generator, each: int) -> np.ndarray:
    return random.choice(NEAR, size=(each, 1))
