"""Rules that accept too much: fewer rejections for an output that is not the target's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simlab.checks import check_count, check_number
from simlab.errors import SimlabError
from simlab.rules.parts import likeliest, ratio, residual

REPLACEMENTS = ("optimal", "target", "draft", "residual")
"""What a rejected token of over-acceptance is replaced by."""


@dataclass(frozen=True)
class OverAcceptance:
    """Accept with min(1, (target + epsilon)/draft) (Yin et al. 2024, Section 4).

    epsilon: a finite number >= 0. replacement: of a rejected token, "optimal" ([target - accepted]_+,
    Theorem 4), "target", "draft" or "residual", as of `simlab.BiasedSpeculative`, whose prediction this rule
    has. Raises SimlabError for anything else.
    """

    epsilon: float = 0.1
    replacement: str = "optimal"
    takes_many: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "epsilon", check_number("epsilon", self.epsilon, least=0.0))
        if not isinstance(self.replacement, str) or self.replacement not in REPLACEMENTS:
            raise SimlabError(f"no replacement {self.replacement!r}: known are {', '.join(REPLACEMENTS)}")

    @property
    def is_biased(self) -> bool:
        """False where it is speculative decoding exactly: epsilon = 0 with a residual as replacement."""
        return self.epsilon > 0 or self.replacement in ("target", "draft")

    def __call__(self, draft, target) -> tuple[np.ndarray, np.ndarray]:
        # From epsilon = 1 on every token is accepted, whatever the rounding of the row.
        goal = target + self.epsilon if self.epsilon < 1 else np.ones_like(target)
        match self.replacement:
            case "target":
                replaced = target
            case "draft":
                replaced = draft
            case _:  # one distribution: simlab.theory.kernels.replacement_distribution says why
                replaced = residual(target, draft)
        return ratio(goal, draft), replaced


@dataclass(frozen=True)
class Lenient:
    """Accept with min(1, target/(leniency * draft)), replace from [target - draft]_+ (Leviathan et al. 2023).

    leniency: a number in (0, 1]; 1 is speculative decoding, and the smaller it is the more is accepted.
    Raises SimlabError for anything else.
    """

    leniency: float = 0.5
    takes_many: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "leniency", check_number("leniency", self.leniency, above=0.0, most=1.0))

    @property
    def is_biased(self) -> bool:
        """False at leniency = 1."""
        return self.leniency < 1

    def __call__(self, draft, target) -> tuple[np.ndarray, np.ndarray]:
        return ratio(target, self.leniency * draft), residual(target, draft)


@dataclass(frozen=True)
class Typical:
    """Typical acceptance (Cai et al. 2024, Medusa): accept y if and only if it is typical of the target,

        target(y) > min(epsilon, delta * exp(-H(target))),  H the entropy in nats;

    a rejected token is replaced by the target's likeliest one, the lowest number of equally likely ones. The
    draft's probabilities play no part. epsilon, delta: finite numbers >= 0, Medusa's by default. Raises
    SimlabError for anything else.
    """

    epsilon: float = 0.09
    delta: float = 0.3
    takes_many: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("epsilon", "delta"):
            object.__setattr__(self, name, check_number(name, getattr(self, name), least=0.0))

    def __call__(self, draft, target) -> tuple[np.ndarray, np.ndarray]:
        logs = np.log(np.where(target > 0, target, 1.0))
        certainty = np.exp((target * logs).sum(axis=-1, keepdims=True))  # exp(-H)
        threshold = np.minimum(self.epsilon, self.delta * certainty)
        return (target > threshold).astype(float), likeliest(target)


@dataclass(frozen=True)
class TopKRelaxed:
    """Relaxed acceptance (TensorRT-LLM): accept y if and only if it is among the target's k likeliest tokens
    and target(y) >= max target - delta; a rejected token is replaced by the target's likeliest one.

    As `mtpRelaxedAcceptanceKernel` has it (cpp/tensorrt_llm/kernels/speculativeDecoding/mtpKernels.cu), which
    is given probabilities and its greedy token. There drafts are greedy, delta is 0 unless the model thinks,
    and the bonus token is the likeliest one; here tokens are drawn from the draft, delta always holds, and
    the bonus token is the target's. Its own defaults are k = 1 and delta = 0, which is greedy; those here are
    NVIDIA's advice for DeepSeek-R1. Of equally likely tokens the lower numbers come first. k: a whole number
    >= 1; delta: a finite number >= 0. Raises SimlabError for anything else.
    """

    k: int = 10
    delta: float = 0.6
    takes_many: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", check_count("k", self.k))
        object.__setattr__(self, "delta", check_number("delta", self.delta, least=0.0))

    def __call__(self, draft, target) -> tuple[np.ndarray, np.ndarray]:
        among = np.zeros(target.shape, bool)
        first = np.argsort(-target, axis=-1, kind="stable")[..., : self.k]
        np.put_along_axis(among, first, True, axis=-1)
        near = target >= target.max(axis=-1, keepdims=True) - self.delta
        return (among & near).astype(float), likeliest(target)
