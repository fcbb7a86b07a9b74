"""A rule of acceptance as tables: asked for every row of a pair, checked, and named by what it answered.

The rule is a user's function, so nothing that it returns is trusted: shapes, numbers, and that a second call
answers as the first one did. What samplers, references and theory take is the tables alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from simlab.errors import SimlabError

ROUNDING = 1e-9
"""How far a probability may lie outside [0, 1], and a proposal's sum from 1."""
MOST_SHOWN = 8
"""Entries of a row that a message shows."""


@dataclass(frozen=True, eq=False)
class RuleTables:
    """What a rule answered for the rows of one pair: S distinct steps, 1 where they are all the same.

    name, options: of the rule, for tables. is_biased: whether it may be biased. proposed: (S, V, V), the rows
    that tokens are drawn from. accept: (S, V, V), the probability with which token y after x is accepted.
    replacement: (S, V, V), the distribution that replaces a rejected token, or (S, V, V, V), [t, x, y] for
    each rejected token y. A row of zeros replaces what is never rejected. pair: the pair's digest. Equal to
    tables with the same numbers, whatever the rule is called. `named_only` has no arrays: what names a task
    where the tables are already.
    """

    name: str
    options: Mapping
    is_biased: bool
    pair: str
    digest: str
    proposed: np.ndarray | None = field(repr=False)
    accept: np.ndarray | None = field(repr=False)
    replacement: np.ndarray | None = field(repr=False)

    @property
    def steps(self) -> int:
        """S."""
        return len(self.accept)

    @cached_property
    def replaced(self) -> np.ndarray:
        """(S, V, V): P(the drafted token is rejected and z replaces it), whichever token was drafted."""
        lost = self.proposed * (1.0 - self.accept)
        if self.replacement.ndim == 3:
            return lost.sum(axis=-1, keepdims=True) * self.replacement
        return np.einsum("sxy,sxyz->sxz", lost, self.replacement)

    def named_only(self) -> RuleTables:
        """The same without the arrays."""
        return RuleTables(self.name, self.options, self.is_biased, self.pair, self.digest, None, None, None)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RuleTables):
            return NotImplemented
        return (self.digest, self.pair) == (other.digest, other.pair)

    def __hash__(self) -> int:
        return hash((self.digest, self.pair))


def rule_tables(
    rule: Callable, name: str, options: Mapping, is_biased: bool, pair, assumed: np.ndarray | None
) -> RuleTables:
    """The tables of a rule on a pair. assumed: (1 or T, V, V), the rows that the rule takes for the draft's.

    Every row is asked for twice, the second time in the other order. Raises SimlabError, with the rows that
    show it, for a rule that raises, that returns something of another shape, numbers that are not finite,
    probabilities outside [0, 1], no replacement for what it may reject, or another answer the second time.
    """
    believed = pair.draft_rows if assumed is None else assumed
    steps = max(len(pair.draft_rows), len(pair.target_rows), len(believed))
    shape = (steps, pair.states, pair.states)
    rows = (
        np.broadcast_to(part, shape).reshape(-1, pair.states)
        for part in (pair.draft_rows, believed, pair.target_rows)
    )

    def where(number: int) -> str:
        t, x = divmod(number, pair.states)
        return f" at position {t} after token {x}"

    proposed, accept, replacement = rule_answers(rule, name, *rows, where)
    replacement = replacement.reshape(*shape, *replacement.shape[2:])
    arrays = proposed.reshape(shape), accept.reshape(shape), replacement
    return made_tables(name, options, is_biased, pair.digest, *arrays)


