"""What the theory says of all rules, as checks: exact numbers from two roads."""

from __future__ import annotations

import numpy as np

from simlab.experiments.common.outcome import Presentation
from simlab.experiments.rules.scenes import Scene
from simlab.runs import Job
from simlab.verify import Check
from simlab.verify.compare import Claim, at_least, equal, rounding

LINE = Claim(
    "rules, the line of one token",
    "own, from Yin et al. 2024, Theorem 5",
    "P(reject) + loss >= TV(draft, target) for every rule that draws from the draft",
    "P(reject) + loss",
    "TV(draft, target)",
)
ON_LINE = Claim(
    "rules, lenience and over-acceptance on the line",
    "own, from Yin et al. 2024, Theorems 4 and 5",
    "P(reject) + loss = TV(draft, target) for every leniency and epsilon",
    "P(reject) + loss",
    "TV(draft, target)",
)
ABOVE = Claim(
    "rules, the front of sequences",
    "own",
    "no lossy rule has less total variation than the front allows with its rejections",
    "TV of the rule",
    "front, nothing below",
)
UNBIASED = Claim(
    "rules, unbiased",
    "own",
    "the output's rows are the target's for the rules that say so",
    "largest TV of a row",
    "0",
)
FEWEST = Claim(
    "rules, Theorem 2",
    "Yin et al. 2024, Theorem 2",
    "no unbiased rule that draws from the draft rejects less than speculative decoding",
    "E[N_rej] of token match",
    "E[N_rej] of speculative decoding",
)
BRACKET = 1e-3
"""How wide the quick brackets of long sequences are at most, and then some."""


def exact_checks(told: Presentation, token: Scene, whole: Scene, unbiased: dict[str, Job]) -> list[Check]:
    """Of one token, of whole sequences where there are curves, and of the unbiased rules."""
    sums = {one.family.label: one.rejections + one.loss for one in token.curves}
    every = np.concatenate(list(sums.values()))
    on = np.concatenate([sums["lenient"], sums["over-acceptance"]])
    slack = 1e-12 + rounding(token.pair)
    checks = [
        at_least(LINE, every, np.full_like(every, token.alone), tolerance=slack, scope=f"{len(every)} rules"),
        equal(ON_LINE, on, np.full_like(on, token.alone), tolerance=slack, scope=f"{len(on)} rules"),
    ]
    if whole.curves:
        rejections, loss = (
            np.concatenate([getattr(one, what) for one in whole.curves]) for what in ("rejections", "loss")
        )
        scope = f"{len(loss)} rules, T = {whole.pair.horizon}"
        checks.append(at_least(ABOVE, loss, whole.floor(rejections), tolerance=BRACKET, scope=scope))
    biases = [_largest(one) for one in unbiased.values()]
    scope = ", ".join(unbiased)
    checks.append(equal(UNBIASED, biases, np.zeros(len(biases)), tolerance=1e-12, scope=scope))
    fewest, matched = whole.rejections, whole.unbiased["token match"]
    scope = f"T = {whole.pair.horizon}"
    return [*checks, at_least(FEWEST, matched, fewest, tolerance=rounding(whole.pair), scope=scope)]


def _largest(one: Job) -> float:
    """The largest total variation of a row's output and the target, from the rule's own tables."""
    tables, target = one.task.decoder.rule, one.pair.target_rows
    output = tables.proposed * tables.accept + tables.replaced
    return float((0.5 * np.abs(output - target).sum(axis=-1)).max())
