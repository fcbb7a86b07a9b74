"""Acceptance against the number of drafts, for every rule, with the optimum above them and the limit."""

from __future__ import annotations

import math

import numpy as np

from simlab.decoders import MultiDraftSpeculative
from simlab.evidence import Interval, Verdict
from simlab.experiments.ceiling.options import Options
from simlab.experiments.common.estimates import all_at_once, mean_of, stacked
from simlab.experiments.common.jobs import instance, job, pair_of
from simlab.experiments.common.outcome import Exhibit, Presentation, rows
from simlab.experiments.common.settings import Settings
from simlab.pairs import ChainPair
from simlab.report import new_figure, shared_legend, style
from simlab.report.ceilingplot import Line, draft_ticks, draw_limit, draw_lines, draw_points
from simlab.runs import Job
from simlab.theory.many_drafts import average_acceptance, average_optimum, enumerated_orders

LINES = {
    ("optimum", True): "optimum, independent drafts",
    ("optimum", False): "optimum, distinct drafts",
    ("recursive", True): "recursive rejection",
    ("recursive", False): "recursive rejection, distinct drafts",
    ("k-seq", True): "K-SEQ",
    ("match", True): "match with the target's own draw",
    ("match", False): "match, distinct drafts",
    ("greedy", True): "greedy: the likeliest k - 1 and one draw",
}
"""(rule, replacement) of what is drawn, as the legend has it."""

CAPTION = (
    "P(one of k drafts is accepted) at one position against k, exact, under every rule of verifying them, "
    "each of which emits exactly the target. Black: the most that any rule accepts. Dashed: drafts drawn "
    "without replacement, so that no two are the same. (a) {pair}, averaged over the positions of the "
    "target's own sequences. (b), (c) The pairs of Yin et al.'s Figure 3. Dotted: the common limit for many "
    "drafts, the target probability of what the draft can propose. Greedy drafts are the likeliest k - 1 "
    "tokens and one draw, verified as well as can be: neither above nor below drawn drafts in general. "
    "Recursive rejection of distinct drafts is exact by enumeration and drawn as far as {orders:,} orders of "
    "rejected tokens suffice. Markers: simulated, by decoding that drafts k tokens at each position and "
    "nothing ahead."
)

MOST_SETS = 500
"""The best verification of distinct drafts is simulated where no more sets of them are to be coupled."""

JUDGED = 1
"""Of the verdicts on a job: the mean of the rejections, which is what is drawn."""


def rule_jobs(settings: Settings, options: Options) -> dict[tuple[str, bool, int], Job]:
    """By (rule, replacement, k) the job that drafts k tokens at each position: 1 - E[N_rej]/T is accepted."""
    pair = instance(settings)[0]
    jobs = {}
    for rule, kind in LINES:
        for k in options.simulated:
            if rule == "recursive" and not kind and not enumerable(pair, k, options.orders):
                continue
            if rule == "optimum" and not kind and math.comb(pair.states, k) > MOST_SETS:
                continue
            name = "optimal" if rule == "optimum" else rule
            decoder = MultiDraftSpeculative((k,), name, replacement=kind, bonus=False)
            jobs[rule, kind, k] = job(settings, decoder)
    return jobs


