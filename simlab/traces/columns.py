"""The columns of a trace: what each one is called, means, and may hold."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from simlab.checks import shortened
from simlab.errors import SimlabError

SLACK = 1e-9
"""Probabilities may leave [0, 1] by so much, the rounding of a sum of many; they are cut to it."""

REQUIRED = ("sequence", "draft_probability", "target_probability")
"""The columns that every trace has."""


@dataclass(frozen=True)
class Column:
    """One column: its name, the type it is kept in, the closed range of its values, and what it means.

    of_sequence: whether it has one value a sequence, in all of its rows; it is then kept once a sequence.
    least, most: None for text, which has no range. above: whether `least` itself is excluded.
    """

    name: str
    dtype: str
    meaning: str
    least: float | None = None
    most: float | None = None
    above: bool = False
    of_sequence: bool = False

    @property
    def is_text(self) -> bool:
        """Whether its values are text."""
        return self.dtype == "text"


def _number(name: str, meaning: str, most: float = math.inf, **more) -> Column:
    return Column(name, "float64", meaning, 0.0, most, **more)


_FIXED = (
    Column("sequence", "int64", "number of the sequence; its rows stand together", -(2**62), 2**62),
    _number("draft_probability", "draft probability of the token that came", 1.0),
    _number("target_probability", "target probability of the token that came", 1.0, above=True),
    _number("weight", "weight of the sequence in averages", above=True, of_sequence=True),
    Column("prompt", "text", "the prompt, or its name", of_sequence=True),
    Column("kind", "text", "kind of prompt, such as code", of_sequence=True),
    Column("position", "int32", "0, 1, 2, .. within the text after the prompt", 0, 2**31 - 1),
    Column("token", "int32", "number of the token that came", 0, 2**31 - 1),
    _number("total_variation", "total variation between the draft's and the target's distribution", 1.0),
    _number("draft_confidence", "largest probability of the draft's distribution", 1.0, above=True),
    _number("draft_entropy", "entropy of the draft's distribution in nats"),
    _number("target_entropy", "entropy of the target's distribution in nats"),
    _number("target_log2_moment", "sum of target * log(target)^2 over the tokens, natural logarithms"),
)
_BY_NAME = {column.name: column for column in _FIXED}

FAMILIES = {
    "batch_rejection": "probability that batch decoding with M drafts rejects this token at a fresh position",
    "over_acceptance": "sum over the tokens of max(draft - target - E, 0)",
    **{
        f"excess_loss_{by}": "total variation between the target and one token of over-acceptance by E with "
        f"rejected tokens replaced by {by}, less the best there is, total_variation - over_acceptance_E"
        for by in ("optimal", "target", "draft", "residual")
    },
}
"""Columns that carry a number in their name: batch_rejection_4, excess_loss_target_0.1."""

KNOWN = (
    *_BY_NAME,
    "batch_rejection_M",
    *(f"{family}_E" for family in FAMILIES if family != "batch_rejection"),
)
"""All names, M and E standing for numbers."""


def column_of(name: str) -> Column:
    """The column of this name. Raises SimlabError, naming those that there are, for an unknown one."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    family, _, number = str(name).rpartition("_")
    if family in FAMILIES and (spelled := _spelled(family, number)) is not None:
        if spelled != name:
            raise SimlabError(f"column {name}: write it {spelled}")
        return _number(name, FAMILIES[family], 1.0)
    raise SimlabError(
        f"{shortened(name)} is not a column of a trace; known are {', '.join(KNOWN)} with whole M >= 1 "
        "and E >= 0, e.g. batch_rejection_4, over_acceptance_0.1"
    )


def batch_column(drafts: int | float) -> str:
    """The name of the column for M drafts, a whole number >= 1 or inf."""
    return f"batch_rejection_{drafts}"


def over_acceptance_column(epsilon: float) -> str:
    """The name of the column for over-acceptance by epsilon >= 0: over_acceptance_0.1, over_acceptance_1."""
    return f"over_acceptance_{float(epsilon)!r}".removesuffix(".0")


def _spelled(family: str, number: str) -> str | None:
    """The name as it should be spelled, or None where `number` is not one that the family takes."""
    if family == "batch_rejection":
        whole = re.fullmatch(r"\d+", number) and int(number) >= 1
        return batch_column(int(number)) if whole else batch_column(math.inf) if number == "inf" else None
    try:
        epsilon = float(number)
    except ValueError:
        return None
    if not 0 <= epsilon < math.inf:
        return None
    return over_acceptance_column(epsilon).replace("over_acceptance", family)


def checked_rows(column: Column, values, rows: int | None) -> np.ndarray:
    """A column's values as a read-only array (rows,) of its type; rows: None where they tell it themselves.

    Raises SimlabError, naming the row from 0, for values of another type or shape, or outside the range.
    """
    given = _as_array(column, values)
    if rows is not None and len(given) != rows:
        raise SimlabError(
            f"column {column.name} has {len(given)} rows, sequence has {rows}; expected as many"
        )
    if column.is_text:
        return given
    if given.dtype.kind == "f" and np.isnan(given).any():
        raise SimlabError(f"row {int(np.isnan(given).argmax())}: {column.name} is not a number")
    slack = SLACK if column.most == 1.0 else 0.0
    if len(given) and not (given.min() >= column.least - slack and given.max() <= column.most + slack):
        _refuse(column, given, (given < column.least - slack) | (given > column.most + slack))
    if column.above and len(given) and given.min() <= column.least:
        _refuse(column, given, given <= column.least)
    if column.dtype.startswith("int") and given.dtype.kind == "f":
        _refuse_if_any(column, given, given != np.floor(given))
    found = given.astype(column.dtype)  # a copy: what the user does to the array later changes nothing
    if slack:
        np.clip(found, column.least, column.most, out=found)
    elif column.most == math.inf and len(found):
        _refuse_if_any(column, given, np.isinf(found))
    found.flags.writeable = False
    return found


def _as_array(column: Column, values) -> np.ndarray:
    try:
        given = np.asarray(values)
    except ValueError as error:
        raise SimlabError(f"column {column.name} is not an array of one dimension") from error
    if given.ndim != 1:
        raise SimlabError(
            f"column {column.name} has shape {given.shape}; expected one dimension, a row a token"
        )
    if column.is_text:
        if given.dtype.kind not in "UTO" or not all(isinstance(value, str) for value in given):
            raise SimlabError(f"column {column.name} has values that are not text")
        return given
    if given.dtype.kind not in "iuf" and len(given):
        raise SimlabError(f"column {column.name} has values of type {given.dtype}; expected numbers")
    return given


def _refuse_if_any(column: Column, given: np.ndarray, wrong: np.ndarray) -> None:
    if wrong.any():
        _refuse(column, given, wrong)


def _refuse(column: Column, given: np.ndarray, wrong: np.ndarray) -> None:
    row = int(wrong.argmax())
    value = given[row].item()
    if column.name == "target_probability" and value == 0:
        raise SimlabError(
            f"row {row}: target_probability = 0 of a token that came; expected the target's probability of it"
        )
    kind = "a whole number" if column.dtype.startswith("int") else "a number"
    low = f"above {column.least:g}" if column.above else f"of at least {column.least:g}"
    high = f" and at most {column.most:g}" if column.most < math.inf else ""
    raise SimlabError(f"row {row}: {column.name} = {value!r}; expected {kind} {low}{high}")
