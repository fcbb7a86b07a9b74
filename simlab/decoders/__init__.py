"""Which algorithm decodes: the settings of each decoding algorithm, and nothing else.

The settings stand apart from the samplers, the references and the theory because all three take them,
and none of the three may import another.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral

import numpy as np

from simlab.checks import check_count, check_flag, check_number
from simlab.decoders.policy import Policy
from simlab.errors import SimlabError


@dataclass(frozen=True)
class Autoregressive:
    """The target decodes alone: no drafts, no rejections, one target call a token."""


@dataclass(frozen=True)
class Speculative:
    """Speculative decoding (Leviathan et al. 2023; Yin et al. 2024, Algorithms 1 and 2).

    The draft proposes a token; it is accepted with probability min(1, target/draft); on rejection the
    token is replaced by a draw from [target - draft]_+ and drafting starts over. Each iteration, the tokens
    from one start to the next, is one target call.

    window: how many tokens an iteration drafts at most, a whole number >= 1; None: the look-ahead reaches the
    horizon. bonus: whether an iteration whose drafted tokens are all accepted yields one more token, straight
    from the target. With R tokens left it drafts min(window, R - 1) with the bonus token, which would
    otherwise have no place, and min(window, R) without. The default, drafting to the horizon without a bonus
    token, is the algorithm of Yin et al.; engines use a window and the bonus token. Raises SimlabError for
    anything else.
    """

    window: int | None = None
    bonus: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "window", _check_window(self.window))
        object.__setattr__(self, "bonus", check_flag("bonus", self.bonus))


@dataclass(frozen=True)
class BlockSpeculative:
    """Speculative decoding with block verification (Sun et al. 2024, arXiv 2403.10444), with the bonus token.

    The drafted tokens of a window are verified as a block: with running ratios p_0 = 1,
    p_i = min(p_{i-1} target(x_i)/draft(x_i), 1), place i of the window is a possible end with probability
    h_i, and the longest such prefix is accepted; then comes the bonus token, if all were accepted, or else a
    token from [p_i target - draft]_+. The output is the target's.

    window: tokens that an iteration drafts at most, >= 1; min(window, R - 1) where R tokens are left. None:
    to the horizon. Raises SimlabError for anything else.
    """

    window: int | None = 4

    def __post_init__(self) -> None:
        object.__setattr__(self, "window", _check_window(self.window))


@dataclass(frozen=True)
class AdaptiveSpeculative:
    """Speculative decoding whose window depends on the position and the last token.

    policy: a `simlab.Policy`, e.g. `simlab.optimal_policy(pair, cost)`, or a table (T, V) of windows, then
    with the bonus token. Raises SimlabError for anything else; a policy for another pair is refused where
    the pair is known.
    """

    policy: Policy

    def __post_init__(self) -> None:
        if not isinstance(self.policy, Policy):
            if not isinstance(self.policy, list | tuple | np.ndarray):
                raise SimlabError(
                    f"policy = {self.policy!r}: give a simlab.Policy or a table (T, V) of windows"
                )
            object.__setattr__(self, "policy", Policy(self.policy))


@dataclass(frozen=True)
class ConfidenceSpeculative:
    """Speculative decoding that stops drafting when the draft is unsure: what a serving engine can run.

    Before each token that it would draft, at position t after token x, the draft's confidence is the
    probability of its likeliest next token, max_y draft[t, x, y]. It drafts on while that is >= threshold and
    fewer than `window` tokens are drafted; then the target verifies them, with the bonus token. A call may
    draft none. The rule looks at drafted tokens only, never at the target, so the output is the target's.
    (Engines that stop *after* the token of low probability do the same where they draft greedily. To drop
    that token unverified would bias the output.)

    threshold: in [0, 1]; 0 never stops. window: as in `Speculative`. Raises SimlabError for anything else.
    """

    threshold: float = 0.4
    window: int | None = 8

    def __post_init__(self) -> None:
        object.__setattr__(self, "threshold", check_number("threshold", self.threshold, least=0.0, most=1.0))
        object.__setattr__(self, "window", _check_window(self.window))


def _check_window(window) -> int | None:
    return None if window is None else check_count("window", window)


@dataclass(frozen=True)
class BatchSpeculative:
    """Batch speculative decoding (Yin et al. 2024, Algorithm 4).

    drafts: how many independent drafts are tried at each fresh position (the first one and each one after
    a rejection). An integer of at least 1, or math.inf for the exact limit, which `predict` knows and no
    sampler can run. Raises SimlabError for anything else.
    """

    drafts: int | float = 4

    def __post_init__(self) -> None:
        drafts = self.drafts
        if isinstance(drafts, float) and math.isinf(drafts) and drafts > 0:
            return
        if isinstance(drafts, bool) or not isinstance(drafts, Integral) or drafts < 1:
            raise SimlabError(f"drafts = {drafts!r}: give a whole number of at least 1, or inf for the limit")
        object.__setattr__(self, "drafts", int(drafts))


REPLACEMENTS = ("optimal", "target", "draft", "residual")
"""What a rejected token of `BiasedSpeculative` is replaced by."""


@dataclass(frozen=True)
class BiasedSpeculative:
    """Speculative decoding that accepts too much (Yin et al. 2024, Section 4, Theorems 4 and 5).

    A drafted token is accepted with probability min(1, (target + epsilon)/draft), so fewer are rejected and
    the output is biased. A rejected token is replaced by a draw from

    optimal: [target - accepted]_+ with accepted = min(draft, target + epsilon), of all replacements one with
        the least bias (Theorem 4; "Decoding-OPT");
    target: the target itself ("Decoding-UNO" in the paper's text);
    draft: the draft ("Decoding-UNO" in the code of the paper's appendix);
    residual: [target - draft]_+, as in speculative decoding, which epsilon = 0 is exactly.

    epsilon: a finite number >= 0; from 1 on every token is accepted. Raises SimlabError for anything else.
    """

    epsilon: float = 0.1
    replacement: str = "optimal"

    def __post_init__(self) -> None:
        object.__setattr__(self, "epsilon", check_number("epsilon", self.epsilon, least=0.0))
        if not isinstance(self.replacement, str) or self.replacement not in REPLACEMENTS:
            raise SimlabError(f"no replacement {self.replacement!r}: known are {', '.join(REPLACEMENTS)}")


DRAFTED_BY = ("target", "draft")
"""By whose probabilities the tree of `TreeSpeculative` is chosen."""

SHAPES = ("tree", "chain")
"""The whole tree of the most probable prefixes, or the single chain of the same size."""


@dataclass(frozen=True)
class TreeSpeculative:
    """Deterministic speculation with draft trees (Pankratov and Alistarh 2026).

    Before each target call a tree of at most `capacity` drafted tokens is verified at once; the root, the
    given prefix, is not one of them. The target's own token path walks the tree: X tokens of it lie in the
    tree, and the call yields them and the next one, the bonus token: X + 1 in all, but no more than are left
    to the horizon. The output is the target's.

    capacity: P >= 1, a whole number. drafted_by: "target", which gives the tree with the largest E[X], or
    "draft", what a draft model that does not know the target makes of it. shape: "tree", the `capacity` most
    probable prefixes (`simlab.optimal_tree`), or "chain", the greedy continuation: each drafted token is the
    most probable one after the last. Raises SimlabError for anything else.
    """

    capacity: int = 64
    drafted_by: str = "target"
    shape: str = "tree"

    def __post_init__(self) -> None:
        object.__setattr__(self, "capacity", check_count("capacity", self.capacity))
        for name, known in (("drafted_by", DRAFTED_BY), ("shape", SHAPES)):
            value = getattr(self, name)
            if not isinstance(value, str) or value not in known:
                raise SimlabError(f"{name} = {value!r}: give one of {', '.join(known)}")


Windowed = Speculative | BlockSpeculative | AdaptiveSpeculative | ConfidenceSpeculative
"""Decoders that draft a window of tokens in a row before each target call."""

Decoder = Autoregressive | Windowed | BatchSpeculative | BiasedSpeculative | TreeSpeculative

DECODERS: dict[str, type] = {
    "autoregressive": Autoregressive,
    "speculative": Speculative,
    "batch": BatchSpeculative,
    "biased": BiasedSpeculative,
    "tree": TreeSpeculative,
    "block": BlockSpeculative,
    "adaptive": AdaptiveSpeculative,
    "confidence": ConfidenceSpeculative,
}


def decoder_name(decoder: Decoder) -> str:
    """The name of a decoder in configs and tables. Raises SimlabError for what is no decoder."""
    for name, settings in DECODERS.items():
        if type(decoder) is settings:
            return name
    known = ", ".join(f"{settings.__name__}()" for settings in DECODERS.values())
    raise SimlabError(f"{decoder!r} is no decoder: give one of {known}")


def decoder_options(decoder: Decoder) -> dict:
    """The decoder's settings as plain values, as tables show them and tasks are named by them.

    Speculative decoding to the horizon without a bonus token has none: it was there before it had options,
    and its tasks keep their names. A policy is told by its digest. Raises SimlabError for what is no decoder.
    """
    decoder_name(decoder)
    if is_plain(decoder):
        return {}
    if isinstance(decoder, AdaptiveSpeculative):
        return {"policy": decoder.policy.digest, "bonus": decoder.policy.bonus}
    return dataclasses.asdict(decoder)


def decoder_label(decoder: Decoder) -> str:
    """The decoder with its options, as tables show it: "speculative (window=4, bonus)"."""
    options = spelled_options(decoder_options(decoder))
    return decoder_name(decoder) + f" ({options})" * bool(options)


def shown_options(options: Mapping) -> dict:
    """Options as a reader should see them: a policy by the first digits of its digest."""
    return {key: value[:8] if key == "policy" else value for key, value in options.items()}


def spelled_options(options: Mapping) -> str:
    """Options as tables show them: "window=4, bonus"."""
    shown = shown_options(options)
    spelled = [
        key if value is True else f"{key}={value}" for key, value in shown.items() if value is not False
    ]
    return ", ".join(spelled)


def is_plain(decoder: Decoder) -> bool:
    """Whether it is speculative decoding as Yin et al. have it: to the horizon, without a bonus token."""
    return decoder == Speculative()


def has_bonus(decoder: Windowed) -> bool:
    """Whether an iteration whose drafted tokens are all accepted yields one more."""
    if isinstance(decoder, AdaptiveSpeculative):
        return decoder.policy.bonus
    return decoder.bonus if isinstance(decoder, Speculative) else True


def longest_window(decoder: Windowed, horizon: int) -> int:
    """K: the most tokens that one iteration can draft; 0 at T = 1 with the bonus token."""
    window = decoder.policy.longest if isinstance(decoder, AdaptiveSpeculative) else decoder.window
    left = horizon - has_bonus(decoder)
    return left if window is None else min(window, left)


def most_drafted(decoder: Windowed, horizon: int) -> int:
    """No trajectory drafts more tokens than this: every position starts a call of the longest window."""
    longest, bonus = longest_window(decoder, horizon), has_bonus(decoder)
    short = min(longest, horizon - bonus)  # the last starts have 0 or 1, 2, .. tokens to draft
    ends = short * (short - 1) // 2 if bonus else short * (short + 1) // 2
    full = horizon - short
    return full * longest + ends
