"""What a trace says of a decoder: exact given each text, averaged over the texts, with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from simlab.cost import CostModel, check_cost
from simlab.decoders import Decoder, decoder_label
from simlab.errors import SimlabError
from simlab.evidence.interval import Interval, error_of
from simlab.theory.call_rates import CallRates
from simlab.traces.intervals import sequence_ratio

MOST_BY_POSITION = 2**27
"""So many numbers may intervals by position take: sequences times longest window."""


class DraftedTokens(NamedTuple):
    """The ends of a bracket of E[drafted tokens of a sequence], equal where it is known."""

    lower: float
    upper: float


class Paths(NamedTuple):
    """What the recursions of `simlab.theory.paths` take; drafts: how many drafts a call makes."""

    first: np.ndarray
    accept: np.ndarray
    rule: NamedTuple
    offsets: np.ndarray
    weights: np.ndarray
    drafts: float


@dataclass(frozen=True, eq=False, repr=False)
class TracePrediction(CallRates):
    """What a trace predicts of one decoder; the names are those of `simlab.Prediction`.

    All are means over the sequences by their weights, exact given their texts, so unbiased for the models and
    prompts that the trace was drawn from. T is the longest sequence; each has its own horizon, its length.

    sequences, tokens: how many there are, texts and rows. horizon: the mean length of a sequence.
    expected_rejections: E[N_rej] of a sequence, from the tokens that came. rao_blackwell_rejections: the same
        from the total variation before each of them, with the same mean over texts and less spread; nan where
        the trace has no column total_variation, and for several drafts.
    expected_target_calls, expected_accepted_tokens: of a sequence.
    drafted_tokens: (lower, upper), what a sequence drafts. The ends are equal but for ConfidenceSpeculative,
        where the tokens drafted behind a rejection are not on the text: a call with a rejection drafts at
        least to it and at most its window.
    drafted_by_position, reached_by_position, accepted_by_position: (K,) as in `Prediction`, calls of a
        sequence. drafted_by_position is nan where only the bracket is known.
    rejections_per_position: (T,), P(token t is rejected), 0 where a sequence is shorter.
    acceleration: tokens over rejections, for decoders that draft to the horizon; nan for others.

    `rejections_pmf`, `target_calls_pmf` and `variance` are found when they are asked for. `interval` gives
    the uncertainty that comes from having these sequences and no others.
    """

    decoder: Decoder
    sequences: int
    tokens: int
    horizon: float
    expected_rejections: float
    rao_blackwell_rejections: float
    expected_target_calls: float
    expected_accepted_tokens: float
    drafted_tokens: DraftedTokens
    drafted_by_position: np.ndarray
    reached_by_position: np.ndarray
    accepted_by_position: np.ndarray
    rejections_per_position: np.ndarray
    acceleration: float
    paths: Paths
    per_sequence: dict[str, np.ndarray]

    def __repr__(self) -> str:
        return (
            f"TracePrediction({decoder_label(self.decoder)} on {self.sequences} sequences, {self.tokens} "
            f"tokens: E[N_rej] {self.expected_rejections:.6g}, E[target calls] "
            f"{self.expected_target_calls:.6g}, tokens per call {self.tokens_per_call:.6g})"
        )

    @cached_property
    def rejections_pmf(self) -> np.ndarray:
        """(T+1,), P(N_rej = n) of a sequence; of one text Poisson-binomial where all tokens are drafted."""
        return self._pmf(of_calls=False)

    @cached_property
    def target_calls_pmf(self) -> np.ndarray:
        """(T+1,), P(n target calls) of a sequence."""
        return self._pmf(of_calls=True)

    def _pmf(self, *, of_calls: bool) -> np.ndarray:
        from simlab.theory.paths import count_pmf

        first, accept, rule, offsets, weights, _ = self.paths
        return count_pmf(first, accept, rule, offsets, weights / weights.sum(), of_calls=of_calls)

    @property
    def variance(self) -> float:
        """The variance of N_rej, between and within sequences."""
        counts = np.arange(len(self.rejections_pmf))
        return float((counts - self.expected_rejections) ** 2 @ self.rejections_pmf)

    @property
    def expected_drafted_tokens(self) -> float:
        """E[drafted tokens] of a sequence; nan where only the bracket `drafted_tokens` is known."""
        return self.drafted_tokens.upper if self._drafting_is_known else math.nan

    @property
    def _drafting_is_known(self) -> bool:
        return self.paths.rule.is_known

    def interval(self, name: str, confidence: float = 0.95) -> Interval:
        """(estimate, low, high) of one of the numbers above: it holds with probability >= confidence.

        name: expected_rejections, rao_blackwell_rejections, expected_target_calls, expected_accepted_tokens,
        expected_drafted_tokens, tokens_per_call, acceptance_rate or acceptance_length; or, as arrays (K,)
        that hold at all positions at once (Bonferroni), drafted_by_position, reached_by_position,
        accepted_by_position, acceptance_rate_by_position or conditional_acceptance_by_position.

        What it holds is the value for the models and prompts that the sequences were drawn from. It is valid
        for every number of sequences, without approximation, if they are independent and none can be longer
        than the longest one here. Of equal weights means have the interval of
        `simlab.evidence.sample_mean_interval`, for sequences alike in distribution (prompts drawn at random);
        ratios and weighted means that of `simlab.evidence.mean_ratio_interval`, alike or not, with weights
        that are fixed or none larger than the largest here. Raises SimlabError for another name, for what
        this trace does not know of this decoder, and for a confidence outside (0, 1).
        """
        error = error_of(confidence)
        if name in RATIOS:
            part, whole = RATIOS[name]
            self._check_known(part, whole)
            return self._interval(part, whole, self.per_sequence[part], self.per_sequence[whole], error)
        if name in RATIOS_BY_POSITION:
            return self._intervals_by_position(*RATIOS_BY_POSITION[name], error)
        known = ", ".join([*RATIOS, *RATIOS_BY_POSITION])
        raise SimlabError(f"{name!r} has no interval; known are {known}")

    def speedup_interval(self, cost: CostModel, confidence: float = 0.95) -> Interval:
        """The speed-up over the target alone at `cost`, and an interval that holds it as `interval` has it.

        All tokens' time without drafting over that with it. Raises SimlabError where the drafted tokens are
        not known, and as `interval` does.
        """
        return self.speedup_interval_at(check_cost(cost), error_of(confidence))

    def speedup_interval_at(self, cost: CostModel, error: float) -> Interval:
        """`speedup_interval` by its error probability."""
        self._check_known("drafted")
        call_times = cost.call_time(np.arange(self.paths.rule.longest + 1))
        longest = float(len(self.rejections_per_position))
        if not self.decoder.drafts_per_call:
            call_times = np.array([cost.alone])  # no overhead of drafting
        elif self.decoder.drafts_per_call > 1:
            raise SimlabError("the speed-up of several drafts has no interval; it takes one draft a call")
        return sequence_ratio(
            self.per_sequence["tokens"] * cost.alone,
            self._times(cost, call_times),
            self.paths.weights,
            most_part=longest * cost.alone,
            most_whole=longest * float(call_times.max()),
            most=min(len(call_times), longest) * cost.alone / float(call_times.min()),
            error=error,
        )

    def _times(self, cost: CostModel, call_times: np.ndarray) -> np.ndarray:
        """(sequences,): the expected time of each."""
        if cost.is_flat:
            drafts = bool(self.decoder.drafts_per_call)
            return cost.time(self.per_sequence["drafted"] * drafts, self.per_sequence["calls"])
        drafted = self._by_sequence().most_drafted_by_position
        at_least = np.column_stack([self.per_sequence["calls"], drafted, np.zeros(self.sequences)])
        return (at_least[:, :-1] - at_least[:, 1:]) @ call_times

    def _by_sequence(self):
        """The expectations by position, a row a sequence."""
        from simlab.theory.paths import path_means

        longest = len(self.reached_by_position)
        if self.sequences * longest > MOST_BY_POSITION:
            raise SimlabError(
                f"{self.sequences} sequences and {longest} positions are too many for intervals by position; "
                "give a shorter window or fewer sequences"
            )
        return path_means(*self.paths[:4], np.ones(self.sequences), groups=np.arange(self.sequences))

    def _check_known(self, *names: str) -> None:
        label, finite = decoder_label(self.decoder), math.isfinite(self.paths.drafts)
        if "drafted" in names and not (self._drafting_is_known and finite):
            raise SimlabError(f"the drafted tokens of {label} are not known; drafted_tokens brackets them")
        if "smooth" in names and np.isnan(self.per_sequence["smooth"]).any():
            raise SimlabError(
                f"no rao_blackwell_rejections of {label}: they take one draft and the column total_variation"
            )

    def _interval(self, part: str, whole: str, parts, wholes, error: float) -> Interval:
        """The ratio of two sums over the sequences; part, whole: what is summed."""
        longest, window = len(self.rejections_per_position), len(self.reached_by_position)
        drafted = sum(min(window, left) for left in range(1, longest + 1)) * self.paths.drafts
        bounds = {"one": 1.0, "drafted": max(drafted, 1.0)}
        most_part, most_whole = (bounds.get(name, float(longest)) for name in (part, whole))
        most = {"one": most_part, "calls": min(window + 1.0, longest)}.get(whole, 1.0)
        found = sequence_ratio(
            parts,
            wholes,
            self.paths.weights,
            most_part=most_part,
            most_whole=most_whole,
            most=most,
            error=error,
        )
        least = 1.0 if "calls" in (part, whole) and part != "accepted" else 0.0  # a call yields a token
        return found._replace(low=min(max(found.low, least), found.estimate))

    def _intervals_by_position(self, part: str, whole: str, error: float) -> Interval:
        self._check_known(*({"drafted"} & {part, whole}))
        longest, means = len(self.reached_by_position), self._by_sequence()
        sums = {
            "reached": means.reached_by_position,
            "accepted": means.accepted_by_position,
            "drafted": means.most_drafted_by_position,
            "one": np.ones((self.sequences, longest)),
        }
        found = np.empty((3, longest))
        for at in range(longest):
            parts, wholes = sums[part][:, at], sums[whole][:, at]
            # A sequence has no more calls than tokens, at a position of the window or in all.
            found[:, at] = self._interval(f"{part} there", whole, parts, wholes, error / longest)
        return Interval(*found)


RATIOS = {
    "expected_rejections": ("rejections", "one"),
    "rao_blackwell_rejections": ("smooth", "one"),
    "expected_target_calls": ("calls", "one"),
    "expected_accepted_tokens": ("accepted", "one"),
    "expected_drafted_tokens": ("drafted", "one"),
    "tokens_per_call": ("tokens", "calls"),
    "acceptance_rate": ("accepted", "drafted"),
    "acceptance_length": ("accepted", "calls"),
}
"""What has an interval: sums over sequences, part over whole."""

RATIOS_BY_POSITION = {
    "drafted_by_position": ("drafted", "one"),
    "reached_by_position": ("reached", "one"),
    "accepted_by_position": ("accepted", "one"),
    "acceptance_rate_by_position": ("accepted", "drafted"),
    "conditional_acceptance_by_position": ("accepted", "reached"),
}
"""The same at each position of the window."""
