"""A fixed number of drafted tokens a call: one chain, a wide tree or a deep one, sampled or the likeliest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from simlab.decoders import MultiDraftSpeculative, TreeSpeculative, shown_options
from simlab.evidence import Interval, Verdict
from simlab.experiments.ceiling.options import Options
from simlab.experiments.common.estimates import all_at_once, calls_of, per_call, stacked
from simlab.experiments.common.jobs import instance, job
from simlab.experiments.common.outcome import Exhibit, Presentation, rows
from simlab.experiments.common.settings import Settings
from simlab.pairs import ChainPair
from simlab.report import new_figure, style
from simlab.report.ceilingplot import Line, draft_ticks, draw_lines, draw_points
from simlab.runs import Job
from simlab.theory import expected_target_calls
from simlab.theory.many_drafts.calls import calls_by_branching

RULES = {"optimal": "best branching, optimal rule", "recursive": "best branching, recursive rejection"}

CAPTION = (
    "Tokens per call, T/E[calls], against the most drafted tokens that a call may have, the bonus token "
    "included: exact lines, and simulated points. Of all branchings k_1 >= k_2 >= .. with no more tokens in "
    "their whole tree, k_1 + k_1 k_2 + .., the best one is drawn, and written at the points of the optimal "
    "rule. Beside them one chain of sampled tokens, all children at one position, and the deterministic tree "
    "of the same size: the likeliest prefixes of the draft."
)


def branchings(nodes: int, most: int | None = None) -> Iterator[tuple[int, ...]]:
    """All k_1 >= k_2 >= .. >= k_g >= 1, g >= 1, whose tree has at most so many tokens; most: of k_1."""
    for children in range(1, min(nodes, most or nodes) + 1):
        yield (children,)
        for rest in branchings(nodes // children - 1, children):
            yield (children, *rest)


def spelled(drafts: tuple[int, ...]) -> str:
    """A branching as labels have it: 2,1x7."""
    return shown_options({"drafts": drafts})["drafts"].strip("[]")


def size_of(drafts: tuple[int, ...]) -> int:
    """The tokens of the whole tree."""
    return int(np.cumprod(drafts).sum())


def best_branchings(pair: ChainPair, rule: str, nodes) -> tuple[list[tuple[int, ...]], np.ndarray]:
    """The branching with the fewest calls for each number of drafted tokens, and its E[calls], (N,).

    Of branchings whose calls agree to 1e-12 the one with fewer tokens, then the first.
    """
    longest = max(1, pair.horizon - 1)
    known = sorted(
        {drafts[:longest] for drafts in branchings(max(nodes))}, key=lambda one: (size_of(one), one)
    )
    calls = calls_by_branching(pair, [MultiDraftSpeculative(drafts, rule) for drafts in known])
    found = []
    for most in nodes:
        allowed = [i for i, drafts in enumerate(known) if size_of(drafts) <= most]
        least = calls[allowed].min()
        found.append(next(i for i in allowed if calls[i] <= least + 1e-12))
    return [known[i] for i in found], calls[found]


def branching_jobs(settings: Settings, options: Options) -> dict[str, Job]:
    """The job of the best branching of the middle number of drafted tokens, by rule."""
    pair, nodes = instance(settings)[0], _middle(options)
    if pair.horizon < 2:
        return {}
    return {
        rule: job(settings, MultiDraftSpeculative(best_branchings(pair, rule, [nodes])[0][0], rule))
        for rule in RULES
    }


def present_branching(
    told: Presentation, options: Options, jobs: dict[str, Job]
) -> tuple[Exhibit, list[Verdict], str]:
    """The figure, the verdicts on its simulated points, and its headline."""
    settings, pair, nodes = told.settings, instance(told.settings)[0], options.nodes
    best = {rule: best_branchings(pair, rule, nodes) for rule in RULES}
    wide = [MultiDraftSpeculative((n,), "optimal") for n in nodes]
    chain = [MultiDraftSpeculative((1,) * min(n, max(1, pair.horizon - 1))) for n in nodes]
    trees = [TreeSpeculative(n, drafted_by="draft") for n in nodes]
    lines = {
        **{RULES[rule]: calls for rule, (_, calls) in best.items()},
        "deterministic tree of the draft": np.array([_calls(pair, one) for one in trees]),
        "one chain, sampled": calls_by_branching(pair, chain),
        "all at one position, optimal rule": calls_by_branching(pair, wide),
    }
    lines = {label: pair.horizon / calls for label, calls in lines.items()}
    confidence = all_at_once(settings.confidence, max(len(jobs), 1))
    points = {rule: _tokens(told, one, confidence) for rule, one in jobs.items()}
    with style():
        figure = new_figure(6.8, 4.4)
        axes = figure.add_subplot()
        drawn = [
            Line(label, values, number - 1 if number else None)
            for number, (label, values) in enumerate(lines.items())
        ]
        draw_lines(axes, nodes, drawn)
        for number, interval in enumerate(points.values()):
            series = number - 1 if number else None
            draw_points(axes, [_middle(options)], stacked([interval]), series, confidence=settings.confidence)
        for n, drafts, height in zip(nodes, best["optimal"][0], lines[RULES["optimal"]], strict=True):
            axes.annotate(
                spelled(drafts), (n, height), xytext=(0, 6), textcoords="offset points",
                ha="right", fontsize="small",
            )  # fmt: skip
        draft_ticks(axes, nodes)
        axes.margins(y=0.12)
        axes.set_title(f"{settings.pair_name}, T = {pair.horizon}")
        axes.set_xlabel("drafted tokens of a call, at most")
        axes.set_ylabel("tokens per call")
        known, labels = axes.get_legend_handles_labels()
        legend = dict(zip(labels, known, strict=True))
        axes.legend(legend.values(), legend.keys(), loc="upper left")
    table = [
        {"series": label, "nodes": n, "tokens_per_call": float(value)}
        for label, values in lines.items()
        for n, value in zip(nodes, values, strict=True)
    ]
    for row, drafts in zip(table, best["optimal"][0] + best["recursive"][0], strict=False):
        row["branching"] = spelled(drafts)
    for rule, interval in points.items():
        exact = told.prediction(jobs[rule]).tokens_per_call
        table += rows([_middle(options)], interval, exact, series=RULES[rule])
    verdicts = [
        verdict
        for rule, one in jobs.items()
        for verdict in told.judge(f"{told.title}, {RULES[rule]}", one)
        if "E[" in verdict.name
    ]
    exhibit = told.figure("ceiling_branching", CAPTION, figure, table, jobs.values())
    return exhibit, verdicts, _headline(settings.pair_name, nodes, best, lines)


def _tokens(told: Presentation, one: Job, confidence: float) -> Interval:
    return per_call(calls_of(one, told.result(one), confidence), one.pair.horizon)


def _calls(pair: ChainPair, decoder) -> float:
    return float(pair.initial @ expected_target_calls(pair, decoder)[0])


def _middle(options: Options) -> int:
    """The number of drafted tokens that is simulated."""
    return options.nodes[len(options.nodes) // 2]


def _headline(name: str, nodes, best, lines) -> str:
    drafts = spelled(best["optimal"][0][-1])
    told = ", ".join(f"{values[-1]:.4f} ({label})" for label, values in lines.items())
    return (
        f"With {nodes[-1]} drafted tokens a call on {name} the best branching is {drafts}; tokens per call: "
        f"{told}."
    )
