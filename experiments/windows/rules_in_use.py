"""Rules that engines follow for how much to draft, against the best fixed window: which of them are worth it?

The rules have the settings that engines give them, whatever a drafted token costs: *last call* is Hugging
Face's heuristic, *streak* moves the window by one after eleven equal outcomes, *moving average* follows that
of the acceptance rate, *ladder* that of the accepted tokens (SGLang). Beside them the window that they start
with, kept; and what can be had by tuning to the pair and its costs: the optimal adaptive windows, and the
best thresholds of what rules that stop within a call look at, confidence as in `windows_policies`, the row's
entropy (SVIP, AdaEDL without its drift) and the product of the confidences of the call.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from simlab.cost import CostModel
from simlab.decoders import (
    Autoregressive,
    Decoder,
    EmaSpeculative,
    HistorySpeculative,
    LadderSpeculative,
    Remembering,
    StreakSpeculative,
)
from simlab.evidence import Interval, Verdict
from simlab.experiments.common.estimates import all_at_once, stacked
from simlab.experiments.common.jobs import instance, job
from simlab.experiments.common.measured import VERIFY
from simlab.experiments.common.outcome import Exhibit, Presentation, rows
from simlab.experiments.common.settings import Settings
from simlab.experiments.windows.expected_work import (
    LONGEST_PRODUCT,
    REMEMBERED,
    UNIT,
    at_ratio,
    fixed,
    shape_of,
    speedup_points,
)
from simlab.experiments.windows.options import Options
from simlab.experiments.windows.policies import JUDGED, curve_ratios, times_along
from simlab.pairs import ChainPair
from simlab.report import new_figure, residual_axes, shared_legend, style
from simlab.report.curves import Curve, draw_curves, draw_optimum
from simlab.report.windowplot import (
    draw_dashes,
    draw_edges,
    draw_load_ticks,
    draw_series,
    plain_ratio_ticks,
)
from simlab.runs import Job
from simlab.theory import calls_by_drafted, predict
from simlab.traces import bundled, predict_trace

START = 5
"""The window that all rules begin with, as Hugging Face's does."""

LINES = {
    "adaptive": "optimal adaptive windows",
    "confident": "confident, best threshold",
    "entropy": "entropy, best threshold",
    "cumulative": "product of confidences, best threshold",
    "start": f"window {START}, whatever it costs",
    "history": "last call: +2 or −1",
    "streak": "11 equal outcomes: ±1",
    "ema": "moving average of the rate: ±1",
    "ladder": "average of accepted tokens: 1, 3 or 7",
}
"""What is drawn, as the legend has it. The first is dark; of the others the order gives the colour in every
panel, but for those of `DASHES`, which have the colour of confidence."""

DASHES = {"entropy": (3, 1.5), "cumulative": (1, 1.5)}
"""Rules that stop within a call as confidence does, and are often as fast."""

SOLID = [name for name in LINES if name != "adaptive" and name not in DASHES]

SIMULATED = ("history", "streak", "ema", "ladder")
"""The rules with a memory; the best thresholds are other decoders at each cost ratio, and exact alone."""

LOADS = (1, 4, 16, 64, 256)
"""Requests decoded together."""

TEXTS = {
    "smollm2-bits-4": "draft of 4 bits",
    "smollm2-skip-14": "draft without one layer",
}
"""Bundled traces of a real model, with a draft of medium quality and a good one."""

LOWEST = -35.0
"""Per cent below the best fixed window; what is further down is told by the table alone."""

CAPTION = (
    "What rules in use gain or lose in speed against the best fixed window for the same pair and cost (0 per "
    "cent, which may be no drafting at all), in per cent; at most {longest} tokens a call, with the bonus "
    "token; the first window is {start}. Last call: 2 more after a call whose drafted tokens were all "
    "accepted, 1 fewer after any other (Hugging Face). Streak: 1 more or fewer after 11 equal outcomes in a "
    "row. Moving average: the acceptance rate, nine parts old and one new; 1 more above 0.7, 1 fewer below "
    "0.4. Average of accepted tokens: four parts old and one new; 1, 3 or 7 tokens, 3 at first (SGLang). "
    "These four know nothing of costs. Tuned to pair and cost are the optimal adaptive windows and the "
    "thresholds of confidence, of the root of the draft's entropy and of the product of the confidences in "
    "a call, with the best fixed window as the longest; that of products only where this is at most "
    "{product}. Lines are exact, markers simulated; below (a) simulated minus exact in "
    "half-widths of the interval. (a) {name}, T = {horizon}, against the cost ratio; dotted the settings' "
    "own, {ratio:g}. (b) The same against the number of requests decoded together, where verification takes "
    "what was fitted for an 8B model on an H100 (arXiv 2601.11580) and a drafted token {ratio:g} of one "
    "request's forward. (c), (d) On texts of a real model, SmolLM2-135M, of up to 64 tokens, each with "
    "another draft; neither the optimal policy is known there, nor what confidence drafts behind a rejection."
)


