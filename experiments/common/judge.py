"""Verdicts on one job: which ones a decoder gets, by its algorithm, and how each is reached."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from simlab.decoders import Decoder, entry_for
from simlab.evidence import (
    Judging,
    Verdict,
    marginals_verdict,
    mean_verdict,
    pmf_verdict,
    running_mean_verdict,
    total_variation_verdict,
)
from simlab.experiments.common.estimates import drafted_tokens
from simlab.experiments.common.jobs import looks_of
from simlab.runs import HalfWidth, Job, Result
from simlab.theory import Bracket, Prediction, sequence_total_variation


@dataclass(frozen=True, eq=False)
class Claims:
    """What is held against what: a job's result against its prediction, at these levels.

    bracket: of the exact total variation between the sequences of output and target, where it is known.
    """

    name: str
    job: Job
    result: Result
    prediction: Prediction
    judging: Judging
    bracket: Bracket | None

    @property
    def sizes(self) -> dict:
        """What every verdict of fixed size takes: the two errors, and at how many sizes the job may stop."""
        return {**self.judging.errors, "looks": looks_of(self.job)}

    def mean(self, what: str, histogram: np.ndarray, exact: float, *, of: float) -> Verdict:
        """On the mean of a histogram, for a fixed size; of: the tokens that its resolution is a part of."""
        return mean_verdict(
            f"{self.name}: {what}",
            histogram,
            _possible(self.prediction, exact, histogram),
            resolution=self.judging.mean_resolution * of - self.prediction.error_bound,
            **self.sizes,
        )

    def pmf(self, what: str, histogram: np.ndarray, exact: np.ndarray) -> Verdict:
        """On the distribution of what a histogram counts."""
        resolution = self.judging.cell_resolution
        return pmf_verdict(f"{self.name}: {what}", histogram, exact, resolution=resolution, **self.sizes)

    def tokens(self, follow: str) -> Verdict:
        """On the tokens at each position."""
        counts = self.result.counts
        return marginals_verdict(
            f"{self.name}: tokens follow {follow}",
            counts.tokens,
            counts.trajectories,
            self.prediction.token_marginals,
            resolution=self.judging.cell_resolution,
            **self.sizes,
        )


def judge(
    name: str,
    job: Job,
    result: Result,
    prediction: Prediction,
    bracket: Bracket | None = None,
    judging: Judging | None = None,
    columns: Collection[str] | None = None,
) -> list[Verdict]:
    """The verdicts that `JUDGES` has for the job's decoder, in that order; judging: their levels; columns:
    those alone that have one of these names in JUDGES.

    bracket: holds the exact total variation between the sequences of a biased decoder and the target's; found
    here where there is none. Where the prediction is a bracket (`Prediction.error_bound`), means are judged
    against all of it; distributions against its middle, for want of a bound on theirs.

    A job of fixed size gets fixed-size intervals. One that stopped by its own interval, always that of the
    rejections, gets the confidence sequence for their mean, and for the others fixed-size bands that hold
    after every batch after which it might have stopped. Raises SimlabError for a decoder that `JUDGES` lacks.
    """
    claims = Claims(name, job, result, prediction, judging or Judging(), bracket)
    judges = judges_of(job.task.decoder)
    return [judges[column](claims) for column in judges if columns is None or column in columns]


def judges_of(decoder: Decoder) -> dict[str, Callable[[Claims], Verdict]]:
    """The verdicts that a decoder gets, by the names of a study's columns."""
    return entry_for(decoder, JUDGES, "verdicts")


def judge_running_average(
    name: str, result: Result, prediction: Prediction, judging: Judging | None = None
) -> Verdict:
    """E[N_rej] against the exact one at whatever number of batches one stopped to look."""
    judging = judging or Judging()
    return running_mean_verdict(
        name,
        result.batch_sums,
        prediction.horizon,
        _possible(prediction, prediction.expected_rejections, result.counts.rejections),
        resolution=judging.mean_resolution * prediction.horizon - prediction.error_bound,
        **judging.errors,
    )


