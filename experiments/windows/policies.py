"""Policies of how long to draft, against the cost ratio: the optimum, and what simpler rules lose against it.

All but the default settings draft at most `longest` tokens a call, with the bonus token. *Adaptive*: the
optimal window for each position and last token, by the Bellman recursion. *Fixed*: the best single window.
*Memoryless*: the single window that the formula takes for the best, knowing the mean acceptance only; its
times are exact. *Confident*: drafting stops where the draft is unsure; with the best fixed window for its
longest and the threshold that is then the best, or with the default settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from simlab.cost import CostModel
from simlab.decoders import AdaptiveSpeculative, ConfidenceSpeculative, Decoder
from simlab.evidence import Verdict
from simlab.experiments.common.estimates import all_at_once, stacked
from simlab.experiments.common.jobs import instance, job
from simlab.experiments.common.outcome import Exhibit, Presentation, rows
from simlab.experiments.common.settings import Settings
from simlab.experiments.windows.expected_work import (
    UNIT,
    Points,
    adaptive,
    at_ratio,
    confident,
    decoder_work,
    memoryless_window,
    shape_of,
    speedup_points,
    window_work,
)
from simlab.experiments.windows.options import Options
from simlab.pairs import ChainPair
from simlab.report import new_figure, residual_axes, shared_legend, style
from simlab.report.curves import Curve, draw_curves
from simlab.report.draw import THEORY_WIDTH
from simlab.report.windowplot import draw_dashes, plain_ratio_ticks
from simlab.runs import Job

DEFAULT = ConfidenceSpeculative()

CHOICES = {
    "adaptive": "optimal adaptive windows",
    "confident": "confident, best threshold",
    "fixed": "best fixed window",
    "memoryless": "the formula's window",
    "default": f"confident, threshold {DEFAULT.threshold:g}, window {DEFAULT.window}",
}
"""The policies, as the legend has them; the first is what the others are held against."""

SIMULATED = ("adaptive", "confident")

SIGNAL_OF = {"confident": "confidence", "entropy": "entropy", "cumulative": "cumulative"}
"""The rules that stop within a call, each at its best threshold, and what they look at."""

SOLID = {"adaptive": 4.0, "confident": 2.2, "fixed": THEORY_WIDTH, "default": THEORY_WIDTH}
"""Solid lines and their widths, as policies often do the same; the formula's window is dashed."""

CURVE_RATIOS = (0.002, 1.0)
"""The cost ratios of the curves; wider where those that are simulated do not lie between."""

FINE = 41
"""Cost ratios of a curve, beside those that are simulated and the settings' own."""

JUDGED = ("verdict", "verdict_tokens", "verdict_target_calls", "verdict_drafted_tokens")

CAPTION = (
    "Policies of how long to draft on {name}, T = {horizon}, against the cost ratio, the cost of a drafted "
    "token over that of a target call; dotted the settings' own, {ratio:g}. All draft at most {longest} "
    "tokens a call (the default settings: {own}), with the bonus token. Adaptive: the optimal window for "
    "each position and last token; no rule that fixes the window before the call is faster. Fixed: the "
    "best single window for each cost ratio, 0 included, the target alone. The formula's: the single window "
    "that the memoryless formula takes for the best, knowing only the mean acceptance. Confident: the draft "
    "goes on while its likeliest next token is likely enough, but no longer than the best fixed window; it "
    "decides token by token and sees what it has drafted, so that it may beat an adaptive window. Policies "
    "that do the same lie on one another, the thinner line on the wider. (a) Speed-up over autoregressive "
    "decoding: lines are exact, markers simulated; below, simulated minus exact in half-widths of the "
    "interval. (b) Time beyond that of the optimal adaptive windows, in per cent, in steps as the best whole "
    "window changes; without the default settings where these are far above the others."
)


def policies_jobs(settings: Settings, options: Options) -> dict[str, list[Job]]:
    """The adaptive and the confident decoder that are the best at each simulated cost ratio."""
    return {choice: _jobs(settings, options, choice) for choice in SIMULATED}


