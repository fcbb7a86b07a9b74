"""When a call stops drafting, and one step of verification: what all recursions over windows share.

A call that starts at position t after token x drafts until it *ends drafting* at position e = t + g, where it
has g tokens: g = windows[t, x], but no more than R - 1 with the bonus token and R without, R = T - t. Of all
that happens to a call its end e alone matters, so that is what the recursions carry: it stays as it is while
the drafted tokens are verified one by one. A rule of confidence stops earlier, at a last token after which
the draft is unsure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from simlab.checks import shortened
from simlab.decoders import (
    AdaptiveSpeculative,
    ConfidenceSpeculative,
    RuleSpeculative,
    Speculative,
    Windowed,
    has_bonus,
)
from simlab.decoders.settings import SAME
from simlab.errors import SimlabError
from simlab.pairs.pair import ChainPair
from simlab.progress import stepping
from simlab.theory.kernels import speculative_rejected
from simlab.theory.rules.kernels import Verified, verified


@dataclass(frozen=True, eq=False)
class Rules:
    """J rules of how long to draft, for one pair.

    windows: (J, T, V) whole numbers, at most T (fixed windows are broadcast). bonus: of all J.
    thresholds: (J,), or None where the draft's rows stop nothing; signal: what of a row is compared with
    them, "confidence" or "entropy" as in `ConfidenceSpeculative`. verified: what is accepted and replaced;
    None: as speculative decoding does.
    """

    windows: np.ndarray
    bonus: bool
    thresholds: np.ndarray | None = None
    verified: Verified | None = None
    signal: str = "confidence"

    @property
    def horizon(self) -> int:
        """T."""
        return self.windows.shape[1]

    def drafted(self, t: int) -> np.ndarray:
        """g, (J, V): how many tokens a call that starts at t drafts, unless confidence stops it before."""
        return np.minimum(self.windows[:, t], self.horizon - t - self.bonus)

    def stopped(self, draft: np.ndarray) -> np.ndarray | None:
        """(J, V): after which last tokens the draft, with the rows (V, V), is unsure; None: after none."""
        if self.thresholds is None:
            return None
        if self.signal == "entropy":
            return root_entropies(draft) > self.thresholds[:, None] + SAME
        return draft.max(axis=1) < self.thresholds[:, None]


def root_entropies(rows: np.ndarray) -> np.ndarray:
    """The square root of the entropy in nats of rows (.., V)."""
    logarithms = np.log(rows, out=np.zeros_like(rows), where=rows > 0)
    return np.sqrt(np.maximum(-(rows * logarithms).sum(axis=-1), 0.0))


def rules_of(pair: ChainPair, decoder: Windowed) -> Rules:
    """The one rule (J = 1) that a decoder follows. Raises SimlabError for a policy of another pair."""
    match decoder:
        case Speculative(window=window):
            return fixed_windows(pair, [window], has_bonus(decoder))
        case ConfidenceSpeculative(threshold=threshold, window=window, signal="confidence" | "entropy"):
            return confidence_rules(pair, [threshold], window, decoder.signal)
        case ConfidenceSpeculative(window=window):  # cumulative: what `cumulative` adds to this
            return fixed_windows(pair, [window], True)
        case AdaptiveSpeculative(policy=policy):
            policy.check_fits(pair.horizon, pair.states)
            return Rules(np.minimum(policy.windows, pair.horizon)[None], policy.bonus)
        case RuleSpeculative(window=window):
            rules = fixed_windows(pair, [window], has_bonus(decoder))
            return replace(rules, verified=verified(decoder.rule, pair.target_rows))
    raise SimlabError(f"no theory for {shortened(decoder)}")


def fixed_windows(pair: ChainPair, windows, bonus: bool) -> Rules:
    """A rule for each window, a whole number or None (to the horizon)."""
    lengths = [pair.horizon if window is None else min(window, pair.horizon) for window in windows]
    table = np.array(lengths, np.int64)[:, None, None]
    return Rules(np.broadcast_to(table, (len(table), pair.horizon, pair.states)), bonus)


def confidence_rules(pair: ChainPair, thresholds, window: int | None, signal: str = "confidence") -> Rules:
    """A rule for each threshold, with the bonus token; window: None (to the horizon) or a whole number."""
    thresholds = np.asarray(thresholds, float)
    windows = fixed_windows(pair, [window], True).windows
    return Rules(
        np.broadcast_to(windows, (len(thresholds), *windows.shape[1:])), True, thresholds, signal=signal
    )


class Means(NamedTuple):
    """Expectations of a rule. starts: (T, V), P(a call starts at t after token x). rejections: (T,), at t.
    reached, accepted: (K,) by position, as in `Prediction`. verified, straight: (T, V), P(the token at t is
    a drafted one or its replacement after token x), P(it comes straight from the target).
    """

    starts: np.ndarray
    rejections: np.ndarray
    reached: np.ndarray
    accepted: np.ndarray
    verified: np.ndarray
    straight: np.ndarray


class Step(NamedTuple):
    """The rows of one step, (V, V) each, by last and by emitted token: what the models say, what is accepted
    of the draft, and what replaces rejected tokens. accepted + rejected is the target unless biased."""

    draft: np.ndarray
    target: np.ndarray
    accepted: np.ndarray
    rejected: np.ndarray


def steps(
    pair: ChainPair, backwards: bool = False, verified: Verified | None = None, what: str = "expected numbers"
) -> Iterator[tuple[int, Step]]:
    """(t, the step at t) for all t, upwards or downwards; a stationary pair's step is made once.

    verified: the kernels of another rule than speculative decoding's. what: is computed, in words.
    """
    step, times = None, range(pair.horizon)
    for t in stepping(times[::-1] if backwards else times, what):
        if verified is not None:
            accepted, rejected, _ = verified.at(t)
            yield t, Step(pair.draft[t], pair.target[t], accepted, rejected)
            continue
        if step is None or not pair.is_stationary:
            draft, target = pair.draft[t], pair.target[t]
            step = Step(draft, target, np.minimum(draft, target), speculative_rejected(draft, target))
        yield t, step
