"""The distribution of rejections: predicted from a trace, and counted where the decoder was run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.decoders import Speculative
from simlab.evidence import (
    Interval,
    Verdict,
    known_sums_verdict,
    mean_interval,
    pmf_band,
    two_sample_verdict,
)
from simlab.evidence.interval import error_of
from simlab.evidence.mean import sample_mean_interval_at
from simlab.experiments.common.outcome import Exhibit, Presentation
from simlab.experiments.models.agreement import folded
from simlab.experiments.models.options import Options, Shown
from simlab.experiments.models.texts import Recorded, run_pairs
from simlab.models import Run
from simlab.models.runs import PARTS
from simlab.models.truth import cut
from simlab.report import new_figure, residual_axes, shared_legend, style
from simlab.report.modelplot import draw_counts, draw_differences
from simlab.theory.paths import count_pmf, window_rule
from simlab.traces import Trace, predict_trace

RUN = "horizon"
"""The run that drafts to the horizon, whose rejections are N_rej of Theorem 1."""

CAPTION = (
    "Rejections of speculative decoding that drafts to the horizon, on three pairs of real models. Bars: "
    "counted in {run} texts of at most {tokens} tokens that the two models really decoded. Line: predicted "
    "from {traced} other texts that the target wrote alone, on each of which the distribution is known "
    "exactly (Poisson-binomial), so that their average is without bias. Shaded: {confidence:.10g}% intervals "
    "of all cells at once. Below: predicted less counted probability of at most so many rejections, with an "
    "interval that holds for all numbers at once; both sides are estimates, and texts are the independent "
    "units of both."
)


@dataclass(frozen=True, eq=False)
class Compared:
    """One pair, for texts of at most T tokens. texts: (n, T + 1), the distribution of N_rej on each text of
    the trace; counted: (m,), of the texts of the run; own: (m, T + 1), the distribution on each of these,
    None for runs of before their acceptances were kept.
    """

    pair: Recorded
    run: Run
    texts: np.ndarray
    counted: np.ndarray
    own: np.ndarray | None


def present_rejections(told: Presentation, pairs: tuple[Recorded, ...], options: Options) -> Shown:
    """The figure, a verdict on each pair's distribution, and a note with the means."""
    found = [_compared(pair) for pair in run_pairs(pairs) if RUN in pair.runs]
    verdicts = [_verdict(told, one, options) for one in found]
    return Shown(figures=[_present(told, found)], verdicts=verdicts, notes=[_note(told, found)])


def text_distributions(texts: list[np.ndarray], tokens: int) -> np.ndarray:
    """(texts, tokens + 1): the distribution of N_rej given each text, where all tokens are drafted.

    texts: the acceptance of each token, an array a text of at most so many tokens.
    """
    found = np.zeros((len(texts), tokens + 1))
    for row, accept in zip(found, texts, strict=True):
        offsets = np.array([0, len(accept)])
        rule = window_rule(offsets, None, False)
        pmf = count_pmf(accept, accept, rule, offsets, np.ones(1), of_calls=False)
        row[: len(pmf)] = pmf
    return found


def acceptances_of(trace: Trace) -> list[np.ndarray]:
    """The acceptance of each token, an array a text."""
    return np.split(trace.acceptance, trace.offsets[1:-1])


def _compared(pair: Recorded) -> Compared:
    run, own = pair.runs[RUN], None
    tokens = run.provenance["tokens"]
    if run.acceptances is not None:
        ended = zip(run.acceptances, run.tokens, strict=True)
        own = text_distributions([accept[:length] for accept, length in ended], tokens)
    texts = text_distributions(acceptances_of(cut(pair.trace, tokens)), tokens)
    return Compared(pair, run, texts, run.rejections, own)


def _cumulated(pmfs: np.ndarray) -> np.ndarray:
    """P(at most n rejections) for n below T, (texts, T)."""
    return np.cumsum(pmfs, axis=1)[:, :-1].clip(0, 1)


def _was_so(one: Compared) -> np.ndarray:
    """Whether each text of the run had at most n rejections, whole numbers (m, T)."""
    return (one.counted[:, None] <= np.arange(one.texts.shape[1] - 1)).astype(int)


def _differences(one: Compared, resolution: float, false_alarm: float, miss: float) -> list[Verdict]:
    """Of P(at most n rejections) for every n, at the two errors for all n together: trace against run."""
    predicted, counted = _cumulated(one.texts), _was_so(one)
    number = predicted.shape[1]
    return [
        two_sample_verdict(
            f": P(at most {n} rejections)", predicted[:, n], counted[:, n].astype(float), most=1.0,
            resolution=resolution, false_alarm=false_alarm / number, miss=miss / number,
            statistic="difference of probabilities",
        )
        for n in range(number)
    ]  # fmt: skip


