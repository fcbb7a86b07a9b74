"""Checks of single numbers that a user gives: the value, as a plain Python number, or one clear line."""

from __future__ import annotations

import math
from numbers import Integral, Real

from simlab.errors import SimlabError


def check_count(name: str, value, least: int = 1) -> int:
    """`value` as an int of at least `least`; raises SimlabError naming it otherwise."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise SimlabError(f"{name} = {value!r}: give a whole number of at least {least}")
    return int(value)


def check_number(
    name: str, value, *, least: float = -math.inf, most: float = math.inf, above: float = -math.inf
) -> float:
    """`value` as a finite float with least <= value <= most and value > above; SimlabError otherwise."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if number and math.isfinite(value) and least <= value <= most and value > above:
        return float(value)
    bounds = [f"> {above:g}"] * (above > -math.inf) + [f">= {least:g}"] * (least > -math.inf)
    bounds += [f"<= {most:g}"] * (most < math.inf)
    raise SimlabError(f"{name} = {value!r}: give a finite number {' and '.join(bounds)}".rstrip())
