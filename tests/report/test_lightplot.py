"""The drawings of the speed of light: what is drawn is what was handed over, with its label."""

from __future__ import annotations

import numpy as np
import pytest

from simlab.evidence import Interval
from simlab.report import new_figure, style
from simlab.report.lightplot import BOUNDS, draw_accepted, draw_entropies, draw_gaps

pytestmark = pytest.mark.figures

CAPACITIES = np.array([1, 10, 1000])
ESTIMATES = np.array([0.3, 1.2, 3.0])
INTERVAL = Interval(ESTIMATES, ESTIMATES - 0.1, ESTIMATES + 0.2)


@pytest.fixture
def axes():
    with style():
        yield new_figure(3, 3).add_subplot()


def lines(axes) -> dict:
    """The lines by their labels."""
    return {line.get_label(): line for line in axes.get_lines()}


def test_each_curve_has_its_own_look_and_the_same_one_everywhere(axes):
    curves = {name: (CAPACITIES, ESTIMATES + place) for place, name in enumerate(BOUNDS)}
    draw_accepted(axes, CAPACITIES, INTERVAL, curves, confidence=0.95, top=4)
    drawn = lines(axes)
    for place, (label, colour, _, _) in enumerate(BOUNDS.values()):
        np.testing.assert_array_equal(drawn[label].get_ydata(), ESTIMATES + place)
        assert drawn[label].get_color() == colour
    looks = [(colour, str(dashes)) for _, colour, dashes, _ in BOUNDS.values()]
    assert len(set(looks)) == len(looks)
    (simulated,) = axes.containers
    assert simulated.get_label() == "simulated, 95% interval"
    np.testing.assert_array_equal(simulated.lines[0].get_ydata(), ESTIMATES)
    assert axes.get_ylim() == (0, 4) and axes.get_xscale() == "log"


def test_gaps_stand_beside_each_other_with_their_limits(axes):
    families = [("a", 0, CAPACITIES, INTERVAL, 2.5), ("b", 1, CAPACITIES, INTERVAL, None)]
    draw_gaps(axes, families, span=(-1, 4))
    drawn = lines(axes)
    for label in ("a", "b"):
        np.testing.assert_array_equal(drawn[label].get_ydata(), ESTIMATES)
    assert (drawn["a"].get_xdata() < drawn["b"].get_xdata()).all()
    np.testing.assert_allclose(drawn["a"].get_xdata() / CAPACITIES, 1, atol=0.2)
    np.testing.assert_array_equal(drawn["limit of the gap"].get_ydata(), [2.5, 2.5])
    low, high = axes.get_xlim()
    assert low < drawn["a"].get_xdata()[0] and drawn["b"].get_xdata()[-1] < high
    assert axes.get_ylim() == (-1, 4)


def test_entropies_with_a_tick_at_each_bound(axes):
    entropies, bounds = np.array([0.2, 1.0, 3.0]), ESTIMATES + 1
    draw_entropies(axes, {"family": (entropies, ESTIMATES, bounds)}, (entropies, 4 / entropies))
    drawn = lines(axes)
    np.testing.assert_array_equal(drawn["family"].get_ydata(), ESTIMATES)
    np.testing.assert_array_equal(drawn["dual bound of each distribution"].get_ydata(), bounds)
    np.testing.assert_array_equal(drawn[BOUNDS["first_order"][0]].get_ydata(), 4 / entropies)
    axes.figure.draw_without_rendering()
    texts = [label.get_text() for label in axes.get_xticklabels()]
    assert {"0.2", "0.5", "1", "2"} <= set(texts)
