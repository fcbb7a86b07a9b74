"""Draft trees, drawn: the given prefix at the left, a column a drafted token, a line a leaf.

Every leaf has a line of its own, siblings stand in the order in which they were chosen, and a node stands in
the middle of its children, so that neither edges nor nodes cross. All lengths are in points: the figure is as
large as its trees, and a node's area is its reach probability on one scale for all panels, the largest on
which no two nodes touch.
"""

from __future__ import annotations

from dataclasses import dataclass
from unicodedata import combining

import numpy as np

from simlab.report.style import NEUTRAL_COLOUR, THEORY_COLOUR, look, new_figure

PANEL_WIDTH = 214.0
"""Of a tree from its root to its deepest node, in points."""
LEFT, RIGHT, HEAD, FOOT = 24.0, 32.0, 30.0, 44.0
"""Beside a tree, above it for the title, below it for the legend."""
MOST_COLUMN, MOST_ROW, LEAST_ROW = 72.0, 11.5, 5.5
"""Distance of two columns at most, of two lines at most and at least."""
USUAL_HEIGHT = 560.0
"""Lines are moved together where there are more than fit in here."""
MOST_DIAMETER = 30.0
"""Of a node that is reached for certain."""
GAP = 0.94
"""How near two nodes may come: this part of the distance of their centres is the sum of their radii."""
LEAST_DOT = 1.2
"""Nodes smaller than so many points are drawn as a dot of that size."""
LABEL, LEAST_LABEL = 7.5, 4.0
"""Size of labels where there is room; smaller ones than the least are left out."""
BROAD, TALL = 0.66, 0.75
"""A character's width and height in parts of the size of its font."""
INVISIBLE = {" ": "␣", "\n": "⏎", "\t": "⇥"}
"""Characters without ink, and what stands for them."""


@dataclass(frozen=True, eq=False)
class DrawnTree:
    """A tree with what is written beside it.

    title: above the tree. root: label of the given prefix. parents: (n,), -1 for children of the root, each
    node after its parent. reach: (n,), in [0, 1]. labels: (n,) short texts. shared: (n,) bool, whether the
    other tree has the node too.
    """

    title: str
    root: str
    parents: np.ndarray
    reach: np.ndarray
    labels: list[str]
    shared: np.ndarray


def visible(characters) -> list[str]:
    """Labels of tokens that stand for characters: whitespace by its sign, others as they are.

    What the figures' font has no glyph for is told by its code point, U+4E2D; the empty text, a token that
    stands for several characters, is "...".
    """
    from matplotlib.font_manager import FontProperties, findfont, get_font

    known = get_font(findfont(FontProperties(family="DejaVu Sans"))).get_charmap()

    def label(character: str) -> str:
        if not character:
            return "..."
        drawn = INVISIBLE.get(character, character)
        blank = not drawn.isprintable() or drawn.isspace() or combining(drawn)
        return f"U+{ord(drawn):04X}" if blank or ord(drawn) not in known else drawn

    return [label(character) for character in characters]


def tree_places(parents) -> np.ndarray:
    """(column, line) of each node of a tree, float64 (n, 2): columns from 1, lines from 0.

    parents: (n,), -1 for children of the root, which stands in column 0; each node after its parent. Two
    nodes of one column are at least a line apart, and edges between the same two columns do not cross (own:
    the leaves below a node are consecutive lines, and the node stands in the middle of its children).
    """
    parents = np.asarray(parents, int)
    children: list[list[int]] = [[] for _ in range(len(parents) + 1)]
    for node, parent in enumerate(parents):
        children[parent].append(node)  # the root's are the last list's
    places = np.zeros((len(parents), 2))
    for node, parent in enumerate(parents):
        places[node, 0] = 1 + (places[parent, 0] if parent >= 0 else 0)
    line, open_nodes = 0, list(reversed(children[-1]))
    while open_nodes:  # the leaves, from above to below
        node = open_nodes.pop()
        open_nodes += reversed(children[node])
        if not children[node]:
            places[node, 1] = line
            line += 1
    for node in reversed(range(len(parents))):  # a node's children come after it
        if children[node]:
            places[node, 1] = places[children[node]][[0, -1], 1].mean()
    return places


def draw_trees(trees: list[DrawnTree]):
    """A figure with the trees side by side, their nodes coloured by whether both have them, and a legend.

    Returns the figure, as large as the trees ask for. Call it inside `style()`.
    """
    places = [tree_places(tree.parents) for tree in trees]
    columns = max([1, *(int(place[:, 0].max(initial=0)) for place in places)])
    lines = 1 + max(int(np.ceil(place[:, 1].max(initial=0))) for place in places)
    row = float(np.clip(USUAL_HEIGHT / lines, LEAST_ROW, MOST_ROW))
    step = np.array([min(MOST_COLUMN, PANEL_WIDTH / columns), row])
    centres = [place * step for place in places]
    scale = min(largest_scale(where, tree.reach) for where, tree in zip(centres, trees, strict=True))
    width, height = LEFT + PANEL_WIDTH + RIGHT, lines * row
    whole = np.array([len(trees) * width, HEAD + height + FOOT])
    figure = new_figure(*whole / 72)
    figure.set_layout_engine("none")
    for number, (tree, where) in enumerate(zip(trees, centres, strict=True)):
        left = number * width
        axes = figure.add_axes((left / whole[0], FOOT / whole[1], width / whole[0], height / whole[1]))
        axes.set_xlim(-LEFT, PANEL_WIDTH + RIGHT)
        axes.set_ylim(height - row / 2, -row / 2)
        axes.axis("off")
        figure.text((left + 8) / whole[0], 1 - 8 / whole[1], tree.title, va="top", fontsize="medium")
        _draw_tree(axes, tree, where, step, scale)
    _draw_legend(figure, scale)
    return figure


