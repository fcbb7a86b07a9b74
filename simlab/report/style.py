"""The look of the figures, applied for as long as one is drawn and no longer."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

STYLE_FILE = Path(__file__).with_name("simlab.mplstyle")

THEORY_COLOUR = "#1a1a1a"
"""Exact values: a thin dark line, in every figure."""

ALARM_COLOUR = "#b2001d"
"""Simulated values outside their band; their marker differs too."""

NEUTRAL_COLOUR = "#808080"
"""What a legend shares between series of several colours."""


@contextmanager
def style():
    """`with style():` sets matplotlib's defaults to simlab's and puts back what was there before.

    Settings of the user's own matplotlibrc do not shine through, so that a figure's bytes depend on its
    numbers alone.
    """
    import matplotlib.style

    with matplotlib.style.context(STYLE_FILE, after_reset=True):
        yield


def new_figure(width: float, height: float):
    """An empty `matplotlib.figure.Figure` of that size in inches, without pyplot; call it inside
    `style()`."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def residual_axes(figure, place, *, share: float = 0.3):
    """Two axes, one above the other, with one x axis: (for the values, for their residuals).

    place: a cell of a grid, as in `figure.add_gridspec(1, 2)[0, 1]`. share: height of the lower one relative
    to the upper.
    """
    rows = place.subgridspec(2, 1, height_ratios=[1, share], hspace=0.04)
    upper = figure.add_subplot(rows[0])
    lower = figure.add_subplot(rows[1], sharex=upper)
    upper.tick_params(labelbottom=False)
    return upper, lower


def look(series: int) -> tuple[str, str]:
    """(colour, marker) of the series of that number, from 0; call it inside `style()`."""
    import matplotlib

    cycle = matplotlib.rcParams["axes.prop_cycle"].by_key()
    return cycle["color"][series % len(cycle["color"])], cycle["marker"][series % len(cycle["marker"])]


def percent(confidence: float) -> str:
    """A probability as a percentage, with as many nines as it has: 0.95 -> 95%, 1 - 1e-6 -> 99.9999%."""
    return f"{100 * confidence:.10g}%"
