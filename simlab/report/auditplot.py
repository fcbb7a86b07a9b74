"""What the figure of an audit's power is made of: calls against bias, and calls by mistake."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.evidence import Interval
from simlab.report.draw import THEORY_WIDTH
from simlab.report.style import NEUTRAL_COLOUR, THEORY_COLOUR, look

DASHES = (0, (3, 1.5))


@dataclass(frozen=True, eq=False)
class Curve:
    """Calls against total variation: foretold and the least (None: there is no bound), (K,) each, and of
    those simulated their total variations, rising, and calls."""

    label: str
    variation: np.ndarray
    foretold: np.ndarray
    least: np.ndarray | None
    simulated: np.ndarray
    calls: Interval


def draw_curves(axes, curves: list[Curve]) -> None:
    """Every curve in its colour, foretold as a dark line, its bound dashed."""
    for series, one in enumerate(curves):
        colour, marker = look(series)
        axes.plot(
            one.variation, one.foretold, color=THEORY_COLOUR, linewidth=THEORY_WIDTH, marker="",
            label="foretold", zorder=2.5,
        )  # fmt: skip
        if one.least is not None:
            axes.plot(
                one.variation, one.least, color=NEUTRAL_COLOUR, linewidth=1.1, marker="",
                linestyle=DASHES, label="the least of any audit", zorder=2,
            )  # fmt: skip
        _bars(axes, one.simulated, one.calls, colour, marker, one.label, "y")
    axes.set_xscale("log")
    axes.set_yscale("log")
    ticks = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    axes.set_xticks(ticks, [f"{value:g}" for value in ticks])
    axes.minorticks_off()


def draw_numbered(axes, variation, calls: Interval, series: int) -> None:
    """Calls against total variation of the mistakes, each with its number from 1: right of its mark, or
    left of it where another mark would lie under the number.
    """
    colour, marker = look(series)
    axes.plot(
        variation, calls.estimate, color=colour, marker=marker, markersize=3, linestyle="none", zorder=2.2
    )
    across, up = (np.subtract.outer(one, one).T for one in (np.log(variation), np.log(calls.estimate)))
    covered = ((across > 0) & (across < 0.5) & (abs(up) < 0.5)).any(axis=1)
    marks = zip(variation, calls.estimate, strict=True)
    for number, (at, left) in enumerate(zip(marks, covered, strict=True), 1):
        axes.annotate(
            str(number), at, xytext=(-4 if left else 4, 2), textcoords="offset points",
            ha="right" if left else "left", color=colour, zorder=4,
        )  # fmt: skip


def draw_mistakes(axes, names: list[str], foretold, least, calls: Interval, series: int) -> None:
    """A row a mistake, from the top: calls until FAIL. foretold, least: (K,), nan where there is none."""
    rows = np.arange(len(names))
    colour, marker = look(series)
    _ticks(axes, foretold, rows, THEORY_COLOUR, "-")
    _ticks(axes, least, rows, NEUTRAL_COLOUR, DASHES)
    _bars(axes, rows, calls, colour, marker, "mistakes that shipped", "x")
    axes.set_xscale("log")
    axes.set_yticks(rows, names)
    axes.set_ylim(len(names) - 0.5, -0.5)


def _ticks(axes, values, rows, colour: str, line) -> None:
    shown = np.isfinite(values)
    axes.vlines(
        np.asarray(values)[shown], rows[shown] - 0.32, rows[shown] + 0.32, color=colour, linewidth=1.2,
        linestyle=line, zorder=2.5,
    )  # fmt: skip


def _bars(axes, at, interval: Interval, colour: str, marker: str, label: str, along: str) -> None:
    middle, low, high = (np.asarray(end, float) for end in interval)
    across = (at, middle) if along == "y" else (middle, at)
    axes.errorbar(
        *across, **{f"{along}err": [middle - low, high - middle]}, color=colour, marker=marker,
        markersize=4.5, markerfacecolor="white", linestyle="none", label=label, zorder=3,
    )  # fmt: skip
