"""What is known of each window: from an acceptance, from measured rates or from a pair."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from simlab.checks import check_count
from simlab.cli.config.settings import whole
from simlab.cost import CostModel
from simlab.decoders import (
    AdaptiveSpeculative,
    BlockSpeculative,
    Decoder,
    Speculative,
)
from simlab.errors import SimlabError
from simlab.pairs.pair import ChainPair
from simlab.planning.rates import Rates

NEAR = 0.02
"""Windows are told to be nearly as good as the best whose time per token is at most this part longer."""

SHOWN = 16
"""The longest window in the table where none is asked for, but for those about the best."""

LOOKED_AT = 64
"""The longest window of a pair that is looked at where none is asked for; the time grows with its square."""

CONFIDENT = 8
"""The window within which the draft's confidence decides where no window pays by itself."""

BLOCK = 4
"""The longest window of block verification: the exact number grows dear with it."""

DEAR = 10**5
"""Above so many rows times tokens the exact number of block verification takes more than some ten seconds."""

MOST = 1000
"""The longest `longest`: a row each."""


@dataclass(frozen=True)
class Choice:
    """Which windows are asked for: these, or all up to the longest, or (both None) those worth showing."""

    windows: tuple[int, ...] | None = None
    longest: int | None = None

    def within(self, most: int, why: str) -> Choice:
        """Itself, if no window is longer than `most`; SimlabError, saying why not, otherwise."""
        asked = max(self.windows) if self.windows else self.longest
        if asked is not None and asked > most:
            name = "windows" if self.windows else "longest"
            mend = f"give at most {most}" if most else f"leave {name} out"
            raise SimlabError(f"{name}: a window of {asked}, and {why}: {mend}")
        return self


@dataclass(frozen=True, eq=False)
class Plan:
    """Windows with what each yields and takes.

    source: where it comes from, as JSON says it; label: in words. windows: int64 (W,), rising from 0, the
    target alone. tokens_per_call, drafted_per_call, time_per_token, speedup: floats (W,). best: the window
    with the least time; 0: do not draft. near: the windows within NEAR of it, as (from, to). low, high: an
    interval of the speed-up, floats (W,), with `confidence` for all windows at once, or None where nothing is
    measured. remarks: lines below the table. others: other rules for how much to draft, as rows {"rule",
    "setting", "time_per_token", "speedup"}.
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
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    confidence: float | None = None
    remarks: list[str] = field(default_factory=list)
    others: list[dict] = field(default_factory=list)

    @property
    def speedup(self) -> np.ndarray:
        """Over the target alone, (W,)."""
        return self.cost.target / self.time_per_token

    @property
    def best_speedup(self) -> float:
        """That of the best window; 1 where none is drafted."""
        return float(self.speedup[self.windows == self.best][0])

    def is_near(self) -> np.ndarray:
        """(W,): whether a window is within NEAR of the best one, that is drafted."""
        inside = [(self.windows >= first) & (self.windows <= last) for first, last in self.near]
        return np.any(inside, axis=0) & (self.windows > 0) & (self.best > 0)


def plan_acceptance(acceptance: float, cost: CostModel, choice: Choice) -> Plan:
    """From one acceptance probability for every token, by the memoryless formulas."""
    from simlab.theory import memoryless

    remarks = []
    endless = choice == Choice() and memoryless.best_window(acceptance, cost) == np.inf
    if endless:
        choice = Choice(longest=SHOWN)
        remarks.append(f"longer windows are better still: the speed-up tends to {1 / cost.ratio:.4g}")
    if choice.windows:
        windows = np.array([0, *choice.windows])
    else:
        best = memoryless.best_window(acceptance, cost, longest=choice.longest)
        near = memoryless.windows_within(acceptance, cost, NEAR, longest=choice.longest)
        windows = _shown(choice, best, [near])
    times = memoryless.time_per_token(acceptance, windows, cost)
    if choice.windows:
        best, near = _best(windows, times)
    else:
        near = [near]
    if best == 0 and cost.ratio >= acceptance:
        remarks.append(f"no window pays unless the acceptance is above the cost ratio, {cost.ratio:.4g}")
    return Plan(
        source={"acceptance": acceptance},
        label=f"acceptance {acceptance:.12g}",
        cost=cost,
        windows=windows,
        tokens_per_call=memoryless.tokens_per_call(acceptance, windows),
        drafted_per_call=windows.astype(float),
        time_per_token=times,
        best=best,
        near=near,
        remarks=remarks,
    )


def plan_rates(path: str, rates: Rates, cost: CostModel, choice: Choice, confidence: float) -> Plan:
    """From acceptance rates by place; of counts with intervals that hold for all windows at once.

    Windows longer than what was measured are not extrapolated.
    """
    from simlab.theory import memoryless

    measured = len(rates.rates)
    choice.within(measured, f"{path} has {_counted(measured, 'position')}")
    windows = np.array([0, *choice.windows] if choice.windows else range((choice.longest or measured) + 1))
    relative = 1 + cost.ratio * windows
    tokens = memoryless.from_rates(rates.rates)[windows]
    times = cost.target * relative / tokens
    best, near = _best(windows, times)
    remarks = []
    if best == measured:
        remarks.append(f"windows longer than {measured} were not measured, and may be better still")
    low = high = None
    if rates.drafted is not None:
        ends = tokens_interval(rates, confidence)
        low, high = (end[windows] / relative for end in ends)
        remarks += _interval_remarks(windows, best, low, high, confidence)
        if (rates.drafted != rates.drafted[0]).any():
            remarks.append(_of_falling_counts(rates))
    return Plan(
        source={"rates": path},
        label=f"rates of {path}",
        cost=cost,
        windows=windows,
        tokens_per_call=tokens,
        drafted_per_call=windows.astype(float),
        time_per_token=times,
        best=best,
        near=near,
        low=low,
        high=high,
        confidence=None if low is None else confidence,
        remarks=remarks,
    )


def _of_falling_counts(rates: Rates) -> str:
    """What to know of counts whose `drafted` falls; it may be another count than it should be."""
    if np.array_equal(rates.drafted[1:], rates.accepted[:-1]):
        return (
            "drafted is what the position before accepted: if it counts the calls that came so far, and not "
            "those that drafted so far, give accepted/drafted as position,conditional: the speed-up is less"
        )
    return (
        f"drafted falls from {rates.drafted[0]} to {rates.drafted[-1]} by position: rates of later ones are "
        "of those calls only that drafted so far, and all are taken to be like them"
    )


def tokens_interval(rates: Rates, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Tokens per call by window, (K+1,), from below and from above; all of them hold at once.

    Each rate has its Clopper-Pearson interval at a K-th of the error, and sums of ends hold sums of rates. It
    takes calls to be independent of each other, which those of one response need not be.
    """
    from simlab.evidence import clopper_pearson
    from simlab.evidence.interval import error_of

    tail = error_of(confidence) / (2 * len(rates.rates))
    ends = [
        clopper_pearson(np.array([kept]), tried, tail)
        for kept, tried in zip(rates.accepted.tolist(), rates.drafted.tolist(), strict=True)
    ]
    low, high = (np.array([end[side][0] for end in ends]) for side in (1, 2))
    return tuple(np.concatenate([[1.0], 1 + np.cumsum(end)]) for end in (low, high))