def largest_scale(centres: np.ndarray, reach) -> float:
    """The diameter of a node of reach 1 on which no two nodes touch, MOST_DIAMETER at most.

    centres: (n, 2), in points; reach: (n,). A node's diameter is the scale times the root of its reach.
    """
    radius = np.sqrt(np.asarray(reach, float)) / 2
    across, down = centres[:, None, 0] - centres[:, 0], centres[:, None, 1] - centres[:, 1]
    sums = radius[:, None] + radius
    apart = (sums > 0) & ~np.eye(len(centres), dtype=bool)
    return float((GAP * np.hypot(across, down)[apart] / sums[apart]).min(initial=MOST_DIAMETER))


def _draw_tree(axes, tree: DrawnTree, centres: np.ndarray, step: np.ndarray, scale: float) -> None:
    first = centres[tree.parents < 0, 1]
    root = np.array([0.0, first[[0, -1]].mean() if len(first) else 0.0])
    diameters = scale * np.sqrt(tree.reach)
    size = min(LABEL, TALL * step[1])
    exits = np.vstack([centres, root])  # where edges begin; -1 is the last one, the root
    if size >= LEAST_LABEL:
        exits[:-1, 0] += _label_nodes(axes, tree, centres, diameters, step[0], size)
        fits = (LEFT - 7) / (BROAD * max(len(tree.root), 1))
        _write(axes, tree.root, root - (5, 0), min(size, fits), ha="right", va="center_baseline")
    _draw_edges(axes, exits[tree.parents], centres)
    for shared, series in ((True, 0), (False, 1)):
        own = tree.shared == shared
        _draw_nodes(axes, centres[own], diameters[own], look(series)[0])
    axes.plot(*root, marker="s", markersize=5, color=THEORY_COLOUR, zorder=2)


def _draw_edges(axes, starts: np.ndarray, ends: np.ndarray) -> None:
    from matplotlib.collections import LineCollection

    lines = LineCollection(np.stack([starts, ends], axis=1), colors=NEUTRAL_COLOUR, linewidths=0.6, zorder=1)
    axes.add_collection(lines)


def _draw_nodes(axes, centres: np.ndarray, diameters: np.ndarray, colour: str) -> None:
    """Circles; dots where there is nearly nothing of them, as of a node that is never reached."""
    from matplotlib.collections import EllipseCollection
    from matplotlib.colors import to_rgba

    for face, edge in (
        ("white", "none"),
        (to_rgba(colour, 0.3), colour),
    ):  # no edge of the tree shines through
        circles = EllipseCollection(
            diameters, diameters, 0.0, units="xy", offsets=centres, offset_transform=axes.transData,
            facecolors=face, edgecolors=edge, linewidths=0.6, clip_on=False, zorder=2,
        )  # fmt: skip
        axes.add_collection(circles)
    dots = {"linestyle": "none", "marker": "o", "markersize": LEAST_DOT, "markeredgewidth": 0}
    axes.plot(*centres[diameters < LEAST_DOT].T, color=colour, zorder=2, **dots)


def _label_nodes(axes, tree: DrawnTree, centres, diameters, column: float, size: float) -> np.ndarray:
    """Labels inside the nodes that hold them, else right of them, where the next column leaves room.

    Returns where the edges to the children begin, right of each centre, (n,).
    """
    beyond = np.zeros(len(centres))
    depth = np.rint(centres[:, 0] / column).astype(int)
    widest = np.zeros(depth.max(initial=0) + 2)
    np.maximum.at(widest, depth, diameters / 2)
    leaf = ~np.isin(np.arange(len(centres)), tree.parents)
    last = depth == depth.max(initial=0)
    for node, label in enumerate(tree.labels):
        start, long = diameters[node] / 2 + 1.5, BROAD * size * len(label)
        if diameters[node] >= np.hypot(long, TALL * size):
            _write(axes, label, centres[node], size, ha="center", va="center_baseline")
        elif last[node] or start + long < column - widest[depth[node] + 1] - 2:
            place = centres[node] + (start, 0)
            _write(axes, label, place, size, ha="left", va="center_baseline")
            beyond[node] = 0.0 if leaf[node] else start + long + 1
    return beyond


def _write(axes, text: str, place, size: float, **aligned) -> None:
    low = 0.3 * size * (text == INVISIBLE[" "])  # its ink lies below the line
    axes.text(
        place[0], place[1] - low, text, fontsize=size, color=THEORY_COLOUR, parse_math=False, zorder=3,
        **aligned,
    )  # fmt: skip


def _draw_legend(figure, scale: float) -> None:
    """The colours, and the areas of three probabilities, below the trees."""
    from matplotlib.colors import to_rgba
    from matplotlib.lines import Line2D

    rows = [(7.0, look(0)[0], "in both trees"), (7.0, look(1)[0], "in this one only")]
    for reach, label in ((0.5, "P(reached) = 0.5"), (0.1, "0.1"), (0.01, "0.01")):
        rows.append((scale * np.sqrt(reach), NEUTRAL_COLOUR, label))
    handles = [
        Line2D(
            [], [], linestyle="none", marker="o", markersize=diameter, markerfacecolor=to_rgba(colour, 0.3),
            markeredgecolor=colour, markeredgewidth=0.6, label=label,
        )
        for diameter, colour, label in rows
    ]  # fmt: skip
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), borderpad=1.0, handlelength=2.6)
