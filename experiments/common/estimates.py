"""What the experiments share: intervals and verdicts on one job, and the rows of the tables they leave."""

from __future__ import annotations

import functools

import numpy as np

from simlab.cost import CostModel
from simlab.decoders import Decoder, TreeSpeculative
from simlab.evidence import (
    Interval,
    Verdict,
    confidence_sequence,
    marginals_verdict,
    mean_interval,
    mean_verdict,
    pmf_band,
    pmf_verdict,
    running_mean_verdict,
    time_interval,
    total_variation_interval,
    total_variation_verdict,
)
from simlab.experiments.common.settings import Settings
from simlab.pairs import ChainPair
from simlab.runs import HalfWidth, Job, Result
from simlab.theory import Bracket, Prediction, sequence_total_variation

MEAN_RESOLUTION = 0.01
"""A PASS on E[N_rej], or on E[target calls], could have seen a difference of one in 100 generated tokens; one
on E[drafted tokens] of one in 100 drafted tokens, where they are more.
"""

CELL_RESOLUTION = 0.01
"""A PASS on a pmf or on token marginals could have seen this difference of probability in any cell."""

TOTAL_VARIATION_RESOLUTION = 0.01
"""A PASS on the total variation of sequences could have seen this difference."""

FALSE_ALARM = 1e-6


def judge(
    name: str, job: Job, result: Result, prediction: Prediction, bracket: Bracket | None = None
) -> list[Verdict]:
    """Mean, law of N_rej and token marginals of one job against the exact ones, in this order.

    Where the decoder is biased, last also the total variation between the laws of output and target as whole
    sequences, against `bracket`, which holds the exact one (found here where there is none). Where it drafts
    trees, mean and law are those of the target calls; last also the mean number of bonus tokens, which are
    what it counts as rejections: of two trajectories with as many calls one may end with a bonus token, the
    other inside its last tree. Where it drafts windows, last also mean and law of the target calls and the
    mean number of drafted tokens. Where the prediction is a bracket (`Prediction.accuracy`), means are judged
    against all of it; laws against its middle, for want of a bound on theirs.

    A job of fixed size gets fixed-size intervals. One that stopped by its own interval, always that of the
    rejections, gets the confidence sequence for their mean, and for the others fixed-size bands that hold
    after every batch after which it might have stopped.
    """
    if isinstance(job.task.decoder, TreeSpeculative):
        return _judge_trees(name, job, result, prediction)
    counts = result.counts
    biased = counts.deviations.size > 0
    law = "the predicted law" if biased else "the target"
    verdicts = [
        _judge_mean(f"{name}: E[N_rej]", job, result, prediction),
        pmf_verdict(f"{name}: law of N_rej", counts.rejections, prediction.rejections_pmf, **_cells(job)),
        _judge_tokens(f"{name}: tokens follow {law}", job, result, prediction),
    ]
    if biased:
        bracket = exact_total_variation(job.pair, job.task.decoder) if bracket is None else bracket
        verdicts.append(_judge_total_variation(f"{name}: sequence total variation", job, result, bracket))
    if counts.drafted_tokens.size:
        verdicts += _judge_calls(name, job, result, prediction)
        verdicts.append(_judge_drafted(f"{name}: E[drafted tokens]", job, result, prediction))
    return verdicts


def judge_running_average(name: str, result: Result, prediction: Prediction) -> Verdict:
    """E[N_rej] against the exact one at whatever number of batches one stopped to look."""
    return running_mean_verdict(
        name,
        result.batch_sums,
        prediction.horizon,
        _possible(prediction, prediction.expected_rejections, result.counts.rejections),
        resolution=MEAN_RESOLUTION * prediction.horizon - prediction.accuracy,
        false_alarm=FALSE_ALARM,
    )


def mean_of(job: Job, result: Result, confidence: float) -> Interval:
    """The estimate of E[N_rej], of trees the bonus tokens, and the interval that the stopping rule allows."""
    if isinstance(job.stop, HalfWidth):
        return Interval(*(float(end[-1]) for end in running_average(result, confidence)[1]))
    return mean_interval(result.counts.rejections, confidence)


