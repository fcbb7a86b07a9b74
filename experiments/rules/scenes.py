"""What is exact of the rules on one horizon: their curves, the front, and which of them is nearest to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.decoders import RuleSpeculative, Speculative
from simlab.experiments.rules.curves import Curve, curve, is_small
from simlab.experiments.rules.options import UNBIASED, Options
from simlab.pairs import ChainPair
from simlab.theory import (
    Front,
    chains_total_variation,
    expected_rejections_per_position,
    front_floor,
    sequence_front,
)

NEAR = 0.1
"""How far from the rejections asked for a rule may be, as a part of them."""
FRONT_NODES = 80
"""Of the front's grid: some fifths of a second a weight, and a lower bound that is a little less sharp."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One horizon. rejections: E[N_rej] of speculative decoding; alone: the total variation of drafting alone
    (a coin between the two, once a sequence, is the straight line). curves: of the lossy rules; none where
    there is no room for exact ones. unbiased: E[N_rej] of each unbiased rule. front: of whole sequences,
    where it was asked for.
    """

    pair: ChainPair
    rejections: float
    alone: float
    curves: list[Curve]
    unbiased: dict[str, float]
    front: Front | None

    def floor(self, rejections) -> np.ndarray:
        """A total variation below which no algorithm that draws from the draft comes with so many."""
        rejections = np.asarray(rejections, float)
        if self.front is not None:
            return front_floor(self.front, rejections)
        return np.maximum(self.alone - rejections, 0.0)

    def gap(self, rejections, loss) -> np.ndarray:
        """How far above what algorithms attain with as many rejections: the front, or without one the coin,
        which on one token is the front.
        """
        if self.front is None:
            return np.asarray(loss) - self.coin(rejections)
        attained = np.interp(rejections, self.front.rejections, self.front.total_variation)
        return np.asarray(loss) - attained

    def coin(self, rejections) -> np.ndarray:
        """The total variation of the coin with that E[N_rej]."""
        whole = self.rejections or 1.0
        return self.alone * np.maximum(1 - np.asarray(rejections, float) / whole, 0.0)


def one_token(pair: ChainPair, options: Options) -> Scene:
    """The rules on a single token."""
    return _scene(pair, options, None, exact=True)


def sequences(pair: ChainPair, options: Options) -> Scene:
    """The rules on the pair's whole sequences; the front and exact curves where the pair is small."""
    front = None
    if is_small(pair):
        front = sequence_front(pair, options.queries, nodes=FRONT_NODES)
    return _scene(pair, options, front, exact=is_small(pair))


def _scene(pair: ChainPair, options: Options, front: Front | None, *, exact: bool) -> Scene:
    rejections = float(expected_rejections_per_position(pair, Speculative()).sum())
    return Scene(
        pair,
        rejections,
        chains_total_variation(pair.draft, pair.target, pair.initial, cells=None if exact else 32).middle,
        [curve(pair, family, rejections / 2) for family in options.families] if exact else [],
        {
            name: float(expected_rejections_per_position(pair, RuleSpeculative(rule)).sum())
            for name, rule in UNBIASED.items()
        },
        front,
    )


def nearest(token: Scene, whole: Scene) -> list[str]:
    """Which lossy rule is nearest to the front at half of speculative decoding's rejections, in words."""
    notes = []
    for scene, where in ((token, "On one token"), (whole, f"On {whole.pair.horizon} tokens")):
        if not scene.curves:
            notes.append(
                f"{where} there are no exact curves: the pair is too large; the simulated points are there."
            )
            continue
        half = scene.rejections / 2
        points = {one.family.label: one.near(half) for one in scene.curves}
        gaps = {
            label: max(float(scene.gap(*point)), 0.0)
            for label, point in points.items()
            if abs(point[0] - half) <= NEAR * half
        }
        told = [
            f"{label} {gap:.4f}"
            for label, gap in sorted(gaps.items(), key=lambda item: (round(item[1], 9), item[0]))
        ]
        if told:
            notes.append(
                f"{where}, with half the rejections of speculative decoding ({half:.4g}), the total "
                f"variation lies above what the front attains by: {', '.join(told)}."
            )
    return notes
