"""The front of rejections and bias on whole sequences (own): a linear program against a recursion.

The program ranges over all algorithms, grows as V^T and knows nothing of Markov chains; the recursion of
`theory` does not grow so, and brackets. Where both can go they must agree.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simlab.evidence import Judging, Status
from simlab.pairs import ChainPair
from simlab.theory import sequence_tradeoff
from simlab.verify.check import Check
from simlab.verify.compare import Claim, decided, equal, rounding
from simlab.verify.places import cut
from simlab.verify.programs import front_by_linear_program, sequence_accuracy

SOURCE = "own, after Yin et al. 2024, Theorem 5"
WEIGHTS = (1.25, 2.0, 4.0)
AFFORDABLE = 5_000
"""Variables of a program that takes a second."""

MOST_STATES = 40
"""Two steps of so many states are affordable; one alone is Theorem 5."""


def check_program(
    pair: ChainPair,
    seed: int = 0,
    weights: tuple[float, ...] = WEIGHTS,
    judging: Judging | None = None,
) -> Check:
    """The least E[N_rej] + weight TV by a linear program against the recursion's bracket.

    On the pair cut to what AFFORDABLE variables allow (`cut`), at the weight where they are furthest apart in
    tolerances. The bracket's middle is shown, and its half-width adds to the tolerance. judging:
    the levels of verdicts; INCONCLUSIVE where that half-width is above front_resolution.
    """
    claim = Claim(
        "sequence front, linear program",
        SOURCE,
        "The least E[N_rej] + weight TV of all algorithms of whole sequences is what the recursion says",
        "optimum by HiGHS",
        "recursion, middle of its bracket",
    )
    part, scope = cut(pair, AFFORDABLE, AFFORDABLE, seed)
    resolution = (judging or Judging()).front_resolution
    return decided(claim, scope, lambda: _compared(claim, part, scope, weights, resolution))


def _compared(
    claim: Claim, part: ChainPair, scope: str, weights: tuple[float, ...], resolution: float
) -> Check:
    optima = zip(weights, front_by_linear_program(part, weights), strict=True)
    program = np.array([point.rejections + weight * point.total_variation for weight, point in optima])
    brackets = np.array(
        [
            (point.least, point.rejections + point.weight * point.total_variation)
            for point in sequence_tradeoff(part, weights)
        ]
    )
    middle, half = brackets.mean(axis=1), np.diff(brackets, axis=1)[:, 0] / 2
    allowed = np.maximum(half, 0.0) + sequence_accuracy(part) + (1 + np.array(weights)) * rounding(part)
    worst = int(np.argmax(np.abs(program - middle) / allowed))
    scope = f"{scope}, weight {weights[worst]:g} of {', '.join(f'{w:g}' for w in weights)}"
    check = equal(claim, program[worst], middle[worst], tolerance=float(allowed[worst]), scope=scope)
    if check.status == Status.PASS and half.max() > resolution:
        return replace(check, status=Status.INCONCLUSIVE)
    return check
