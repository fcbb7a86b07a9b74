"""What the figures of the speed of light are made of: accepted tokens against capacity, gaps, entropies.

Simulated values are markers with their intervals; each bound has one look in all panels. Every function takes
arrays, draws on axes that the caller made and labels what it draws. Call them inside `style()`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from simlab.evidence import Interval
from simlab.report.style import NEUTRAL_COLOUR, THEORY_COLOUR, look, percent

BOUNDS = {
    "first_order": ("log(P)/μ, first order", NEUTRAL_COLOUR, (0, (1, 1.5)), 1.0),
    "published": ("published slope, constant unstated", NEUTRAL_COLOUR, (0, (6, 3)), 1.0),
    "sharper": ("sharper bound", "#D55E00", "-", 1.4),
    "dual": ("dual bound", "#009E73", "-", 1.4),
    "renewal": ("renewal bound", "#CC79A7", (0, (3, 1.2)), 1.6),
    "asymptote": ("asymptote", THEORY_COLOUR, (0, (4, 2, 1, 2)), 0.9),
}
"""Label, colour, dashes and width of each curve: theorems in colour, what is not a bound in grey and
black."""


def draw_accepted(
    axes, capacities, interval: Interval, curves: Mapping[str, tuple], *, confidence: float, top: float
):
    """E[X] against the capacity, on a logarithmic axis, with the bounds on it.

    capacities: (K,), >= 1. interval: arrays (K,), the simulated E[X] in tokens. curves: by their names in
    BOUNDS, each (x, y) of two arrays; one that leaves the panel is cut off. top: upper end of the y axis.
    """
    _points(axes, capacities, interval, f"simulated, {percent(confidence)} interval")
    for name in (name for name in BOUNDS if name in curves):
        label, colour, dashes, width = BOUNDS[name]
        axes.plot(
            *curves[name], color=colour, linestyle=dashes, linewidth=width, marker="", label=label, zorder=2.2
        )
    capacity_axis(axes, capacities)
    axes.set_ylim(0, top)


def draw_gaps(axes, families: list[tuple], *, span: tuple[float, float]):
    """How much a bound is above the simulated E[X], in tokens, for several distributions over one axis of
    capacities.

    families: (label, series number, capacities (K,), gap: Interval of arrays (K,), limit or None) a
    distribution; the limit is what the gap tends to, a dashed line at the right end. Distributions stand
    beside each other. span: of the y axis, which intervals may leave.
    """
    last = max(capacities[-1] for _, _, capacities, _, _ in families)
    for label, series, capacities, gap, limit in families:
        colour, marker = look(series)
        beside = capacities * 1.09 ** (series - (len(families) - 1) / 2)
        axes.vlines(beside, gap.low, gap.high, color=colour, linewidth=0.9, alpha=0.5)
        axes.plot(
            beside, gap.estimate, color=colour, marker=marker, markerfacecolor="white", linewidth=0.6,
            label=label,
        )  # fmt: skip
        if limit is not None:
            axes.plot(
                [last / 100, 1.6 * last], [limit, limit], color=colour, linestyle=(0, (4, 2)), linewidth=1.2,
                marker="", zorder=1.8, label="limit of the gap",
            )  # fmt: skip
    axes.axhline(0, color=THEORY_COLOUR, linewidth=0.9)
    capacity_axis(axes, np.concatenate([capacities for _, _, capacities, _, _ in families]), room=1.7)
    axes.set_ylim(*span)


def draw_entropies(axes, families: Mapping[str, tuple], line: tuple):
    """E[X] at one capacity against the entropy: a marker a distribution, its bound a tick above it.

    families: by their names, (entropies, estimates, bounds), three arrays (n,). line: (entropies, the first
    order there), the one curve that the entropy alone decides.
    """
    label, colour, dashes, width = BOUNDS["first_order"]
    axes.plot(*line, color=colour, linestyle=dashes, linewidth=width, marker="", label=label)
    for series, (name, (entropies, estimates, bounds)) in enumerate(families.items()):
        colour, marker = look(series)
        axes.vlines(entropies, estimates, bounds, color=colour, linewidth=0.5, alpha=0.6)
        axes.plot(
            entropies, bounds, color=colour, marker="_", markersize=6, markeredgewidth=1.4, linestyle="none",
            label="dual bound of each distribution",
        )  # fmt: skip
        axes.plot(
            entropies, estimates, color=colour, marker=marker, markerfacecolor="white",
            linestyle="none", label=name, zorder=3,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        _plain_ticks(axis)


def capacity_axis(axes, capacities, *, room: float = 1.25):
    """A logarithmic x axis over the capacities, labelled at powers of ten. room: the factor at its ends."""
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = float(np.min(capacities)), float(np.max(capacities))
    axes.set_xscale("log")
    axes.set_xlim(low / room, max(high, 2 * low) * room)
    axes.xaxis.set_major_locator(LogLocator(10, numticks=12))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_minor_locator(LogLocator(10, subs=(), numticks=12))


def _plain_ticks(axis) -> None:
    """A logarithmic axis labelled at 1, 2, 5, 10, .., in plain numbers."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    axis.set_major_locator(LogLocator(10, subs=(1, 2, 5), numticks=20))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_locator(NullLocator())


def _points(axes, x, interval: Interval, label: str) -> None:
    mean, low, high = (np.asarray(end, float) for end in interval)
    colour, marker = look(0)
    axes.errorbar(
        np.asarray(x, float), mean, yerr=[mean - low, high - mean], color=colour, marker=marker,
        markerfacecolor="white", linestyle="none", label=label, zorder=3,
    )  # fmt: skip