def present_policies(
    told: Presentation, options: Options, jobs: dict[str, list[Job]]
) -> tuple[Exhibit, list[Verdict], list[str]]:
    """The figure, the verdicts on its points, and its headline. jobs: as `policies_jobs` planned them."""
    settings = told.settings
    pair = instance(settings)[0]
    lines = {choice: _line(settings, options, choice) for choice in CHOICES}
    points, verdicts = {}, []
    table = [
        {"policy": choice, "kind": "curve", "x": float(ratio), "exact": float(one)}
        for choice, (ratios, speedups, _) in lines.items()
        for ratio, one in zip(ratios, speedups, strict=True)
    ]
    confidence = all_at_once(settings.confidence, len(SIMULATED) * len(options.ratios))
    for choice in SIMULATED:
        points[choice], judged_here = _points(told, options, choice, jobs[choice], confidence)
        verdicts += judged_here
        found = points[choice]
        table += rows(options.ratios, found.interval, found.exact, policy=choice, kind="simulated")
    figure = _draw(settings, options, lines, points)
    caption = CAPTION.format(
        name=settings.pair_name,
        horizon=pair.horizon,
        ratio=settings.cost.ratio,
        longest=options.longest,
        own=DEFAULT.window,
    )
    everything = [one for jobs_here in jobs.values() for one in jobs_here]
    exhibit = told.figure("windows_policies", caption, figure, table, everything)
    return exhibit, verdicts, [_headline(settings, options, pair)]


def times_of(pair: ChainPair, ratio: float, longest: int, shape: CostModel = UNIT) -> dict[str, float]:
    """E[time for T tokens] in target calls of each of `CHOICES`, exact."""
    return {choice: float(times_along(pair, [ratio], longest, choice, shape)[0]) for choice in CHOICES}


def times_along(
    pair: ChainPair, ratios: Sequence[float], longest: int, choice: str, shape: CostModel = UNIT
) -> np.ndarray:
    """E[time for T tokens] in target calls at cost ratios (R,), exact, (R,).

    choice: one of `CHOICES` or of `SIGNAL_OF`; nan where `confident` does not look for it.
    """
    if choice == "default":
        return decoder_work(pair, DEFAULT, shape).times(np.asarray(ratios))
    if choice == "adaptive":
        return np.array([adaptive(pair, ratio, longest, shape)[1] for ratio in ratios])
    if choice in SIGNAL_OF:
        signal = SIGNAL_OF[choice]
        return np.array([confident(pair, ratio, longest, shape, signal)[1] for ratio in ratios])
    times = np.array([window_work(pair, longest, shape).times(ratio) for ratio in ratios])
    if choice == "fixed":
        return times.min(axis=1)
    windows = [memoryless_window(pair, ratio, longest, shape) for ratio in ratios]
    return times[np.arange(len(windows)), windows]


def kept(times: Mapping[str, float], choice: str = "confident") -> float:
    """The part of the optimum's gain in time over the best fixed window that a choice has; nan for none."""
    gain = times["fixed"] - times["adaptive"]
    return (times["fixed"] - times[choice]) / gain if gain > 1e-9 * times["fixed"] else float("nan")


def decoder_of(pair: ChainPair, ratio: float, longest: int, choice: str, shape: CostModel = UNIT) -> Decoder:
    """The decoder of a simulated choice at a cost ratio."""
    if choice == "adaptive":
        return AdaptiveSpeculative(adaptive(pair, ratio, longest, shape)[0])
    return confident(pair, ratio, longest, shape)[0]


def _jobs(settings: Settings, options: Options, choice: str) -> list[Job]:
    pair, shape = instance(settings)[0], shape_of(settings.cost)
    return [
        job(settings, decoder_of(pair, ratio, options.longest, choice, shape)) for ratio in options.ratios
    ]


