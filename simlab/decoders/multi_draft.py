"""The settings of decoding with several drafts at each position of a call."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

import numpy as np

from simlab.checks import check_count, check_flag, shortened
from simlab.errors import SimlabError

RULES = ("recursive", "k-seq", "optimal", "match", "greedy")
"""How `MultiDraftSpeculative` verifies the children at one position."""

MOST_POSITIONS, MOST_CHILDREN = 65535, 65535


@dataclass(frozen=True)
class MultiDraftSpeculative:
    """Speculative decoding with several drafted tokens, children, at each position of a call.

    At position i of a call drafts[i] children are drawn from the draft after the token accepted before. The
    rule accepts one of them, or none: then one corrected token ends the call. Where a child is accepted at
    every position, the call ends with the bonus token, straight from the target. With R tokens left a call
    has min(len(drafts), R - 1) positions with the bonus token, min(len(drafts), R) without. A call verifies
    its whole tree, drafts[0] tokens, drafts[0] * drafts[1] at the second position, and so on: these are its
    drafted tokens. The output is the target's, whatever the rule.

    rule:
    recursive: the children are tried in order, each accepted with min(1, residual/draft), where each failure
        leaves [residual - draft]_+ as the next residual, the target at first (SpecInfer, Miao et al. 2024;
        recursive rejection sampling, Jeon et al. 2024; Yin et al. 2024, Algorithm 4).
    k-seq: each child is accepted with min(1, target/(gamma draft)), gamma the smallest number in [1, k] with
        1 - (1 - beta)^k <= gamma beta, beta = sum of min(draft, target/gamma) (SpecTr, Sun et al. 2023).
    optimal: no rule accepts more. Of all such rules the one whose accepted part of the target is largest in
        the order of falling target/draft, token after token, equal ratios by the lower number.
    match: a token is drawn from the target, and accepted where it is one of the children.
    greedy: the children are the draft's k - 1 likeliest tokens (equal ones: the lower number) and one drawn
        from the rest of it. That one is accepted with min(1, target/rest), or else a token is drawn from
        [target - rest]_+, and accepted where it is one of the k - 1.

    replacement: whether the children are independent draws from the draft, or distinct ones: each is then
    drawn from what the draft leaves of the others, and recursive rejection takes them out of the draft in
    the same way. Where they are more than the tokens that the draft ever proposes, all of those are tried.
    Not for k-seq, which is made for independent children; the children of greedy differ anyway.

    drafts=(M, 1, 1, ...) to the horizon without the bonus token is `BatchSpeculative(M)`. Raises SimlabError
    for drafts that are not whole numbers >= 1, and for an unknown rule.
    """

    drafts: tuple[int, ...] = (4, 2, 1)
    rule: str = "recursive"
    replacement: bool = True
    bonus: bool = True
    is_biased: ClassVar[bool] = False
    is_finite: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "drafts", _check_drafts(self.drafts))
        if not isinstance(self.rule, str) or self.rule not in RULES:
            raise SimlabError(f"no rule {shortened(self.rule)}: known are {', '.join(RULES)}")
        object.__setattr__(self, "replacement", check_flag("replacement", self.replacement))
        object.__setattr__(self, "bonus", check_flag("bonus", self.bonus))
        if self.rule == "k-seq" and not self.replacement:
            raise SimlabError(
                "rule = 'k-seq' with replacement = False: its gamma is for independent children; "
                "give replacement = True, or another rule"
            )

    @property
    def has_bonus(self) -> bool:
        """Whether a call that accepts a child at every position yields one more token."""
        return self.bonus

    @property
    def window(self) -> int:
        """Positions of a call that has room for them."""
        return len(self.drafts)

    @property
    def drafts_per_call(self) -> int:
        """Paths through the tree of a call."""
        return math.prod(self.drafts)

    def tokens_at(self, positions: int) -> list[int]:
        """How many tokens a call drafts at each of its first positions, 1 to `positions`."""
        return list(accumulate(self.drafts[:positions], operator.mul))


def _check_drafts(drafts) -> tuple[int, ...]:
    if not isinstance(drafts, list | tuple | np.ndarray) or not len(drafts):
        raise SimlabError(
            f"drafts = {shortened(drafts)} is not valid; "
            "expected a whole number of at least 1 for each position of a call, "
            "such as [4, 2, 1]"
        )
    if len(drafts) > MOST_POSITIONS:
        raise SimlabError(f"drafts: {len(drafts)} positions; give at most {MOST_POSITIONS}")
    return tuple(check_count(f"drafts[{i}]", each, most=MOST_CHILDREN) for i, each in enumerate(drafts))
