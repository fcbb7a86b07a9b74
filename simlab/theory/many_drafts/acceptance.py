"""What each rule of verifying many drafts accepts and rejects at one position, token by token.

Every rule here emits the target exactly: accepted + rejected = target. *Accepted* y: one of the k drafts has
value y and is taken. *Rejected* y: no draft is taken, and y is emitted instead.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from simlab.checks import check_flag
from simlab.errors import SimlabError
from simlab.theory.many_drafts.meeting import inclusion_without_replacement
from simlab.theory.many_drafts.optimal import optimal_rejected
from simlab.theory.many_drafts.recursive import recursive_rejected
from simlab.theory.many_drafts.rows import checked_drafts, checked_rows

RULES = {
    "recursive": "drafts are tried one by one, each against what the target has left",
    "k-seq": "each draft in turn is accepted with probability min(1, target/(gamma draft)), gamma the best",
    "optimal": "one of the rules that accept as much as any rule can",
    "match": "a token is drawn from the target, and accepted if it is among the drafts",
    "greedy": "the likeliest k - 1 tokens and one draw are drafted, and verified as well as can be",
}
"""The rules by name."""


class Acceptance(NamedTuple):
    """accepted, rejected: (..., V), masses of each emitted token, which sum to the target's."""

    accepted: np.ndarray
    rejected: np.ndarray

    @property
    def probability(self) -> np.ndarray:
        """P(some draft is accepted), (...)."""
        return self.accepted.sum(axis=-1)

    @property
    def residual(self) -> np.ndarray:
        """The distribution of the token after no draft is accepted, (..., V); nan where one always is."""
        whole = self.rejected.sum(axis=-1, keepdims=True)
        return np.divide(self.rejected, whole, out=np.full(self.rejected.shape, np.nan), where=whole > 0)


def acceptance(rule: str, draft, target, drafts, replacement: bool = True) -> Acceptance:
    """What `rule`, one of `RULES`, accepts and rejects of `drafts` drafted tokens.

    draft, target: distributions (V,), or arrays (..., V), broadcast against each other. drafts: k, a whole
    number >= 1, or math.inf for the limit of many. replacement: whether drafts are drawn independently,
    or each from the tokens not drawn before; `k-seq` has independent drafts only, and `greedy` one draw
    only, whatever replacement is. With more drafts without replacement than tokens of positive draft
    probability all of these are tried.

    Sources: `recursive`: its module. `k-seq`: Sun et al. 2023, SpecTr (arXiv 2310.15141), see `best_gamma`.
    `optimal`: `optimal_rejected` says which of the optimal rules. `match`: y is accepted if it is drawn from
    the target and is among the drafts, target(y) P(y in S), as sampling engines do. `greedy`: Hu et al. 2025
    (arXiv 2502.18779): the likeliest k - 1 tokens are accepted whenever the target has them, the others up to
    min(target, draft/draft(others)); the optimum of these drafts.

    Raises SimlabError for other rules, rows that are not distributions, drafts below 1, `k-seq` without
    replacement, and where `recursive` without replacement is too large to enumerate.

    Example:
        >>> float(acceptance("recursive", [0.6, 0.3, 0.1], [0.1, 0.6, 0.3], drafts=2).probability.round(12))
        0.7
    """
    if rule not in RULES:
        raise SimlabError(f"no rule {rule!r} of verifying many drafts: known are {', '.join(RULES)}")
    draft, target = checked_rows(draft, target)
    drafts, replacement = checked_drafts(drafts), check_flag("replacement", replacement)
    rows = draft.reshape(-1, draft.shape[-1]), target.reshape(-1, target.shape[-1])
    match rule:
        case "recursive":
            rejected = recursive_rejected(*rows, drafts, replacement)
        case "k-seq":
            rejected = _k_seq_rejected(*rows, drafts, replacement)
        case "optimal":
            rejected = optimal_rejected(*rows, drafts, replacement)
        case "match":
            rejected = rows[1] * (1.0 - included(rows[0], drafts, replacement))
        case "greedy":
            rejected = optimal_rejected(*rows, drafts, construction="greedy")
    rejected = np.clip(rejected.reshape(target.shape), 0.0, target)
    return Acceptance(target - rejected, rejected)


def included(draft: np.ndarray, drafts: int | float, replacement: bool) -> np.ndarray:
    """P(y is among the drafts) of every token, for rows (N, V)."""
    if drafts == math.inf:
        return (draft > 0).astype(float)
    if not replacement:
        return inclusion_without_replacement(draft, drafts)
    return _one_of(draft, drafts)


def best_gamma(draft: np.ndarray, target: np.ndarray, drafts: int) -> np.ndarray:
    """The gamma with which K-SEQ accepts most, (N,), for rows (N, V).

    With beta = sum min(draft, target/gamma) a draft is accepted with probability beta, one of k with 1 - (1
    - beta)^k, and then it is y in proportion to min(draft, target/gamma)(y). No token is accepted more
    often than the target has it if 1 - (1 - beta)^k <= gamma beta: for target(y)/gamma <= draft(y) that
    is what it says, and elsewhere it follows. As gamma rises, beta falls, so the left side falls, and
    gamma beta = sum min(gamma draft, target) rises: the smallest such gamma, in [1, k], accepts most.
    Found by bisection, to rounding.
    Source: Sun et al. 2023, SpecTr, Theorem 2, where it is shown to accept at least 1 - 1/e of the optimum;
    monotonicity own.
    """
    low, high = np.ones(len(draft)), np.full(len(draft), float(drafts))
    for _ in range(64):
        middle = (low + high) / 2
        beta = _beta(draft, target, middle)
        enough = _one_of(beta, drafts) <= middle * beta
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    beta = _beta(draft, target, low)
    return np.where(_one_of(beta, drafts) <= low * beta, low, high)


def _k_seq_rejected(draft, target, drafts, replacement: bool) -> np.ndarray:
    if not replacement and drafts > 1:
        raise SimlabError("k-seq verifies independent drafts: give replacement=True, or another rule")
    if drafts == math.inf:  # gamma beta tends to target(proposed tokens), at which the drafts suffice for all
        return np.where(draft > 0, 0.0, target)
    gamma = best_gamma(draft, target, drafts)
    each = np.minimum(draft, target / gamma[:, None])
    beta = np.minimum(each.sum(axis=1), 1.0)
    tries = np.divide(_one_of(beta, drafts), beta, out=np.zeros(len(beta)), where=beta > 0)
    return np.maximum(target - each * tries[:, None], 0.0)


def _beta(draft: np.ndarray, target: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    return np.minimum(np.minimum(draft, target / gamma[:, None]).sum(axis=1), 1.0)


def _one_of(probability: np.ndarray, drafts: int) -> np.ndarray:
    """P(at least one of so many independent events), which keeps its digits where that is small."""
    with np.errstate(divide="ignore"):
        return -np.expm1(drafts * np.log1p(-np.minimum(probability, 1.0)))
