"""Theorem 3 and Proposition 1 of Yin et al. 2024: what batch speculative decoding rejects, and its limit."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from simlab.decoders import BatchSpeculative
from simlab.evidence import Judging, Status
from simlab.pairs import ChainPair
from simlab.theory import expected_rejections_per_position, predict, theorem3_expected_rejections
from simlab.verify.check import Check
from simlab.verify.compare import Claim, at_least, equal, rounding
from simlab.verify.places import distance, first_steps, steps_of

SOURCE = "Yin et al. 2024, Theorem 3"
PROPOSITION = "Yin et al. 2024, Proposition 1"
GROWING = (1, 2, 4, 16, 256, 10**6)
MANY = 10**12
ENTRIES = 10**7
"""Of a pair's rows, for which the recursion of a great many drafts takes seconds."""


def check_formula(pair: ChainPair, drafts: int) -> Check:
    """The printed recursion on f against the mean of the exact distribution of N_rej."""
    claim = Claim(
        f"theorem 3, formula, {drafts} drafts",
        SOURCE,
        f"With {drafts} drafts E[N_rej] is what the printed recursion on f says",
        "printed formula",
        "mean of the exact distribution",
    )
    pmf = predict(pair, BatchSpeculative(drafts)).rejections_pmf
    return equal(
        claim,
        theorem3_expected_rejections(pair, drafts),
        float(pmf @ np.arange(len(pmf))),
        tolerance=rounding(pair),
        scope=steps_of(pair),
    )


def simulated_claims(drafts: int) -> tuple[Claim, Claim]:
    """What `simulated` says of the sampler's mean N_rej, and of its tokens."""
    rejections = Claim(
        f"theorem 3, simulation, {drafts} drafts",
        SOURCE,
        f"The sampler with {drafts} drafts rejects as many tokens on average as the formula says",
        "simulated E[N_rej]",
        "printed formula",
    )
    tokens = Claim(
        f"theorem 3, tokens, {drafts} drafts",
        SOURCE,
        f"Batch speculative decoding with {drafts} drafts is unbiased: every token follows the target",
        "simulated",
        "target alone",
    )
    return rejections, tokens


def check_monotone(pair: ChainPair) -> Check:
    """More drafts never reject more: each E[N_rej] of a growing series, up to the limit, against the next."""
    claim = Claim(
        "proposition 1, monotone",
        PROPOSITION,
        "More drafts never reject more, and infinitely many the least",
        "E[N_rej] with fewer drafts",
        "with more",
    )
    pair, steps = first_steps(pair, ENTRIES)
    series = np.array([_rejections(pair, drafts) for drafts in (*GROWING, MANY, math.inf)])
    spelled = ", ".join(f"{drafts:,}" for drafts in GROWING)
    scope = f"{steps}, {spelled}, 10^12 and infinitely many drafts; the two that are closest"
    return at_least(claim, series[:-1], series[1:], tolerance=rounding(pair), scope=scope)


def check_limit(pair: ChainPair, judging: Judging | None = None) -> Check:
    """A great many drafts against the exact limit, as far apart as a bound allows (`most_left`).

    INCONCLUSIVE where the draft's probabilities are so small that so many drafts may be far from the limit.
    judging: the levels of verdicts, of which limit_resolution says what is far.
    """
    claim = Claim(
        "proposition 1, limit",
        PROPOSITION + "; own (the limit and the bound)",
        "E[N_rej] falls to a limit, in general not 0, as the number of drafts grows",
        "recursion, 10^12 drafts",
        "exact limit",
    )
    pair, steps = first_steps(pair, ENTRIES)
    left = most_left(pair, MANY)
    scope = f"{steps}; 10^12 drafts are at most {left:.2g} above the limit"
    check = equal(
        claim,
        _rejections(pair, MANY),
        _rejections(pair, math.inf),
        tolerance=left + rounding(pair),
        scope=scope,
    )
    if check.status == Status.PASS and left > (judging or Judging()).limit_resolution * pair.horizon:
        return replace(check, status=Status.INCONCLUSIVE)
    return check


def check_limit_formula(pair: ChainPair) -> Check:
    """The printed recursion with the residual of infinitely many drafts put in, against the exact limit."""
    claim = Claim(
        "proposition 1, formula",
        PROPOSITION + "; own (the limit)",
        "In the limit fresh positions fail with target{draft = 0}, others as with one draft",
        "printed f, limit put in",
        "exact limit",
    )
    rejected_distribution, distribution, total = pair.initial, pair.initial, 0.0
    for draft, target in zip(pair.draft, pair.target, strict=True):
        never = np.where(draft > 0, 0.0, target)
        residual = np.maximum(target - draft, 0.0)
        total += float(
            rejected_distribution @ never.sum(axis=1)
            + (distribution - rejected_distribution) @ distance(draft, target)
        )
        rejected_distribution = (
            rejected_distribution @ never + (distribution - rejected_distribution) @ residual
        )
        distribution = distribution @ target
    return equal(
        claim,
        total,
        _rejections(pair, math.inf),
        tolerance=rounding(pair),
        scope=steps_of(pair),
    )


def most_left(pair: ChainPair, drafts: int) -> float:
    """A bound on E[N_rej] with `drafts` drafts less the limit (own).

    With s_m the probability that draft m is tried at a fresh position, S_m = s_1 + ... + s_m and
    Z = target{draft = 0}, the probability that m drafts fail is s_{m+1} = Z + sum [target - S_m draft]_+ over
    draft > 0. As s falls, S_m >= m s_{m+1}, so s_{m+1} is at most the root s of
    s = Z + sum [target - m s draft]_+, whose right side falls with s. A rejection that fewer drafts cause
    costs 1 and leaves a fresh position, which is worth between 0 and 1 rejections to come; so E[N_rej]
    differs by at most the sum over positions of E[s_{M+1} - Z], taken as if all were fresh.
    """
    distribution, total, left = pair.initial, 0.0, None
    for draft, target in zip(pair.draft, pair.target, strict=True):
        if left is None or not pair.is_stationary:
            left = _most_left(draft, target, drafts)
        total += float(distribution @ left)
        distribution = distribution @ target
    return total


def _most_left(draft: np.ndarray, target: np.ndarray, drafts: int) -> np.ndarray:
    """Above s_{M+1} - Z for each row, (V,), by bisection of the root."""
    proposed = draft > 0
    never = np.where(proposed, 0.0, target).sum(axis=1)
    low, high = np.zeros(len(draft)), np.ones(len(draft))
    for _ in range(60):
        middle = (low + high) / 2
        reach = np.where(proposed, target - drafts * (never + middle)[:, None] * draft, 0.0)
        above = middle >= np.maximum(reach, 0.0).sum(axis=1)
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return high


def _rejections(pair: ChainPair, drafts: int | float) -> float:
    return float(expected_rejections_per_position(pair, BatchSpeculative(drafts)).sum())
