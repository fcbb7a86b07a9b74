"""Uniform, normal and gamma variates, one at a time, from the words of `randomness`.

Normals by the ziggurat (Marsaglia and Tsang 2000, "The ziggurat method for generating random variables")
with 256 layers, whose edges come from correctly rounded decimal arithmetic; gammas by Marsaglia and Tsang
(2000, "A simple method for generating gamma variables"), a shape below 1 as Gamma(shape + 1) U^(1/shape).
With `elementary`'s exp and log every variate has the same bits on every machine.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache
from typing import NamedTuple

import numpy as np

from simlab.decoding.elementary import exp, log
from simlab.decoding.randomness import fill, seed_state
from simlab.jit import compiled

U = np.uint64
LAYERS = 256
TAIL = 3.6541528853610088  # where the tail begins, so that 256 layers of equal area close at the top
_WORDS = 1024
_UNIT = 2.0**-53
_8, _11 = U(8), U(11)
_LAYER, _BIT = U(LAYERS - 1), U(1)


class Stream(NamedTuple):
    """A generator's state, the words it has made, and how many of them are used.

    state: as `seed_state` makes it. words: uint64 (1024,). used: int64 (1,). widths, heights: the ziggurat's
    (257,); see `ziggurat`.
    """

    state: np.ndarray
    words: np.ndarray
    used: np.ndarray
    widths: np.ndarray
    heights: np.ndarray


def new_stream(seed: np.random.SeedSequence) -> Stream:
    """A stream of fresh words."""
    words = np.zeros(_WORDS, np.uint64)
    return Stream(seed_state(seed), words, np.array([_WORDS]), *ziggurat())


@cache
def ziggurat() -> tuple[np.ndarray, np.ndarray]:
    """Edges x_0 > x_1 = TAIL > ... > x_256 = 0 of the layers, and exp(-x^2/2) at them.

    Layer i covers the heights from i to i + 1 and has area v = x_i (height_(i+1) - height_i); layer 0 stands
    for the tail and the box before it, and its width x_0 is that of a box with the same area.
    """
    with localcontext() as context:
        context.prec = 40
        edge = Decimal(TAIL)
        height = (-edge * edge / 2).exp()
        area = edge * height + height * _mills_ratio(edge)
        edges, heights = [area / height, edge], [Decimal(0), height]
        while len(edges) < LAYERS:
            height += area / edge
            edge = (-2 * height.ln()).sqrt()
            edges.append(edge)
            heights.append(height)
        edges.append(Decimal(0))
        heights.append(Decimal(1))
        return np.array([float(x) for x in edges]), np.array([float(y) for y in heights])


def _mills_ratio(x: Decimal) -> Decimal:
    """The integral of exp(-t^2/2) from x on, over exp(-x^2/2): x >= 3, by Laplace's continued fraction."""
    ratio = x
    for n in range(400, 0, -1):
        ratio = x + n / ratio
    return 1 / ratio


@compiled
def next_uint(stream):
    """64 random bits."""
    used = stream.used[0]
    if used == _WORDS:
        fill(stream.state, stream.words, U(_WORDS))
        used = 0
    stream.used[0] = used + 1
    return stream.words[used]


@compiled
def uniform(stream):
    """Uniform on the odd multiples of 2^-54 in (0, 1)."""
    return (np.float64(next_uint(stream) >> _11) + 0.5) * _UNIT


@compiled
def normal(stream):
    """Standard normal."""
    while True:
        word = next_uint(stream)  # layer from bits 0-7, sign from bit 8, place in the layer from bits 11-63
        layer = np.int64(word & _LAYER)
        x = np.float64(word >> _11) * _UNIT * stream.widths[layer]
        positive = (word >> _8) & _BIT
        if x < stream.widths[layer + 1]:
            return x if positive else -x
        if layer == 0:
            x = _tail(stream)
            return x if positive else -x
        low, high = stream.heights[layer], stream.heights[layer + 1]
        if low + uniform(stream) * (high - low) < exp(-0.5 * x * x):
            return x if positive else -x


@compiled
def _tail(stream):
    """A normal given that it is beyond TAIL (Marsaglia 1964)."""
    while True:
        x = -log(uniform(stream)) / TAIL
        y = -log(uniform(stream))
        if y + y > x * x:
            return TAIL + x


@compiled
def gamma(shape, stream):
    """Gamma with this shape > 0 and scale 1; 0 where it is below 1e-304."""
    if shape < 1.0:
        boost = exp(log(uniform(stream)) / shape)
        return boost * _large_gamma(shape + 1.0, stream) if boost > 0.0 else 0.0
    return _large_gamma(shape, stream)


@compiled
def _large_gamma(shape, stream):
    d = shape - 1.0 / 3.0
    c = 1.0 / np.sqrt(9.0 * d)
    while True:
        x = normal(stream)
        v = 1.0 + c * x
        if v <= 0.0:
            continue
        v = v * v * v
        u = uniform(stream)
        square = x * x
        if u < 1.0 - 0.0331 * square * square:
            return d * v
        if log(u) < 0.5 * square + d * (1.0 - v + log(v)):
            return d * v
