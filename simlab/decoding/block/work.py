"""What the kernels of block verification work on: windows of calls that start together, and their loops'
buffers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.decoding.core.randomness import BATCH
from simlab.jit import compiled

CHUNK = 1024
"""Calls taken through one loop after another together: so few that what the loops hand on stays in the L1
cache; a multiple of the words that come in a batch."""


class Windows(NamedTuple):
    """Calls that start together, L at most.

    running: uint32 (L,), their trajectories. tokens: uint16 (K + 1, L) and shares: float64 (K + 1, L), the
    start's last token and the drafted ones, and the running ratios. undecided, decided: uint32 (L,), calls by
    whether verifying has found what they accept. edges: uint64 (K + 2,), edges[i] of the decided ones accept
    at least i tokens.
    """

    running: np.ndarray
    tokens: np.ndarray
    shares: np.ndarray
    undecided: np.ndarray
    decided: np.ndarray
    edges: np.ndarray


class Work(NamedTuple):
    """Buffers of CHUNK elements each, but for `words`: random ones for all calls."""

    words: np.ndarray  # uint64
    chosen_words: np.ndarray  # uint64: those of the calls that end
    uppers: np.ndarray  # uint32: the upper halves of words
    slots: np.ndarray  # uint32
    coins: np.ndarray  # uint16
    indices: np.ndarray  # uint32: where something is looked up
    entries: np.ndarray  # uint32: what was found there
    ties: np.ndarray  # uint16: 1 where the first bits do not decide
    chosen: np.ndarray  # uint32: those where they do not
    going: np.ndarray  # uint16: 1 where a call stays undecided
    factors: np.ndarray  # float64: target/draft of tokens
    shares: np.ndarray  # float64: running ratios
    masses: np.ndarray  # float64: sums of the excess
    positive: np.ndarray  # uint32: how many tokens of a row have any
    found: np.ndarray  # uint32: the one of them that is drawn
    origins: np.ndarray  # uint16: last tokens
    drawn: np.ndarray  # uint16: tokens behind them


@compiled
def new_windows(size, longest):
    """Room for `size` calls with windows of so many tokens."""
    return Windows(
        np.zeros(size, np.uint32),
        np.zeros((longest + 1, size), np.uint16),
        np.zeros((longest + 1, size)),
        np.zeros(size, np.uint32),
        np.zeros(size, np.uint32),
        np.zeros(longest + 2, np.uint64),
    )


@compiled
def new_work(size):
    """Buffers for one run with up to so many calls at once."""
    return Work(
        np.zeros((max(size, CHUNK) + BATCH) // BATCH * BATCH, np.uint64),
        np.zeros(CHUNK, np.uint64),
        np.zeros(CHUNK, np.uint32),
        np.zeros(CHUNK, np.uint32),
        np.zeros(CHUNK, np.uint16),
        np.zeros(CHUNK, np.uint32),
        np.zeros(CHUNK, np.uint32),
        np.zeros(CHUNK, np.uint16),
        np.zeros(CHUNK, np.uint32),
        np.zeros(CHUNK, np.uint16),
        np.zeros(CHUNK),
        np.zeros(CHUNK),
        np.zeros(CHUNK),
        np.zeros(CHUNK, np.uint32),
        np.zeros(CHUNK, np.uint32),
        np.zeros(CHUNK, np.uint16),
        np.zeros(CHUNK, np.uint16),
    )
