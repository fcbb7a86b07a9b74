"""A parameter study: every point of a grid simulated and predicted, in one tidy table.

One row a point: its settings as columns, the estimate of E[N_rej] with its interval, the exact value and the
verdict on it, then the verdicts on the distribution of N_rej and on the token marginals. Where the grid has a
biased decoder, so for the total variation between its sequences and the target's, simulated and exact (a
bracket), and the exact Kullback-Leibler divergence, in nats. Where it has one that drafts trees, so for the
target calls, simulated and exact, and the exact tokens per call; the rejections of such a decoder are its
bonus tokens, with a verdict of their own, and its first two verdicts are on the target calls. Where it has
one that drafts windows, so for target calls, drafted tokens and the speed-up over autoregressive decoding at
the settings' cost, simulated and exact, with verdicts on the first two. Written as Parquet and CSV.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from simlab.decoders import (
    algorithm,
    decoder_name,
    decoder_options,
    entry_for,
    shown_options,
    table_options,
)
from simlab.evidence import Verdict
from simlab.experiments.common.estimates import (
    calls_of,
    drafted_of,
    mean_of,
    speedup_of,
    total_variation_of,
)
from simlab.experiments.common.jobs import Planned, job
from simlab.experiments.common.judge import judges_of
from simlab.experiments.common.outcome import Outcome, Presentation, heading
from simlab.experiments.common.settings import Settings
from simlab.runs import Job, Result
from simlab.theory import Bracket, Prediction, sequence_total_variation

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
WINDOW_CAPTION = (
    " Where windows are drafted: the simulated target calls, drafted tokens and speed-up over autoregressive "
    "decoding at the costs given, each with its interval and the exact one; tokens per call with the bonus "
    "tokens and replacements, and the acceptance rate, accepted over drafted tokens, those drafted in vain "
    "included."
)
KINDS = {
    "autoregressive": None,
    "horizon": None,
    "batch": None,
    "biased": "biased",
    "tree": "trees",
    "windows": "windows",
    "memory": "windows",
    "block": "windows",
    "rule": "biased",
    "rule windows": "windows",
    "multidraft": "windows",
}
"""By algorithm, the kind of columns that a decoder has of its own; None: none."""


def plan(points: list[Settings]) -> Planned[list[tuple[Settings, Job]]]:
    """One job a point."""
    parts = [(settings, job(settings)) for settings in points]
    return Planned(points[0], [one for _, one in parts], parts)


def present(planned: Planned[list[tuple[Settings, Job]]], results: Mapping[str, Result]) -> Outcome:
    """Verdicts and the table, from the results of the planned jobs."""
    points = [settings for settings, _ in planned.parts]
    title = points[0].title
    pairs = list(dict.fromkeys(settings.pair_name for settings in points))
    told = Presentation(points[0], title, results, *pairs)
    kinds = {entry_for(settings.decoder, KINDS, "study columns") for settings in points} - {None}
    columns = dict.fromkeys(key for settings in points for key in judges_of(settings.decoder))
    rows, verdicts = [], []
    for (settings, one), label in zip(planned.parts, _labels(points), strict=True):
        row, judged = _row(told, settings, label, one, kinds, columns)
        rows.append(row)
        verdicts += judged
    captions = {"biased": BIAS_CAPTION, "trees": TREE_CAPTION, "windows": WINDOW_CAPTION}
    caption = CAPTION + "".join(text for kind, text in captions.items() if kind in kinds)
    return told.outcome(
        title=heading(points[0], f"{title} on {', '.join(pairs)}"),
        verdicts=verdicts,
        tables=[told.table(title, caption, rows)],
        unused=(),
    )


def _row(
    told: Presentation, settings: Settings, label: str, one: Job, kinds: set[str], columns: Mapping[str, None]
) -> tuple[dict, list[Verdict]]:
    """A point's row and verdicts. kinds: of all decoders of the table; columns: of all their verdicts."""
    result, prediction, counts = told.result(one), told.prediction(one), told.result(one).counts
    biased = KINDS[algorithm(settings.decoder)] == "biased"
    bracket = sequence_total_variation(one.pair, settings.decoder) if "biased" in kinds else None
    verdicts = told.judge(label, one, bracket if biased else None)
    statuses = dict(zip(judges_of(settings.decoder), (str(one.status) for one in verdicts), strict=True))
    estimate, low, high = mean_of(one, result, settings.confidence)
    return {
        "pair": settings.pair_name,
        **{f"pair.{key}": value for key, value in settings.pair_options.items()},
        "T": prediction.horizon,
        "V": one.pair.states,
        "decoder": decoder_name(settings.decoder),
        **{f"decoder.{key}": value for key, value in table_options(settings.decoder).items()},
        "seed": settings.seed,
        "trajectories": counts.trajectories,
        "confidence": settings.confidence,
        "rejections": estimate,
        "rejections_low": low,
        "rejections_high": high,
        "rejections_exact": prediction.expected_rejections,
        "sd": _deviation(counts.rejections),
        "sd_exact": math.sqrt(prediction.variance),
        "rejection_rate": counts.rejections_per_position.sum() / (counts.trajectories * prediction.horizon),
        "acceleration_exact": prediction.acceleration,
        **(_bias(settings, one, result, prediction, bracket) if bracket else {}),
        **(_calls(settings, one, result, prediction) if kinds & {"trees", "windows"} else {}),
        **(_windows(settings, one, result, prediction) if "windows" in kinds else {}),
        **{key: statuses.get(key) for key in columns},
        "task": one.task.id,
    }, verdicts


