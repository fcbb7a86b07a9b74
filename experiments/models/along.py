"""Acceptance against the position in the text, and by kind of prompt."""

from __future__ import annotations

import numpy as np

from simlab.evidence import Interval
from simlab.experiments.common.outcome import Presentation
from simlab.experiments.models.options import Options, Shown
from simlab.experiments.models.texts import Recorded, stacked, text_mean
from simlab.report import new_figure, shared_legend, style
from simlab.report.modelplot import draw_kinds, draw_positions
from simlab.traces import Trace

CAPTION = (
    "Mean acceptance of a token, 1 - total variation of draft and target at its prefix, exact given the "
    "prefix, averaged over the tokens of a text and then over the texts that the target wrote. (a) Against "
    "the position in the text, {block} tokens a marker, from {texts} texts. (b) By kind of prompt, with the "
    "number of texts of each kind. "
    "Horizontal and vertical lines: {confidence:.10g}% intervals with texts as independent units, each for "
    "itself. All pairs have the same texts, so that differences between pairs are surer than their intervals."
)


def present_along(told: Presentation, pairs: tuple[Recorded, ...], options: Options) -> Shown:
    """The figure, and a note on how much acceptance changes along a text and between kinds."""
    confidence = told.settings.confidence
    kinds = _kinds(pairs[-1].trace)
    blocks = {pair.name: by_position(pair.trace, options.block, confidence) for pair in pairs}
    by_kind = {pair.name: stacked(_kind_mean(pair, kind, confidence) for kind in kinds) for pair in pairs}
    rows = []
    with style():
        figure = new_figure(8.4, 4.6)
        left, right = (figure.add_subplot(cell) for cell in figure.add_gridspec(1, 2))
        for pair in pairs:
            middle, found = blocks[pair.name]
            look = {"label": pair.label, "series": pair.series, "of": len(pairs)}
            draw_positions(left, middle, found, options.block, **look)
            draw_kinds(right, by_kind[pair.name], **look)
            rows += _rows(pair, "first position", (middle - (options.block - 1) / 2).astype(int), found)
            rows += _rows(pair, "kind", kinds, by_kind[pair.name])
        left.set_title("(a) by position in the text")
        left.set_xlabel("position in the text")
        left.set_ylabel("acceptance")
        left.set_ylim(0, 1)
        right.set_title("(b) by kind of prompt")
        right.set_xlabel("acceptance")
        right.set_xlim(0, 1)
        right.set_yticks(
            range(len(kinds)), [f"{kind} ({_texts(pairs[0].trace, kind)})" for kind in kinds], fontsize=8
        )
        right.invert_yaxis()
        shared_legend(figure, [left, right], columns=3)
    caption = CAPTION.format(block=options.block, texts=pairs[0].trace.sequences, confidence=100 * confidence)
    notes = [_note(pairs, blocks, by_kind, kinds, options.block)]
    return Shown(figures=[told.figure("models_acceptance", caption, figure, rows)], notes=notes)


def by_position(trace: Trace, block: int, confidence: float) -> tuple[np.ndarray, Interval]:
    """Middles of blocks of positions, (B,), and the mean acceptance in each, of the texts that reach it."""
    at = np.arange(len(trace)) - np.repeat(trace.offsets[:-1], trace.lengths)
    longest, means = int(trace.lengths.max()), []
    starts = np.arange(0, longest, block)
    for start in starts:
        rows = (at >= start) & (at < start + block)
        part = Trace(
            trace.sequence[rows], trace.draft_probability[rows], trace.target_probability[rows],
            total_variation=trace.total_variation[rows],
        )  # fmt: skip
        means.append(text_mean(part, 1 - part.total_variation, confidence))
    ends = np.minimum(starts + block, longest)
    return (starts + ends - 1) / 2, stacked(means)


def _kinds(trace: Trace) -> list[str]:
    """The kinds of prompt, by falling acceptance of this pair."""
    means = {
        kind: _mean_acceptance(trace.select(trace.by_sequence("kind") == kind))
        for kind in set(trace.by_sequence("kind"))
    }
    return sorted(means, key=lambda kind: -means[kind])


def _mean_acceptance(trace: Trace) -> float:
    return float((np.add.reduceat(1 - trace.total_variation, trace.offsets[:-1]) / trace.lengths).mean())


def _kind_mean(pair: Recorded, kind: str, confidence: float) -> Interval:
    part = pair.trace.select(pair.trace.by_sequence("kind") == kind)
    return text_mean(part, 1 - part.total_variation, confidence)


def _texts(trace: Trace, kind: str) -> int:
    return int((trace.by_sequence("kind") == kind).sum())


def _rows(pair: Recorded, by: str, values, found: Interval) -> list[dict]:
    return [
        {"pair": pair.label, "by": by, "of": str(value), "acceptance": float(mean), "low": float(low),
         "high": float(high)}
        for value, mean, low, high in zip(values, *found, strict=True)
    ]  # fmt: skip


def _note(pairs, blocks, by_kind, kinds: list[str], block: int) -> str:
    """First and last positions, and the kinds with the most and the least acceptance."""
    parts = []
    for pair in pairs:
        first, last = blocks[pair.name][1].estimate[[0, -1]]
        means = by_kind[pair.name].estimate
        most, least = int(np.argmax(means)), int(np.argmin(means))
        parts.append(
            f"{pair.label} {first:.2f} and {last:.2f}, {kinds[most]} {means[most]:.2f} and {kinds[least]} "
            f"{means[least]:.2f}"
        )
    return (
        f"Acceptance in the first {block} and the last {block} tokens of a text, and of the kinds of prompt "
        "with the most and the least: " + "; ".join(parts) + "."
    )
