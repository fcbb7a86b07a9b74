"""The draft trees of a decoded trajectory, and how the target's own tokens walked them: a panel a call.

A tree stands with its prefix at the left, a column a token, a line a leaf. The walk is drawn over it and ends
with the bonus token, which the tree does not have, or at the horizon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simlab.report.style import NEUTRAL_COLOUR, THEORY_COLOUR, new_figure
from simlab.report.timeline import KINDS
from simlab.report.treeplot import tree_places

COLUMN, LINE = 26.0, 10.5
"""Distances of tokens along a path and of leaves, in points."""
NODE = 9.0
"""Diameter of a node."""
HEAD, EDGE, FOOT = 24.0, 16.0, 30.0
PAGE = 760.0
"""Width that panels side by side fill."""


@dataclass(frozen=True, eq=False)
class Walk:
    """A call: its tree and its walk.

    title: above it. prefix: label of the token before it. parents: (n,), -1 for children of the prefix, each
    node after its parent. labels: (n,). walked: (n,) bool. bonus: label of the token that the tree did not
    have, None if the horizon came first.
    """

    title: str
    prefix: str
    parents: np.ndarray
    labels: list[str]
    walked: np.ndarray
    bonus: str | None


def draw_walks(walks: Sequence[Walk], title: str):
    """A figure with a panel for each call, in the order of reading. Call it inside `style()`."""
    panels = [_places(walk) for walk in walks]
    wide = max(2 * EDGE + COLUMN * (1 + max(float(place[:, 0].max(initial=0)) for place in panels)), 110.0)
    across = max(1, min(len(walks), int(PAGE / wide)))
    rows = [panels[start : start + across] for start in range(0, len(panels), across)]
    heights = [HEAD + LINE * (1.5 + max(float(place[:, 1].max(initial=0)) for place in row)) for row in rows]
    width, height = max(across * wide, 330.0), HEAD + sum(heights) + FOOT
    figure = new_figure(width / 72, height / 72)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")
    axes.text(EDGE / 2, 6, title, va="top", fontsize="medium", parse_math=False)
    top = HEAD
    for number, row in enumerate(rows):
        for column, places in enumerate(row):
            _draw_walk(axes, walks[number * across + column], places, np.array([column * wide + EDGE, top]))
        top += heights[number]
    _draw_legend(axes, any(walk.bonus is not None for walk in walks), top + FOOT / 2)
    return figure


def _places(walk: Walk) -> np.ndarray:
    """(column, line) of each node, and last of the bonus token where there is one."""
    parents = list(walk.parents)
    if walk.bonus is not None:
        parents.append(int(np.flatnonzero(walk.walked)[-1]) if np.any(walk.walked) else -1)
    return tree_places(parents)


def _draw_walk(axes, walk: Walk, places: np.ndarray, corner: np.ndarray) -> None:
    from matplotlib.collections import LineCollection

    centres = corner + (0.0, HEAD) + places * (COLUMN, LINE)
    parents, walked = [int(parent) for parent in walk.parents], [bool(one) for one in walk.walked]
    kinds = ["accepted" if one else "thrown away" for one in walked]
    labels = list(walk.labels)
    if walk.bonus is not None:
        last = int(np.flatnonzero(walked)[-1]) if any(walked) else -1
        parents, kinds, labels = [*parents, last], [*kinds, "bonus"], [*labels, walk.bonus]
    lines = [at for at, parent in zip(centres[:, 1], parents, strict=True) if parent < 0]
    root = np.array([corner[0], (min(lines) + max(lines)) / 2 if lines else corner[1] + HEAD])
    ends = np.vstack([centres.reshape(-1, 2), root])
    for kind, style, width in (
        ("thrown away", "-", 0.6),
        ("accepted", "-", 1.8),
        ("bonus", (0, (2, 1)), 1.8),
    ):
        segments = [
            (ends[parents[node]], centres[node]) for node in range(len(parents)) if kinds[node] == kind
        ]
        axes.add_collection(
            LineCollection(segments, colors=KINDS[kind][0], linewidths=width, linestyles=[style], zorder=1)
        )
    axes.text(corner[0] - EDGE / 2, corner[1] + 2, walk.title, va="top", fontsize=8, parse_math=False)
    _draw_node(axes, root, "prefix", walk.prefix)
    for centre, kind, label in zip(centres, kinds, labels, strict=True):
        _draw_node(axes, centre, kind, label)


def _draw_node(axes, centre, kind: str, label: str) -> None:
    from matplotlib.colors import to_rgba

    colour = THEORY_COLOUR if kind == "prefix" else KINDS[kind][0]
    faint = kind in ("prefix", "thrown away")
    shape = {"prefix": "s", "bonus": "D"}.get(kind, "o")
    axes.plot(
        *centre, marker=shape, markersize=NODE - (shape == "D"), markerfacecolor="white",
        markeredgecolor="none", zorder=2,
    )  # fmt: skip
    axes.plot(
        *centre, marker=shape, markersize=NODE - (shape == "D"), markeredgecolor=colour,
        markerfacecolor="white" if faint else to_rgba(colour, 0.3), markeredgewidth=0.7, zorder=3,
    )  # fmt: skip
    ink = NEUTRAL_COLOUR if kind == "thrown away" else THEORY_COLOUR
    low = 1.5 * (label == "␣")
    size = min(6.5, 0.95 * NODE / (0.66 * max(len(label), 1)))
    axes.text(
        centre[0], centre[1] - low, label, color=ink, fontsize=size, ha="center", va="center_baseline",
        parse_math=False, zorder=4,
    )  # fmt: skip


def _draw_legend(axes, with_bonus: bool, at: float) -> None:
    told = [("prefix", "the token before"), ("accepted", "passed by the target's own tokens")]
    told += [("bonus", "not in the tree: bonus token")] * with_bonus + [("thrown away", "drafted in vain")]
    left = EDGE
    for kind, text in told:
        _draw_node(axes, (left, at), kind, "")
        axes.text(left + 8, at, text, fontsize=7, va="center")
        left += 22 + 3.9 * len(text)
