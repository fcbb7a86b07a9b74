"""Acceptance by position in the window, on the pair, against what one acceptance for all positions would
give.

Of the calls that draft a token at position i: the part in which it is accepted, all tokens before it included
(what serving engines log as acceptance by position), and the part of those that have accepted the tokens
before. Memoryless acceptance a says a^i and a.
"""

from __future__ import annotations

import numpy as np

from simlab.decoders import longest_window
from simlab.evidence import Interval, Judging, Verdict, ratio_interval, sums_interval, sums_verdict
from simlab.experiments.common.jobs import job, looks_of
from simlab.experiments.common.outcome import Exhibit, Presentation, rows
from simlab.experiments.common.settings import Settings
from simlab.experiments.windows.expected_work import fixed
from simlab.experiments.windows.options import Options
from simlab.report import new_figure, residual_axes, shared_legend, style
from simlab.report.curves import Curve, draw_comparison, draw_curves
from simlab.runs import Job, Result
from simlab.theory import Prediction, mean_acceptance

COUNTED = ("drafted", "reached", "accepted")
"""Calls of a position: that draft a token there, of those with all before it accepted, of those with it
too."""

CAPTION = (
    "Acceptance by position in a window of {window} tokens on {name}, T = {horizon}, with the bonus token. "
    "Position 1 is the first drafted token of a call. (a) Of the calls that draft a token at the position, "
    "the part in which it and all before it are accepted: what serving engines log. (b) Of the calls that "
    "draft a token at the position and have accepted all before it, the part in which it is accepted. Lines "
    "are exact, markers simulated; below, simulated minus exact in half-widths of the interval. Dashed: the "
    "memoryless prediction from the mean acceptance a = {acceptance:.4f}: a to the power of the position, "
    "and a itself. The calls of one trajectory depend on each other, so the intervals take the trajectories "
    "as the sample: each trajectory adds to a position's count a number between 0 and the most calls that T "
    "tokens have room for, and Hoeffding's inequality needs no more than that. So the intervals hold "
    "whatever the dependence, and are wider than the scatter of the points."
)


def positions_job(settings: Settings, options: Options) -> Job:
    """The window whose positions are looked at."""
    return job(settings, fixed(options.places))


def present_positions(
    told: Presentation, options: Options, one: Job
) -> tuple[Exhibit | None, list[Verdict], list[str]]:
    """The figure, verdicts on the three counts and the headline; no figure where no token can be drafted."""
    settings, pair = told.settings, one.pair
    if not longest_window(one.task.decoder, pair.horizon):
        return None, [], ["T = 1: the bonus token is all there is: a window has no position to look at."]
    result, exact = told.result(one), told.prediction(one)
    verdicts = _verdicts(f"{told.title}, window {options.places}", one, result, exact, settings.judging)
    rates = {
        "drafted": (exact.acceptance_rate_by_position, simulated_rates(one, result, settings.confidence)[0]),
        "reached": (
            exact.conditional_acceptance_by_position,
            simulated_rates(one, result, settings.confidence)[1],
        ),
    }
    position = np.arange(1, len(exact.drafted_by_position) + 1)
    table = [
        row
        for of, (true, found) in rates.items()
        for row in rows(position, found, true, of=of, memoryless=None)
    ]
    acceptance = mean_acceptance(pair)
    formula = {"drafted": acceptance**position, "reached": np.full(len(position), acceptance)}
    for row in table:
        row["memoryless"] = float(formula[row["of"]][row["x"] - 1])
    figure = _draw(settings, position, rates, formula)
    caption = CAPTION.format(
        window=options.places, name=settings.pair_name, horizon=pair.horizon, acceptance=acceptance
    )
    exhibit = told.figure("windows_places", caption, figure, table, [one])
    return exhibit, verdicts, [_headline(settings, exact, position)]


def most_calls(horizon: int, longest: int) -> dict[str, np.ndarray]:
    """The most calls of a trajectory that draft, reach and accept at each position, (K,), with the bonus
    token.

    A call that drafts i tokens starts with at least i + 1 left, at one of T - i positions. One that reaches
    position i yields at least i tokens, one that accepts there i + 1, and calls share no tokens.
    """
    position = np.arange(1, longest + 1)
    return {
        "drafted": horizon - position,
        "reached": (horizon - 1) // position,
        "accepted": horizon // (position + 1),
    }


def simulated_rates(one: Job, result: Result, confidence: float) -> tuple[Interval, Interval]:
    """Accepted over drafted and accepted over reached, arrays (K,), all intervals at once.

    confidence: of all of them together.
    """
    counts, each = result.counts, 1 - (1 - confidence) / len(COUNTED)
    most = most_calls(counts.horizon, len(counts.drafted_by_position))
    means = {
        name: sums_interval(
            getattr(counts, f"{name}_by_position"), counts.trajectories, most[name], each, looks_of(one)
        )
        for name in COUNTED
    }
    return tuple(ratio_interval(means["accepted"], means[name]) for name in ("drafted", "reached"))


def _verdicts(name: str, one: Job, result: Result, exact: Prediction, judging: Judging) -> list[Verdict]:
    counts = result.counts
    most = most_calls(counts.horizon, len(counts.drafted_by_position))
    return [
        sums_verdict(
            f"{name}: calls that {word} by position",
            getattr(counts, f"{counted}_by_position"),
            counts.trajectories,
            most[counted],
            getattr(exact, f"{counted}_by_position"),
            cell=f"E[calls that {word} position {{0}}]",
            resolution=judging.mean_resolution * counts.horizon,
            **judging.errors,
            looks=looks_of(one),
        )
        for counted, word in zip(COUNTED, ("draft", "reach", "accept"), strict=True)
    ]


def _draw(settings: Settings, position: np.ndarray, rates: dict, told: dict):
    with style():
        figure = new_figure(7.4, 4.2)
        grid = figure.add_gridspec(1, 2)
        panels = [residual_axes(figure, grid[0, column], share=0.22) for column in range(2)]
        for (upper, lower), (of, (true, found)) in zip(panels, rates.items(), strict=True):
            seen = np.isfinite(found.estimate)
            points = position[seen], Interval(*(end[seen] for end in found)), true[seen]
            curve = Curve(f"exact on {settings.pair_name}", position, true, *points)
            draw_curves(upper, lower, [curve], confidence=settings.confidence, log=False)
            draw_comparison(upper, position, told[of], "memoryless, with the mean acceptance", dashes=(5, 2))
            lower.set_xlabel("position in the window")
            lower.set_xticks(position[:: max(1, len(position) // 8)])
        (first, _), (second, beside) = panels
        first.set_title("(a) accepted of drafted")
        second.set_title("(b) accepted of reached: all before it accepted")
        first.set_ylabel("part of the calls")
        first.set_ylim(bottom=0)
        beside.set_ylabel("")
        shared_legend(figure, [first, second])
    return figure


def _headline(settings: Settings, exact: Prediction, position: np.ndarray) -> str:
    """How acceptance changes along the window, given that all before was accepted."""
    rates = exact.conditional_acceptance_by_position
    return (
        f"Of the drafted tokens on {settings.pair_name} that follow accepted ones only, {rates[0]:.4f} are "
        f"accepted at position 1 and {rates[-1]:.4f} at position {position[-1]}."
    )
