"""Options of experiments that are lists: checked, rising, each value once."""

from __future__ import annotations

from simlab.checks import check_count, check_number
from simlab.errors import SimlabError
from simlab.experiments.common.settings import Settings, whole


def listed_counts(settings: Settings, name: str, most: int | None = None) -> tuple[int, ...]:
    """The experiment's option `name`, a list of whole numbers of at least 1; SimlabError for others."""
    values = _list(settings, name, "whole numbers of at least 1")
    return tuple(sorted({check_count(f"experiment.{name}", whole(value), most=most) for value in values}))


def listed_numbers(settings: Settings, name: str, **range_) -> tuple[float, ...]:
    """The experiment's option `name`, a list of numbers in the range, as `check_number` takes it."""
    values = _list(settings, name, "numbers")
    return tuple(sorted({check_number(f"experiment.{name}", value, **range_) for value in values}))


def _list(settings: Settings, name: str, of: str) -> list:
    values = settings.options.get(name)
    if not isinstance(values, list) or not values:
        raise SimlabError(f"experiment.{name} = {values!r}: give a list of {of}")
    return values
