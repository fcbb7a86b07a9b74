"""What is held of each case: the plan against the measurement, or, where nothing can be, what can be said."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simlab.cost import CostModel
from simlab.experiments.common.measured import VERIFY
from simlab.experiments.field.cases import (
    CROW,
    CROW_WINDOW,
    CURVES,
    LLAMA_CALLS,
    LLAMA_DRAFT_MS,
    LLAMA_DRAFTED,
    LLAMA_EVAL_MS,
    LLAMA_RATES,
    LLAMA_TOKENS,
    LOAD_WINDOW,
    LOADS,
    NGRAM_OVERHEAD,
    NGRAM_RATES,
    PLAIN,
    RELATIVE,
    RELATIVE_LINE,
    SEVEN,
    STAIRS,
    Curve,
    step_cost,
)
from simlab.planning import WindowPlan, plan
from simlab.theory import memoryless
from simlab.verify import Check
from simlab.verify.compare import Claim, at_least, equal

NEAR, CLOSE = 0.02, 0.05
ROUGH = 0.15
"""A window within NEAR of the best measured one is as good; speed-ups are to agree within CLOSE, and within
ROUGH where the times that they need were not measured."""


@dataclass(frozen=True, eq=False)
class PlannedCurve:
    """A curve's plan at its windows. speedups: (W,), by the cost fitted to all; held_out: (W,), each by a fit
    that has not seen that window, nan where there are fewer than four; best: of the windows measured.
    """

    curve: Curve
    plan: WindowPlan
    speedups: np.ndarray
    held_out: np.ndarray
    best: int


def planned_curve(curve: Curve) -> PlannedCurve:
    """What the planner says at the windows that were measured, from the lengths and the cost fitted."""
    made = _plan(curve, *curve.fitted())
    speedups = made.speedup[list(curve.windows)]
    held_out = np.full(len(curve.windows), np.nan)
    if len(curve.windows) > 3:
        for index, window in enumerate(curve.windows):
            held_out[index] = _plan(curve, *curve.fitted(without=index)).speedup[window]
    return PlannedCurve(curve, made, speedups, held_out, curve.windows[int(speedups.argmax())])


def _plan(curve: Curve, first: float, slope: float) -> WindowPlan:
    return plan(rates=curve.rates, cost=step_cost(first, slope))


def load_costs() -> tuple[CostModel, float, np.ndarray]:
    """C13: (costs, tokens per call, planned speed-ups of window k (L,)), fitted to all its loads.

    The target alone at B requests takes B/throughput a step, which is the time of a forward over B tokens:
    the table. Unknown are the draft's time d of a call and the tokens per call l, the same at every load:
    speed-up (V(B (k + 1)) + d) = l V(B) is linear in both; by least squares, relative to V(B).
    """
    loads, plain, measured = (np.array(column, float) for column in (LOADS, PLAIN, SEVEN))
    table = dict(zip(LOADS, (1000 * loads / plain).tolist(), strict=True))
    cost = CostModel(target=table, concurrency=LOADS[0])
    verify = np.array([cost.target.at(load * (LOAD_WINDOW + 1)) for load in LOADS])
    alone = 1000 * loads / plain
    gain = measured / plain
    unknown = np.stack([alone, -gain], axis=1) / alone[:, None]
    length, draft = np.linalg.lstsq(unknown, gain * verify / alone, rcond=None)[0]
    cost = dataclasses.replace(cost, draft=float(draft) / LOAD_WINDOW)
    return cost, float(length), length * alone / (verify + draft)


def all_checks() -> Iterator[Check]:
    """Every case, in the order of their names."""
    for curve in CURVES:
        yield from _of_curve(planned_curve(curve))
    yield _stairs()
    yield _crow()
    yield _llama()
    yield from _loads()
    yield _heavy_tail()
    yield _relative()


def _of_curve(planned: PlannedCurve) -> Iterator[Check]:
    curve = planned.curve
    measured = np.array(curve.speedups)
    scope = f"{curve.about}; windows {', '.join(map(str, curve.windows))}"
    claim = Claim(
        f"{curve.name}, best window", curve.about,
        f"the planned window, {planned.best}, is the best measured one or within {NEAR:.0%} of it",
        f"measured at window {planned.best}", "98% of the best measured",
    )  # fmt: skip
    at = curve.windows.index(planned.best)
    yield at_least(claim, measured[at], (1 - NEAR) * measured.max(), tolerance=0.0, scope=scope)
    if len(curve.windows) > 2:
        unseen = np.isfinite(planned.held_out).all()
        how = "each by a cost fitted without its window" if unseen else "by the cost fitted to all"
        claim = Claim(
            f"{curve.name}, speed-ups", curve.about,
            f"planned speed-ups are within {CLOSE:.0%} of those measured, {how}",
            "planned over measured", "1",
        )  # fmt: skip
        speedups = planned.held_out if unseen else planned.speedups
        yield equal(claim, speedups / measured, 1.0, tolerance=CLOSE, scope=scope)


def _stairs() -> Check:
    claim = Claim(
        "C8, staircase", "mlxcel#1182",
        "whatever is accepted, and however cheap the draft, 3 drafted tokens are faster than 4, as measured",
        "speed-up at 3 tokens", "speed-up at 4 tokens",
    )  # fmt: skip
    acceptances = np.linspace(0, 1, 101)
    three, four = (memoryless.speedup(acceptances, k, CostModel(1e-9, STAIRS)) for k in (3, 4))
    return at_least(claim, three, four, tolerance=0.0, scope="acceptance 0, 0.01, .., 1, a draft for free")


def crow_cost(verify: float) -> CostModel:
    """C10's costs where a forward over window + 1 tokens takes so many ms."""
    return CostModel(CROW.draft, {1: CROW.alone, CROW_WINDOW + 1: verify}, CROW.draft_call)


