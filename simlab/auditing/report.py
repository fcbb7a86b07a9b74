"""What an audit found."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class InstanceReport:
    """One instance: its calls, accepted tokens a call, and what bias it may still hide.

    resolution: the largest total variation of the token at any position that its sample leaves possible (at
    1%); joint_resolution: the same of all g + 1 tokens together, None where they have too many values.
    """

    name: str
    what: str
    states: int
    calls: int
    accepted: float
    resolution: float
    joint_resolution: float | None


@dataclass(frozen=True, eq=False)
class AuditReport:
    """The outcome of an audit, and for FAIL where and what.

    outcome: "PASS", "FAIL" or "INCONCLUSIVE". sentence: the shortest that says it. kind: "bias", "acceptance"
    (another number of accepted tokens than `law` has), or what the verifier did that none may: "raise",
    "hang", "shape", "vocabulary", "changed arguments", "not drafted"; None without a FAIL.

    instance: the instance's name. position: in the window, 1 for the first token, window + 1 for the bonus
    token. accepted: how many tokens were accepted before it. prefix: those tokens, or None for all prefixes.
    wanted, seen (V,): the token's distribution there, completed by target draws where a call stopped earlier.
    total_variation, and interval: between the two, with a 95% interval. mistake: the known one it looks like.
    resolution: the largest of the instances'. interrupted: Ctrl-C stopped it.
    calls: of the verifier up to the verdict; a FAIL plays on a little, for better numbers in the report.
    evidence: 1/evidence bounds the chance of a false alarm.
    """

    outcome: str
    sentence: str
    window: int
    false_alarm: float
    wanted_resolution: float
    calls: int
    seconds: float
    evidence: float
    instances: tuple[InstanceReport, ...]
    kind: str | None = None
    instance: str | None = None
    position: int | None = None
    accepted: int | None = None
    prefix: tuple[int, ...] | None = None
    wanted: np.ndarray | None = None
    seen: np.ndarray | None = None
    total_variation: float | None = None
    interval: tuple[float, float] | None = None
    mistake: str | None = None
    interrupted: bool = False

    @property
    def resolution(self) -> float:
        return max(one.resolution for one in self.instances)

    @property
    def passed(self) -> bool:
        return self.outcome == "PASS"

    def document(self) -> dict:
        """Everything, as plain data for JSON."""
        found = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        found["instances"] = [dataclasses.asdict(one) for one in self.instances]
        found["resolution"] = self.resolution
        for name in ("wanted", "seen"):
            found[name] = None if found[name] is None else found[name].tolist()
        return found

    def __str__(self) -> str:
        lines = [f"{self.outcome}: {self.sentence}"]
        if self.wanted is not None:
            lines += ["", f"  {'token':<8}{'wanted':>10}{'seen':>10}"]
            for token, (wanted, seen) in enumerate(zip(self.wanted, self.seen, strict=True)):
                lines.append(f"  {token:<8}{wanted:>10.4f}{seen:>10.4f}")
            low, high = self.interval
            lines.append(
                f"  total variation {self.total_variation:.4f}, 95% interval {low:.4f} to {high:.4f}"
            )
        lines += ["", f"  {'instance':<22}{'tokens':>7}{'calls':>10}{'accepted':>10}{'may hide':>10}"]
        for one in self.instances:
            hidden = f"{one.resolution:.4f}" if one.calls else ""
            lines.append(
                f"  {one.name:<22}{one.states:>7}{one.calls:>10,}{one.accepted:>10.3f}{hidden:>10}".rstrip()
            )
        lines.append(f"  {self.calls:,} calls in {self.seconds:.1f} s")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"AuditReport({self.outcome}: {self.sentence})"