def exact_total_variation(claims: Claims) -> Bracket:
    """The bracket of the claims, or the one that is computed where they have none: it may take seconds."""
    return claims.bracket or sequence_total_variation(claims.job.pair, claims.job.task.decoder)


def _rejections(claims: Claims, what: str = "E[N_rej]") -> Verdict:
    if isinstance(claims.job.stop, HalfWidth):
        name = f"{claims.name}: {what}"
        return judge_running_average(name, claims.result, claims.prediction, claims.judging)
    exact, horizon = claims.prediction.expected_rejections, claims.prediction.horizon
    return claims.mean(what, claims.result.counts.rejections, exact, of=horizon)


def _bonus_tokens(claims: Claims) -> Verdict:
    return _rejections(claims, "E[bonus tokens]")


def _rejections_pmf(claims: Claims) -> Verdict:
    return claims.pmf(
        "distribution of N_rej", claims.result.counts.rejections, claims.prediction.rejections_pmf
    )


def _target_tokens(claims: Claims) -> Verdict:
    return claims.tokens("the target")


def _predicted_tokens(claims: Claims) -> Verdict:
    return claims.tokens("the predicted distribution")


def _total_variation(claims: Claims) -> Verdict:
    return total_variation_verdict(
        f"{claims.name}: sequence total variation",
        claims.result.counts.deviations,
        *exact_total_variation(claims),
        resolution=claims.judging.tv_resolution,
        **claims.sizes,
    )


def _calls(claims: Claims) -> Verdict:
    exact, horizon = claims.prediction.expected_target_calls, claims.prediction.horizon
    return claims.mean("E[target calls]", claims.result.counts.target_calls, exact, of=horizon)


def _calls_pmf(claims: Claims) -> Verdict:
    calls = claims.result.counts.target_calls
    return claims.pmf("distribution of target calls", calls, claims.prediction.target_calls_pmf)


def _drafted(claims: Claims) -> Verdict:
    exact = claims.prediction.expected_drafted_tokens
    most = max(exact, claims.prediction.horizon)
    return claims.mean("E[drafted tokens]", drafted_tokens(claims.result), exact, of=most)


def _possible(prediction: Prediction, exact: float, histogram: np.ndarray) -> float:
    """The value within the prediction's accuracy that is closest to the sample's mean.

    So a sample refutes a mean only where it refutes all of the bracket (block verification, long windows).
    The resolution of such a verdict is less by as much: the mean may be that far from the prediction.
    """
    mean = float(histogram @ np.arange(len(histogram)) / histogram.sum())
    return float(np.clip(mean, exact - prediction.error_bound, exact + prediction.error_bound))


_UNBIASED = {"verdict": _rejections, "verdict_law": _rejections_pmf, "verdict_tokens": _target_tokens}

_BIASED = {
    **_UNBIASED,
    "verdict_tokens": _predicted_tokens,
    "verdict_total_variation": _total_variation,
}

_WINDOWS = {
    **_UNBIASED,
    "verdict_target_calls": _calls,
    "verdict_target_calls_law": _calls_pmf,
    "verdict_drafted_tokens": _drafted,
}

JUDGES: dict[str, dict[str, Callable[[Claims], Verdict]]] = {
    "autoregressive": _UNBIASED,
    "horizon": _UNBIASED,
    "batch": _UNBIASED,
    "biased": _BIASED,
    "rule": _BIASED,
    "rule windows": {**_WINDOWS, "verdict_tokens": _predicted_tokens},
    "windows": _WINDOWS,
    "memory": _WINDOWS,
    "block": _WINDOWS,
    "multidraft": _WINDOWS,
    # The rejections of decoding with trees are its bonus tokens: of two trajectories with as many calls one
    # may end with a bonus token, the other inside its last tree.
    "tree": {
        "verdict": _calls,
        "verdict_law": _calls_pmf,
        "verdict_tokens": _target_tokens,
        "verdict_bonus_tokens": _bonus_tokens,
    },
}
"""By algorithm (`simlab.decoders.algorithm`), then by a study's column: the verdicts that a decoder gets."""
