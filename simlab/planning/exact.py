"""A plan from a pair: the exact time of every window, and of the rules that a formula cannot see."""

from __future__ import annotations

import numpy as np

from simlab.cost import CostModel
from simlab.decoders import (
    AdaptiveSpeculative,
    BlockSpeculative,
    Decoder,
    HistorySpeculative,
    Speculative,
    StreakSpeculative,
)
from simlab.pairs.pair import ChainPair, check_pair
from simlab.pairs.size import PairSize
from simlab.planning.window_plan import WindowPlan
from simlab.planning.windows import (
    WindowChoice,
    best_and_near,
    elsewhere_remark,
    longer_remark,
    shown_windows,
)
from simlab.progress import stepping
from simlab.theory import (
    best_threshold,
    expected_time,
    mean_acceptance,
    memoryless,
    optimal_policy,
    window_times,
)
from simlab.theory.sizes import predict_bytes, rules_bytes
from simlab.theory.windows.best import MOST_THRESHOLDS

LOOKED_AT = 64
"""The longest window looked at if none is asked for; the time grows with its square."""

CONFIDENT = 8
"""The window within which the draft's confidence decides if no window pays by itself."""

BLOCK = 4
"""The longest window of block verification: the exact number grows dear with it."""

DEAR, MANY = 10**5, 2 * 10**8
"""Above so many rows times tokens, and so many drafted prefixes that would be followed one by one, the exact
number of block verification takes more than some ten seconds."""


def plan_pair(pair: ChainPair, cost: CostModel, choice: WindowChoice) -> WindowPlan:
    """Exact, for T tokens, the last calls cut off by the horizon included.

    Raises SimlabError if it is not a `ChainPair`, and for windows that the horizon has no room for.
    """
    check_pair(pair)
    longest = pair.horizon - 1
    choice.check_within(longest, f"with a horizon of {pair.horizon} none is longer than {longest}")
    considered = choice.asked or min(longest, LOOKED_AT)
    calls, drafted = _expected_counts(pair, considered)
    times = cost.time(drafted, calls) if cost.is_flat else _times(pair, cost, considered)
    windows = choice.listed(considered)
    best, near = best_and_near(windows, times[windows])
    if choice.asked is None:
        windows = shown_windows(best, near, considered)
    return WindowPlan(
        source={"pair": {"states": pair.states, "horizon": pair.horizon}},
        label=f"pair of {pair.states} states, horizon {pair.horizon}",
        cost=cost,
        windows=windows,
        asked=choice.windows,
        tokens_per_call=pair.horizon / calls[windows],
        drafted_per_call=drafted[windows] / calls[windows],
        time_per_token=times[windows] / pair.horizon,
        best=best,
        near=near,
        others=_others(pair, cost, best, choice.asked or longest) if longest else [],
        remarks=_remarks(pair, choice, best, times[0] / times),
    )


def _remarks(pair: ChainPair, choice: WindowChoice, best: int, speedups: np.ndarray) -> list[str]:
    """speedups: of all windows looked at, from 0."""
    longest, looked_at = pair.horizon - 1, len(speedups) - 1
    remarks = [] if longest else ["a horizon of 1 has no room for a drafted token"]
    if best and _is_dear(_steps(pair), pair.states, best):
        remarks.append(
            "block verification is left out, as it would take long here: simlab predict decoder=block"
        )
    if best and best == looked_at == longest:
        remarks.append("the best window is the longest looked at; the horizon has no room for a longer one")
    elif best and best == looked_at:
        remarks.append(longer_remark(choice, best, longest))
    if choice.windows and not best:
        other = int(best_and_near(np.arange(looked_at + 1), 1 / speedups)[0])
        remarks.append(elsewhere_remark(other, float(speedups[other]), f"up to {looked_at}"))
    return remarks


def _expected_counts(pair: ChainPair, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """E[target calls] and E[drafted tokens] of a trajectory by window, (longest + 1,) each.

    The time is linear in both, so that it tells them apart at two costs.
    """
    if not longest:
        return np.array([float(pair.horizon)]), np.array([0.0])
    both, more = (window_times(pair, CostModel(draft, 1.0), longest) for draft in (1.0, 2.0))
    return 2 * both - more, more - both


def _times(pair: ChainPair, cost: CostModel, longest: int) -> np.ndarray:
    """E[time] of a trajectory by window, (longest + 1,)."""
    return window_times(pair, cost, longest) if longest else np.array([pair.horizon * cost.alone])


def plan_bytes(size: PairSize) -> float:
    """About how many bytes a plan from a pair of this size takes at most, beside the pair."""
    thresholds = rules_bytes(size, min(MOST_THRESHOLDS, size.states * size.steps) + 2, 2 * CONFIDENT)
    memory = predict_bytes(size, StreakSpeculative())
    block = 0.0 if _is_dear(size.steps, size.states, BLOCK) else predict_bytes(size, BlockSpeculative(BLOCK))
    return max(thresholds, rules_bytes(size, LOOKED_AT, LOOKED_AT), memory, block)


def _is_dear(steps: int, states: int, best: int) -> bool:
    rows = steps * states**2
    return rows > DEAR and rows * sum(float(states) ** i for i in range(min(best, BLOCK))) > MANY


def _steps(pair: ChainPair) -> int:
    return max(len(pair.draft_rows), len(pair.target_rows))


def _others(pair: ChainPair, cost: CostModel, best: int, longest: int) -> list[dict]:
    """Other rules for how much to draft, none of a window above `longest`, exact."""

    def time_of(decoder: Decoder) -> float:
        return float(expected_time(pair, decoder, cost)[0] @ pair.initial)

    def memoryless_guess():
        acceptance = mean_acceptance(pair)
        guess = int(memoryless.best_window(acceptance, cost, longest=longest))
        guessed = time_of(Speculative(guess, bonus=True)) if guess else pair.horizon * cost.alone
        return "memoryless formula", f"acceptance {acceptance:.4f}, so window {guess}", guessed

    def in_blocks():
        block = min(best, BLOCK)
        return "block verification", f"window {block}", time_of(BlockSpeculative(block))

    def confident():
        windows = {min(window, longest) for window in ((best, 2 * best) if best else (CONFIDENT,))}
        found = {
            window: best_threshold(pair, cost, window)
            for window in stepping(sorted(windows), "thresholds of confidence")
        }
        window = min(found, key=lambda window: found[window].time)
        return (
            "confidence",
            f"threshold {found[window].threshold:.4g}, window {window}",
            found[window].time,
        )

    def remembering(name, rule, moves):
        decoder = rule(start=min(rule.start, longest), longest=min(rule.longest, longest))
        return name, f"from {decoder.start}, {moves}", time_of(decoder)

    def optimal():
        policy = optimal_policy(pair, cost, longest=longest)
        return (
            "optimal policy",
            f"by position and token, 0 to {policy.longest}",
            time_of(AdaptiveSpeculative(policy)),
        )

    rules = [
        memoryless_guess,
        # Where drafting does not pay, neither does it in blocks.
        *[in_blocks] * bool(best and not _is_dear(_steps(pair), pair.states, best)),
        confident,
        lambda: remembering("history", HistorySpeculative, "+2 if all were accepted, else -1"),
        lambda: remembering("streak", StreakSpeculative, "+1 or -1 after 11 equal outcomes"),
        optimal,
    ]
    alone = pair.horizon * cost.alone
    return [
        {"rule": rule, "setting": setting, "time_per_token": time / pair.horizon, "speedup": alone / time}
        for rule, setting, time in (find() for find in stepping(rules, "other rules for how much to draft"))
    ]
