"""Theorem 4 of Yin et al. 2024: which replacement of rejected tokens leaves the least bias, and how much."""

from __future__ import annotations

import numpy as np

from simlab.theory import optimal_loss
from simlab.verify.acceptance import any_rules
from simlab.verify.check import Check
from simlab.verify.compare import EXACT, Claim, at_least, decided, equal
from simlab.verify.places import Places, distance
from simlab.verify.programs import ACCURACY, least_loss

SOURCE = "Yin et al. 2024, Theorem 4"


def printed_loss(accepted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(1/2) sum |target - accepted| - rejected / 2 along the last axis, as Theorem 4 prints it."""
    return 0.5 * np.abs(target - accepted).sum(axis=-1) - 0.5 * (1.0 - accepted.sum(axis=-1))


def check_program(places: Places) -> Check:
    """The closed form against a linear program over all replacements, for a random rule at each position."""
    claim = Claim(
        "theorem 4, linear program",
        SOURCE,
        "For any b the least TV over replacements P is sum |target - b draft| / 2 - P(reject) / 2",
        "closed form",
        "optimum by HiGHS",
    )
    scope = f"{places.scope}, a random b each"

    def compare() -> Check:
        closed, optimum = [], []
        for draft, target in zip(places.draft, places.target, strict=True):
            accepted = places.random.choice(any_rules(draft, target, places.random, 1)) * draft
            closed.append(printed_loss(accepted, target))
            optimum.append(least_loss(accepted, target)[0])
        return equal(claim, closed, optimum, tolerance=ACCURACY, scope=scope)

    return decided(claim, scope, compare)


def check_between(places: Places, each: int = 4) -> Check:
    """Replacements at random between 0 and A_+ all have the least loss.

    each: rules of each of five kinds at each position, one replacement for each rule.
    """
    claim = Claim(
        "theorem 4, between 0 and A",
        SOURCE,
        "With A = (target - b draft)/P(reject), any P from 0 to A (0 where A < 0) has the least TV",
        "TV with a random such P",
        "closed form",
    )
    found, closed = [], []
    for draft, target in zip(places.draft, places.target, strict=True):
        accepted = any_rules(draft, target, places.random, each) * draft
        replaced = _between(accepted, target, places.random)
        found.append(distance(accepted + replaced, target))
        closed.append(optimal_loss(accepted, np.broadcast_to(target, accepted.shape)))
    scope = f"{places.scope}, {5 * each} random (b, P) each"
    return equal(claim, np.concatenate(found), np.concatenate(closed), tolerance=EXACT, scope=scope)


def check_search(places: Places, each: int = 20) -> Check:
    """Replacements at random, wherever they lie, never have a smaller loss.

    each: rules of each of five kinds at each position, one replacement for each rule.
    """
    claim = Claim(
        "theorem 4, random search",
        SOURCE,
        "No replacement drawn at random leaves a smaller TV than the closed form",
        "TV with a random P",
        "closed form",
    )
    found, closed = [], []
    for draft, target in zip(places.draft, places.target, strict=True):
        accepted = any_rules(draft, target, places.random, each) * draft
        distribution = _distributions(accepted, draft, target, places.random)
        rejected = np.maximum(1.0 - accepted.sum(axis=1), 0.0)
        found.append(distance(accepted + rejected[:, None] * distribution, target))
        closed.append(printed_loss(accepted, target))
    scope = f"{places.scope}, {5 * each} random (b, P) each"
    return at_least(claim, np.concatenate(found), np.concatenate(closed), tolerance=EXACT, scope=scope)


def _between(accepted: np.ndarray, target: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """rejected * P for a random P between 0 and A_+: masses from 0 to [target - accepted]_+, of the right
    sum.

    Random parts of the room that there is, all lowered or all raised in proportion until the sum is right.
    The room is at least the rejected mass, as target and accepted differ by that mass in all.
    """
    room = np.maximum(target - accepted, 0.0)
    rejected = np.maximum(1.0 - accepted.sum(axis=1, keepdims=True), 0.0)
    kinds = random.choice([0.2, 1.0, 5.0], size=(len(accepted), 1))
    part = random.random(accepted.shape) ** kinds * room
    spare = room - part
    have, can = part.sum(axis=1, keepdims=True), spare.sum(axis=1, keepdims=True)
    lowered = part * np.divide(rejected, have, out=np.zeros_like(have), where=have > 0)
    raised = part + spare * np.divide(rejected - have, can, out=np.zeros_like(can), where=can > 0)
    return np.where(have > rejected, lowered, np.minimum(raised, room))


def _distributions(accepted, draft, target, random: np.random.Generator) -> np.ndarray:
    """A distribution for each rule, (K, V): even, sparse, the draft, the target, or next to the best one."""
    shape = accepted.shape
    best = np.maximum(target - accepted, 0.0)
    weights = np.stack(
        [
            random.standard_exponential(shape),
            random.standard_exponential(shape) * (random.random(shape) < 0.2),
            np.broadcast_to(draft, shape),
            np.broadcast_to(target, shape),
            best + 10.0 ** -random.integers(1, 13, size=(shape[0], 1)) * random.random(shape),
        ]
    )
    chosen = weights[random.integers(len(weights), size=shape[0]), np.arange(shape[0])]
    whole = chosen.sum(axis=1, keepdims=True)
    return np.where(whole > 0, chosen / np.where(whole > 0, whole, 1.0), target)