def rules_of(longest: int) -> dict[str, Remembering]:
    """The rules with a memory, with windows of at most `longest` tokens."""
    limits = {"start": min(START, longest), "longest": longest}
    return {
        "history": HistorySpeculative(**limits),
        "streak": StreakSpeculative(**limits),
        "ema": EmaSpeculative(**limits),
        "ladder": LadderSpeculative(min(3, longest), sorted({min(rung, longest) for rung in (1, 3, 7)})),
    }


def rules_jobs(settings: Settings, options: Options) -> dict[str, Job]:
    """A job for each simulated rule: it drafts the same whatever that costs."""
    rules = rules_of(options.longest)
    return {name: job(settings, rules[name]) for name in SIMULATED}


def present_rules(
    told: Presentation, options: Options, jobs: Mapping[str, Job]
) -> tuple[Exhibit, list[Verdict], list[str]]:
    """The figure, the verdicts on its points, and its headline. jobs: as `rules_jobs` planned them."""
    settings, longest = told.settings, options.longest
    pair = instance(settings)[0]
    ratios = curve_ratios(settings, options)
    panels = {
        settings.pair_name: (ratios, gains_by_ratio(pair, ratios, longest, shape_of(settings.cost))),
        "load": (np.array(LOADS), gains_by_load(pair, settings.cost.ratio, longest)),
        **{name: (ratios, gains_on_text(name, ratios, longest)) for name in TEXTS},
    }
    table = [
        {"panel": panel, "rule": rule, "kind": "curve", "x": float(x), "exact": float(gain)}
        for panel, (along, lines) in panels.items()
        for rule, line in lines.items()
        for x, gain in zip(along, line, strict=True)
        if not np.isnan(gain)
    ]
    points, verdicts = {}, []
    for name in SIMULATED:
        points[name] = _points(told, options, jobs[name])
        verdicts += told.judge(f"{told.title}, {LINES[name]}", jobs[name], columns=JUDGED)
        table += rows(options.ratios, *points[name], panel=settings.pair_name, rule=name, kind="simulated")
    figure = _draw(settings, options, panels, points)
    caption = CAPTION.format(
        longest=longest, start=min(START, longest), name=settings.pair_name, horizon=pair.horizon,
        ratio=settings.cost.ratio, product=LONGEST_PRODUCT,
    )  # fmt: skip
    exhibit = told.figure("windows_rules", caption, figure, table, jobs.values())
    return exhibit, verdicts, [_headline(settings, panels)]


def gains_by_ratio(
    pair: ChainPair, ratios: np.ndarray, longest: int, shape: CostModel = UNIT
) -> dict[str, np.ndarray]:
    """Speed beyond the best fixed window's in per cent, of each of `LINES` at cost ratios (R,): (R,) each."""
    costs = [at_ratio(shape, ratio) for ratio in ratios]
    best = times_along(pair, ratios.tolist(), longest, "fixed", shape) * shape.alone
    tuned = {
        choice: times_along(pair, ratios.tolist(), longest, choice, shape) * shape.alone
        for choice in ("adaptive", "confident", "entropy", "cumulative")
    }
    return _gains(best, {**tuned, **_untuned(pair, costs, longest)})


def gains_by_load(pair: ChainPair, ratio: float, longest: int) -> dict[str, np.ndarray]:
    """The same at each of `LOADS`, with the measured times of verification.

    These are affine in the tokens, so that a call costs a fixed time and so much for each drafted token: at
    every load all is as at the cost ratio of the two.
    """
    measured = CostModel(draft=1.0, target=VERIFY)
    costs = [CostModel(ratio * measured.alone, VERIFY, concurrency=load) for load in LOADS]
    return gains_by_ratio(pair, np.array([cost.call_time(1) / cost.alone - 1 for cost in costs]), longest)


def gains_on_text(name: str, ratios: np.ndarray, longest: int) -> dict[str, np.ndarray]:
    """The same on a bundled trace at cost ratios (R,), of what a trace knows: all but the tuned ones."""
    windows, calls = _calls_on_text(name, longest)
    costs = [at_ratio(UNIT, ratio) for ratio in ratios]
    best = np.array([min(_time(one, cost) for one in windows) for cost in costs])
    return _gains(best, {rule: [_time(one, cost) for cost in costs] for rule, one in calls.items()})


@REMEMBERED
def _calls_on_text(name: str, longest: int) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """Calls by how many tokens they draft: of fixed windows 0..longest, and of the rules."""
    trace = bundled(name)

    def calls(decoder: Decoder) -> np.ndarray:
        return predict_trace(trace, decoder).calls_by_drafted

    windows = [calls(Autoregressive()), *(calls(fixed(window)) for window in range(1, longest + 1))]
    rules = {rule: calls(decoder) for rule, decoder in rules_of(longest).items()}
    return windows, {"start": windows[min(START, longest)], **rules}


