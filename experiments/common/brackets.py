"""How closely the total variation of whole sequences is looked at, where many decoders are."""

from __future__ import annotations

import numpy as np

from simlab.decoders import Decoder
from simlab.pairs import ChainPair
from simlab.theory import Bracket, sequence_total_variation

LEAST_CELLS, MOST_CELLS = 300, 12_000

ENUMERATED = 2**16
"""Up to this many sequences, with their x_0, are looked at one by one in milliseconds."""


def quick_bracket(pair: ChainPair, decoder: Decoder, work: float, least: int = LEAST_CELLS) -> Bracket:
    """A bracket from a grid of about work / (T V^2) cells, no fewer than `least`; exact where sequences are
    few."""
    few = pair.states ** (pair.horizon + 1) <= ENUMERATED
    cells = int(np.clip(work / (pair.horizon * pair.states**2), least, MOST_CELLS))
    return sequence_total_variation(pair, decoder, cells=None if few else cells)
