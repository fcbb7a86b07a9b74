"""exp and log in plain arithmetic, so that they have the same bits on every machine.

The C library's differ from one system to the next in the last bit, and a last bit may change an integer
count. These two use additions, multiplications, divisions and the bits of a float only; numba contracts
nothing without fastmath. Their relative errors are below 4e-16 (tests/decoding/test_variates.py). The
polynomials are evaluated in halves (Estrin), so that a processor works on several terms at once.
"""

from __future__ import annotations

import numpy as np

from simlab.jit import compiled

_LOG2E = 1.4426950408889634
_LN2_HIGH = 0.6931471803691238  # its last 21 bits are 0: times a whole number below 2^20 it is exact
_LN2_LOW = 1.9082149292705877e-10
_SQRT2 = 1.4142135623730951
_SMALLEST = -700.0
_SHIFT = 6755399441055744.0  # 1.5 * 2^52: added to a number, it leaves the nearest whole one in the last bits
_MANTISSA = np.int64((1 << 52) - 1)
_ONE = np.int64(1023 << 52)
_52 = np.int64(52)

_E2, _E3, _E4, _E5, _E6, _E7 = 1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040
_E8, _E9, _E10, _E11 = 1 / 40320, 1 / 362880, 1 / 3628800, 1 / 39916800
_E12, _E13 = 1 / 479001600, 1 / 6227020800
_L3, _L5, _L7, _L9, _L11 = 1 / 3, 1 / 5, 1 / 7, 1 / 9, 1 / 11
_L13, _L15, _L17, _L19, _L21 = 1 / 13, 1 / 15, 1 / 17, 1 / 19, 1 / 21


@compiled
def exp(x):
    """e^x for x <= 700; 0 below x = -700, where it is less than 1e-304."""
    inside = max(x, _SMALLEST)
    shifted = inside * _LOG2E + _SHIFT
    power = shifted - _SHIFT
    r = (inside - power * _LN2_HIGH) - power * _LN2_LOW  # |r| <= ln(2)/2, where r^14/14! < 5e-18
    r2 = r * r
    r4 = r2 * r2
    low = r2 * (_E2 + r * _E3) + r4 * ((_E4 + r * _E5) + r2 * (_E6 + r * _E7))
    high = (_E8 + r * _E9) + r2 * (_E10 + r * _E11) + r4 * (_E12 + r * _E13)
    value = 1.0 + (r + (low + r4 * r4 * high))
    scale = np.int64((np.float64(shifted).view(np.int64) << _52) + _ONE).view(np.float64)
    return value * scale if x >= _SMALLEST else 0.0


@compiled
def log(x):
    """The natural logarithm of a normal float x > 0."""
    bits = np.float64(x).view(np.int64)
    power = (bits >> _52) - 1023
    mantissa = np.int64((bits & _MANTISSA) | _ONE).view(np.float64)
    if mantissa > _SQRT2:
        mantissa *= 0.5
        power += 1
    f = (mantissa - 1.0) / (mantissa + 1.0)  # |f| <= 0.172: log(mantissa) = 2 (f + f^3/3 + f^5/5 + ...)
    s = f * f
    s2 = s * s
    s4 = s2 * s2
    low = (_L3 + s * _L5) + s2 * (_L7 + s * _L9)
    high = (_L11 + s * _L13) + s2 * (_L15 + s * _L17) + s4 * (_L19 + s * _L21)
    series = s * (low + s4 * high)
    return power * _LN2_HIGH + (2.0 * f + (2.0 * f * series + power * _LN2_LOW))
