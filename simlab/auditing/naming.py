"""Which of the known mistakes an output looks like.

Only names a failure: no verdict asks this module.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from simlab.auditing.evidence import Evidence
from simlab.auditing.instances import Instance, completed
from simlab.auditing.martingale import log_mean, log_tilted
from simlab.auditing.mistakes import (
    MISSING_EVERYWHERE,
    MISSING_IN_THE_TEST,
    MISTAKES,
    drafted_rows,
    right,
)

ROUNDS = ((1000, 10), (8000, 1))
"""Calls that each candidate is played on, on each instance, and how many candidates are left after it."""

INSTANCES = 4
"""How many instances, those with the strongest evidence, the comparison is made on."""

ALIKE = 0.03
"""The mean total variation, beyond that of chance, up to which an output looks like a mistake's."""

SURE = math.log(1000)
"""Evidence from which on the bonus token is taken to be wrong."""

LEAST = 0.01
"""The least mean total variation from a right verifier that tells one mistake from another."""


def looks_like(evidences: list[Evidence], rng: np.random.Generator) -> str | None:
    """The mistake whose outputs are nearest to those seen, if they are near; else None."""
    seen = [evidence for evidence in evidences if evidence.calls]
    seen = sorted(seen, key=lambda one: -one.strength())[:INSTANCES]
    left = [(name, verify) for name, variants in MISTAKES.items() for verify in variants]
    for calls, kept in ROUNDS:
        *distances, from_right = _distances(seen, [verify for _, verify in left] + [right], calls, rng)
        nearest = np.argsort(distances, kind="stable")[:kept]
        left, distance = [left[i] for i in nearest], distances[nearest[0]]
    if from_right <= LEAST or distance >= min(ALIKE, from_right / 2):
        return None
    name = left[0][0]
    if name == MISSING_IN_THE_TEST and max(map(_bonus, evidences)) > SURE:
        return MISSING_EVERYWHERE
    return name


def _bonus(evidence: Evidence) -> float:
    """log martingale of the bonus tokens, given the tokens before them."""
    states = evidence.instance.states
    counts, target = evidence.outcomes[-1, :, states:], evidence.instance.true_target[-1]
    likeliest = np.arange(states) == target.argmax(axis=-1)[:, None]
    return float(log_mean(log_tilted(counts, target, likeliest)))


def _distances(evidences: list[Evidence], verifiers: list[Callable], calls: int, rng) -> np.ndarray:
    """Of each verifier, the mean total variation between the outputs seen and its own, by number accepted and
    token, at the first two verified positions, less what two samples of one distribution would show.
    """
    found = []
    for evidence in evidences:
        instance = evidence.instance
        rows = drafted_rows(instance, calls, rng)
        places = range(min(2, instance.window))
        for verify in verifiers:
            theirs = _outputs(instance, *verify(*rows, rng), rng)
            found.append([_distance(evidence.by_accepted[i], theirs[i]) for i in places])
    return np.mean(np.reshape(found, (len(evidences), len(verifiers), -1)), axis=(0, 2))


def _outputs(instance: Instance, emitted: np.ndarray, accepted: np.ndarray, rng) -> np.ndarray:
    """How often each token was there, completed: (position, number accepted, token)."""
    tokens, _ = completed(instance, emitted, rng)
    places, states = instance.window + 1, instance.states
    cells = (np.arange(places) * places + accepted[:, None]) * states + tokens
    return np.bincount(cells.ravel(), minlength=places**2 * states).reshape(places, places, states)


def _distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    distance = np.abs(ours / ours.sum() - theirs / theirs.sum()).sum() / 2
    mean = (ours + theirs) / (ours.sum() + theirs.sum())
    return distance - np.sqrt(mean * (1 / ours.sum() + 1 / theirs.sum()) / (2 * np.pi)).sum()
