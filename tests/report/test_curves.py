"""Several curves on one axis: what is handed over, discrepancies in sight, labels apart."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import same_color

from simlab.evidence import Interval, scaled_residuals
from simlab.report import new_figure, residual_axes, shared_legend, style
from simlab.report.curves import Curve, draw_comparison, draw_curves, draw_fan, draw_optimum, thinned
from simlab.report.style import ALARM_COLOUR
from tests.report.test_draw import overlapping_texts

pytestmark = pytest.mark.figures

X = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
POINTS = X[[0, 2, 4]]


def curves(wrong=0.0):
    """Three curves, the last without points; the second one's first simulated value is off by `wrong`."""
    found = []
    for k in (1, 2):
        there = k * np.log2(POINTS) + k
        middle = there + 0.01 + np.array([wrong * (k == 2), 0, 0])
        found.append(
            Curve(
                f"k = {k}",
                X,
                k * np.log2(X) + k,
                POINTS,
                Interval(middle, middle - 0.1, middle + 0.05),
                there,
            )
        )
    return [*found, Curve("alone", X, np.full(len(X), 0.5))]


def panels(wrong=0.0, log=True):
    with style():
        figure = new_figure(5, 4)
        upper, lower = residual_axes(figure, figure.add_gridspec(1, 1)[0, 0])
        draw_curves(upper, lower, curves(wrong), confidence=0.95, log=log)
        draw_comparison(upper, X, X / 4 + 2, "a bound", dashes=(4, 2))
        shared_legend(figure, [upper])
        assert overlapping_texts(figure) == []
    return figure, upper, lower


def drawn(axes, label):
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return line


@pytest.mark.parametrize("log", [True, False])
def test_lines_points_and_residuals_are_those_handed_over(log):
    figure, upper, lower = panels(log=log)
    assert upper.get_xscale() == ("log" if log else "linear")
    for one in curves():
        np.testing.assert_array_equal(drawn(upper, one.label).get_xydata(), np.transpose([one.x, one.exact]))
    simulated = [container[0] for container in upper.containers]
    residuals = [line for line in lower.lines if len(line.get_xdata()) == len(POINTS)]
    assert len(simulated) == len(residuals) == 2
    for one, points, below in zip(curves(), simulated, residuals, strict=False):
        np.testing.assert_array_equal(points.get_xydata(), np.transpose([one.points, one.interval.estimate]))
        np.testing.assert_array_equal(below.get_ydata(), scaled_residuals(one.interval, one.exact_there))
        assert same_color(points.get_color(), drawn(upper, one.label).get_color())
    beside = np.stack([line.get_xdata() for line in residuals])
    assert (np.diff(beside, axis=0) > 0).all()
    assert (beside.max(axis=0)[:-1] < beside.min(axis=0)[1:]).all()
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["k = 1", "k = 2", "alone", "a bound", "simulated, 95% intervals, all at once"]


def test_the_thinner_line_lies_on_the_wider():
    with style():
        axes = new_figure(3, 2).add_subplot()
        both = [Curve("thin", X, X, width=1.0), Curve("wide", X, X, width=4.0)]
        draw_curves(axes, None, both, confidence=0.95, log=False)
    assert drawn(axes, "wide").get_linewidth() == 4.0
    assert drawn(axes, "thin").get_zorder() > drawn(axes, "wide").get_zorder()


def test_a_discrepancy_is_a_cross_in_sight():
    for wrong, seen in ((0.0, 0), (0.7, 1), (-90.0, 1)):
        _, _, lower = panels(wrong)
        crosses = [line.get_xydata() for line in lower.lines if same_color(line.get_color(), ALARM_COLOUR)]
        crosses = np.concatenate([np.reshape(one, (-1, 2)) for one in crosses])
        assert len(crosses) == seen
        low, high = lower.get_ylim()
        assert ((low < crosses[:, 1]) & (crosses[:, 1] < high)).all()


def test_a_single_point_is_drawn():
    one = Curve("a", np.array([3.0]), np.array([1.0]), np.array([3.0]),
                Interval(*np.array([[1.0], [0.9], [1.1]])), np.array([1.0]))  # fmt: skip
    for log in (True, False):
        with style():
            figure = new_figure(4, 4)
            upper, lower = residual_axes(figure, figure.add_gridspec(1, 1)[0, 0])
            draw_curves(upper, lower, [one, one], confidence=0.95, log=log)
            figure.draw_without_rendering()
        assert all(np.isfinite(line.get_xdata()).all() for line in lower.lines)


def test_a_fan_is_labelled_at_its_ends_without_overlap():
    lines = np.array([1.0, 1.001, 1.002, 1.5, 0.2, 0.2])[:, None] * np.log1p(X)
    names = [f"line {i}" for i in range(len(lines))]
    with style():
        figure = new_figure(4, 3)
        axes = figure.add_subplot()
        draw_fan(axes, X, lines, names)
        draw_optimum(axes, X, 2 * np.log1p(X), "optimum")
        axes.set_title("a fan")
        assert overlapping_texts(figure) == []
    for line, given in zip(axes.lines, lines, strict=False):
        np.testing.assert_array_equal(line.get_ydata(), given)
    assert [text.get_text() for text in axes.texts] == names
    for text, line in zip(axes.texts, axes.lines, strict=False):
        assert same_color(text.get_color(), line.get_color())


def test_ticks_are_thinned():
    assert thinned([1, 2, 4, 8]) == [1, 2, 4, 8]
    assert thinned([1, 2, 4, 8, 16], 3.5) == [1, 4, 16]
    assert thinned(range(1, 20)) == [1, 2, 4, 7, 12]
    assert thinned([5]) == [5]
