"""What a call takes: drafted tokens, the target's forward over them, and what is paid whatever they are."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from simlab.checks import as_integer, check_count, check_number
from simlab.cost.table import TimeTable, as_time
from simlab.decoders import call_sizes
from simlab.errors import SimlabError


@dataclass(frozen=True)
class CostModel:
    """A call that drafts g tokens takes draft_call [g > 0] + g D + V(B (g + 1)) + overhead.

    All times are in a unit of the user's choice, which all times below then have.

    target: V, the time of a target forward by the tokens in it: a number > 0, the same for any number of
    them (Leviathan et al. 2023); a list, of 1, 2, 3.. tokens; a table {tokens: time}, linear between its
    entries and by the last slope beyond; {base: a, per_token: b}, a + b n; {relative: [1, r2, ..], time: t},
    t n r_n; or a `TimeTable`. draft: D, the time of one drafted position: a number > 0, the same at any load,
    or a table as above of a draft forward by the tokens in it, B of them. draft_call: >= 0, once in each call
    that drafts; overhead: >= 0, once in each call. concurrency: B >= 1, requests that are decoded together,
    so that every forward has B times as many tokens. Autoregressive decoding takes V(B) a token, without
    overhead. Times are those of a step of all B requests, in which each of them yields its tokens.

    Raises SimlabError for costs that are not finite numbers > 0, tables that are empty, unsorted or begin
    above B tokens, and a ratio that is none. Source: own, see theory/README.md.

        >>> cost = CostModel(draft=10.35, target=30.74, draft_call=10.9)
        >>> round(cost.call_time(3), 2), cost.alone
        (72.69, 30.74)
    """

    draft: float | TimeTable = 0.05
    target: float | TimeTable = 1.0
    draft_call: float = 0.0
    overhead: float = 0.0
    concurrency: int = 1

    def __post_init__(self) -> None:
        checked = {name: as_time(f"cost.{name}", getattr(self, name)) for name in ("draft", "target")}
        for name in ("draft_call", "overhead"):
            checked[name] = check_number(f"cost.{name}", getattr(self, name), least=0.0)
        checked["concurrency"] = check_count("concurrency", as_integer(self.concurrency))
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if not 0 < self.ratio < math.inf:
            raise SimlabError(
                f"cost.draft = {self.drafted:g} and cost.target = {self.alone:g}: too far apart to compare"
            )

    @property
    def alone(self) -> float:
        """V(B): what autoregressive decoding takes a token, at the same load."""
        return self._forward(1)

    @property
    def drafted(self) -> float:
        """D: the time of one drafted position at this load."""
        return self.draft.at(self.concurrency, "cost.draft") if _is_table(self.draft) else self.draft

    @property
    def ratio(self) -> float:
        """c: a drafted position over autoregressive decoding's token."""
        return self.drafted / self.alone

    @property
    def is_flat(self) -> bool:
        """Whether a call takes drafted g + target whatever g is, as in the formulas of Leviathan et al."""
        return not (_is_table(self.target) or self.draft_call or self.overhead)

    @property
    def marginal(self) -> float:
        """What one more drafted token takes in the end, where windows are long."""
        slope = self.target.slope if _is_table(self.target) else 0.0
        return self.drafted + self.concurrency * slope

    def call_time(self, drafted):
        """The time of one call that drafts so many tokens; a number, or an array for an array of them."""
        drafted = np.asarray(drafted)
        fixed = self.overhead + self.draft_call * (drafted > 0)
        times = self.drafted * drafted + self._forward(drafted + 1) + fixed
        return float(times) if times.ndim == 0 else times

    def time_of_calls(self, calls_by_drafted) -> float:
        """The time of so many calls that draft exactly 0, 1, .., K tokens, (K+1,)."""
        calls = np.asarray(calls_by_drafted)
        return float(calls @ self.call_time(np.arange(len(calls))))

    def time(self, drafted_tokens, target_calls):
        """The time that so many drafted tokens and target calls take; numbers or arrays.

        Raises SimlabError unless the cost `is_flat`: how the tokens lie in the calls would matter.
        """
        if not self.is_flat:
            raise SimlabError(
                "the time of a call is not linear in its drafted tokens: give time_of_calls the calls by "
                "how many tokens they draft"
            )
        return self.drafted * drafted_tokens + self.alone * target_calls

    def expected_time(self, result) -> float:
        """The expected time for all T tokens.

        result: a `simlab.Prediction`, of which it is exact, or simulated `simlab.Counts`, of which it is the
        mean (`simlab.evidence.time_interval` has its interval). Raises SimlabError for anything else, for a
        prediction of trees, whose drafted tokens are not predicted, and for counts without calls.
        """
        counted = hasattr(result, "mean_drafted_tokens")
        if not counted and not hasattr(result, "expected_drafted_tokens"):
            raise SimlabError(
                f"{type(result).__name__} has no time: give a simlab.Prediction or simlab.Counts"
            )
        if counted:
            if self.is_flat:
                return self.time(result.mean_drafted_tokens, result.mean_target_calls)
            times = self.call_time(result.call_sizes)
            return float(result.calls_by_drafted @ times) / result.trajectories
        return self._expected_time(result)

    def time_per_token(self, result) -> float:
        """E[time for T tokens] / T, of what `expected_time` takes."""
        return self.expected_time(result) / result.horizon

    def speedup(self, result) -> float:
        """The time of autoregressive decoding at the same load over the expected time. Its own is 1."""
        expected = self.expected_time(result)
        return result.horizon * self.alone / expected

    def throughput(self, result) -> float:
        """Tokens of all B requests together per unit of time, of what `expected_time` takes."""
        return self.concurrency / self.time_per_token(result)

    def at_load(self, concurrency: int) -> CostModel:
        """The same costs where so many requests are decoded together."""
        return dataclasses.replace(self, concurrency=concurrency)

    def document(self) -> dict:
        """The costs as JSON has them: numbers and tables; what is not paid is left out."""
        costs = {name: getattr(self, name) for name in ("draft", "target")}
        shown = {name: cost.document() if _is_table(cost) else cost for name, cost in costs.items()}
        more = {name: getattr(self, name) for name in ("draft_call", "overhead") if getattr(self, name)}
        return shown | more | ({"concurrency": self.concurrency} if self.concurrency > 1 else {})

    def columns(self) -> dict[str, float | str]:
        """What a row of a table says of them, a column each; a table of times as it is printed."""
        values = {**self.document(), "draft": self.draft, "target": self.target}
        return {f"cost.{name}": str(cost) if _is_table(cost) else cost for name, cost in values.items()}

    def spelled(self, between: str = " ") -> str:
        """In words, without what is not paid: draft 0.05, target 1."""
        costs = {**self.document(), "draft": self.draft, "target": self.target}
        return ", ".join(
            f"{name}{between}{cost if _is_table(cost) else f'{cost:g}'}" for name, cost in costs.items()
        )

    def __str__(self) -> str:
        return self.spelled()

    def _forward(self, tokens):
        """The target's forward that verifies so many tokens of each request."""
        if _is_table(self.target):
            return self.target.at(self.concurrency * tokens, "cost.target")
        return self.target

    def _expected_time(self, prediction) -> float:
        if not prediction.decoder.drafts_per_call:
            return prediction.horizon * self.alone
        drafted = prediction.expected_drafted_tokens
        if not math.isfinite(drafted):
            raise SimlabError(
                f"no cost for {prediction.decoder!r}: the number of its drafted tokens is "
                + ("infinite" if drafted == math.inf else "not predicted")
            )
        if self.is_flat:
            return self.time(drafted, prediction.expected_target_calls)
        calls = prediction.calls_by_drafted
        return float(calls @ self.call_time(call_sizes(prediction.decoder, len(calls) - 1)))


def check_cost(cost) -> CostModel:
    """`cost` if it is a `CostModel`; SimlabError otherwise."""
    if not isinstance(cost, CostModel):
        raise SimlabError(f"cost = {cost!r} is not valid; expected a simlab.CostModel(draft=..., target=...)")
    return cost


def _is_table(cost) -> bool:
    return isinstance(cost, TimeTable)
