"""What figures of two quantities traded against each other are made of: rectangles, regions, residuals.

A simulated point has an interval in each direction; together they are a rectangle. Where it is too small to
be seen, `draw_residual_plane` shows all points at once, each divided by its own rectangle.
"""

from __future__ import annotations

import numpy as np

from simlab.evidence import Interval
from simlab.report.style import ALARM_COLOUR, NEUTRAL_COLOUR, THEORY_COLOUR, look, percent


def draw_rectangles(axes, x: Interval, y: Interval, *, confidence: float, series=0):
    """Simulated points with the rectangle of their two intervals. x, y: intervals of arrays (K,).

    confidence: with which the rectangles hold their points, as the label says: all at once.
    """
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    x, y = (Interval(*(np.asarray(end, float) for end in interval)) for interval in (x, y))
    colour, marker = look(series)
    corners = zip(x.low, y.low, x.high - x.low, y.high - y.low, strict=True)
    patches = [Rectangle((left, bottom), width, height) for left, bottom, width, height in corners]
    axes.add_collection(PatchCollection(patches, facecolor=colour, alpha=0.35, edgecolor=colour, zorder=3))
    axes.plot(
        x.estimate,
        y.estimate,
        color=colour,
        marker=marker,
        markerfacecolor="white",
        linestyle="none",
        label=f"simulated; {percent(confidence)} rectangles, all at once",
        zorder=3.5,
        clip_on=False,
    )


def draw_residual_plane(axes, residuals: list[tuple[np.ndarray, np.ndarray]]):
    """Both residuals of every point, each in half-widths of its interval: the square is every rectangle.

    residuals: (x, y) a series, arrays (K,), as `scaled_residuals` gives them. What is outside is a red cross;
    the infinite is drawn near the edge.
    """
    from matplotlib.patches import Rectangle

    sizes = np.concatenate([np.abs(part).ravel() for pair in residuals for part in pair])
    largest = max(1.35, sizes[np.isfinite(sizes)].max(initial=0))
    edge = 1.12 * largest
    axes.add_patch(Rectangle((-1, -1), 2, 2, facecolor=NEUTRAL_COLOUR, alpha=0.12, linewidth=0))
    axes.add_patch(
        Rectangle((-1, -1), 2, 2, fill=False, edgecolor=NEUTRAL_COLOUR, linewidth=0.8, linestyle=(0, (2, 2)))
    )
    for draw in (axes.axhline, axes.axvline):
        draw(0, color=THEORY_COLOUR, linewidth=0.6)
    for series, (x, y) in enumerate(residuals):
        x, y = (np.clip(np.asarray(part, float), -edge, edge) for part in (x, y))
        colour, marker = look(series)
        outside = np.maximum(np.abs(x), np.abs(y)) > 1
        axes.plot(x[~outside], y[~outside], color=colour, marker=marker, markersize=4, linestyle="none")
        axes.plot(
            x[outside], y[outside], color=ALARM_COLOUR, marker="X", markersize=6, markeredgewidth=0,
            linestyle="none", zorder=4,
        )  # fmt: skip
    axes.set_xlim(-1.12 * edge, 1.12 * edge)
    axes.set_ylim(-1.12 * edge, 1.12 * edge)
    axes.set_aspect("equal")
    if largest < 3:
        axes.set_xticks([-1, 0, 1])
        axes.set_yticks([-1, 0, 1])


def shade_regions(axes, x, front, *, above: str, below: str, at: tuple[tuple, tuple], top: float):
    """The plane above a front and below it, each with its name. x, front: (K,), x rising.

    above, below: the names; at: where they stand, in parts of the axes. top: how far up the upper one goes.
    """
    colour, _ = look(0)
    axes.fill_between(x, front, top, color=colour, alpha=0.1, linewidth=0)
    axes.fill_between(x, 0, front, color=NEUTRAL_COLOUR, alpha=0.22, linewidth=0)
    for word, place in ((above, at[0]), (below, at[1])):
        axes.text(*place, word, transform=axes.transAxes, ha="center", va="center", color="#404040")


def root_axis(axes, last: float):
    """An x axis from 0 to `last` on which square roots are evenly spaced, with the ticks that find room."""
    from matplotlib.ticker import FixedLocator, StrMethodFormatter

    ticks = [0.0]
    for exponent in range(-6, 4):
        for digit in (1, 2, 5):
            tick = digit * 10.0**exponent
            if tick <= last and np.sqrt(tick) - np.sqrt(ticks[-1]) >= 0.12 * np.sqrt(last):
                ticks.append(tick)
    axes.set_xscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
    axes.set_xlim(0, last)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
