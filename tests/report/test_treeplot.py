"""Trees as drawn: no crossing edges, no touching nodes, areas that are probabilities, labels with room."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import EllipseCollection, LineCollection
from matplotlib.colors import same_color, to_rgb

from simlab.report import style
from simlab.report.treeplot import (
    GAP,
    LEAST_DOT,
    MOST_DIAMETER,
    DrawnTree,
    draw_trees,
    largest_scale,
    tree_places,
    visible,
)
from tests.report.test_draw import overlapping_texts
from tests.strategies import examples

pytestmark = pytest.mark.figures


def trees(most: int = 40):
    """Parents of a tree, each before its children."""
    numbers = st.lists(st.integers(0, 10**6), min_size=1, max_size=most)
    return numbers.map(lambda drawn: np.array([number % (i + 1) - 1 for i, number in enumerate(drawn)]))


@given(trees())
@examples(200)
def test_columns_are_depths_and_nothing_crosses(parents):
    columns, lines = tree_places(parents).T
    for node, parent in enumerate(parents):
        assert columns[node] == (1 if parent < 0 else columns[parent] + 1)
    leaves = ~np.isin(np.arange(len(parents)), parents)
    assert sorted(lines[leaves]) == list(range(leaves.sum()))
    for column in np.unique(columns):
        here = np.flatnonzero(columns == column)
        here = here[np.argsort(lines[here])]
        assert (np.diff(lines[here]) >= 1).all()
        above = np.append(lines, 0.0)[parents[here]]
        assert (np.diff(above) >= 0).all()  # edges keep their order from one column to the next
    for node in np.flatnonzero(~leaves):
        below = np.flatnonzero(parents == node)
        assert lines[node] == (lines[below[0]] + lines[below[-1]]) / 2
        assert (np.diff(lines[below]) > 0).all()  # in the order of choice


@given(trees(), st.randoms(use_true_random=False))
@examples(100)
def test_nodes_are_as_large_as_can_be_without_touching(parents, random):
    centres = tree_places(parents) * (20.0, 9.0)
    reach = np.array([random.choice([0.0, random.random(), 1.0]) for _ in parents])
    scale = largest_scale(centres, reach)
    radius = scale * np.sqrt(reach) / 2
    room = np.hypot(*(centres[:, None] - centres).transpose(2, 0, 1)) - radius[:, None] - radius
    both = ((radius[:, None] > 0) | (radius > 0)) & ~np.eye(len(parents), dtype=bool)
    assert (room[both] > 0).all() and scale <= MOST_DIAMETER
    if scale < MOST_DIAMETER:
        nearest = np.min(room[both] / (room + radius[:, None] + radius)[both])
        assert nearest == pytest.approx(1 - GAP)


def star(n):
    return np.full(n, -1)


def chain(n):
    return np.arange(n) - 1


def bushy(n, seed=0):
    random = np.random.RandomState(seed)
    return np.array([random.randint(-1, max(0, i // 2)) for i in range(n)])


def reach_of(parents, seed=1):
    """A child is no more probable than its parent, and children together no more than that."""
    random, reach = np.random.RandomState(seed), np.zeros(len(parents))
    left = np.append(np.ones(len(parents)), 1.0)
    for node, parent in enumerate(parents):
        reach[node] = left[parent] * random.uniform(0.05, 0.6)
        left[parent] -= reach[node]
        left[node] = reach[node]
    return reach


CASES = {
    "one": (star(1), ["⏎"]),
    "star": (star(64), [str(i + 36) for i in range(64)]),
    "chain": (chain(50), list("ab") * 25),
    "long labels": (chain(5), ["U+4E2D"] * 5),
    "labels without room": (chain(12), ["U+4E2D"] * 12),
    "bushy": (bushy(64), [str(i % 100) for i in range(64)]),
    "large": (bushy(256, 3), [str(i % 1000) for i in range(256)]),
    "letters": (bushy(64, 7), list('␣⏎Wjg|.,"*$_^\\{}') * 4),
}


def drawn(case, title="chosen by the target: E[X] = 1.2345"):
    parents, labels = CASES[case]
    shared = np.random.RandomState(5).rand(len(parents)) < 0.5
    return DrawnTree(title, labels[0], parents, reach_of(parents), labels, shared)


def figure_of(*cases):
    with style():
        return draw_trees([drawn(case) for case in cases])


def circles(axes):
    """(centres, diameters, colour) of what was drawn last of each colour."""
    found = [one for one in axes.collections if isinstance(one, EllipseCollection)]
    return [
        (one.get_offsets(), 2 * np.asarray(one._widths), one.get_edgecolors()[0])
        for one in found
        if len(one.get_edgecolors())
    ]


@pytest.mark.parametrize("case", CASES)
def test_no_text_covers_another_or_leaves_the_figure(case):
    with style():
        assert overlapping_texts(figure_of(case, "bushy")) == []


@pytest.mark.parametrize("case", CASES)
def test_no_text_covers_a_node_but_its_own(case):
    figure = figure_of(case, case)
    renderer = FigureCanvasAgg(figure).get_renderer()
    axes = figure.axes[0]
    centres = np.concatenate([part[0] for part in circles(axes)])
    radii = np.concatenate([part[1] for part in circles(axes)]) / 2
    assert len(centres) == len(CASES[case][0])
    for text in axes.texts:
        box = text.get_window_extent(renderer).transformed(axes.transData.inverted())
        low, high = np.minimum(*box.get_points()), np.maximum(*box.get_points())
        outside = np.hypot(*(centres - np.clip(centres, low, high)).T) - radii
        inside = np.hypot(*(centres - (low + high) / 2).T) < radii
        assert ((outside > -0.5) | inside).all(), text.get_text()


@pytest.mark.parametrize("case", ["bushy", "star", "letters"])
def test_areas_are_reach_probabilities_on_one_scale_and_colours_tell_who_has_a_node(case):
    figure = figure_of(case, "chain")
    per_probability = []
    for axes, one in zip(figure.axes, (drawn(case), drawn("chain")), strict=True):
        for centres, diameters, colour in circles(axes):
            own = one.shared if same_color(colour[:3], to_rgb("#0072B2")) else ~one.shared
            assert same_color(colour[:3], to_rgb("#0072B2")) or same_color(colour[:3], to_rgb("#D55E00"))
            assert len(centres) == own.sum()
            per_probability += list(diameters**2 / one.reach[own])
    np.testing.assert_allclose(per_probability, per_probability[0], rtol=1e-9)
    (legend,) = figure.legends
    told = {text.get_text().rpartition(" ")[2]: handle for text, handle in
            zip(legend.get_texts(), legend.legend_handles, strict=True)}  # fmt: skip
    for reach in (0.5, 0.1, 0.01):
        size = told[f"{reach:g}"].get_markersize()
        assert size**2 / reach == pytest.approx(per_probability[0])


def test_lengths_in_the_axes_are_points():
    figure = figure_of("bushy", "chain")
    for axes in figure.axes:
        (x0, y0), (x1, y1) = axes.transData.transform([(0, 0), (1, 1)])
        assert (x1 - x0, y0 - y1) == pytest.approx((figure.dpi / 72,) * 2)


def test_every_node_has_its_edge_and_its_label():
    figure = figure_of("bushy", "letters")
    for axes, case in zip(figure.axes, ("bushy", "letters"), strict=True):
        parents, labels = CASES[case]
        (edges,) = [one for one in axes.collections if isinstance(one, LineCollection)]
        centres = np.concatenate([part[0] for part in circles(axes)])
        ends = {tuple(np.round(path.vertices[-1], 6)) for path in edges.get_paths()}
        assert ends == {tuple(np.round(centre, 6)) for centre in centres} and len(ends) == len(parents)
        assert sorted(text.get_text() for text in axes.texts) == sorted([labels[0], *labels])


def test_a_node_that_is_never_reached_is_a_dot():
    reach = np.array([0.5, 0.0])
    tree = DrawnTree("t", "0", star(2), reach, ["1", "2"], np.array([True, False]))
    with style():
        figure = draw_trees([tree, tree])
    dots = [line for line in figure.axes[0].lines if line.get_markersize() == LEAST_DOT]
    assert sum(len(line.get_xdata()) for line in dots) == 1


def test_characters_without_ink_or_glyph_have_a_name():
    told = visible(["a", " ", "\n", "\t", "", "$", "\x07", "\u00a0", "中", "\U0001f600", "é", "\u0301"])
    assert told[:6] == ["a", "␣", "⏎", "⇥", "...", "$"]
    assert told[6:8] == ["U+0007", "U+00A0"] and told[8] == "U+4E2D" and told[10] == "é"
    assert told[11] == "U+0301"  # a mark that would combine with what stands beside it


def test_a_dollar_is_no_formula():
    tree = DrawnTree("t", "$", star(2), np.array([0.5, 0.4]), ["$x^2$", "$"], np.ones(2, bool))
    with style():
        figure = draw_trees([tree, tree])
    FigureCanvasAgg(figure).draw()
    assert {text.get_text() for text in figure.axes[0].texts} == {"$x^2$", "$"}
    assert not any(text.get_parse_math() for text in figure.axes[0].texts)


def test_the_checks_on_labels_catch_labels_that_are_wider_than_thought(monkeypatch):
    """Negative control of the two tests above."""
    monkeypatch.setattr("simlab.report.treeplot.BROAD", 0.05)
    with pytest.raises(AssertionError):
        test_no_text_covers_a_node_but_its_own("labels without room")
