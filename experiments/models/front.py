"""The trade of rejections against bias on one token, averaged over real prefixes: Theorem 5 says a line."""

from __future__ import annotations

import numpy as np

from simlab.evidence import Interval
from simlab.experiments.common.outcome import Presentation
from simlab.experiments.models.options import Options, Shown
from simlab.experiments.models.texts import Recorded, stacked, text_mean
from simlab.report import new_figure, shared_legend, style
from simlab.report.modelplot import draw_front
from simlab.traces.columns import over_acceptance_column
from simlab.verify import Check
from simlab.verify.compare import Claim, equal

OPTIMAL = ("optimal", "residual")
"""On the line: the residual [target - draft] is one of the optimal replacements."""
OTHERS = ("target", "draft")
CAPTION = (
    "One token of over-acceptance on real models: the probability of rejecting against the total variation "
    "between output and target, both from the whole rows, averaged over the prefixes of a text and then over "
    "the {texts} texts that the target wrote ({prefixes:,} prefixes); epsilon = {epsilons}, from right to "
    "left. Line: Theorem 5, rejection + bias = total variation, from speculative decoding (no bias) to "
    "drafting alone (no rejection). On every prefix the optimal replacement is on its line, so its average "
    "is; that is checked prefix by prefix, and for the residual [target - draft], which is not drawn, too. "
    "Given a prefix all is exact; crosses are {confidence:.10g}% intervals of the averages, from texts as "
    "independent units, each for itself."
)
TOLERANCE = 1e-9
"""What bundled traces can show: their columns are multiples of 2^-30."""


def present_front(told: Presentation, pairs: tuple[Recorded, ...], options: Options) -> Shown:
    """The figure, a check of Theorem 5 on every pair, and a note on the other replacements."""
    confidence, rows, axes = told.settings.confidence, [], []
    with style():
        figure = new_figure(8.4, 5.6)
        grid = figure.add_gridspec(2, -(-len(pairs) // 2))
        for index, pair in enumerate(pairs):
            panel = figure.add_subplot(grid[divmod(index, grid.ncols)])
            variation, points = _points(pair, confidence)
            draw_front(panel, float(variation.estimate), points, confidence=confidence)
            panel.set_title(pair.label)
            if index >= grid.ncols:
                panel.set_xlabel("P(reject)")
            if index % grid.ncols == 0:
                panel.set_ylabel("bias of a token")
            axes.append(panel)
            rows += _rows(pair, points)
        shared_legend(figure, axes, columns=3)
    caption = CAPTION.format(
        prefixes=len(pairs[0].trace), texts=pairs[0].trace.sequences, confidence=100 * confidence,
        epsilons=", ".join(f"{epsilon:g}" for epsilon in _epsilons(pairs[0])),
    )  # fmt: skip
    return Shown(
        figures=[told.figure("models_front", caption, figure, rows)],
        checks=[theorem5(pair) for pair in pairs],
        notes=[_note(pairs)],
    )


def theorem5(pair: Recorded) -> Check:
    """Rejection + loss = total variation, on every prefix and at every epsilon, for what is optimal."""
    trace, epsilons = pair.trace, _epsilons(pair)
    cases = [(name, epsilon) for name in OPTIMAL for epsilon in epsilons]
    lines = np.concatenate([_line(pair, epsilon) for _, epsilon in cases])
    excess = np.concatenate([trace.column(_excess(*case)) for case in cases])
    claim = Claim(
        f"theorem 5, real prefixes, {pair.label}",
        "Yin et al. 2024, Theorem 5",
        "over-acceptance with the optimal replacement, or the residual, loses total variation - rejection",
        "loss of a token",
        "total variation - rejection",
    )
    return equal(
        claim, lines + excess, lines, tolerance=TOLERANCE,
        scope=f"all {len(trace):,} prefixes of {trace.sequences} texts, {len(epsilons)} epsilons",
    )  # fmt: skip


def _epsilons(pair: Recorded) -> list[float]:
    return sorted(pair.trace.provenance["epsilons"])


def _excess(replacement: str, epsilon: float) -> str:
    return over_acceptance_column(epsilon).replace("over_acceptance", f"excess_loss_{replacement}")


def _line(pair: Recorded, epsilon: float) -> np.ndarray:
    return pair.trace.total_variation - pair.trace.column(over_acceptance_column(epsilon))


def _points(pair: Recorded, confidence: float) -> tuple[Interval, dict[str, tuple[Interval, Interval]]]:
    """The mean total variation, and by replacement (P(reject), bias), each (K,) at the epsilons."""
    trace, epsilons = pair.trace, _epsilons(pair)
    rejections = stacked(
        text_mean(trace, trace.column(over_acceptance_column(epsilon)), confidence) for epsilon in epsilons
    )
    points = {}
    for replacement in ("optimal", *OTHERS):
        losses = [_line(pair, epsilon) + trace.column(_excess(replacement, epsilon)) for epsilon in epsilons]
        points[replacement] = (
            rejections,
            stacked(text_mean(trace, loss.clip(0.0, 1.0), confidence) for loss in losses),
        )
    return text_mean(trace, trace.total_variation, confidence), points


def _rows(pair: Recorded, points: dict[str, tuple[Interval, Interval]]) -> list[dict]:
    return [
        {
            "pair": pair.label, "replacement": replacement, "epsilon": epsilon,
            **{
                f"{name}{end}": float(values[at])
                for name, interval in (("rejection", rejections), ("bias", bias))
                for end, values in zip(("", "_low", "_high"), interval, strict=True)
            },
        }
        for replacement, (rejections, bias) in points.items()
        for at, epsilon in enumerate(_epsilons(pair))
    ]  # fmt: skip


def _note(pairs: tuple[Recorded, ...]) -> str:
    """How far above the line the other replacements are, at the least epsilon."""
    epsilon, parts = _epsilons(pairs[0])[0], []
    for pair in pairs:
        means = [pair.trace.column(_excess(name, epsilon)).mean() for name in OTHERS]
        parts.append(f"{pair.label} " + " and ".join(f"{mean:.4f}" for mean in means))
    return (
        f"Bias above Theorem 5's line at epsilon = {epsilon:g} on real prefixes, replaced by "
        f"{' and '.join(OTHERS)}: " + "; ".join(parts) + "."
    )
