"""Windows with a memory: how many tokens a call drafts depends on how the calls before it ended.

What such a rule remembers is a *state*, a tuple whose first entry is the window, and after each call it goes
to another one, by how many of the window's tokens were accepted. So every rule is a finite automaton
(`memory_of`), and sampler and theory know no rule, only automata. A call that drafts looks at nothing but
calls that are over, so the output is the target's.

The end of the text. With R tokens left a call drafts min(window, R - 1), as with every window. If all of
them are accepted, the bonus token is the last token of the text, and nothing follows that could remember it.
So after a call "all accepted" means all of its window, and where one of a cut window is rejected, what was
cut away counts as drafted and not accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import ClassVar

import numpy as np

from simlab.checks import as_integer, check_count, check_number, shortened
from simlab.errors import SimlabError

MOST_STATES = 2**16
"""An automaton has no more states than a sampler's 16 bits can tell apart."""


@dataclass(frozen=True)
class _Remembering:
    """The facts of all rules."""

    drafts_per_call: ClassVar[int] = 1
    is_biased: ClassVar[bool] = False
    has_bonus: ClassVar[bool] = True
    is_finite: ClassVar[bool] = True


class _Between(_Remembering):
    """Rules whose window moves between `shortest` and `longest`."""

    def __post_init__(self) -> None:
        for name in ("start", "shortest", "longest"):
            object.__setattr__(self, name, check_count(name, getattr(self, name)))
        if not self.shortest <= self.start <= self.longest:
            raise SimlabError(
                f"start = {self.start}: expected a window from shortest = {self.shortest} to "
                f"longest = {self.longest}"
            )

    @property
    def window(self) -> int:
        """The longest window that a call may have."""
        return self.longest

    def _moved(self, window: int, by: int) -> int:
        return min(self.longest, max(self.shortest, window + by))


@dataclass(frozen=True)
class HistorySpeculative(_Between):
    """Speculative decoding whose window follows the last call (Hugging Face's heuristic schedule).

    Each call drafts k tokens, the first one k = start. If all of them are accepted, then
    k = min(longest, k + up), else k = max(shortest, k - down); with the bonus token. The rule looks at calls
    that are over, so the output is the target's.

    start, shortest, longest: whole numbers, 1 <= shortest <= start <= longest. up, down: whole numbers >= 0.
    Near the end of the text see the module's head. Raises SimlabError for anything else.
    """

    start: int = 5
    up: int = 2
    down: int = 1
    shortest: int = 1
    longest: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("up", "down"):
            object.__setattr__(self, name, check_count(name, getattr(self, name), least=0))

    @property
    def first(self) -> tuple[int]:
        """The state of the first call: its window alone."""
        return (self.start,)

    def after(self, state: tuple[int], accepted: int) -> tuple[int]:
        """The state after a call in which so many tokens of its window were accepted."""
        (window,) = state
        return (self._moved(window, self.up if accepted == window else -self.down),)


@dataclass(frozen=True)
class StreakSpeculative(_Between):
    """Speculative decoding whose window moves by one after a streak of equal outcomes.

    Each call drafts k tokens, the first one k = start. After `streak` calls in a row in which all drafted
    tokens were accepted k = min(longest, k + 1), after `streak` calls in a row with a rejection
    k = max(shortest, k - 1); then counting starts anew. With the bonus token; the output is the target's.

    start, shortest, longest: as in `HistorySpeculative`. streak: a whole number >= 1; engines use 11. Raises
    SimlabError for anything else.
    """

    start: int = 5
    streak: int = 11
    shortest: int = 1
    longest: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "streak", check_count("streak", self.streak))

    @property
    def first(self) -> tuple[int, int]:
        """The window, and how many calls in a row were accepted whole; minus those with a rejection."""
        return (self.start, 0)

    def after(self, state: tuple[int, int], accepted: int) -> tuple[int, int]:
        """The state after a call in which so many tokens of its window were accepted."""
        window, run = state
        run = max(run, 0) + 1 if accepted == window else min(run, 0) - 1
        if abs(run) < self.streak:
            return window, run
        return self._moved(window, 1 if run > 0 else -1), 0


@dataclass(frozen=True)
class EmaSpeculative(_Between):
    """Speculative decoding whose window follows a moving average of the acceptance rate.

    After each call average = (1 - weight) average + weight rate, where rate is the part of its window that
    was accepted; it begins half way between `narrow` and `widen`. Where it is above `widen` the window grows
    by one, where it is below `narrow` it shrinks by one, from `start` on and within shortest..longest. With
    the bonus token; the output is the target's.

    The average is kept in whole steps of 1 / levels, rounded to the nearest after each call, halves up; so
    the rule has finitely many states. A step must be small beside weight, or the average sticks where
    weight |rate - average| is less than half a step.

    start, shortest, longest: as in `HistorySpeculative`. weight: of the newest call, > 0 and <= 1, such as
    0.1, which means 1/10 exactly; narrow, widen: 0 <= narrow <= widen <= 1. levels: a whole number >= 1.
    Raises SimlabError for anything else.
    """

    start: int = 5
    weight: float = 0.1
    narrow: float = 0.4
    widen: float = 0.7
    shortest: int = 1
    longest: int = 20
    levels: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "weight", check_number("weight", self.weight, above=0.0, most=1.0))
        object.__setattr__(self, "narrow", check_number("narrow", self.narrow, least=0.0, most=1.0))
        object.__setattr__(self, "widen", check_number("widen", self.widen, least=self.narrow, most=1.0))
        object.__setattr__(self, "levels", check_count("levels", self.levels))

    @property
    def first(self) -> tuple[int, int]:
        """The window, and the average in steps of 1 / levels."""
        return self.start, _nearest((_decimal(self.narrow) + _decimal(self.widen)) * self.levels / 2)

    def after(self, state: tuple[int, int], accepted: int) -> tuple[int, int]:
        """The state after a call in which so many tokens of its window were accepted."""
        window, level = state
        weight = _decimal(self.weight)
        level = _nearest(level + weight * (Fraction(self.levels * accepted, window) - level))
        wider, narrower = _decimal(self.widen) * self.levels, _decimal(self.narrow) * self.levels
        return self._moved(window, (level > wider) - (level < narrower)), level