def present_rules(
    told: Presentation, options: Options, jobs: dict[tuple[str, bool, int], Job]
) -> tuple[Exhibit, list[Verdict], list[str]]:
    """The figure, the verdicts on its simulated points, and its headline."""
    settings = told.settings
    panels = {
        f"(a) {settings.pair_name}": instance(settings)[0],
        f"(b) two tokens, {options.bernoulli:g} for {options.target:g}": pair_of(
            "bernoulli", {"draft": options.bernoulli, "target": options.target, "horizon": 1}
        ),
        f"(c) uniform, {options.states} tokens for {options.uniform}": pair_of(
            "uniform", {"states": options.states, "target_states": options.uniform, "horizon": 1}
        ),
    }
    lines = {title: lines_of(pair, options) for title, pair in panels.items()}
    intervals = _intervals(told, jobs)
    with style():
        figure = new_figure(9.2, 4.3)
        grid = figure.add_gridspec(1, len(panels), width_ratios=[1.5, 1, 1])
        for column, (title, pair) in enumerate(panels.items()):
            axes = figure.add_subplot(grid[0, column])
            draw_lines(axes, options.drafts, lines[title])
            for rule, kind in LINES if not column else ():
                at = [k for k in options.simulated if (rule, kind, k) in jobs]
                if at:
                    line = lines[title][list(LINES).index((rule, kind))]
                    points = stacked([intervals[rule, kind, k] for k in at])
                    draw_points(axes, at, points, line.series, confidence=settings.confidence)
            draw_limit(axes, average_optimum(pair, math.inf))
            draft_ticks(axes, options.drafts)
            axes.set_title(title)
            axes.set_xlabel("k, drafts at the position")
            axes.set_ylabel("" if column else "P(a draft is accepted)")
        shared_legend(figure, figure.axes, columns=3)
    table = [
        {"pair": title[4:], "rule": rule, "replacement": kind, "drafts": k, "acceptance": float(value)}
        for title, several in lines.items()
        for (rule, kind), line in zip(LINES, several, strict=True)
        for k, value in zip(options.drafts, line.values, strict=True)
        if not np.isnan(value)
    ]
    caption = CAPTION.format(pair=settings.pair_name, orders=options.orders)
    for (rule, kind, k), interval in intervals.items():
        exact = 1 - told.prediction(jobs[rule, kind, k]).expected_rejections / instance(settings)[0].horizon
        settled = {"pair": settings.pair_name, "rule": rule, "replacement": kind, "drafts": k}
        table += rows([k], interval, exact, **settled)
    exhibit = told.figure("ceiling_rules", caption, figure, table, jobs.values())
    verdicts = [
        verdict
        for (rule, kind, k), one in jobs.items()
        for verdict in told.judge(f"{told.title}, {LINES[rule, kind].split(':')[0]}, k = {k}", one)[:JUDGED]
    ]
    return exhibit, verdicts, [_headline(settings.pair_name, options, next(iter(lines.values())))]


def _intervals(told: Presentation, jobs: dict[tuple[str, bool, int], Job]) -> dict[tuple, Interval]:
    """The simulated acceptance of each job, with intervals that hold all at once."""
    confidence = all_at_once(told.settings.confidence, len(jobs))
    found = {}
    for key, one in jobs.items():
        mean, low, high = mean_of(one, told.result(one), confidence)
        found[key] = Interval(*(1 - end / one.pair.horizon for end in (mean, high, low)))
    return found


def lines_of(pair: ChainPair, options: Options) -> list[Line]:
    """The lines of a panel, in the order of LINES; nan where recursive rejection is too much to enumerate."""
    names = [rule for rule, _ in LINES if rule != "optimum"]
    series = {rule: number for number, rule in enumerate(dict.fromkeys(names))}
    return [
        Line(label, line_of(pair, options, rule, kind), series.get(rule), dashed=not kind)
        for (rule, kind), label in LINES.items()
    ]


def line_of(pair: ChainPair, options: Options, rule: str, replacement: bool) -> np.ndarray:
    """The acceptance for each number of drafts, (K,); nan where it would take more than `orders`."""
    if rule == "optimum":
        return np.array([average_optimum(pair, k, replacement) for k in options.drafts])
    return np.array([
        average_acceptance(pair, rule, k, replacement)
        if rule != "recursive" or replacement or enumerable(pair, k, options.orders)
        else np.nan
        for k in options.drafts
    ])  # fmt: skip


def enumerable(pair: ChainPair, drafts: int, orders: int) -> bool:
    """Whether recursive rejection of distinct drafts takes at most so many orders of rejected tokens."""
    steps = max(len(pair.draft_rows), len(pair.target_rows)) // len(pair.draft_rows)
    return steps * enumerated_orders(pair.draft_rows, drafts).sum() <= orders


def _headline(name: str, options: Options, lines: list[Line]) -> str:
    """The numbers of every rule at the number of drafts closest to 4."""
    index = int(np.argmin(np.abs(np.array(options.drafts) - 4)))
    values = {key: line.values[index] for key, line in zip(LINES, lines, strict=True)}
    told = {
        kind: ", ".join(
            f"{rule} {value:.4f}"
            for (rule, replacement), value in values.items()
            if replacement == kind and rule != "greedy" and not np.isnan(value)
        )
        for kind in (True, False)
    }
    return (
        f"With k = {options.drafts[index]} independent drafts on {name} a draft is accepted with probability "
        f"{told[True]}; with distinct ones {told[False]}; greedy drafts {values['greedy', True]:.4f}."
    )
