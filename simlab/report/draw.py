"""What the figures are made of: simulated values and exact ones on axes that the caller made.

Theory is a thin dark line, simulation has a colour, a marker and its band. The residual panel divides each
difference by the half-width of its interval, on the side on which the exact value lies, so that the lines at
-1 and 1 are the band: a point beyond them is a discrepancy, and is drawn as a red cross. Every function takes
arrays and labels what it draws; where the legend goes is the caller's matter. Call them inside `style()`.
"""

from __future__ import annotations

import numpy as np

from simlab.evidence import Interval, scaled_residuals
from simlab.report.style import ALARM_COLOUR, NEUTRAL_COLOUR, THEORY_COLOUR, look, percent

THEORY_WIDTH = 0.9
"""Line width of exact values, in points."""

NEGLIGIBLE = 1e-4
"""Cells of a pmf below this part of the largest one are not shown, unless they are outside their band."""


def draw_running_average(
    axes, runs, interval: Interval, exact: float, *, confidence: float, exact_label: str, series=0
):
    """The running average after 1, 2, .. batches of runs with its interval, over the exact value.

    runs: (K,), number of runs so far, increasing. interval: arrays (K,), such as `confidence_sequence`
    returns: one that holds after all numbers of runs at once. The y axis is centred on the exact value and
    shows the running average whole; the band may leave it on the left, where it is as wide as the range of
    the counts.
    """
    runs = np.asarray(runs)
    mean, low, high = (np.asarray(a, float) for a in interval)
    colour, marker = look(series)
    axes.fill_between(
        runs,
        low,
        high,
        color=colour,
        alpha=0.22,
        linewidth=0,
        label=f"{percent(confidence)} interval, all runs at once",
    )
    axes.plot(
        runs,
        mean,
        color=colour,
        marker=marker,
        markevery=_evenly_in_log(runs),
        markersize=3.5,
        label="average of the runs so far",
    )
    axes.axhline(exact, color=THEORY_COLOUR, linewidth=THEORY_WIDTH, label=exact_label, zorder=3)
    _log_axis_of_runs(axes, runs)
    middle = np.searchsorted(np.log(runs), np.log(runs[0] * float(runs[-1])) / 2)
    reach = 1.15 * max(np.abs(mean - exact).max(), (high - low)[min(middle, len(runs) - 1)])
    if reach > 0:
        axes.set_ylim(max(exact - reach, -0.05 * reach), exact + reach)
    axes.set_xlabel("number of runs")
    axes.set_ylabel("rejections per run")


def draw_pmf(axes, residual_axes, interval: Interval, exact_pmf, *, confidence: float, series=0):
    """The histogram of the number of rejections over the exact pmf, and the residuals below.

    interval: arrays (T+1,), the simulated pmf and its simultaneous band (`pmf_band`). exact_pmf: (T+1,).
    Cells of negligible probability at either end are left out, but never one that is outside its band.
    """
    exact_pmf = np.asarray(exact_pmf, float)
    simulated, low, high = (np.asarray(a, float) for a in interval)
    counts = np.arange(len(exact_pmf))
    residuals = scaled_residuals(interval, exact_pmf)
    first, last = _shown(np.maximum(simulated, exact_pmf), residuals)
    colour, _ = look(series)
    axes.bar(counts, simulated, width=0.82, color=colour, alpha=0.3, linewidth=0, label="simulated")
    axes.hlines(simulated, counts - 0.41, counts + 0.41, color=colour, linewidth=1)
    axes.bar(
        counts,
        high - low,
        bottom=low,
        width=0.82,
        color=colour,
        alpha=0.5,
        linewidth=0,
        label=f"{percent(confidence)} band, all cells at once",
    )
    axes.plot(
        counts,
        exact_pmf,
        color=THEORY_COLOUR,
        linewidth=THEORY_WIDTH,
        marker=".",
        markersize=3.5,
        label="exact",
    )
    axes.set_xlim(first - 0.9, last + 0.9)
    axes.set_ylim(0, 1.08 * max(high[first : last + 1].max(), exact_pmf.max()))
    axes.set_ylabel("probability")
    draw_residuals(residual_axes, counts[first : last + 1], residuals[first : last + 1], series=series)
    residual_axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    residual_axes.set_xlabel("rejections in a run")


