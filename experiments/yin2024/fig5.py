"""Yin et al. 2024, Figure 5: batch speculative decoding against Theorem 3.

fig5: for each (drafts, horizon) of the paper's runs the running average of N_rej over E[N_rej], and the
histogram over the exact distribution. fig5_drafts: E[N_rej] against the number of drafts, with its exact
limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simlab.checks import check_count
from simlab.decoders import BatchSpeculative
from simlab.errors import SimlabError
from simlab.evidence import Verdict
from simlab.experiments.common.estimates import band_of, mean_of, running_average, stacked
from simlab.experiments.common.jobs import Planned, instance, job, running_average_job
from simlab.experiments.common.judge import judge_running_average
from simlab.experiments.common.options import listed_counts
from simlab.experiments.common.outcome import Exhibit, Outcome, Presentation, rows
from simlab.experiments.common.settings import Settings, only_point
from simlab.report import (
    draw_curve,
    draw_pmf,
    draw_running_average,
    new_figure,
    residual_axes,
    shared_legend,
    style,
    whole_number_ticks,
)
from simlab.runs import Job, Result
from simlab.theory import expected_rejections_per_position

CURVE_POINTS = 24
CAPTIONS = {
    "fig5": (
        "Above: the average number of rejections of the runs so far, with an interval that holds after all "
        "numbers of runs at once, over Theorem 3. Below: the simulated distribution of the number of "
        "rejections over the exact one, and their difference in half-widths of the band."
    ),
    "fig5_drafts": (
        "Rejections in a run against the number of drafts that are tried at a fresh position: each further "
        "draft helps less, and not even infinitely many bring the rejections to zero (Proposition 1)."
    ),
}


@dataclass(frozen=True, eq=False)
class Parts:
    """runs: the job of the histogram and that of the running average, for each of the paper's runs. drafts:
    a job for each number of drafts, rising.
    """

    runs: list[tuple[Job, Job]]
    drafts: list[Job]


def plan(points: list[Settings]) -> Planned[Parts]:
    """Two jobs for each of the paper's runs, one for each number of drafts."""
    settings = only_point(points)
    decoders = [(BatchSpeculative(drafts), horizon) for drafts, horizon in _runs(settings)]
    runs = [(job(settings, *each), running_average_job(settings, *each)) for each in decoders]
    drafts = [job(settings, BatchSpeculative(count)) for count in listed_counts(settings, "drafts")]
    return Planned(settings, [*(one for run in runs for one in run), *drafts], Parts(runs, drafts))


def present(planned: Planned[Parts], results: Mapping[str, Result]) -> Outcome:
    """Verdicts, figures and tables, from the results of the planned jobs."""
    settings = planned.settings
    told = Presentation(settings, f"Figure 5 on {settings.pair_name}", results, settings.pair_name)
    of_runs, runs = _present_runs(told, planned.parts.runs)
    of_drafts, drafts = _present_drafts(told, planned.parts.drafts)
    return told.outcome(verdicts=of_runs + of_drafts, figures=[runs, drafts])


def _present_runs(told: Presentation, runs: list[tuple[Job, Job]]) -> tuple[list[Verdict], Exhibit]:
    settings = told.settings
    verdicts, table = [], []
    with style():
        figure = new_figure(3.2 * len(runs) + 0.6, 5.6)
        grid = figure.add_gridspec(2, len(runs), height_ratios=[1, 1.25])
    for column, (main, running) in enumerate(runs):
        prediction = told.prediction(main)
        average = running_average(told.result(running), settings.confidence)
        band = band_of(main, told.result(main), settings.confidence)
        with style():
            _draw_run(figure, grid, column, settings, prediction, average, band)
        label = {"drafts": prediction.decoder.drafts, "horizon": prediction.horizon}
        table += rows(*average, prediction.expected_rejections, panel="running average", **label)
        counts = range(prediction.horizon + 1)
        table += rows(counts, band, prediction.rejections_pmf, panel="distribution of N_rej", **label)
        name = f"{told.title}, {prediction.decoder.drafts} drafts, T = {prediction.horizon}"
        verdicts += told.judge(name, main)
        name = f"{name}: running average"
        verdicts.append(judge_running_average(name, told.result(running), prediction, settings.judging))
    with style():
        shared_legend(figure, figure.axes)
    jobs = [one for run in runs for one in run]
    return verdicts, told.figure("fig5", CAPTIONS["fig5"], figure, table, jobs)


def _draw_run(figure, grid, column, settings, prediction, average, band) -> None:
    above = figure.add_subplot(grid[0, column])
    draw_running_average(
        above,
        *average,
        prediction.expected_rejections,
        confidence=settings.confidence,
        exact_label="exact",
        series=column,
    )
    drafts = prediction.decoder.drafts
    exact = f"E[$N_{{rej}}$] = {prediction.expected_rejections:.4f}"
    above.set_title(f"{drafts} draft{'s' * (drafts > 1)}, T = {prediction.horizon}: {exact}")
    upper, lower = residual_axes(figure, grid[1, column])
    draw_pmf(upper, lower, band, prediction.rejections_pmf, confidence=settings.confidence, series=column)
    if column:
        for axes in (above, upper, lower):
            axes.set_ylabel("")


def _present_drafts(told: Presentation, jobs: list[Job]) -> tuple[list[Verdict], Exhibit]:
    pair, confidence = instance(told.settings)[0], told.settings.confidence
    drafts = [one.task.decoder.drafts for one in jobs]
    exact = [told.prediction(one).expected_rejections for one in jobs]
    interval = stacked([mean_of(one, told.result(one), confidence) for one in jobs])
    fine = np.unique(np.geomspace(min(drafts), max(drafts), CURVE_POINTS).round().astype(int))
    curve = [_mean(pair, int(count)) for count in fine]
    limit = _mean(pair, math.inf)
    with style():
        figure = new_figure(5.2, 3.8)
        upper, lower = residual_axes(figure, figure.add_gridspec(1, 1)[0, 0])
        draw_curve(
            upper, lower, drafts, interval, exact, confidence=confidence, line=(fine, curve),
            limit=limit, limit_label=f"exact limit {limit:.4f}",
        )  # fmt: skip
        whole_number_ticks(lower, drafts)
        upper.set_title(f"E[$N_{{rej}}$] against the number of drafts, T = {pair.horizon}")
        upper.set_ylabel("rejections per run")
        lower.set_xlabel("drafts tried at a fresh position")
        upper.legend(loc="upper right")
    table = rows(drafts, interval, exact, panel="drafts", limit=limit)
    verdicts = []
    for count, one in zip(drafts, jobs, strict=True):
        verdicts += told.judge(f"{told.title}, {count} drafts", one, columns=["verdict"])
    return verdicts, told.figure("fig5_drafts", CAPTIONS["fig5_drafts"], figure, table, jobs)


def _mean(pair, drafts) -> float:
    return float(expected_rejections_per_position(pair, BatchSpeculative(drafts)).sum())


def _runs(settings: Settings) -> list[tuple[int, int]]:
    runs = settings.options.get("runs")
    if not runs or any(not isinstance(run, list) or len(run) != 2 for run in runs):
        raise SimlabError(f"experiment.runs = {runs!r} is not valid; expected a list of [drafts, horizon]")
    return [(check_count("drafts", drafts), check_count("horizon", horizon)) for drafts, horizon in runs]