def calls_of(job: Job, result: Result, confidence: float) -> Interval:
    """The estimate of E[target calls] and the interval that the job's stopping rule allows.

    For jobs of decoders that draft trees or windows: only their calls are counted.
    """
    return mean_interval(result.counts.target_calls, confidence, looks_of(job))


def drafted_of(job: Job, result: Result, confidence: float) -> Interval:
    """The estimate of E[drafted tokens] and the interval that the job's stopping rule allows.

    For jobs of decoders that draft windows, as the two below.
    """
    return mean_interval(_drafted_tokens(result), confidence, looks_of(job))


def time_of(job: Job, result: Result, cost: CostModel, confidence: float) -> Interval:
    """The estimate of E[time for T tokens], in the cost's unit, and the interval that the rule allows."""
    counts = result.counts
    costs = cost.draft, cost.target
    return time_interval(counts.target_calls, counts.drafted_tokens, *costs, confidence, looks_of(job))


def speedup_of(job: Job, result: Result, cost: CostModel, confidence: float) -> Interval:
    """The speed-up over autoregressive decoding, T T_v / E[time], from the interval of E[time]."""
    time = time_of(job, result, cost, confidence)
    alone = cost.target * result.counts.horizon
    return Interval(alone / time.estimate, alone / time.high, alone / time.low)


def all_at_once(confidence: float, points: int) -> float:
    """The confidence of each interval with which all of them hold together (Bonferroni)."""
    return 1 - (1 - confidence) / points


def per_call(calls: Interval, horizon: int) -> Interval:
    """Tokens per call, T / E[calls], from the interval of the mean number of calls: falling, so ends swap."""
    return Interval(horizon / calls.estimate, horizon / calls.high, horizon / calls.low)


def band_of(job: Job, result: Result, confidence: float) -> Interval:
    """The simulated pmf of N_rej and the simultaneous band that the job's stopping rule allows."""
    return pmf_band(result.counts.rejections, confidence, looks_of(job))


def total_variation_of(job: Job, result: Result, confidence: float) -> Interval:
    """The total variation of sequences and the interval that the job's stopping rule allows."""
    return total_variation_interval(result.counts.deviations, confidence, looks_of(job))


@functools.lru_cache(maxsize=8)
def exact_total_variation(pair: ChainPair, decoder: Decoder) -> Bracket:
    """The bracket of the exact one, remembered: it may take seconds, and verdict and table both ask."""
    return sequence_total_variation(pair, decoder)


def running_average(result: Result, confidence: float) -> tuple[np.ndarray, Interval]:
    """Runs after each batch, (K,), and the mean with an interval valid after all of them at once."""
    horizon = len(result.counts.rejections) - 1
    runs = np.cumsum(result.batch_sums[:, 0])
    return runs, confidence_sequence(result.batch_sums, horizon, confidence)


def rows(x, interval: Interval, exact, **settings) -> list[dict]:
    """Rows of a tidy table: `settings` as columns, then x, simulated, low, high and exact."""
    columns = np.broadcast_arrays(x, *interval, exact)
    names = ("x", "simulated", "low", "high", "exact")
    return [
        {**settings, **dict(zip(names, (value.item() for value in row), strict=True))}
        for row in zip(*columns, strict=True)
    ]


def figure_metadata(command: str, jobs: list[Job], results: list[Result]) -> dict[str, str]:
    """What a figure says of its origin: command, seed, sample sizes and tasks."""
    return {
        "Command": command,
        "Seed": str(jobs[0].task.seed),
        **_sample_sizes(results),
        "Tasks": ", ".join(job.task.id for job in jobs),
    }


def _sample_sizes(results: list[Result]) -> dict[str, str]:
    """{"Trajectories": "..., ..."}, and the environments where there are any."""
    sizes: dict[str, list[str]] = {}
    for result in results:
        unit = result.task.unit
        sizes.setdefault(unit.capitalize(), []).append(str(getattr(result.counts, unit)))
    return {unit: ", ".join(numbers) for unit, numbers in sizes.items()}


