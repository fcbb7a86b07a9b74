"""An adversary's search for rows on which a rule of verifying many drafts is furthest below the optimum."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.theory.many_drafts import acceptance, optimal_acceptance, recursive_guarantee
from simlab.verify.check import Check
from simlab.verify.compare import EXACT, Claim, at_least

POPULATION, ROUNDS = 40, 80


class Worst(NamedTuple):
    """The least acceptance over optimum that was found, and the rows that have it, draft and target (V,)."""

    ratio: float
    draft: np.ndarray
    target: np.ndarray


def worst_rows(rule: str, drafts: int, states: int, seed: int = 0, replacement: bool = True) -> Worst:
    """Rows of so many tokens with a small acceptance of `rule` over the optimum of the same drafts.

    An evolution of POPULATION rows over ROUNDS: logits of both models, mutated by shrinking steps and by
    differences of good ones, of which the best are kept. A search: it may miss the least.
    """
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(drafts, states)))
    logits = 3.0 * random.standard_normal((POPULATION, 2, states))
    ratios = _ratios(rule, logits, drafts, replacement)
    for turn in range(ROUNDS):
        good = np.argsort(ratios)[: POPULATION // 4]
        parent, one, other = (logits[random.choice(good, POPULATION)] for _ in range(3))
        size = max(0.92**turn, 3e-3) * random.random((POPULATION, 1, 1))
        jump = 0.5 * (random.random((POPULATION, 1, 1)) < 0.5)
        child = parent + size * random.standard_normal(parent.shape) + jump * (one - other)
        logits = np.concatenate([logits, child])
        ratios = np.concatenate([ratios, _ratios(rule, child, drafts, replacement)])
        kept = np.argsort(ratios, kind="stable")[:POPULATION]
        logits, ratios = logits[kept], ratios[kept]
    return Worst(float(ratios[0]), *_rows(logits[:1])[0])


def check_guarantee(found: dict[tuple[int, int], Worst]) -> Check:
    """No rows that were found break the guarantee of recursive rejection. found: by (drafts, states)."""
    claim = Claim(
        "many drafts, recursive rejection near the ceiling",
        "own",
        "Recursive rejection accepts at least rho_k > 3/4 of the optimum of k independent drafts",
        "least acceptance / optimum found",
        "rho_k",
    )
    scope = f"{len(found)} searches by an adversary, k and tokens {', '.join(map(str, found))}"
    bounds = [recursive_guarantee(drafts) for drafts, _ in found]
    return at_least(claim, [one.ratio for one in found.values()], bounds, tolerance=EXACT, scope=scope)


def _ratios(rule: str, logits: np.ndarray, drafts: int, replacement: bool) -> np.ndarray:
    draft, target = np.moveaxis(_rows(logits), 1, 0)
    accepted = acceptance(rule, draft, target, drafts, replacement).probability
    return accepted / optimal_acceptance(draft, target, drafts, replacement)


def _rows(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)
