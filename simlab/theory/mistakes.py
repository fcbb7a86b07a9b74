"""One step of speculative decoding: what is accepted, what is replaced, and what goes wrong.

One token, distributions `draft` and `target` (V,). The draft proposes y ~ draft, which is accepted with
probability b(y) = min(1, target(y)/draft(y)), else replaced by a draw from the residual, [target - draft]_+
made to sum to 1. Accepted y has probability draft(y) b(y) = min(draft, target)(y). A token is rejected with
probability 1 - sum min(draft, target) = sum [target - draft]_+, the total variation, so replaced by y has
[target - draft]_+(y), and the two sum to the target, whatever the two distributions (Leviathan et al. 2023,
Appendix A.1).

The mistakes are those that implementations make; their distributions below are own, each by summing over what
is proposed. Most keep the acceptance rate as it is: a test of that rate alone sees none of those.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from simlab.aliases import old_name
from simlab.errors import SimlabError

MISTAKES = {
    "no residual": "a rejected token is replaced by a draw from the target itself",
    "shared uniform": "the uniform number that rejected the token also draws its replacement, by inverting "
    "the distribution function of the residual",
    "greedy draft": "the draft proposes its likeliest token, which is accepted and replaced as if it had "
    "been sampled",
    "not normalised": "the replacement is drawn from [target - draft]_+ as it is; where it ends short of the "
    "uniform number, the last token is taken",
    "roles exchanged": "draft and target change places in acceptance and residual, as p and q do between the "
    "papers",
}
"""What each mistake is, by name."""


class Step(NamedTuple):
    """Probabilities of one step, float64 (V,): y was proposed and accepted; y replaced what was rejected."""

    accepted: np.ndarray
    replaced: np.ndarray

    @property
    def distribution(self) -> np.ndarray:
        """(V,), the distribution of the token that comes out."""
        return self.accepted + self.replaced

    law = old_name("distribution")

    @property
    def acceptance(self) -> float:
        """P(accepted)."""
        return float(self.accepted.sum())

    def bias(self, target) -> float:
        """The total variation between the distribution that comes out and the target."""
        return float(np.abs(self.distribution - target).sum() / 2)


def correct_step(draft, target) -> Step:
    """The step as it should be. draft, target: (V,), probabilities. Source: the module's docstring."""
    draft, target = np.asarray(draft, float), np.asarray(target, float)
    return Step(np.minimum(draft, target), np.maximum(target - draft, 0.0))


def mistaken_step(mistake: str, draft, target) -> Step:
    """The step with one of `MISTAKES`. draft, target: (V,), probabilities. Raises SimlabError for others."""
    if mistake not in _STEPS:
        raise SimlabError(f"no mistake {mistake!r}: known are {', '.join(MISTAKES)}")
    return _STEPS[mistake](np.asarray(draft, float), np.asarray(target, float))


def _no_residual(draft: np.ndarray, target: np.ndarray) -> Step:
    accepted, replaced = correct_step(draft, target)
    return Step(accepted, replaced.sum() * target)


def _shared_uniform(draft: np.ndarray, target: np.ndarray) -> Step:
    """y is rejected by u in [b(y), 1), which then is all of that interval that it can be, and z is drawn if
    F(z - 1) <= u < F(z), F the distribution function of the residual: draft(y) times the length of what the
    two intervals share, summed over y. So tokens early in the order are drawn too seldom.
    """
    accepted, replaced = correct_step(draft, target)
    if not replaced.any():
        return Step(accepted, replaced)
    ends = np.cumsum(replaced) / replaced.sum()
    starts = np.append(0.0, ends[:-1])
    shared = np.minimum(ends, 1.0) - np.maximum(starts, _ratio(target, draft)[:, None])
    return Step(accepted, draft @ np.maximum(shared, 0.0))


def _greedy_draft(draft: np.ndarray, target: np.ndarray) -> Step:
    """The first of the likeliest tokens is proposed for certain. (Right would be the point mass there
    instead of the draft: to accept it with its target probability, and else to draw another token.)
    """
    proposed = int(np.argmax(draft))
    accepted = np.zeros(len(draft))
    accepted[proposed] = _ratio(target, draft)[proposed]
    return Step(accepted, (1 - accepted[proposed]) * _residual(target, draft))


def _not_normalised(draft: np.ndarray, target: np.ndarray) -> Step:
    accepted, excess = correct_step(draft, target)
    rejected = excess.sum()
    replaced = rejected * excess
    replaced[-1] += rejected * (1 - rejected)
    return Step(accepted, replaced)


def _roles_exchanged(draft: np.ndarray, target: np.ndarray) -> Step:
    accepted = draft * _ratio(draft, target)
    return Step(accepted, (1 - accepted.sum()) * _residual(draft, target))


def _ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """min(1, over/under), 1 where `under` is 0."""
    return np.divide(np.minimum(over, under), under, out=np.ones(len(under)), where=under > 0)


def _residual(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """[over - under]_+ made to sum to 1; zeros where there is none, and then nothing is rejected."""
    excess = np.maximum(over - under, 0.0)
    return excess / excess.sum() if excess.any() else excess


_STEPS: dict[str, Callable[[np.ndarray, np.ndarray], Step]] = {
    "no residual": _no_residual,
    "shared uniform": _shared_uniform,
    "greedy draft": _greedy_draft,
    "not normalised": _not_normalised,
    "roles exchanged": _roles_exchanged,
}
