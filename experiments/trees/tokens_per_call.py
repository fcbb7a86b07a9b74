"""Tokens per target call against the capacity: trees by the target and by the draft, and the single chain.

A call that verifies a tree yields E[X] + 1 tokens, and fewer at the horizon; over a sequence of T tokens that
is T / E[target calls], exactly, since the calls share the T tokens between them.
"""

from __future__ import annotations

import numpy as np

from simlab.decoders import TreeSpeculative
from simlab.evidence import Interval, Verdict
from simlab.experiments.common.estimates import all_at_once, calls_of, per_call, stacked
from simlab.experiments.common.jobs import instance, job
from simlab.experiments.common.outcome import Exhibit, Presentation, rows
from simlab.experiments.common.settings import Settings
from simlab.experiments.trees.options import Options
from simlab.pairs import ChainPair
from simlab.report import new_figure, residual_axes, shared_legend, style, whole_number_ticks
from simlab.report.curves import Curve, draw_comparison, draw_curves, thinned
from simlab.runs import Job
from simlab.theory import expected_target_calls
from simlab.theory.speed_of_light import chain_moments, dual_bound, first_order

SERIES = {
    ("tree", "target"): "tree chosen by the target",
    ("tree", "draft"): "tree chosen by the draft",
    ("chain", "target"): "single chain, by the target",
}
"""(shape, drafted by) of what is simulated, as the legend has it."""

UNSIMULATED = {("chain", "draft"): "single chain, by the draft"}

JUDGED = 3
"""Of the verdicts on a point: mean and distribution of the target calls, and the tokens."""

CAPTION = (
    "Tokens per target call, T / E[target calls], when each call verifies that many drafted tokens: the most "
    "probable prefixes as a tree, chosen by the target itself or by the draft, and the single chain of the "
    "same size, the greedy continuation, which soon gains nothing from more tokens. Lines are exact, markers "
    "simulated; below, simulated minus exact in half-widths of the interval. The bonus token of each call is "
    "counted, and the last call of a sequence ends at the horizon T = {horizon}, whatever its tree would "
    "have yielded, which lowers all lines a little. Grey: the bounds on E[X] of random environments, plus "
    "the bonus token, with this chain's entropy rate ({entropy:.3f} nats) for the mean entropy and with its "
    "second moment: a comparison, not a theorem, for the rows of a chain are not independent."
)


def calls_jobs(settings: Settings, options: Options) -> dict[tuple[str, str], list[Job]]:
    """By series a job for each simulated capacity."""
    return {
        (shape, model): [
            job(settings, TreeSpeculative(capacity, model, shape)) for capacity in options.simulated
        ]
        for shape, model in SERIES
    }


def present_calls(
    told: Presentation, options: Options, jobs: dict[tuple[str, str], list[Job]]
) -> tuple[Exhibit, list[Verdict], list[str]]:
    """The figure, the verdicts on its points, and its headline."""
    pair = instance(told.settings)[0]
    curves, verdicts, table = [], [], []
    planned = [one for several in jobs.values() for one in several]
    confidence = all_at_once(told.settings.confidence, len(planned))
    for (shape, model), label in (SERIES | UNSIMULATED).items():
        exact = tokens_per_call(pair, options.capacities, model, shape)
        curve = Curve(label, np.array(options.capacities), exact)
        table += _exact_rows(f"{shape} by {model}", options.capacities, exact)
        if (shape, model) in jobs:
            names = [f"{told.title}, {shape} by {model}, P = {capacity}" for capacity in options.simulated]
            points, judged = simulated_points(told, jobs[shape, model], names, confidence)
            curve = Curve(label, curve.x, exact, np.array(options.simulated), *points)
            verdicts += [verdict for one in judged for verdict in one[:JUDGED]]
            table += rows(options.simulated, *points, series=f"{shape} by {model}", kind="simulated")
        curves.append(curve)
    bounds = _bounds(pair, options)
    for name, heights in bounds.items():
        table += _exact_rows(f"{name}, a comparison", options.capacities, heights)
    figure = _draw(told.settings, pair, curves, options, bounds)
    caption = CAPTION.format(horizon=pair.horizon, entropy=chain_moments(pair).entropy)
    exhibit = told.figure("trees_calls", caption, figure, table, planned)
    return exhibit, verdicts, [_headline(pair, options)]


def simulated_points(
    told: Presentation, jobs: list[Job], names: list[str], confidence: float
) -> tuple[tuple[Interval, np.ndarray], list[list[Verdict]]]:
    """((tokens per call with intervals, exact ones), the verdicts of each) of jobs of tree decoders.

    confidence: of each interval.
    """
    intervals = [per_call(calls_of(one, told.result(one), confidence), one.pair.horizon) for one in jobs]
    exact = np.array([told.prediction(one).tokens_per_call for one in jobs])
    return (stacked(intervals), exact), [told.judge(*each) for each in zip(names, jobs, strict=True)]


def tokens_per_call(pair: ChainPair, capacities, drafted_by: str, shape: str = "tree") -> np.ndarray:
    """T / E[target calls] for each capacity, exact, (K,)."""
    return np.array([_per_call(pair, TreeSpeculative(one, drafted_by, shape)) for one in capacities])


def _per_call(pair: ChainPair, decoder: TreeSpeculative) -> float:
    mean = pair.initial @ expected_target_calls(pair, decoder)[0] / pair.initial.sum()
    return pair.horizon / float(mean)


def _bounds(pair: ChainPair, options: Options) -> dict[str, np.ndarray]:
    """Tokens per call that bounds of random environments would allow, (K,), T at most."""
    moments, capacities = chain_moments(pair), np.array(options.capacities, float)
    most = float(pair.horizon)
    return {
        "bound on E[X] + 1": np.minimum(dual_bound(moments, capacities) + 1, most),
        "log(P)/entropy + 1": np.minimum(first_order(moments, capacities) + 1, most),
    }


def _draw(settings: Settings, pair: ChainPair, curves: list[Curve], options: Options, bounds: dict):
    with style():
        figure = new_figure(5.8, 5.2)
        upper, lower = residual_axes(figure, figure.add_gridspec(1, 1)[0, 0], share=0.22)
        draw_curves(upper, lower, curves, confidence=settings.confidence, log=True)
        for (name, heights), dashes in zip(bounds.items(), ((6, 3), (1.5, 2)), strict=True):
            draw_comparison(
                upper, options.capacities, heights, f"{name}: comparison, not theorem", dashes=dashes
            )
        upper.set_title(f"Tokens per target call on {settings.pair_name}, T = {pair.horizon}")
        upper.set_ylabel("tokens per target call")
        whole_number_ticks(lower, thinned(options.capacities))
        lower.set_xlabel("capacity P: drafted tokens that a call verifies")
        shared_legend(figure, [upper], columns=2)
    return figure


def _headline(pair: ChainPair, options: Options) -> str:
    told = [
        f"{float(tokens_per_call(pair, [options.nodes], model, shape)[0]):.4f} ({label})"
        for (shape, model), label in SERIES.items()
    ]
    return f"Tokens per target call at P = {options.nodes}: {', '.join(told)}."


def _exact_rows(series: str, x, heights) -> list[dict]:
    return [
        {"x": one, "exact": float(height), "series": series, "kind": "curve"}
        for one, height in zip(x, heights, strict=True)
    ]
