"""A parameter study: every point of a grid simulated and predicted, in one tidy table.

One row a point: its settings as columns, the estimate of E[N_rej] with its interval, the exact value and the
verdict on it, then the verdicts on the law of N_rej and on the token marginals. Where the grid has a biased
decoder, so for the total variation between its sequences and the target's, simulated and exact (a bracket),
and the exact Kullback-Leibler divergence, in nats. Where it has one that drafts trees, so for the target
calls, simulated and exact, and the exact tokens per call; the rejections of such a decoder are its bonus
tokens, with a verdict of their own, and its first two verdicts are on the target calls. Where it has one that
drafts windows, so for target calls, drafted tokens and the speed-up over autoregressive decoding at the
settings' cost, simulated and exact, with verdicts on the first two. Written as Parquet and CSV.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from simlab.decoders import (
    BiasedSpeculative,
    Decoder,
    TreeSpeculative,
    Windowed,
    decoder_name,
    decoder_options,
    is_plain,
    shown_options,
)
from simlab.evidence import Verdict
from simlab.experiments.common.estimates import (
    calls_of,
    drafted_of,
    exact_total_variation,
    judge,
    mean_of,
    speedup_of,
    total_variation_of,
)
from simlab.experiments.common.settings import Exhibit, Outcome, Settings, folder_of, heading, instance, job
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
WINDOW_CAPTION = (
    " Where windows are drafted: the simulated target calls, drafted tokens and speed-up over autoregressive "
    "decoding at the costs given, each with its interval and the exact one; tokens per call with the bonus "
    "tokens and replacements, and the acceptance rate, accepted over drafted tokens, those drafted in vain "
    "included."
)
VERDICTS = ("verdict", "verdict_law", "verdict_tokens")
OWN_VERDICTS = {
    "biased": ("verdict_total_variation",),
    "trees": ("verdict_bonus_tokens",),
    "windows": ("verdict_target_calls", "verdict_target_calls_law", "verdict_drafted_tokens"),
}
"""By the kind of decoder, in the order of the columns."""


def jobs(points: list[Settings]) -> list[Job]:
    """One job a point."""
    return [job(settings) for settings in points]


def present(points: list[Settings], results: Mapping[str, Result]) -> Outcome:
    """Verdicts and the table, from the results of `jobs`."""
    import pandas as pd

    rows, verdicts = [], []
    labels = _labels(points)
    kinds = {_kind(settings.decoder) for settings in points}
    for settings, label in zip(points, labels, strict=True):
        row, judged = _row(settings, label, results, kinds)
        rows.append(row)
        verdicts += judged
    title = points[0].title
    pairs = list(dict.fromkeys(settings.pair_name for settings in points))
    folder = folder_of(points[0], *pairs)
    captions = {"biased": BIAS_CAPTION, "trees": TREE_CAPTION, "windows": WINDOW_CAPTION}
    caption = CAPTION + "".join(told for kind, told in captions.items() if kind in kinds)
    table = Exhibit(title, caption, save_table(folder, title, pd.DataFrame(rows)))
    told = heading(points[0], f"{title} on {', '.join(pairs)}")
    return Outcome(told, folder, verdicts, tables=[table])


def _kind(decoder: Decoder) -> str:
    """What columns it has of its own; speculative decoding to the horizon without a bonus token has none."""
    if isinstance(decoder, BiasedSpeculative):
        return "biased"
    if isinstance(decoder, TreeSpeculative):
        return "trees"
    return "windows" if isinstance(decoder, Windowed) and not is_plain(decoder) else ""


def _row(
    settings: Settings, label: str, results: Mapping[str, Result], kinds: set[str]
) -> tuple[dict, list[Verdict]]:
    """kinds: of all decoders of the table."""
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
        **(_bias(settings, one, result, prediction) if "biased" in kinds else {}),
        **(_calls(settings, one, result, prediction) if kinds & {"trees", "windows"} else {}),
        **(_windows(settings, one, result, prediction) if "windows" in kinds else {}),
        **_statuses(settings, verdicts, kinds),
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


def _statuses(settings: Settings, verdicts: list[Verdict], kinds: set[str]) -> dict:
    """The columns of the verdicts; empty where only decoders of another kind have one."""
    own = OWN_VERDICTS.get(_kind(settings.decoder), ())
    told = {key: str(verdict.status) for key, verdict in zip((*VERDICTS, *own), verdicts, strict=True)}
    others = [key for kind, keys in OWN_VERDICTS.items() if kind in kinds for key in keys]
    return {key: told.get(key) for key in (*VERDICTS, *others)}


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
        "cost.draft": cost.draft,
        "cost.target": cost.target,
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
            "cost.draft": point.cost.draft,
            "cost.target": point.cost.target,
        }
        for point in points
    ]
    keys = dict.fromkeys(key for row in spelled for key in row)
    varying = [key for key in keys if len({str(row.get(key)) for row in spelled}) > 1]
    return [
        " ".join(f"{key}={row[key]}" for key in varying if key in row) or f"{row['pair']} {row['decoder']}"
        for row in spelled
    ]