def _points(
    told: Presentation, options: Options, choice: str, jobs: list[Job], confidence: float
) -> tuple[Points, list[Verdict]]:
    """Simulated speed-ups at the cost ratios; verdicts, once for a decoder that is the best at several."""
    verdicts, intervals, exact, seen = [], [], [], set()
    for ratio, one in zip(options.ratios, jobs, strict=True):
        found = speedup_points(told, [one], at_ratio(shape_of(told.settings.cost), ratio), confidence)
        intervals.append([float(end[0]) for end in found.interval])
        exact.append(float(found.exact[0]))
        if one.task.id not in seen:
            name = f"{told.title}, {CHOICES[choice]}, cost ratio {ratio:g}"
            verdicts += told.judge(name, one, columns=JUDGED)
        seen.add(one.task.id)
    return Points(stacked(intervals), np.array(exact)), verdicts


def curve_ratios(settings: Settings, options: Options) -> np.ndarray:
    """The cost ratios of a curve, rising, those among them that are simulated and the settings' own."""
    own = settings.cost.ratio, *options.ratios
    ends = min(CURVE_RATIOS[0], *own), max(CURVE_RATIOS[1], *own)
    return np.unique([*np.geomspace(*ends, FINE), *own])


def _line(settings: Settings, options: Options, choice: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of one of `CHOICES`: cost ratios, exact speed-ups, per cent of time beyond the optimum's, (R,) each."""
    pair, ratios = instance(settings)[0], curve_ratios(settings, options)
    times, best = (
        times_along(pair, ratios.tolist(), options.longest, which, shape_of(settings.cost))
        for which in (choice, "adaptive")
    )
    return ratios, pair.horizon / times, 100 * (times / best - 1)


def _draw(settings: Settings, options: Options, lines: dict, points: dict):
    simulated = np.array(options.ratios)
    with style():
        figure = new_figure(7.6, 4.6)
        grid = figure.add_gridspec(1, 2)
        upper, lower = residual_axes(figure, grid[0, 0], share=0.22)
        losses = figure.add_subplot(grid[0, 1])
        curves = [
            Curve(CHOICES[choice], *lines[choice][:2], *_drawn(simulated, points.get(choice)), width=width)
            for choice, width in SOLID.items()
        ]
        draw_curves(upper, lower, curves, confidence=settings.confidence, log=True)
        near = np.median(lines["default"][2]) < 2 * lines["memoryless"][2].max()
        solid = [
            Curve(CHOICES[choice], *lines[choice][::2], width=width)
            for choice, width in SOLID.items()
            if near or choice != "default"
        ]
        draw_curves(losses, None, solid, confidence=settings.confidence, log=True)
        for axes, line in ((upper, 1), (losses, 2)):
            ratios, heights = lines["memoryless"][0], lines["memoryless"][line]
            draw_dashes(axes, ratios, heights, CHOICES["memoryless"], series=len(SOLID))
        for axes in (upper, losses):
            axes.axvline(settings.cost.ratio, color="#808080", linewidth=0.8, linestyle=(0, (1, 2)))
        upper.set_title(f"(a) {settings.pair_name}")
        losses.set_title("(b) time beyond the optimal adaptive windows'")
        upper.set_ylabel("speed-up over autoregressive")
        losses.set_ylabel("per cent")
        for axes in (lower, losses):
            plain_ratio_ticks(axes)
            axes.set_xlabel("cost ratio: drafted token / target call")
        shared_legend(figure, [upper, losses])
    return figure


def _drawn(simulated: np.ndarray, found: Points | None) -> tuple:
    return () if found is None else (simulated, found.interval, found.exact)


def _headline(settings: Settings, options: Options, pair: ChainPair) -> str:
    """The speed-ups at the settings' own cost ratio, and how much of the optimum's gain confidence keeps."""
    ratio = settings.cost.ratio
    shape = shape_of(settings.cost)
    times = times_of(pair, ratio, options.longest, shape)
    told = ", ".join(f"{pair.horizon / times[choice]:.4f} ({label})" for choice, label in CHOICES.items())
    share = kept(times)
    gain = (
        f" Confident drafting has {round(100 * share)}% of the optimum's gain in time over the fixed window."
        if np.isfinite(share)
        else " Adaptive windows gain nothing over the best fixed one."
    )
    threshold = confident(pair, ratio, options.longest, shape)[0].threshold
    return f"Speed-ups at cost ratio {ratio:g}: {told}. The best threshold is {threshold:.4g}.{gain}"
