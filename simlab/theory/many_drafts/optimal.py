"""The most that any verification of many drafts accepts, if its output is to be exactly the target's.

At one position k tokens are drafted; S is the set of their values. A rule sees S and emits one token, which
is accepted if it is in S. Of all rules whose output is the target, none accepts with more probability than

    alpha* = min over U of [ target(rest) + P(S meets U) ],    U any set of tokens, rest = all others.

Maximum flow and minimum cut: each S sends its probability to tokens in it, each of which takes up at most its
target probability. A cut chooses the tokens of the rest, pays target(rest) for them, and P(S meets U) for the
sets that are not within the rest (Sun et al. 2023, SpecTr, arXiv 2310.15141, as a linear program; Hu et al.
2025, arXiv 2502.18779, in this form, with W = rest: alpha* = 1 + min over W of [target(W) - P(S within W)]).

**Why sets U_j of the tokens with the largest target/draft are enough** (own). Let p be the draft, F(W) =
P(S within W). Claim, for any W, i in W, j not in W, of positive draft probability:

    [F(W) - F(W - i)] / p(i)  <=  [F(W + j) - F(W)] / p(j).                                            (*)

Then let W be the largest of the optimal sets (unions of optimal sets are optimal, F being supermodular). It
is optimal, so target(i) <= F(W) - F(W - i), and no larger set is optimal, so F(W + j) - F(W) < target(j).
Hence target(i)/p(i) < target(j)/p(j): W holds the tokens of smallest target/draft, ties included. A token of
draft probability 0 adds target(j) to the sum and nothing to F: it is in U, first of all. The argument holds
as well where W must contain given tokens.

(*) with replacement: F(W) = p(W)^k is convex in p(W), and (*) compares its slopes on both sides of p(W).
(*) without replacement, by exponential clocks (`meeting`): let A = W - i, C = all but W and j, and s the time
at which i rings on the left side, j on the right side. The left side is ∫ e^(-p(i)s) P(left) ds, where `left`
says: fewer than k of A ring before s, and j and all of C after both s and the (k-1)-th ring of A. The right
side is ∫ e^(-p(j)s) P(right) ds, where `right` says: fewer than k of A + i ring before s, and all of C after
both s and the (k-1)-th ring of A + i. On the left j rings after s, an independent event of probability
e^(-p(j)s). On the right let i ring after s, with probability e^(-p(i)s): then fewer than k of A + i have rung
before s as soon as fewer than k of A have, and the (k-1)-th ring of A + i is not later than that of A. So
e^(-p(i)s) P(left) <= e^(-p(i)s - p(j)s) P(fewer than k of A before s, C late enough) <= e^(-p(j)s) P(right).

`greedy` and `hub` drafts are h tokens for certain, the likeliest ones, and k - h draws from the other tokens.
If U holds one of the h it is met, and target(rest) + 1 is least for U = everything, where it is 1; otherwise
U is among the other tokens, and S meets it if their draws do: the same problem for the other tokens' draft,
with alpha* = target(h tokens) + min over U of [target(other tokens but U) + P(draws meet U)].
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from simlab.checks import check_flag
from simlab.errors import SimlabError
from simlab.theory.many_drafts.meeting import (
    masses,
    meeting_with_replacement,
    meeting_without_replacement,
)
from simlab.theory.many_drafts.rows import checked_drafts, checked_rows

CONSTRUCTIONS = {
    "sampled": "every draft is drawn from the draft model, with or without replacement",
    "greedy": "the k - 1 likeliest tokens, and one draw from the others",
    "hub": "the likeliest token, and k - 1 draws from the others, with or without replacement",
}
"""How the k drafts of a position are chosen. Ties among the likeliest: the lowest number first."""


def optimal_acceptance(draft, target, drafts, replacement: bool = True, construction: str = "sampled"):
    """The largest P(accepted) of any rule that verifies `drafts` drafted tokens and emits the target exactly.

    draft, target: distributions (V,), or arrays (..., V) of them, broadcast against each other. drafts: k, a
    whole number >= 1, or math.inf for the limit of many. replacement: whether drafts are drawn independently
    or each from the tokens not drawn before. construction: one of `CONSTRUCTIONS`; `greedy` has one draw
    only, whatever `replacement` is, and `hub` with two drafts is SpecHub's (arXiv 2411.05289). Returns (...),
    a float for single rows.

    With more drafts without replacement than the draft has tokens of positive probability all of these are
    tried, and so they are in the limit, either way: then it is their target probability. One draft: 1 - TV.

    Source, and the proof that sets of one order are enough: the module's docstring. O(V log V) with
    replacement; without, O(V k) at each of some hundred nodes of an integral, accurate to 1e-12. Raises
    SimlabError for rows that are not distributions, drafts below 1 and unknown constructions.

    Example:
        >>> round(optimal_acceptance([0.6, 0.3, 0.1], [0.1, 0.6, 0.3], drafts=2), 12)
        0.74
    """
    draft, target = checked_rows(draft, target)
    cut = _cut(draft, target, checked_drafts(drafts), replacement, construction)
    best = (cut.kept + cut.meets).min(axis=1) + cut.certain
    best = np.minimum(best, 1.0).reshape(draft.shape[:-1])
    return float(best) if best.ndim == 0 else best


def optimal_rejected(draft, target, drafts, replacement: bool = True, construction: str = "sampled"):
    """What one optimal rule rejects: entry y is P(no draft is accepted, and y is emitted), (..., V).

    Only the total, 1 - `optimal_acceptance`, is the same for all optimal rules. This is the one that accepts
    as much as any rule could of the tokens with the largest target/draft, then as much as then is possible of
    the next one, and so on: accepted(U_j) is the largest acceptance of tokens of U_j alone, for every j. Such
    masses can be accepted together as they are a vertex of the polymatroid of all accepted masses that can
    (Edmonds). The argument of the module holds for the sets within U_j too, so accepted(U_j) = min over i <=
    j of [P(S meets U_i) + target(U_j but U_i)], and what is rejected of U_j is

        max over i <= j of [target(U_i) - P(S meets U_i)],

    a running maximum (own): all in O(V log V). target - rejected is what is accepted. Arguments and errors:
    `optimal_acceptance`; ties of target/draft: the lowest token first.
    """
    draft, target = checked_rows(draft, target)
    cut = _cut(draft, target, checked_drafts(drafts), replacement, construction)
    wanted = np.take_along_axis(cut.target, cut.order, axis=1)
    missing = np.maximum.accumulate(masses(wanted)[0] - cut.meets, axis=1)
    rejected = np.zeros(cut.target.shape)
    np.put_along_axis(rejected, cut.order, np.minimum(np.diff(missing, axis=1), wanted), axis=1)
    return rejected.reshape(target.shape)


class _Cut(NamedTuple):
    """The sets U_0, U_1, .. of each of N rows. order: (N, V), the tokens by falling target/draft. kept:
    (N, V + 1), target(rest) of U_j, without tokens that are drafted for certain; meets: (N, V + 1), P(draws
    meet U_j). certain: (N,), the target probability of the tokens drafted for certain. target: (N, V), 0
    where a token is drafted for certain.
    """

    order: np.ndarray
    kept: np.ndarray
    meets: np.ndarray
    certain: np.ndarray
    target: np.ndarray


def _cut(draft, target, drafts, replacement: bool, construction: str) -> _Cut:
    if construction not in CONSTRUCTIONS:
        known = ", ".join(CONSTRUCTIONS)
        raise SimlabError(f"no construction of drafts {construction!r}: known are {known}")
    replacement = check_flag("replacement", replacement)
    states = draft.shape[-1]
    draft, target = draft.reshape(-1, states), target.reshape(-1, states)
    certain = np.zeros(draft.shape, bool)
    if construction != "sampled" and drafts > 1:
        sure = 1 if construction == "hub" else int(min(drafts - 1, states))
        np.put_along_axis(certain, np.argsort(-draft, axis=1, kind="stable")[:, :sure], True, axis=1)
        replacement = replacement and construction == "hub"
        drafts = drafts - sure if drafts < math.inf else drafts
    certain &= draft > 0
    sure_target = np.where(certain, target, 0.0).sum(axis=1)
    draft, target = np.where(certain, 0.0, draft), np.where(certain, 0.0, target)
    whole = draft.sum(axis=1, keepdims=True)
    draft = np.divide(draft, whole, out=np.zeros(draft.shape), where=whole > 0)
    order = _falling_ratio(draft, target)
    meeting = meeting_with_replacement if replacement else meeting_without_replacement
    meets = meeting(np.take_along_axis(draft, order, axis=1), drafts)
    kept = masses(np.take_along_axis(target, order, axis=1))[1]
    return _Cut(order, kept, meets, sure_target, target)


def _falling_ratio(draft: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The tokens of each row by falling target/draft, the lower number first where it is equal, (N, V).

    Where target/draft is too large a number draft/target tells them apart. Tokens of neither model come last.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.where(target > 0, target / draft, 0.0)
        inverse = np.where(np.isinf(ratio), draft / target, 0.0)
    return np.lexsort((inverse, -ratio), axis=1)
