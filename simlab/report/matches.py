"""Shares of matches won, against brackets of the exact ones and an even match."""

from __future__ import annotations

import numpy as np

from simlab.evidence import scaled_residuals
from simlab.report.draw import THEORY_WIDTH, residual_frame, residual_points
from simlab.report.style import NEUTRAL_COLOUR, THEORY_COLOUR, look, percent

SPREAD = 0.36
"""Width that the series of one position take, of the distance between two positions."""


def draw_matches(axes, residual_axes, places: list[float], family: list[tuple], *, confidence: float):
    """Simulated shares with their intervals beside brackets of the exact ones, and the residuals below.

    places: (K,), the settings, evenly spaced whatever their values. family: (label, Interval of arrays (K,),
    brackets (K, 2)) a series; series stand beside each other. Residuals are taken from the middle of the
    bracket, where it says anything (is not all of [0, 1]).
    """
    from matplotlib.colors import to_rgba

    steps = np.arange(len(places), dtype=float)
    shift = SPREAD / max(len(family), 1)
    residuals = [
        np.where(np.ptp(exact, axis=1) < 1, scaled_residuals(interval, exact.mean(axis=1)), np.nan)
        for _, interval, exact in family
    ]
    even = {"color": NEUTRAL_COLOUR, "linestyle": (0, (5, 3)), "linewidth": 0.9, "zorder": 1}
    axes.use_sticky_edges = False  # a box is not a bar: its lower end needs room too
    axes.axhline(0.5, label="even", **even)
    residual_frame(residual_axes, np.concatenate(residuals), NEUTRAL_COLOUR)
    for series, (label, interval, exact) in enumerate(family):
        colour, marker = look(series)
        beside = steps + shift * (series - (len(family) - 1) / 2)
        mean, low, high = (np.asarray(end, float) for end in interval)
        axes.bar(
            beside,
            exact[:, 1] - exact[:, 0],
            bottom=exact[:, 0],
            width=0.7 * shift,
            facecolor=to_rgba(THEORY_COLOUR, 0.18),
            edgecolor=THEORY_COLOUR,
            linewidth=THEORY_WIDTH,
            label="exact, a bracket",
            zorder=2.5,
        )
        axes.errorbar(
            beside,
            mean,
            yerr=[mean - low, high - mean],
            color=colour,
            marker=marker,
            markerfacecolor="white",
            linestyle="none",
            label=f"{label} ({percent(confidence)} interval)",
            zorder=3,
        )
        residual_points(residual_axes, beside, residuals[series], series)
    residual_axes.set_xticks(steps, [f"{value:g}" for value in places])
    residual_axes.set_xlim(-0.5, len(places) - 0.5)
    axes.set_ylabel("WinRate")
