"""Plans at several loads: the best window for each, as one table and as engines take it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from simlab.errors import SimlabError
from simlab.planning.window_plan import WindowPlan
from simlab.text import columns

ENGINE_KEY = "num_speculative_tokens_per_batch_size"
"""What vLLM calls its schedule, [[from, to, window], ..] by requests decoded together."""


@dataclass(frozen=True, eq=False)
class LoadPlans:
    """Plans of one source whose costs differ in the load only, by rising concurrency; at least one.

    Printed, it is the table of the best window for each load.
    """

    plans: tuple[WindowPlan, ...]

    def __post_init__(self) -> None:
        loads = [plan.cost.concurrency for plan in self.plans]
        if not loads or len(set(loads)) < len(loads):
            raise SimlabError(
                f"concurrency = {loads} is not valid; expected each load once, and at least one"
            )
        object.__setattr__(self, "plans", tuple(sorted(self.plans, key=lambda plan: plan.cost.concurrency)))

    def rows(self) -> list[dict]:
        """A row a load: concurrency, window (0: do not draft), and what it yields and takes."""
        rows = []
        for plan in self.plans:
            best = plan.rows()[plan.windows.tolist().index(plan.best)]
            kept = {name: best[name] for name in ("tokens_per_call", "time_per_token", "speedup")}
            load = plan.cost.concurrency
            row = {"concurrency": load, "window": plan.best, **kept}
            rows.append({**row, "throughput": load / kept["time_per_token"]})
        return rows

    def schedule(self) -> list[list[int]]:
        """[[from, to, window], ..]: each load's best window holds up to the next load; ends inclusive."""
        rows = self.rows()
        starts = [1, *(row["concurrency"] for row in rows[1:])]
        ends = [*(start - 1 for start in starts[1:]), rows[-1]["concurrency"]]
        merged: list[list[int]] = []
        for start, end, row in zip(starts, ends, rows, strict=True):
            if merged and merged[-1][2] == row["window"]:
                merged[-1][1] = end
            else:
                merged.append([start, end, row["window"]])
        return merged

    def table(self):
        """The rows as a `pandas.DataFrame`."""
        import pandas

        return pandas.DataFrame(self.rows())

    def document(self) -> dict:
        """The schedule as engines take it, the table, and the plan of each load."""
        plans = [plan.document() for plan in self.plans]
        return {ENGINE_KEY: self.schedule(), "loads": self.rows(), "plans": plans}

    def __str__(self) -> str:
        rows = [
            {
                "concurrency": str(row["concurrency"]),
                "window": str(row["window"]),
                "tokens/call": f"{row['tokens_per_call']:.4f}",
                "time/token": f"{row['time_per_token']:.5g}",
                "speed-up": f"{row['speedup']:.4f}",
                "throughput": f"{row['throughput']:.5g}",
            }
            for row in self.rows()
        ]
        head = f"best window by load: {self.plans[0].label}"
        foot = "speed-up: over the target alone at the same load; throughput: tokens of all requests together"
        return "\n".join([head, "", columns(rows), "", foot])


def grouped(plans: Iterable[WindowPlan]) -> list[WindowPlan | LoadPlans]:
    """Plans that differ in the load only, together; others as they are, in the order given."""
    groups: dict[tuple, list[WindowPlan]] = {}
    for plan in plans:
        cost = (plan.cost.draft, plan.cost.target, plan.cost.draft_call, plan.cost.overhead)
        groups.setdefault((plan.label, cost), []).append(plan)
    return [LoadPlans(tuple(group)) if len(group) > 1 else group[0] for group in groups.values()]
