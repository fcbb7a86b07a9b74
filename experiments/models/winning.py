"""The WinRate study with real models: over-acceptance by its optimal replacement against others.

Tables 1 and 2 of Yin et al. 2024 have reward models as judges; here it is the target's own log-likelihood of
the text, as in the chains' analogue (`experiments/yin2024/winrate.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.decoders import BiasedSpeculative
from simlab.evidence import Interval, share_interval
from simlab.experiments.common.outcome import Presentation
from simlab.experiments.models.options import Options, Shown
from simlab.experiments.models.texts import Recorded, stacked
from simlab.models.run_names import run_name
from simlab.pairs import paper
from simlab.report import new_figure, shared_legend, style
from simlab.report.modelplot import draw_shares
from simlab.theory import Bracket
from simlab.theory.bias.win_rate import TIE, win_rates

OPPONENTS = {"target": "against replacement by the target", "draft": "against replacement by the draft"}
OPTIMAL = "optimal"

CAPTION = (
    "How often over-acceptance with the optimal replacement writes the likelier text, against the same with "
    "another replacement, on real models (draft {draft}): {texts} pairs of texts of at most {tokens} tokens, "
    "both written by running the decoder after the same prompt. Judge: the target's log-likelihood of the "
    "text, as it came, so that a text that ends early has an advantage, on both sides alike; a tie is half a "
    "win. Markers with {confidence:.10g}% intervals, from pairs of texts as independent units, each for "
    "itself. Grey boxes: the exact WinRate of the analogue on the paper's chain with as many tokens, as a "
    "bracket; another instance, which real models need not follow. Dashed: even."
)
NOTE = (
    "The paper's Tables 1 and 2 are judged by reward models; here, as on chains, the judge is the target's "
    "log-likelihood, which favours likely texts, not texts that follow the target's distribution."
)


@dataclass(frozen=True)
class Match:
    """One match: half points of the optimal replacement, two a win, one a tie, of so many pairs of texts."""

    epsilon: float
    opponent: str
    half_points: int
    texts: int


def present_winning(told: Presentation, pairs: tuple[Recorded, ...], options: Options) -> Shown:
    """A figure for every pair that was run with over-acceptance, and notes."""
    shown = [_present(told, pair) for pair in pairs if pair.biased]
    return Shown(
        figures=[figure for figure, _ in shown],
        notes=[note for _, note in shown] + ([NOTE] if shown else []),
    )


def matches_of(pair: Recorded) -> list[Match]:
    """Every epsilon and opponent that was run, by rising epsilon; texts of one number have one prompt."""
    by_setting = {run_name(name)[1:]: run for name, run in pair.biased.items()}
    found = []
    for epsilon, replacement in sorted(by_setting):
        if replacement == OPTIMAL or (epsilon, OPTIMAL) not in by_setting:
            continue
        own, other = by_setting[epsilon, OPTIMAL], by_setting[epsilon, replacement]
        same = own.prompt == other.prompt
        points = half_points(own.log_likelihood[same], other.log_likelihood[same])
        found.append(Match(epsilon, replacement, int(points.sum()), int(same.sum())))
    return found


def half_points(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """2 for a win, 1 for a tie, 0 for a loss, of log-likelihoods (n,) each; -inf against -inf is a tie."""
    with np.errstate(invalid="ignore"):
        ahead = np.where(own == other, 0.0, own - other)
    return (ahead > TIE).astype(int) + (ahead >= -TIE)


def analogue(epsilons: list[float], tokens: int) -> dict[str, list[Bracket]]:
    """The exact WinRates on the paper's chain, by opponent, one for each epsilon."""
    chain = paper(horizon=tokens)
    return {
        opponent: win_rates(
            chain,
            [(BiasedSpeculative(one, OPTIMAL), BiasedSpeculative(one, opponent)) for one in epsilons],
        )
        for opponent in OPPONENTS
    }


def _present(told: Presentation, pair: Recorded):
    confidence, found = told.settings.confidence, matches_of(pair)
    epsilons = sorted({one.epsilon for one in found})
    tokens = next(iter(pair.biased.values())).provenance["tokens"]
    exact, rows = analogue(epsilons, tokens), []
    with style():
        figure = new_figure(5.6, 3.8)
        axes = figure.add_subplot()
        for series, (opponent, label) in enumerate(OPPONENTS.items()):
            mine = [one for one in found if one.opponent == opponent]
            if not mine:
                continue
            shares = [share_interval(one.half_points, one.texts, confidence) for one in mine]
            at = np.array([epsilons.index(one.epsilon) for one in mine])
            boxes = np.array([exact[opponent][index] for index in at])
            draw_shares(axes, at, stacked(shares), boxes, f"{label}, {100 * confidence:.10g}% interval",
                        series=series, of=len(OPPONENTS))  # fmt: skip
            rows += [
                _row(pair, one, share, box) for one, share, box in zip(mine, shares, boxes, strict=True)
            ]
        axes.set_xticks(range(len(epsilons)), [f"{epsilon:g}" for epsilon in epsilons])
        axes.set_xlabel("over-acceptance epsilon")
        axes.set_ylabel("WinRate")
        shared_legend(figure, [axes], columns=1)
    caption = CAPTION.format(
        draft=pair.label, texts=max(one.texts for one in found), tokens=tokens, confidence=100 * confidence
    )
    return told.figure("models_winrate", caption, figure, rows), _note(pair, rows)


def _row(pair: Recorded, match: Match, share: Interval, box: np.ndarray) -> dict:
    return {
        "pair": pair.label, "epsilon": match.epsilon, "opponent": match.opponent, "texts": match.texts,
        "win_rate": share.estimate, "low": share.low, "high": share.high,
        "chain_low": float(box[0]), "chain_high": float(box[1]),
    }  # fmt: skip


def _note(pair: Recorded, rows: list[dict]) -> str:
    each = [
        f"{row['opponent']}, epsilon {row['epsilon']:g}: {row['win_rate']:.3f} [{row['low']:.3f}, "
        f"{row['high']:.3f}]"
        for row in rows
    ]
    return f"WinRate of the optimal replacement on real models ({pair.label}): {'; '.join(each)}."