def _untuned(pair: ChainPair, costs: list[CostModel], longest: int) -> dict[str, list[float]]:
    """E[time] at each of the costs, of what is the same for all."""
    calls = {"start": predict(pair, fixed(min(START, longest))).calls_by_drafted}
    calls |= {name: _calls_by_drafted(pair, rule) for name, rule in rules_of(longest).items()}
    return {name: [_time(one, cost) for cost in costs] for name, one in calls.items()}


@REMEMBERED
def _calls_by_drafted(pair: ChainPair, rule: Remembering) -> np.ndarray:
    return calls_by_drafted(pair, rule)


def _time(calls: np.ndarray, cost: CostModel) -> float:
    return float(calls @ cost.call_time(np.arange(len(calls))))


def _gains(best: np.ndarray, times: Mapping[str, list[float]]) -> dict[str, np.ndarray]:
    return {name: 100 * (best / np.asarray(times[name]) - 1) for name in LINES if name in times}


def _points(told: Presentation, options: Options, one: Job) -> tuple[Interval, np.ndarray]:
    """Simulated gains of one rule at the simulated cost ratios, with intervals, and the exact ones there."""
    settings, shape = told.settings, shape_of(told.settings.cost)
    confidence = all_at_once(settings.confidence, len(SIMULATED) * len(options.ratios))
    intervals, exact = [], []
    for ratio in options.ratios:
        found = speedup_points(told, [one], at_ratio(shape, ratio), confidence)
        best = one.pair.horizon / times_along(one.pair, [ratio], options.longest, "fixed", shape)[0]
        intervals.append([100 * (float(end[0]) / best - 1) for end in found.interval])
        exact.append(100 * (float(found.exact[0]) / best - 1))
    return stacked(intervals), np.array(exact)


def _draw(settings: Settings, options: Options, panels: Mapping, points: Mapping):
    with style():
        figure = new_figure(7.6, 6.8)
        grid = figure.add_gridspec(2, 2)
        upper, lower = residual_axes(figure, grid[0, 0], share=0.2)
        others = [figure.add_subplot(grid[cell]) for cell in ((0, 1), (1, 0), (1, 1))]
        (ratios, own), *rest = panels.values()
        simulated = np.array(options.ratios)
        curves = [
            Curve(LINES[name], ratios, own[name], *((simulated, *points[name]) if name in points else ()))
            for name in SOLID
        ]
        draw_curves(upper, lower, curves, confidence=settings.confidence, log=True)
        for axes, (along, lines) in zip(others, rest, strict=True):
            for series, name in enumerate(SOLID):
                if name in lines:
                    draw_series(axes, along, lines[name], LINES[name], series=series)
        for axes, (along, lines) in zip([upper, others[0]], panels.values(), strict=False):
            for name, dashes in DASHES.items():
                draw_dashes(axes, along, lines[name], LINES[name], series=0, dashes=dashes)
            draw_optimum(axes, along, lines["adaptive"], LINES["adaptive"])
        titles = [f"(a) {settings.pair_name}", f"(b) {settings.pair_name}, under load"]
        titles += [f"({letter}) real text, {TEXTS[name]}" for letter, name in zip("cd", TEXTS, strict=True)]
        for axes, title in zip([upper, *others], titles, strict=True):
            axes.set_title(title)
            draw_edges(axes, (0,))
            bottom, top = axes.get_ylim()
            axes.set_ylim(max(bottom, LOWEST), top)
        for axes in (upper, others[1]):
            axes.set_ylabel("beyond the best\nfixed window, %")
        upper.axvline(settings.cost.ratio, color="#808080", linewidth=0.8, linestyle=(0, (1, 2)))
        for axes in (lower, *others[1:]):
            plain_ratio_ticks(axes)
            axes.set_xlabel("cost ratio: drafted token / target call")
        draw_load_ticks(others[0], LOADS)
        others[0].set_xlabel("requests decoded together")
        shared_legend(figure, [upper, *others])
    return figure


def _headline(settings: Settings, panels: Mapping) -> str:
    """What each rule gains at the settings' own cost ratio and under the largest load."""
    (ratios, own), (loads, loaded), *_ = panels.values()
    at = int(np.flatnonzero(np.isclose(ratios, settings.cost.ratio, rtol=1e-12))[0])
    told = ", ".join(
        f"{_signed(own[name][at])} ({label})" for name, label in LINES.items() if not np.isnan(own[name][at])
    )
    most = ", ".join(f"{_signed(loaded[name][-1])} ({LINES[name]})" for name in rules_of(START))
    return (
        f"Rules in use, beyond the best fixed window at cost ratio {settings.cost.ratio:g}: {told}. With "
        f"{loads[-1]} requests together: {most}."
    )


def _signed(gain: float) -> str:
    """+0.3%, and never -0.0%."""
    return f"{round(gain, 1) + 0.0:+.1f}%"
