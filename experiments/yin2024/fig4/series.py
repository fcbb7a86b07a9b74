"""Rejections against bias: the points that Figure 4 simulates, their exact positions, and exact curves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.checks import check_count
from simlab.decoders import REPLACEMENTS, BiasedSpeculative
from simlab.errors import SimlabError
from simlab.evidence import Interval, Verdict, scaled_residuals
from simlab.experiments.common.brackets import quick_bracket
from simlab.experiments.common.estimates import all_at_once, mean_of, stacked, total_variation_of
from simlab.experiments.common.jobs import job
from simlab.experiments.common.options import list_of, listed_numbers
from simlab.experiments.common.outcome import Presentation
from simlab.experiments.common.settings import Settings
from simlab.pairs import ChainPair
from simlab.runs import Job
from simlab.theory import Bracket, expected_rejections_per_position

LABELS = {
    "optimal": "optimal replacement (OPT)",
    "target": "replaced by the target (UNO)",
    "draft": "replaced by the draft",
    "residual": "replaced by the residual",
}
"""What replaces a rejected token, as the legends have it."""

FINE_TOKEN, FINE_SEQUENCE = 80, 20
"""Values of epsilon on an exact curve, beside those that are simulated."""

POINT_WORK, CURVE_WORK = 3e7, 4e6
"""About T V^2 times the cells of a bracket of total variation: fifths of a second, and fiftieths. At T = 50,
V = 7 it is then 3e-5 wide, or a line's width.
"""

SMALL = 30_000
"""Up to this T V^2, about V = 24 at T = 50, an exact curve has points of its own."""


@dataclass(frozen=True)
class Options:
    """The options of Figure 4, checked; see conf/experiment/fig4.yaml."""

    epsilons: tuple[float, ...]
    replacements: tuple[str, ...]
    short_horizon: int
    algorithms: int
    queries: int


@dataclass(frozen=True, eq=False)
class Series:
    """One replacement at every epsilon: where the theory has it, and where the simulation found it.

    jobs: one an epsilon. epsilons, exact_rejections: (K,). rejections, loss: intervals of arrays (K,):
    rectangles that hold all their points at once. bracket: of arrays (K,), which holds the exact loss.
    """

    replacement: str
    jobs: list[Job]
    epsilons: np.ndarray
    rejections: Interval
    loss: Interval
    exact_rejections: np.ndarray
    bracket: Bracket

    @property
    def exact_loss(self) -> np.ndarray:
        """The middle of the bracket, (K,)."""
        return self.bracket.middle

    @property
    def residuals(self) -> tuple[np.ndarray, np.ndarray]:
        """(rejections, loss): simulated minus exact, the bracket's nearest, in half-widths, (K,) each."""
        nearest = np.clip(self.loss.estimate, *self.bracket)
        return scaled_residuals(self.rejections, self.exact_rejections), scaled_residuals(self.loss, nearest)


def options_of(settings: Settings) -> Options:
    """The experiment's options; SimlabError, in one line, for those that make no sense."""
    given = settings.options
    epsilons = listed_numbers(settings, "epsilons", least=0.0)
    replacements = list_of(settings, "replacements", f"some of {', '.join(REPLACEMENTS)}")
    for one in replacements:
        if one not in REPLACEMENTS:
            known = ", ".join(REPLACEMENTS)
            raise SimlabError(f"experiment.replacements: no replacement {one!r}: known are {known}")
    return Options(
        epsilons,
        tuple(dict.fromkeys(replacements)),
        check_count("experiment.short_horizon", given.get("short_horizon")),
        check_count("experiment.algorithms", given.get("algorithms"), least=0),
        check_count("experiment.queries", given.get("queries")),
    )


def decoders(options: Options, replacement: str) -> list[BiasedSpeculative]:
    """The decoders of one series."""
    return [BiasedSpeculative(epsilon, replacement) for epsilon in options.epsilons]


def tradeoff_jobs(settings: Settings, options: Options, horizon: int | None) -> dict[str, list[Job]]:
    """By replacement a job for each epsilon, at that horizon or the pair's own."""
    return {
        replacement: [job(settings, decoder, horizon) for decoder in decoders(options, replacement)]
        for replacement in options.replacements
    }


