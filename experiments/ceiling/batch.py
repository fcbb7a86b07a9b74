"""Batch decoding with a better verifier at fresh positions: E[N_rej] against the number of drafts."""

from __future__ import annotations

import math

import numpy as np

from simlab.decoders import BatchSpeculative, MultiDraftSpeculative
from simlab.evidence import Verdict
from simlab.experiments.ceiling.options import Options
from simlab.experiments.common.estimates import all_at_once, mean_of, stacked
from simlab.experiments.common.jobs import instance, job
from simlab.experiments.common.outcome import Exhibit, Presentation, rows
from simlab.experiments.common.settings import Settings
from simlab.pairs import ChainPair
from simlab.report import new_figure, style
from simlab.report.ceilingplot import Line, draft_ticks, draw_limit, draw_lines, draw_points
from simlab.runs import Job
from simlab.theory import expected_rejections_per_position

RULES = {
    "recursive": "recursive rejection: Algorithm 4",
    "k-seq": "K-SEQ",
    "greedy": "greedy: the likeliest M - 1 and one draw",
    "optimal": "optimum, independent drafts",
}
"""What is drawn, as the legend has it."""

CAPTION = (
    "E[N_rej] of batch decoding (Yin et al., Algorithm 4; their Figure 2, c) against the number of drafts M "
    "at fresh positions, with other rules in the place of recursive rejection: exact lines, and simulated "
    "points. Elsewhere one draft is followed, as in the algorithm. Black: the rule that accepts most of M "
    "independent drafts at a fresh position. Dotted: the limit, which is the same for all of them: what is "
    "left are the rejections of single drafts."
)


def batch_decoder(pair: ChainPair, rule: str, drafts: int) -> MultiDraftSpeculative:
    """M drafts at a fresh position, then one followed to the horizon."""
    return MultiDraftSpeculative((drafts, *[1] * (pair.horizon - 1)), rule, bonus=False)


def batch_jobs(settings: Settings, options: Options) -> dict[tuple[str, int], Job]:
    """The jobs of the simulated points, by rule and number of drafts."""
    pair = instance(settings)[0]
    return {
        (rule, drafts): job(settings, batch_decoder(pair, rule, drafts))
        for rule in RULES
        for drafts in options.simulated
    }


def present_batch(
    told: Presentation, options: Options, jobs: dict[tuple[str, int], Job]
) -> tuple[Exhibit, list[Verdict], str]:
    """The figure, the verdicts on its simulated points, and its headline."""
    settings, pair = told.settings, instance(told.settings)[0]
    exact = {
        rule: [_rejections(pair, batch_decoder(pair, rule, k)) for k in options.drafts] for rule in RULES
    }
    limit = _rejections(pair, BatchSpeculative(math.inf))
    confidence = all_at_once(settings.confidence, len(jobs))
    table = [
        {"rule": rule, "drafts": k, "rejections": value, "limit": limit}
        for rule, values in exact.items()
        for k, value in zip(options.drafts, values, strict=True)
    ]
    with style():
        figure = new_figure(6.4, 4.2)
        axes = figure.add_subplot()
        series = {rule: None if rule == "optimal" else number for number, rule in enumerate(RULES)}
        lines = [Line(label, np.array(exact[rule]), series[rule]) for rule, label in RULES.items()]
        draw_lines(axes, options.drafts, lines)
        for rule in RULES:
            means = [
                mean_of(jobs[rule, k], told.result(jobs[rule, k]), confidence) for k in options.simulated
            ]
            interval = stacked(means)
            draw_points(axes, options.simulated, interval, series[rule], confidence=settings.confidence)
            known = [told.prediction(jobs[rule, k]).expected_rejections for k in options.simulated]
            table += rows(options.simulated, interval, known, rule=rule)
        draw_limit(axes, limit)
        draft_ticks(axes, options.drafts)
        axes.set_title(f"{settings.pair_name}, T = {pair.horizon}")
        axes.set_xlabel("k = M, drafts at a fresh position")
        axes.set_ylabel("E[$N_{rej}$]")
        known, labels = axes.get_legend_handles_labels()
        legend = dict(zip(labels, known, strict=True))
        axes.legend(legend.values(), legend.keys(), loc="upper right")
    verdicts = [
        told.judge(f"{told.title}, batch decoding, {RULES[rule].split(':')[0]}, M = {k}", one)[0]
        for (rule, k), one in jobs.items()
    ]
    index = int(np.argmin(np.abs(np.array(options.drafts) - 4)))
    note = (
        f"With M = {options.drafts[index]} drafts at fresh positions of {settings.pair_name}, E[N_rej] is "
        + ", ".join(f"{exact[rule][index]:.4f} by {label.split(':')[0]}" for rule, label in RULES.items())
        + f"; one draft has {_rejections(pair, BatchSpeculative(1)):.4f}, infinitely many {limit:.4f}."
    )
    return told.figure("ceiling_batch", CAPTION, figure, table, jobs.values()), verdicts, note


def _rejections(pair: ChainPair, decoder) -> float:
    return float(expected_rejections_per_position(pair, decoder).sum())
