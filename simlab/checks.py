"""Checks of single numbers that a user gives: the value, as a plain Python number, or one clear line."""

from __future__ import annotations

import math
import os
from numbers import Integral, Real

import numpy as np

from simlab.errors import SimlabError


def shortened(value, longest: int = 80) -> str:
    """repr(value) on one line for a message, cut after `longest` characters: arrays never print whole."""
    text = " ".join(repr(value).split())
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def check_count(name: str, value, least: int = 1, most: int | None = None) -> int:
    """`value` as an int with least <= value <= most; raises SimlabError naming it otherwise."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise SimlabError(
            f"{name} = {shortened(value)} is not valid; expected a whole number of at least {least}"
        )
    if most is not None and value > most:
        raise SimlabError(
            f"{name} = {shortened(value)} is not valid; expected a whole number of at most {most}"
        )
    return int(value)


def as_integer(value):
    """A float that is whole as the int it means: 1e6 is written for a count and read as a float."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def integer_from_text(text: str) -> int:
    """12, and 12.0 or 1e3 as well: tables with a gap write all counts so. Raises ValueError otherwise."""
    try:
        return int(text)
    except ValueError:
        value = float(text)
        if not value.is_integer():
            raise
        return int(value)


def check_flag(name: str, value) -> bool:
    """`value` as a bool; raises SimlabError naming it for anything but true and false."""
    if not isinstance(value, bool | np.bool_):
        raise SimlabError(f"{name} = {shortened(value)} is not valid; expected true or false")
    return bool(value)


def check_path(name: str, value) -> str | os.PathLike:
    """`value` if it can be a path; raises SimlabError naming it otherwise."""
    if not isinstance(value, (str, os.PathLike)):
        raise SimlabError(f"{name} = {shortened(value)} is not valid; expected a path, as text")
    return value


def check_number(
    name: str, value, *, least: float = -math.inf, most: float = math.inf, above: float = -math.inf
) -> float:
    """`value` as a finite float with least <= value <= most and value > above; SimlabError otherwise."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if number and _fits(value) and least <= value <= most and value > above:
        return float(value)
    bounds = [f"> {above:g}"] * (above > -math.inf) + [f">= {least:g}"] * (least > -math.inf)
    bounds += [f"<= {most:g}"] * (most < math.inf)
    raise SimlabError(
        f"{name} = {shortened(value)} is not valid; expected a finite number {' and '.join(bounds)}".rstrip()
    )


def _fits(value: Real) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number too large for a float
        return False
