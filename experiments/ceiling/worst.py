"""How far below the optimum a rule can be: an adversary's search against what is proved."""

from __future__ import annotations

import math

import numpy as np

from simlab.experiments.ceiling.options import Options
from simlab.experiments.common.outcome import Exhibit, Presentation
from simlab.report import new_figure, shared_legend, style
from simlab.report.ceilingplot import draft_ticks, draw_bound, draw_found
from simlab.theory.many_drafts import recursive_guarantee
from simlab.verify import Check
from simlab.verify.worst_drafts import Worst, check_guarantee, worst_rows

TOKENS = (2, 4)
"""Tokens of the rows that are searched for independent drafts; for distinct ones it is k + 1."""

DISTINCT = 3
"""Up to so many distinct drafts recursive rejection is searched: each row is enumerated."""

CAPTION = (
    "The least acceptance over the optimum of the same k drafts that an adversary finds, searching over rows "
    "of both models, for recursive rejection (rows of {tokens} tokens) and K-SEQ (2 tokens), and for "
    "recursive rejection of distinct drafts (k + 1 tokens). Line: what is proved of recursive rejection of "
    "independent drafts, attained by two tokens and falling to 3/4. Dashes: what is known of K-SEQ, 1 - 1/e. "
    "That K-SEQ is never below the values found, nor recursive rejection of distinct drafts below 3/4, is "
    "conjecture: the searches found nothing less."
)


def present_worst(told: Presentation, options: Options) -> tuple[Exhibit, Check, str] | None:
    """The figure, the check of the proved bound, and the headline; None where no search is asked for."""
    if not options.searched:
        return None
    seed = told.settings.seed
    recursive = {(k, v): worst_rows("recursive", k, v, seed) for k in options.searched for v in TOKENS}
    k_seq = {(k, 2): worst_rows("k-seq", k, 2, seed) for k in options.searched}
    few = [k for k in options.searched if k <= DISTINCT]
    distinct = {(k, k + 1): worst_rows("recursive", k, k + 1, seed, replacement=False) for k in few}
    found = {"recursive": recursive, "k-seq": k_seq, "recursive, distinct": distinct}
    labels = {
        "recursive": "found, recursive rejection",
        "k-seq": "found, K-SEQ",
        "recursive, distinct": "found, recursive rejection of distinct drafts",
    }
    fine = np.unique(np.geomspace(min(options.searched), max(options.searched), 60).round().astype(int))
    with style():
        figure = new_figure(5.6, 4.2)
        axes = figure.add_subplot()
        bound = [recursive_guarantee(int(k)) for k in fine]
        draw_bound(axes, fine, bound, "proved for recursive rejection", dashed=False)
        draw_bound(axes, fine, np.full(len(fine), 1 - 1 / math.e), "known for K-SEQ, 1 - 1/e", dashed=True)
        for series, (rule, several) in enumerate(found.items()):
            x, y = [k for k, _ in several], [one.ratio for one in several.values()]
            draw_found(axes, x, y, labels[rule], series)
        draft_ticks(axes, options.searched)
        axes.set_xlabel("k, drafts at the position")
        axes.set_ylabel("least acceptance / optimum")
        axes.set_title("Furthest below the optimum")
        shared_legend(figure, [axes], columns=2)
    table = [
        {
            "rule": rule, "drafts": k, "tokens": v, "ratio": one.ratio,
            "draft": " ".join(f"{p:.6g}" for p in one.draft),
            "target": " ".join(f"{q:.6g}" for q in one.target),
        }
        for rule, several in found.items()
        for (k, v), one in several.items()
    ]  # fmt: skip
    caption = CAPTION.format(tokens=" and ".join(map(str, TOKENS)))
    exhibit = told.figure("ceiling_worst", caption, figure, table)
    return exhibit, check_guarantee(recursive), _headline(recursive, k_seq)


def _headline(recursive: dict[tuple[int, int], Worst], k_seq: dict[tuple[int, int], Worst]) -> str:
    most = max(k for k, _ in recursive)
    least = min(one.ratio for (k, _), one in recursive.items() if k == most)
    return (
        f"The least acceptance over optimum that an adversary finds at k = {most}: recursive rejection "
        f"{least:.4f}, proved not below {recursive_guarantee(most):.4f}; K-SEQ {k_seq[most, 2].ratio:.4f}."
    )
