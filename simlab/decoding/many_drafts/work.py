"""Buffers that the rules share, and draws of single numbers and tokens."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.decoding.core.bits import U11, UNIT
from simlab.decoding.core.chunks import CHUNK
from simlab.decoding.core.randomness import spare_word
from simlab.jit import compiled


class Work(NamedTuple):
    """Buffers of CHUNK elements each, and two rows of V."""

    flags: np.ndarray  # uint16: 1 for the trajectories of a class
    members: np.ndarray  # uint32: their positions in the chunk
    origins: np.ndarray  # uint16: their last tokens
    open: np.ndarray  # uint32: those of them that are not decided yet
    drawn: np.ndarray  # uint16: their next children
    points: np.ndarray  # float64
    answers: np.ndarray  # uint16: the tokens of the members
    tokens: np.ndarray  # uint16: of the whole chunk, the tokens of this step
    rejected: np.ndarray  # uint16: of the whole chunk
    goal: np.ndarray  # float64 (V,): what is left of the target
    rest: np.ndarray  # float64 (V,): what is left of the draft


@compiled
def new_work(states):
    """Buffers for one run."""
    return Work(
        np.zeros(CHUNK, np.uint16),
        np.zeros(CHUNK, np.uint32),
        np.zeros(CHUNK, np.uint16),
        np.zeros(CHUNK, np.uint32),
        np.zeros(CHUNK, np.uint16),
        np.zeros(CHUNK),
        np.zeros(CHUNK, np.uint16),
        np.zeros(CHUNK, np.uint16),
        np.zeros(CHUNK, np.uint16),
        np.zeros(states),
        np.zeros(states),
    )


@compiled
def uniform(state):
    """A number in [0, 1), of 53 bits."""
    return np.float64(spare_word(state) >> U11) * UNIT


@compiled
def total(weights):
    """The sum, in the order of the tokens."""
    found = 0.0
    for y in range(weights.size):
        found += weights[y]
    return found


@compiled
def invert(weights, level):
    """The token whose weights reach past `level` first, or the last one of positive weight."""
    last = 0
    for y in range(weights.size):
        if weights[y] > 0.0:
            last = y
            if level < weights[y]:
                return y
            level -= weights[y]
    return last
