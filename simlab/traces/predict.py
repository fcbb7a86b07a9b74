"""From a trace and a decoder to a prediction: what each decoder is on a path, in one table."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from simlab.checks import shortened
from simlab.decoders import (
    AdaptiveSpeculative,
    Autoregressive,
    BatchSpeculative,
    BiasedSpeculative,
    ConfidenceSpeculative,
    Decoder,
    Remembering,
    Speculative,
    Windowed,
    decoder_label,
    entry_for,
    longest_window,
)
from simlab.decoders.memory import memory_of
from simlab.decoders.settings import LOG_STEP, SAME
from simlab.errors import SimlabError
from simlab.traces.columns import batch_column
from simlab.traces.prediction import DraftedTokens, Paths, TracePrediction
from simlab.traces.trace import Trace


class _OnPaths(NamedTuple):
    """first: (rows,), P(the first token of a call is accepted); None: as any other one. rule: a PathRule or
    a MemoryRule."""

    rule: NamedTuple
    first: np.ndarray | None = None


def predict_trace(trace: Trace, decoder: Decoder) -> TracePrediction:
    """The prediction of a decoder from texts that the target wrote. `simlab.predict` calls it for a trace.

    Speculative with every window, bonus token or not; AdaptiveSpeculative where its policy depends on the
    position alone, or also on the last token and the trace has the column token; ConfidenceSpeculative with
    the column draft_confidence, or draft_entropy for the signal "entropy"; the decoders with a memory
    (`simlab.decoders.memory`); BatchSpeculative with batch_rejection_M for its M; Autoregressive. Time
    O(rows K), K the longest window. Raises SimlabError, naming the missing column or the reason, for others.
    Source: `simlab.theory.paths`.
    """
    from simlab.theory.paths import path_means

    rule, first = entry_for(decoder, ON_PATHS, WHAT)(trace, decoder)
    accept = trace.acceptance
    single = first is None
    paths = Paths(
        first=accept if single else first,
        accept=accept,
        rule=rule,
        offsets=trace.offsets,
        weights=trace.weights,
        drafts=decoder.drafts_per_call,
    )
    variation = trace.total_variation if single and "total_variation" in trace.names else None
    return _prediction(trace, decoder, paths, path_means(*paths[:5], variation))


def _prediction(trace: Trace, decoder: Decoder, paths: Paths, means) -> TracePrediction:
    total = float(paths.weights.sum())

    def mean(by_sequence: np.ndarray) -> float:
        return float((paths.weights * by_sequence).sum()) / total  # not by BLAS, whose threads would wait

    lengths = trace.lengths.astype(float)
    rejections = mean(means.rejections)
    known = paths.rule.is_known
    lower = means.most_drafted if known else means.least_drafted
    drafted = means.most_drafted_by_position[0] / total
    return TracePrediction(
        decoder=decoder,
        sequences=trace.sequences,
        tokens=len(trace),
        horizon=mean(lengths),
        expected_rejections=rejections,
        rao_blackwell_rejections=mean(means.smooth_rejections),
        expected_target_calls=mean(means.calls),
        expected_accepted_tokens=mean(means.accepted),
        drafted_tokens=DraftedTokens(
            _times(paths.drafts, mean(lower)), _times(paths.drafts, mean(means.most_drafted))
        ),
        drafted_by_position=drafted if known else np.full(len(drafted), np.nan),
        reached_by_position=means.reached_by_position[0] / total,
        accepted_by_position=means.accepted_by_position[0] / total,
        rejections_per_position=means.rejections_per_position / total,
        acceleration=_acceleration(decoder, mean(lengths), rejections),
        paths=paths,
        per_sequence={
            "one": np.ones(trace.sequences),
            "tokens": lengths,
            "calls": means.calls,
            "rejections": means.rejections,
            "smooth": means.smooth_rejections,
            "accepted": means.accepted,
            "drafted": paths.drafts * means.most_drafted
            if math.isfinite(paths.drafts)
            else means.most_drafted,
        },
    )


def _times(drafts: float, drafted: float) -> float:
    return drafts * drafted if drafted else 0.0


def _acceleration(decoder: Decoder, tokens: float, rejections: float) -> float:
    if isinstance(decoder, Autoregressive):
        return 1.0
    if decoder.has_bonus or getattr(decoder, "window", None) is not None:
        return math.nan
    return tokens / rejections if rejections > 0 else math.inf


def _alone(trace: Trace, decoder: Autoregressive) -> _OnPaths:
    from simlab.theory.paths import window_rule

    return _OnPaths(window_rule(trace.offsets, 0, True))


def _speculative(trace: Trace, decoder: Speculative) -> _OnPaths:
    from simlab.theory.paths import window_rule

    return _OnPaths(window_rule(trace.offsets, decoder.window, decoder.bonus))


def _biased(trace: Trace, decoder: BiasedSpeculative) -> _OnPaths:
    if decoder.is_biased:
        _refused("its output does not follow the target, whose texts these are")(trace, decoder)
    return _speculative(trace, Speculative())


def _confident(trace: Trace, decoder: ConfidenceSpeculative) -> _OnPaths:
    from simlab.theory.paths import confident_rule, cumulative_rule, window_rule

    if decoder.signal == "entropy":
        unsure = np.sqrt(_needed(trace, "draft_entropy", decoder)) > decoder.threshold + SAME
        return _OnPaths(confident_rule(trace.offsets, unsure, decoder.window))
    confidence = _needed(trace, "draft_confidence", decoder)
    if decoder.signal == "confidence":
        return _OnPaths(confident_rule(trace.offsets, confidence < decoder.threshold, decoder.window))
    if decoder.log_limit is None:
        return _OnPaths(window_rule(trace.offsets, decoder.window, True))
    added = np.rint(-np.log(np.minimum(confidence, 1.0)) / LOG_STEP).astype(np.int64)
    return _OnPaths(cumulative_rule(trace.offsets, added, decoder.log_limit, decoder.window))


def _batch(trace: Trace, decoder: BatchSpeculative) -> _OnPaths:
    from simlab.theory.paths import window_rule

    rule = window_rule(trace.offsets, None, False)
    if decoder.drafts == 1:
        return _OnPaths(rule)
    return _OnPaths(rule, 1.0 - _needed(trace, batch_column(decoder.drafts), decoder))


def _adaptive(trace: Trace, decoder: AdaptiveSpeculative) -> _OnPaths:
    from simlab.theory.paths import window_rule

    policy, longest = decoder.policy.windows, int(trace.lengths.max())
    if len(policy) < longest:
        raise SimlabError(
            f"the policy has {len(policy)} positions and the longest sequence {longest} tokens; expected a "
            "table with a row for each position"
        )
    at = np.arange(len(trace)) - np.repeat(trace.offsets[:-1], trace.lengths)
    if (policy[:longest] == policy[:longest, :1]).all():
        windows = policy[at, 0]
    else:
        windows = policy[at, _last_tokens(trace, decoder, policy)]
    window = longest_window(decoder, longest)
    return _OnPaths(window_rule(trace.offsets, windows, decoder.policy.bonus, window))


def _last_tokens(trace: Trace, decoder: AdaptiveSpeculative, policy: np.ndarray) -> np.ndarray:
    """(rows,): the token before each one; 0 for the first ones, where the policy must not depend on it."""
    tokens = _needed(trace, "token", decoder)
    if (policy[0] != policy[0, 0]).any():
        raise SimlabError(
            f"a trace cannot predict {decoder_label(decoder)}: its first window depends on the last token of "
            "the prompt, which a trace does not hold"
        )
    if tokens.max() >= policy.shape[1]:
        raise SimlabError(
            f"row {int(tokens.argmax())}: token = {int(tokens.max())}, and the policy is for a vocabulary of "
            f"{policy.shape[1]}; expected a policy of these models"
        )
    last = np.concatenate([[0], tokens[:-1]])
    last[trace.offsets[:-1]] = 0
    return last


def _needed(trace: Trace, name: str, decoder: Decoder) -> np.ndarray:
    if name not in trace.names:
        raise SimlabError(
            f"a trace predicts {decoder_label(decoder)} from the column {name}, which this one lacks; "
            f"its columns are {', '.join(trace.names)}"
        )
    return trace.column(name)


def _windows(trace: Trace, decoder: Windowed) -> _OnPaths:
    match decoder:
        case Speculative():
            return _speculative(trace, decoder)
        case AdaptiveSpeculative():
            return _adaptive(trace, decoder)
        case ConfidenceSpeculative():
            return _confident(trace, decoder)
    raise SimlabError(f"no {WHAT} for {shortened(decoder)}")


def _remembering(trace: Trace, decoder: Remembering) -> _OnPaths:
    from simlab.theory.paths import MemoryRule

    longest = int(trace.lengths.max())
    memory = memory_of(decoder, longest)
    return _OnPaths(MemoryRule(memory.windows, memory.after, longest_window(decoder, longest)))


def _refused(why: str) -> Callable[[Trace, Decoder], _OnPaths]:
    def refuse(trace: Trace, decoder: Decoder) -> _OnPaths:
        raise SimlabError(f"a trace cannot predict {decoder_label(decoder)}: {why}")

    return refuse


WHAT = "prediction from a trace"

ON_PATHS: dict[str, Callable[[Trace, Decoder], _OnPaths]] = {
    "autoregressive": _alone,
    "horizon": _speculative,
    "windows": _windows,
    "memory": _remembering,
    "batch": _batch,
    "biased": _biased,
    "block": _refused("block verification looks at the drafted tokens of a window, which leave the text"),
    "rule": _refused("a rule looks at whole rows, of which a trace has one token's probabilities"),
    "rule windows": _refused("a rule looks at whole rows, of which a trace has one token's probabilities"),
    "multidraft": _refused("its rules look at whole rows of both models, which a trace does not hold"),
    "tree": _refused("trees hold tokens beside the text that came, whose rows a trace does not have"),
}
"""By algorithm, what the decoder is on the paths of a trace, or why it cannot be known."""
