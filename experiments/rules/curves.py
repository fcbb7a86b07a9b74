"""Where each rule lies: rejections against bias, exact along its parameter and simulated at some values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.decoders import RuleSpeculative
from simlab.evidence import Interval, Verdict
from simlab.experiments.common.brackets import quick_bracket
from simlab.experiments.common.estimates import all_at_once, mean_of, stacked, total_variation_of
from simlab.experiments.common.outcome import Presentation
from simlab.experiments.rules.options import Family
from simlab.pairs import ChainPair
from simlab.runs import Job
from simlab.theory import Bracket, expected_rejections_per_position

SMALL = 30_000
"""Up to this T V^2, about V = 24 at T = 50, the total variation of sequences has exact lines."""

POINT_WORK, LINE_WORK = 1e7, 5e5
"""About T V^2 times the cells of a bracket: a tenth of a second, and hundredths."""
LINE_CELLS, POINT_CELLS = 150, 120
HALVINGS = 7
"""Of the step between two values of a parameter, to find the rule that rejects as much as wanted."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A rule along its parameter on one horizon. rejections, loss: exact (K,), by rising rejections."""

    family: Family
    rejections: np.ndarray
    loss: np.ndarray

    def near(self, rejections: float) -> tuple[float, float]:
        """(rejections, loss) of the point that rejects about so much."""
        index = int(np.argmin(np.abs(self.rejections - rejections)))
        return float(self.rejections[index]), float(self.loss[index])


@dataclass(frozen=True, eq=False)
class Points:
    """A rule's simulated points: intervals of arrays (K,), rectangles that hold all points of all rules."""

    family: Family
    jobs: list[Job]
    rejections: Interval
    loss: Interval
    exact_rejections: np.ndarray

    def within(self, most: float) -> tuple[Interval, Interval]:
        """(rejections, loss) of the points that reject no more than that."""
        shown = self.rejections.estimate <= most
        return tuple(Interval(*(end[shown] for end in part)) for part in (self.rejections, self.loss))


def curve(pair: ChainPair, family: Family, wanted: float) -> Curve:
    """The exact line of a family on the pair's horizon, with a point that rejects about as much as wanted."""
    rejected = {value: _rejections(pair, family, value) for value in {*family.values, *family.fine}}
    below, above = (
        [value for value, found in rejected.items() if (found < wanted) == less] for less in (True, False)
    )
    if below and above:
        low, high = max(below, key=rejected.get), min(above, key=rejected.get)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            rejected[middle] = _rejections(pair, family, middle)
            low, high = (middle, high) if rejected[middle] < wanted else (low, middle)
        closest = min((low, high), key=lambda value: abs(rejected[value] - wanted))
        kept = {*family.values, *family.fine, closest}
        rejected = {value: found for value, found in rejected.items() if value in kept}
    points = []
    for value, found in rejected.items():
        decoder = RuleSpeculative(family.make(value))
        points.append((found, quick_bracket(pair, decoder, LINE_WORK, LINE_CELLS).middle))
    return Curve(family, *np.array(sorted(points)).T)


def _rejections(pair: ChainPair, family: Family, value: float) -> float:
    return float(expected_rejections_per_position(pair, RuleSpeculative(family.make(value))).sum())


def is_small(pair: ChainPair) -> bool:
    """Whether its sequences have exact lines."""
    return pair.horizon * pair.states**2 <= SMALL


def simulated_points(told: Presentation, jobs: dict[str, list[Job]], families) -> list[Points]:
    """Where the simulation finds each lossy rule."""
    confidence = all_at_once(told.settings.confidence, 2 * sum(len(jobs[one.label]) for one in families))
    return [
        Points(
            family,
            jobs[family.label],
            stacked(mean_of(one, told.result(one), confidence) for one in jobs[family.label]),
            stacked(total_variation_of(one, told.result(one), confidence) for one in jobs[family.label]),
            np.array([told.prediction(one).expected_rejections for one in jobs[family.label]]),
        )
        for family in families
    ]


def bracket_of(one: Job) -> Bracket:
    """Of the total variation of a rule's sequences, as sharp as its verdict needs."""
    return quick_bracket(one.pair, one.task.decoder, POINT_WORK, POINT_CELLS)


def judged(
    told: Presentation, name: str, one: Job, *claims: str, bracket: Bracket | None = None
) -> list[Verdict]:
    """The verdicts on a job that are asked for, by the ends of their names."""
    verdicts = told.judge(f"{told.title}, {name}", one, bracket)
    return [verdict for verdict in verdicts if verdict.name.endswith(claims)]
