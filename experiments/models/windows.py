"""Tokens per call and speed-up against the window: predicted, run, and by the memoryless formula.

The formula of Leviathan et al. knows one number, the mean acceptance, and no horizon. What it is wrong by has
two causes, which `coin` tells apart: texts end, so that the last call has no room for its window; and the
acceptance of a token is not an independent coin. `coin` is the trace in which every token is accepted with
the mean acceptance, on texts of the same lengths: it has the first and not the second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.cost import CostModel
from simlab.decoders import Speculative
from simlab.evidence import Interval, mean_ratio_interval
from simlab.evidence.interval import error_of
from simlab.evidence.ratios import mean_ratio_interval_at
from simlab.experiments.common.outcome import Exhibit, Presentation
from simlab.experiments.models.options import Options, Shown
from simlab.experiments.models.texts import (
    Recorded,
    horizon_of,
    run_pairs,
    stacked,
    token_mean,
)
from simlab.models import Run
from simlab.models.truth import cut
from simlab.report import new_figure, shared_legend, style
from simlab.report.modelplot import draw_bars, draw_errors, draw_line, draw_predicted, draw_run
from simlab.theory import memoryless
from simlab.traces import Trace, TracePrediction, predict_trace

CAPTION = (
    "Tokens per target call (above) and speed-up over the target alone (below, a drafted token costs "
    "{ratio:g} target calls) against the window, with the bonus token, in texts of at most {tokens} tokens. "
    "Line with its shade: predicted from {traced} texts of the target, exact on each of them, with a "
    "{confidence:.10g}% interval for each window from the texts as independent units. Markers: counted where "
    "the decoder was run with the two models on other texts, by this project's own loop ({run} texts) and by "
    "the assisted generation of transformers ({assisted}). Dashed: the memoryless formula with the mean "
    "acceptance. It knows no end of a text, where the last call has no room for its window; dotted: the same "
    "independent coin on texts of these lengths. A star is the best window of a line."
)
INDEPENDENCE = (
    "How wrong is independence on real models? Tokens per call as the trace predicts them, relative to what "
    "the mean acceptance alone says, in texts of at most {tokens} tokens. (a) Relative to the memoryless "
    "formula, which takes texts to be endless. (b) Relative to the same independent coin on texts of these "
    "lengths: what is left is the dependence of acceptances on each other. Vertical lines: "
    "{confidence:.10g}% intervals from {traced} texts, at each window for itself; they take into account "
    "that the mean acceptance is estimated from the same texts, and some leave the panel."
)
FORMULA = "memoryless formula, mean acceptance"
COIN = "the same coin on these texts"
SHOWN_ERRORS = (1, 4, 16)


@dataclass(frozen=True, eq=False)
class Curves:
    """One pair at windows 1, 2, .. (W,). tokens, speedups: predicted; formula, coin: by kind, arrays (W,)."""

    windows: np.ndarray
    tokens: Interval
    speedups: Interval
    formula: dict[str, np.ndarray]
    coin: dict[str, np.ndarray]


def present_windows(told: Presentation, pairs: tuple[Recorded, ...], options: Options) -> Shown:
    """Both figures, and notes on the best windows and on what independence is wrong by."""
    tokens = horizon_of(pairs)
    windows = range(1, options.longest + 1)
    errors = {pair.name: np.array([_errors(pair, window) for window in windows]) for pair in pairs}
    curves = {
        pair.name: _curves(told, cut(pair.trace, tokens), pair.acceptance, options.longest)
        for pair in run_pairs(pairs)
    }
    figures = [_present_speedup(told, pairs, curves, tokens), _present_independence(told, pairs, errors)]
    notes = [_best_note(told, pair, curves[pair.name], tokens) for pair in run_pairs(pairs)]
    return Shown(figures=figures, notes=[*notes, _independence_note(pairs, errors)])


def coin(trace: Trace, acceptance: float) -> Trace:
    """The trace with every token's acceptance the same, on texts of the same lengths."""
    return Trace(trace.sequence, trace.target_probability * acceptance, trace.target_probability)


def fixed(trace: Trace, window: int) -> TracePrediction:
    """The prediction of a window with the bonus token."""
    return predict_trace(trace, Speculative(window=window, bonus=True))


def _curves(told: Presentation, trace: Trace, acceptance: float, longest: int) -> Curves:
    cost, confidence = told.settings.cost, told.settings.confidence
    windows = np.arange(1, longest + 1)
    found = [fixed(trace, int(window)) for window in windows]
    even = coin(trace, acceptance)
    alike = [fixed(even, int(window)) for window in windows]
    return Curves(
        windows,
        stacked(one.interval("tokens_per_call", confidence) for one in found),
        stacked(one.speedup_interval(cost, confidence) for one in found),
        {
            "tokens": memoryless.tokens_per_call(acceptance, windows),
            "speedups": memoryless.speedup(acceptance, windows, cost),
        },
        {
            "tokens": np.array([one.tokens_per_call for one in alike]),
            "speedups": np.array([cost.speedup(one) for one in alike]),
        },
    )


