"""Several exact curves over one axis, with simulated points beside some of them, and fans of exact curves.

A curve has the colour of its series, as its points have; their residuals stand in one panel, moved apart, so
that none hides another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.evidence import Interval, scaled_residuals
from simlab.report.draw import THEORY_WIDTH, moved_apart, residual_frame, residual_points
from simlab.report.style import NEUTRAL_COLOUR, THEORY_COLOUR, look, percent


@dataclass(frozen=True, eq=False)
class Curve:
    """label: in the legend. x, exact: (K,), the line. points: (M,), where it was simulated, with the interval
    there, arrays (M,), and the exact values there, (M,); or None for a line alone. width: of the line;
    where lines lie on one another the thinner is drawn on the wider, so that each is seen.
    """

    label: str
    x: np.ndarray
    exact: np.ndarray
    points: np.ndarray | None = None
    interval: Interval | None = None
    exact_there: np.ndarray | None = None
    width: float = THEORY_WIDTH


def draw_curves(axes, residual_axes, curves: list[Curve], *, confidence: float, log: bool):
    """The curves with their points, and all residuals below.

    residual_axes: None where nothing was simulated. confidence: with which all intervals hold together. log:
    whether x is logarithmic, which is set here.
    """
    for series, curve in enumerate(curves):
        colour, marker = look(series)
        axes.plot(
            curve.x, curve.exact, color=colour, linewidth=curve.width, marker="", label=curve.label,
            zorder=2.5 - 0.01 * curve.width,
        )  # fmt: skip
        if curve.points is None:
            continue
        mean, low, high = (np.asarray(end, float) for end in curve.interval)
        axes.errorbar(
            curve.points, mean, yerr=[mean - low, high - mean], color=colour, marker=marker,
            markersize=4.5, markerfacecolor="white", linestyle="none", zorder=3,
            label=f"simulated, {percent(confidence)} intervals, all at once",
        )  # fmt: skip
    if log:
        axes.set_xscale("log")
    if residual_axes is not None:
        _draw_residuals(residual_axes, curves, log)


def _draw_residuals(axes, curves: list[Curve], log: bool) -> None:
    simulated = [(series, curve) for series, curve in enumerate(curves) if curve.points is not None]
    residuals = [scaled_residuals(curve.interval, curve.exact_there) for _, curve in simulated]
    residual_frame(axes, np.concatenate(residuals), NEUTRAL_COLOUR)
    places = [np.log(curve.points) if log else np.asarray(curve.points, float) for _, curve in simulated]
    whole = np.unique(np.concatenate([*places, *(np.log(c.x) if log else c.x for _, c in simulated)]))
    shift = 0.25 * (np.diff(np.unique(np.concatenate(places))).min(initial=np.ptp(whole) or 1.0))
    shift = min(shift, 0.03 * (np.ptp(whole) or 1.0) * len(simulated)) / max(len(simulated), 1)
    for at, ((series, _), place, residual) in enumerate(zip(simulated, places, residuals, strict=True)):
        beside = place + shift * (at - (len(simulated) - 1) / 2)
        residual_points(axes, np.exp(beside) if log else beside, residual, series)


def draw_comparison(axes, x, y, label: str, *, dashes: tuple) -> None:
    """A line that is not a theorem here: grey and dashed. x, y: (K,)."""
    axes.plot(
        x, y, color=NEUTRAL_COLOUR, linewidth=0.9, linestyle=(0, dashes), marker="", label=label, zorder=2
    )


def draw_fan(axes, x, lines, labels: list[str]) -> None:
    """Exact curves over one x, from dark to light, each labelled at its right end. x: (K,); lines: (N, K)."""
    from matplotlib.colors import to_hex, to_rgb

    dark, light = np.array(to_rgb(look(0)[0])), np.array(to_rgb(look(4)[0]))
    shades = [to_hex(dark + (light - dark) * part) for part in np.linspace(0, 1, len(lines))]
    for line, shade in zip(lines, shades, strict=True):
        axes.plot(x, line, color=shade, linewidth=1.1, marker="", zorder=2.5)
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top)
    ends = np.array([line[-1] for line in lines], float)
    for label, place, shade in zip(
        labels, moved_apart(ends, 0.055 * (top - bottom), top), shades, strict=True
    ):
        axes.annotate(
            label, (x[-1], place), xytext=(5, 0), textcoords="offset points", va="center", color=shade,
            fontsize="small", annotation_clip=False,
        )  # fmt: skip


def draw_optimum(axes, x, y, label: str) -> None:
    """What no other choice exceeds: a dark line above the rest. x, y: (K,)."""
    axes.plot(x, y, color=THEORY_COLOUR, linewidth=1.0, marker="", label=label, zorder=2.6)


def thinned(values, ratio: float = 1.7) -> list[int]:
    """Of rising positive numbers those that a logarithmic axis has room to label: the first, and each that is
    `ratio` times the last one taken.
    """
    taken = [int(values[0])]
    for value in values:
        if value >= ratio * taken[-1]:
            taken.append(int(value))
    return taken
