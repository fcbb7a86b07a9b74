"""What is drawn: the numbers handed over, discrepancies in sight, and no text over other text."""

import itertools
import math
from unittest import mock

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import same_color
from matplotlib.text import Text

from simlab.evidence import Interval, confidence_sequence, pmf_band, scaled_residuals
from simlab.report import (
    draw_curve,
    draw_family,
    draw_pmf,
    draw_residuals,
    draw_running_average,
    new_figure,
    residual_axes,
    shared_legend,
    style,
    whole_number_ticks,
)
from simlab.report.draw import moved_apart
from simlab.report.style import ALARM_COLOUR, percent

pytestmark = pytest.mark.figures

PMF = np.array([math.comb(50, n) * 0.33**n * 0.67 ** (50 - n) for n in range(51)])
CONFIDENCE = 1 - 1e-6


def running(pmf, batches, size, seed=0):
    """(histogram, runs so far, their confidence sequence) of a multinomial stand-in for a simulation."""
    histograms = np.random.default_rng(seed).multinomial(size, pmf, size=batches)
    values = np.arange(len(pmf))
    sums = np.stack([histograms.sum(1), histograms @ values, histograms @ values**2], axis=1)
    interval = confidence_sequence(sums, len(pmf) - 1, CONFIDENCE)
    return histograms.sum(0), np.cumsum(sums[:, 0]), interval


def figure_of(cases):
    """A column for each (exact pmf, simulated pmf, batches): running average, pmf, residuals."""
    figure = new_figure(2.6 * len(cases) + 1, 6)
    grid = figure.add_gridspec(2, len(cases))
    for i, (exact, simulated, batches) in enumerate(cases):
        histogram, runs, interval = running(simulated, batches, 100)
        axes = figure.add_subplot(grid[0, i])
        mean = exact @ np.arange(len(exact))
        draw_running_average(
            axes, runs, interval, mean, confidence=CONFIDENCE, exact_label="exact mean", series=i
        )
        axes.set_title(f"case {i}")
        upper, lower = residual_axes(figure, grid[1, i])
        draw_pmf(upper, lower, pmf_band(histogram, CONFIDENCE), exact, confidence=CONFIDENCE, series=i)
    shared_legend(figure, figure.axes)
    return figure


ODD_CASES = [
    (PMF, PMF, 300),
    (PMF, PMF[::-1], 50),
    (np.array([0.7, 0.3]), np.array([0.7, 0.3]), 1),
    (np.eye(51)[0], np.eye(51)[0], 300),
    (np.array([0.5, 0.5, 0.0]), np.array([0.5, 0.49, 0.01]), 5),
]