def _deviation(histogram: np.ndarray) -> float:
    """The standard deviation of what a histogram counts."""
    values = np.arange(len(histogram))
    mean = histogram @ values / histogram.sum()
    return math.sqrt(histogram @ (values - mean) ** 2 / histogram.sum())


def _bias(settings: Settings, one: Job, result: Result, prediction: Prediction, exact: Bracket) -> dict:
    """The columns of a grid with a biased decoder; of an unbiased one only the exact zeros are known."""
    estimate = low = high = None
    if result.counts.deviations.size:
        estimate, low, high = total_variation_of(one, result, settings.confidence)
    return {
        "total_variation": estimate,
        "total_variation_low": low,
        "total_variation_high": high,
        "total_variation_exact_low": exact.low,
        "total_variation_exact_high": exact.high,
        "kl": prediction.sequence_kl,
    }


def _calls(settings: Settings, one: Job, result: Result, prediction: Prediction) -> dict:
    """The columns of a grid with trees or windows; of other decoders only the exact numbers are there."""
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


def _windows(settings: Settings, one: Job, result: Result, prediction: Prediction) -> dict:
    """The columns of a grid with windows; of other decoders only the exact numbers that are known."""
    counts, cost = result.counts, settings.cost
    drafted, speedup = (None, None, None), (None, None, None)
    counted = counts.drafted_tokens.size > 0
    if counted:
        drafted = drafted_of(one, result, settings.confidence)
        speedup = speedup_of(one, result, cost, settings.confidence)
    known = math.isfinite(prediction.expected_drafted_tokens)
    return {
        "tokens_per_call": counts.tokens_per_call if counted else None,
        **dict(zip(("drafted_tokens", "drafted_tokens_low", "drafted_tokens_high"), drafted, strict=True)),
        "drafted_tokens_exact": prediction.expected_drafted_tokens if known else None,
        "acceptance_rate": counts.acceptance_rate if counted else None,
        "acceptance_rate_exact": prediction.acceptance_rate if known else None,
        **cost.columns(),
        **dict(zip(("speedup", "speedup_low", "speedup_high"), speedup, strict=True)),
        "speedup_exact": cost.speedup(prediction) if known else None,
    }


def _labels(points: list[Settings]) -> list[str]:
    """What tells the points apart: pair and decoder, and the settings that differ between them."""
    spelled = [
        {
            "pair": point.pair_name,
            **{f"pair.{key}": value for key, value in point.pair_options.items()},
            "decoder": decoder_name(point.decoder),
            **{
                f"decoder.{key}": value
                for key, value in shown_options(decoder_options(point.decoder)).items()
            },
            "seed": point.seed,
            "trajectories": point.trajectories,
            **point.cost.columns(),
        }
        for point in points
    ]
    keys = dict.fromkeys(key for row in spelled for key in row)
    varying = [key for key in keys if len({str(row.get(key)) for row in spelled}) > 1]
    return [
        " ".join(f"{key}={row[key]}" for key in varying if key in row) or f"{row['pair']} {row['decoder']}"
        for row in spelled
    ]
