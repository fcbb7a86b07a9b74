"""What the kernels of block verification work on: windows of calls that start together, and their loops'
buffers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.decoding.core.chunks import CHUNK, WHOLE
from simlab.decoding.core.randomness import BATCH
from simlab.jit import compiled


class Windows(NamedTuple):
    """Calls that start together, L at most.

    running: uint32 (L,), their trajectories. tokens: uint16 (K + 1, L) and shares: float64 (K + 1, L), the
    start's last token and the drafted ones, and the running ratios. undecided, decided: uint32 (L,), calls by
    whether verifying has found what they accept. edges: uint64 (K + 2,), edges[i] of the decided ones accept
    at least i tokens. ends: uint16 (L,), of the decided calls the tokens behind the accepted ones.
    """

    running: np.ndarray
    tokens: np.ndarray
    shares: np.ndarray
    undecided: np.ndarray
    decided: np.ndarray
    edges: np.ndarray
    ends: np.ndarray


class Work(NamedTuple):
    """Buffers of the loops, of CHUNK elements where it does not say L."""

    indices: np.ndarray  # uint32: where something is looked up
    bounds: np.ndarray  # uint32: the bounds of chances found there
    going: np.ndarray  # uint16: 1 where a call stays undecided
    factors: np.ndarray  # float64 (L,): target/draft of tokens
    shares: np.ndarray  # float64 (L,): running ratios of calls
    words: np.ndarray  # uint64 (L,): random
    rows: np.ndarray  # uint64 (L,): the rows from which corrected tokens are drawn, of all steps
    weights: np.ndarray  # uint64 (L,): their rows of target/draft
    wanted: np.ndarray  # uint32 (L,): the decided calls that want a corrected token
    places: np.ndarray  # uint64 (L,): where the proposed tokens' alias entries lie
    entries: np.ndarray  # uint32 (L,): these entries
    drawn: np.ndarray  # uint16 (L,): the proposed tokens


@compiled
def new_windows(size, longest):
    """Room for `size` calls with windows of so many tokens, and some more that pad loops."""
    room = size + WHOLE
    return Windows(
        np.zeros(room, np.uint32),
        np.zeros((longest + 1, room), np.uint16),
        np.zeros((longest + 1, room)),
        np.zeros(room, np.uint32),
        np.zeros(room, np.uint32),
        np.zeros(longest + 2, np.uint64),
        np.zeros(room, np.uint16),
    )


@compiled
def new_work(size):
    """Buffers for one run with up to so many calls at once."""
    return Work(
        np.zeros(CHUNK, np.uint32),
        np.zeros(CHUNK, np.uint32),
        np.zeros(CHUNK, np.uint16),
        np.zeros(max(size, CHUNK)),
        np.zeros(max(size, CHUNK)),
        np.zeros((size + BATCH) // BATCH * BATCH, np.uint64),
        np.zeros(size, np.uint64),
        np.zeros(size, np.uint64),
        np.zeros(size, np.uint32),
        np.zeros(size, np.uint64),
        np.zeros(size, np.uint32),
        np.zeros(size, np.uint16),
    )
