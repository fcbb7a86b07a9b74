"""Yin et al. 2024, Figure 4: what fewer rejections cost in bias.

fig4: on a single token, where Theorem 5 makes the Pareto front a line on which over-acceptance with the
optimal replacement lies. fig4_sequences (a module of its own): the same decoders on whole sequences, which
the paper leaves open. A single token is the pair with horizon 1: all numbers are averages over x_0 ~ initial.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simlab.decoders import Speculative
from simlab.experiments.common.jobs import Planned, instance
from simlab.experiments.common.outcome import Exhibit, Outcome, Presentation
from simlab.experiments.common.settings import Settings, only_point
from simlab.experiments.yin2024.fig4.checks import step_check, token_checks
from simlab.experiments.yin2024.fig4.sequences import present_sequences
from simlab.experiments.yin2024.fig4.series import (
    LABELS,
    Options,
    Series,
    curve_rows,
    exact_curve,
    options_of,
    simulated_series,
    table_rows,
    tradeoff_jobs,
)
from simlab.report import new_figure, shared_legend, style
from simlab.report.style import NEUTRAL_COLOUR, THEORY_COLOUR, look
from simlab.report.tradeoff import draw_rectangles, draw_residual_plane, root_axis, shade_regions
from simlab.runs import Job, Result
from simlab.theory import expected_rejections_per_position

CAPTION = (
    "One token, averaged over the prompt. (a) Which probability of rejection and which loss, the total "
    "variation between output and target, can be had together: below the line nothing can, on it lies "
    "over-acceptance with the optimal replacement, from speculative decoding (no loss) to drafting alone (no "
    "rejection); everywhere on it the two sum to TV(draft, target) = {distance:.4f} (Theorem 5). (b) The "
    "same with other replacements of a rejected token, which lie above the line. The residual [target - "
    "draft] is not drawn: it is the same as the optimal one. (c) Loss against epsilon, where a token is "
    "accepted with probability min(1, (target + epsilon)/draft). Lines are exact, markers simulated, their "
    "shaded rectangles hold all points at once with {confidence:.10g}% confidence. (d) Where they are too "
    "small to be seen: how far each point is from its exact position, in half-widths of its rectangle."
)


@dataclass(frozen=True, eq=False)
class Parts:
    """token, sequences: jobs on one token and on the pair's own horizon; by replacement, one an epsilon."""

    options: Options
    token: dict[str, list[Job]]
    sequences: dict[str, list[Job]]


def plan(points: list[Settings]) -> Planned[Parts]:
    """A job for each replacement and epsilon, on one token and on the pair's own horizon."""
    settings = only_point(points)
    options = options_of(settings)
    parts = Parts(options, *(tradeoff_jobs(settings, options, horizon) for horizon in (1, None)))
    jobs = [one for jobs in (parts.token, parts.sequences) for several in jobs.values() for one in several]
    return Planned(settings, jobs, parts)


def present(planned: Planned[Parts], results: Mapping[str, Result]) -> Outcome:
    """Verdicts, checks, figures and tables, from the results of the planned jobs."""
    settings, parts = planned.settings, planned.parts
    told = Presentation(settings, f"Figure 4 on {settings.pair_name}", results, settings.pair_name)
    token, verdicts = simulated_series(told, parts.token, "one token")
    pair = instance(settings)[0]
    sequences, judged = simulated_series(told, parts.sequences, f"T = {pair.horizon}")
    figure, found, notes = present_sequences(told, parts.options, sequences)
    checks = [*token_checks(instance(settings, 1)[0], parts.options), step_check(pair, parts.options), *found]
    return told.outcome(
        verdicts=verdicts + judged,
        checks=checks,
        figures=[_present_token(told, token), figure],
        notes=notes,
    )


def _present_token(told: Presentation, series: list[Series]) -> Exhibit:
    settings = told.settings
    pair = instance(settings, 1)[0]
    distance = float(expected_rejections_per_position(pair, Speculative()).sum())
    curves = {one.replacement: exact_curve(pair, one.replacement, one.epsilons, one) for one in series}
    figure = _draw(settings, series, curves, distance)
    table = table_rows(series, "simulated")
    for name, (epsilons, rejections, loss) in curves.items():
        table += curve_rows("exact curve", name, rejections, loss, epsilons)
    table += curve_rows("front", "front", [0.0, distance], [distance, 0.0])
    caption = CAPTION.format(distance=distance, confidence=100 * settings.confidence)
    return told.figure("fig4", caption, figure, table, [job for one in series for job in one.jobs])


