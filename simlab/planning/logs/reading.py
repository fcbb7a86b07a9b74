"""What was read from a log: counts as far as the log has them, and what they come from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from simlab.errors import SimlabError


@dataclass(frozen=True, eq=False)
class Reading:
    """Statistics of one engine from one kind of line.

    engine: its name; origin: which lines, in words; lines: how many of them. calls: N, the target calls that
    verified drafts; drafted: D, accepted: A, tokens, bonus tokens never counted; window: the tokens of a full
    draft; each None where the log does not say. by_position: int64 (K,), entry i - 1 the calls in which the
    first i drafted tokens were all accepted, with bounds low and high where the log has rounded rates.
    drafted_by_position: int64 (K,), or None. length: tokens per call where the log has no calls. costs: times
    in milliseconds, {"draft": .., "target": ..}, where the log has them, and costs_from in words. identities:
    what must hold, and whether it does; notes: what else is to be known; lines of text.
    """

    engine: str
    origin: str
    lines: int
    calls: int | None = None
    drafted: int | None = None
    accepted: int | None = None
    window: int | None = None
    by_position: np.ndarray | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    drafted_by_position: np.ndarray | None = None
    length: float | None = None
    costs: dict[str, float] = field(default_factory=dict)
    costs_from: str = ""
    identities: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def worth(self) -> tuple[int, int]:
        """Readings with more to plan from are larger."""
        known = (self.by_position is not None, self.length is not None and self.window is not None)
        return 2 * known[0] + known[1], self.calls or self.drafted or 0

    def summary(self) -> str:
        """Engine, calls, drafted and accepted in a line, and the lines they come from."""
        counts = [
            f"{value} {name}"
            for name, value in (
                ("calls", self.calls), ("drafted", self.drafted), ("accepted", self.accepted),
            )
            if value is not None
        ]  # fmt: skip
        if self.length is not None and self.calls is None:
            counts.append(f"mean length {self.length:.4g}")
        window = f", window {self.window}" if self.window else ""
        what = self.origin if self.lines == 1 else f"{self.lines} {self.origin}"
        return f"{self.engine}: {', '.join(counts)}{window}; from {what}"

    def document(self) -> dict:
        """What `simlab plan --json` says of it."""
        lists = {name: getattr(self, name) for name in ("by_position", "low", "high", "drafted_by_position")}
        names = {"by_position": "accepted_by_position", "low": "accepted_low", "high": "accepted_high"}
        return {
            "engine": self.engine,
            "origin": self.origin,
            "lines": self.lines,
            "calls": self.calls,
            "drafted": self.drafted,
            "accepted": self.accepted,
            "window": self.window,
            "mean_length": self.length,
            **{names.get(name, name): None if one is None else one.tolist() for name, one in lists.items()},
            "measured_costs": self.costs or None,
            "identities": list(self.identities),
        }


def check_counts(where: str, accepted, drafted) -> None:
    """Raises SimlabError where more tokens are accepted than drafted."""
    if accepted is not None and drafted is not None and accepted > drafted:
        raise SimlabError(f"{where}: accepted = {accepted} of drafted = {drafted}: these numbers contradict")


def check_falling(where: str, counts: np.ndarray) -> None:
    """Raises SimlabError where more calls accepted the first i + 1 drafted tokens than the first i."""
    if (np.diff(counts) > 0).any():
        raise SimlabError(
            f"{where}: accepted by position {counts.tolist()} rises; a token is accepted behind those before "
            "it only: these numbers contradict"
        )


def padded_sum(rows) -> np.ndarray:
    """The sum of rows of whole numbers of different lengths, the missing ends 0; int64."""
    rows = [np.asarray(row, np.int64) for row in rows]
    total = np.zeros(max(map(len, rows), default=0), np.int64)
    for row in rows:
        total[: len(row)] += row
    return total
