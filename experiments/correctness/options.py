"""The settings of experiment=correctness, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simlab.checks import check_number
from simlab.errors import SimlabError
from simlab.experiments.common.settings import Settings
from simlab.pairs.rows import ROW_SUM_TOLERANCE


@dataclass(frozen=True, eq=False)
class Case:
    """Two distributions of one token, float64 (V,) each, that sum to 1; name: how they are told apart."""

    name: str
    draft: np.ndarray
    target: np.ndarray


def cases_of(settings: Settings) -> list[Case]:
    """The distributions given, and those beside them unless `experiment.other` is null. Raises SimlabError
    for others."""
    options = settings.options
    if unknown := [key for key in options if key not in ("draft", "target", "other")]:
        raise SimlabError(f"no setting experiment.{unknown[0]}: correctness has draft, target, other")
    cases = [_case("first pair", "experiment", options)]
    other = options.get("other")
    if other is None:
        return cases
    if not isinstance(other, Mapping) or set(other) != {"draft", "target"}:
        raise SimlabError(
            f"experiment.other = {other!r} is not valid; expected its draft and target, or null"
        )
    return [*cases, _case("second pair", "experiment.other", other)]


def _case(name: str, where: str, distributions: Mapping) -> Case:
    draft, target = (
        _distribution(f"{where}.{which}", distributions.get(which)) for which in ("draft", "target")
    )
    if len(draft) != len(target):
        raise SimlabError(
            f"{where}.draft has {len(draft)} tokens and {where}.target {len(target)}: give as many of both"
        )
    return Case(name, draft, target)


def _distribution(where: str, values) -> np.ndarray:
    if not isinstance(values, list) or not values:
        raise SimlabError(
            f"{where} = {values!r} is not valid; expected a list of probabilities, e.g. [0.5, 0.5]"
        )
    distribution = np.array([check_number(where, value, least=0.0) for value in values])
    whole = float(distribution.sum())
    if abs(whole - 1) > ROW_SUM_TOLERANCE:
        raise SimlabError(f"{where} sums to {whole!r}: make it sum to 1")
    return distribution
