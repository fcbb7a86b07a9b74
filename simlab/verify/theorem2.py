"""Theorem 2 of Yin et al. 2024: no unbiased rejection-based algorithm rejects less than speculative
decoding."""

from __future__ import annotations

import numpy as np

from simlab.pairs import ChainPair
from simlab.verify.acceptance import unbiased_rules
from simlab.verify.check import Check
from simlab.verify.compare import EXACT, Claim, at_least, decided, equal, rounding
from simlab.verify.places import Places, cut, distance
from simlab.verify.programs import (
    ACCURACY,
    least_rejection,
    least_unbiased_rejections,
    sequence_accuracy,
)
from simlab.verify.theorem1 import printed_rejections

SOURCE = "Yin et al. 2024, Theorem 2"
MOST_OF_ONE, MOST_OF_ALL = 33_000, 17_000
"""Variables of the program over whole sequences, of one x_0 and of several, that take seconds."""


def check_program(places: Places) -> Check:
    """The optimum of a linear program over all unbiased algorithms against TV, position by position."""
    claim = Claim(
        "theorem 2, linear program",
        SOURCE,
        "At one position the least P(reject) of an unbiased algorithm is TV(draft, target)",
        "optimum by HiGHS",
        "TV",
    )
    exact = distance(places.draft, places.target)

    def compare() -> Check:
        optimum = [least_rejection(*rows) for rows in zip(places.draft, places.target, strict=True)]
        return equal(claim, optimum, exact, tolerance=ACCURACY, scope=places.scope)

    return decided(claim, places.scope, compare)


def check_search(places: Places, each: int = 20) -> Check:
    """Random unbiased algorithms never reject less than TV.

    each: rules of each of five kinds at each position. That each is unbiased is looked at: target - accepted
    is not negative and has the mass that was rejected, to rounding; else the check FAILs.
    """
    claim = Claim(
        "theorem 2, random search",
        SOURCE,
        "No unbiased (b, P) drawn at random has a P(reject) below TV(draft, target)",
        "least P(reject) found",
        "TV",
    )
    least, flaw = [], 0.0
    for draft, target in zip(places.draft, places.target, strict=True):
        accepted = unbiased_rules(draft, target, places.random, each) * draft
        rejected = 1.0 - accepted.sum(axis=1)
        replaced = target - accepted
        flaw = max(flaw, float(-replaced.min()), float(np.abs(rejected - replaced.sum(axis=1)).max()))
        least.append(rejected.min())
    found = np.array(least) if flaw <= EXACT else np.full(len(least), np.nan)
    scope = f"{places.scope}, {5 * each} algorithms each"
    return at_least(claim, found, distance(places.draft, places.target), tolerance=EXACT, scope=scope)


def check_histories(pair: ChainPair, seed: int = 0) -> Check:
    """One linear program over all algorithms of whole sequences, whatever they remember, against sum_t TV.

    On the pair cut to what MOST_OF_ONE and MOST_OF_ALL variables allow, as the program grows as V^T.
    """
    claim = Claim(
        "theorem 2, all histories",
        SOURCE + ", and own (the program)",
        "Of all algorithms with any memory whose sequences follow the target none has a smaller E[N_rej]",
        "optimum by HiGHS",
        "printed formula of theorem 1",
    )
    part, scope = cut(pair, MOST_OF_ONE, MOST_OF_ALL, seed)
    tolerance = sequence_accuracy(part) + rounding(part)

    def compare() -> Check:
        optimum = least_unbiased_rejections(part)
        return equal(claim, optimum, printed_rejections(part), tolerance=tolerance, scope=scope)

    return decided(claim, scope, compare)
