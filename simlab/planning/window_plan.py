"""What every plan is, whatever it comes from: windows with what each yields and takes, and the best."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from simlab.cost import CostModel
from simlab.planning import text
from simlab.planning.windows import NEAR, best_and_near, times_per_token


@dataclass(frozen=True, eq=False)
class WindowPlan:
    """Windows with what each yields and takes; printed, it is the table of `simlab plan`.

    source: where it comes from, as JSON says it; label: in words. windows: int64 (W,), rising from 0, the
    target alone; asked: those that were asked for one by one, or None. tokens_per_call, drafted_per_call,
    time_per_token (in the unit of the cost), speedup (over the target alone): floats (W,). best: the window
    with the least time; 0: do not draft. near: the windows within NEAR of it, as (from, to). low, high: an
    interval of the speed-up, floats (W,), with `confidence` for all windows at once, or a bracket where that
    is None; both None where nothing is measured. read: lines of what was read from a
    log; remarks: lines below the table. others: other rules for how
    much to draft, as rows {"rule", "setting", "time_per_token", "speedup"}.
    """

    source: dict
    label: str
    cost: CostModel
    windows: np.ndarray
    tokens_per_call: np.ndarray
    drafted_per_call: np.ndarray
    time_per_token: np.ndarray
    best: int
    near: list[tuple[int, int]]
    asked: tuple[int, ...] | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    confidence: float | None = None
    read: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    others: list[dict] = field(default_factory=list)

    @property
    def speedup(self) -> np.ndarray:
        """Over the target alone, (W,)."""
        return self.cost.alone / self.time_per_token

    @property
    def throughput(self) -> np.ndarray:
        """Tokens of all requests that are decoded together, per unit of time, (W,)."""
        return self.cost.concurrency / self.time_per_token

    @property
    def best_speedup(self) -> float:
        """The speed-up of the best window; 1 where none is drafted."""
        return float(self.speedup[self.windows == self.best][0]) if self.best else 1.0

    @property
    def summary(self) -> str:
        """The answer in a line."""
        return text.summary(self)

    def is_near(self) -> np.ndarray:
        """(W,): whether a window is within NEAR of the best one, and the best one drafts."""
        inside = [(self.windows >= first) & (self.windows <= last) for first, last in self.near]
        return np.any(inside, axis=0) & (self.windows > 0) & (self.best > 0)

    @classmethod
    def of_tokens(
        cls, tokens: np.ndarray, windows: np.ndarray, cost: CostModel, asked: tuple[int, ...] | None, **what
    ) -> WindowPlan:
        """Of calls that draft their whole window. tokens: per call, floats by window from 0; windows: those
        of the table; what: the other fields."""
        times = times_per_token(tokens, cost)[windows]
        best, near = best_and_near(windows, times)
        return cls(
            cost=cost,
            windows=windows,
            asked=asked,
            tokens_per_call=tokens[windows],
            drafted_per_call=windows.astype(float),
            time_per_token=times,
            best=best,
            near=near,
            **what,
        )

    def rows(self) -> list[dict]:
        """A row a window: window, tokens_per_call, .., speedup, low and high where
        measured, throughput where requests are decoded together, near."""
        columns = {"window": self.windows}
        for name in ("tokens_per_call", "drafted_per_call", "time_per_token", "speedup", "low", "high"):
            if getattr(self, name) is not None:
                columns[name] = getattr(self, name)
        if self.cost.concurrency > 1:
            columns["throughput"] = self.throughput
        columns["near"] = self.is_near()
        values = zip(*(column.tolist() for column in columns.values()), strict=True)
        return [dict(zip(columns, row, strict=True)) for row in values]

    def table(self):
        """The rows as a `pandas.DataFrame`."""
        import pandas

        return pandas.DataFrame(self.rows())

    def document(self) -> dict:
        """All numbers, as `simlab plan --json` prints them."""
        return {
            **self.source,
            **({} if self.confidence is None else {"confidence": self.confidence}),
            "cost": {**self.cost.document(), "ratio": self.cost.ratio},
            "best_window": self.best,
            "best_speedup": self.best_speedup,
            "within": NEAR,
            "near": [[max(first, 1), last] for first, last in self.near if last] if self.best else [],
            "windows": self.rows(),
            "others": self.others,
            "remarks": [self.summary, *self.remarks],
        }

    def __str__(self) -> str:
        return text.plan_text(self)

    def __repr__(self) -> str:
        return f"WindowPlan({self.label}; {self.summary})"
