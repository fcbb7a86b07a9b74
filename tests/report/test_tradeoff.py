"""Figures of two quantities: rectangles where the intervals are, discrepancies in sight, regions named."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import same_color

from simlab.evidence import Interval, scaled_residuals
from simlab.report import new_figure, style
from simlab.report.style import ALARM_COLOUR
from simlab.report.tradeoff import draw_rectangles, draw_residual_plane, root_axis, shade_regions

pytestmark = pytest.mark.figures

X = Interval(np.array([0.1, 0.2]), np.array([0.05, 0.19]), np.array([0.12, 0.25]))
Y = Interval(np.array([0.3, 0.1]), np.array([0.28, 0.0]), np.array([0.33, 0.4]))


@pytest.fixture
def axes():
    with style():
        yield new_figure(3, 3).add_subplot()


def test_rectangles_are_both_intervals(axes):
    draw_rectangles(axes, X, Y, confidence=0.95)
    boxes = [path.get_extents() for path in axes.collections[0].get_paths()]
    for i, box in enumerate(boxes):
        np.testing.assert_allclose(
            [box.x0, box.x1, box.y0, box.y1], [X.low[i], X.high[i], Y.low[i], Y.high[i]]
        )
    (points,) = axes.lines
    np.testing.assert_array_equal(points.get_xydata(), np.transpose([X.estimate, Y.estimate]))
    assert points.get_label() == "simulated; 95% rectangles, all at once"


def crosses(axes):
    lines = [line for line in axes.lines if same_color(line.get_color(), ALARM_COLOUR)]
    return np.concatenate([np.reshape(line.get_xydata(), (-1, 2)) for line in lines])


def test_the_plane_is_calm_where_all_is_inside_its_rectangle(axes):
    inside = scaled_residuals(X, [0.1, 0.22]), scaled_residuals(Y, [0.29, 0.0])
    draw_residual_plane(axes, [inside, inside])
    assert crosses(axes).size == 0
    assert axes.get_xlim() == axes.get_ylim() and axes.get_xlim()[1] > 1.3
    drawn = np.concatenate([line.get_xydata() for line in axes.lines if line.get_marker() in ("o", "s")])
    np.testing.assert_allclose(drawn, np.tile(np.transpose(inside), (2, 1)))


@pytest.mark.parametrize("wrong", [(1.5, 0.0), (0.0, -7.0), (np.inf, 0.3), (-np.inf, np.inf)], ids=str)
def test_the_plane_shows_what_is_outside_in_either_direction(axes, wrong):
    draw_residual_plane(axes, [(np.array([0.2, wrong[0]]), np.array([0.1, wrong[1]]))])
    ((x, y),) = crosses(axes)
    low, high = axes.get_xlim()
    assert low < min(x, y) and max(x, y) < high
    for shown, true in ((x, wrong[0]), (y, wrong[1])):
        assert np.sign(shown) == np.sign(true) and (abs(shown) > 1) == (abs(true) > 1)


def test_regions_meet_at_the_front_and_are_named(axes):
    x, front = np.array([0.0, 1.0, 2.0]), np.array([1.0, 0.0, 0.0])
    shade_regions(axes, x, front, above="over", below="under", at=((0.5, 0.9), (0.1, 0.1)), top=3.0)
    above, below = (area.get_paths()[0] for area in axes.collections)
    assert above.contains_point((1.5, 0.5)) and not below.contains_point((1.5, 0.5))
    assert below.contains_point((0.2, 0.5)) and not above.contains_point((0.2, 0.5))
    assert [text.get_text() for text in axes.texts] == ["over", "under"]


@pytest.mark.parametrize("last", [1e-4, 0.22, 1.0, 30.0])
def test_ticks_on_a_root_axis_start_at_0_and_have_room(axes, last):
    root_axis(axes, last)
    ticks = axes.get_xticks()
    assert ticks[0] == 0 and 4 <= len(ticks) <= 9 and ticks[-1] <= last
    assert (np.diff(np.sqrt(ticks)) >= 0.12 * np.sqrt(last) - 1e-12).all()
    places = axes.transData.transform([(0, 0), (last / 4, 0), (last, 0)])[:, 0]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1])
