"""The settings of each decoding algorithm, as frozen dataclasses that also state its facts.

Every class says, without a default to fall back on:

drafts_per_call: how many drafts are made for each target call; 0 where there is no draft model.
is_biased: whether the output's distribution may differ from the target's.
has_bonus: whether a call whose drafted tokens are all accepted yields one more token from the target.
is_finite: whether a computer can run it; False for an exact limit that only `predict` knows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral
from typing import ClassVar

import numpy as np

from simlab.checks import check_count, check_flag, check_number, shortened
from simlab.decoders.memory import Remembering
from simlab.decoders.multi_draft import MultiDraftSpeculative
from simlab.decoders.policy import Policy
from simlab.decoders.rule import RuleSpeculative
from simlab.errors import SimlabError
from simlab.rules.lossy import REPLACEMENTS


@dataclass(frozen=True)
class Autoregressive:
    """The target decodes alone: no drafts, no rejections, one target call a token."""

    drafts_per_call: ClassVar[int] = 0
    is_biased: ClassVar[bool] = False
    has_bonus: ClassVar[bool] = False
    is_finite: ClassVar[bool] = True


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
    drafts_per_call: ClassVar[int] = 1
    is_biased: ClassVar[bool] = False
    is_finite: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "window", _check_window(self.window))
        object.__setattr__(self, "bonus", check_flag("bonus", self.bonus))

    @property
    def has_bonus(self) -> bool:
        """Whether a call whose drafted tokens are all accepted yields one more token."""
        return self.bonus


@dataclass(frozen=True)
class BlockSpeculative:
    """Speculative decoding with block verification (Sun et al. 2024, arXiv 2403.10444), with the bonus token.

    The drafted tokens of a window are verified as a block: with running ratios p_0 = 1,
    p_i = min(p_{i-1} target(x_i)/draft(x_i), 1), position i of the window is a possible end with probability
    h_i, and the longest such prefix is accepted; then comes the bonus token, if all were accepted, or else a
    token from [p_i target - draft]_+. The output is the target's.

    window: tokens that an iteration drafts at most, >= 1; min(window, R - 1) where R tokens are left. None:
    to the horizon. Raises SimlabError for anything else.
    """

    window: int | None = 4
    drafts_per_call: ClassVar[int] = 1
    is_biased: ClassVar[bool] = False
    has_bonus: ClassVar[bool] = True
    is_finite: ClassVar[bool] = True

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
    drafts_per_call: ClassVar[int] = 1
    is_biased: ClassVar[bool] = False
    is_finite: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.policy, Policy):
            if not isinstance(self.policy, list | tuple | np.ndarray):
                raise SimlabError(
                    f"policy = {shortened(self.policy)} is not valid; "
                    "expected a simlab.Policy or a table (T, V) of windows"
                )
            object.__setattr__(self, "policy", Policy(self.policy))

    @property
    def window(self) -> int:
        """The policy's longest window."""
        return self.policy.longest

    @property
    def has_bonus(self) -> bool:
        """Whether a call whose drafted tokens are all accepted yields one more token."""
        return self.policy.bonus


SIGNALS = ("confidence", "entropy", "cumulative")
"""By what `ConfidenceSpeculative` knows that the draft is unsure."""

SAME = 1e-12
"""A root of an entropy above the threshold by less than this is as good as equal: it is a rounding error."""

LOG_STEP = 0.01
"""To so many nats the logarithms are rounded of which `cumulative` makes its product."""


