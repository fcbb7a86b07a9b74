"""A decoded trajectory as a timeline: a column a position, a band a target call, a box a token.

Under a drafted token that had its turn stand its coin and the probability of its acceptance, as numbers and
as a bar: the bar is filled up to the probability, the coin is a mark on it, and a mark on the filled part
means accepted. All lengths are in inches but for columns: the figure is as large as its trajectory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simlab.report.style import NEUTRAL_COLOUR, THEORY_COLOUR, new_figure

COLUMN = 0.44
"""Width of a position."""
BOX, BAR, NOTE, GAP = 0.24, 0.07, 0.13, 0.06
"""Heights: of a box, of the bar and the numbers under it, between two lines."""
BAND = 0.10
"""Above and below the lines of a call."""
LEFT, RIGHT, TOP, FOOT, LEAST_WIDTH = 1.0, 0.2, 0.55, 0.42, 8.6
LABEL, SMALL = 8.0, 5.5
"""Sizes of the fonts in boxes and under them, in points."""
KINDS = {
    "accepted": ("#0072B2", "accepted"),
    "rejected": ("#D55E00", "rejected"),
    "replacement": ("#009E73", "replacement"),
    "bonus": ("#CC79A7", "straight from the target"),
    "thrown away": ("#A0A0A0", "thrown away"),
}
"""What can become of a token: its colour (Okabe and Ito) and what the legend says. Each has a mark too."""


@dataclass(frozen=True)
class Box:
    """A token at a position, from 1. kind: a key of KINDS. acceptance, coin: None where it had no turn."""

    position: int
    label: str
    kind: str
    acceptance: float | None = None
    coin: float | None = None


@dataclass(frozen=True)
class Band:
    """A target call. prefix: label of the token before it, at position `begin`, 0 for the prompt. lines: its
    boxes, one line below the other. note: small, under the call's name.
    """

    name: str
    begin: int
    prefix: str
    lines: list[list[Box]]
    note: str = ""


def draw_timeline(bands: Sequence[Band], text: Sequence[Box], title: str, rule: str):
    """A figure with a band for each call, and at the bottom `text`, the tokens that came out.

    rule: what the numbers under a box decide, for the legend.

    Returns the figure, as large as the bands ask for. Call it inside `style()`.
    """
    horizon = max(box.position for box in text)
    height = sum(_height(band.lines) for band in bands) + _height([list(text)])
    shown = {box.kind for band in bands for line in band.lines for box in line}
    kinds = [kind for kind in KINDS if kind in shown]
    width, whole = max(LEFT + (horizon + 1) * COLUMN + RIGHT, LEAST_WIDTH), TOP + height + FOOT
    figure = new_figure(width, whole)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-LEFT / COLUMN, width / COLUMN - LEFT / COLUMN)
    axes.set_ylim(whole, 0)
    axes.axis("off")
    axes.text(-LEFT / COLUMN + 0.2, 0.1, title, va="top", fontsize="medium", parse_math=False)
    for position in range(horizon + 1):
        _write(axes, position + 0.5, TOP - 0.08, str(position or "prompt"), NEUTRAL_COLOUR, 6.5)
    top = TOP
    for number, band in enumerate([*bands, Band("text", 0, bands[0].prefix, [list(text)])]):
        bottom = top + _height(band.lines)
        if number % 2 == 0:
            axes.axhspan(top, bottom, color="#F4F4F4", lw=0, zorder=0)
        _draw_band(axes, band, top + BAND)
        top = bottom
    _draw_legend(axes, kinds, rule, top + 0.1)
    return figure


def _height(lines: list[list[Box]]) -> float:
    return 2 * BAND + sum(map(_line_height, lines)) - GAP


def _line_height(line: list[Box]) -> float:
    return BOX + GAP + (BAR + NOTE) * any(box.coin is not None for box in line)


def _draw_band(axes, band: Band, top: float) -> None:
    _write(axes, -LEFT / COLUMN + 0.2, top + BOX / 2, band.name, THEORY_COLOUR, LABEL, ha="left")
    _write(axes, -LEFT / COLUMN + 0.2, top + BOX + 0.08, band.note, NEUTRAL_COLOUR, SMALL, ha="left")
    _write(axes, band.begin + 0.5, top + BOX / 2, band.prefix, NEUTRAL_COLOUR, _size(band.prefix))
    for line in band.lines:
        for box in line:
            _draw_box(axes, box.position, top, box.kind, box.label)
            if box.coin is not None:
                _draw_coin(axes, box, top + BOX)
        top += _line_height(line)


def _draw_box(axes, left: float, top: float, kind: str, label: str) -> None:
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    colour, _ = KINDS[kind]
    thrown = kind == "thrown away"
    x, wide = left + 0.05, 0.9
    axes.add_patch(
        Rectangle(
            (x, top), wide, BOX, facecolor="white" if thrown else to_rgba(colour, 0.3), edgecolor=colour,
            linewidth=0.8, linestyle=(0, (2, 1.5)) if thrown else "-", zorder=2,
        )
    )  # fmt: skip
    lines = {
        "rejected": [
            ([x, x + 0.25], [top, top + 0.28 * BOX]),
            ([x + wide - 0.25, x + wide], [top + 0.72 * BOX, top + BOX]),
        ],
        "replacement": [([x, x + wide], [top + 0.03, top + 0.03])],
        "bonus": [([x + 0.09, x + 0.21], [top + 0.06] * 2), ([x + 0.15] * 2, [top + 0.035, top + 0.085])],
    }
    for across, down in lines.get(kind, []):
        axes.plot(across, down, color=colour, linewidth=0.9, marker="", zorder=3, solid_capstyle="butt")
    ink = NEUTRAL_COLOUR if thrown else THEORY_COLOUR
    _write(axes, x + wide / 2, top + BOX / 2, label, ink, _size(label))


def _draw_coin(axes, box: Box, top: float) -> None:
    """The bar, filled up to the probability of acceptance, the coin's mark on it, and the numbers."""
    from matplotlib.patches import Rectangle

    x, wide, high = box.position + 0.05, 0.9, BAR - 0.03
    top += 0.02
    colour = KINDS["accepted"][0]
    axes.add_patch(Rectangle((x, top), wide, high, facecolor="white", edgecolor="none", zorder=2))
    axes.add_patch(
        Rectangle((x, top), wide * box.acceptance, high, facecolor=colour, alpha=0.45, lw=0, zorder=2)
    )
    axes.add_patch(
        Rectangle((x, top), wide, high, fill=False, edgecolor=NEUTRAL_COLOUR, linewidth=0.4, zorder=3)
    )
    mark = x + wide * box.coin
    axes.plot(
        [mark, mark],
        [top - 0.015, top + high + 0.015],
        color=THEORY_COLOUR,
        linewidth=1.2,
        marker="",
        zorder=4,
    )
    sign = "<" if box.coin < box.acceptance else "≥"
    told = f"{_short(box.coin)} {sign} {_short(box.acceptance)}"
    _write(axes, x + wide / 2, top + high + 0.075, told, THEORY_COLOUR, SMALL)


def _draw_legend(axes, kinds: Sequence[str], rule: str, top: float) -> None:
    left = -LEFT / COLUMN + 0.2
    for kind in kinds:
        _draw_box(axes, left, top, kind, "")
        _write(axes, left + 1.1, top + BOX / 2, KINDS[kind][1], THEORY_COLOUR, 7.5, ha="left")
        left += 1.6 + len(KINDS[kind][1]) * 0.135
    if "accepted" in kinds or "rejected" in kinds:
        _write(axes, left, top + BOX / 2, rule, THEORY_COLOUR, 7.5, ha="left")


def _short(value: float) -> str:
    """The first two decimals: 0, .07, .99, 1."""
    return f"{value:.0f}" if value <= 0 or value >= 1 else f".{int(100 * value):02d}"


def _size(label: str) -> float:
    """Of the font, so that a label fits into its box."""
    return min(LABEL, 0.8 * 72 * COLUMN / (0.66 * max(len(label), 1)))


def _write(axes, x: float, y: float, text: str, colour: str, size: float, ha: str = "center") -> None:
    y -= 0.03 * (text == "␣")  # its ink lies below the line
    axes.text(x, y, text, color=colour, fontsize=size, ha=ha, va="center", parse_math=False, zorder=5)
