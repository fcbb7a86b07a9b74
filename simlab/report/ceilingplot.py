"""What figures of many drafts are made of: rules under their optimum, a plane of gaps, differences by row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.report.style import NEUTRAL_COLOUR, THEORY_COLOUR, look, percent

DASHES = (0, (4, 1.6))


@dataclass(frozen=True, eq=False)
class Line:
    """values: (K,), nan where there is none. series: None for the optimum, which is black."""

    label: str
    values: np.ndarray
    series: int | None
    dashed: bool = False


@dataclass(frozen=True)
class Marked:
    """An instance with a name."""

    name: str
    x: float
    y: float


def draw_lines(axes, drafts, lines: list[Line]) -> None:
    """Acceptances against the number of drafts, on a logarithmic axis; the optimum above all others."""
    for line in lines:
        optimum = line.series is None
        axes.plot(
            drafts, line.values, label=line.label, marker="",
            color=THEORY_COLOUR if optimum else look(line.series)[0], linewidth=1.7 if optimum else 1.1,
            linestyle=DASHES if line.dashed else "-", zorder=2.8 if optimum else 2.5,
        )  # fmt: skip


def draw_points(axes, drafts, interval, series: int | None, *, confidence: float) -> None:
    """Simulated acceptances with their intervals, arrays (K,); series as in `Line`.

    confidence: with which all intervals of the figure hold together.
    """
    colour, marker = (THEORY_COLOUR, "o") if series is None else look(series)
    mean, low, high = (np.asarray(end, float) for end in interval)
    axes.errorbar(
        drafts, mean, yerr=[mean - low, high - mean], color=colour, marker=marker, markersize=4.5,
        markerfacecolor="white", linestyle="none", zorder=3,
        label=f"simulated, {percent(confidence)} intervals, all at once",
    )  # fmt: skip


def draw_limit(axes, height: float, label: str = "limit, k → ∞") -> None:
    """What all lines tend to."""
    axes.axhline(
        height, color=NEUTRAL_COLOUR, linewidth=1.0, linestyle=(0, (1, 1.5)), zorder=1.5, label=label
    )


def draft_ticks(axes, drafts) -> None:
    """A logarithmic axis labelled with the numbers of drafts that have room."""
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, StrMethodFormatter

    shown = [drafts[0]]
    for one in drafts[1:]:
        if one >= 1.9 * shown[-1]:
            shown.append(one)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())


def draw_plane(axes, values: np.ndarray, drafts, labels: list[str], most: float) -> None:
    """values (N, K) as shaded cells with their numbers, the first row at the bottom; nan is left white.

    most: the value of the darkest shade. labels: of the rows; none where a plane beside it has them.
    """
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("gap", ["#f4f8fc", "#6baed6", "#08477a"])
    number, columns = values.shape
    axes.pcolormesh(
        np.arange(columns + 1) - 0.5, np.arange(number + 1) - 0.5, np.ma.masked_invalid(values),
        cmap=shades, vmin=0.0, vmax=max(most, 1e-9), edgecolors="white", linewidth=0.5,
    )  # fmt: skip
    for row, column in np.argwhere(np.isfinite(values)):
        value = values[row, column]
        axes.text(
            column, row, f"{value:.1f}" if value >= 0.05 else "0", ha="center", va="center", fontsize="small",
            color="white" if value > 0.6 * most else THEORY_COLOUR,
        )  # fmt: skip
    axes.set_xticks(range(columns), [f"{k}" for k in drafts])
    axes.set_yticks(range(number) if labels else [], labels)
    axes.tick_params(length=0)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def draw_differences(axes, x, differences, labels: list[str], marked: list[Marked]) -> None:
    """Differences against x, a series a row of (S, N), about the line of none, and instances with a name."""
    axes.axhline(0, color=THEORY_COLOUR, linewidth=0.8, zorder=1.5)
    for series, (values, label) in enumerate(zip(differences, labels, strict=True)):
        colour, marker = look(series)
        axes.plot(
            x, values, color=colour, marker=marker, markersize=2.6, markeredgewidth=0, alpha=0.65,
            linestyle="none", label=label, zorder=2,
        )  # fmt: skip
    for one in marked:
        axes.plot(
            [one.x], [one.y], color=THEORY_COLOUR, marker="D", markersize=6, markerfacecolor="white",
            linestyle="none", label="the instances of the caption, k = 2", zorder=4,
        )  # fmt: skip
        axes.annotate(one.name, (one.x, one.y), xytext=(6, 4), textcoords="offset points", zorder=5)


def draw_bound(axes, drafts, heights, label: str, *, dashed: bool) -> None:
    """A bound against the number of drafts: black, or grey dashes for one that is held beside it."""
    colour = NEUTRAL_COLOUR if dashed else THEORY_COLOUR
    dashes = DASHES if dashed else "-"
    axes.plot(
        drafts, heights, color=colour, linestyle=dashes, linewidth=1.2, marker="", label=label, zorder=2
    )


def draw_found(axes, drafts, heights, label: str, series: int) -> None:
    """What a search found, by number of drafts."""
    colour, marker = look(series)
    axes.plot(
        drafts, heights, color=colour, marker=marker, markersize=5, markerfacecolor="white",
        linestyle="none", label=label, zorder=3,
    )  # fmt: skip
