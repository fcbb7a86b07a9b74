"""Speed-up against the window: where every token is accepted with one probability, and on the pair given.

The memoryless formula knows one number, the acceptance. On a chain of independent tokens it is exact, but for
the horizon, where the last call has no room for its window. On any other pair acceptance depends on the last
token, and the formula with its mean is an approximation, which the exact recursion replaces.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from simlab.evidence import Verdict
from simlab.experiments.common.estimates import all_at_once
from simlab.experiments.common.jobs import instance, job
from simlab.experiments.common.outcome import Exhibit, Presentation, rows
from simlab.experiments.common.settings import Settings
from simlab.experiments.windows.expected_work import (
    Points,
    Work,
    fixed,
    memoryless_window,
    shape_of,
    speedup_points,
    window_work,
)
from simlab.experiments.windows.options import Options
from simlab.pairs import ChainPair
from simlab.report import new_figure, residual_axes, shared_legend, style
from simlab.report.curves import Curve, draw_curves
from simlab.report.windowplot import draw_choice, draw_dashes, name_solid
from simlab.runs import Job
from simlab.theory import mean_acceptance, memoryless

CAPTION = (
    "Speed-up over autoregressive decoding against the window, the number of tokens drafted before each "
    "target call, with the bonus token, where a drafted token costs {ratio:g} target calls. (a) Chains of "
    "independent tokens, on which every drafted token is accepted with the same probability, the acceptance. "
    "T = {horizon}. (b) {name}, T = {own}; the formula takes the pair's mean acceptance {acceptance:.4f}. In "
    "both panels solid lines are exact and dashed lines the memoryless formula; in (a) the two differ only "
    "because the last calls have no room for their windows. A star is the best window of a line, the open "
    "square what the window that the formula takes for the best really gives. Markers with intervals are "
    "simulated; below, simulated minus exact in half-widths of the interval. A window of 0 is the target "
    "alone, of speed-up 1."
)

DASHED = "dashed: memoryless formula"

JUDGED = (
    "verdict",
    "verdict_tokens",
    "verdict_target_calls",
    "verdict_target_calls_law",
    "verdict_drafted_tokens",
)
"""What is judged of a job on the pair."""


def chain(settings: Settings, options: Options, acceptance: float) -> Settings:
    """The point's settings on a chain of independent tokens with this acceptance: 1 - |draft - target|."""
    far = (1 - acceptance) / 2
    made = {"draft": 0.5 + far, "target": 0.5 - far, "horizon": options.horizon}
    return dataclasses.replace(settings, pair_name="bernoulli", pair_options=made)


def speedup_jobs(settings: Settings, options: Options) -> dict[float | None, list[Job]]:
    """A job for each simulated window: on a chain of each acceptance, and (None) on the pair."""
    chains = {acceptance: chain(settings, options, acceptance) for acceptance in options.acceptances}
    return {name: _jobs(point, options) for name, point in {**chains, None: settings}.items()}


def present_speedup(
    told: Presentation, options: Options, jobs: dict[float | None, list[Job]]
) -> tuple[Exhibit, list[Verdict], list[str]]:
    """The figure, the verdicts on its points, and its headline. jobs: as `speedup_jobs` planned them."""
    settings = told.settings
    pair, cost = instance(settings)[0], settings.cost
    confidence = all_at_once(settings.confidence, len(options.simulated) * (len(options.acceptances) + 1))
    windows = np.arange(options.longest + 1)
    chains, verdicts, table = [], [], []
    for acceptance in options.acceptances:
        point = chain(settings, options, acceptance)
        found = speedup_points(told, jobs[acceptance], cost, confidence)
        formula = memoryless.speedup(acceptance, windows, cost)
        exact = _speedups(window_work(instance(point)[0], options.longest, shape_of(cost)), cost.ratio)
        chains.append((acceptance, formula, exact, found))
        series = f"acceptance {acceptance:g}"
        table += _rows(series, windows, formula, exact, options, found)
        for window, one in zip(options.simulated, jobs[acceptance], strict=True):
            name = f"{told.title}, {series}, window {window}"
            verdicts += told.judge(name, one, columns=JUDGED[2::2])
    found = speedup_points(told, jobs[None], cost, confidence)
    formula = memoryless.speedup(mean_acceptance(pair), windows, cost)
    exact = _speedups(window_work(pair, options.longest, shape_of(cost)), cost.ratio)
    table += _rows(settings.pair_name, windows, formula, exact, options, found)
    for window, one in zip(options.simulated, jobs[None], strict=True):
        verdicts += told.judge(f"{told.title}, window {window}", one, columns=JUDGED)
    figure = _draw(settings, options, pair, chains, (formula, exact, found))
    caption = CAPTION.format(
        ratio=cost.ratio, horizon=options.horizon, name=settings.pair_name, own=pair.horizon,
        acceptance=mean_acceptance(pair),
    )  # fmt: skip
    everything = [one for jobs_here in jobs.values() for one in jobs_here]
    exhibit = told.figure("windows_speedup", caption, figure, table, everything)
    return exhibit, verdicts, [_headline(settings, options, pair)]


