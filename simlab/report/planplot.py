"""Speed-up against window, as `simlab plan` draws it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from simlab.report.draw import THEORY_WIDTH, shared_legend
from simlab.report.style import NEUTRAL_COLOUR, look, percent

LINEAR = 64
"""Where windows are longer than this, the axis is logarithmic from 16 on."""


@dataclass(frozen=True, eq=False)
class Planned:
    """A curve. windows, speedup: (W,), the first window 0. near: bool (W,), the windows about as good as the
    best. best: a window, 0 where none pays. interval: (low, high), (W,) each, with `confidence` for all at
    once, or a bracket where that is None; or None. others: speed-ups of other rules by their name; drawn
    where there is one curve.
    """

    label: str
    windows: np.ndarray
    speedup: np.ndarray
    near: np.ndarray
    best: int
    interval: tuple[np.ndarray, np.ndarray] | None = None
    confidence: float | None = None
    others: dict[str, float] = field(default_factory=dict)


def draw_plans(figure, plans: list[Planned], *, near: float) -> None:
    """The curves on one pair of axes, each with its best window and, filled, those within `near` of it."""
    axes = figure.add_subplot()
    for series, plan in enumerate(plans):
        _draw_line(axes, plan, series)
    for series, plan in enumerate(plans):
        _mark_best(axes, plan, series, near)
    if len(plans) == 1:
        _draw_alone(axes, plans[0], near)
    axes.axhline(
        1,
        color=NEUTRAL_COLOUR,
        linewidth=THEORY_WIDTH,
        linestyle=(0, (4, 2)),
        marker="",
        label="target alone",
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_formatter().set_useMathText(False)  # typesetting plain numbers takes half a second
    _window_axis(axes, max(int(plan.windows[-1]) for plan in plans))
    axes.set_ylabel("speed-up over the target alone")
    shared_legend(figure, [axes], columns=2 if plans[0].others else 3)


def _draw_line(axes, plan: Planned, series: int) -> None:
    colour, marker = look(series)
    axes.plot(
        plan.windows, plan.speedup, color=colour, marker=marker, markersize=4.5, markerfacecolor="white",
        linewidth=THEORY_WIDTH, label=plan.label, zorder=2.5,
    )  # fmt: skip
    if plan.interval is not None:
        axes.fill_between(
            plan.windows, *plan.interval, color=colour, alpha=0.18, linewidth=0,
            label=_interval_label(plan.confidence),
        )  # fmt: skip


def _interval_label(confidence: float | None) -> str:
    return "bracket" if confidence is None else f"{percent(confidence)} interval, all windows at once"


def _mark_best(axes, plan: Planned, series: int, near: float) -> None:
    if not plan.best:
        return
    colour, marker = look(series)
    axes.plot(
        plan.windows[plan.near], plan.speedup[plan.near], color=colour, marker=marker, markersize=4.5,
        linestyle="none", label=f"windows within {near:.0%} of the best", zorder=2.6,
    )  # fmt: skip
    axes.plot(
        [plan.best], plan.speedup[plan.windows == plan.best], color=colour, marker="*", markersize=12,
        markeredgecolor="white", linestyle="none", label="best window", zorder=3,
    )  # fmt: skip


def _draw_alone(axes, plan: Planned, near: float) -> None:
    """What several curves would have no room for: the band below the best, and the other rules."""
    if plan.best:
        top = float(plan.speedup[plan.windows == plan.best][0])
        axes.axhspan(
            top / (1 + near), top, color=look(0)[0], alpha=0.1, linewidth=0,
            label=f"speed-ups within {near:.0%} of the best",
        )  # fmt: skip
    for series, (name, speedup) in enumerate(plan.others.items(), start=1):
        axes.axhline(
            speedup, color=look(series)[0], linewidth=1.0, linestyle=(0, (6 - series, 1 + series / 2)),
            marker="", label=name,
        )  # fmt: skip


def _window_axis(axes, longest: int) -> None:
    """Whole numbers; logarithmic beyond the first where windows are long."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    if longest > LINEAR:
        ticks = [0, 8] + [2**power for power in range(4, 63) if 2**power <= longest]
        ticks = ticks[:2] + ticks[2 :: 1 + len(ticks) // 12]
        axes.set_xscale("symlog", linthresh=16, base=2)
        axes.set_xlim(-1, 1.1 * longest)
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_major_formatter(FixedFormatter([str(tick) for tick in ticks]))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.set_xlabel("window: tokens drafted per target call")
