"""The step of `steps` where rows are the softmax of V independent logits, scale * N(0, 1) (own).

With Z = sum_j e^{g_j}, p_i = e^{g_i} / Z, Gamma(r) Z^{-r} = integral of lambda^{r-1} e^{-lambda Z} dlambda,
lambda = e^u and r = 1 + s,

    E[sum p^r] = V * integral over u of E[h_r(u + g)] M(u)^{V-1} du,
    h_r(y) = e^{r y - e^y} / Gamma(r),  M(u) = E[exp(-e^{u+g})],  g ~ N(0, scale^2):

one logit is kept apart, the others are independent of it. Under this weight at r = 1, which sums to 1,
-(u + g) is a step less the logarithm of an independent Exp(1): the step's mean is therefore the weight's mean
of -(u + g) - gamma, and its second moment that of (u + g + gamma)^2 - pi^2 / 6, gamma being Euler's constant.
(Differentiate under the integral at r = 1.)

Both integrals, over u and over g, are trapezoid sums: the integrands are analytic in a strip of half-width
pi/2 and fall off at least exponentially, so that the error falls like e^{-pi^2 / step}.
"""

from __future__ import annotations

import math

import numpy as np

from simlab.errors import SimlabError

STEP = 0.2
"""Of the trapezoid sums where r = 1; the weight narrows like 1/sqrt(r)."""

REACH = 9.0
"""Logits further out, in standard deviations, have probability 1e-19."""

LEFT, RIGHT = 40.0, 5.0
"""How much further than the logits u reaches: h is below 1e-17 to the left of that, 1e-60 to the right."""

FEW = 3
"""Below so many steps of the grid a scale has nodes of its own."""

DIRECT = 1e9
"""Products above which the sum over g is a Fourier transform, exact to 1e-16 of its largest value only: V
times that is what the moments lose. For transforms, which need fewer digits, a hundredth."""

MOST_SCALE = 1e4


def moments(states: int, scale: float) -> tuple[float, float]:
    """The mean and second moment of a step, in nats and nats^2. Raises SimlabError for a scale > 10,000."""
    if states == 1:
        return 0.0, 0.0
    if scale == 0:
        return math.log(states), math.log(states) ** 2
    entropy = _weighted(states, scale, 1.0, lambda y: -(y + np.euler_gamma))
    second = _weighted(states, scale, 1.0, lambda y: (y + np.euler_gamma) ** 2 - math.pi**2 / 6)
    return max(entropy, 0.0), max(second, 0.0)


def transform_gap(states: int, scale: float, s: float) -> float:
    """1 - E[e^{-s step}] for s >= 0. Raises SimlabError for a scale > 10,000."""
    if states == 1 or s == 0:
        return 0.0
    if scale == 0:
        return -math.expm1(-s * math.log(states))
    return min(max(1 - _weighted(states, scale, 1 + s, np.ones_like), 0.0), 1.0)


def _weighted(states: int, scale: float, r: float, factor) -> float:
    """V * integral of E[h_r(u + g) factor(u + g)] M(u)^{V-1} du."""
    if scale > MOST_SCALE:
        raise SimlabError(
            f"scale = {scale:g}: rows of a softmax are all but certain; give at most {MOST_SCALE:g}"
        )
    step = STEP / math.sqrt(r)
    direct = DIRECT if r == 1 else DIRECT / 100
    constant = math.lgamma(r)

    def weight(y):
        return np.exp(r * y - np.exp(np.minimum(y, 50.0)) - constant) * factor(y)

    def missing(y):
        return -np.expm1(-np.exp(np.minimum(y, 50.0)))

    count = math.ceil((2 * REACH * scale + LEFT + RIGHT) / step)
    points = -REACH * scale - LEFT + step * np.arange(count + 1)
    with np.errstate(divide="ignore"):  # all mass missing: log 0
        others = np.exp(
            (states - 1) * np.log1p(-np.minimum(_smoothed(missing, points, scale, step, direct), 1.0))
        )
    return states * step * float(_smoothed(weight, points, scale, step, direct) @ others)


def _smoothed(function, points: np.ndarray, scale: float, step: float, direct: float) -> np.ndarray:
    """E[function(u + g)], g ~ N(0, scale^2), at equidistant points u, `step` apart."""
    if scale < FEW * step:
        nodes = np.arange(-REACH, REACH + 0.25, 0.5)
        return function(np.add.outer(points, scale * nodes)) @ _gaussian(nodes)
    reach = math.ceil(REACH * scale / step)
    weights = _gaussian(np.arange(-reach, reach + 1) * step / scale)
    around = points[0] + step * np.arange(-reach, len(points) + reach)
    values = function(around)
    if float(len(values)) * len(weights) <= direct:
        return np.convolve(values, weights, "valid")
    size = 1 << (len(values) + len(weights)).bit_length()
    product = np.fft.irfft(np.fft.rfft(values, size) * np.fft.rfft(weights, size), size)
    return product[2 * reach : 2 * reach + len(points)]


def _gaussian(nodes: np.ndarray) -> np.ndarray:
    """The weights of equidistant nodes for a mean under N(0, 1)."""
    weights = np.exp(-(nodes**2) / 2)
    return weights / weights.sum()