def _jobs(point: Settings, options: Options) -> list[Job]:
    return [job(point, fixed(window)) for window in options.simulated]


def _speedups(work: Work, ratio: float) -> np.ndarray:
    """Over the target alone, which is the work's first entry."""
    return work.calls[0] / work.times(ratio)


def _draw(settings: Settings, options: Options, pair: ChainPair, chains: list, own: tuple):
    windows, confidence = np.arange(options.longest + 1), settings.confidence
    simulated = np.array(options.simulated)
    with style():
        figure = new_figure(7.6, 4.6)
        grid = figure.add_gridspec(1, 2)
        left, below_left = residual_axes(figure, grid[0, 0], share=0.22)
        right, below_right = residual_axes(figure, grid[0, 1], share=0.22)
        curves = [
            Curve(f"acceptance {acceptance:g}", windows, exact, simulated, found.interval, found.exact)
            for acceptance, _, exact, found in chains
        ]
        draw_curves(left, below_left, curves, confidence=confidence, log=False)
        for series, (_, formula, exact, _) in enumerate(chains):
            draw_dashes(left, windows, formula, DASHED, series=series)
            draw_choice(left, windows, exact, _best(exact), series=series)
        name_solid(left, "solid: exact")
        formula, exact, found = own
        curve = Curve(settings.pair_name, windows, exact, simulated, found.interval, found.exact)
        draw_curves(right, below_right, [curve], confidence=confidence, log=False)
        draw_dashes(right, windows, formula, DASHED, series=None)
        draw_choice(right, windows, formula, _best(formula), series=None)
        draw_choice(right, windows, exact, _best(exact), series=0)
        told = memoryless_window(pair, settings.cost.ratio, options.longest, shape_of(settings.cost))
        draw_choice(right, windows, exact, told, series=0, judged=True)
        left.set_title(f"(a) independent tokens, T = {options.horizon}")
        about = f"{settings.pair_name}, T = {pair.horizon}"
        right.set_title(f"(b) {about}, mean acceptance {mean_acceptance(pair):.3f}")
        left.set_ylabel("speed-up over autoregressive")
        for axes in (below_left, below_right):
            axes.set_xlabel(f"window (cost ratio {settings.cost.ratio:g})")
            axes.set_xlim(-0.4, options.longest + 0.4)
        below_right.set_ylabel("")
        shared_legend(figure, [left, right])
    return figure


def _best(speedups: np.ndarray) -> int:
    """The fastest window, in a tie the smallest."""
    return int(np.argmax(speedups >= speedups.max() * (1 - 1e-12)))


def _rows(series: str, windows, formula, exact, options: Options, found: Points) -> list[dict]:
    curve = [
        {"series": series, "kind": "curve", "x": int(window), "exact": float(true), "formula": float(told)}
        for window, true, told in zip(windows, exact, formula, strict=True)
    ]
    return curve + rows(options.simulated, found.interval, found.exact, series=series, kind="simulated")


def _headline(settings: Settings, options: Options, pair: ChainPair) -> str:
    """The best window, what the formula would have chosen, and what that costs."""
    ratio, shape = settings.cost.ratio, shape_of(settings.cost)
    work = window_work(pair, options.longest, shape)
    speedups, best = _speedups(work, ratio), work.best(ratio)
    told = memoryless_window(pair, ratio, options.longest, shape)
    acceptance = mean_acceptance(pair)
    promised = memoryless.speedup(acceptance, told, settings.cost)
    loss = 100 * (speedups[best] / speedups[told] - 1)
    return (
        f"Best window on {settings.pair_name} where a drafted token costs {ratio:g} target calls: {best}, "
        f"speed-up {speedups[best]:.4f}. The memoryless formula with the mean acceptance "
        f"{acceptance:.4f} says {told} and promises {promised:.4f}; it gives {speedups[told]:.4f}, "
        f"{max(loss, 0.0):.2f}% more time than the best."
    )