def overlapping_texts(figure):
    """Pairs of texts, as drawn, that cover each other, and texts that leave the figure."""
    canvas = FigureCanvasAgg(figure)
    drawn = []
    draw = Text.draw

    def recording(text, renderer):
        if text.get_visible() and text.get_text().strip():
            drawn.append(text)
        draw(text, renderer)

    with mock.patch.object(Text, "draw", recording):
        canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in drawn]
    width, height = canvas.get_width_height()
    outside = [t for t, b in boxes if b.x0 < -1 or b.y0 < -1 or b.x1 > width + 1 or b.y1 > height + 1]
    pairs = [
        (s, t)
        for (s, a), (t, b) in itertools.combinations(boxes, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]
    assert len(boxes) > 5
    return pairs + outside


@pytest.mark.parametrize("case", ODD_CASES, ids=["plain", "wrong", "one", "never", "impossible"])
def test_no_text_covers_another(case):
    with style():
        assert overlapping_texts(figure_of([case, case])) == []


def test_the_overlap_check_catches_a_figure_without_layout():
    with style():
        figure = figure_of(ODD_CASES[1:4])
        figure.set_layout_engine("none")
        assert overlapping_texts(figure)


def panels(exact=PMF, simulated=PMF, batches=100):
    with style():
        figure = figure_of([(exact, simulated, batches)])
    return figure.axes


def line_of(axes, label):
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return line


def test_running_average_draws_what_it_is_handed():
    _, runs, interval = running(PMF, 100, 100)
    axes, *_ = panels()
    drawn = line_of(axes, "average of the runs so far")
    np.testing.assert_array_equal(drawn.get_xdata(), runs)
    np.testing.assert_array_equal(drawn.get_ydata(), interval.estimate)
    exact = line_of(axes, "exact mean")
    assert set(exact.get_ydata()) == {PMF @ np.arange(51)}
    low, high = axes.get_ylim()
    assert low < interval.estimate.min() and interval.estimate.max() < high


def test_pmf_bars_are_the_band():
    histogram, _, _ = running(PMF, 100, 100)
    band = pmf_band(histogram, CONFIDENCE)
    _, upper, lower = panels()
    simulated, drawn_band = upper.containers
    np.testing.assert_array_equal([bar.get_height() for bar in simulated], band.estimate)
    np.testing.assert_array_equal([bar.get_y() for bar in drawn_band], band.low)
    np.testing.assert_allclose([bar.get_y() + bar.get_height() for bar in drawn_band], band.high)
    np.testing.assert_array_equal(line_of(upper, "exact").get_ydata(), PMF)
    shown = np.concatenate([line.get_ydata() for line in lower.lines if line.get_marker() == "o"])
    first = int(np.ceil(lower.get_xlim()[0]))
    np.testing.assert_array_equal(shown, scaled_residuals(band, PMF)[first : first + len(shown)])


def alarms(axes):
    lines = [line for line in axes.lines if same_color(line.get_color(), ALARM_COLOUR)]
    return np.concatenate([np.atleast_2d(np.transpose(line.get_data())) for line in lines])


def test_discrepancies_are_crosses_in_sight():
    assert alarms(panels()[2]).size == 0
    wrong = panels(simulated=PMF[::-1])[2]
    assert len(alarms(wrong)) > 10
    low, high = wrong.get_ylim()
    assert ((alarms(wrong)[:, 1] > low) & (alarms(wrong)[:, 1] < high)).all()


def test_an_impossible_hit_far_in_the_tail_is_shown():
    simulated = np.zeros(51)
    simulated[[3, 4, 47]] = 0.5, 0.4999, 0.0001
    exact = np.zeros(51)
    exact[[3, 4]] = 0.5, 0.5
    _, upper, lower = panels(exact, simulated, 1000)
    assert alarms(lower)[:, 0].tolist() == [47]
    assert upper.get_xlim()[1] > 47


def test_infinite_residuals_are_drawn_inside():
    with style():
        axes = new_figure(3, 2).add_subplot()
        draw_residuals(axes, [1, 2, 3], [0.5, np.inf, -np.inf])
    low, high = axes.get_ylim()
    assert low < alarms(axes)[:, 1].min() < -1 and 1 < alarms(axes)[:, 1].max() < high


def test_curve_with_limit():
    drafts = np.array([1, 2, 4, 64])
    exact = 12 + 4 / drafts
    interval = Interval(exact + 0.01, exact - 0.01, exact + 0.03)
    with style():
        figure = new_figure(4, 3.5)
        upper, lower = residual_axes(figure, figure.add_gridspec(1, 1)[0, 0])
        draw_curve(upper, lower, drafts, interval, exact, confidence=0.95, limit=12.0, limit_label="limit")
        whole_number_ticks(lower, drafts)
        upper.legend()
        assert overlapping_texts(figure) == []
    np.testing.assert_array_equal(line_of(upper, "exact").get_xydata(), np.transpose([drafts, exact]))
    assert set(line_of(upper, "limit").get_ydata()) == {12.0}
    assert line_of(upper, "limit").get_linestyle() == "--"
    labels = [label for label in upper.get_legend_handles_labels()[1]]
    assert "simulated, 95% interval" in labels
    assert [t.get_text() for t in lower.get_xticklabels()] == ["1", "2", "4", "64"]
    np.testing.assert_allclose(
        [y for line in lower.lines if line.get_marker() == "o" for y in line.get_ydata()], 0.5, rtol=1e-9
    )


def family_panels(wrong=0.0):
    """Three curves with their residuals; the second simulated value of the first curve is off by `wrong`."""
    x, fine = np.array([1, 2, 4, 8]), np.arange(1, 9)
    family, lines = [], []
    for k in (2, 3, 4):
        exact = 1 - 1 / k ** (x - 1.0)
        middle = exact + 0.002 + wrong * (k == 2) * (x == 2)
        family.append((f"k = {k}", Interval(middle, middle - 0.01, middle + 0.01), exact))
        lines.append(1 - 1 / k ** (fine - 1.0))
    with style():
        figure = new_figure(5, 4)
        upper, lower = residual_axes(figure, figure.add_gridspec(1, 1)[0, 0])
        draw_family(upper, lower, x, family, confidence=0.95, line_x=fine, lines=lines)
        whole_number_ticks(lower, x)
        shared_legend(figure, [upper])
    return figure, upper, lower, family


def test_a_family_shows_three_roads_to_each_number():
    figure, upper, lower, family = family_panels()
    with style():
        assert overlapping_texts(figure) == []
    recursions = [line for line in upper.lines if line.get_label() == "exact recursion"]
    simulated = [c[0] for c in upper.containers]
    for (label, interval, exact), recursion, points in zip(family, recursions, simulated, strict=True):
        np.testing.assert_array_equal(recursion.get_ydata(), exact)
        np.testing.assert_array_equal(points.get_ydata(), interval.estimate)
        assert label in [text.get_text() for text in upper.texts]
    residuals = [line for line in lower.lines if len(line.get_xdata()) == 4]
    for line in residuals:
        np.testing.assert_allclose(line.get_ydata(), 0.2, rtol=1e-9)
    places = np.concatenate([line.get_xdata() for line in residuals])
    assert len(np.unique(places)) == 12 and (alarms(lower)[:, 1] if alarms(lower).size else []) == []
    by_x = np.sort(places).reshape(4, 3)
    assert (by_x[:, -1][:-1] < by_x[:, 0][1:]).all()  # no curve's point stands among those of another x
    legend = figure.legends[0]
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["closed form", "exact recursion", "simulated, 95% interval"]
    assert same_color(legend.legend_handles[2].get_color(), "#808080")


@pytest.mark.parametrize(
    "places", [[1, 1, 1, 1], [0, 0.5, 1], [0.98, 0.2, 0.99], [0.5], [0.9, 1, 0.95, 0]], ids=str
)
def test_labels_are_moved_apart_and_stay_inside(places):
    places = np.array(places, float)
    moved = moved_apart(places, 0.06, 1.0)
    ordered = np.sort(moved)
    assert (np.diff(ordered) >= 0.06 - 1e-12).all() and ordered[-1] <= 1 + 1e-12
    np.testing.assert_array_equal(np.argsort(moved, kind="stable"), np.argsort(places, kind="stable"))
    assert np.abs(moved - places).max() <= 0.06 * (len(places) - 1)


def test_a_family_shows_a_discrepancy():
    _, _, lower, _ = family_panels(wrong=0.05)
    assert len(alarms(lower)) == 1
    low, high = lower.get_ylim()
    assert low < alarms(lower)[0, 1] < high


def test_a_legend_of_several_colours_claims_none():
    with style():
        several = figure_of([ODD_CASES[0], ODD_CASES[0]]).legends[0]
        single = figure_of([ODD_CASES[0]]).legends[0]
    labels = [text.get_text() for text in several.get_texts()]
    assert labels == [text.get_text() for text in single.get_texts()] and len(set(labels)) == len(labels)
    at = labels.index("average of the runs so far")
    assert same_color(several.legend_handles[at].get_color(), "#808080")
    assert not same_color(single.legend_handles[at].get_color(), "#808080")


def test_percent_keeps_its_nines():
    assert [percent(c) for c in (0.95, 0.5, 1 - 1e-6)] == ["95%", "50%", "99.9999%"]
