"""exp, log, uniforms, normals and gammas: against exact ones, with controls that are broken on purpose.

Samples are held against their distribution by the inequality of Dvoretzky, Kiefer and Wolfowitz (Massart's
constant): the empirical distribution function strays from the true one by more than sqrt(log(2/error) / (2
n)) anywhere with probability below `error`, whatever the distribution; what strays by twice that is missed
with no more. Squares of normals add up to a chi-square, which sees what is too little for that.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from decimal import Decimal, localcontext

import numba
import numpy as np
import pytest
from scipy import stats

from simlab.decoding.environments import elementary, variates
from simlab.decoding.environments.variates import new_stream

ERROR = 1e-6
MANY = 1_000_000


def strays(sample: np.ndarray, cdf) -> bool:
    """Whether the sample (n,) contradicts a continuous distribution with this distribution function."""
    ordered = np.sort(sample)
    expected = cdf(ordered)
    n = len(ordered)
    distance = max((np.arange(1, n + 1) / n - expected).max(), (expected - np.arange(n) / n).max())
    return distance > math.sqrt(math.log(2 / ERROR) / (2 * n))


def squares_stray(sample: np.ndarray) -> bool:
    """Whether the sum of squares (n,) contradicts the chi-square of n degrees; each tail has error / 2."""
    low, high = stats.chi2.ppf([ERROR / 2, 1 - ERROR / 2], len(sample))
    return not low <= (sample**2).sum() <= high


# Compiled anew in each run: a cache beside this file would not notice an edit of what is tested.


@numba.njit
def _normals(stream, out):
    for n in range(out.size):
        out[n] = variates.normal(stream)


@numba.njit
def _tails(stream, out):
    for n in range(out.size):
        out[n] = variates._tail(stream)


@numba.njit
def _uniforms(stream, out):
    for n in range(out.size):
        out[n] = variates.uniform(stream)


@numba.njit
def _gammas(shape, stream, out):
    for n in range(out.size):
        out[n] = variates.gamma(shape, stream)


@numba.njit
def _exps(x, out):
    for n in range(out.size):
        out[n] = elementary.exp(x[n])


@numba.njit
def _logs(x, out):
    for n in range(out.size):
        out[n] = elementary.log(x[n])


def drawn(kernel, seed: int, count: int, *settings) -> np.ndarray:
    out = np.empty(count)
    kernel(*settings, new_stream(np.random.SeedSequence(seed)), out)
    return out


def worst(kernel, exact, points: np.ndarray) -> float:
    """The largest relative error, in units of 2^-53."""
    found = np.empty(len(points))
    kernel(points, found)
    with localcontext() as context:
        context.prec = 40
        errors = [abs(Decimal(f) / exact(Decimal(x)) - 1) for x, f in zip(points, found, strict=True)]
    return float(max(errors)) * 2**53


def test_exp_and_log_are_right_to_the_last_bits():
    random = np.random.default_rng(1)
    for scale in (1e-12, 1e-3, 1.0, 40.0, 690.0):
        assert worst(_exps, Decimal.exp, random.uniform(-scale, scale, 3000)) < 3.6  # 4e-16
    points = np.concatenate(
        [random.random(3000), 1 + random.uniform(-1e-6, 1e-6, 2000), np.exp(random.uniform(-700, 700, 3000))]
    )
    assert worst(_logs, Decimal.ln, points[points != 1]) < 3.6
    assert elementary.exp(0.0) == 1.0 and elementary.log(1.0) == 0.0
    assert elementary.exp(-700.5) == 0.0 and elementary.exp(-np.inf) == 0.0 and elementary.exp(-699.0) > 0
    assert abs(elementary.log(2.0**-54) + 54 * math.log(2)) < 1e-14


def test_the_layers_have_one_area_and_close_at_the_top():
    widths, heights = variates.ziggurat()
    areas = widths[:-1] * np.diff(heights)
    assert np.allclose(areas, areas[0], rtol=1e-12)
    assert np.allclose(heights[1:], np.exp(-(widths[1:] ** 2) / 2), rtol=1e-14)
    box = variates.TAIL * heights[1] + math.sqrt(2 * math.pi) * stats.norm.sf(variates.TAIL)
    assert abs(areas[0] / box - 1) < 1e-14


@pytest.mark.parametrize("seed", [1, 2])
def test_uniforms(seed):
    sample = drawn(_uniforms, seed, MANY)
    assert 0 < sample.min() and sample.max() < 1
    assert not strays(sample, lambda x: x)
    assert strays(sample**1.02, lambda x: x)  # a control: off by 0.007


@pytest.mark.statistical
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_normals(seed):
    sample = drawn(_normals, seed, 2 * MANY)
    assert not strays(sample, stats.norm.cdf)
    assert strays(1.02 * sample, stats.norm.cdf)  # a control: off by 0.005
    assert not squares_stray(drawn(_normals, seed, 8 * MANY))
    beyond = 2 * stats.norm.sf(variates.TAIL)
    low, high = stats.binom.ppf([ERROR / 2, 1 - ERROR / 2], len(sample), beyond)
    assert low <= (np.abs(sample) > variates.TAIL).sum() <= high
    tail = np.abs(sample[np.abs(sample) > variates.TAIL])
    assert not strays(tail, lambda x: 1 - stats.norm.sf(x) / stats.norm.sf(variates.TAIL))
    for some in (sample, sample[np.abs(sample) > variates.TAIL]):
        low, high = stats.binom.ppf([ERROR / 2, 1 - ERROR / 2], len(some), 0.5)
        assert low <= (some > 0).sum() <= high


def test_the_tail_of_a_normal():
    """The normal given that it is beyond TAIL; a control, whose density falls like exp(-x^2) there."""

    def cdf(x):
        return 1 - stats.norm.sf(x) / stats.norm.sf(variates.TAIL)

    assert not strays(drawn(_tails, 1, MANY), cdf)
    random = np.random.default_rng(1)
    x, y = random.exponential(1 / variates.TAIL, MANY), random.exponential(1, MANY)
    assert not strays(variates.TAIL + x[2 * y > x * x], cdf)
    assert strays(variates.TAIL + x[y > x * x], cdf)


def test_normals_without_what_lies_between_a_layer_and_the_curve_are_caught():
    """The control of the ziggurat's second step: without it a draw is one from a staircase."""
    widths, _ = variates.ziggurat()
    random = np.random.default_rng(1)
    layers = random.integers(0, variates.LAYERS, 8 * MANY)
    staircase = random.random(8 * MANY) * widths[layers]
    assert squares_stray(staircase)


