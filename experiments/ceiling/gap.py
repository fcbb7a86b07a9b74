"""Where a better verifier pays: the optimum less recursive rejection, over the draft's quality and k."""

from __future__ import annotations

import dataclasses

import numpy as np

from simlab.experiments.ceiling.options import Options
from simlab.experiments.ceiling.rules import line_of
from simlab.experiments.common.draft_quality import better, dial_name, dial_pair
from simlab.experiments.common.outcome import Exhibit, Presentation
from simlab.pairs import ChainPair
from simlab.report import new_figure, style
from simlab.report.ceilingplot import draw_plane
from simlab.theory import mean_acceptance

CAPTION = (
    "What the best verification accepts beyond recursive rejection at one position, in per cent, for k "
    "drafts (columns) as the draft gets {better} from bottom to top; the acceptance of one draft stands "
    "beside each row. Exact, averaged over positions. (a) Independent drafts. (b) Distinct drafts, as far as "
    "recursive rejection is enumerated."
)


def present_gap(told: Presentation, options: Options) -> tuple[Exhibit, list[str]]:
    """The figure and its headline."""
    settings = told.settings
    pairs = [dial_pair(settings, value) for value in options.dial]
    gaps = {kind: 100 * np.array([_gap(pair, options, kind) for pair in pairs]) for kind in (True, False)}
    alone = [mean_acceptance(pair) for pair in pairs]
    few = max(2, int(np.isfinite(gaps[False]).any(axis=0).sum()))
    titles = {True: "(a) independent drafts", False: "(b) distinct drafts"}
    with style():
        figure = new_figure(8.6, 1.3 + 0.34 * len(pairs))
        grid = figure.add_gridspec(1, 2, width_ratios=[len(options.drafts), few])
        most = np.nanmax(np.concatenate([gap.ravel() for gap in gaps.values()]))
        for column, (kind, gap) in enumerate(gaps.items()):
            shown = slice(None) if kind else slice(few)
            axes = figure.add_subplot(grid[0, column])
            labels = [f"{value:g}  ({one:.2f})" for value, one in zip(options.dial, alone, strict=True)]
            draw_plane(axes, gap[:, shown], options.drafts[shown], [] if column else labels, most)
            axes.set_title(titles[kind])
            axes.set_xlabel("k, drafts at the position")
            axes.set_ylabel("" if column else f"{dial_name(settings)}\n(acceptance of one draft)")
    table = [
        {
            "dial": value, "acceptance_of_one": one, "drafts": k, "replacement": kind,
            "gap": float(gap[row, column]) / 100,
        }
        for kind, gap in gaps.items()
        for row, (value, one) in enumerate(zip(options.dial, alone, strict=True))
        for column, k in enumerate(options.drafts)
        if np.isfinite(gap[row, column])
    ]  # fmt: skip
    exhibit = told.figure("ceiling_gap", CAPTION.format(better=better(settings)), figure, table)
    return exhibit, [_headline(settings, options, gaps[True], alone)]


def _gap(pair: ChainPair, options: Options, replacement: bool) -> np.ndarray:
    """The optimum less recursive rejection, for each k, (K,); nan where it is not enumerated."""
    recursive = line_of(pair, options, "recursive", replacement)
    known = dataclasses.replace(
        options,
        drafts=tuple(k for k, one in zip(options.drafts, recursive, strict=True) if not np.isnan(one)),
    )
    gap = np.full(len(recursive), np.nan)
    gap[~np.isnan(recursive)] = line_of(pair, known, "optimum", replacement)
    return gap - recursive


def _headline(settings, options: Options, gap: np.ndarray, alone: list[float]) -> str:
    row, column = np.unravel_index(int(np.argmax(gap)), gap.shape)
    return (
        f"The best verification of independent drafts gains at most {gap[row, column] / 100:.4f} over "
        f"recursive rejection on {settings.pair_name}: at k = {options.drafts[column]} and "
        f"{dial_name(settings)} {options.dial[row]:g}, where one draft is accepted with probability "
        f"{alone[row]:.3f}."
    )
