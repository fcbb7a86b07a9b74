"""`simlab.plan`: from what is known to a plan, by the table of what can be planned from."""

from __future__ import annotations

from collections.abc import Iterable

from simlab.cost import CostModel, check_cost
from simlab.errors import SimlabError
from simlab.planning.acceptance import plan_acceptance
from simlab.planning.exact import plan_pair
from simlab.planning.measured import plan_rates
from simlab.planning.window_plan import WindowPlan
from simlab.planning.windows import window_choice

SOURCES = {"acceptance": plan_acceptance, "rates": plan_rates, "pair": plan_pair}
"""What can be planned from, by the keyword that gives it."""

MEASURED = ("rates",)
"""Those with intervals, which take a confidence."""


def plan(
    *,
    acceptance: float | None = None,
    rates=None,
    pair=None,
    cost: CostModel | None = None,
    windows=None,
    longest: int | None = None,
    confidence: float | None = None,
) -> WindowPlan:
    """How many tokens to draft before each target call (the window), and what speed-up to expect.

    Speed-ups are over the target alone, with the bonus token. Exactly one source is given:

    - acceptance: the probability that a drafted token is accepted, given that those before it in its window
      were, the same for all (Leviathan et al. 2023). It is not accepted/drafted as engines log it, which is
      lower.
    - rates: the acceptance by position in the window. The path of a CSV (`simlab.planning.read_rates`); a
      list or array (K,), entry i - 1 the part of calls in which the token at position i was accepted, and so
      all before it; a table (a dict or DataFrame) of drafted and accepted, which gives intervals, or of
      acceptance, or of conditional.
    - pair: a `ChainPair`; exact, with the other rules for how much to draft.

    cost: a `CostModel`, by default `CostModel()`. windows: those to look at, or longest: all up to this one;
    by default those to 16 and those about the best. confidence: of the intervals of counts, 0.95.

    Raises SimlabError for no source or several, and for values out of range.

        >>> print(simlab.plan(rates=[0.805, 0.632, 0.483], cost=simlab.CostModel(10.35, 30.74)).best)
        2
    """
    given = {"acceptance": acceptance, "rates": rates, "pair": pair}
    source = only_source(name for name, value in given.items() if value is not None)
    choice = window_choice(windows, longest)
    if confidence is not None and source not in MEASURED:
        raise SimlabError(
            "confidence: only what is planned from measured counts (rates=FILE.csv) has intervals"
        )
    cost = CostModel() if cost is None else check_cost(cost)
    more = {"confidence": confidence} if source in MEASURED else {}
    return SOURCES[source](given[source], cost=cost, choice=choice, **more)


def only_source(names: Iterable[str]) -> str:
    """The one source named; SimlabError for none or several."""
    names = list(names)
    if len(names) != 1:
        given = " and ".join(names) or "nothing"
        raise SimlabError(f"{given} to plan from: give one of acceptance=0.8, rates=FILE.csv and pair=corpus")
    return names[0]
