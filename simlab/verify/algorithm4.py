"""Algorithm 4 of Yin et al. 2024 as it is printed: it takes the residual once too often, and is biased.

After the m-th draft fails, the printed loop replaces the goal by its residual, for all m = 1..M; and where
no draft was accepted the last line draws from the residual of the goal *again*. Its proof, and `simlab`, draw
from the goal that the loop left. Here both are followed line by line at one fresh position, on rows of
distributions.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simlab.evidence import Status
from simlab.verify.check import Check
from simlab.verify.compare import EXACT, Claim, equal
from simlab.verify.places import Places, distance

SOURCE = "Yin et al. 2024, Algorithm 4"
VISIBLE = 1e-9
"""A bias above this is more than rounding."""


def token_distribution(draft: np.ndarray, target: np.ndarray, drafts: int, *, literally: bool) -> np.ndarray:
    """The distribution of the token that a fresh position emits, (N, V), of the rows draft and target (N, V).

    literally: the residual is taken once more after the last failure, as the listing says; else as the proof
    does. Source: Yin et al. 2024, Algorithm 4, followed line by line.
    """
    emitted = np.zeros_like(target)
    still_trying = np.ones((len(target), 1))
    goal = target
    for _ in range(drafts):
        accept = np.divide(goal, draft, out=np.ones_like(goal), where=draft > goal)
        emitted += still_trying * draft * accept
        still_trying = still_trying * (draft * (1 - accept)).sum(axis=1, keepdims=True)
        goal = _residual(goal, draft)
    return emitted + still_trying * (_residual(goal, draft) if literally else goal)


def check_printed(places: Places, drafts: int = 2) -> Check:
    """The bias of the printed algorithm, which must be there, against what the further residual does.

    Compared at all positions; the numbers shown are those of the largest bias. INCONCLUSIVE where there is
    none to be seen: at no position can all drafts fail with a further residual that differs from the last
    one.
    """
    claim = Claim(
        f"algorithm 4 as printed, {drafts} drafts",
        SOURCE + "; own (the size)",
        "Taken literally, with the residual once more after the last failure, the algorithm is biased",
        "TV(emitted, target)",
        "P(all fail) TV(residuals)",
    )
    distribution = token_distribution(places.draft, places.target, drafts, literally=True)
    bias, predicted = (
        distance(distribution, places.target),
        predicted_bias(places.draft, places.target, drafts),
    )
    scope, tolerance = f"{places.scope}; the largest bias", EXACT * drafts
    check = equal(claim, bias, predicted, tolerance=tolerance, scope=scope)
    if check.status == Status.FAIL:
        return check
    worst = int(np.argmax(predicted))
    check = equal(claim, bias[worst], predicted[worst], tolerance=tolerance, scope=scope)
    if predicted[worst] > VISIBLE:
        return check
    return replace(check, status=Status.INCONCLUSIVE, scope=f"{places.scope}: it makes no difference here")


def check_proved(places: Places, drafts: int = 2) -> Check:
    """The same algorithm with the residual taken once, as in the proof: its output is the target."""
    claim = Claim(
        f"algorithm 4 as proved, {drafts} drafts",
        SOURCE,
        "With the residual taken once after each failure the algorithm is unbiased: TV = 0",
        "TV(emitted, target)",
        "unbiased",
    )
    bias = distance(token_distribution(places.draft, places.target, drafts, literally=False), places.target)
    return equal(claim, bias, 0.0, tolerance=EXACT * drafts, scope=f"{places.scope}; the largest bias")


def predicted_bias(draft: np.ndarray, target: np.ndarray, drafts: int) -> np.ndarray:
    """What the further residual does, (N,): P(all drafts fail) TV(target^{M+1}, target^{M+2}) (own).

    All else is as in the algorithm with the last goal, target^{M+1}, which is unbiased. Written in masses
    that are not normalised, unlike `token_law`.
    """
    left, tried = target, np.ones((len(target), 1))
    for _ in range(drafts):
        left = np.maximum(left - tried * draft, 0.0)
        tried = left.sum(axis=1, keepdims=True)
    further = np.maximum(left - tried * draft, 0.0)
    whole = further.sum(axis=1, keepdims=True)
    further = np.divide(further * tried, whole, out=left.copy(), where=whole > 0)
    return distance(further, left)


def _residual(goal: np.ndarray, draft: np.ndarray) -> np.ndarray:
    """[goal - draft]_+ as a distribution; where it is 0 the goal is the draft, no draft fails, and any
    distribution will do."""
    excess = np.maximum(goal - draft, 0.0)
    whole = excess.sum(axis=1, keepdims=True)
    return np.where(whole > 0, excess / np.where(whole > 0, whole, 1.0), goal)
