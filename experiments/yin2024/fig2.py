"""Yin et al. 2024, Figure 2: the rejections of one decoder on one pair, simulated against the theory.

Left, the running average of N_rej after 100, 200, 300, ... runs over E[N_rej]; right, the histogram of N_rej
over its exact distribution. The paper draws speculative decoding on its own instance; any pair and decoder
will do.
"""

from __future__ import annotations

from collections.abc import Mapping

from simlab.decoders import Speculative, decoder_name
from simlab.experiments.common.estimates import band_of, running_average
from simlab.experiments.common.jobs import Planned, job, running_average_job
from simlab.experiments.common.judge import judge_running_average
from simlab.experiments.common.outcome import Outcome, Presentation, rows
from simlab.experiments.common.settings import Settings, only_point
from simlab.report import (
    draw_pmf,
    draw_running_average,
    new_figure,
    residual_axes,
    shared_legend,
    style,
)
from simlab.runs import Result
from simlab.theory import Prediction

CAPTION = (
    "Left: the average number of rejections of the runs so far, with an interval that holds after all "
    "numbers of runs at once, over the exact expectation. Right: the simulated distribution of the number "
    "of rejections over the exact one; below, their difference in half-widths of the band."
)
PRINTED = "16.41"
"""What the paper prints for E[N_rej] of speculative decoding on its instance, T = 50."""

REPLACED = "Rejections are the drafted tokens that were replaced: a bonus token is none."
REJECTIONS = {
    "tree": "Rejections of decoding with trees are its bonus tokens: those that no tree had drafted."
}
"""What rejections are where a call may yield a bonus token, by the decoder's name."""


def plan(points: list[Settings]) -> Planned[None]:
    """The job of the histogram and the job of the running average."""
    settings = only_point(points)
    return Planned(settings, [job(settings), running_average_job(settings)])


def present(planned: Planned[None], results: Mapping[str, Result]) -> Outcome:
    """Verdicts, figure and table, from the results of the planned jobs."""
    settings, (main, running) = planned.settings, planned.jobs
    told = Presentation(settings, f"Figure 2 on {settings.pair_name}", results, settings.pair_name)
    prediction = told.prediction(main)
    runs, average = running_average(told.result(running), settings.confidence)
    band = band_of(main, told.result(main), settings.confidence)
    table = rows(runs, average, prediction.expected_rejections, panel="running average")
    counts = range(prediction.horizon + 1)
    table += rows(counts, band, prediction.rejections_pmf, panel="distribution of N_rej")
    figure = _draw(settings, prediction, runs, average, band)
    name = f"{told.title}: running average"
    return told.outcome(
        verdicts=[
            *told.judge(told.title, main),
            judge_running_average(name, told.result(running), prediction, settings.judging),
        ],
        figures=[told.figure("fig2", CAPTION, figure, table, planned.jobs)],
        notes=_notes(settings, prediction),
        unused=(),
    )


def _draw(settings: Settings, prediction: Prediction, runs, average, band):
    exact = prediction.expected_rejections
    with style():
        figure = new_figure(7.4, 3.6)
        grid = figure.add_gridspec(1, 2)
        left = figure.add_subplot(grid[0, 0])
        draw_running_average(left, runs, average, exact, confidence=settings.confidence, exact_label="exact")
        printed = f" (printed: {PRINTED})" if _is_published(settings) else ""
        left.set_title(f"Running average, E[$N_{{rej}}$] = {exact:.4f}{printed}")
        upper, lower = residual_axes(figure, grid[0, 1])
        draw_pmf(upper, lower, band, prediction.rejections_pmf, confidence=settings.confidence)
        upper.set_title("Distribution of the number of rejections")
        shared_legend(figure, [left, upper])
    return figure


def _is_published(settings: Settings) -> bool:
    """Whether the settings are those of the paper's figure."""
    return (
        settings.decoder == Speculative()
        and settings.pair_name == "paper"
        and dict(settings.pair_options) == {"horizon": 50, "states": 7, "seed": 10}
    )


def _notes(settings: Settings, prediction: Prediction) -> list[str]:
    """What rejections are, where they are not the usual ones; and the paper's printed number beside ours,
    where the settings are those of its figure."""
    if settings.decoder.has_bonus:
        return [REJECTIONS.get(decoder_name(settings.decoder), REPLACED)]
    if not _is_published(settings):
        return []
    return [
        f"The paper prints E[N_rej] = {PRINTED} here. It does not publish how it drew its rows; the plain "
        f"recipe with its seed has {prediction.expected_rejections:.4f} exactly: close, but another stream."
    ]
