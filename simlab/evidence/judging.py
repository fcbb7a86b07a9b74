"""The levels of all verdicts: how rare a false alarm is, and what a PASS must have been able to see."""

from __future__ import annotations

from dataclasses import dataclass, fields

from simlab.checks import check_number
from simlab.errors import SimlabError
from simlab.evidence.verdict import FALSE_ALARM, LEAST_ERROR, MISS


@dataclass(frozen=True)
class Judging:
    """The levels at which an experiment judges; each is a setting `judging.NAME` of `simlab run`.

    false_alarm: at most the probability that a verdict FAILs although its claim is true. miss: at most the
    probability that a discrepancy of more than the verdict's `detectable` goes unnoticed. The others say
    which discrepancy a PASS could have seen:

    - mean_resolution: of E[N_rej] and of E[target calls], as a part of the generated tokens T; of E[drafted
      tokens], as a part of the drafted tokens where they are more.
    - cell_resolution: of a probability in any cell of a distribution or of token marginals.
    - tv_resolution: of the total variation between sequences.
    - win_rate_resolution: of a WinRate.
    - bound_resolution: of E[X] above a bound that leaves it room, as a part of the bound;
      tight_bound_resolution: above the renewal bound, which leaves none; random_bound_resolution: above the
      bounds of distributions with random settings, of which many are looked at.
    - rate_resolution: of the slope of E[X] in log P, as a part of 1/mu.
    - moment_resolution: of a moment, as a part of the largest that a row can have.
    - front_resolution: of E[N_rej] + weight TV between the linear program and the recursion.
    - limit_resolution: of the rejections of a token between very many drafts and infinitely many.

    Raises SimlabError for a probability outside [1e-100, 1) and for a resolution that is not a finite number
    above 0.
    """

    false_alarm: float = FALSE_ALARM
    miss: float = MISS
    mean_resolution: float = 0.01
    cell_resolution: float = 0.01
    tv_resolution: float = 0.01
    win_rate_resolution: float = 0.03
    bound_resolution: float = 1 / 3
    tight_bound_resolution: float = 0.5
    random_bound_resolution: float = 1.0
    rate_resolution: float = 1 / 3
    moment_resolution: float = 0.03
    front_resolution: float = 0.01
    limit_resolution: float = 1e-3

    def __post_init__(self):
        for field in fields(self):
            name = f"judging.{field.name}"
            value = check_number(name, getattr(self, field.name), above=0.0)
            if field.name in ("false_alarm", "miss") and not LEAST_ERROR <= value < 1:
                raise SimlabError(
                    f"{name} = {value:g} is not valid; expected a probability < 1, at least {LEAST_ERROR:g}"
                )
            object.__setattr__(self, field.name, value)

    @property
    def changed(self) -> dict[str, float]:
        """The levels that are not the default ones, by name."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != field.default
        }

    @property
    def errors(self) -> dict[str, float]:
        """The two error probabilities, as every verdict takes them: {"false_alarm": ..., "miss": ...}."""
        return {"false_alarm": self.false_alarm, "miss": self.miss}
