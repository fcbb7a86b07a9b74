"""Speculative decoding with any rule of acceptance: the settings, and how they meet a pair."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from simlab.checks import check_count, check_flag, shortened
from simlab.decoders.rule_tables import RuleTables, rule_tables, spelled
from simlab.errors import SimlabError
from simlab.rules import RULES


@dataclass(frozen=True, eq=False)
class RuleSpeculative:
    """Speculative decoding that accepts and replaces drafted tokens by any rule (own generality; the class of
    Yin et al. 2024, Section 3).

    rule: `rule(draft, target) -> (accept, replacement)` of two rows (V,): accept (V,) in [0, 1], the
    probability that each token is accepted once it is drafted; replacement (V,), weights from which a
    rejected token is replaced, or (V, V), one row for each rejected token. Any function, one of
    `simlab.rules`, or the name of one ("typical"). It is asked for every row of a pair; wherever it is then
    used, it is these tables. An object with `propose(draft)` says from which row (V,) its tokens are drawn.

    window, bonus: as of `simlab.Speculative`; the bonus token is drawn from the target. assumed_draft:
    (T, V, V), or (V, V) at every step, the draft that the rule is told, where tokens come from another: what
    a verifier believes that is given the rows before temperature, top-k or rounding. None: the pair's own.

    Raises SimlabError for anything else; for what a rule returns, where it meets a pair.

        simlab.predict(pair, simlab.RuleSpeculative(simlab.rules.Typical(), window=4, bonus=True))
    """

    rule: Callable | str | RuleTables
    window: int | None = None
    bonus: bool = False
    assumed_draft: np.ndarray | None = None
    drafts_per_call: ClassVar[int] = 1
    is_finite: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if isinstance(self.rule, str) and self.rule in RULES:
            object.__setattr__(self, "rule", RULES[self.rule]())
        if not callable(self.rule) and not isinstance(self.rule, RuleTables):
            raise SimlabError(
                f"rule = {shortened(self.rule)} is not valid; "
                "expected a function rule(draft, target) -> (accept, "
                f"replacement), or one of simlab.rules, such as simlab.rules.Typical()"
            )
        if isinstance(self.rule, type):
            raise SimlabError(f"rule = {self.rule.__name__} is a class: give {self.rule.__name__}()")
        window = None if self.window is None else check_count("window", self.window)
        object.__setattr__(self, "window", window)
        object.__setattr__(self, "bonus", check_flag("bonus", self.bonus))
        if self.assumed_draft is not None:
            object.__setattr__(self, "assumed_draft", _assumed(self.assumed_draft))

    @property
    def has_bonus(self) -> bool:
        """Whether a call whose drafted tokens are all accepted yields one more token."""
        return self.bonus

    @property
    def is_biased(self) -> bool:
        """False for rules that are known to leave the target's distribution as it is; True for all others,
        even if they happen to do so: the prediction tells."""
        if isinstance(self.rule, RuleTables):
            return self.rule.is_biased
        deceived = self.assumed_draft is not None and getattr(self.rule, "needs_the_draft", True)
        return bool(getattr(self.rule, "is_biased", True)) or deceived

    @property
    def name(self) -> str:
        """The rule's name: that of `simlab.rules`, or module:function."""
        if isinstance(self.rule, RuleTables):
            return self.rule.name
        for name, known in RULES.items():
            if type(self.rule) is known:
                return name
        named = self.rule if hasattr(self.rule, "__qualname__") else type(self.rule)
        return f"{named.__module__}:{named.__qualname__}"

    @property
    def options(self) -> dict:
        """What tables show of the rule: its name, and the parameters of a named one."""
        if isinstance(self.rule, RuleTables):
            return dict(self.rule.options)
        known = dataclasses.asdict(self.rule) if type(self.rule) in RULES.values() else {}
        assumed = {} if self.assumed_draft is None else {"assumed_draft": self._assumed_digest[:8]}
        return {"rule": self.name, **known, **assumed}

    @cached_property
    def _assumed_digest(self) -> str:
        if self.assumed_draft is None:
            return ""
        rows = np.ascontiguousarray(self.assumed_draft, "<f8")
        return hashlib.sha256(repr(rows.shape).encode() + rows.tobytes()).hexdigest()

    def on(self, pair) -> RuleSpeculative:
        """The same decoder with the rule as tables of this pair; itself where it has them already.

        Raises SimlabError for tables of another pair, an assumed draft that does not fit, and all that a rule
        can do wrong (`rule_tables`).
        """
        if isinstance(self.rule, RuleTables):
            if self.rule.pair != pair.digest:
                raise SimlabError(f"the tables of rule {self.name} are of another pair: give the rule itself")
            return self
        assumed = self.assumed_draft
        if assumed is not None:
            _check_fits(assumed, pair)
        made = rule_tables(self.rule, self.name, self.options, self.is_biased, pair, assumed)
        return RuleSpeculative(made, self.window, self.bonus)

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, RuleSpeculative) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)

    @cached_property
    def _key(self) -> tuple:
        try:
            hash(self.rule)
            rule = self.rule
        except TypeError:  # an object that cannot be hashed is equal to itself alone
            rule = id(self.rule)
        return rule, self.window, self.bonus, self._assumed_digest

    def __repr__(self) -> str:
        told = [repr(self.rule) if type(self.rule) in RULES.values() else self.name]
        told += [f"window={self.window}"] * (self.window is not None) + ["bonus=True"] * self.bonus
        told += ["assumed_draft=.."] * (self.assumed_draft is not None)
        return f"RuleSpeculative({', '.join(told)})"


def on_pair(decoder, pair):
    """The decoder as samplers, references and theory take it on this pair: rules as tables, others as is."""
    return decoder.on(pair) if isinstance(decoder, RuleSpeculative) else decoder


def _assumed(rows) -> np.ndarray:
    """(1 or T, V, V), read-only: rows that sum to 1 as well as their number type can, as they are given."""
    try:
        given = np.asarray(rows)
        found = np.array(given, float)
    except (TypeError, ValueError, RuntimeError) as error:
        raise SimlabError(f"assumed_draft = {shortened(rows)}: expected rows (T, V, V) or (V, V)") from error
    found = found[None] if found.ndim == 2 else found
    if found.ndim != 3 or found.shape[1] != found.shape[2] or 0 in found.shape:
        raise SimlabError(f"assumed_draft has shape {given.shape}: expected (T, V, V) or (V, V)")
    narrow = given.dtype.kind == "f" and given.dtype.itemsize < 8
    allowed = 4 * found.shape[2] * float(np.finfo(given.dtype).eps) if narrow else 1e-9
    sums = found.sum(axis=-1)
    wrong = ~((found.min(axis=-1) >= 0) & (np.abs(sums - 1) <= allowed))
    if wrong.any():
        t, x = (int(index) for index in np.argwhere(wrong)[0])
        raise SimlabError(
            f"assumed_draft[{t}, {x}] = {spelled(found[t, x])} is not a distribution: its entries must be at "
            f"least 0 and sum to 1, and they sum to {sums[t, x]:.6g}"
        )
    found.flags.writeable = False
    return found


def _check_fits(assumed: np.ndarray, pair) -> None:
    if assumed.shape[1] != pair.states or len(assumed) not in (1, pair.horizon):
        raise SimlabError(
            f"assumed_draft has shape {assumed.shape}, and the pair T = {pair.horizon}, V = {pair.states}: "
            "expected (T, V, V) or (V, V)"
        )
