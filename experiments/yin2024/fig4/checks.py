"""What Figure 4 shows, as checks: exact numbers found in two ways, compared at every point."""

from __future__ import annotations

import numpy as np

from simlab.decoders import BiasedSpeculative
from simlab.evidence import Status
from simlab.experiments.yin2024.fig4.series import Options, decoders, exact_point
from simlab.pairs import ChainPair
from simlab.theory import chains_total_variation, output_chain, predict
from simlab.verify import Check

ROUNDING = 1e-12
"""Up to which difference two exact numbers of size 1 are one."""

YIN = "Yin et al. 2024, Theorem 5"


def token_checks(pair: ChainPair, options: Options) -> list[Check]:
    """One token (horizon 1): the optimal replacement on the line, the others not below it."""
    distance = chains_total_variation(pair.draft, pair.target, pair.initial).middle
    on_line = _sums(pair, decoders(options, "optimal"))
    checks = [
        _equal(
            "figure 4, optimal on the line", YIN, "P(reject) + loss = TV(draft, target) for every epsilon",
            ("P(reject) + loss", on_line), ("TV(draft, target)", np.full_like(on_line, distance)), options,
        )
    ]  # fmt: skip
    others = [one for one in options.replacements if one not in ("optimal", "residual")]
    if others:
        sums = np.concatenate([_sums(pair, decoders(options, one)) for one in others])
        least = float(sums.min())
        checks.append(
            Check(
                name="figure 4, other replacements above",
                source=YIN,
                statement="P(reject) + loss >= TV(draft, target) whatever replaces a rejected token",
                left="least P(reject) + loss",
                left_value=least,
                right="TV(draft, target)",
                right_value=distance,
                difference=least - distance,
                tolerance=ROUNDING,
                status=Status.PASS if least >= distance - ROUNDING else Status.FAIL,
                scope=f"replacements {', '.join(others)}, {len(options.epsilons)} epsilons",
            )
        )
    return checks


def step_check(pair: ChainPair, options: Options) -> Check:
    """The line on a chain: step by step, along the prefixes that the output itself makes."""
    left, right = [], []
    for decoder in decoders(options, "optimal"):
        chain = output_chain(pair, decoder)
        distribution, losses, distances = pair.initial, 0.0, 0.0
        for draft, target, output in zip(pair.draft, pair.target, chain, strict=True):
            losses += float(distribution @ (0.5 * np.abs(output - target).sum(axis=1)))
            distances += float(distribution @ (0.5 * np.abs(draft - target).sum(axis=1)))
            distribution = distribution @ output
        left.append(predict(pair, decoder).expected_rejections + losses)
        right.append(distances)
    return _equal(
        "figure 4, the line step by step", "own, from Theorem 5",
        "E[N_rej] + sum of the steps' losses = sum of TV(draft_t, target_t), prefixes following the output",
        ("E[N_rej] + losses", np.array(left)), ("sum of TV", np.array(right)), options,
        tolerance=ROUNDING * pair.horizon,
    )  # fmt: skip


def _sums(pair: ChainPair, several: list[BiasedSpeculative]) -> np.ndarray:
    return np.array([sum(exact_point(pair, decoder)) for decoder in several])


def _equal(name, source, statement, left, right, options, tolerance=ROUNDING) -> Check:
    """A check of equality at every epsilon; shown is the one of the largest difference."""
    difference = left[1] - right[1]
    worst = int(np.argmax(np.abs(difference)))
    return Check(
        name=name,
        source=source,
        statement=statement,
        left=left[0],
        left_value=float(left[1][worst]),
        right=right[0],
        right_value=float(right[1][worst]),
        difference=float(difference[worst]),
        tolerance=tolerance,
        status=Status.PASS if abs(difference[worst]) <= tolerance else Status.FAIL,
        scope=f"{len(options.epsilons)} epsilons from {options.epsilons[0]:g} to {options.epsilons[-1]:g}",
    )