def _draw(settings: Settings, series: list[Series], curves: dict, distance: float):
    with style():
        figure = new_figure(7.4, 7.4)
        grid = figure.add_gridspec(2, 2)
        front, losses, against, plane = (figure.add_subplot(grid[i, j]) for i in (0, 1) for j in (0, 1))
        _draw_front(front, settings, series, distance)
        _draw_losses(losses, settings, series, curves, distance)
        _draw_against_epsilon(against, series, curves, distance)
        draw_residual_plane(plane, [one.residuals for one in series])
        plane.set_title("(d) simulated less exact, in half-widths")
        plane.set_xlabel("of P(reject)")
        plane.set_ylabel("of the loss")
        shared_legend(figure, [losses])
    return figure


def _draw_front(axes, settings: Settings, series: list[Series], distance: float) -> None:
    """(a) The line of Theorem 5, what lies on both sides of it, and the optimal replacement on it."""
    reach = 1.25 * distance or 1.0
    x = np.array([0.0, distance, reach])
    shade_regions(
        axes, x, np.maximum(distance - x, 0.0), above="attainable", below="unattainable", top=reach,
        at=((0.63, 0.6), (0.24, 0.2)),
    )  # fmt: skip
    axes.plot([0, distance], [distance, 0], color=THEORY_COLOUR, linewidth=0.9, marker="")
    for number, one in enumerate(series):
        if one.replacement in ("optimal", "residual"):
            draw_rectangles(axes, one.rejections, one.loss, confidence=settings.confidence, series=number)
    arrow = {"arrowstyle": "-", "color": NEUTRAL_COLOUR, "linewidth": 0.7, "shrinkB": 4}
    for text, point, at in (
        ("drafting alone", (0, distance), (0.12 * reach, 0.93 * reach)),
        ("speculative\ndecoding", (distance, 0), (0.97 * reach, 0.22 * reach)),
    ):
        axes.annotate(
            text, point, xytext=at, fontsize="small", arrowprops=arrow, va="center",
            ha="left" if point[0] == 0 else "right",
        )  # fmt: skip
    axes.set_xlim(0, reach)
    axes.set_ylim(0, reach)
    axes.grid(False)
    axes.set_title("(a) Pareto front of one token")
    axes.set_xlabel("P(reject)")
    axes.set_ylabel("loss, TV(output, target)")


def _draw_losses(axes, settings: Settings, series: list[Series], curves: dict, distance: float) -> None:
    """(b) Loss against rejection for every replacement, over the front."""
    axes.plot(
        [0, distance], [distance, 0], color=THEORY_COLOUR, linewidth=2.4, alpha=0.35, marker="",
        label="Pareto front",
    )  # fmt: skip
    for number, one in enumerate(series):
        _, rejections, loss = curves[one.replacement]
        axes.plot(
            rejections, loss, color=look(number)[0], linewidth=0.9, marker="",
            label=LABELS[one.replacement],
        )  # fmt: skip
        draw_rectangles(axes, one.rejections, one.loss, confidence=settings.confidence, series=number)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set_title("(b) loss against rejection")
    axes.set_xlabel("P(reject)")


def _draw_against_epsilon(axes, series: list[Series], curves: dict, distance: float) -> None:
    """(c) Loss against epsilon, on a square-root axis, as most of it happens near 0."""
    axes.axhline(distance, color=THEORY_COLOUR, linewidth=0.9, linestyle=(0, (5, 3)))
    for number, one in enumerate(series):
        colour, marker = look(number)
        epsilons, _, loss = curves[one.replacement]
        axes.plot(epsilons, loss, color=colour, linewidth=0.9, marker="")
        axes.errorbar(
            one.epsilons, one.loss.estimate,
            yerr=[one.loss.estimate - one.loss.low, one.loss.high - one.loss.estimate],
            color=colour, marker=marker, markerfacecolor="white", linestyle="none", clip_on=False, zorder=3.5,
        )  # fmt: skip
    last = max(one.epsilons[-1] for one in series) or 1.0
    root_axis(axes, 1.1 * last)
    axes.set_ylim(bottom=0)
    axes.annotate(
        "TV(draft, target)", (1.1 * last, distance), xytext=(-2, 4), textcoords="offset points", ha="right",
        fontsize="small",
    )  # fmt: skip
    axes.set_title("(c) loss against over-acceptance")
    axes.set_xlabel("epsilon")
    axes.set_ylabel("loss, TV(output, target)")