@pytest.mark.statistical
@pytest.mark.parametrize("shape", [0.003, 0.1, 0.5, 1.0, 1.1, 2.5, 40.0, 1e6])
def test_gammas(shape):
    count = MANY // 2
    sample = drawn(_gammas, 5, count, shape)
    some = sample[sample > 0]  # below 1e-304 all is 0, which has a probability where the shape is tiny
    zero = stats.gamma.cdf(1e-304, shape)
    assert not strays(some, lambda x: (stats.gamma.cdf(x, shape) - zero) / (1 - zero))
    low, high = stats.binom.ppf([ERROR / 2, 1 - ERROR / 2], count, zero)
    assert low <= count - len(some) <= high
    other = stats.gamma(shape * (1 + 0.03 * max(1, 1 / shape**0.5)))  # a control: another shape
    assert shape > 1e4 or strays(some, lambda x: (other.cdf(x) - other.cdf(1e-304)) / other.sf(1e-304))


@pytest.mark.statistical
@pytest.mark.parametrize("shape", [0.5, 2.5])
def test_the_sum_of_gammas_is_one(shape):
    """Of shape n a; with 1% more for the shape that a small one is raised to it is too large."""
    count = 4 * MANY
    low, high = stats.gamma.ppf([ERROR / 2, 1 - ERROR / 2], count * shape)
    assert low <= drawn(_gammas, 7, count, shape).sum() <= high
    raised = np.random.default_rng(7).gamma(shape + 1.01, size=count)
    assert (raised * np.random.default_rng(8).random(count) ** (1 / shape)).sum() > high


def test_gammas_of_tiny_shapes_are_zero_and_no_error():
    assert (drawn(_gammas, 1, 1000, 1e-9) == 0).mean() > 0.99


UNCOMPILED = """
import json, numpy as np
from simlab.decoding.environments import variates
stream = variates.new_stream(np.random.SeedSequence(3))
with np.errstate(over="ignore"):
    drawn = [variates.normal(stream) for _ in range(3000)]
    drawn += [variates.gamma(shape, stream) for shape in (0.01, 0.4, 1.1, 30.0) for _ in range(500)]
print(json.dumps([float(x).hex() for x in drawn]))
"""


@pytest.mark.processes
def test_compiled_or_not_the_bits_are_the_same():
    """No contraction, no fused operations: what the compiler makes is the arithmetic that is written."""
    stream = new_stream(np.random.SeedSequence(3))
    drawn = [variates.normal(stream) for _ in range(3000)]
    drawn += [variates.gamma(shape, stream) for shape in (0.01, 0.4, 1.1, 30.0) for _ in range(500)]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-c", UNCOMPILED]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [x.hex() for x in drawn]
