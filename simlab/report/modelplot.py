"""What figures of real models are made of: predictions from traces, with intervals, and what was run.

A prediction from a trace is exact on each text and an average over texts: a dark line in the shade of its
interval. What was run is a marker with its interval, in a colour. Every function draws on axes that the
caller made and labels what it draws. Call them inside `style()`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from simlab.evidence import Interval
from simlab.report.draw import THEORY_WIDTH
from simlab.report.lightplot import BOUNDS
from simlab.report.style import NEUTRAL_COLOUR, THEORY_COLOUR, look, percent

NEGLIGIBLE = 2e-3
"""Cells of a distribution below this part of the largest one are not shown."""


def draw_counts(axes, run: Interval, predicted: Interval, *, confidence: float, series: int) -> None:
    """A histogram of what was run with its band, and the predicted distribution with its own: (T + 1,)."""
    counts, colour = np.arange(len(run.estimate)), look(series)[0]
    size = np.maximum(run.estimate, predicted.estimate)
    first, last = np.flatnonzero(size > NEGLIGIBLE * size.max())[[0, -1]]
    axes.plot(
        counts, predicted.estimate, color=THEORY_COLOUR, linewidth=THEORY_WIDTH, marker=".", markersize=3.5,
        label="predicted from the trace",
    )  # fmt: skip
    axes.fill_between(
        counts, predicted.low, predicted.high, color=THEORY_COLOUR, alpha=0.2, linewidth=0,
        label=f"its {percent(confidence)} band",
    )  # fmt: skip
    axes.bar(counts, run.estimate, width=0.82, color=colour, alpha=0.4, linewidth=0, label="run")
    axes.vlines(
        counts, run.low, run.high, color=colour, linewidth=0.8, label=f"{percent(confidence)} band of the run"
    )
    axes.set_xlim(first - 0.9, last + 0.9)
    axes.set_ylim(0, 1.05 * max(run.high[first : last + 1].max(), predicted.high[first : last + 1].max()))


def draw_differences(axes, x, difference: Interval, *, series: int) -> None:
    """Differences with a band for all of them, about 0: arrays (K,)."""
    colour = look(series)[0]
    axes.fill_between(x, difference.low, difference.high, color=colour, alpha=0.25, linewidth=0, step="mid")
    axes.plot(x, difference.estimate, color=colour, marker="", drawstyle="steps-mid")
    axes.axhline(0, color=THEORY_COLOUR, linewidth=THEORY_WIDTH)
    reach = 1.1 * max(np.abs(difference.low).max(), np.abs(difference.high).max())
    axes.set_ylim(-reach, reach)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def draw_predicted(axes, x, predicted: Interval, *, confidence: float, best: bool) -> None:
    """A predicted curve with its interval, arrays (K,). best: whether its largest value has a star."""
    axes.plot(
        x, predicted.estimate, color=THEORY_COLOUR, linewidth=1.1, marker="",
        label="predicted from the trace", zorder=2.6,
    )  # fmt: skip
    axes.fill_between(
        x, predicted.low, predicted.high, color=THEORY_COLOUR, alpha=0.15, linewidth=0,
        label=f"its {percent(confidence)} interval",
    )  # fmt: skip
    if best:
        place = int(np.argmax(predicted.estimate))
        _star(axes, x[place], predicted.estimate[place], THEORY_COLOUR)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def draw_line(axes, x, y, label: str, *, dashes: tuple, best: bool = False) -> None:
    """What another formula says, grey and dashed, (K,)."""
    axes.plot(
        x, y, color=NEUTRAL_COLOUR, linewidth=1.0, linestyle=(0, dashes), marker="", label=label, zorder=2.2
    )
    if best:
        place = int(np.argmax(y))
        _star(axes, x[place], y[place], NEUTRAL_COLOUR)


def _star(axes, x, y, colour: str) -> None:
    axes.plot(
        [x], [y], color=colour, marker="*", markersize=12, markeredgecolor="white", markeredgewidth=0.5,
        linestyle="none", label="best window of a line", zorder=3,
    )  # fmt: skip


def draw_run(axes, x, found: Interval, label: str, *, series: int) -> None:
    """What was counted in a run, with its interval, arrays (K,)."""
    if len(x) == 0:
        return
    colour, marker = look(series)
    axes.errorbar(
        x, found.estimate, yerr=_bars(found), color=colour, marker=marker, markersize=4.5,
        markerfacecolor="white", linestyle="none", label=label, zorder=3.5,
    )  # fmt: skip


def draw_errors(axes, x, values, *, label: str, series: int) -> None:
    """Relative differences in percent about 0, (K,)."""
    from matplotlib.ticker import PercentFormatter

    colour, marker = look(series)
    axes.plot(x, values, color=colour, marker=marker, markersize=3.5, linewidth=0.9, label=label)
    if series == 0:
        axes.axhline(0, color=THEORY_COLOUR, linewidth=THEORY_WIDTH)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def draw_bars(axes, at, found: Interval, *, series: int, of: int) -> None:
    """Intervals alone, (K,), beside those of the other series. series, of: which of how many."""
    beside = np.asarray(at) + 0.13 * (series - (of - 1) / 2)
    axes.vlines(beside, found.low, found.high, color=look(series)[0], linewidth=0.8)


def draw_drafts(
    axes, drafts, predicted: Interval, limit: Interval, run: tuple, label: str, *, series: int, of: int,
    confidence: float,
) -> None:  # fmt: skip
    """Rejections against the number of drafts, the limit beside the last of them, and what was run.

    drafts: (K,), rising; predicted: arrays (K,); run: (drafts (R,), Interval of arrays (R,)).
    """
    colour, marker = look(series)
    far = 3 * drafts[-1]
    axes.errorbar(
        drafts, predicted.estimate, yerr=_bars(predicted), color=colour, marker="", linewidth=1.1,
        elinewidth=0.7, label=label, zorder=2.6,
    )  # fmt: skip
    axes.errorbar(
        [far], [limit.estimate], yerr=[[end] for end in _bars(limit)], color=colour, marker="_",
        markersize=12, elinewidth=0.7, zorder=2.6,
    )  # fmt: skip
    axes.plot(
        [drafts[-1], far], [predicted.estimate[-1], limit.estimate], color=colour, linewidth=0.8,
        linestyle=(0, (1, 2)), marker="", zorder=2.5,
    )  # fmt: skip
    at, found = run
    if len(at):
        beside = at * 1.05 ** (1 + series - of / 2)
        axes.errorbar(
            beside, found.estimate, yerr=_bars(found), color=colour, marker=marker, markersize=4.5,
            markerfacecolor="white", linestyle="none", elinewidth=0.7,
            label=f"run, {percent(confidence)} interval", zorder=3.5,
        )  # fmt: skip
    if series == 0:
        axes.set_xscale("log", base=2)
        axes.set_xticks([*drafts, far], [*map(str, drafts), "∞"])
        axes.minorticks_off()
        axes.set_xlim(0.85 * drafts[0], 1.3 * far)


def draw_front(axes, rejection: Interval, bias: Mapping[str, Interval]) -> None:
    """Bias by replacement against rejection, arrays (K,), as parts of the total variation, and the line."""
    axes.plot(
        [0, 1], [1, 0], color=THEORY_COLOUR, linewidth=THEORY_WIDTH, marker="", label="Theorem 5", zorder=2.3
    )
    for series, (name, found) in enumerate(bias.items()):
        colour, marker = look(series)
        axes.errorbar(
            rejection.estimate, found.estimate, xerr=_bars(rejection), yerr=_bars(found), color=colour,
            marker=marker, markersize=4.5, markerfacecolor="white", linestyle="none", elinewidth=0.5,
            label=f"replaced by {name}", zorder=3 + 0.1 * series,
        )  # fmt: skip
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(0, 1.06)


def draw_positions(axes, middles, found: Interval, block: int, *, label: str, series: int, of: int) -> None:
    """Means of blocks of positions with their intervals, (B,), beside each other."""
    colour, marker = look(series)
    beside = middles + 0.06 * block * (series - (of - 1) / 2)
    axes.errorbar(
        beside, found.estimate, yerr=_bars(found), color=colour, marker=marker, markersize=4,
        elinewidth=0.8, linewidth=0.8, label=label,
    )  # fmt: skip


def draw_kinds(axes, found: Interval, *, label: str, series: int, of: int) -> None:
    """Means of kinds with their intervals, (K,), a row a kind, beside each other."""
    colour, marker = look(series)
    rows = np.arange(len(found.estimate)) + 0.11 * (series - (of - 1) / 2)
    axes.errorbar(
        found.estimate, rows, xerr=_bars(found), color=colour, marker=marker, markersize=3.5, elinewidth=0.8,
        linestyle="none", label=label,
    )  # fmt: skip


def _bars(found: Interval) -> list[np.ndarray]:
    """Of matplotlib: how far the ends are from the estimate."""
    return [found.estimate - found.low, found.high - found.estimate]


def draw_with_bars(axes, x, found: Interval) -> None:
    """Means with their intervals, (K,), joined by a line."""
    colour, marker = look(0)
    axes.errorbar(
        x, found.estimate, yerr=_bars(found), color=colour, marker=marker, markersize=4, elinewidth=0.9,
        linewidth=0.9,
    )  # fmt: skip
    axes.set_xticks(x, [f"{value:g}" for value in x])


def draw_speedups(axes, speedups, best: int, at_best: Interval, *, label: str, series: int) -> None:
    """Speed-ups of windows 0, 1, .., a star at the best one with its interval."""
    colour, _ = look(series)
    axes.plot(np.arange(len(speedups)), speedups, color=colour, marker="", label=label)
    axes.errorbar(
        [best], [at_best.estimate], yerr=[[end] for end in _bars(at_best)], color=colour, marker="*",
        markersize=10, markeredgecolor="white", markeredgewidth=0.5, elinewidth=0.9, zorder=3,
    )  # fmt: skip
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def draw_best(axes, x, best: list[int], near: list[tuple[tuple[int, int], ...]]) -> None:
    """The best window at each x, and the ranges of those that are nearly as good."""
    colour, _ = look(0)
    for at, ranges in zip(x, near, strict=True):
        low, high = np.array(ranges).T
        axes.vlines([at] * len(low), low - 0.3, high + 0.3, color=colour, linewidth=4, alpha=0.3)
    axes.plot(x, best, color=colour, marker="*", markersize=10, linewidth=0.9)
    axes.set_xticks(x, [f"{value:g}" for value in x])
    axes.set_ylim(bottom=0)
    axes.yaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def draw_shares(axes, at, found: Interval, boxes, label: str, *, series: int, of: int) -> None:
    """Shares with their intervals beside brackets of an analogue, (K,) and (K, 2)."""
    colour, marker = look(series)
    beside = at + 0.3 * (series - (of - 1) / 2)
    axes.bar(
        beside, boxes[:, 1] - boxes[:, 0], bottom=boxes[:, 0], width=0.2, facecolor=NEUTRAL_COLOUR,
        edgecolor=NEUTRAL_COLOUR, alpha=0.6, label="the analogue on the paper's chain, exact",
    )  # fmt: skip
    axes.errorbar(
        beside, found.estimate, yerr=_bars(found), color=colour, marker=marker, markerfacecolor="white",
        linestyle="none", label=label, zorder=3,
    )  # fmt: skip
    if series == 0:
        axes.use_sticky_edges = False
        axes.axhline(0.5, color=NEUTRAL_COLOUR, linewidth=0.9, linestyle=(0, (5, 3)), label="even", zorder=1)


def draw_accepted(
    axes,
    capacities,
    found: Mapping[str, Interval],
    means: Mapping[str, np.ndarray],
    lines: Mapping[str, tuple],
) -> None:
    """E[X] against the capacity: means at every capacity (P,), intervals at some (K,), and bounds (x, y)."""
    for series, (label, interval) in enumerate(found.items()):
        colour, marker = look(series and series + 2)  # the bounds have the colours between
        beside = capacities * 1.05 ** (series - (len(found) - 1) / 2)
        axes.plot(np.arange(1, len(means[label]) + 1), means[label], color=colour, marker="", linewidth=0.9)
        axes.errorbar(
            beside, interval.estimate, yerr=_bars(interval), color=colour, marker=marker, markersize=4.5,
            markerfacecolor="white", linestyle="none", elinewidth=0.8, label=label, zorder=3,
        )  # fmt: skip
    for name, (x, y) in lines.items():
        label, colour, dashes, width = BOUNDS[name]
        axes.plot(x, y, color=colour, linestyle=dashes, linewidth=width, marker="", label=label, zorder=2.2)
    axes.set_xscale("log", base=2)
    axes.set_xticks(capacities, [str(one) for one in capacities])
    axes.minorticks_off()
    axes.set_ylim(0, 1.1 * max(float(lines["sharper"][1][-1]), *(one.high.max() for one in found.values())))
