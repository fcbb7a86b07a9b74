"""`simlab.plan`: from what is known to a plan, by the table of what can be planned from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from simlab.cost import CostModel, check_cost
from simlab.errors import SimlabError
from simlab.planning.acceptance import plan_acceptance
from simlab.planning.averages import plan_acceptance_rate, plan_mean_length
from simlab.planning.from_log import plan_log, read_logs
from simlab.planning.loads import LoadPlans
from simlab.planning.measured import plan_rates
from simlab.planning.window_plan import WindowPlan
from simlab.planning.windows import window_choice


def _plan_pair(*given, **settings) -> WindowPlan | LoadPlans:
    from simlab.planning.exact import plan_pair  # with all the theory, which other plans do not wait for

    return plan_pair(*given, **settings)


def _plan_trace(*given, **settings) -> WindowPlan | LoadPlans:
    from simlab.planning.from_trace import plan_trace

    return plan_trace(*given, **settings)


SOURCES = {
    "acceptance": plan_acceptance,
    "acceptance_rate": plan_acceptance_rate,
    "mean_length": plan_mean_length,
    "rates": plan_rates,
    "log": plan_log,
    "pair": _plan_pair,
    "trace": _plan_trace,
}
"""What can be planned from, by the keyword that gives it."""

MEASURED = ("rates", "log", "trace")
"""Those with intervals, which take a confidence."""

EXAMPLES = (
    "acceptance=0.8, acceptance_rate=0.6, mean_length=2.6, rates=FILE.csv, log=FILE, trace=FILE and "
    "pair=corpus"
)

AVERAGES = ("acceptance_rate", "mean_length", "log")
"""Those of one measured window, which take it as `window`."""


def plan(
    *,
    acceptance: float | None = None,
    acceptance_rate: float | None = None,
    mean_length: float | None = None,
    rates=None,
    log=None,
    pair=None,
    trace=None,
    window: int | None = None,
    cost: CostModel | None = None,
    concurrency: int | Sequence[int] | None = None,
    windows=None,
    longest: int | None = None,
    confidence: float | None = None,
) -> WindowPlan | LoadPlans:
    """How many tokens to draft before each target call (the window), and what speed-up to expect.

    Speed-ups are over the target alone, with the bonus token. Exactly one source is given:

    - acceptance: the probability that a drafted token is accepted, given that those before it in its window
      were, the same for all (Leviathan et al. 2023). It is not accepted/drafted as engines log it, which is
      lower.
    - acceptance_rate: accepted over drafted tokens, as engines log it, and `window`, the tokens that every
      call drafted; mean_length: tokens per call, bonus token included, and `window`. Exact at that window; at
      others a guess, and the bracket that all rates by position allow (`simlab.planning.averages`).
    - rates: the acceptance by position in the window. The path of a CSV (`simlab.planning.read_rates`); a
      list or array (K,), entry i - 1 the part of calls in which the token at position i was accepted, and so
      all before it; a table (a dict or DataFrame) of drafted and accepted, which gives intervals, or of
      acceptance, or of conditional.
    - log: the path of a serving engine's log, or - for standard input, or a list of paths or a folder, which
      are added up (`simlab.planning.logs`). Costs that the log has measured are taken if no cost is given.
    - pair: a `ChainPair`; exact, with the other rules for how much to draft.
    - trace: a `Trace` of a real model, or the path of one; exact on its texts, with intervals for the model.

    cost: a `CostModel`, by default `CostModel()`; concurrency: instead of its own, the requests that are
    decoded together, one number, or several for a plan at each load (`LoadPlans`). windows: those to look at,
    or longest: all up to this one; by default those to 16 and those about the best. confidence: of the
    intervals of counts and traces, 0.95.

    Raises SimlabError for no source or several, and for values out of range.

        >>> print(simlab.plan(rates=[0.805, 0.632, 0.483], cost=simlab.CostModel(10.35, 30.74)).best)
        2
    """
    given = {
        "acceptance": acceptance,
        "acceptance_rate": acceptance_rate,
        "mean_length": mean_length,
        "rates": rates,
        "log": log,
        "pair": pair,
        "trace": trace,
    }
    source = only_source(name for name, value in given.items() if value is not None)
    choice = window_choice(windows, longest)
    if confidence is not None and source not in MEASURED:
        raise SimlabError(
            "confidence: only what is planned from measured counts (rates=FILE.csv) or a trace has intervals"
        )
    if window is not None and source not in AVERAGES:
        raise SimlabError(f"window: only {' and '.join(AVERAGES)} take the window they were measured with")
    costs, many = _costs(cost, concurrency, measured=source == "log")
    if source == "log":
        given["log"] = read_logs(log)
    more = {"confidence": confidence} if source in MEASURED else {}
    more |= {"window": window} if source in AVERAGES else {}
    plans = [SOURCES[source](given[source], cost=cost, choice=choice, **more) for cost in costs]
    return LoadPlans(tuple(plans)) if many else plans[0]


def _costs(cost: CostModel | None, concurrency, measured: bool) -> tuple[list[CostModel | None], bool]:
    """The cost at each load, and whether several loads were asked for; None for what a log has measured."""
    loads = concurrency.tolist() if isinstance(concurrency, np.ndarray) else concurrency
    many = isinstance(loads, list | tuple | range)
    if cost is None and measured and loads is None:
        return [None], many
    cost = check_cost(CostModel() if cost is None else cost)
    return [cost] if loads is None else [cost.at_load(load) for load in (loads if many else [loads])], many


def only_source(names: Iterable[str]) -> str:
    """The one source named. Raises SimlabError for none or several."""
    names = list(names)
    if len(names) != 1:
        given = " and ".join(names) or "nothing"
        raise SimlabError(f"{given} to plan from: give one of {EXAMPLES}")
    return names[0]