@dataclass(frozen=True)
class ConfidenceSpeculative:
    """Speculative decoding that stops drafting when the draft is unsure: what a serving engine can run.

    Before each token that it would draft, at position t after token x, the rule looks at the draft's row
    draft[t, x]; c = max_y draft[t, x, y] is its confidence, the probability of its likeliest next token. It
    drafts on while fewer than `window` tokens are drafted and, by `signal`,

    confidence: c >= threshold, in [0, 1]; 0 never stops (llama.cpp's p_min);
    entropy: sqrt(H) <= threshold, >= 0, with H the row's entropy in nats (SVIP, arXiv 2411.18462, with the
        threshold h; also AdaEDL, arXiv 2410.18351, without its drift: 1 - sqrt(gamma H) >= lambda is this
        with threshold (1 - lambda) / sqrt(gamma));
    cumulative: the product of c over all rows of this call so far, this one included, is >= threshold, in
        [0, 1]; 0 never stops. Logarithms of the threshold and of each c are rounded to 0.01, so that there
        are finitely many products.

    Then the target verifies what is drafted, with the bonus token. A call may draft none. The rule looks at
    the draft's row before the next token is drawn, and never at the target, so the output is the target's.
    (Engines that stop *after* the token of low probability do the same where they draft greedily. To drop
    that token unverified would bias the output: `simlab.check_policy`.)

    window: as in `Speculative`. Raises SimlabError for anything else.
    """

    threshold: float = 0.4
    window: int | None = 8
    signal: str = "confidence"
    drafts_per_call: ClassVar[int] = 1
    is_biased: ClassVar[bool] = False
    has_bonus: ClassVar[bool] = True
    is_finite: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.signal, str) or self.signal not in SIGNALS:
            raise SimlabError(
                f"signal = {shortened(self.signal)} is not valid; expected one of {', '.join(SIGNALS)}"
            )
        most = math.inf if self.signal == "entropy" else 1.0
        object.__setattr__(self, "threshold", check_number("threshold", self.threshold, least=0.0, most=most))
        object.__setattr__(self, "window", _check_window(self.window))

    @property
    def log_limit(self) -> int | None:
        """The largest sum of rounded -log(c), in steps of 0.01, with which `cumulative` drafts on; None: any.

        None for the other signals too.
        """
        if self.signal != "cumulative" or self.threshold == 0:
            return None
        return round(-math.log(self.threshold) / LOG_STEP)


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
    is_biased: ClassVar[bool] = False
    has_bonus: ClassVar[bool] = False

    def __post_init__(self) -> None:
        drafts = self.drafts
        if isinstance(drafts, float) and math.isinf(drafts) and drafts > 0:
            return
        if isinstance(drafts, bool) or not isinstance(drafts, Integral) or drafts < 1:
            raise SimlabError(
                f"drafts = {drafts!r} is not valid; "
                "expected a whole number of at least 1, or inf for the limit"
            )
        object.__setattr__(self, "drafts", int(drafts))

    @property
    def drafts_per_call(self) -> int | float:
        """M."""
        return self.drafts

    @property
    def is_finite(self) -> bool:
        """False for drafts = inf."""
        return self.drafts != math.inf


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
    drafts_per_call: ClassVar[int] = 1
    has_bonus: ClassVar[bool] = False
    is_finite: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "epsilon", check_number("epsilon", self.epsilon, least=0.0))
        if not isinstance(self.replacement, str) or self.replacement not in REPLACEMENTS:
            raise SimlabError(f"no replacement {self.replacement!r}: known are {', '.join(REPLACEMENTS)}")

    @property
    def is_biased(self) -> bool:
        """False where it is speculative decoding exactly: epsilon = 0 with a residual as replacement."""
        return self.epsilon > 0 or self.replacement in ("target", "draft")


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
    drafts_per_call: ClassVar[int] = 1
    is_biased: ClassVar[bool] = False
    has_bonus: ClassVar[bool] = True
    is_finite: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "capacity", check_count("capacity", self.capacity))
        for name, known in (("drafted_by", DRAFTED_BY), ("shape", SHAPES)):
            value = getattr(self, name)
            if not isinstance(value, str) or value not in known:
                raise SimlabError(f"{name} = {value!r} is not valid; expected one of {', '.join(known)}")


Windowed = (
    Speculative
    | BlockSpeculative
    | AdaptiveSpeculative
    | ConfidenceSpeculative
    | Remembering
    | RuleSpeculative
)
"""Decoders that draft a window of tokens in a row before each target call."""

Decoder = (
    Autoregressive | Windowed | BatchSpeculative | BiasedSpeculative | TreeSpeculative | MultiDraftSpeculative
)
