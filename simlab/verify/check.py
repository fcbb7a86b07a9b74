"""What a check of a theorem says."""

from __future__ import annotations

from dataclasses import dataclass

from simlab.errors import SimlabError
from simlab.evidence import Status


class Undecided(SimlabError):
    """What a check needs cannot be had on this pair, through no mistake of the user: the message says why.

    A check that meets it is INCONCLUSIVE (`compare.decided`), and takes no other check along.
    """


@dataclass(frozen=True)
class Check:
    """One statement, as two numbers found independently. `dataclasses.asdict` makes it fit for JSON.

    name: short and unique, e.g. "theorem 2, linear program". source: paper and theorem, or "own". statement:
    what is claimed, in one line. left, right: what the two numbers are, in a few words; left_value,
    right_value: the numbers, and where many positions were compared those of the position with the largest
    difference. difference: left minus right there. tolerance: up to which size of the difference the claim
    stands: rounding for two exact numbers, the interval's half-width (at false alarm 1e-6) for a simulated
    one; where the statement is that left is at least right it stands above, too. status: PASS, FAIL, or
    INCONCLUSIVE where what was looked at is too little to see what matters, or where the check was undecided:
    then the numbers are nan. scope: what was looked at, e.g. "all 350 (t, x)" or "200 random (t, x) of 4,850,
    seed 0", and why it was undecided.
    """

    name: str
    source: str
    statement: str
    left: str
    left_value: float
    right: str
    right_value: float
    difference: float
    tolerance: float
    status: Status
    scope: str