def draw_curve(
    axes,
    residual_axes,
    x,
    interval: Interval,
    exact,
    *,
    confidence: float,
    line: tuple | None = None,
    limit: float | None = None,
    limit_label: str = "limit",
    series=0,
):
    """Simulated values with their intervals over a curve of exact ones, and the residuals below.

    x, exact: (K,), the points simulated and their exact values; interval: arrays (K,). line: (x, exact) at
    more points, for a smoother curve. limit: the exact value that the curve tends to, a dashed line.
    """
    x, exact = np.asarray(x, float), np.asarray(exact, float)
    mean, low, high = (np.asarray(a, float) for a in interval)
    colour, marker = look(series)
    line_x, line_y = (x, exact) if line is None else line
    axes.plot(
        line_x, line_y, color=THEORY_COLOUR, linewidth=THEORY_WIDTH, marker="", label="exact", zorder=2.5
    )
    if limit is not None:
        axes.axhline(
            limit, color=THEORY_COLOUR, linewidth=THEORY_WIDTH, linestyle=(0, (5, 3)), label=limit_label
        )
    axes.errorbar(
        x,
        mean,
        yerr=[mean - low, high - mean],
        color=colour,
        marker=marker,
        markerfacecolor="white",
        linestyle="none",
        label=f"simulated, {percent(confidence)} interval",
        zorder=3,
    )
    draw_residuals(residual_axes, x, scaled_residuals(interval, exact), series=series)


def draw_family(axes, residual_axes, x, family: list[tuple], *, confidence: float, line_x, lines):
    """Several curves over one logarithmic axis, each with its simulated values, and all residuals below.

    x: (K,), positive, the points simulated. family: (label, Interval of arrays (K,), exact (K,)) a curve.
    line_x: (L,); lines: (L,) a curve, the formula that the exact values were found without. The label stands
    at the line's right end. In the residual panel the curves stand beside each other, so that none hides
    another.
    """
    x = np.asarray(x, float)
    shift = 0.8 * np.log(np.divide(*x[[1, 0]]) if len(x) > 1 else 2.0) / len(family)
    frame_of = [scaled_residuals(interval, exact) for _, interval, exact in family]
    residual_frame(residual_axes, np.concatenate(frame_of), NEUTRAL_COLOUR)
    for series, ((_, interval, exact), line) in enumerate(zip(family, lines, strict=True)):
        colour, marker = look(series)
        mean, low, high = (np.asarray(a, float) for a in interval)
        theory = {"color": THEORY_COLOUR, "zorder": 2.5}
        axes.plot(line_x, line, linewidth=THEORY_WIDTH, marker="", label="closed form", **theory)
        axes.errorbar(
            x,
            mean,
            yerr=[mean - low, high - mean],
            color=colour,
            marker=marker,
            markersize=6,
            markerfacecolor="white",
            linestyle="none",
            label=f"simulated, {percent(confidence)} interval",
            zorder=3,
        )
        axes.plot(
            x, exact, linestyle="none", marker=".", markersize=3, label="exact recursion",
            color=THEORY_COLOUR, zorder=4,
        )  # fmt: skip
        beside = x * np.exp(shift * (series - (len(family) - 1) / 2))
        residual_points(residual_axes, beside, frame_of[series], series)
    _label_ends(axes, line_x[-1], [line[-1] for line in lines], [label for label, *_ in family])


def _label_ends(axes, x: float, heights: list[float], labels: list[str]) -> None:
    """Labels in the colours of their series right of (x, height), moved apart where they would overlap."""
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top)
    places = moved_apart(np.asarray(heights, float), 0.06 * (top - bottom), top)
    for series, (label, place) in enumerate(zip(labels, places, strict=True)):
        axes.annotate(
            label, (x, place), xytext=(7, 0), textcoords="offset points", va="center",
            color=look(series)[0], fontsize="small", annotation_clip=False,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )  # fmt: skip


def moved_apart(places: np.ndarray, gap: float, top: float) -> np.ndarray:
    """`places` (K,) in their order, each at least `gap` from the next and none above `top`, hardly moved."""
    order = np.argsort(places, kind="stable")
    steps = gap * np.arange(len(places))
    moved = np.empty(len(places))
    moved[order] = np.minimum(np.maximum.accumulate(places[order] - steps) + steps, top - steps[::-1])
    return moved


def draw_residuals(axes, x, residuals, *, series=0):
    """Residuals in half-widths between lines at -1 and 1; what lies beyond is a red cross.

    x, residuals: (K,). An infinite residual is drawn near the edge of the axes.
    """
    residual_frame(axes, np.asarray(residuals, float), look(series)[0])
    residual_points(axes, x, residuals, series)