def _points(runs, kind: str, cost: CostModel, confidence: float) -> tuple[np.ndarray, Interval, Interval]:
    """Of the runs of a kind, window or assisted: windows (K,), tokens per call and speed-ups there."""
    chosen = sorted((int(run.name.removeprefix(kind)), run) for run in runs if run.name.startswith(kind))
    both = [_counted(run, cost, confidence) for _, run in chosen]
    return np.array([window for window, _ in chosen]), *(
        stacked([pair[part] for pair in both]) if both else Interval(*np.empty((3, 0))) for part in (0, 1)
    )


def _counted(run: Run, cost: CostModel, confidence: float) -> tuple[Interval, Interval]:
    """Tokens per call and speed-up of a run, from its texts as independent units."""
    horizon, window = float(run.provenance["tokens"]), run.drafted_by_position.shape[1]
    nothing = np.zeros((len(run.tokens), 1))
    at_least = np.hstack([run.target_calls[:, None], run.drafted_by_position, nothing])
    call_times = cost.call_time(np.arange(window + 1))
    times = (at_least[:, :-1] - at_least[:, 1:]) @ call_times
    tokens = mean_ratio_interval(
        run.tokens, run.target_calls, most_part=horizon, most_whole=horizon, confidence=confidence,
        most=window + 1.0,
    )  # fmt: skip
    speedup = mean_ratio_interval(
        run.tokens * cost.alone, times, most_part=horizon * cost.alone,
        most_whole=horizon * float(call_times.max()), confidence=confidence,
    )  # fmt: skip
    return tokens, speedup


def _present_speedup(told: Presentation, pairs, curves: dict[str, Curves], tokens: int) -> Exhibit:
    settings, rows, shown = told.settings, [], run_pairs(pairs)
    with style():
        figure = new_figure(8.4, 5.6)
        grid, axes = figure.add_gridspec(2, len(shown)), []
        for column, pair in enumerate(shown):
            one = curves[pair.name]
            own = _points(pair.runs.values(), "window", settings.cost, settings.confidence)
            other = _points(pair.runs.values(), "assisted", settings.cost, settings.confidence)
            for row, (kind, predicted) in enumerate((("tokens", one.tokens), ("speedups", one.speedups))):
                panel = figure.add_subplot(grid[row, column])
                draw_predicted(panel, one.windows, predicted, confidence=settings.confidence, best=row == 1)
                draw_line(panel, one.windows, one.formula[kind], FORMULA, dashes=(5, 2), best=row == 1)
                draw_line(panel, one.windows, one.coin[kind], COIN, dashes=(1, 1.4))
                for (at, *both), label, series in ((own, "run", 1), (other, "run by transformers", 2)):
                    draw_run(panel, at, both[row], label, series=series)
                if row == 0:
                    panel.set_title(f"{pair.label}, acceptance {pair.acceptance:.3f}")
                else:
                    panel.set_xlabel("window")
                axes.append(panel)
            rows += _rows(pair, one) + _run_rows(pair, own, "run") + _run_rows(pair, other, "transformers")
        axes[0].set_ylabel("tokens per call")
        axes[1].set_ylabel("speed-up")
        shared_legend(figure, axes, columns=3)
    caption = CAPTION.format(
        ratio=settings.cost.ratio, tokens=tokens, traced=shown[0].trace.sequences,
        confidence=100 * settings.confidence, run=_texts(shown, "window"), assisted=_texts(shown, "assisted"),
    )  # fmt: skip
    return told.figure("models_windows", caption, figure, rows)


def _texts(pairs: list[Recorded], kind: str) -> str:
    """How many texts each run of a kind has: "128", or "32 to 64"."""
    sizes = sorted({len(run.tokens) for pair in pairs for name, run in pair.runs.items() if kind in name})
    return f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else f"{sizes[0]}"


def _rows(pair: Recorded, one: Curves) -> list[dict]:
    return [
        {
            "pair": pair.label, "kind": "predicted", "window": int(window),
            "tokens_per_call": float(one.tokens.estimate[at]), "tokens_low": float(one.tokens.low[at]),
            "tokens_high": float(one.tokens.high[at]), "speedup": float(one.speedups.estimate[at]),
            "speedup_low": float(one.speedups.low[at]), "speedup_high": float(one.speedups.high[at]),
            "formula_tokens": float(one.formula["tokens"][at]), "coin_tokens": float(one.coin["tokens"][at]),
            "formula_speedup": float(one.formula["speedups"][at]),
            "coin_speedup": float(one.coin["speedups"][at]),
        }
        for at, window in enumerate(one.windows)
    ]  # fmt: skip


def _run_rows(pair: Recorded, points, kind: str) -> list[dict]:
    windows, tokens, speedups = points
    return [
        {
            "pair": pair.label, "kind": kind, "window": int(window),
            "tokens_per_call": float(tokens.estimate[at]), "tokens_low": float(tokens.low[at]),
            "tokens_high": float(tokens.high[at]), "speedup": float(speedups.estimate[at]),
            "speedup_low": float(speedups.low[at]), "speedup_high": float(speedups.high[at]),
        }
        for at, window in enumerate(windows)
    ]  # fmt: skip


