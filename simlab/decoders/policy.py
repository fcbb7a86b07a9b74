"""How many tokens to draft, by position and last token: what an adaptive decoder follows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from simlab.checks import check_flag
from simlab.errors import SimlabError

LONGEST = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Policy:
    """A table of windows: a target call that starts at position t after token x drafts windows[t, x] tokens.

    windows: (T, V) whole numbers, t = 0..T-1 the 0-based position of the next token. Where fewer tokens are
    left, fewer are drafted: min(windows[t, x], R - 1) with the bonus token, min(windows[t, x], R) without,
    R = T - t. bonus: whether a call whose drafted tokens are all accepted yields one more, straight from the
    target. With it a window may be 0, a call of the target alone; without it each is at least 1. Kept as a
    read-only int64 copy; policies are equal if their tables and bonus are. Raises SimlabError for anything
    else.
    """

    windows: np.ndarray
    bonus: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "bonus", check_flag("bonus", self.bonus))
        object.__setattr__(self, "windows", _checked(self.windows, self.bonus))

    @property
    def longest(self) -> int:
        """The largest window of the table."""
        return int(self.windows.max())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the table and the bonus, as 64 hexadecimal digits."""
        head = f"{self.windows.shape} {self.bonus} ".encode()
        return hashlib.sha256(head + np.ascontiguousarray(self.windows, "<i8").tobytes()).hexdigest()

    def check_fits(self, horizon: int, states: int) -> None:
        """Raises SimlabError unless the table is one for a pair with this horizon and so many tokens."""
        if self.windows.shape != (horizon, states):
            raise SimlabError(
                f"the policy is for (T, V) = {self.windows.shape}, the pair has {(horizon, states)}: "
                "make a policy of this pair"
            )

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, Policy) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        steps, states = self.windows.shape
        return f"Policy(T={steps}, V={states}, bonus={self.bonus}, {self.digest[:8]})"


def _checked(windows, bonus: bool) -> np.ndarray:
    try:
        given = np.asarray(windows)
    except ValueError as error:
        raise SimlabError("policy: its rows differ in length; give a table (T, V) of windows") from error
    if given.ndim != 2 or not given.size:
        raise SimlabError(f"policy: windows of shape {given.shape}; give a table (T, V), a row a position")
    if given.dtype.kind not in "iuf":
        raise SimlabError(f"policy: windows of type {given.dtype}; give whole numbers")
    least = 0 if bonus else 1
    with np.errstate(invalid="ignore"):
        wrong = ~((given >= least) & (given <= LONGEST) & (given == np.floor(given)))
    if wrong.any():
        t, x = (int(index) for index in np.argwhere(wrong)[0])
        raise SimlabError(
            f"policy: windows[{t}, {x}] = {given[t, x]} is not valid; expected a whole number of "
            + (f"at most {LONGEST}" if given[t, x] > LONGEST else f"at least {least}")
            + (" (without the bonus token a call must draft)" if given[t, x] < least == 1 else "")
        )
    table = given.astype(np.int64)
    table.flags.writeable = False
    return table
