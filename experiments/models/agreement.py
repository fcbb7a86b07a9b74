"""The truth test as the page has it: two verdicts a decoder that was run, a row for each number behind."""

from __future__ import annotations

import dataclasses

import numpy as np

from simlab.evidence import Judging, Verdict
from simlab.experiments.common.outcome import Presentation
from simlab.experiments.models.options import Options, Shown
from simlab.experiments.models.texts import Recorded, run_pairs
from simlab.models import Run, truth_verdicts
from simlab.models.truth import with_errors
from simlab.report.rows import rank

CAPTION = (
    "The truth test, a row a number: what a pair's trace predicts less what was counted where the decoder "
    "was run with the same two models on other texts. Both are estimates, each from as many independent "
    "texts as the row says; the interval is of the difference and holds with all others of its decoder. "
    "Whether emitted tokens follow the target is judged by their ranks, without a trace: there the numbers "
    "are of the cell that is furthest out."
)
FOLLOWS = "the target"
"""In the names of verdicts on emitted tokens."""


def present_agreement(told: Presentation, pairs: tuple[Recorded, ...], options: Options) -> Shown:
    """Two verdicts for every pair and decoder that was run, and the table of all differences."""
    verdicts, rows = [], []
    for pair in run_pairs(pairs):
        for run in pair.runs.values():
            found = truth_of(pair, run, options, told.settings.judging)
            counts = [one for one in found if FOLLOWS not in one.name]
            ranks = [one for one in found if FOLLOWS in one.name]
            name = f"{told.title}, {pair.label}, {run.name}"
            verdicts += [
                folded(f"{name}: counts are what the trace predicts", counts),
                folded(f"{name}: tokens follow the target", ranks),
            ]
            rows += [_row(pair, run, one) for one in found]
    return Shown(tables=[told.table("models_truth", CAPTION, rows)], verdicts=verdicts)


def truth_of(pair: Recorded, run: Run, options: Options, judging: Judging) -> list[Verdict]:
    """All verdicts on one decoder that was run, at the levels that hold for all of them together."""
    positions = run.drafted_by_position.shape[1]
    most = 6 + 2 * positions  # calls, rejections and positions twice, and the ranks of tokens
    return truth_verdicts(pair.trace, run, with_errors(judging, most), options.resolution)


def folded(name: str, verdicts: list[Verdict]) -> Verdict:
    """Several verdicts as one: the worst, and of those the one whose exact value is furthest out.

    Its two errors are those of all together.
    """
    worst = min(verdicts, key=lambda one: (rank(one.status), -_way_out(one)))
    what = worst.name.partition(": ")[2]
    return dataclasses.replace(
        worst,
        name=name,
        statistic=f"{worst.statistic}, {what}, the furthest out of {len(verdicts)}",
        false_alarm=sum(one.false_alarm for one in verdicts),
        miss=sum(one.miss for one in verdicts),
    )


def _way_out(verdict: Verdict) -> float:
    """|estimate - exact| beyond what is allowed, in half-widths, on the side of the exact value."""
    way = verdict.exact - verdict.estimate
    room = verdict.high - verdict.estimate if way > 0 else verdict.estimate - verdict.low
    beyond = max(abs(way) - verdict.allowance, 0.0)
    return beyond / room if room > 0 else float(np.sign(beyond))


def _row(pair: Recorded, run: Run, verdict: Verdict) -> dict:
    return {
        "pair": pair.label,
        "decoder": run.name,
        "claim": verdict.name.partition(": ")[2],
        "statistic": verdict.statistic,
        "difference": verdict.estimate - verdict.exact,
        "low": verdict.low - verdict.exact,
        "high": verdict.high - verdict.exact,
        "allowance": verdict.allowance,
        "would_see": verdict.detectable,
        "texts": verdict.trajectories,
        "verdict": str(verdict.status),
    }