@dataclass(frozen=True)
class LadderSpeculative(_Remembering):
    """Speculative decoding whose window follows a moving average of the accepted tokens (SGLang's adaptive).

    The window is one of a few, the rungs of a ladder. After each call average = (1 - weight) average + weight
    accepted, which begins at start - 1. Then the window goes down a rung while the average is at most the
    rung below - 1/2 + down, and up a rung while it is above the rung - 1/2 + up. With the bonus token; the
    output is the target's. (SGLang waits for some calls first, and looks at every fifth call of a batch of
    requests; here each call of the one request counts.)

    The average is kept in whole steps of 1 / levels of a token, rounded to the nearest, halves up, as in
    `EmaSpeculative`. windows: the rungs, rising whole numbers >= 1. start: one of them. weight: as in
    `EmaSpeculative`. up, down: numbers, the hysteresis. levels: a whole number >= 1. Raises SimlabError for
    anything else. Source: SGLang's documentation, "Adaptive Speculative Decoding"; its pull request 21599.
    """

    start: int = 3
    windows: tuple[int, ...] = (1, 3, 7)
    weight: float = 0.2
    up: float = 0.0
    down: float = -0.25
    levels: int = 20

    def __post_init__(self) -> None:
        if not isinstance(self.windows, list | tuple) or not len(self.windows):
            raise SimlabError(
                f"windows = {shortened(self.windows)} is not valid; expected a list of rising whole numbers"
            )
        windows = tuple(check_count("windows", as_integer(window)) for window in self.windows)
        if any(one >= other for one, other in pairwise(windows)):
            raise SimlabError(f"windows = {shortened(list(windows))}: expected rising numbers")
        if check_count("start", self.start) not in windows:
            raise SimlabError(f"start = {self.start}: expected one of windows = {list(windows)}")
        object.__setattr__(self, "windows", windows)
        object.__setattr__(self, "weight", check_number("weight", self.weight, above=0.0, most=1.0))
        for name in ("up", "down"):
            object.__setattr__(self, name, check_number(name, getattr(self, name)))
        object.__setattr__(self, "levels", check_count("levels", self.levels))

    @property
    def window(self) -> int:
        """The longest window that a call may have."""
        return self.windows[-1]

    @property
    def first(self) -> tuple[int, int]:
        """The window, and the average in steps of 1 / levels."""
        return self.start, (self.start - 1) * self.levels

    def after(self, state: tuple[int, int], accepted: int) -> tuple[int, int]:
        """The state after a call in which so many tokens of its window were accepted."""
        window, level = state
        level = _nearest(level + _decimal(self.weight) * (accepted * self.levels - level))
        average, half = Fraction(level, self.levels), Fraction(1, 2)
        rung = self.windows.index(window)
        while rung and average <= self.windows[rung - 1] - half + _decimal(self.down):
            rung -= 1
        while rung < len(self.windows) - 1 and average > self.windows[rung] - half + _decimal(self.up):
            rung += 1
        return self.windows[rung], level


@lru_cache(maxsize=256)
def _decimal(number: float) -> Fraction:
    """The decimal that a float is written as, exactly: 1/10 for 0.1."""
    return Fraction(repr(number))


def _nearest(number: Fraction) -> int:
    """The whole number next to it; of two the larger."""
    return (2 * number.numerator + number.denominator) // (2 * number.denominator)


Remembering = HistorySpeculative | StreakSpeculative | EmaSpeculative | LadderSpeculative
"""Decoders whose window has a memory."""


@dataclass(frozen=True, eq=False)
class Memory:
    """A rule as an automaton of S states, of which the first is state 0; read-only.

    windows: int64 (S,), how many tokens a call drafts in this state, before the horizon cuts it.
    after: int64 (S, A + 1), the state after a call of which 0..A tokens were accepted, A = min(longest
    window, T - 1); 0, and never looked at, for more tokens than the window has.
    """

    windows: np.ndarray
    after: np.ndarray


@lru_cache(maxsize=64)
def memory_of(decoder: Remembering, horizon: int) -> Memory:
    """The automaton of all states that the rule can be in at the start of a call, for T = horizon tokens.

    Raises SimlabError where they are more than 65,536.
    """
    states, index = [decoder.first], {decoder.first: 0}
    found = []  # of each state: what follows each number of accepted tokens
    for _ in range(horizon):  # as many calls there are at most
        for state in states[len(found) :]:
            follows = [decoder.after(state, n) for n in range(min(state[0], horizon - 1) + 1)]
            new = [one for one in dict.fromkeys(follows) if one not in index]
            index.update(zip(new, range(len(states), len(states) + len(new)), strict=True))
            states += new
            found.append([index[one] for one in follows])
        if len(states) > MOST_STATES:
            raise SimlabError(
                f"{decoder}: it has more than {MOST_STATES:,} states; give fewer levels, a shorter streak or "
                "less between shortest and longest"
            )
        if len(states) == len(found):
            break
    after = np.zeros((len(found), max(map(len, found))), np.int64)
    for state, follows in enumerate(found):
        after[state, : len(follows)] = follows
    after[after >= len(found)] = 0  # after the last call that there can be
    windows = np.array([state[0] for state in states[: len(found)]], np.int64)
    windows.flags.writeable = after.flags.writeable = False
    return Memory(windows, after)