def rule_answers(
    rule: Callable, name: str, drawn, believed, target, where: Callable[[int], str] = lambda number: ""
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a rule answers for N rows: (proposed (N, V), accept (N, V), replacement (N, V) or (N, V, V)).

    drawn, believed, target: (N, V), the draft that proposals come from, the one that the rule is told, and
    the target. where: what a message says of a row's number. Raises SimlabError as `rule_tables` does.
    """
    drawn, believed, target = (_read_only(part) for part in (drawn, believed, target))
    count, states = target.shape

    def message(number: int, what: str) -> SimlabError:
        at = where(number)
        return SimlabError(
            f"rule {name} {what}; {at.lstrip()}{', ' * bool(at)}draft {spelled(believed[number])}, target "
            f"{spelled(target[number])}"
        )

    def ask(number: int) -> list:
        refuse = lambda what: message(number, what)  # noqa: E731
        return _answer(rule, drawn[number], believed[number], target[number], refuse)

    def ask_all(order: range) -> list[np.ndarray]:
        with np.errstate(all="ignore"):  # what comes of it is looked at below
            if getattr(rule, "takes_many", False):
                refuse = lambda what: message(0, what)  # noqa: E731
                return _answer(rule, drawn, believed, target, refuse)
            answers = {number: ask(number) for number in order}
        return _stacked([answers[number] for number in range(count)], states)

    first = ask_all(range(count))
    checked = _checked(*first, message)
    again = ask_all(range(count)[::-1])
    for what, one, two in zip(("proposes", "accept", "replacement"), first, again, strict=True):
        same = one.shape == two.shape and (one == two).reshape(count, -1).all(axis=1)
        if not np.all(same):
            number = int(np.argmin(same)) if one.shape == two.shape else 0
            raise message(
                number,
                f"answers two calls with the same rows differently: {what} {_kind(one[number])} and then "
                f"{_kind(two[number])}; expected a rule of the two rows alone, without random numbers or "
                "state",
            )
    return checked


def made_tables(name, options, is_biased, pair, proposed, accept, replacement) -> RuleTables:
    """Tables of checked arrays, read-only, one step where all are the same, with their digest."""
    arrays = [proposed, accept, replacement]
    if all((part == part[:1]).all() for part in arrays):
        arrays = [np.ascontiguousarray(part[:1]) for part in arrays]
    sha = hashlib.sha256()
    for part in arrays:
        part.flags.writeable = False
        sha.update(repr(part.shape).encode())
        sha.update(np.ascontiguousarray(part, "<f8").data)
    return RuleTables(name, dict(options), is_biased, pair, sha.hexdigest(), *arrays)


def _answer(rule, drawn, draft, target, refuse) -> list[np.ndarray]:
    """[proposed, accept, replacement] of one row, or of many: numbers of the right shapes."""
    shape = target.shape
    try:
        proposed = rule.propose(drawn) if hasattr(rule, "propose") else drawn
        answer = rule(draft, target)
    except SimlabError:
        raise
    except (Exception, SystemExit) as error:
        raise refuse(f"raised {type(error).__name__}: {error}") from error
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise refuse(f"returned {_kind(answer)}; expected (accept, replacement)")
    return [
        _numbers(proposed, "proposes", (shape,), refuse),
        _numbers(answer[0], "returned accept", (shape,), refuse),
        _numbers(answer[1], "returned replacement", (shape, (*shape, shape[-1])), refuse),
    ]


def _stacked(answers: list[list[np.ndarray]], states: int) -> list[np.ndarray]:
    """The answers of N rows as arrays (N, ..): one row a rejected token where any answer has that."""
    proposed, accept, replacement = ([answer[part] for answer in answers] for part in range(3))
    if any(row.ndim == 2 for row in replacement):
        replacement = [np.broadcast_to(row, (states, states)) for row in replacement]
    return [np.array(part) for part in (proposed, accept, replacement)]


def _checked(proposed, accept, replacement, message) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The answers of all rows, probabilities in [0, 1], replacements normalised. message: (row, what) -> the
    error."""

    def first(wrong: np.ndarray) -> tuple[int, ...]:
        return tuple(int(index) for index in np.argwhere(wrong)[0])

    parts = {"proposes": proposed, "returned accept": accept, "returned replacement": replacement}
    for what, part in parts.items():
        for wrong, wanted in (
            (~np.isfinite(part), "a finite number"),
            ((part < -ROUNDING) | (part > 1 + ROUNDING), "a probability in [0, 1]"),
        ):
            if wrong.any():
                index = first(wrong)
                entry = ", ".join(map(str, index[1:]))
                raise message(index[0], f"{what}[{entry}] = {part[index]:.12g}; expected {wanted}")
    proposed, accept, replacement = (np.clip(part, 0.0, 1.0) for part in parts.values())
    sums = proposed.sum(axis=1)
    if (np.abs(sums - 1) > ROUNDING).any():
        (number,) = first(np.abs(sums - 1) > ROUNDING)
        told = f"proposes {spelled(proposed[number])}, which sums to {sums[number]:.6g}; expected 1"
        raise message(number, told)
    whole = replacement.sum(axis=-1)
    lost = (proposed > 0) & (accept < 1)
    empty = (lost if replacement.ndim == 3 else lost.any(axis=1)) & (whole <= 0)
    if empty.any():
        number, *token = first(empty)
        told = f" of token {token[0]}" if token else ""
        raise message(number, f"returned a replacement{told} that puts mass on nothing, and may reject")
    exact = np.abs(whole - 1) <= 4 * proposed.shape[1] * np.finfo(float).eps  # dividing would only round
    return proposed, accept, replacement / np.where(exact | (whole <= 0), 1.0, whole)[..., None]


def _numbers(value, what: str, shapes: tuple, refuse) -> np.ndarray:
    """`value` as a float array of one of these shapes, of its own."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    try:
        if np.iscomplexobj(value):
            raise TypeError("complex")
        found = np.array(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise refuse(f"{what} = {_kind(value)}; expected numbers") from error
    if found.shape not in shapes:
        wanted = " or ".join(map(str, shapes))
        raise refuse(f"{what} of shape {found.shape}; expected {wanted}")
    return found


def spelled(row: np.ndarray) -> str:
    """A row for a message: six digits, the first entries of a long one."""
    told = ", ".join(f"{value:.6g}" for value in row[:MOST_SHOWN])
    return f"[{told}{', ..' * (len(row) > MOST_SHOWN)}]"


def _kind(value) -> str:
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "biuf":
        return spelled(value)
    if isinstance(value, np.ndarray) and value.ndim != 1:
        return f"an array of shape {value.shape}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _read_only(rows: np.ndarray) -> np.ndarray:
    """A copy that the rule cannot change, so that it cannot change the pair either."""
    rows = np.array(rows)
    rows.flags.writeable = False
    return rows
