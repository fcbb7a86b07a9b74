"""Beyond one position: drafts that go on being used as long as they agree, and the best verification of all.

On the pair, exactly: E[N_rej] of batch decoding as Algorithm 4 has it, which follows the accepted draft
alone, and with all drafts alive that agree. On tiny random instances: what one call accepts at most,
position by position and over whole sequences, by linear programs.
"""

from __future__ import annotations

import math

import numpy as np

from simlab.decoders import BatchSpeculative
from simlab.experiments.ceiling.options import Options
from simlab.experiments.common.jobs import instance, pair_of
from simlab.experiments.common.outcome import Exhibit, Presentation
from simlab.pairs import ChainPair
from simlab.report import new_figure, shared_legend, style
from simlab.report.ceilingplot import Line, draft_ticks, draw_limit, draw_lines
from simlab.theory import predict
from simlab.theory.many_drafts import acceptance, agreeing_accepted, agreeing_rejections
from simlab.verify import Check
from simlab.verify.draft_sequences import (
    accepted_by_block_verification,
    accepted_position_by_position,
    check_sequences,
    most_accepted_tokens,
)

DRAFTS = (1, 2, 3)
TINY = {"states": 3, "horizon": 2}
"""The instances of the linear programs: so many tokens, and positions of a call."""

INSTANCES = 6
MOST_STATES, MOST_DRAFTS = 900, 16
"""Tokens times drafts, and drafts, up to which drafts that agree are followed: a second or so."""

RULES = {
    "whole": ("best rule, whole drafts seen at once", None, False),
    "single": ("best rule, position by position", None, True),
    "agreeing": ("recursive rejection, all that agree alive", 0, False),
    "followed": ("recursive rejection, one draft followed", 0, True),
}
"""By key: the legend's words, the series and whether it is dashed."""

CAPTION = (
    "(a) E[N_rej] on {pair} against the number M of drafts to the horizon: Algorithm 4 of Yin et al., "
    "which follows the accepted draft alone, and the same with all drafts alive as long as they agree "
    "with what was accepted. Exact; dotted the limit of Algorithm 4. (b) E[accepted tokens] of one call "
    "with M drafts of {horizon} tokens, the mean of {instances} random instances of {states} tokens "
    "(pair=paper, seeds 0 to {last}): both rules of (a), the best rule that looks at one position at a "
    "time, and the best rule that sees the whole drafts, both by linear programs; for M = 1 that is block "
    "verification. The output is the target's throughout."
)


def present_sequences(told: Presentation, options: Options) -> tuple[Exhibit, list[Check], list[str]]:
    """The figure, the checks on the linear programs, and the headlines."""
    settings = told.settings
    pair = instance(settings)[0]
    drafts = [m for m in options.drafts if m <= MOST_DRAFTS and m * pair.states <= MOST_STATES]
    means = {m: _rejections(pair, m) for m in drafts}
    accepted = {m: _accepted(m) for m in DRAFTS}
    checks = check_sequences(
        {m: np.array([one["whole"], one["single"]]) for m, one in accepted.items()},
        {m: one["agreeing"] for m, one in accepted.items()},
        np.array([accepted_by_block_verification(tiny, 0) for tiny in _instances()]),
    )
    with style():
        figure = new_figure(8.2, 4.1)
        left, right = (figure.add_subplot(place) for place in figure.add_gridspec(1, 2))
        lines = [
            Line(RULES[key][0], np.array([means[m][column] for m in drafts]), 0, dashed=RULES[key][2])
            for column, key in enumerate(("followed", "agreeing"))
        ]
        draw_lines(left, drafts, lines)
        draw_limit(left, predict(pair, BatchSpeculative(math.inf)).expected_rejections, "Algorithm 4, M → ∞")
        draft_ticks(left, drafts)
        left.set_title(f"(a) {settings.pair_name}, T = {pair.horizon}")
        left.set_ylabel("E[N_rej]")
        draw_lines(right, DRAFTS, [
            Line(label, np.array([accepted[m][key].mean() for m in DRAFTS]), series, dashed=dashed)
            for key, (label, series, dashed) in RULES.items()
        ])  # fmt: skip
        right.set_xticks(DRAFTS)
        right.set_title(f"(b) {INSTANCES} instances of {TINY['states']} tokens")
        right.set_ylabel("E[accepted tokens] of a call")
        for axes in (left, right):
            axes.set_xlabel("M, drafts")
        shared_legend(figure, [right, left], columns=2)
    caption = CAPTION.format(pair=settings.pair_name, instances=INSTANCES, last=INSTANCES - 1, **TINY)
    exhibit = told.figure("ceiling_sequences", caption, figure, _table(settings.pair_name, means, accepted))
    return exhibit, checks, _headlines(settings.pair_name, means, accepted)


def _rejections(pair: ChainPair, drafts: int) -> tuple[float, float]:
    """E[N_rej] of one draft followed, and of all that agree."""
    pmf = agreeing_rejections(pair, drafts)
    return predict(pair, BatchSpeculative(drafts)).expected_rejections, float(pmf @ np.arange(len(pmf)))


def _instances() -> list[ChainPair]:
    """The tiny instances, after token 0."""
    made = [pair_of("paper", {**TINY, "seed": seed}) for seed in range(INSTANCES)]
    return [ChainPair(one.draft, one.target, np.eye(one.states)[0]) for one in made]


def _accepted(drafts: int) -> dict[str, np.ndarray]:
    """E[accepted tokens] of a call under each of RULES on each tiny instance, (N,)."""
    found = {key: [] for key in RULES}
    for pair in _instances():
        found["whole"].append(most_accepted_tokens(pair, 0, drafts))
        found["single"].append(accepted_position_by_position(pair, 0, drafts))
        found["agreeing"].append(agreeing_accepted(pair, drafts).sum())
        now, total = pair.initial, 0.0
        for t in range(pair.horizon):
            alive = 1 if t else drafts
            now = now @ acceptance("recursive", pair.draft[t], pair.target[t], alive).accepted
            total += now.sum()
        found["followed"].append(total)
    return {key: np.array(values) for key, values in found.items()}


def _table(name: str, means: dict, accepted: dict) -> list[dict]:
    table = [
        {"pair": name, "drafts": m, "rule": key, "rejections": value}
        for m, pair in means.items()
        for key, value in zip(("followed", "agreeing"), pair, strict=True)
    ]
    return table + [
        {"pair": "tiny", "instance": number, "drafts": m, "rule": key, "accepted_tokens": float(value)}
        for m, rules in accepted.items()
        for key, values in rules.items()
        for number, value in enumerate(values)
    ]


def _headlines(name: str, means: dict, accepted: dict) -> list[str]:
    most = max(means)
    followed, agreeing = means[most]
    last = accepted[DRAFTS[-1]]
    told = ", ".join(f"{last[key].mean():.4f} ({label})" for key, (label, _, _) in RULES.items())
    return [
        f"Drafts that agree, kept alive, bring E[N_rej] of {most} drafts on {name} from {followed:.4f} to "
        f"{agreeing:.4f}.",
        f"Of {TINY['horizon']} tokens a call with {DRAFTS[-1]} drafts accepts on tiny instances: {told}.",
    ]
