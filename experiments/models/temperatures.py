"""Acceptance and the best window against the temperature at which both models sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.evidence import Interval
from simlab.experiments.common.outcome import Presentation
from simlab.experiments.models.options import Options, Shown
from simlab.experiments.models.texts import Recorded, stacked, text_mean
from simlab.models.truth import cut
from simlab.planning import plan
from simlab.report import new_figure, shared_legend, style
from simlab.report.modelplot import draw_best, draw_speedups, draw_with_bars
from simlab.traces import Trace

CAPTION = (
    "Both models at other temperatures (draft {draft}), in texts of at most {tokens} tokens that the target "
    "wrote at that temperature: {texts} texts. (a) Mean acceptance of a token, 1 - total variation at its "
    "prefix, averaged over a text and then over texts, with {confidence:.10g}% intervals from texts as "
    "independent units. (b) Speed-up against the window, with the bonus token, where a drafted token costs "
    "{ratio:g} target calls: exact on the texts; a star is the best window, with the interval of its "
    "speed-up. (c) The best window; lines reach over all windows with a speed-up within 2% of it."
)


@dataclass(frozen=True, eq=False)
class AtTemperature:
    """What a trace at one temperature says. speedups: of windows 0, 1, ..; near: ranges of windows that
    are nearly as good as the best.

    at_best: the speed-up of the best window with its interval.
    """

    temperature: float
    texts: int
    acceptance: Interval
    speedups: np.ndarray
    best: int
    near: tuple[tuple[int, int], ...]
    at_best: Interval


def present_temperatures(told: Presentation, pairs: tuple[Recorded, ...], options: Options) -> Shown:
    """A figure for every pair with traces at several temperatures, and a note with the numbers."""
    shown = [_present(told, pair, options) for pair in pairs if pair.at_temperature]
    return Shown(figures=[figure for figure, _ in shown], notes=[note for _, note in shown])


def at_temperature(told: Presentation, temperature: float, trace: Trace, longest: int) -> AtTemperature:
    """The acceptance, and the plan of windows up to `longest`."""
    confidence = told.settings.confidence
    made = plan(trace=trace, cost=told.settings.cost, longest=longest, confidence=confidence)
    best = int(np.flatnonzero(made.windows == made.best)[0])
    return AtTemperature(
        temperature,
        trace.sequences,
        text_mean(trace, 1 - trace.total_variation, confidence),
        made.speedup,
        int(made.best),
        tuple((int(first), int(last)) for first, last in made.near),
        Interval(float(made.speedup[best]), float(made.low[best]), float(made.high[best])),
    )


def _present(told: Presentation, pair: Recorded, options: Options):
    traces = {1.0: pair.trace} | dict(pair.at_temperature)
    tokens = min(int(trace.lengths.max()) for trace in traces.values())
    longest = min(options.longest, tokens - 1)
    found = [
        at_temperature(told, temperature, cut(traces[temperature], tokens), longest)
        for temperature in sorted(traces)
    ]
    temperatures = np.array([one.temperature for one in found])
    with style():
        figure = new_figure(8.4, 3.2)
        left, middle, right = figure.subplots(1, 3)
        draw_with_bars(left, temperatures, stacked(one.acceptance for one in found))
        for series, one in enumerate(found):
            label = f"temperature {one.temperature:g}"
            draw_speedups(middle, one.speedups, one.best, one.at_best, label=label, series=series)
        draw_best(right, temperatures, [one.best for one in found], [one.near for one in found])
        left.set_title("(a) acceptance")
        middle.set_title("(b) speed-up")
        middle.set_xlabel("window")
        right.set_title("(c) best window")
        for axes in (left, right):
            axes.set_xlabel("temperature")
        shared_legend(figure, [middle], columns=4)
    caption = CAPTION.format(
        draft=pair.label, tokens=tokens, texts=", ".join(str(one.texts) for one in found),
        confidence=100 * told.settings.confidence, ratio=told.settings.cost.ratio,
    )  # fmt: skip
    rows = [_row(pair, one, window) for one in found for window in range(len(one.speedups))]
    return told.figure("models_temperature", caption, figure, rows), _note(pair, found)


def _row(pair: Recorded, one: AtTemperature, window: int) -> dict:
    return {
        "pair": pair.label, "temperature": one.temperature, "texts": one.texts,
        "acceptance": float(one.acceptance.estimate), "acceptance_low": float(one.acceptance.low),
        "acceptance_high": float(one.acceptance.high), "window": window,
        "speedup": float(one.speedups[window]), "best_window": one.best,
    }  # fmt: skip


def _note(pair: Recorded, found: list[AtTemperature]) -> str:
    each = "; ".join(
        f"temperature {one.temperature:g}: acceptance {one.acceptance.estimate:.3f}, window {one.best}, "
        f"speed-up {one.at_best.estimate:.3f}"
        for one in found
    )
    return f"Acceptance and best window of {pair.label} by temperature: {each}."
