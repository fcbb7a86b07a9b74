"""What tokens cost: the time of a drafted token and of a target call."""

from __future__ import annotations

import math
from dataclasses import dataclass

from simlab.checks import check_number
from simlab.errors import SimlabError


@dataclass(frozen=True)
class CostModel:
    """Each drafted token takes `draft`, each target call `target` (Leviathan et al. 2023).

    draft: T_s > 0; target: T_v > 0, in a unit of the user's choice, which all times below then have. A call
    costs the same however many drafted tokens it verifies. Autoregressive decoding takes `target` a token.
    Raises SimlabError for costs that are not finite numbers above 0, or whose ratio is none.
    """

    draft: float = 0.05
    target: float = 1.0

    def __post_init__(self) -> None:
        for name in ("draft", "target"):
            object.__setattr__(self, name, check_number(f"cost.{name}", getattr(self, name), above=0.0))
        if not 0 < self.ratio < math.inf:
            raise SimlabError(
                f"cost.draft = {self.draft:g} and cost.target = {self.target:g}: too far apart to compare"
            )

    @property
    def ratio(self) -> float:
        """c = T_s / T_v."""
        return self.draft / self.target

    def time(self, drafted_tokens, target_calls):
        """The time that so many drafted tokens and target calls take; numbers or arrays."""
        return self.draft * drafted_tokens + self.target * target_calls

    def expected_time(self, result) -> float:
        """The expected time for all T tokens.

        result: a `simlab.Prediction`, of which it is exact, or simulated `simlab.Counts`, of which it is the
        mean (`simlab.evidence.time_interval` has its interval). Raises SimlabError for anything else, for a
        prediction of trees, whose drafted tokens are not predicted, and for counts without calls.
        """
        if hasattr(result, "mean_drafted_tokens"):
            return self.time(result.mean_drafted_tokens, result.mean_target_calls)
        drafted = getattr(result, "expected_drafted_tokens", None)
        if drafted is None:
            raise SimlabError(
                f"{type(result).__name__} has no time: give a simlab.Prediction or simlab.Counts"
            )
        if not math.isfinite(drafted):
            raise SimlabError(
                f"no cost for {result.decoder!r}: the number of its drafted tokens is "
                + ("infinite" if drafted == math.inf else "not predicted")
            )
        return self.time(drafted, result.expected_target_calls)

    def time_per_token(self, result) -> float:
        """E[time for T tokens] / T, of what `expected_time` takes."""
        return self.expected_time(result) / result.horizon

    def speedup(self, result) -> float:
        """The time of autoregressive decoding over the expected time: T T_v / E[time]. Its own is 1."""
        expected = self.expected_time(result)
        return self.time(0.0, result.horizon) / expected


def check_cost(cost) -> CostModel:
    """`cost` if it is a `CostModel`; SimlabError otherwise."""
    if not isinstance(cost, CostModel):
        raise SimlabError(f"cost = {cost!r}: give a simlab.CostModel(draft=..., target=...)")
    return cost
