"""Sampling or top-k? Greedy drafts against drawn ones, row by row: neither is always better."""

from __future__ import annotations

import numpy as np

from simlab.experiments.ceiling.options import Options
from simlab.experiments.common.jobs import instance
from simlab.experiments.common.outcome import Exhibit, Presentation
from simlab.report import new_figure, shared_legend, style
from simlab.report.ceilingplot import Marked, draw_differences
from simlab.theory import optimal_acceptance
from simlab.verify.places import places

DRAFTS = (2, 3, 4)

NAMED = (
    ("A", (0.6, 0.3, 0.1), (0.1, 0.6, 0.3)),
    ("B", (0.1, 0.2, 0.3, 0.4), (0.4, 0.3, 0.2, 0.1)),
)
"""(name, draft, target): two instances of k = 2 on which the order differs."""

CAPTION = (
    "The acceptance of greedy drafts, the likeliest k - 1 tokens (of equal ones the lower number) and one "
    "draw, less that of k drawn drafts, each verified as well as can be; a mark a row of {pair}, {scope}, "
    "against how sure the draft is there, its likeliest token. (a) Against independent drafts, (b) against "
    "distinct drafts. Above the line greedy drafts are better. Diamonds, with k = 2: A, draft (.6, .3, .1) "
    "for target (.1, .6, .3), where greedy drafts are accepted with probability {greedy_a:.6g} and "
    "independent ones with {drawn_a:.6g}; B, draft (.1, .2, .3, .4) for target (.4, .3, .2, .1), with "
    "{greedy_b:.6g} and {drawn_b:.6g}."
)


def present_order(told: Presentation, options: Options) -> tuple[Exhibit, list[str]]:
    """The figure and its headline."""
    settings = told.settings
    rows = places(instance(settings)[0], options.instances, settings.seed, purpose=23)
    differences = {kind: _differences(rows.draft, rows.target, kind) for kind in (True, False)}
    sure = rows.draft.max(axis=1)
    titles = {True: "(a) greedy less independent drafts", False: "(b) greedy less distinct drafts"}
    with style():
        figure = new_figure(8.0, 3.9)
        grid = figure.add_gridspec(1, 2)
        for column, (kind, found) in enumerate(differences.items()):
            axes = figure.add_subplot(grid[0, column])
            marked = [
                Marked(name, max(draft), float(_differences(draft, target, kind)[0]))
                for name, draft, target in NAMED
            ]
            draw_differences(axes, sure, found, [f"k = {k}" for k in DRAFTS], marked)
            axes.set_title(titles[kind])
            axes.set_xlabel("probability of the draft's likeliest token")
            axes.set_ylabel("" if column else "difference of the optimal acceptances")
        shared_legend(figure, figure.axes[:1], columns=4)
    table = [
        {"likeliest": float(one), "drafts": k, "replacement": kind, "difference": float(value)}
        for kind, found in differences.items()
        for k, values in zip(DRAFTS, found, strict=True)
        for one, value in zip(sure, values, strict=True)
    ]
    numbers = {
        f"{what}_{name.lower()}": optimal_acceptance(draft, target, 2, construction=construction)
        for name, draft, target in NAMED
        for what, construction in (("greedy", "greedy"), ("drawn", "sampled"))
    }
    caption = CAPTION.format(pair=settings.pair_name, scope=rows.scope, **numbers)
    exhibit = told.figure("ceiling_order", caption, figure, table)
    return exhibit, [_headline(settings.pair_name, rows.scope, differences)]


def _differences(draft, target, replacement: bool) -> np.ndarray:
    """Greedy less drawn drafts, for each of DRAFTS, (3, ...)."""
    return np.array([
        np.subtract(
            optimal_acceptance(draft, target, k, construction="greedy"),
            optimal_acceptance(draft, target, k, replacement),
        )
        for k in DRAFTS
    ])  # fmt: skip


def _headline(name: str, scope: str, differences: dict[bool, np.ndarray]) -> str:
    def told(found: np.ndarray) -> str:
        shares = 100 * (found > 1e-12).mean(axis=1)
        return ", ".join(f"{share:.0f}% at k = {k}" for k, share in zip(DRAFTS, shares, strict=True))

    return (
        f"Greedy drafts accept more than independent ones on {told(differences[True])} of the rows of {name} "
        f"({scope}), and more than distinct ones on {told(differences[False])}."
    )
