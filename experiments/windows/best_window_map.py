"""The map of the best window over acceptance and cost ratio, by the memoryless formula, and pairs on it."""

from __future__ import annotations

import numpy as np

from simlab.cost import CostModel
from simlab.experiments.common.jobs import instance
from simlab.experiments.common.outcome import Exhibit, Presentation
from simlab.experiments.common.settings import Settings
from simlab.experiments.windows.expected_work import at_ratio, shape_of, window_work
from simlab.experiments.windows.options import Options
from simlab.pairs import make_pair
from simlab.report import new_figure, style
from simlab.report.windowplot import MapPoint, draw_window_map
from simlab.theory import mean_acceptance, memoryless

CAPTION = (
    "The best window by the memoryless formula, with the bonus token: how many tokens to draft before each "
    "target call, for the probability that a drafted token is accepted and for the cost ratio, the cost of a "
    "drafted token over that of a target call. The numbers in boxes name the windows of each area. In the "
    "grey area a drafted token costs at least its acceptance, and drafting does not pay. Points: the "
    "project's pairs with their mean acceptances, at the cost ratio {ratio:g}. The number after a pair's "
    "name is not the formula's: it is the pair's own best fixed window, exact, among those up to {longest}."
)

TITLE = "Areas: best window by the memoryless formula\nPoints: a pair and its own best window, exact"

MAPPED = ("paper", "dirichlet", "softmax", "mixture", "corpus")
"""Pairs, each with its own settings, that stand on the map beside the one given."""

ACCEPTANCES = np.linspace(0.0, 0.995, 400)
DECADES = (1e-3, 1.0)
"""The cost ratios of the map; wider where the settings' own does not lie between."""


def present_map(told: Presentation, options: Options) -> Exhibit:
    """The figure; nothing of it is simulated."""
    settings = told.settings
    ratio = settings.cost.ratio
    ratios = np.geomspace(min(DECADES[0], ratio / 2), max(DECADES[1], 2 * ratio), 361)
    windows = _best_windows(ratios, shape_of(settings.cost), options.longest)
    points = [_point(label, pair, settings, options) for label, pair in _pairs(settings).items()]
    with style():
        figure = new_figure(5.6, 4.4)
        axes = figure.add_subplot()
        draw_window_map(axes, ACCEPTANCES, ratios, windows, points)
        axes.set_title(TITLE)
        axes.set_xlabel("acceptance: probability that a drafted token is accepted")
        axes.set_ylabel("cost ratio: drafted token / target call")
    table = [
        {"kind": "map", "acceptance": float(a), "ratio": float(c), "window": int(windows[j, i])}
        for i, a in enumerate(ACCEPTANCES)
        if i % 8 == 0
        for j, c in enumerate(ratios)
        if j % 8 == 0
    ]
    table += [
        {"kind": point.label, "acceptance": point.acceptance, "ratio": ratio, "window": point.window}
        for point in points
    ]
    return told.figure("windows_map", CAPTION.format(ratio=ratio, longest=options.longest), figure, table)


def _best_windows(ratios: np.ndarray, shape: CostModel, longest: int) -> np.ndarray:
    """By the memoryless formula, (R, A); of costs that are not two numbers the best up to `longest`."""
    if shape.is_flat:
        return memoryless.best_window_of(ACCEPTANCES, ratios[:, None])
    tried, acceptances = np.arange(longest + 1), ACCEPTANCES[:, None]
    times = [memoryless.time_per_token(acceptances, tried, at_ratio(shape, float(ratio))) for ratio in ratios]
    return np.argmin(times, axis=2)


def _pairs(settings: Settings) -> dict:
    """The project's pairs by name, the one given in the place of its namesake."""
    pairs = {name: make_pair(name) for name in MAPPED if name != settings.pair_name}
    return {**pairs, settings.pair_name: instance(settings)[0]}


def _point(label: str, pair, settings: Settings, options: Options) -> MapPoint:
    window = window_work(pair, options.longest, shape_of(settings.cost)).best(settings.cost.ratio)
    return MapPoint(label, mean_acceptance(pair), settings.cost.ratio, window, label == settings.pair_name)