def plan_pair(source: dict, label: str, pair: ChainPair, cost: CostModel, choice: Choice) -> Plan:
    """From a pair: exact, for T tokens, the last calls cut off by the horizon included."""
    longest = pair.horizon - 1
    choice.within(longest, f"with a horizon of {pair.horizon} none is longer than {longest}")
    asked = max(choice.windows) if choice.windows else choice.longest
    considered = min(longest, LOOKED_AT) if asked is None else asked
    calls, drafted = _expected_counts(pair, considered)
    windows = np.array([0, *choice.windows] if choice.windows else range(considered + 1))
    best, near = _best(windows, cost.time(drafted, calls)[windows])
    if not choice.windows:
        windows = _shown(choice, best, near, considered)
    remarks = [] if longest else ["a horizon of 1 has no room for a drafted token"]
    if best and _is_dear(pair):
        remarks.append(
            "block verification is left out, as it would take long here: simlab predict decoder=block"
        )
    if asked is None and best == considered < longest:
        remarks.append(
            f"windows longer than {best} were not looked at, and may be better still: give longest"
        )
    calls, drafted = calls[windows], drafted[windows]
    return Plan(
        source=source,
        label=label,
        cost=cost,
        windows=windows,
        tokens_per_call=pair.horizon / calls,
        drafted_per_call=drafted / calls,
        time_per_token=cost.time(drafted, calls) / pair.horizon,
        best=best,
        near=near,
        others=_others(pair, cost, best, asked or longest) if longest else [],
        remarks=remarks,
    )