def independence_error(trace: Trace, acceptance: Interval, window: int, error: float) -> Interval:
    """Tokens per call over those of a coin with the mean acceptance, less 1, with its interval.

    acceptance: the mean one, with an interval at half of the error; the other half is of the ratio of the
    calls. With a larger acceptance the coin has fewer calls on every text, and the interval of the ratio
    moves down as a whole, so that the two ends of the acceptance give the two ends.
    """
    calls = fixed(trace, window).per_sequence["calls"]
    longest = float(trace.lengths.max())
    ends = [
        mean_ratio_interval_at(
            fixed(coin(trace, value), window).per_sequence["calls"], calls,
            most_part=longest, most_whole=longest, error=error / 2,
        )
        for value in acceptance
    ]  # fmt: skip
    return Interval(ends[0].estimate - 1, ends[2].low - 1, ends[1].high - 1)


def _present_independence(told: Presentation, pairs, errors: dict[str, np.ndarray]) -> Exhibit:
    confidence, rows = told.settings.confidence, []
    error, windows = error_of(confidence), np.arange(1, len(errors[pairs[0].name]) + 1)
    at = np.array([window for window in SHOWN_ERRORS if window <= windows[-1]])
    with style():
        figure = new_figure(8.4, 4.2)
        left, right = figure.subplots(1, 2, sharey=True)
        for pair in pairs:
            formula, coins = errors[pair.name].T
            acceptance = token_mean(pair.trace, pair.trace.acceptance, 1 - error / 2)
            found = stacked(independence_error(pair.trace, acceptance, int(w), error) for w in at)
            look = {"label": pair.label, "series": pair.series}
            draw_errors(left, windows, formula, **look)
            draw_errors(right, windows, coins, **look)
            draw_bars(right, at, found, series=pair.series, of=len(pairs))
            rows += _error_rows(pair, windows, formula, coins, at, found)
        left.set_title("(a) relative to the memoryless formula")
        right.set_title("(b) relative to the same coin on these texts")
        left.set_ylabel("tokens per call, relative")
        left.set_ylim(-0.16, 0.16)
        for axes in (left, right):
            axes.set_xlabel("window")
        shared_legend(figure, [left, right], columns=3)
    caption = INDEPENDENCE.format(
        tokens=int(pairs[0].trace.lengths.max()), confidence=100 * confidence,
        traced=pairs[0].trace.sequences,
    )  # fmt: skip
    return told.figure("models_independence", caption, figure, rows)


def _errors(pair: Recorded, window: int) -> tuple[float, float]:
    """Predicted tokens per call over those of the formula and of the coin on the same texts, less 1."""
    predicted = fixed(pair.trace, int(window)).tokens_per_call
    even = fixed(coin(pair.trace, pair.acceptance), int(window)).tokens_per_call
    return predicted / memoryless.tokens_per_call(pair.acceptance, window) - 1, predicted / even - 1


def _error_rows(pair: Recorded, windows, formula, coins, at, found: Interval) -> list[dict]:
    ends = {int(window): (float(found.low[i]), float(found.high[i])) for i, window in enumerate(at)}
    return [
        {
            "pair": pair.label, "window": int(window), "of_formula": float(one), "of_coin": float(other),
            "of_coin_low": ends.get(int(window), (None, None))[0],
            "of_coin_high": ends.get(int(window), (None, None))[1],
        }
        for window, one, other in zip(windows, formula, coins, strict=True)
    ]  # fmt: skip


def _best_note(told: Presentation, pair: Recorded, one: Curves, tokens: int) -> str:
    """The best window, and what the formula chooses and promises."""
    best, chosen = int(np.argmax(one.speedups.estimate)), int(np.argmax(one.formula["speedups"]))
    speedups = one.speedups
    return (
        f"Best window with {pair.label} where a drafted token costs {told.settings.cost.ratio:g} target "
        f"calls, in texts of at most {tokens} tokens: {one.windows[best]}, speed-up "
        f"{speedups.estimate[best]:.3f} [{speedups.low[best]:.3f}, {speedups.high[best]:.3f}]. The "
        "memoryless formula says "
        f"{one.windows[chosen]} and promises {one.formula['speedups'][chosen]:.3f}; it gives "
        f"{speedups.estimate[chosen]:.3f}."
    )


def _independence_note(pairs, errors: dict[str, np.ndarray]) -> str:
    """The largest errors, of the formula and of the coin on the same texts, and whose."""
    said = []
    for part in (0, 1):
        pair = max(pairs, key=lambda one, part=part: np.abs(errors[one.name][:, part]).max())
        values = errors[pair.name][:, part]
        at = int(np.abs(values).argmax())
        said.append(f"{100 * values[at]:+.1f}% ({pair.label}, window {at + 1})")
    return (
        f"Tokens per call of real models differ from the memoryless formula by up to {said[0]}. From an "
        f"independent coin with the same mean acceptance on texts of the same lengths they differ by up to "
        f"{said[1]}."
    )
