"""Rules whose output is the target's, whatever the two rows are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simlab.rules.parts import likeliest, ratio, residual


@dataclass(frozen=True)
class Speculative:
    """Speculative decoding's own rule: accept with min(1, target/draft), replace from [target - draft]_+.

    Leviathan et al. 2023; of all unbiased rules that with the fewest rejections (Yin et al. 2024, Theorem 2).
    Its prediction is that of `simlab.Speculative`.
    """

    is_biased: ClassVar[bool] = False
    takes_many: ClassVar[bool] = True

    def __call__(self, draft, target) -> tuple[np.ndarray, np.ndarray]:
        return ratio(target, draft), residual(target, draft)


@dataclass(frozen=True)
class TokenMatch:
    """The target draws a token of its own, and the drafted one is accepted if and only if it is the same.

    What engines call sampler match. As a rule: accept y with target(y), replace it from the target without
    y. Exact for every proposal, sampled or not; a sampled draft is accepted with probability
    sum draft * target, never more than sum min(draft, target).
    """

    is_biased: ClassVar[bool] = False
    needs_the_draft: ClassVar[bool] = False
    takes_many: ClassVar[bool] = True

    def __call__(self, draft, target) -> tuple[np.ndarray, np.ndarray]:
        # Weights: each row is normalised where the rule is taken.
        others = target[..., None, :] * (1.0 - np.eye(target.shape[-1]))
        return np.minimum(target, 1.0), others


@dataclass(frozen=True)
class GreedyMatch(TokenMatch):
    """The draft proposes its likeliest token (the lowest number of equally likely ones) as a certain one.

    It is accepted if and only if the target draws it; otherwise what the target drew stands.
    """

    def propose(self, draft) -> np.ndarray:
        """The point mass on the draft's likeliest token."""
        return likeliest(draft)
