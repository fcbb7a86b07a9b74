"""The trade of rejections against bias on one token, averaged over real prefixes: Theorem 5 says a line."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simlab.evidence import Interval
from simlab.experiments.common.outcome import Presentation
from simlab.experiments.models.options import Options, Shown
from simlab.experiments.models.texts import Recorded, part_of, stacked
from simlab.report import new_figure, shared_legend, style
from simlab.report.modelplot import draw_front
from simlab.traces import Trace
from simlab.traces.columns import over_acceptance_column
from simlab.verify import Check
from simlab.verify.compare import Claim, equal

OPTIMAL = ("optimal", "residual")
"""On the line: the residual [target - draft] is one of the optimal replacements."""
OTHERS = ("target", "draft")
CAPTION = (
    "One token of over-acceptance on real models: the probability of rejecting against the total variation "
    "between output and target, both as parts of the total variation of draft and target (in the titles), "
    "from the whole rows, averaged over the prefixes of a text and then over the texts that the target "
    "wrote; epsilon = {epsilons}, from right to left ({texts}). Line: Theorem 5, rejection + bias = total "
    "variation, from speculative decoding (no bias) to drafting alone (no rejection). On every prefix the "
    "optimal replacement is on its line, so its average is; that is checked prefix by prefix, and for the "
    "residual [target - draft], which is not drawn, too. Given a prefix all is exact; crosses are "
    "{confidence:.10g}% intervals of the averages, from texts as independent units, each for itself."
)
TOLERANCE = 1e-9
"""What bundled traces can show: their columns are multiples of 2^-30."""


@dataclass(frozen=True, eq=False)
class Front:
    """One pair, arrays (K,): rejection, and bias by replacement, as parts of the total variation."""

    epsilons: np.ndarray
    rejection: Interval
    bias: dict[str, Interval]


def present_front(told: Presentation, pairs: tuple[Recorded, ...], options: Options) -> Shown:
    """The figure, a check of Theorem 5 on every pair, and a note on the other replacements."""
    confidence, rows, axes = told.settings.confidence, [], []
    fronts = [front_of(pair, confidence) for pair in pairs]
    with style():
        figure = new_figure(8.4, 5.8)
        grid = figure.subplots(2, -(-len(pairs) // 2), sharex=True, sharey=True, squeeze=False)
        for panel, pair, front in zip(grid.flat, pairs, fronts, strict=False):
            draw_front(panel, front.rejection, front.bias)
            panel.set_title(f"{pair.label}, total variation {pair.trace.total_variation.mean():.3f}")
            rows += _rows(pair, front)
            axes.append(panel)
        for panel in grid[-1]:
            panel.set_xlabel("P(reject) / total variation")
        for panel in grid[:, 0]:
            panel.set_ylabel("bias / total variation")
        shared_legend(figure, axes, columns=4)
    epsilons = np.unique(np.concatenate([front.epsilons for front in fronts]))
    caption = CAPTION.format(
        epsilons=", ".join(f"{epsilon:g}" for epsilon in epsilons),
        texts=_texts(pairs), confidence=100 * confidence,
    )  # fmt: skip
    return Shown(
        figures=[told.figure("models_front", caption, figure, rows)],
        checks=[theorem5(pair) for pair in pairs],
        notes=[_note(pairs)],
    )


def theorem5(pair: Recorded) -> Check:
    """Rejection + loss = total variation, on every prefix and at every epsilon, for what is optimal."""
    cases = [
        (trace, name, epsilon) for trace in pair.traces for name in OPTIMAL for epsilon in _epsilons(trace)
    ]
    lines = np.concatenate([_line(trace, epsilon) for trace, _, epsilon in cases])
    excess = np.concatenate([trace.column(_excess(name, epsilon)) for trace, name, epsilon in cases])
    claim = Claim(
        f"theorem 5, real prefixes, {pair.label}",
        "Yin et al. 2024, Theorem 5",
        "over-acceptance with the optimal replacement, or the residual, loses total variation - rejection",
        "loss of a token",
        "total variation - rejection",
    )
    prefixes = sum(len(trace) for trace in pair.traces)
    epsilons = sum(len(_epsilons(trace)) for trace in pair.traces)
    scope = f"all {prefixes:,} prefixes, {epsilons} epsilons"
    return equal(claim, lines + excess, lines, tolerance=TOLERANCE, scope=scope)


def front_of(pair: Recorded, confidence: float) -> Front:
    """Rejection and bias at every epsilon, each from the trace that was recorded with it."""
    cases = sorted((epsilon, at) for at, trace in enumerate(pair.traces) for epsilon in _epsilons(trace))

    def parts(column: Callable[[Trace, float], np.ndarray], most: float = 1.0) -> Interval:
        return stacked(
            part_of(trace, column(trace, epsilon).clip(0, 1), trace.total_variation, confidence, most)
            for epsilon, trace in ((epsilon, pair.traces[at]) for epsilon, at in cases)
        )

    def loss(replacement: str) -> Callable[[Trace, float], np.ndarray]:
        return lambda trace, epsilon: _line(trace, epsilon) + trace.column(_excess(replacement, epsilon))

    return Front(
        np.array([epsilon for epsilon, _ in cases]),
        parts(lambda trace, epsilon: trace.column(over_acceptance_column(epsilon))),
        {"optimal": parts(loss("optimal"))} | {name: parts(loss(name), math.inf) for name in OTHERS},
    )


def _texts(pairs: tuple[Recorded, ...]) -> str:
    """How many texts and prefixes each epsilon has."""
    said = {}
    for trace in (trace for pair in pairs for trace in pair.traces):
        epsilons = " ".join(f"{epsilon:g}" for epsilon in _epsilons(trace))
        said[epsilons] = f"{epsilons}: {trace.sequences} texts, {len(trace):,} prefixes"
    return "; ".join(said.values())


def _epsilons(trace: Trace) -> list[float]:
    return sorted(trace.provenance["epsilons"])


def _excess(replacement: str, epsilon: float) -> str:
    return over_acceptance_column(epsilon).replace("over_acceptance", f"excess_loss_{replacement}")


def _line(trace: Trace, epsilon: float) -> np.ndarray:
    return trace.total_variation - trace.column(over_acceptance_column(epsilon))


def _rows(pair: Recorded, front: Front) -> list[dict]:
    return [
        {
            "pair": pair.label, "replacement": replacement, "epsilon": float(epsilon),
            **{
                f"{name}{end}": float(values[at])
                for name, interval in (("rejection", front.rejection), ("bias", bias))
                for end, values in zip(("", "_low", "_high"), interval, strict=True)
            },
        }
        for replacement, bias in front.bias.items()
        for at, epsilon in enumerate(front.epsilons)
    ]  # fmt: skip


def _note(pairs: tuple[Recorded, ...]) -> str:
    """How far above the line the other replacements are, at the least epsilon."""
    epsilon, parts = _epsilons(pairs[0].trace)[0], []
    for pair in pairs:
        means = [pair.trace.column(_excess(name, epsilon)).mean() for name in OTHERS]
        parts.append(f"{pair.label} " + " and ".join(f"{mean:.4f}" for mean in means))
    return (
        f"Bias above Theorem 5's line at epsilon = {epsilon:g} on real prefixes, replaced by "
        f"{' and '.join(OTHERS)}: " + "; ".join(parts) + "."
    )
