"""The speed of light on real models: E[X] of the target's own draft tree and of a draft's, and the bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from simlab.evidence import Interval, sample_mean_interval
from simlab.experiments.common.outcome import Presentation
from simlab.experiments.models.options import Options, Shown
from simlab.experiments.models.texts import Recorded, label_of, stacked
from simlab.models import RecordedTrees, bundled_tree_names, bundled_trees
from simlab.report import new_figure, shared_legend, style
from simlab.report.modelplot import draw_accepted
from simlab.theory import speed_of_light as light
from simlab.verify import Check
from simlab.verify.compare import Claim, at_least

FROM = 8
"""The slope is taken from this capacity to the largest one."""

CAPTION = (
    "How many of P drafted tokens are right on a real model: E[X] of the target's own tree, its P most "
    "probable continuations, which no tree of as many nodes exceeds, and of trees that a draft's "
    "probabilities choose. E[X] of a prefix is exact, the sum of the nodes' probabilities under the target; "
    "markers are means over {prefixes} prefixes with {confidence:.10g}% intervals, each for itself, of "
    "numbers of which only the range 0 to P is known. Lines, for comparison: the bounds of random "
    "environments with the model's own mean entropy μ = {entropy:.3f} and second moment μ₂ = {second:.3f}, "
    "from {rows:,} rows of {texts} texts. They are no theorems here, as the rows along a text depend on each "
    "other and the rows of likely continuations are not those of texts."
)
BOUNDS = ("first_order", "published", "sharper", "dual")
MARKED = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


def present_draft_trees(told: Presentation, pairs: tuple[Recorded, ...], options: Options) -> Shown:
    """The figure, a check that no draft's tree beats the target's own, and a note with the slope."""
    trees = {name: bundled_trees(name) for name in bundled_tree_names()}
    if not trees:
        return Shown()
    moments = moments_of(pairs[0])
    figure, note = _present(told, trees, moments, pairs[0])
    checks = [best_is_best(label_of(name), found) for name, found in trees.items()]
    return Shown(figures=[figure], checks=checks, notes=[note])


def moments_of(pair: Recorded) -> light.Moments:
    """The mean entropy and second moment of the target's rows, over all tokens of all texts."""
    return light.Moments(
        float(pair.trace.target_entropy.mean()), float(pair.trace.target_log2_moment.mean())
    )


def accepted_at(values: np.ndarray, capacities: np.ndarray, confidence: float) -> Interval:
    """The mean E[X] over prefixes at the capacities, (K,); values: (n, P) of trees of 1, .., P nodes."""
    return stacked(
        sample_mean_interval(np.minimum(values[:, capacity - 1], capacity), float(capacity), confidence)
        for capacity in capacities
    )


def slope_of(values: np.ndarray, confidence: float) -> Interval:
    """Tokens for each factor e of capacity from FROM to P, the mean over prefixes with its interval."""
    capacity = values.shape[1]
    gained, most = values[:, -1] - values[:, FROM - 1], float(capacity - FROM)
    found = sample_mean_interval(np.clip(gained, 0.0, most), most, confidence)
    return Interval(*(end / math.log(capacity / FROM) for end in found))


def best_is_best(label: str, trees: RecordedTrees) -> Check:
    """The target's own tree has at least the E[X] of the draft's, after every prefix, at every capacity."""
    own, other = (trees.expected_accepted(chooser) for chooser in ("target", "draft"))
    claim = Claim(
        f"draft trees, real prefixes, {label}",
        "Pankratov and Alistarh 2026",
        "no tree of P nodes has more expected accepted tokens than the target's P most probable prefixes",
        "E[X] of the target's tree",
        "E[X] of the draft's tree",
    )
    rounding = 1e-3 * float(own.max())  # of reaches, kept with 11 significant bits
    scope = f"{own.shape[0]} prefixes, every P up to {own.shape[1]}"
    return at_least(claim, own.ravel(), other.ravel(), tolerance=rounding, scope=scope)


def _present(told: Presentation, trees: Mapping[str, RecordedTrees], moments: light.Moments, pair: Recorded):
    confidence = told.settings.confidence
    series = _series(trees)
    largest = next(iter(series.values())).shape[1]
    capacities = np.array([one for one in MARKED if one <= largest])
    found = {label: accepted_at(values, capacities, confidence) for label, values in series.items()}
    lines = _bounds(moments, largest)
    with style():
        figure = new_figure(6.4, 4.6)
        axes = figure.add_subplot()
        means = {label: values.mean(axis=0) for label, values in series.items()}
        draw_accepted(axes, capacities, found, means, lines)
        axes.set_xlabel("capacity P, drafted tokens in the tree")
        axes.set_ylabel("E[X], accepted of them")
        shared_legend(figure, [axes], columns=2)
    first = next(iter(trees.values()))
    caption = CAPTION.format(
        prefixes=len(first.sequence), confidence=100 * confidence, entropy=moments.entropy,
        second=moments.second, rows=len(pair.trace), texts=pair.trace.sequences,
    )  # fmt: skip
    rows = [
        {"tree": label, "capacity": int(capacity), "accepted": float(interval.estimate[at]),
         "low": float(interval.low[at]), "high": float(interval.high[at]),
         **{name: float(np.interp(capacity, *lines[name])) for name in BOUNDS}}
        for label, interval in found.items()
        for at, capacity in enumerate(capacities)
    ]  # fmt: skip
    return told.figure("models_trees", caption, figure, rows), _note(series, moments, confidence)


def _series(trees: Mapping[str, RecordedTrees]) -> dict[str, np.ndarray]:
    """E[X] after each prefix by capacity, (n, P): of the target's own tree, and of each draft's."""
    first = next(iter(trees.values()))
    drafted = {f"tree of {label_of(name)}": one.expected_accepted("draft") for name, one in trees.items()}
    return {"the target's own tree": first.expected_accepted("target")} | drafted


def _bounds(moments: light.Moments, largest: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    x = np.unique(np.concatenate([np.geomspace(1, largest, 60), [one for one in MARKED if one <= largest]]))
    return {
        "first_order": (x, light.first_order(moments, x)),
        "published": (x, light.published_slope(moments) * np.log(x)),
        "sharper": (x, light.sharper_bound(moments, x)),
        "dual": (x, light.dual_bound(moments, x)),
    }


def _note(series: dict[str, np.ndarray], moments: light.Moments, confidence: float) -> str:
    """E[X] at the largest capacity and the slopes, beside 1/mu."""
    largest = next(iter(series.values())).shape[1]
    ends = "; ".join(f"{label} {values[:, -1].mean():.3f}" for label, values in series.items())
    slopes = []
    for label, values in series.items():
        slope = slope_of(values, confidence)
        slopes.append(f"{label} {slope.estimate:.3f} [{slope.low:.3f}, {slope.high:.3f}]")
    return (
        f"E[X] with {largest} drafted tokens on a real model: {ends}. Tokens for each factor e of capacity "
        f"from {FROM} on: {'; '.join(slopes)}; 1/μ is {1 / moments.entropy:.3f}."
    )
