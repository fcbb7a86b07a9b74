"""What a reference did, step by step, as data: one trajectory, its target calls and their drafted tokens.

A reference tells a `Watcher` what happens while it runs. The one that it has by default lets everything pass;
a `Recorder` keeps it, and makes a `Trajectory` of it at the end. Neither has a part in what is decoded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

OUTCOMES = ("accepted", "rejected", "thrown away")
"""What becomes of a drafted token. Thrown away are those behind a rejected one, those of drafts that were not
taken, and the nodes of a tree that the target's own tokens did not pass."""


@dataclass(frozen=True)
class DraftedToken:
    """A drafted token and its verification.

    position: where it would stand among the generated tokens, from 0. draft_probability, target_probability:
    what the two models give it after the tokens before it in its draft (or on its path of the tree).
    acceptance: the probability with which it is accepted once its turn comes, such as min(1, target/draft);
    in block verification h_i, that with which the window may end behind it. coin: the uniform number that
    decided; None, as acceptance is, where its turn never came and in trees, which toss none. outcome: one of
    OUTCOMES.

    draft: in batch decoding, which of the call's drafts it belongs to, from 0; with several drafted tokens at
    each position (`MultiDraftSpeculative`) its number there. residual_target: where several are tried in
    turn, the distribution (V,) that stood in the target's place in this try. running_ratio: p_i of block
    verification. parent: in trees, which drafted token of the call it follows, -1 for the prefix.
    """

    position: int
    token: int
    draft_probability: float
    target_probability: float
    acceptance: float | None = None
    coin: float | None = None
    outcome: str = "thrown away"
    draft: int = 0
    residual_target: tuple[float, ...] | None = None
    running_ratio: float | None = None
    parent: int | None = None

    @property
    def ratio(self) -> float:
        """target_probability / draft_probability; infinite where the draft would never propose it."""
        if self.draft_probability == 0:
            return math.inf
        return self.target_probability / self.draft_probability


@dataclass(frozen=True)
class DrawnToken:
    """A token that was not drafted: its position, from 0, and the distribution (V,) that it was drawn from.

    The weights add up to 1 but for rounding.
    """

    position: int
    token: int
    distribution: tuple[float, ...]


@dataclass(frozen=True)
class Call:
    """A target call: what was drafted for it, and the tokens that it gave.

    position: of the first of them, from 0. prefix: the token before it. drafted: in the order of drafting,
    one draft after the other. accepted: how many drafted tokens were accepted. replacement: what came in the
    place of a rejected token. bonus: what the target added behind accepted ones; in a call that drafted
    nothing, its token. tokens: the accepted ones, then replacement or bonus.
    """

    position: int
    prefix: int
    drafted: tuple[DraftedToken, ...]
    accepted: int
    replacement: DrawnToken | None
    bonus: DrawnToken | None
    tokens: tuple[int, ...]

    @property
    def thrown_away(self) -> tuple[DraftedToken, ...]:
        """The drafted tokens that were neither accepted nor rejected."""
        return tuple(token for token in self.drafted if token.outcome == "thrown away")


@dataclass(frozen=True)
class Trajectory:
    """One decoded trajectory: T tokens after `start`, which were rejected, and the calls that gave them.

    start: the last token of the prompt. rejected: as in `simlab.reference.simulate`, of trees the bonus
    tokens.
    """

    start: int
    tokens: tuple[int, ...]
    rejected: tuple[bool, ...]
    calls: tuple[Call, ...]

    @property
    def rejections(self) -> int:
        """N_rej, the number of rejected tokens; of trees the number of bonus tokens."""
        return sum(self.rejected)

    @property
    def tokens_per_call(self) -> float:
        """T over the number of target calls."""
        return len(self.tokens) / len(self.calls)


class Watcher:
    """Is told what a reference does. This one lets it pass."""

    def call(self, position: int, prefix: int, *drafts) -> None:
        """A target call begins: of these drafts, each a list of tokens after `prefix`."""

    def tree(self, position: int, prefix: int, nodes) -> None:
        """A target call begins: of a tree, each node the tuple of the tokens on its path."""

    def verified(self, position: int, prefix: int, children, accepted: int | None) -> None:
        """The children of `prefix` at a position of the call were verified: each with its token, acceptance,
        coin and residual_target; accepted: which of them."""

    def tried(self, acceptance: float, coin: float, *, draft=0, residual_target=None, running_ratio=None):
        """The next token of this draft had its turn."""

    def replaced(self, distribution) -> None:
        """A rejected token is replaced by a draw from the distribution."""

    def bonus(self, distribution) -> None:
        """A token is drawn from the distribution, the target's, behind accepted ones."""


NOBODY = Watcher()
TOLD = -1
"""Stands for the draft that was tried last in a call whose drafted tokens have their outcomes already."""


