"""A plan from one acceptance probability for every drafted token, by the memoryless formulas."""

from __future__ import annotations

from numbers import Real

import numpy as np

from simlab.checks import check_number
from simlab.cost import CostModel
from simlab.errors import SimlabError
from simlab.planning.window_plan import WindowPlan
from simlab.planning.windows import (
    NEAR,
    SHOWN,
    WindowChoice,
    best_and_near,
    elsewhere_remark,
    longer_remark,
    shown_windows,
)
from simlab.theory import memoryless

NOT_LOGGED = (
    "for a logged rate of {:.12g}, not conditional, give acceptance_rate= and window="
)


def plan_acceptance(acceptance: float, cost: CostModel, choice: WindowChoice) -> WindowPlan:
    """Every drafted token is accepted with this probability, given that those before it are.

    Source: Leviathan et al. 2023 (`simlab.theory.memoryless`). Raises SimlabError for anything but one number
    in [0, 1].
    """
    if not isinstance(acceptance, Real | str | None):
        raise SimlabError("acceptance: expected one number in [0, 1]; rates by position are rates=[0.8,0.6]")
    acceptance = check_number("acceptance", acceptance, least=0.0, most=1.0)
    endless = choice == WindowChoice() and memoryless.best_window(acceptance, cost) == np.inf
    if endless:
        choice = WindowChoice(longest=SHOWN)
    windows, best, near = _windows(acceptance, cost, choice)
    if endless:
        remarks = [
            "the best window is the longest looked at; longer windows are better still: "
            f"the speed-up tends to {cost.alone / cost.marginal:.4g}"
        ]
    else:
        remarks = _remarks(acceptance, cost, choice, best)
    return WindowPlan(
        source={"acceptance": acceptance},
        label=f"acceptance {acceptance:.12g}",
        cost=cost,
        windows=windows,
        asked=choice.windows,
        tokens_per_call=memoryless.tokens_per_call(acceptance, windows),
        drafted_per_call=windows.astype(float),
        time_per_token=memoryless.time_per_token(acceptance, windows, cost),
        best=best,
        near=near,
        remarks=[*remarks, NOT_LOGGED.format(acceptance)],
    )


def _windows(acceptance: float, cost: CostModel, choice: WindowChoice) -> tuple[np.ndarray, int, list]:
    """The windows of the table, the best one, and those near it."""
    if choice.windows:
        windows = choice.listed(0)
        return windows, *best_and_near(windows, memoryless.time_per_token(acceptance, windows, cost))
    if cost.is_flat:
        best = memoryless.best_window(acceptance, cost, longest=choice.longest)
        near = [memoryless.windows_within(acceptance, cost, NEAR, longest=choice.longest)]
    else:
        tried = np.arange(1 + (choice.longest or memoryless.windows_to_try(acceptance, cost, share=NEAR)))
        best, near = best_and_near(tried, memoryless.time_per_token(acceptance, tried, cost))
    return choice.listed(choice.longest) if choice.longest else shown_windows(best, near), best, near


def _remarks(acceptance: float, cost: CostModel, choice: WindowChoice, best: int) -> list[str]:
    if cost.is_flat and cost.ratio >= acceptance:
        return [f"no window pays unless the acceptance is above the cost ratio, {cost.ratio:.4g}"]
    of_all = memoryless.best_window(acceptance, cost)
    if not best:
        return [elsewhere_remark(of_all, memoryless.speedup(acceptance, of_all, cost), "of any length")]
    if best != choice.asked:
        return []
    if of_all > best:
        return [longer_remark(choice, best)]
    return ["the best window is the longest looked at; by the formula no longer one is better"]
