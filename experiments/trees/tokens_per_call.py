"""Tokens per target call against the capacity: trees by the target and by the draft, and the single chain.

A call that verifies a tree yields E[X] + 1 tokens, and fewer at the horizon; over a sequence of T tokens that
is T / E[target calls], exactly, since the calls share the T tokens between them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from simlab.decoders import TreeSpeculative
from simlab.evidence import Interval, Verdict
from simlab.experiments.common.estimates import all_at_once, calls_of, figure_metadata, judge, per_call, rows
from simlab.experiments.common.settings import Exhibit, Settings, instance, job
from simlab.experiments.trees.options import Options
from simlab.pairs import ChainPair
from simlab.report import new_figure, residual_axes, save_figure, shared_legend, style, whole_number_ticks
from simlab.report.curves import Curve, draw_comparison, draw_curves, thinned
from simlab.runs import Job, Result
from simlab.theory import Prediction, expected_target_calls, predict
from simlab.theory.speed_of_light import chain_moments, dual_bound, first_order

SERIES = {
    ("tree", "target"): "tree chosen by the target",
    ("tree", "draft"): "tree chosen by the draft",
    ("chain", "target"): "single chain, by the target",
}
"""(shape, drafted by) of what is simulated, as the legend has it."""

UNSIMULATED = {("chain", "draft"): "single chain, by the draft"}

JUDGED = 3
"""Of the verdicts on a point: mean and law of the target calls, and the tokens."""

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


def calls_jobs(settings: Settings, options: Options) -> list[Job]:
    """A job for each series and simulated capacity."""
    return [job(settings, decoder) for decoder in _decoders(options.simulated)]


def present_calls(
    settings: Settings, options: Options, results: Mapping[str, Result], title: str, folder: Path
) -> tuple[Exhibit, list[Verdict], list[str]]:
    """The figure, the verdicts on its points, and its headline."""
    import pandas as pd

    pair = instance(settings)[0]
    curves, verdicts, table = [], [], []
    confidence = all_at_once(settings.confidence, len(SERIES) * len(options.simulated))
    for (shape, model), label in (SERIES | UNSIMULATED).items():
        exact = tokens_per_call(pair, options.capacities, model, shape)
        curve = Curve(label, np.array(options.capacities), exact)
        table += _exact_rows(f"{shape} by {model}", options.capacities, exact)
        if (shape, model) in SERIES:
            decoders = [TreeSpeculative(capacity, model, shape) for capacity in options.simulated]
            planned = [job(settings, decoder) for decoder in decoders]
            names = [f"{title}, {shape} by {model}, P = {capacity}" for capacity in options.simulated]
            points, judged = simulated_points(planned, names, results, confidence)
            curve = Curve(label, curve.x, exact, np.array(options.simulated), *points)
            verdicts += [verdict for one in judged for verdict in one[:JUDGED]]
            table += rows(options.simulated, *points, series=f"{shape} by {model}", kind="simulated")
        curves.append(curve)
    bounds = _bounds(pair, options)
    for name, heights in bounds.items():
        table += _exact_rows(f"{name}, a comparison", options.capacities, heights)
    planned = calls_jobs(settings, options)
    metadata = figure_metadata(settings.command, planned, [results[one.task.id] for one in planned])
    figure = _draw(settings, pair, curves, options, bounds)
    caption = CAPTION.format(horizon=pair.horizon, entropy=chain_moments(pair).entropy)
    exhibit = Exhibit(
        "trees_calls", caption, save_figure(figure, folder, "trees_calls", pd.DataFrame(table), metadata)
    )
    return exhibit, verdicts, [_headline(pair, options)]


def simulated_points(
    planned: list[Job], names: list[str], results: Mapping[str, Result], confidence: float
) -> tuple[tuple[Interval, np.ndarray], list[list[Verdict]]]:
    """((tokens per call with intervals, exact ones), the verdicts of each) of jobs of tree decoders.

    confidence: of each interval.
    """
    intervals, exact, verdicts = [], [], []
    for one, name in zip(planned, names, strict=True):
        result, prediction = results[one.task.id], predicted(one.pair, one.task.decoder)
        intervals.append(per_call(calls_of(one, result, confidence), prediction.horizon))
        exact.append(prediction.tokens_per_call)
        verdicts.append(judge(name, one, result, prediction))
    stacked = Interval(*(np.array(end) for end in zip(*intervals, strict=True)))
    return (stacked, np.array(exact)), verdicts


def tokens_per_call(pair: ChainPair, capacities, drafted_by: str, shape: str = "tree") -> np.ndarray:
    """T / E[target calls] for each capacity, exact, (K,)."""
    return np.array([_per_call(pair, TreeSpeculative(one, drafted_by, shape)) for one in capacities])


@functools.lru_cache(maxsize=256)
def predicted(pair: ChainPair, decoder: TreeSpeculative) -> Prediction:
    """The exact numbers, remembered: figures share points with each other and with verdicts."""
    return predict(pair, decoder)


@functools.lru_cache(maxsize=256)
def _per_call(pair: ChainPair, decoder: TreeSpeculative) -> float:
    mean = pair.initial @ expected_target_calls(pair, decoder)[0] / pair.initial.sum()
    return pair.horizon / float(mean)


def _decoders(capacities) -> list[TreeSpeculative]:
    return [TreeSpeculative(capacity, model, shape) for shape, model in SERIES for capacity in capacities]


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
