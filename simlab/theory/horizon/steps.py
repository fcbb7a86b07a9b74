"""One step of each decoder that drafts to the horizon: what it emits, and what of that is rejected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from simlab.decoders import BatchSpeculative, BiasedSpeculative, Decoder, RuleSpeculative, entry_for
from simlab.pairs.pair import ChainPair
from simlab.progress import stepping
from simlab.theory.kernels import batch_rejected, biased_rejected, over_accepted, speculative_rejected
from simlab.theory.rules.kernels import verified

WHAT = "the distribution of rejections"


class Step(NamedTuple):
    """The rows of one step, (V, V) each, by last token and emitted token.

    output: P(y is emitted). rejected_fresh, rejected: P(y is emitted as a replacement), at a fresh position
    (the first, and each behind a rejection) and at others.
    """

    output: np.ndarray
    rejected_fresh: np.ndarray
    rejected: np.ndarray


def steps(pair: ChainPair, decoder: Decoder) -> Iterator[Step]:
    """The step at t = 0..T-1; a stationary pair's step is made once. Raises SimlabError if there is none.

    A rule of acceptance comes as tables (`RuleSpeculative.on`).
    """
    if isinstance(decoder, RuleSpeculative):
        yield from _by_rule(pair, decoder)
        return
    split, step = entry_for(decoder, SPLITS, "theory"), None
    for t in stepping(range(pair.horizon), WHAT):
        if step is None or not pair.is_stationary:
            step = split(pair.draft[t], pair.target[t], decoder)
        yield step


def distinct_steps(pair: ChainPair, decoder: Decoder) -> int:
    """How many steps differ: 1 or T."""
    if isinstance(decoder, RuleSpeculative):
        return pair.horizon if max(decoder.rule.steps, len(pair.target_rows)) > 1 else 1
    return 1 if pair.is_stationary else pair.horizon


def _by_rule(pair: ChainPair, decoder: RuleSpeculative) -> Iterator[Step]:
    kernels = verified(decoder.rule, pair.target_rows)
    for t in stepping(range(pair.horizon), WHAT):
        step = kernels.at(t)
        yield Step(step.output, step.rejected, step.rejected)


def _target_alone(draft: np.ndarray, target: np.ndarray, decoder: Decoder) -> Step:
    nothing = np.zeros_like(target)
    return Step(target, nothing, nothing)


def _speculative(draft: np.ndarray, target: np.ndarray, decoder: Decoder) -> Step:
    rejected = speculative_rejected(draft, target)
    return Step(target, rejected, rejected)


def _batch(draft: np.ndarray, target: np.ndarray, decoder: BatchSpeculative) -> Step:
    return Step(target, batch_rejected(draft, target, decoder.drafts), speculative_rejected(draft, target))


def _biased(draft: np.ndarray, target: np.ndarray, decoder: BiasedSpeculative) -> Step:
    if not decoder.is_biased:
        return _speculative(draft, target, decoder)
    rejected = biased_rejected(draft, target, decoder.epsilon, decoder.replacement)
    return Step(over_accepted(draft, target, decoder.epsilon) + rejected, rejected, rejected)


SPLITS = {"autoregressive": _target_alone, "horizon": _speculative, "batch": _batch, "biased": _biased}
"""By algorithm, the step made of one step's rows."""