class Recorder(Watcher):
    """Keeps what a reference does with a pair: draft, target (T, V, V) as nested lists."""

    def __init__(self, draft, target) -> None:
        self._models = draft, target
        self._calls: list[dict] = []  # position, prefix, drafted, taken, replacement, bonus of each

    def call(self, position: int, prefix: int, *drafts) -> None:
        drafted = [
            self._drafted(position, prefix, tokens[: depth + 1], draft=draft)
            for draft, tokens in enumerate(drafts)
            for depth in range(len(tokens))
        ]
        self._calls.append({"position": position, "prefix": prefix, "drafted": drafted, "taken": 0})

    def tree(self, position: int, prefix: int, nodes) -> None:
        number = {(): -1} | {path: node for node, path in enumerate(nodes)}
        drafted = [self._drafted(position, prefix, path, parent=number[path[:-1]]) for path in nodes]
        self._calls.append({"position": position, "prefix": prefix, "drafted": drafted})

    def _drafted(self, position: int, prefix: int, path, **known) -> DraftedToken:
        """The last token of a path that is drafted from `position` on."""
        before, token = (prefix, *path)[-2:]
        position += len(path) - 1
        draft_probability, target_probability = (model[position][before][token] for model in self._models)
        return DraftedToken(position, token, draft_probability, target_probability, **known)

    def verified(self, position: int, prefix: int, children, accepted: int | None) -> None:
        for number, child in enumerate(children):
            turned = accepted is None or child.coin is not None
            outcome = "accepted" if number == accepted else "rejected" if turned else "thrown away"
            goal = None if child.residual_target is None else tuple(child.residual_target)
            known = {"acceptance": child.acceptance, "coin": child.coin, "residual_target": goal}
            drafted = self._drafted(position, prefix, (child.token,), draft=number, outcome=outcome, **known)
            self._calls[-1]["drafted"].append(drafted)
        self._calls[-1]["taken"] = TOLD

    def tried(self, acceptance: float, coin: float, *, draft=0, residual_target=None, running_ratio=None):
        call = self._calls[-1]
        call["taken"] = draft  # the last one that is tried
        drafted = call["drafted"]
        turn = next(i for i, one in enumerate(drafted) if one.draft == draft and one.coin is None)
        drafted[turn] = replace(
            drafted[turn],
            acceptance=acceptance,
            coin=coin,
            residual_target=None if residual_target is None else tuple(residual_target),
            running_ratio=running_ratio,
        )

    def replaced(self, distribution) -> None:
        self._calls[-1]["replacement"] = distribution

    def bonus(self, distribution) -> None:
        self._calls[-1]["bonus"] = distribution

    def trajectory(self, tokens: list[int], rejected: list[bool]) -> Trajectory:
        """All of it, once the reference has returned tokens and rejected."""
        ends = [call["position"] for call in self._calls[1:]] + [len(tokens)]
        calls = [
            _finished(tokens=tuple(tokens[call["position"] : end]), **call)
            for call, end in zip(self._calls, ends, strict=True)
        ]
        return Trajectory(calls[0].prefix, tuple(tokens), tuple(rejected), tuple(calls))


def _finished(position, prefix, drafted, tokens, taken=None, replacement=None, bonus=None) -> Call:
    """The call with its outcomes. taken: the draft whose token was tried last; None: a tree was drafted."""
    accepted = len(tokens) - (replacement is not None or bonus is not None)
    if taken == TOLD:
        outcomes = [one.outcome for one in drafted]
    elif taken is None:
        outcomes = _on_the_walk(drafted, tokens[:accepted])
    else:
        outcomes = [_outcome(one, position + accepted * (one.draft == taken)) for one in drafted]
    drafted = tuple(replace(one, outcome=outcome) for one, outcome in zip(drafted, outcomes, strict=True))
    drawn = [
        None if weights is None else DrawnToken(position + accepted, tokens[-1], _normalised(weights))
        for weights in (replacement, bonus)
    ]
    return Call(position, prefix, drafted, accepted, *drawn, tokens)


def _outcome(drafted: DraftedToken, end: int) -> str:
    """end: the first position of its draft that was not accepted."""
    if drafted.position < end:
        return "accepted"
    return "rejected" if drafted.position == end and drafted.coin is not None else "thrown away"


def _on_the_walk(nodes: list[DraftedToken], tokens: tuple[int, ...]) -> list[str]:
    """Of a tree the nodes are accepted that the target's tokens pass."""
    walked = {-1: ()}  # the tokens of the path, by node
    for number, node in enumerate(nodes):
        path = (*walked.get(node.parent, (None,)), node.token)
        if path == tokens[: len(path)]:
            walked[number] = path
    return ["accepted" if number in walked else "thrown away" for number in range(len(nodes))]


def _normalised(weights) -> tuple[float, ...]:
    whole = sum(weights)
    return tuple(weight / whole for weight in weights)
