"""The pictures of the speed of light, from what was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from simlab.evidence import Interval
from simlab.experiments.common.settings import Settings
from simlab.experiments.speed_of_light.verdicts import BOUNDS, Measured
from simlab.report import new_figure, shared_legend, style
from simlab.report.lightplot import draw_accepted, draw_entropies, draw_gaps
from simlab.theory import speed_of_light as light

FINE = 160
"""Capacities at which a bound is drawn."""

GAPS = {"sharper": "sharper bound", "dual": "dual bound", "renewal": "renewal bound"}


def accepted_figure(settings: Settings, several: list[Measured]):
    """E[X] against log P, a panel a distribution; the legend is in the free panel, or below all."""
    columns = min(3, len(several))
    rows = math.ceil(len(several) / columns)
    with style():
        figure = new_figure(max(3.3 * columns, 5.0), 3.1 * rows)
        grid = figure.add_gridspec(rows, columns)
        panels = [figure.add_subplot(grid[divmod(index, columns)]) for index in range(len(several))]
        for index, (axes, measured) in enumerate(zip(panels, several, strict=True)):
            _draw_law(axes, settings, measured)
            axes.set_ylabel("accepted tokens, E[X]" if index % columns == 0 else "")
            if index + columns >= len(several):
                axes.set_xlabel("capacity P, drafted tokens a call")
        if len(several) == rows * columns:
            shared_legend(figure, panels)
        else:
            _legend_in(figure.add_subplot(grid[divmod(len(several), columns)]), panels)
    return figure


def _legend_in(corner, panels: list) -> None:
    """One legend for all panels in axes of its own, each label once."""
    handles = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    corner.axis("off")
    corner.legend(handles.values(), handles, loc="center", fontsize="medium", labelspacing=0.9)


def _draw_law(axes, settings: Settings, measured: Measured) -> None:
    moments, capacities = measured.moments, measured.capacities
    fine = np.geomspace(capacities[0], max(capacities[-1], 2), FINE)
    curves = {name: (fine, bound(moments, fine)) for name, bound in BOUNDS.items()}
    if moments.entropy > 0:
        curves["published"] = (fine, light.published_slope(moments) * np.log(fine))
    if "renewal" in measured.bounds:
        curves["renewal"] = (fine, light.renewal_bound(measured.law, fine))
    curves = {name: curve for name, curve in curves.items() if np.isfinite(curve[1]).all()}
    interval = measured.interval
    dual = float(curves["dual"][1][-1])
    sharper = float(curves["sharper"][1][-1]) if "sharper" in curves else dual
    top = 1.1 * max(float(interval.high.max()), dual, min(sharper, 2 * dual))
    draw_accepted(axes, capacities, interval, curves, confidence=settings.confidence, top=top)
    axes.set_title(f"{measured.law.label}\nμ = {moments.entropy:.4g}, μ₂ = {moments.second:.4g}")


def gap_figure(several: list[Measured]):
    """How far each bound is above E[X], in tokens: a panel a bound, the distributions beside each other."""
    families = {
        bound: [
            (one.law.label, series, one.capacities, *gap_of(one, bound))
            for series, one in enumerate(several)
            if bound in one.bounds and np.isfinite(one.bounds[bound]).all()
        ]
        for bound in GAPS
    }
    shown = [bound for bound in GAPS if families[bound]]
    estimates = np.concatenate([gap.estimate for bound in shown for _, _, _, gap, _ in families[bound]])
    ends = min(float(estimates.min()), 0.0), float(estimates.max())
    reach = 0.2 * max(ends[1] - ends[0], 1.0)
    with style():
        figure = new_figure(3.4 * len(shown), 3.6)
        grid = figure.add_gridspec(1, len(shown))
        for column, bound in enumerate(shown):
            axes = figure.add_subplot(grid[0, column])
            draw_gaps(axes, families[bound], span=(ends[0] - reach, ends[1] + reach))
            axes.set_title(GAPS[bound])
            axes.set_xlabel("capacity P")
            axes.tick_params(labelleft=column == 0)
        figure.axes[0].set_ylabel("bound less simulated E[X], tokens")
        shared_legend(figure, figure.axes)
    return figure


def gap_of(measured: Measured, bound: str) -> tuple[Interval, float | None]:
    """The bound less E[X], with its interval, at every capacity, and what it tends to."""
    estimate, low, high = measured.interval
    value, moments = measured.bounds[bound], measured.moments
    if moments.entropy <= 0:
        return Interval(value - estimate, value - high, value - low), None
    excess = moments.second / moments.entropy / moments.entropy / 2
    limits = {
        "sharper": excess + 1 - math.log(moments.entropy) / moments.entropy,
        "dual": excess,
        "renewal": 0.0,
    }
    return Interval(value - estimate, value - high, value - low), limits[bound]


def entropy_figure(families: Mapping[str, list[Measured]], capacities):
    """E[X] at one capacity against the entropy, a panel a capacity, a marker a random distribution."""
    entropies = [one.moments.entropy for several in families.values() for one in several]
    fine = np.geomspace(min(entropies) / 1.2, max(entropies) * 1.2, FINE)
    with style():
        figure = new_figure(4.2 * len(capacities), 4.4)
        grid = figure.add_gridspec(1, len(capacities))
        for column, capacity in enumerate(capacities):
            axes = figure.add_subplot(grid[0, column])
            drawn = {name: _entropies(several, column) for name, several in families.items()}
            draw_entropies(axes, drawn, (fine, np.log(capacity) / fine))
            axes.set_title(f"P = {capacity:,}")
            axes.set_xlabel("entropy μ of a row, nats")
            axes.set_ylabel("accepted tokens, E[X]" if not column else "")
        shared_legend(figure, figure.axes)
    return figure


def _entropies(several: list[Measured], index: int) -> tuple:
    """Entropies, simulated E[X] and the dual bound of several distributions at one capacity: three arrays
    (n,)."""
    found = [
        (one.moments.entropy, one.interval.estimate[index], one.bounds["dual"][index]) for one in several
    ]
    return tuple(np.array(found).T)
