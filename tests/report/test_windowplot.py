"""Pictures of windows: the areas of the map and their names, the boxes of a policy, marks on lines."""

from __future__ import annotations

import numpy as np
import pytest

from simlab.report import new_figure, style
from simlab.report.colours import on_dark
from simlab.report.windowplot import (
    MapPoint,
    _shades,
    draw_choice,
    draw_dashes,
    draw_marked,
    draw_policy,
    draw_rates,
    draw_window_map,
    name_solid,
    plain_ratio_ticks,
    window_legend,
)

pytestmark = pytest.mark.figures


@pytest.fixture
def axes():
    with style():
        yield new_figure(5, 4).add_subplot()


def test_areas_of_the_map_are_named_inside_themselves(axes):
    acceptances, ratios = np.linspace(0, 0.99, 120), np.geomspace(1e-3, 1, 150)
    windows = np.where(
        ratios[:, None] >= acceptances, 0, np.floor(acceptances**2 * 14 - 2 * np.log10(ratios[:, None]) + 1)
    ).astype(int)
    point = MapPoint("paper", 0.6, 0.05, 5, True)
    draw_window_map(axes, acceptances, ratios, windows, [point])
    named = {text.get_text(): text.get_position() for text in axes.texts}
    assert named.pop("paper: 5") is not None
    assert "no drafting" in named and len(named) > 4
    for word, (acceptance, ratio) in named.items():
        window = windows[np.abs(ratios - ratio).argmin(), np.abs(acceptances - acceptance).argmin()]
        first, _, last = word.partition("-")
        low, high = (
            (0, 0) if word == "no drafting" else (int(first.rstrip("+")), int(last or first.rstrip("+")))
        )
        assert low <= window <= (np.inf if word.endswith("+") else high), word


def test_no_shade_turns_grey_on_a_dark_page():
    for colour in _shades(12):
        rgb = [int(on_dark(colour)[i : i + 2], 16) for i in (1, 3, 5)]
        assert rgb[2] > 1.1 * rgb[0]


def test_a_map_without_any_drafting(axes):
    draw_window_map(axes, np.linspace(0, 0.9, 20), np.geomspace(1, 10, 20), np.zeros((20, 20), int), [])
    assert [text.get_text() for text in axes.texts] == ["no drafting"]


@pytest.mark.parametrize("most", [1, 5, 12, 30])
@pytest.mark.parametrize("first", [0, 7])
def test_every_cell_of_a_policy_has_its_colour(axes, most, first):
    windows = np.random.default_rng(most).integers(0, most + 1, (9, 4))
    windows[0, 0] = most
    drawn = draw_policy(axes, windows, first)
    window_legend(axes, drawn)
    found = {}
    for collection in axes.collections:
        (colour,) = collection.get_facecolors()
        for path in collection.get_paths():
            (left, bottom), (right, top) = path.get_extents().min, path.get_extents().max
            assert top - bottom == pytest.approx(1)
            for t in range(round(left + 0.5), round(right + 0.5)):
                found.setdefault((t - 1 - first, round(bottom + 0.5)), []).append(tuple(colour))
    assert len(found) == windows.size and all(len(colours) == 1 for colours in found.values())
    by_window = {}
    for (t, row), (colour,) in found.items():
        by_window.setdefault(int(windows[t, row]), set()).add(colour)
    assert all(len(colours) == 1 for colours in by_window.values())
    if most <= 12:
        assert len({colour for colours in by_window.values() for colour in colours}) == len(by_window)
        assert [name for _, name in drawn] == [str(window) for window in sorted(by_window)]


def test_a_policy_that_never_drafts(axes):
    assert draw_policy(axes, np.zeros((1, 1), int), 0) == [("#d9d9d9", "0")]


def test_marks_and_rates(axes):
    x, y = np.arange(4), np.array([1.0, 2.0, np.nan, 1.5])
    draw_marked(axes, x, y, "a", series=0)
    draw_choice(axes, x, y, 1, series=None)
    draw_choice(axes, x, y, 1, series=0, judged=True)
    assert [line.get_linestyle() for line in axes.lines] == ["-", "None", "None"]
    assert [line.get_marker() for line in axes.lines[1:]] == ["*", "s"]
    assert (axes.lines[1].get_xdata()[0], axes.lines[1].get_ydata()[0]) == (1, 2.0)


def test_dashes_and_the_legend_of_what_is_solid(axes):
    x = np.arange(3)
    draw_dashes(axes, x, x, "a", series=None)
    draw_dashes(axes, x, x, "a", series=1)
    name_solid(axes, "solid: exact")
    grey, coloured, entry = axes.lines
    assert grey.get_linestyle() == coloured.get_linestyle() == "--" and entry.get_linestyle() == "-"
    assert grey.get_color() == entry.get_color() != coloured.get_color() and len(entry.get_xdata()) == 0


def test_rates_stand_in_rows_from_the_top(axes):
    draw_rates(axes, np.array([0.9, 0.2]), np.array([0.5, 0.7]), ["x", "y"])
    assert axes.get_ylim() == (1.5, -0.5)
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["x", "y"]
    assert [line.get_xdata().tolist() for line in axes.lines] == [[0.9, 0.2], [0.5, 0.7]]


def test_ratios_are_labelled_in_plain_numbers(axes):
    axes.plot([0.002, 1], [1, 2])
    plain_ratio_ticks(axes)
    axes.figure.draw_without_rendering()
    assert {"0.01", "0.1", "1"} <= {tick.get_text() for tick in axes.get_xticklabels()}
