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

    def expected_time(self, prediction) -> float:
        """The expected time for all T tokens, of a `simlab.Prediction`.

        Raises SimlabError for a decoder of trees, whose drafted tokens are not predicted, and for what is no
        prediction: `simlab.evidence.time_interval` takes simulated counts.
        """
        drafted = getattr(prediction, "expected_drafted_tokens", None)
        if drafted is None:
            raise SimlabError(
                f"{type(prediction).__name__} is no simlab.Prediction: the time of simulated counts is "
                "simlab.evidence.time_interval's"
            )
        if not math.isfinite(drafted):
            raise SimlabError(
                f"no cost for {prediction.decoder!r}: the number of its drafted tokens is "
                + ("infinite" if drafted == math.inf else "not predicted")
            )
        return self.time(drafted, prediction.expected_target_calls)

    def time_per_token(self, prediction) -> float:
        """E[time for T tokens] / T."""
        return self.expected_time(prediction) / prediction.horizon

    def speedup(self, prediction) -> float:
        """The time of autoregressive decoding over the expected time: T T_v / E[time]."""
        return self.target / self.time_per_token(prediction)


def check_cost(cost) -> CostModel:
    """`cost` if it is a `CostModel`; SimlabError otherwise."""
    if not isinstance(cost, CostModel):
        raise SimlabError(f"cost = {cost!r}: give a simlab.CostModel(draft=..., target=...)")
    return cost