def without_effect(settings: Settings, *groups: str) -> list[str]:
    """A note on the settings of these groups, such as decoder, that an experiment with its own was given."""
    words = [word for word in settings.command.split() if word.partition("=")[0].partition(".")[0] in groups]
    if not words:
        return []
    own = " and ".join(f"{group}s" for group in groups)
    return [f"{settings.experiment} has {own} of its own: {', '.join(words)} made no difference."]


def _judge_mean(name: str, job: Job, result: Result, prediction: Prediction) -> Verdict:
    if isinstance(job.stop, HalfWidth):
        return judge_running_average(name, result, prediction)
    return mean_verdict(
        name,
        result.counts.rejections,
        _possible(prediction, prediction.expected_rejections, result.counts.rejections),
        resolution=MEAN_RESOLUTION * prediction.horizon - prediction.accuracy,
        false_alarm=FALSE_ALARM,
    )


def _judge_trees(name: str, job: Job, result: Result, prediction: Prediction) -> list[Verdict]:
    return [
        *_judge_calls(name, job, result, prediction),
        _judge_tokens(f"{name}: tokens follow the target", job, result, prediction),
        _judge_mean(f"{name}: E[bonus tokens]", job, result, prediction),
    ]


def _judge_calls(name: str, job: Job, result: Result, prediction: Prediction) -> list[Verdict]:
    """Mean and law of the target calls."""
    calls = result.counts.target_calls
    return [
        mean_verdict(
            f"{name}: E[target calls]",
            calls,
            _possible(prediction, prediction.expected_target_calls, calls),
            resolution=MEAN_RESOLUTION * prediction.horizon - prediction.accuracy,
            false_alarm=FALSE_ALARM,
            looks=looks_of(job),
        ),
        pmf_verdict(f"{name}: law of target calls", calls, prediction.target_calls_pmf, **_cells(job)),
    ]


def _judge_drafted(name: str, job: Job, result: Result, prediction: Prediction) -> Verdict:
    exact = prediction.expected_drafted_tokens
    return mean_verdict(
        name,
        _drafted_tokens(result),
        _possible(prediction, exact, _drafted_tokens(result)),
        resolution=MEAN_RESOLUTION * max(exact, prediction.horizon) - prediction.accuracy,
        false_alarm=FALSE_ALARM,
        looks=looks_of(job),
    )


def _possible(prediction: Prediction, exact: float, histogram: np.ndarray) -> float:
    """Of all that a mean may be, given its prediction's accuracy, what is nearest to the sample's mean.

    So a sample refutes a mean only where it refutes all of the bracket (block verification, long windows).
    The resolution of such a verdict is less by as much: the mean may be that far from the prediction.
    """
    mean = float(histogram @ np.arange(len(histogram)) / histogram.sum())
    return float(np.clip(mean, exact - prediction.accuracy, exact + prediction.accuracy))


def _drafted_tokens(result: Result) -> np.ndarray:
    """The histogram, with a second cell where 0 is the only number that there can be."""
    histogram = result.counts.drafted_tokens
    return np.append(histogram, 0) if len(histogram) == 1 else histogram


def _judge_tokens(name: str, job: Job, result: Result, prediction: Prediction) -> Verdict:
    counts = result.counts
    exact = prediction.token_marginals
    return marginals_verdict(name, counts.tokens, counts.trajectories, exact, **_cells(job))


def _cells(job: Job) -> dict:
    return {"resolution": CELL_RESOLUTION, "false_alarm": FALSE_ALARM, "looks": looks_of(job)}


def _judge_total_variation(name: str, job: Job, result: Result, bracket: Bracket) -> Verdict:
    return total_variation_verdict(
        name,
        result.counts.deviations,
        *bracket,
        resolution=TOTAL_VARIATION_RESOLUTION,
        false_alarm=FALSE_ALARM,
        looks=looks_of(job),
    )


def looks_of(job: Job) -> int:
    """At how many sizes the job may stop: one, or after each batch."""
    return -(-job.stop.at_most // job.task.batch_size) if isinstance(job.stop, HalfWidth) else 1
