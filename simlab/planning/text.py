"""A plan as the terminal shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simlab.planning.windows import NEAR, spelled_runs
from simlab.text import columns

if TYPE_CHECKING:
    from simlab.planning.window_plan import WindowPlan


def plan_text(plan: WindowPlan) -> str:
    """The table with what stands above and below it; * marks the best window, ~ those near it."""
    near = plan.is_near()
    rows = [
        {
            "": "*" if window == plan.best else "~" * bool(near[row]),
            "window": str(window),
            "tokens/call": f"{plan.tokens_per_call[row]:.4f}",
            "drafted/call": f"{plan.drafted_per_call[row]:.4g}",
            "time/token": f"{plan.time_per_token[row]:.5g}",
            "speed-up": f"{plan.speedup[row]:.4f}",
            **({"throughput": f"{plan.throughput[row]:.5g}"} if plan.cost.concurrency > 1 else {}),
            **_interval(plan, row),
        }
        for row, window in enumerate(plan.windows.tolist())
    ]
    cost = f"cost: {plan.cost}"
    lines = [plan.label, *plan.read, cost, "", columns(rows), "", plan.summary, *plan.remarks]
    if plan.others:
        lines += ["", columns([_other_row(other) for other in plan.others])]
    return "\n".join(lines)


def summary(plan: WindowPlan) -> str:
    """The answer in a line."""
    drafted = plan.speedup[1:]
    if not drafted.size:
        return "do not draft: there is nothing to draft"
    if not plan.best:
        best = f"window {plan.windows[1 + drafted.argmax()]}, has speed-up {drafted.max():.4g}"
        if plan.asked:
            return f"none of the windows asked for pays: the best of them, {best}, against 1 without drafting"
        return f"do not draft: the best of these, {best}, against 1 for the target alone"
    runs = [(max(first, 1), last) for first, last in plan.near if last]
    if runs == [(plan.best, plan.best)]:
        flat = f"no other window here is within {NEAR:.0%} of it"
    else:
        flat = f"windows {spelled_runs(runs)} are within {NEAR:.0%}"
    return f"best window {plan.best}: speed-up {plan.best_speedup:.4g}; {flat}"


def _interval(plan: WindowPlan, row: int) -> dict[str, str]:
    if plan.low is None:
        return {}
    interval = f"{plan.low[row]:.4f} to {plan.high[row]:.4f}" if plan.windows[row] else ""
    return {"bracket" if plan.confidence is None else f"{100 * plan.confidence:.10g}% interval": interval}


def _other_row(other: dict) -> dict[str, str]:
    return {
        "rule": other["rule"],
        "setting": other["setting"],
        "time/token": f"{other['time_per_token']:.5g}",
        "speed-up": f"{other['speedup']:.4f}",
    }