def _expected_counts(pair: ChainPair, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """E[target calls] and E[drafted tokens] of a trajectory by window, (longest + 1,) each.

    The time is linear in both, so that it tells them apart at two costs.
    """
    from simlab.theory import window_times

    if not longest:
        return np.array([float(pair.horizon)]), np.array([0.0])
    both, more = (window_times(pair, CostModel(draft, 1.0), longest) for draft in (1.0, 2.0))
    return 2 * both - more, more - both


def _is_dear(pair: ChainPair) -> bool:
    return max(len(pair.draft_rows), len(pair.target_rows)) * pair.states**2 > DEAR


def _others(pair: ChainPair, cost: CostModel, best: int, longest: int) -> list[dict]:
    """Other rules for how much to draft, none of a window above `longest`, exact."""
    from simlab.theory import best_threshold, expected_time, mean_acceptance, memoryless, optimal_policy

    def time_of(decoder: Decoder) -> float:
        return float(expected_time(pair, decoder, cost)[0] @ pair.initial)

    acceptance = mean_acceptance(pair)
    guess = int(memoryless.best_window(acceptance, cost, longest=longest))
    guessed = time_of(Speculative(guess, bonus=True)) if guess else pair.horizon * cost.target
    rules = [("memoryless formula", f"acceptance {acceptance:.4f}, so window {guess}", guessed)]
    if best:  # where drafting does not pay, neither does it in blocks
        if not _is_dear(pair):
            block = min(best, BLOCK)
            rules.append(("block verification", f"window {block}", time_of(BlockSpeculative(block))))
    windows = {min(window, longest) for window in ((best, 2 * best) if best else (CONFIDENT,))}
    found = {window: best_threshold(pair, cost, window) for window in sorted(windows)}
    window = min(found, key=lambda window: found[window].time)
    rules.append(
        ("confidence", f"threshold {found[window].threshold:.4g}, window {window}", found[window].time)
    )
    policy = optimal_policy(pair, cost, longest=longest)
    setting = f"by position and token, 0 to {policy.longest}"
    rules.append(("optimal policy", setting, time_of(AdaptiveSpeculative(policy))))
    alone = pair.horizon * cost.target
    return [
        {"rule": rule, "setting": setting, "time_per_token": time / pair.horizon, "speedup": alone / time}
        for rule, setting, time in rules
    ]


def _shown(choice: Choice, best: int, near: list[tuple[int, int]], most: int | None = None) -> np.ndarray:
    """The windows of the table: all to the longest, or those to SHOWN and some about the best."""
    if choice.longest is not None:
        return np.arange(choice.longest + 1)
    shown = [*range((SHOWN if most is None else min(SHOWN, most)) + 1)]
    if best:
        ends = [best, *(end for ends in near for end in ends)]
        shown += ends + [2**power for power in range(63) if SHOWN < 2**power < max(ends)]
    return np.unique(shown)


def _best(windows: np.ndarray, times: np.ndarray) -> tuple[int, list[tuple[int, int]]]:
    """The window with the least time, the smallest of those that tie, and those within NEAR of it in runs."""
    least = times.min()
    best = int(windows[np.argmax(times <= least * (1 + 1e-13))])
    near = np.flatnonzero((times <= least * (1 + NEAR)) & (windows > 0))
    runs = np.split(near, np.flatnonzero(np.diff(near) > 1) + 1) if near.size else []
    return best, [(int(windows[run[0]]), int(windows[run[-1]])) for run in runs]


def _interval_remarks(windows, best: int, low, high, confidence: float) -> list[str]:
    rivals = windows[(high >= low.max()) & (windows > 0)]
    told = [f"intervals: {100 * confidence:.10g}%, all windows at once, calls taken to be independent"]
    if best and len(rivals) > 1:
        told.append(f"by these intervals windows {spelled_runs(_runs(rivals))} could each be the best")
    if best and low.max() <= 1:
        told.append("by these intervals drafting may not pay at all")
    return told


def _runs(windows: np.ndarray) -> list[tuple[int, int]]:
    """Rising windows as runs (from, to) of whole numbers without a gap."""
    runs = np.split(windows, np.flatnonzero(np.diff(windows) > 1) + 1)
    return [(int(run[0]), int(run[-1])) for run in runs]


def spelled_runs(runs: list[tuple[int, int]]) -> str:
    """1 to 4 and 8; 2, 4 and 8: two windows in a row are not yet a run."""
    told: list[str] = []
    for first, last in runs:
        told += [f"{first} to {last}"] if last > first + 1 else [str(one) for one in range(first, last + 1)]
    *others, end = told
    return f"{', '.join(others)} and {end}" if others else end


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


def check_windows(windows) -> tuple[int, ...]:
    """The windows asked for, rising, each once; SimlabError for what is no list of whole numbers >= 1."""
    windows = windows if isinstance(windows, list) else [windows]
    if not windows:
        raise SimlabError("windows = []: give at least one, e.g. windows=[2,4,8]")
    return tuple(sorted({check_count("windows", whole(window), most=2**62) for window in windows}))
