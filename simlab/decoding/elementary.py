"""exp and log in plain arithmetic, so that they have the same bits on every machine.

The C library's differ from one system to the next in the last bit, and a last bit may change an integer
count. These two use additions, multiplications, divisions and the bits of a float only; numba contracts
nothing without fastmath. Their relative errors are below 4e-16 (tests/decoding/test_variates.py).
"""

from __future__ import annotations

import numpy as np

from simlab.jit import compiled

_LOG2E = 1.4426950408889634
_LN2_HIGH = 0.6931471803691238  # its last 21 bits are 0: times a whole number below 2^20 it is exact
_LN2_LOW = 1.9082149292705877e-10
_SQRT2 = 1.4142135623730951
_SMALLEST = -700.0
_MANTISSA = np.int64((1 << 52) - 1)
_ONE = np.int64(1023 << 52)


@compiled
def exp(x):
    """e^x for x <= 700; 0 below x = -700, where it is less than 1e-304."""
    if x < _SMALLEST:
        return 0.0
    power = np.floor(x * _LOG2E + 0.5)
    r = (x - power * _LN2_HIGH) - power * _LN2_LOW  # |r| <= ln(2)/2, where r^14/14! < 5e-18
    total = 1.0
    for n in range(13, 0, -1):
        total = 1.0 + r * total / n
    return total * np.int64((np.int64(power) + 1023) << 52).view(np.float64)


@compiled
def log(x):
    """The natural logarithm of a normal float x > 0."""
    bits = np.float64(x).view(np.int64)
    power = (bits >> 52) - 1023
    mantissa = np.int64((bits & _MANTISSA) | _ONE).view(np.float64)
    if mantissa > _SQRT2:
        mantissa *= 0.5
        power += 1
    f = (mantissa - 1.0) / (mantissa + 1.0)  # |f| <= 0.172: log(mantissa) = 2 (f + f^3/3 + f^5/5 + ...)
    s = f * f
    total = 0.0
    for n in range(21, 0, -2):
        total = total * s + 1.0 / n
    return power * _LN2_HIGH + (2.0 * f * total + power * _LN2_LOW)
