"""Imperfect knowledge: what it costs that the draft chooses the tree and the target walks it.

A dial makes the draft better or worse (`dial`). At each of its values E[X] of the first call is
exact, for the tree that this draft chooses and for the best tree, the target's own; and whole sequences are
simulated at its ends and in its middle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.decoders import TreeSpeculative
from simlab.evidence import Verdict
from simlab.experiments.common.draft_quality import better, dial_job, dial_name, dial_pair
from simlab.experiments.common.estimates import all_at_once
from simlab.experiments.common.jobs import instance
from simlab.experiments.common.outcome import Exhibit, Presentation, rows
from simlab.experiments.common.settings import Settings
from simlab.experiments.trees.options import Options
from simlab.experiments.trees.tokens_per_call import simulated_points, tokens_per_call
from simlab.pairs import ChainPair
from simlab.report import new_figure, residual_axes, shared_legend, style, whole_number_ticks
from simlab.report.curves import Curve, draw_curves, draw_fan, draw_optimum, thinned
from simlab.runs import Job
from simlab.theory import expected_accepted

CAPTION = (
    "What it costs that the draft, not the target, chooses the tree; the draft gets {better} from left to "
    "right. (a) E[X], the drafted tokens that the first call yields in the mean, exact, averaged over the "
    "prompt: coloured by the draft's tree, level by the target's own, which nothing exceeds. (b) The same "
    "against the capacity, a line a draft. (c) The share of the optimum that the draft's tree keeps. (d) "
    "Tokens per target call over whole sequences, T = {horizon}: lines exact, markers simulated; below, "
    "simulated minus exact in half-widths of the interval."
)


FINE = 25
"""Values of the dial at which E[X] is computed, beside those that were asked for."""


@dataclass(frozen=True, eq=False)
class Knowledge:
    """Exact numbers along the dial, E[X] in drafted tokens.

    fine: the dial's values and more between them, rising, (F,). along: E[X] of the draft's trees there, (F,
    compared capacities); optimum: of the target's own, (compared,). by_capacity: E[X] of the draft's trees,
    (the dial's own values, experiment.capacities); best: of the target's own, (capacities,). per_call: tokens
    per call, (the dial's own values, compared).
    """

    fine: np.ndarray
    along: np.ndarray
    optimum: np.ndarray
    by_capacity: np.ndarray
    best: np.ndarray
    per_call: np.ndarray


def knowledge_jobs(settings: Settings, options: Options) -> dict[int, list[Job]]:
    """By compared capacity a job at the ends and in the middle of the dial."""
    return {
        capacity: [
            dial_job(settings, value, TreeSpeculative(capacity, "draft")) for value in _simulated(options)
        ]
        for capacity in options.compared
    }


def present_knowledge(
    told: Presentation, options: Options, jobs: dict[int, list[Job]]
) -> tuple[Exhibit, list[Verdict], list[str]]:
    """The figure, a verdict on the target calls of each simulated point, and its headline."""
    settings = told.settings
    known = _exact(settings, options)
    values, points, verdicts = _simulated(options), [], []
    table = _exact_rows(options, known)
    planned = [one for several in jobs.values() for one in several]
    confidence = all_at_once(settings.confidence, len(planned))
    for capacity, several in jobs.items():
        at = [
            f"{told.title}, draft's tree, P = {capacity}, {_short(settings)} = {value:g}" for value in values
        ]
        found, judged = simulated_points(told, several, at, confidence)
        points.append(found)
        verdicts += [one[0] for one in judged]
        table += rows(values, *found, panel="tokens per call, simulated", capacity=capacity)
    figure = _draw(settings, options, known, points)
    caption = CAPTION.format(better=better(settings), horizon=instance(settings)[0].horizon)
    exhibit = told.figure("trees_knowledge", caption, figure, table, planned)
    return exhibit, verdicts, [_headline(settings, options, known)]


def _simulated(options: Options) -> list[float]:
    """The ends of the dial and its middle."""
    values = options.dial
    return sorted({values[0], values[len(values) // 2], values[-1]})


def _exact(settings: Settings, options: Options) -> Knowledge:
    fine, own = _fine(settings, options), instance(settings)[0]
    along, by_capacity, per_call = [], [], []
    for value in fine.tolist():  # one pair after the other: all of them may be large
        pair = dial_pair(settings, value)
        along.append(_yields(pair, options.compared))
        if value in options.dial:
            by_capacity.append(_yields(pair, options.capacities))
            per_call.append(tokens_per_call(pair, options.compared, "draft"))
    return Knowledge(
        fine=fine,
        along=np.array(along),
        optimum=_yields(own, options.compared, "target"),
        by_capacity=np.array(by_capacity),
        best=_yields(own, options.capacities, "target"),
        per_call=np.array(per_call),
    )


def _yields(pair: ChainPair, capacities, drafted_by: str = "draft") -> np.ndarray:
    """E[X] of the first call for each capacity, (K,)."""
    return expected_accepted(pair, TreeSpeculative(1, drafted_by), capacities)


def _fine(settings: Settings, options: Options) -> np.ndarray:
    """The dial's values and some between them: E[X] jumps wherever another tree is chosen."""
    spaced = np.geomspace if settings.pair_name == "corpus" else np.linspace
    return np.unique([*options.dial, *spaced(options.dial[0], options.dial[-1], FINE)])


def _draw(settings: Settings, options: Options, known: Knowledge, points: list[tuple]):
    log, word, fine = settings.pair_name == "corpus", dial_name(settings), known.fine
    labels = [f"P = {capacity}" for capacity in options.compared]
    with style():
        figure = new_figure(7.4, 7.0)
        grid = figure.add_gridspec(2, 2, height_ratios=[1, 1.15])
        against_dial, against_capacity = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
        kept = figure.add_subplot(grid[1, 0])
        upper, lower = residual_axes(figure, grid[1, 1], share=0.26)
        lines = [Curve(label, fine, known.along[:, i]) for i, label in enumerate(labels)]
        draw_curves(against_dial, None, lines, confidence=settings.confidence, log=log)
        for height in known.optimum:
            draw_optimum(against_dial, fine, np.full(len(fine), height), "the target's own tree")
        _draw_against_capacity(against_capacity, settings, options, known)
        shares = known.along / known.optimum
        lines = [Curve(label, fine, shares[:, i]) for i, label in enumerate(labels)]
        draw_curves(kept, None, lines, confidence=settings.confidence, log=log)
        whole = [
            Curve(
                label, np.array(options.dial), known.per_call[:, i], np.array(_simulated(options)), *points[i]
            )
            for i, label in enumerate(labels)
        ]
        draw_curves(upper, lower, whole, confidence=settings.confidence, log=log)
        for axes, title, label in (
            (against_dial, "(a) what the first call yields", "E[X], drafted tokens of a call"),
            (kept, "(c) of what the target's own tree yields", "share of E[X] kept"),
            (upper, "(d) over whole sequences", "tokens per target call"),
        ):
            axes.set_title(title)
            axes.set_ylabel(label)
            (lower if axes is upper else axes).set_xlabel(word)
        shared_legend(figure, [against_dial, upper])
    return figure


def _draw_against_capacity(axes, settings: Settings, options: Options, known: Knowledge) -> None:
    draw_fan(axes, options.capacities, known.by_capacity, [f"{value:g}" for value in options.dial])
    draw_optimum(axes, options.capacities, known.best, "the target's own tree")
    whole_number_ticks(axes, thinned(options.capacities, 3.5))
    axes.set_title(f"(b) the same, by {_short(settings)}")
    axes.set_xlabel("capacity P")
    axes.set_ylabel("E[X], drafted tokens of a call")


def _short(settings: Settings) -> str:
    return {"corpus": "part read", "mixture": "blur"}.get(settings.pair_name, "share of the draft")


def _headline(settings: Settings, options: Options, known: Knowledge) -> str:
    """What the pair's own draft costs, at each compared capacity."""
    own = _yields(instance(settings)[0], options.compared)
    told = [
        f"{yields:.4f} of {optimum:.4f} at P = {capacity}"
        for capacity, yields, optimum in zip(options.compared, own, known.optimum, strict=True)
    ]
    return f"E[X] of the first call by the tree of the pair's own draft, of the optimum: {', '.join(told)}."


def _exact_rows(options: Options, known: Knowledge) -> list[dict]:
    def panel(name: str, dial, capacities, exact, optimum) -> list[dict]:
        return [
            {"panel": name, "x": value, "capacity": capacity, "exact": float(exact[i, at])}
            | ({} if optimum is None else {"optimum": float(optimum[at])})
            for i, value in enumerate(dial)
            for at, capacity in enumerate(capacities)
        ]

    return [
        *panel("E[X] by the dial", known.fine.tolist(), options.compared, known.along, known.optimum),
        *panel("E[X] by capacity", options.dial, options.capacities, known.by_capacity, known.best),
        *panel("tokens per call", options.dial, options.compared, known.per_call, None),
    ]
