"""Which windows a plan looks at, which of them is best, and what to say of the ones it did not look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.checks import as_integer, check_count
from simlab.cost import CostModel
from simlab.errors import SimlabError

NEAR = 0.02
"""A window is nearly as good as the best if its time per token is at most this part longer."""

SHOWN = 16
"""The longest window in the table if none is asked for, except those about the best."""

MOST = 1000
"""The longest `longest`: a row each."""


@dataclass(frozen=True)
class WindowChoice:
    """Which windows are asked for: these, or all up to the longest, or (both None) those worth showing."""

    windows: tuple[int, ...] | None = None
    longest: int | None = None

    @property
    def asked(self) -> int | None:
        """The longest window asked for, None where none is."""
        return max(self.windows) if self.windows else self.longest

    def check_within(self, most: int, why: str) -> None:
        """Raises SimlabError, saying why, if a window longer than `most` is asked for."""
        if self.asked is not None and self.asked > most:
            name = "windows" if self.windows else "longest"
            mend = f"give at most {most}" if most else f"leave {name} out"
            raise SimlabError(f"{name}: a window of {self.asked}, and {why}: {mend}")

    def listed(self, longest: int) -> np.ndarray:
        """0, the target alone, and the windows asked for, or all to `longest`; int64."""
        return np.array([0, *self.windows] if self.windows else range(longest + 1))


def window_choice(windows=None, longest=None) -> WindowChoice:
    """The choice as a user gives it: a window or several, or the longest.

    Raises SimlabError for both, and for anything but a whole number >= 1, or list of them.
    """
    if windows is not None and longest is not None:
        raise SimlabError("windows and longest: give one of them")
    if windows is not None:
        return WindowChoice(windows=_check_windows(windows))
    if longest is None:
        return WindowChoice()
    return WindowChoice(longest=check_count("longest", as_integer(longest), most=MOST))


def _check_windows(windows) -> tuple[int, ...]:
    """The windows, rising, each once."""
    windows = windows.tolist() if isinstance(windows, np.ndarray) else windows
    windows = list(windows) if isinstance(windows, list | tuple | range) else [windows]
    if not windows:
        raise SimlabError("windows = [] is not valid; expected at least one, e.g. windows=[2,4,8]")
    return tuple(sorted({check_count("windows", as_integer(window), most=2**62) for window in windows}))


def shown_windows(best: int, near: list[tuple[int, int]], most: int = SHOWN) -> np.ndarray:
    """The windows of a table where none is asked for: those to SHOWN, or `most`, and some about the best."""
    shown = [*range(min(SHOWN, most) + 1)]
    if best:
        ends = [best, *(end for ends in near for end in ends)]
        shown += ends + [2**power for power in range(63) if SHOWN < 2**power < max(ends)]
    return np.unique(shown)


def times_per_token(tokens_per_call: np.ndarray, cost: CostModel) -> np.ndarray:
    """The time per token by window, (K+1,), of what its calls yield; all calls draft the whole window.

    Entry 0 is the target alone, whatever a call without drafts would cost. Where calls draft less than their
    window, `cost.time_of_calls` takes what each of them drafts.
    """
    times = cost.call_time(np.arange(len(tokens_per_call))) / tokens_per_call
    times[0] = cost.alone
    return times


def best_and_near(windows: np.ndarray, times: np.ndarray) -> tuple[int, list[tuple[int, int]]]:
    """The window with the least time, the smallest of those that tie, and those within NEAR of it in runs."""
    least = times.min()
    best = int(windows[np.argmax(times <= least * (1 + 1e-13))])
    near = np.flatnonzero((times <= least * (1 + NEAR)) & (windows > 0))
    if not near.size:
        return best, []
    runs = np.split(near, np.flatnonzero(np.diff(near) > 1) + 1)
    return best, [(int(windows[run[0]]), int(windows[run[-1]])) for run in runs]


def longer_remark(choice: WindowChoice, looked_at: int, possible: int | None = None) -> str:
    """What to say where the best window is the longest looked at, and longer ones may be better.

    possible: the longest window that can be asked for, above `looked_at`, or None where there is no limit.
    """
    wider = min(2 * looked_at, MOST, possible or MOST)
    mend = f"give longest={wider}" if wider > looked_at else f"give windows=[{2 * looked_at}]"
    if choice.windows and wider > looked_at:
        mend += " instead of windows"
    return f"the best window is the longest looked at; longer windows may be better: {mend}"


def rivals_remark(windows: np.ndarray, best: int, low: np.ndarray, high: np.ndarray) -> list[str]:
    """What intervals of the speed-up, low to high (W,), leave open: the best window, and whether any pays."""
    rivals = windows[(high >= low.max()) & (windows > 0)]
    remarks = []
    if best and len(rivals) > 1:
        remarks.append(f"by these intervals windows {spelled_runs(runs_of(rivals))} could each be the best")
    if best and low.max() <= 1:
        remarks.append("by these intervals drafting may not pay at all")
    return remarks


def elsewhere_remark(best: int, speedup: float, looked_at: str) -> str:
    """What to say where none of the windows asked for pays; best: of all others that are known, or 0."""
    if best:
        return f"drafting does pay: window {best}, which was not asked for, has speed-up {speedup:.4g}"
    return f"nor does any other window {looked_at}"


def runs_of(windows: np.ndarray) -> list[tuple[int, int]]:
    """Rising windows as runs (from, to) of whole numbers without a gap."""
    runs = np.split(windows, np.flatnonzero(np.diff(windows) > 1) + 1)
    return [(int(run[0]), int(run[-1])) for run in runs]


def spelled_runs(runs: list[tuple[int, int]]) -> str:
    """1 to 4 and 8; 2, 4 and 8: two windows in a row are not yet a run."""
    spelled: list[str] = []
    for first, last in runs:
        spelled += [f"{first} to {last}"] if last > first + 1 else map(str, range(first, last + 1))
    *others, end = spelled
    return f"{', '.join(others)} and {end}" if others else end
