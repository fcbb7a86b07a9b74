"""One step as bars over the target: what is accepted and replaced, and what was simulated, token by token."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.evidence import Interval, scaled_residuals
from simlab.report.draw import THEORY_WIDTH, draw_residuals, shared_legend
from simlab.report.style import NEUTRAL_COLOUR, THEORY_COLOUR, look, new_figure, percent, residual_axes

ACCEPTED, REPLACED = 0, 1
"""Which colours of the cycle they have."""

FEW = 8
"""So many tokens have a tick each."""

WIDTH = 0.78
"""Of a bar, of the room for a token."""


@dataclass(frozen=True, eq=False)
class DrawnStep:
    """A panel: (V,) the target, what is accepted and what is replaced; simulated: the tokens' band, (V,)."""

    title: str
    target: np.ndarray
    accepted: np.ndarray
    replaced: np.ndarray
    simulated: Interval


def draw_step(step: DrawnStep, draft, *, confidence: float):
    """One step done right, large, with the draft and the residuals. Call it inside `style()`."""
    figure = new_figure(5.8, 4.6)
    upper, lower = residual_axes(figure, figure.add_gridspec(1, 1)[0, 0], share=0.24)
    _draw_bars(upper, step, confidence)
    tokens = np.arange(len(step.target))
    upper.hlines(
        draft, tokens - WIDTH / 2, tokens + WIDTH / 2, color=THEORY_COLOUR, linewidth=1.2,
        linestyle=(0, (2, 1.5)), label="draft", zorder=3.2,
    )  # fmt: skip
    upper.set_ylim(0, 1.1 * max(step.target.max(), np.max(draft), step.simulated.high.max()))
    upper.set_ylabel("probability")
    upper.set_title(step.title)
    draw_residuals(lower, tokens, scaled_residuals(step.simulated, step.target))
    _token_axis(lower, len(tokens))
    lower.set_xlabel("token")
    shared_legend(figure, [upper])
    return figure


def draw_mistakes(rows: list[tuple[str, list[DrawnStep]]], *, confidence: float):
    """A row of panels with one scale for each (name, steps). Call it inside `style()`."""
    columns = len(rows[0][1])
    figure = new_figure(1.86 * columns, 0.7 + 1.95 * len(rows))
    grid = figure.add_gridspec(len(rows), columns)
    for row, (name, steps) in enumerate(rows):
        top = 1.08 * max(
            max((step.accepted + step.replaced).max(), step.target.max(), step.simulated.high.max())
            for step in steps
        )
        for column, step in enumerate(steps):
            axes = figure.add_subplot(grid[row, column])
            _draw_bars(axes, step, confidence)
            axes.set_title(step.title, fontsize="medium")
            axes.set_ylim(0, top)
            _token_axis(axes, len(step.target))
            if column:
                axes.tick_params(labelleft=False)
            else:
                axes.set_ylabel(f"{name}\nprobability")
            if row == len(rows) - 1:
                axes.set_xlabel("token")
    shared_legend(figure, figure.axes, columns=4)
    return figure


def _draw_bars(axes, step: DrawnStep, confidence: float) -> None:
    tokens = np.arange(len(step.target))
    for heights, bottom, series, label in (
        (step.accepted, 0.0, ACCEPTED, "accepted"),
        (step.replaced, step.accepted, REPLACED, "replaced"),
    ):
        axes.bar(
            tokens - WIDTH / 4, heights, bottom=bottom, width=WIDTH / 2, color=look(series)[0], alpha=0.55,
            linewidth=0, label=label,
        )  # fmt: skip
    axes.bar(
        tokens, step.target, width=WIDTH, fill=False, edgecolor=THEORY_COLOUR, linewidth=THEORY_WIDTH,
        label="target", zorder=3,
    )  # fmt: skip
    estimate, low, high = step.simulated
    axes.bar(
        tokens + WIDTH / 4, estimate, width=WIDTH / 2, color=NEUTRAL_COLOUR, alpha=0.45, linewidth=0,
        yerr=[estimate - low, high - estimate], ecolor=THEORY_COLOUR,
        error_kw={"capsize": 2 if len(tokens) <= FEW else 0, "elinewidth": 1, "zorder": 3.5},
        label=f"simulated, {percent(confidence)} band",
    )  # fmt: skip


def _token_axis(axes, states: int) -> None:
    axes.set_xlim(-0.6, states - 0.4)
    if states <= FEW:
        axes.set_xticks(range(states))
    else:
        axes.xaxis.get_major_locator().set_params(integer=True)