def simulated_series(
    told: Presentation, jobs: dict[str, list[Job]], where: str
) -> tuple[list[Series], list[Verdict]]:
    """Every replacement's series, and two verdicts a point: on E[N_rej] and on the total variation.

    The rectangles of all series together have the error 1 - confidence, a share of it for each side of each
    (Bonferroni).
    """
    confidence = all_at_once(told.settings.confidence, 2 * sum(map(len, jobs.values())))
    series, verdicts = [], []
    for replacement, several in jobs.items():
        points = []
        for one in several:
            epsilon = one.task.decoder.epsilon
            name = f"{told.title}, {where}, {replacement}, epsilon = {epsilon:g}"
            point, judged = _point(told, one, confidence, name)
            points.append(point)
            verdicts += judged
        rejections, loss, exact_rejections, brackets = zip(*points, strict=True)
        series.append(
            Series(
                replacement,
                several,
                np.array([one.task.decoder.epsilon for one in several]),
                stacked(rejections),
                stacked(loss),
                np.array(exact_rejections),
                Bracket(*np.array(brackets).T),
            )
        )
    return series, verdicts


def exact_curve(
    pair: ChainPair, replacement: str, epsilons: np.ndarray, known: Series | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(epsilon, E[N_rej], total variation) along a series, at more epsilons where the pair is small.

    Where sequences are too many to enumerate the total variation is the middle of a bracket: a quick one, no
    wider than a line, or where the pair is large the one of the simulated points. known: these, where there
    are any.
    """
    work = POINT_WORK
    if known is not None and not is_small(pair):
        return known.epsilons, known.exact_rejections, known.exact_loss
    if is_small(pair):
        work = CURVE_WORK
        most = float((pair.draft_rows - pair.target_rows).max())  # beyond it nothing is rejected
        fine = FINE_TOKEN if pair.horizon == 1 else FINE_SEQUENCE
        epsilons = np.unique(np.concatenate([epsilons, max(most, 0.0) * np.linspace(0, 1, fine) ** 2]))
    points = [exact_point(pair, BiasedSpeculative(float(one), replacement), work) for one in epsilons]
    rejections, loss = np.array(points).T
    return epsilons, rejections, loss


def is_small(pair: ChainPair) -> bool:
    """Whether an exact curve has points of its own."""
    return pair.horizon * pair.states**2 <= SMALL


def exact_point(pair: ChainPair, decoder: BiasedSpeculative, work: float = POINT_WORK) -> tuple[float, float]:
    """(E[N_rej], total variation of the sequence): the middle of its bracket, exact on short horizons."""
    rejections = float(expected_rejections_per_position(pair, decoder).sum())
    return rejections, quick_bracket(pair, decoder, work).middle


def table_rows(series: list[Series], panel: str) -> list[dict]:
    """Rows of the table beside the figure, one a simulated point."""
    return [
        {
            "panel": panel,
            "series": one.replacement,
            "epsilon": float(one.epsilons[i]),
            **_columns("rejections", one.rejections, one.exact_rejections, i),
            **_columns("loss", one.loss, one.exact_loss, i),
            "loss_exact_low": float(one.bracket.low[i]),
            "loss_exact_high": float(one.bracket.high[i]),
        }
        for one in series
        for i in range(len(one.epsilons))
    ]


def curve_rows(panel: str, series: str, rejections, loss, epsilons=None) -> list[dict]:
    """Rows of the table for a line of exact numbers."""
    epsilons = [None] * len(rejections) if epsilons is None else epsilons
    return [
        {"panel": panel, "series": series, "epsilon": e, "rejections_exact": float(n), "loss_exact": float(v)}
        for e, n, v in zip(epsilons, rejections, loss, strict=True)
    ]


def _point(told: Presentation, one: Job, confidence: float, name: str):
    """((rejections, loss, exact rejections, bracket of the loss), verdicts) of one job."""
    bracket = quick_bracket(one.pair, one.task.decoder, POINT_WORK)
    mean, *_, total_variation = told.judge(name, one, bracket)
    result = told.result(one)
    sides = mean_of(one, result, confidence), total_variation_of(one, result, confidence)
    return (*sides, told.prediction(one).expected_rejections, bracket), [mean, total_variation]


def _columns(name: str, interval: Interval, exact: np.ndarray, i: int) -> dict:
    ends = zip((name, f"{name}_low", f"{name}_high"), interval, strict=True)
    return {**{key: float(end[i]) for key, end in ends}, f"{name}_exact": float(exact[i])}
