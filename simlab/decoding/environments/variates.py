"""Uniform, normal and gamma variates, one at a time, from the words of `randomness`.

Normals by the ziggurat (Marsaglia and Tsang 2000, "The ziggurat method for generating random variables")
with 256 layers, whose edges come from correctly rounded decimal arithmetic; gammas by Marsaglia and Tsang
(2000, "A simple method for generating gamma variables"), a shape below 1 as Gamma(shape + 1) U^(1/shape).
With `elementary`'s exp and log every variate has the same bits on every machine.
"""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np

from simlab.decoding.core.bits import U11, UNIT, U
from simlab.decoding.core.randomness import next_word
from simlab.decoding.environments.elementary import exp, log
from simlab.jit import compiled

LAYERS = 256
TAIL = 3.6541528853610088  # where the tail begins, so that 256 layers of equal area close at the top
_SIGNED_UNIT = 2.0**-52
_SHIFT = np.int64(11)
_LAYER, _BASE, _BIT = U(LAYERS - 1), U(0), U(1)


def new_stream(seed: np.random.SeedSequence) -> np.ndarray:
    """The state of a generator of single words, uint64 (4,).

    One lane: a variate takes as many words as it happens to, and counting those in a buffer would cost more
    than making them.
    """
    return seed.generate_state(4, np.uint64)


def ziggurat() -> tuple[np.ndarray, np.ndarray]:
    """Edges x_0 > x_1 = TAIL > ... > x_256 = 0 of the layers, and exp(-x^2/2) at them.

    float64 (257,) each. Layer i covers the heights i to i + 1 and has area v = x_i (height_(i+1) - height_i);
    layer 0 stands for the tail and the box before it, and its width x_0 is that of a box with the same area.
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


_WIDTHS, _HEIGHTS = ziggurat()


@compiled
def next_uint(stream):
    """64 random bits."""
    word, s0, s1, s2, s3 = next_word(stream[0], stream[1], stream[2], stream[3])
    stream[0], stream[1], stream[2], stream[3] = s0, s1, s2, s3
    return word


@compiled
def uniform(stream):
    """Uniform on the odd multiples of 2^-54 in (0, 1)."""
    return (np.float64(next_uint(stream) >> U11) + 0.5) * UNIT


@compiled
def normal(stream):
    """Standard normal."""
    while True:
        word = next_uint(
            stream
        )  # the layer from bits 0-7, the position in it, with its sign, from bits 11-63
        layer = word & _LAYER
        x = np.float64(np.uint64(word).view(np.int64) >> _SHIFT) * _SIGNED_UNIT * _WIDTHS[layer]
        if abs(x) < _WIDTHS[layer + _BIT]:
            return x
        if layer == _BASE:
            return _tail(stream) if x > 0.0 else -_tail(stream)
        low, high = _HEIGHTS[layer], _HEIGHTS[layer + _BIT]
        if low + uniform(stream) * (high - low) < exp(-0.5 * x * x):
            return x


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
