"""Batch decoding with M drafts on real rows, and its limit of infinitely many."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simlab.decoders import BatchSpeculative
from simlab.evidence import Interval, sample_mean_interval
from simlab.experiments.common.outcome import Presentation
from simlab.experiments.models.options import Options, Shown
from simlab.experiments.models.texts import Recorded, horizon_of, run_pairs, stacked
from simlab.models.truth import cut
from simlab.report import new_figure, shared_legend, style
from simlab.report.modelplot import draw_drafts
from simlab.traces import Trace, TracePrediction, predict_trace
from simlab.traces.columns import batch_column

CAPTION = (
    "Rejections in a text of at most {tokens} tokens with M drafts (Algorithm 4 as its proof has it), for "
    "each pair of real models. Lines: predicted from {traced} texts of the target, on which P(all M drafts "
    "are rejected) was recorded from the whole rows of both models; vertical lines are {confidence:.10g}% "
    "intervals from texts as independent units, each for itself. ∞: the limit of infinitely many "
    "drafts: at a fresh position only tokens to which the draft gives no probability are rejected, and what "
    "is left are the rejections at continuing positions, which have one draft each. Open markers: counted "
    "where the decoder was run with the two models ({run} texts)."
)


@dataclass(frozen=True, eq=False)
class Drafts:
    """One pair: numbers of drafts, rising, (K,); rejections: predicted there; limit: with infinitely many."""

    drafts: np.ndarray
    rejections: Interval
    limit: Interval


def present_batches(told: Presentation, pairs: tuple[Recorded, ...], options: Options) -> Shown:
    """The figure, and a note on what more drafts save."""
    tokens = horizon_of(pairs)
    confidence, rows = told.settings.confidence, []
    found = {pair.name: drafts_of(cut(pair.trace, tokens), confidence) for pair in pairs}
    with style():
        figure = new_figure(6.6, 4.6)
        axes = figure.add_subplot()
        for pair in pairs:
            one, ran = found[pair.name], _ran(pair, confidence)
            draw_drafts(axes, one.drafts, one.rejections, one.limit, ran, pair.label, series=pair.series,
                        of=len(pairs), confidence=confidence)  # fmt: skip
            rows += _rows(pair, one, ran)
        axes.set_xlabel("drafts M")
        axes.set_ylabel("rejections in a text")
        axes.set_ylim(bottom=0)
        shared_legend(figure, [axes], columns=3)
    shown = run_pairs(pairs)
    sizes = sorted({len(run.tokens) for pair in shown for run in pair.runs.values() if "batch" in run.name})
    caption = CAPTION.format(
        tokens=tokens, traced=pairs[0].trace.sequences, confidence=100 * confidence,
        run=" to ".join(map(str, sizes)),
    )  # fmt: skip
    return Shown(figures=[told.figure("models_batch", caption, figure, rows)], notes=[_note(pairs, found)])


def with_limit(trace: Trace) -> Trace:
    """The trace with the column of infinitely many drafts.

    With c_M the sum of the M unnormalised residuals' masses before, the residual is [target - c_M draft]_+
    (`simlab.models.rows`). If c_M grows without end only tokens of draft probability 0 are left; if not, the
    masses tend to 0, and nothing is left. Either way a token that came is rejected if the draft gives it no
    probability, and never else.
    """
    impossible = (trace.draft_probability == 0).astype(float)
    return Trace(**{**trace.columns, batch_column(math.inf): impossible}, provenance=trace.provenance)


def drafts_of(trace: Trace, confidence: float) -> Drafts:
    """What the trace predicts for one draft, for each number of drafts recorded and for infinitely many."""
    drafts = [1, *sorted(trace.provenance["drafts"])]
    trace = with_limit(trace)

    def rejections(number: int | float) -> Interval:
        found: TracePrediction = predict_trace(trace, BatchSpeculative(number))
        return found.interval("expected_rejections", confidence)

    return Drafts(np.array(drafts), stacked(map(rejections, drafts)), rejections(math.inf))


def _ran(pair: Recorded, confidence: float) -> tuple[np.ndarray, Interval]:
    """Numbers of drafts that were run, (K,), and rejections of a text there."""
    names = {"horizon": 1} | {name: int(name[5:]) for name in pair.runs if name.startswith("batch")}
    chosen = sorted((drafts, pair.runs[name]) for name, drafts in names.items() if name in pair.runs)
    means = [
        sample_mean_interval(run.rejections, float(run.provenance["tokens"]), confidence) for _, run in chosen
    ]
    return np.array([drafts for drafts, _ in chosen]), stacked(means) if means else Interval(
        *np.empty((3, 0))
    )


def _rows(pair: Recorded, one: Drafts, ran: tuple[np.ndarray, Interval]) -> list[dict]:
    predicted = [
        (drafts, "predicted", *row)
        for drafts, row in zip(one.drafts.tolist(), zip(*one.rejections, strict=True), strict=True)
    ]
    counted = [
        (drafts, "run", *row) for drafts, row in zip(ran[0].tolist(), zip(*ran[1], strict=True), strict=True)
    ]
    return [
        {"pair": pair.label, "drafts": drafts, "kind": kind, "rejections": float(mean),
         "low": float(low), "high": float(high)}
        for drafts, kind, mean, low, high in [*predicted, (math.inf, "predicted", *one.limit), *counted]
    ]  # fmt: skip


def _note(pairs: tuple[Recorded, ...], found: dict[str, Drafts]) -> str:
    """What most drafts and infinitely many leave of one draft's rejections: the range, then every pair."""
    left = {
        pair.label: 100
        * np.array([found[pair.name].rejections.estimate[-1], found[pair.name].limit.estimate])
        / found[pair.name].rejections.estimate[0]
        for pair in pairs
    }
    least, most = (end(list(left.values()), axis=0) for end in (np.min, np.max))
    each = "; ".join(f"{label} {many:.0f}% and {limit:.0f}%" for label, (many, limit) in left.items())
    return (
        f"Of the rejections with one draft, {found[pairs[0].name].drafts[-1]} drafts leave {least[0]:.0f}% "
        f"to {most[0]:.0f}% on real rows and infinitely many {least[1]:.0f}% to {most[1]:.0f}%. "
        f"By pair: {each}."
    )
