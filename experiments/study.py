"""A parameter study: every point of a grid simulated and predicted, in one tidy table.

One row a point: its settings as columns, the estimate of E[N_rej] with its interval, the exact value and the
verdict on it, then the verdicts on the law of N_rej and on the token marginals. Where the grid has a biased
decoder, so for the total variation between its sequences and the target's, simulated and exact (a bracket),
and the exact Kullback-Leibler divergence, in nats. Where it has one that drafts trees, so for the target
calls, simulated and exact, and the exact tokens per call; the rejections of such a decoder are its bonus
tokens, with a verdict of their own, and its first two verdicts are on the target calls. Written as Parquet
and CSV.
"""

from __future__ import annotations

from collections.abc import Mapping

from simlab.decoders import BiasedSpeculative, TreeSpeculative, decoder_name, decoder_options
from simlab.evidence import Verdict
from simlab.experiments.settings import Exhibit, Outcome, Settings, folder_of, heading, instance, job
from simlab.experiments.shared import calls_of, exact_total_variation, judge, mean_of, total_variation_of
from simlab.report.tables import save_table
from simlab.runs import Job, Result
from simlab.theory import Prediction, predict

CAPTION = (
    "Each row is one point of the grid: the simulated number of rejections with its interval, the exact "
    "value and the verdicts."
)
BIAS_CAPTION = (
    " Of the bias: the total variation between the output's sequences and the target's, simulated with its "
    "interval and as a bracket that holds the exact value, and the exact divergence kl of the one from the "
    "other, in nats."
)
TREE_CAPTION = (
    " Where trees are drafted, the rejections are the bonus tokens, those that no tree held. Of the target "
    "calls: the simulated number with its interval, the exact one, the exact tokens per call, bonus tokens "
    "included, and the first two verdicts."
)
VERDICTS = ("verdict", "verdict_law", "verdict_tokens")
OWN_VERDICT = {BiasedSpeculative: "verdict_total_variation", TreeSpeculative: "verdict_bonus_tokens"}


def jobs(points: list[Settings]) -> list[Job]:
    """One job a point."""
    return [job(settings) for settings in points]


def present(points: list[Settings], results: Mapping[str, Result]) -> Outcome:
    """Verdicts and the table, from the results of `jobs`."""
    import pandas as pd

    rows, verdicts = [], []
    labels = _labels(points)
    biased, trees = (
        any(isinstance(settings.decoder, kind) for settings in points)
        for kind in (BiasedSpeculative, TreeSpeculative)
    )
    for settings, label in zip(points, labels, strict=True):
        row, judged = _row(settings, label, results, biased, trees)
        rows.append(row)
        verdicts += judged
    title = points[0].title
    pairs = list(dict.fromkeys(settings.pair_name for settings in points))
    folder = folder_of(points[0], *pairs)
    caption = CAPTION + BIAS_CAPTION * biased + TREE_CAPTION * trees
    table = Exhibit(title, caption, save_table(folder, title, pd.DataFrame(rows)))
    told = heading(points[0], f"{title} on {', '.join(pairs)}")
    return Outcome(told, folder, verdicts, tables=[table])


def _row(
    settings: Settings, label: str, results: Mapping[str, Result], biased: bool, trees: bool
) -> tuple[dict, list[Verdict]]:
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
        **{f"decoder.{key}": value for key, value in decoder_options(settings.decoder).items()},
        "seed": settings.seed,
        "trajectories": result.counts.trajectories,
        "confidence": settings.confidence,
        "rejections": estimate,
        "rejections_low": low,
        "rejections_high": high,
        "rejections_exact": prediction.expected_rejections,
        "rejection_rate": result.counts.rejections_per_position.sum() / positions,
        "acceleration_exact": prediction.acceleration,
        **(_bias(settings, one, result, prediction) if biased else {}),
        **(_calls(settings, one, result, prediction) if trees else {}),
        **_statuses(settings, verdicts, biased, trees),
        "task": one.task.id,
    }, verdicts


def _bias(settings: Settings, one: Job, result: Result, prediction: Prediction) -> dict:
    """The columns of a grid with a biased decoder; of an unbiased one only the exact zeros are known."""
    estimate = low = high = None
    if result.counts.deviations.size:
        estimate, low, high = total_variation_of(one, result, settings.confidence)
    exact = exact_total_variation(one.pair, settings.decoder)
    return {
        "total_variation": estimate,
        "total_variation_low": low,
        "total_variation_high": high,
        "total_variation_exact_low": exact.low,
        "total_variation_exact_high": exact.high,
        "kl": prediction.sequence_kl,
    }


def _statuses(settings: Settings, verdicts: list[Verdict], biased: bool, trees: bool) -> dict:
    """The columns of the verdicts; empty where only decoders of another kind have one."""
    own = [OWN_VERDICT[kind] for kind in (type(settings.decoder),) if kind in OWN_VERDICT]
    told = {key: str(verdict.status) for key, verdict in zip((*VERDICTS, *own), verdicts, strict=True)}
    kinds = [BiasedSpeculative] * biased + [TreeSpeculative] * trees
    return {key: told.get(key) for key in (*VERDICTS, *(OWN_VERDICT[kind] for kind in kinds))}


def _calls(settings: Settings, one: Job, result: Result, prediction: Prediction) -> dict:
    """The columns of a grid with trees; of the other decoders only the exact numbers are there."""
    estimate = low = high = None
    if result.counts.target_calls.size:
        estimate, low, high = calls_of(one, result, settings.confidence)
    return {
        "target_calls": estimate,
        "target_calls_low": low,
        "target_calls_high": high,
        "target_calls_exact": prediction.expected_target_calls,
        "tokens_per_call_exact": prediction.tokens_per_call,
    }


def _labels(points: list[Settings]) -> list[str]:
    """What tells the points apart: pair and decoder, and the settings that differ between them."""
    spelled = [
        {
            "pair": point.pair_name,
            **{f"pair.{key}": value for key, value in point.pair_options.items()},
            "decoder": decoder_name(point.decoder),
            **{f"decoder.{key}": value for key, value in decoder_options(point.decoder).items()},
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