def given_own_texts(one: Compared, resolution: float, false_alarm: float, miss: float) -> list[Verdict]:
    """The same of the run against the theory given the very texts that it wrote, which is sharper."""
    exact, counted = _cumulated(one.own), _was_so(one)
    number = exact.shape[1]
    return [
        known_sums_verdict(
            f": P(at most {n} rejections)", counted[:, n],
            np.column_stack([1 - exact[:, n], exact[:, n]]), resolution=resolution,
            false_alarm=false_alarm / number, miss=miss / number, statistic="counted - exact given the texts",
            allowance=number / (2 * PARTS),  # acceptances are kept in so many parts
        )
        for n in range(number)
    ]  # fmt: skip


def _verdict(told: Presentation, one: Compared, options: Options) -> Verdict:
    name = f"{told.title}, {one.pair.label}, {RUN}: distribution of N_rej"
    judge = _differences if one.own is None else given_own_texts
    return folded(name, judge(one, options.resolution, **told.settings.judging.errors))


def _present(told: Presentation, found: list[Compared]) -> Exhibit:
    settings, rows = told.settings, []
    error = error_of(settings.confidence)
    with style():
        figure = new_figure(8.4, 3.9)
        grid, axes = figure.add_gridspec(1, len(found)), []
        for column, one in enumerate(found):
            upper, lower = residual_axes(figure, grid[0, column], share=0.34)
            counted = pmf_band(np.bincount(one.counted, minlength=one.texts.shape[1]), settings.confidence)
            predicted = _band(one.texts, error)
            verdicts = _differences(one, 1.0, error, error)
            apart = Interval(*(np.array([getattr(v, end) for v in verdicts]) for end in Interval._fields))
            draw_counts(upper, counted, predicted, confidence=settings.confidence, series=one.pair.series)
            draw_differences(lower, np.arange(len(apart.low)), apart, series=one.pair.series)
            upper.set_title(f"{one.pair.label}: {len(one.texts)} against {len(one.counted)} texts")
            lower.set_xlabel("rejections in a text")
            if column == 0:
                upper.set_ylabel("probability")
                lower.set_ylabel("predicted\nless run", fontsize="small")
            axes.append(upper)
            rows += _rows(one, counted, predicted)
        shared_legend(figure, axes, columns=4)
    tokens = found[0].run.provenance["tokens"]
    sizes = sorted({len(one.counted) for one in found})
    caption = CAPTION.format(
        run=" to ".join(map(str, sizes)), tokens=tokens, traced=len(found[0].texts),
        confidence=100 * settings.confidence,
    )  # fmt: skip
    return told.figure("models_rejections", caption, figure, rows)


def _band(texts: np.ndarray, error: float) -> Interval:
    """The mean over texts in every cell, (T + 1,), with an interval for all cells at once."""
    cells = [sample_mean_interval_at(column, 1.0, error / texts.shape[1]) for column in texts.T]
    return Interval(*(np.array(end) for end in zip(*cells, strict=True)))


def _rows(one: Compared, counted: Interval, predicted: Interval) -> list[dict]:
    columns = zip(*counted, *predicted, strict=True)
    names = ("run", "run_low", "run_high", "predicted", "predicted_low", "predicted_high")
    return [
        {"pair": one.pair.label, "rejections": n, **dict(zip(names, map(float, row), strict=True))}
        for n, row in enumerate(columns)
    ]


def _note(told: Presentation, found: list[Compared]) -> str:
    """E[N_rej] predicted and run, of every pair, and then with intervals."""
    confidence, means, intervals = told.settings.confidence, [], []
    for one in found:
        trace = cut(one.pair.trace, one.run.provenance["tokens"])
        predicted = predict_trace(trace, Speculative()).interval("expected_rejections", confidence)
        ran = mean_interval(np.bincount(one.counted, minlength=one.texts.shape[1]), confidence)
        means.append(f"{one.pair.label} {predicted.estimate:.2f}, {ran.estimate:.2f}")
        intervals.append(
            f"{one.pair.label} {predicted.low:.2f} to {predicted.high:.2f}, {ran.low:.2f} to {ran.high:.2f}"
        )
    return (
        f"E[N_rej] of real models, predicted and run: {'; '.join(means)}. The {100 * confidence:.10g}% "
        f"intervals of both: {'; '.join(intervals)}."
    )
