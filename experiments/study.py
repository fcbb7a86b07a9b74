"""A parameter study: every point of a grid simulated and predicted, in one tidy table.

One row a point: its settings as columns, the estimate of E[N_rej] with its interval, the exact value and the
verdict on it, then the verdicts on the law of N_rej and on the token marginals. Written as Parquet and CSV.
"""

from __future__ import annotations

from collections.abc import Mapping

from simlab.decoders import decoder_name
from simlab.evidence import Verdict
from simlab.experiments.settings import Exhibit, Outcome, Settings, folder_of, instance, job
from simlab.experiments.shared import judge, mean_of
from simlab.report.tables import save_table
from simlab.runs import Job, Result
from simlab.theory import predict

CAPTION = (
    "Each row is one point of the grid: the simulated number of rejections with its interval, the exact "
    "value and the verdicts."
)
VERDICTS = ("verdict", "verdict_law", "verdict_tokens")


def jobs(points: list[Settings]) -> list[Job]:
    """One job a point."""
    return [job(settings) for settings in points]


def present(points: list[Settings], results: Mapping[str, Result]) -> Outcome:
    """Verdicts and the table, from the results of `jobs`."""
    import pandas as pd

    rows, verdicts = [], []
    labels = _labels(points)
    for settings, label in zip(points, labels, strict=True):
        row, judged = _row(settings, label, results)
        rows.append(row)
        verdicts += judged
    title = points[0].title
    folder = folder_of(points[0])
    table = Exhibit(title, CAPTION, save_table(folder, title, pd.DataFrame(rows)))
    return Outcome(title, folder, verdicts, tables=[table])


def _row(settings: Settings, label: str, results: Mapping[str, Result]) -> tuple[dict, list[Verdict]]:
    one = job(settings)
    result = results[one.task.id]
    prediction = predict(instance(settings)[0], settings.decoder)
    verdicts = judge(label, one, result, prediction)
    estimate, low, high = mean_of(one, result, settings.confidence)
    positions = result.counts.trajectories * prediction.horizon
    return {
        "pair": settings.pair_name,
        **{f"pair.{key}": value for key, value in settings.pair_options.items()},
        "decoder": decoder_name(settings.decoder),
        **{f"decoder.{key}": value for key, value in vars(settings.decoder).items()},
        "seed": settings.seed,
        "trajectories": result.counts.trajectories,
        "confidence": settings.confidence,
        "rejections": estimate,
        "rejections_low": low,
        "rejections_high": high,
        "rejections_exact": prediction.expected_rejections,
        "rejection_rate": result.counts.rejections_per_position.sum() / positions,
        "acceleration_exact": prediction.acceleration,
        **dict(zip(VERDICTS, (str(verdict.status) for verdict in verdicts), strict=True)),
        "task": one.task.id,
    }, verdicts


def _labels(points: list[Settings]) -> list[str]:
    """What tells the points apart: pair and decoder, and the settings that differ between them."""
    spelled = [
        {
            "pair": point.pair_name,
            **{f"pair.{key}": value for key, value in point.pair_options.items()},
            "decoder": decoder_name(point.decoder),
            **{f"decoder.{key}": value for key, value in vars(point.decoder).items()},
            "seed": point.seed,
            "trajectories": point.trajectories,
        }
        for point in points
    ]
    keys = dict.fromkeys(key for row in spelled for key in row)
    varying = [key for key in keys if len({str(row.get(key)) for row in spelled}) > 1]
    return [
        " ".join(f"{key}={row[key]}" for key in varying if key in row) or f"{row['pair']} {row['decoder']}"
        for row in spelled
    ]
