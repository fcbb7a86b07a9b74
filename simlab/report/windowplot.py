"""What figures of decoding with windows are made of: choices on curves, the map of best windows, policies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.report.draw import THEORY_WIDTH
from simlab.report.style import NEUTRAL_COLOUR, THEORY_COLOUR, look


def draw_dashes(axes, x, y, label: str, *, series: int | None, dashes: tuple = (3, 1.5)) -> None:
    """A thin dashed line in the colour of its series: the same quantity by another route. x, y: (K,).

    series: None for a grey line. dashes: points on and off.
    """
    colour = NEUTRAL_COLOUR if series is None else look(series)[0]
    axes.plot(
        x, y, color=colour, linewidth=THEORY_WIDTH, linestyle=(0, dashes), marker="", label=label,
        zorder=2.7,
    )  # fmt: skip


def name_solid(axes, label: str) -> None:
    """An entry of the legend for what all solid lines of the figure have in common, whatever their colour."""
    axes.plot([], [], color=NEUTRAL_COLOUR, linewidth=THEORY_WIDTH, marker="", label=label)


def draw_marked(axes, x, y, label: str, *, series: int) -> None:
    """Exact values marked in their series' way and joined by a line; nan is left out. x, y: (K,)."""
    colour, marker = look(series)
    axes.plot(
        x, y, color=colour, linewidth=THEORY_WIDTH, marker=marker,
        markersize=3.5, label=label, zorder=2.6,
    )  # fmt: skip


def draw_series(axes, x, y, label: str, *, series: int) -> None:
    """An exact line in the colour of its series. x, y: (K,)."""
    axes.plot(x, y, color=look(series)[0], linewidth=THEORY_WIDTH, marker="", label=label, zorder=2.6)


def draw_load_ticks(axes, loads) -> None:
    """A logarithmic x axis labelled with these numbers."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(loads, [str(load) for load in loads])


def draw_edges(axes, heights) -> None:
    """Thin dashed levels that a line may be held against."""
    for height in heights:
        axes.axhline(height, color=NEUTRAL_COLOUR, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)


def draw_choice(axes, x, y, place: int, *, series: int | None, judged: bool = False) -> None:
    """A mark on a line, at (x[place], y[place]): a star for its best, or what another choice gives.

    series: None for a grey line. judged: an open square, for a choice that was made by another line.
    """
    colour = NEUTRAL_COLOUR if series is None else look(series)[0]
    marks = {"marker": "s", "markersize": 9, "markerfacecolor": "none", "markeredgewidth": 1.1}
    star = {"marker": "*", "markersize": 10, "markeredgewidth": 0.5, "markeredgecolor": "white"}
    axes.plot(
        [x[place]], [y[place]], color=colour, linestyle="none", zorder=5,
        label="what the formula's choice really gives" if judged else "best window of a line",
        **(marks if judged else star),
    )  # fmt: skip


@dataclass(frozen=True)
class MapPoint:
    """A pair on the map. window: its own best. own: whether it is the one that the figure is about."""

    label: str
    acceptance: float
    ratio: float
    window: int
    own: bool


BOX = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.75}
"""Behind words on colours, so that they can be read on a light and on a dark page."""

AREAS = (1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 64)
"""Areas of the map begin at these windows; the first is what lies above 0."""


def draw_window_map(axes, acceptances, ratios, windows, points: list[MapPoint]) -> None:
    """Areas of the best window over (acceptance, cost ratio), named by their windows, and pairs as points.

    acceptances: (A,), rising; ratios: (R,), rising, drawn on a logarithmic axis; windows: int (R, A).
    """
    areas = [area for area in AREAS if (windows >= area).any()]
    edges = [-0.5, *(area - 0.5 for area in areas), max(windows.max(), 1) + 0.5]
    axes.set_yscale("log")
    axes.contourf(acceptances, ratios, windows, levels=edges, colors=["#d9d9d9", *_shades(len(areas))])
    if areas:
        axes.contour(
            acceptances, ratios, windows, levels=edges[1:-1], colors="white", linewidths=[1.6, *[0.5] * 99]
        )
    _name_areas(axes, acceptances, ratios, windows, areas, points)
    axes.grid(False)
    _draw_points(axes, acceptances, points)


def _shades(number: int) -> list[str]:
    """From light to dark, as many as asked for; none so pale that a dark page takes it for a grey."""
    from matplotlib.colors import to_hex, to_rgb

    light, dark = np.array(to_rgb("#d3e6f6")), np.array(to_rgb("#08477a"))
    return [to_hex(light + (dark - light) * part) for part in np.linspace(0, 1, max(number, 2))][:number]


def _name_areas(axes, acceptances, ratios, windows, areas: list[int], points: list[MapPoint]) -> None:
    """Each area's windows, written where it is widest, away from the points' rows, if there is room."""
    met = np.searchsorted(areas, windows, side="right")
    away = np.ones(len(ratios), bool)
    for point in points:
        away &= np.abs(np.log10(ratios / point.ratio)) > 0.3
    away[: len(ratios) // 25] = away[-len(ratios) // 25 :] = False
    for place, area in enumerate([0, *areas]):
        widths = np.where(away, (met == place).sum(axis=1), 0)
        if widths.max() < (0.03 if place and areas[place - 1] < 6 else 0.065) * len(acceptances):
            continue
        row = int(np.median(np.flatnonzero(widths >= 0.97 * widths.max())))
        row = row if away[row] else int(widths.argmax())
        column = int(np.median(np.flatnonzero(met[row] == place)))
        following = areas[place] if place < len(areas) else None
        axes.text(
            acceptances[column], ratios[row], "no drafting" if not place else _span(area, following),
            ha="center", va="center", fontsize="small", color=THEORY_COLOUR, bbox=BOX,
        )  # fmt: skip


def _span(first: int, following: int | None) -> str:
    if following is None:
        return f"{first}+"
    return str(first) if following == first + 1 else f"{first}-{following - 1}"


def _draw_points(axes, acceptances, points: list[MapPoint]) -> None:
    """Points with their names above or below, by turns from left to right, so that none hides another."""
    for turn, point in enumerate(sorted(points, key=lambda one: one.acceptance)):
        x = min(point.acceptance, float(acceptances[-1]))
        colour = look(1)[0] if point.own else THEORY_COLOUR
        axes.plot(
            [x], [point.ratio], marker="o", markersize=6 if point.own else 4.5, color=colour,
            markeredgecolor="white", markeredgewidth=0.8, zorder=5, clip_on=False,
        )  # fmt: skip
        axes.annotate(
            f"{point.label}: {point.window}", (x, point.ratio),
            xytext=(0, (9, -9, 20, -20)[turn % 4]), textcoords="offset points", ha="center", va="center",
            fontsize="small", color=colour, zorder=6,
            bbox=BOX,
        )  # fmt: skip


def plain_ratio_ticks(axes) -> None:
    """A logarithmic x axis that is labelled in plain numbers: 0.01, 0.1, 1."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(10, numticks=12))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_locator(LogLocator(10, subs=(2, 5), numticks=24))
    axes.xaxis.set_minor_formatter(NullFormatter())


