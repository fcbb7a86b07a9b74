"""Yin et al. 2024, Figure 5: batch speculative decoding against Theorem 3.

fig5: for each (drafts, horizon) of the paper's runs the running average of N_rej over E[N_rej], and the
histogram over the exact law. fig5_drafts: E[N_rej] against the number of drafts, with its exact limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from simlab.checks import check_count
from simlab.decoders import BatchSpeculative
from simlab.errors import SimlabError
from simlab.evidence import Interval
from simlab.experiments.common.estimates import (
    band_of,
    figure_metadata,
    judge,
    judge_running_average,
    mean_of,
    rows,
    running_average,
    without_effect,
)
from simlab.experiments.common.settings import (
    Exhibit,
    Outcome,
    Settings,
    folder_of,
    heading,
    instance,
    job,
    only_point,
    running_average_job,
)
from simlab.report import (
    draw_curve,
    draw_pmf,
    draw_running_average,
    new_figure,
    residual_axes,
    save_figure,
    shared_legend,
    style,
    whole_number_ticks,
)
from simlab.runs import Job, Result
from simlab.theory import expected_rejections_per_position, predict

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


def jobs(points: list[Settings]) -> list[Job]:
    """Two jobs for each of the paper's runs, one for each number of drafts."""
    settings = only_point(points)
    per_run = [
        one
        for drafts, horizon in _runs(settings)
        for one in (
            job(settings, BatchSpeculative(drafts), horizon),
            running_average_job(settings, BatchSpeculative(drafts), horizon),
        )
    ]
    return per_run + [job(settings, BatchSpeculative(drafts)) for drafts in _drafts(settings)]


def present(points: list[Settings], results: Mapping[str, Result]) -> Outcome:
    """Verdicts, figures and tables, from the results of `jobs`."""
    settings = only_point(points)
    title = f"Figure 5 on {settings.pair_name}"
    folder = folder_of(settings, settings.pair_name)
    verdicts, figures = [], []
    for part, name in ((_present_runs, "fig5"), (_present_drafts, "fig5_drafts")):
        judged, written = part(settings, results, title, folder)
        verdicts += judged
        figures.append(Exhibit(name, CAPTIONS[name], written))
    return Outcome(
        heading(settings, title), folder, verdicts, figures=figures, notes=without_effect(settings, "decoder")
    )


def _present_runs(settings: Settings, results, title: str, folder):
    import pandas as pd

    runs = _runs(settings)
    verdicts, table, planned, used = [], [], [], []
    with style():
        figure = new_figure(3.2 * len(runs) + 0.6, 5.6)
        grid = figure.add_gridspec(2, len(runs), height_ratios=[1, 1.25])
    for column, (drafts, horizon) in enumerate(runs):
        decoder = BatchSpeculative(drafts)
        prediction = predict(instance(settings, horizon)[0], decoder)
        pair_of_jobs = [
            job(settings, decoder, horizon),
            running_average_job(settings, decoder, horizon),
        ]
        main, running = (results[one.task.id] for one in pair_of_jobs)
        average = running_average(running, settings.confidence)
        band = band_of(pair_of_jobs[0], main, settings.confidence)
        with style():
            _draw_run(figure, grid, column, settings, prediction, average, band)
        label = {"drafts": drafts, "horizon": prediction.horizon}
        table += rows(*average, prediction.expected_rejections, panel="running average", **label)
        counts = range(prediction.horizon + 1)
        table += rows(counts, band, prediction.rejections_pmf, panel="law of N_rej", **label)
        name = f"{title}, {drafts} drafts, T = {prediction.horizon}"
        verdicts += judge(name, pair_of_jobs[0], main, prediction)
        verdicts.append(judge_running_average(f"{name}: running average", running, prediction))
        planned += pair_of_jobs
        used += [main, running]
    with style():
        shared_legend(figure, figure.axes)
    metadata = figure_metadata(settings.command, planned, used)
    return verdicts, save_figure(figure, folder, "fig5", pd.DataFrame(table), metadata)


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


def _present_drafts(settings: Settings, results, title: str, folder):
    import pandas as pd

    pair = instance(settings)[0]
    drafts = _drafts(settings)
    planned = [job(settings, BatchSpeculative(count)) for count in drafts]
    used = [results[one.task.id] for one in planned]
    predictions = [predict(pair, BatchSpeculative(count)) for count in drafts]
    exact = [prediction.expected_rejections for prediction in predictions]
    ends = [mean_of(one, result, settings.confidence) for one, result in zip(planned, used, strict=True)]
    interval = Interval(*(np.array(part) for part in zip(*ends, strict=True)))
    fine = np.unique(np.geomspace(min(drafts), max(drafts), CURVE_POINTS).round().astype(int))
    curve = [_mean(pair, int(count)) for count in fine]
    limit = _mean(pair, math.inf)
    with style():
        figure = new_figure(5.2, 3.8)
        upper, lower = residual_axes(figure, figure.add_gridspec(1, 1)[0, 0])
        draw_curve(
            upper, lower, drafts, interval, exact, confidence=settings.confidence, line=(fine, curve),
            limit=limit, limit_label=f"exact limit {limit:.4f}",
        )  # fmt: skip
        whole_number_ticks(lower, drafts)
        upper.set_title(f"E[$N_{{rej}}$] against the number of drafts, T = {pair.horizon}")
        upper.set_ylabel("rejections per run")
        lower.set_xlabel("drafts tried at a fresh position")
        upper.legend(loc="upper right")
    table = pd.DataFrame(rows(drafts, interval, exact, panel="drafts", limit=limit))
    verdicts = [
        verdict
        for count, one, result, prediction in zip(drafts, planned, used, predictions, strict=True)
        for verdict in judge(f"{title}, {count} drafts", one, result, prediction)[:1]
    ]
    metadata = figure_metadata(settings.command, planned, used)
    return verdicts, save_figure(figure, folder, "fig5_drafts", table, metadata)


def _mean(pair, drafts) -> float:
    return float(expected_rejections_per_position(pair, BatchSpeculative(drafts)).sum())


def _runs(settings: Settings) -> list[tuple[int, int]]:
    runs = settings.options.get("runs")
    if not runs or any(not isinstance(run, list) or len(run) != 2 for run in runs):
        raise SimlabError(f"experiment.runs = {runs!r}: give a list of [drafts, horizon]")
    return [(check_count("drafts", drafts), check_count("horizon", horizon)) for drafts, horizon in runs]


def _drafts(settings: Settings) -> list[int]:
    drafts = settings.options.get("drafts")
    if not drafts or not isinstance(drafts, list):
        raise SimlabError(f"experiment.drafts = {drafts!r}: give a list of numbers of drafts")
    return sorted({check_count("experiment.drafts", count) for count in drafts})
