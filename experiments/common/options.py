"""Options of experiments that are lists: checked, each value once."""

from __future__ import annotations

from simlab.checks import check_count, check_number
from simlab.errors import SimlabError
from simlab.experiments.common.settings import Settings, whole


def listed_counts(settings: Settings, name: str, most: int | None = None) -> tuple[int, ...]:
    """The experiment's option `name`, rising, of whole numbers of at least 1. Raises SimlabError for
    others."""
    return tuple(sorted(counts_of(settings, name, most)))


def counts_of(settings: Settings, name: str, most: int | None = None) -> list[int]:
    """The same in the order in which they are given."""
    values = list_of(settings, name, "whole numbers of at least 1, e.g. [1, 2]")
    return list(dict.fromkeys(check_count(f"experiment.{name}", whole(value), most=most) for value in values))


def listed_numbers(settings: Settings, name: str, **range_) -> tuple[float, ...]:
    """The experiment's option `name`, rising, of numbers in the range, as `check_number` takes it."""
    values = list_of(settings, name, "numbers")
    return tuple(sorted({check_number(f"experiment.{name}", value, **range_) for value in values}))


def list_of(settings: Settings, name: str, what: str, empty: bool = False) -> list:
    """The experiment's option `name`. Raises SimlabError unless it is a list, which may be empty only if told
    so."""
    values = settings.options.get(name)
    if not isinstance(values, list) or not (values or empty):
        raise SimlabError(f"experiment.{name} = {values!r} is not valid; expected a list of {what}")
    return values