def residual_frame(axes, residuals: np.ndarray, colour: str) -> None:
    """The lines at -1, 0 and 1, and a y axis that holds all residuals."""
    largest = max(1.15, np.abs(residuals[np.isfinite(residuals)]).max(initial=0))
    axes.axhspan(-1, 1, color=colour, alpha=0.1, linewidth=0)
    axes.axhline(0, color=THEORY_COLOUR, linewidth=THEORY_WIDTH)
    for edge in (-1, 1):
        axes.axhline(edge, color=colour, linewidth=0.8, linestyle=(0, (2, 2)))
    axes.set_ylim(-1.25 * largest, 1.25 * largest)
    if largest < 3:
        axes.set_yticks([-1, 0, 1])
    axes.set_ylabel("residual\nin half-\nwidths", fontsize="small")


def residual_points(axes, x, residuals, series: int) -> None:
    """The residuals on axes framed for them; an infinite one near the edge."""
    x, residuals = np.asarray(x, float), np.asarray(residuals, float)
    colour, marker = look(series)
    edge = axes.get_ylim()[1] * 1.12 / 1.25
    shown = np.clip(residuals, -edge, edge)
    outside = np.abs(residuals) > 1
    axes.plot(x[~outside], shown[~outside], color=colour, marker=marker, markersize=3, linestyle="none")
    axes.plot(
        x[outside],
        shown[outside],
        color=ALARM_COLOUR,
        marker="X",
        markersize=5.5,
        markeredgewidth=0,
        linestyle="none",
        zorder=4,
    )


def whole_number_ticks(axes, values):
    """A logarithmic x axis (base 2) that is labelled at the given values and nowhere else."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    values = [int(v) for v in values]
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_major_formatter(FixedFormatter([str(v) for v in values]))
    axes.xaxis.set_minor_locator(NullLocator())


def shared_legend(figure, axes: list, *, columns: int = 3):
    """One legend below all panels, each label once.

    What has the same label but another colour elsewhere is grey, so that the legend claims no colour.
    """
    from matplotlib.colors import to_rgb, to_rgba
    from matplotlib.container import ErrorbarContainer
    from matplotlib.lines import Line2D

    handles, colours = {}, {}
    for panel in axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
            colours.setdefault(label, set()).add(to_rgb(_colour(handle)))
    several = {label for label in handles if len(colours[label]) > 1}
    for label in several:
        if isinstance(handles[label], ErrorbarContainer):  # its parts in a legend are out of reach
            handles[label] = Line2D(
                [], [], color=NEUTRAL_COLOUR, marker="o", markerfacecolor="white", linestyle="none"
            )
    legend = figure.legend(
        list(handles.values()), list(handles), loc="outside lower center", ncols=min(columns, len(handles))
    )
    for drawn, label in zip(legend.legend_handles, handles, strict=True):
        if label in several:
            drawn.set_color(to_rgba(NEUTRAL_COLOUR, to_rgba(_colour(drawn))[3]))
    return legend


def _colour(handle):
    """The colour of a legend's handle, be it line, patch, filled area, bars or points with intervals."""
    from matplotlib.container import BarContainer, ErrorbarContainer

    if isinstance(handle, (BarContainer, ErrorbarContainer)):
        handle = handle[0]
    colour = handle.get_color() if hasattr(handle, "get_color") else handle.get_facecolor()
    return colour[0] if np.ndim(colour) == 2 else colour


def _log_axis_of_runs(axes, runs: np.ndarray) -> None:
    """A logarithmic x axis that is labelled at powers of 10, or at its ends where it spans few."""
    from matplotlib.ticker import FixedLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    axes.set_xlim(runs[0] * 0.95, runs[-1] * 1.1)
    axes.xaxis.set_minor_formatter(NullFormatter())
    if runs[-1] < 30 * runs[0]:
        axes.xaxis.set_major_locator(FixedLocator(sorted({runs[0], runs[-1]})))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _evenly_in_log(runs: np.ndarray, markers: int = 12) -> list[int]:
    """Indices of about that many points, evenly spaced on a logarithmic axis."""
    wanted = np.geomspace(runs[0], runs[-1], markers)
    return sorted({int(i) for i in np.searchsorted(runs, wanted).clip(max=len(runs) - 1)})


def _shown(pmf: np.ndarray, residuals: np.ndarray) -> tuple[int, int]:
    """First and last cell worth showing: with mass, or outside the band; three cells at least.

    A single cell would show a slope of the exact line to a neighbour that is not there.
    """
    worth = np.flatnonzero((pmf >= NEGLIGIBLE * pmf.max()) | (np.abs(residuals) > 1))
    first, last = int(worth[0]), int(worth[-1])
    if last - first < 2:
        first, last = max(first - 1, 0), min(last + 1, len(pmf) - 1)
    return first, last