MOST_SHADES = 12
"""Each window has a shade of its own up to this one."""


def draw_rates(axes, accepted, confidence, labels: list[str]) -> None:
    """Two probabilities a row, the first row on top, named by the labels. accepted, confidence: (N,)."""
    lines = np.arange(len(labels))
    axes.hlines(lines, np.minimum(accepted, confidence), np.maximum(accepted, confidence), color="#c8c8c8",
                linewidth=0.8, zorder=2)  # fmt: skip
    for series, (values, label) in enumerate(
        ((accepted, "next token accepted"), (confidence, "the draft's confidence"))
    ):
        colour, marker = look(series)
        axes.plot(
            values, lines, color=colour, marker=marker, markersize=4, linestyle="none", label=label, zorder=3
        )
    axes.set_xlim(-0.03, 1.03)
    _rows_from_top(axes, len(labels))
    axes.set_yticks(lines, labels)
    axes.tick_params(axis="y", labelsize="small", length=0)


def draw_policy(axes, windows, first: int) -> list[tuple[str, str]]:
    """Windows as areas of colour, a row a last token, a column a position, the first row on top.

    windows: int (T', N), of positions first + 1, first + 2, .. Returns (colour, name) of each colour.
    """
    from matplotlib.collections import PolyCollection

    most = int(windows.max())
    steps = [*range(most + 1)] if most <= MOST_SHADES else [step for step in (0, *AREAS) if step <= most]
    colours = ["#d9d9d9", *_shades(len(steps) - 1)][: len(steps)]
    shade = np.searchsorted(steps, windows, side="right") - 1
    for place, colour in enumerate(colours):
        boxes = [box for row in range(windows.shape[1]) for box in _boxes(shade[:, row] == place, row, first)]
        axes.add_collection(PolyCollection(boxes, facecolors=colour, edgecolors="white", linewidths=0.4))
    axes.set_xlim(first + 0.5, first + len(windows) + 0.5)
    _rows_from_top(axes, windows.shape[1])
    axes.set_yticks([])
    axes.grid(False)
    axes.xaxis.get_major_locator().set_params(integer=True)
    following = [*steps[1:], most + 1]
    return [
        (colour, _span(step, after))
        for colour, step, after, place in zip(colours, steps, following, range(len(steps)), strict=True)
        if (shade == place).any()
    ]


def _boxes(inside: np.ndarray, row: int, first: int) -> list[list[tuple[float, float]]]:
    """A rectangle for each run of positions that is inside."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(int)))
    return [
        [(left, row - 0.5), (right, row - 0.5), (right, row + 0.5), (left, row + 0.5)]
        for left, right in (edges.reshape(-1, 2) + first + 0.5).tolist()
    ]


def _rows_from_top(axes, rows: int) -> None:
    axes.set_ylim(rows - 0.5, -0.5)


def window_legend(axes, drawn: list[tuple[str, str]]) -> None:
    """The colours of `draw_policy`, beside it."""
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=colour, label=name) for colour, name in drawn]
    axes.legend(handles=handles, title="window", loc="center left", bbox_to_anchor=(1.01, 0.5))
