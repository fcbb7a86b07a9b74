"""A plan from one average of a measured window: its mean length, or accepted over drafted tokens.

With rates r_1 >= r_2 >= .. of all calls (entry i: the part that accepted the first i drafted tokens), a call
yields L = 1 + r_1 + .. + r_k tokens with a window of k, and accepted over drafted is (L - 1)/k where every
call drafts k tokens. One number does not say the rates. Those that fall and have this sum s = L - 1 allow, at
a window m <= k, every S_m = r_1 + .. + r_m from s m/k (all equal) to min(m, s) (all mass early); beyond k
each further rate lies between 0 and s/k. Between them lies the guess: the a with a + a^2 + .. + a^k = s, for
which every drafted token is accepted with the same probability, given that those before it are. Source: own.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from simlab.checks import as_integer, check_count, check_number
from simlab.cost import CostModel
from simlab.errors import SimlabError
from simlab.planning.window_plan import WindowPlan
from simlab.planning.windows import MOST, WindowChoice, rivals_remark, times_per_token
from simlab.theory import memoryless

HALVINGS = 60


def plan_mean_length(mean_length, cost: CostModel, choice: WindowChoice, window) -> WindowPlan:
    """From the mean number of tokens that a call yields with this window, bonus token included.

    Exact at that window; at others a bracket that all falling rates allow, and a guess between (the module's
    docstring). Raises SimlabError for no window, and for a length outside [1, window + 1].
    """
    window = check_window(window, "mean_length")
    length = check_number("mean_length", mean_length, least=1.0, most=window + 1.0)
    source = {"mean_length": length, "window": window}
    return plan_average(source, f"mean length {length:.12g} at window {window}", length, window, cost, choice)


def plan_acceptance_rate(acceptance_rate, cost: CostModel, choice: WindowChoice, window) -> WindowPlan:
    """From accepted over drafted tokens, as engines log it, where every call drafts the window.

    It is not the acceptance of the memoryless formula, which is higher: drafted tokens behind a rejection
    count here. The mean length is 1 + window acceptance_rate. Raises SimlabError for no window, and for a
    rate outside [0, 1].
    """
    window = check_window(window, "acceptance_rate")
    rate = check_number("acceptance_rate", acceptance_rate, least=0.0, most=1.0)
    source = {"acceptance_rate": rate, "window": window}
    label = f"acceptance rate {rate:.12g} (accepted over drafted tokens) at window {window}"
    return plan_average(source, label, 1 + window * rate, window, cost, choice)


def check_window(window, given: str) -> int:
    """The window that was measured; SimlabError where it is missing."""
    if window is None:
        raise SimlabError(f"{given}: give the window it was measured with too, e.g. window=3")
    return check_count("window", as_integer(window), most=MOST)


def plan_average(
    source: dict, label: str, length: float, window: int, cost: CostModel, choice: WindowChoice
) -> WindowPlan:
    """The plan of calls that yield `length` tokens in the mean with a window of `window`."""
    acceptance = acceptance_of(length, window)
    longest = max(choice.asked or window, window)
    low, tokens, high = tokens_by_window(length, window, longest)
    windows = choice.listed(choice.longest or window)
    source = {**source, "mean_length": length, "geometric_acceptance": acceptance}
    slow, fast = (cost.alone / times_per_token(ends, cost)[windows] for ends in (low, high))
    found = WindowPlan.of_tokens(
        tokens, windows, cost, choice.windows, source=source, label=label, low=slow, high=fast
    )
    remarks = _remarks(length, window, acceptance, longest) + rivals_remark(windows, found.best, slow, fast)
    return dataclasses.replace(found, remarks=remarks)


def acceptance_of(length: float, window: int) -> float:
    """The a in [0, 1] with 1 + a + .. + a^window = length, to rounding: the sum rises with a, so halving."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if memoryless.accepted_length(middle, window) < length - 1:
            low = middle
        else:
            high = middle
    return high if length > 1 else 0.0


def tokens_by_window(length: float, window: int, longest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens per call by window, (longest + 1,): the least, the guess, the most that falling rates allow."""
    at = np.arange(longest + 1)
    gained, share = length - 1, (length - 1) / window
    guess = np.asarray(memoryless.tokens_per_call(acceptance_of(length, window), at))
    low = 1 + share * np.minimum(at, window)
    high = np.where(at <= window, 1 + np.minimum(at, gained), 1 + share * at)
    low[window] = high[window] = guess[window] = length
    return low, np.clip(guess, low, high), high


def _remarks(length: float, window: int, acceptance: float, longest: int) -> list[str]:
    remarks = [
        f"exact at window {window} alone: {length:.4g} tokens per call, {(length - 1) / window:.4g} accepted "
        "per position of the window"
    ]
    if window > 1 or longest > window:
        remarks.append(
            f"other windows are a guess: every drafted token accepted with probability {acceptance:.4g}, "
            "given that those before it are (this is what acceptance= takes); the bracket holds for all "
            "rates that fall from position to position"
        )
    if longest > window:
        remarks.append(f"windows longer than {window} were not measured: they continue the guess")
    return remarks
