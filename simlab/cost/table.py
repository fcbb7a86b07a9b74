"""The time of a forward by the number of tokens in it: a table, linear between and beyond its entries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simlab.checks import as_integer, check_count, check_number, shortened
from simlab.errors import SimlabError

FORMS = "[t1,t2,..], {tokens: time}, {base: a, per_token: b} or {relative: [1,r2,..]}"
AFFINE, RELATIVE = {"base", "per_token"}, {"relative", "time"}
MOST_TOKENS = 2**53
"""Numbers of tokens are computed with as floats."""


@dataclass(frozen=True)
class TimeTable:
    """The time of a forward over n tokens, in the unit of its times.

    tokens: whole numbers >= 1, rising; times: as many finite numbers > 0. Between two entries the time is
    linear, beyond the last it goes on with the last slope; one entry is a constant. Raises SimlabError for
    other tables.
    """

    tokens: tuple[int, ...]
    times: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokens", tuple(self.tokens))
        object.__setattr__(self, "times", tuple(self.times))
        _check("table", self.tokens, self.times)

    @property
    def slope(self) -> float:
        """The time of one more token beyond the last entry."""
        if len(self.tokens) == 1:
            return 0.0
        return (self.times[-1] - self.times[-2]) / (self.tokens[-1] - self.tokens[-2])

    def at(self, tokens, name: str = "table"):
        """The time of a forward over so many tokens: a float, or an array for an array.

        name: what messages call the table. Raises SimlabError for fewer tokens than its first entry has, and
        where its last slope has fallen to 0.
        """
        tokens = np.asarray(tokens, float)
        if (tokens < self.tokens[0]).any():
            raise SimlabError(
                f"{name}: the table starts at {self.tokens[0]} tokens, and the time of a forward over "
                f"{tokens.min():.0f} is needed: add it"
            )
        beyond = np.maximum(tokens - self.tokens[-1], 0.0)
        times = np.interp(tokens, self.tokens, self.times) + beyond * self.slope
        if (times <= 0).any():
            first = int(np.asarray(tokens[times <= 0]).min())
            raise SimlabError(
                f"{name}: by its last slope the table falls to 0 or below at {first} tokens: give longer "
                "forwards too, or fewer tokens to draft"
            )
        return float(times) if times.ndim == 0 else times

    def document(self) -> dict[str, float]:
        """The table as JSON has it."""
        return {str(tokens): time for tokens, time in zip(self.tokens, self.times, strict=True)}

    def __str__(self) -> str:
        entries = [f"{tokens}: {time:g}" for tokens, time in zip(self.tokens, self.times, strict=True)]
        return "{" + ", ".join(entries if len(entries) <= 6 else [*entries[:5], "..", entries[-1]]) + "}"


def as_time(name: str, value) -> float | TimeTable:
    """A time as a user gives it: a number, or a table in one of `FORMS`, or a `TimeTable`.

    A list has the times of forwards over 1, 2, 3.. tokens; {base: a, per_token: b} is a + b n for n tokens;
    {relative: [1, r2, ..], time: t} is t n r_n, the relative time *per token* of a batch of n tokens, as
    llama.cpp's users publish it, with t = 1 where none is given. Raises SimlabError for what is none.
    """
    if isinstance(value, TimeTable):
        return value
    value = value.tolist() if isinstance(value, np.ndarray) else value
    if isinstance(value, Mapping):
        return _from_mapping(name, value)
    if isinstance(value, list | tuple):
        return _made(name, range(1, len(value) + 1), value)
    return check_number(name, value, above=0.0)


def _from_mapping(name: str, value: Mapping) -> TimeTable:
    keys = set(value)
    if not keys & (AFFINE | RELATIVE):
        return _made(name, [as_integer(key) for key in value], value.values())
    if keys == AFFINE:
        base = check_number(f"{name}.base", value["base"])
        slope = check_number(f"{name}.per_token", value["per_token"], least=0.0)
        return _made(name, (1, 2), (base + slope, base + 2 * slope))
    if "relative" in keys and keys <= RELATIVE:
        relative = value["relative"]
        relative = relative.tolist() if isinstance(relative, np.ndarray) else relative
        if not isinstance(relative, list | tuple):
            raise SimlabError(
                f"{name}.relative = {shortened(relative)} is not valid; "
                "expected a list, a number a batch size"
            )
        return from_relative(name, range(1, len(relative) + 1), relative, value.get("time", 1.0))
    raise SimlabError(f"{name} = {shortened(value)} is not valid; expected {FORMS}")


def from_relative(name: str, tokens, relative, time: float = 1.0) -> TimeTable:
    """The table of times t n r_n, from the time per token r_n in a batch of n relative to one token alone."""
    one = check_number(f"{name}.time", time, above=0.0)
    parts = [check_number(name, part, above=0.0) for part in relative]
    return _made(name, tokens, [one * n * part for n, part in zip(tokens, parts, strict=True)])


def _made(name: str, tokens, times) -> TimeTable:
    tokens, times = tuple(tokens), tuple(times)
    _check(name, tokens, times)
    return TimeTable(tokens, tuple(float(time) for time in times))


def _check(name: str, tokens: tuple, times: tuple) -> None:
    if not tokens or len(tokens) != len(times):
        wrong = f"{len(tokens)} numbers of tokens and {len(times)} times" if tokens else "the table is empty"
        raise SimlabError(f"{name}: {wrong}: give {FORMS}")
    for at, count in enumerate(tokens):
        check_count(f"{name}: tokens", count, most=MOST_TOKENS)
        if at and count <= tokens[at - 1]:
            raise SimlabError(
                f"{name}: {count} tokens come after {tokens[at - 1]}: give each number once, in rising order"
            )
    for count, time in zip(tokens, times, strict=True):
        check_number(f"{name} of {count} token{'s' * (count != 1)}", time, above=0.0)