def crow_break_even() -> float:
    """C10: the ms of that forward from which on drafting loses, whatever is accepted."""
    return (CROW_WINDOW + 1) * CROW.alone - (CROW.call_time(CROW_WINDOW) - CROW.alone)


def _crow() -> Check:
    """What verification must take for the claim to hold: it was not measured, so the claim is not implied."""
    k, verify = CROW_WINDOW, crow_break_even()
    cost = crow_cost(verify)
    claim = Claim(
        "C10, break-even", "Crow#181",
        f"drafting loses at window {k} at any acceptance if and only if verifying {k + 1} tokens takes "
        f"{verify:.1f} ms or more, {verify / CROW.alone:.2f} times one token, which was not measured",
        "speed-up at acceptance 1 there", "1",
    )  # fmt: skip
    return equal(claim, memoryless.speedup(1.0, k, cost), 1.0, tolerance=1e-12, scope=f"window {k}")


def llama_plan() -> WindowPlan:
    """C12: what the planner says with the logged draft's time a token and what is left of a call."""
    verify = (LLAMA_EVAL_MS - LLAMA_DRAFT_MS) / LLAMA_CALLS
    return plan(rates=list(LLAMA_RATES), cost=CostModel(LLAMA_DRAFT_MS / LLAMA_DRAFTED, verify))


def _llama() -> Check:
    made = llama_plan()
    claim = Claim(
        "C12, time per token", "llama.cpp#24536",
        f"the planned time per token is within {CLOSE:.0%} of the one measured",
        "planned over measured", "1",
    )  # fmt: skip
    measured = LLAMA_EVAL_MS / LLAMA_TOKENS
    scope = f"window 3, {LLAMA_CALLS} calls; the target alone was not measured"
    return equal(claim, made.time_per_token[3] / measured, 1.0, tolerance=CLOSE, scope=scope)


def _loads() -> Iterator[Check]:
    cost, length, planned = load_costs()
    measured = np.array(SEVEN) / np.array(PLAIN)
    scope = f"concurrency {', '.join(map(str, LOADS))}; {length:.2f} tokens per call fitted"
    claim = Claim(
        "C13, speed-ups by load", "vllm#52362",
        f"planned speed-ups of window {LOAD_WINDOW} are within {ROUGH:.0%} of those measured: forwards over "
        "more than 256 tokens were not measured, and up to 2048 are needed",
        "planned over measured", "1",
    )  # fmt: skip
    yield equal(claim, planned / measured, 1.0, tolerance=ROUGH, scope=scope)
    claim = Claim(
        "C13, best window by load", "vllm#52362",
        "the best window does not rise with load, at the acceptance that the tokens per call imply",
        "best window at a load", "best window at the next",
    )  # fmt: skip
    plans = plan(mean_length=length, window=LOAD_WINDOW, cost=cost, concurrency=LOADS)
    best = np.array([row["window"] for row in plans.rows()])
    yield at_least(claim, best[:-1], best[1:], tolerance=0.0, scope=scope)


def heavy_tail_plans() -> tuple[WindowPlan, WindowPlan]:
    """C16: n-gram drafts, which cost next to nothing, planned from their rates and from one acceptance."""
    cost = CostModel(1e-9, VERIFY, overhead=NGRAM_OVERHEAD)
    rates = list(NGRAM_RATES)
    return plan(rates=rates, cost=cost), plan(acceptance=rates[0], cost=cost, longest=len(rates))


def _heavy_tail() -> Check:
    """No measurement to hold against: what can be held is that one acceptance does not plan it."""
    exact, guess = heavy_tail_plans()
    claim = Claim(
        "C16, heavy tail", "arXiv 2601.11580",
        "n-gram drafts are worth more at every window from 2 on than one acceptance, that of the first "
        "position, promises; no speed-up was published for these costs",
        "speed-up from rates", "speed-up from one acceptance",
    )  # fmt: skip
    scope = "n-gram, instructcoder, windows 2 to 5"
    return at_least(claim, exact.speedup[2:], guess.speedup[2:], tolerance=0.0, scope=scope)


def _relative() -> Check:
    table = CostModel(target={"relative": list(RELATIVE)}).target
    first, slope = RELATIVE_LINE
    tokens = np.arange(1, len(RELATIVE) + 1)
    claim = Claim(
        "C17, a forward's time", "llama.cpp#17034",
        f"{first} + {slope} n is the time of a forward over n tokens within {CLOSE:.0%}",
        "line over table", "1",
    )  # fmt: skip
    ratio = (first + slope * tokens) / table.at(tokens)
    return equal(claim, ratio, 1.0, tolerance=CLOSE, scope=f"1 to {len(RELATIVE)} tokens")
