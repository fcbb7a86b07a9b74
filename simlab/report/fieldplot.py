"""Plans against measurements: speed-up by window, speed-up by load, and the time of a forward."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.report.draw import THEORY_WIDTH
from simlab.report.style import NEUTRAL_COLOUR, look


@dataclass(frozen=True, eq=False)
class Panel:
    """Measured points and planned lines of one case.

    measured: by label, (x, y), points. planned: by label, (x, y), lines; the first is the case's own, the
    others, dashed, are for comparison. best: x of a planned value that is marked, or None; mark: what it is.
    log: whether x doubles. alone: whether y is a speed-up, of which the target alone has 1.
    """

    title: str
    x_label: str
    y_label: str
    measured: dict[str, tuple[np.ndarray, np.ndarray]]
    planned: dict[str, tuple[np.ndarray, np.ndarray]]
    best: float | None = None
    mark: str = "best planned window"
    log: bool = False
    alone: bool = True


def draw_panels(figure, panels: list[Panel], *, columns: int) -> list:
    """One panel a case, row by row. Returns the axes."""
    grid = figure.add_gridspec(-(-len(panels) // columns), columns)
    drawn = []
    for index, panel in enumerate(panels):
        axes = figure.add_subplot(grid[index // columns, index % columns])
        _draw_panel(axes, panel)
        if index % columns:
            axes.set_ylabel("" if panel.y_label == panels[index - 1].y_label else panel.y_label)
        drawn.append(axes)
    return drawn


def _draw_panel(axes, panel: Panel) -> None:
    for series, (label, (x, y)) in enumerate(panel.planned.items()):
        dashes = "-" if series == 0 else (0, (3, 1.5))
        axes.plot(x, y, color=look(0)[0], linewidth=THEORY_WIDTH, linestyle=dashes, marker="", label=label)
        if series == 0 and panel.best is not None:
            axes.plot(
                [panel.best], y[x == panel.best], color=look(0)[0], marker="*", markersize=11,
                markeredgecolor="white", linestyle="none", label=panel.mark, zorder=4,
            )  # fmt: skip
    for series, (label, (x, y)) in enumerate(panel.measured.items(), start=1):
        colour, marker = look(series)
        axes.plot(
            x, y, color=colour, marker=marker, markersize=6, markerfacecolor="none", linestyle="none",
            label=label, zorder=5,  # over the star, which would hide it
        )  # fmt: skip
    if panel.alone:
        axes.axhline(
            1, color=NEUTRAL_COLOUR, linewidth=THEORY_WIDTH, linestyle=(0, (1, 2)), marker="",
            label="target alone",
        )  # fmt: skip
    axes.set_title(panel.title)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    if panel.log:
        _doubling(axes, next(iter(panel.measured.values()))[0])
    else:
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def _doubling(axes, values: np.ndarray) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{value:g}" for value in values]))
    axes.xaxis.set_minor_locator(NullLocator())
