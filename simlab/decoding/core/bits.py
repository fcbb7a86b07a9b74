"""Constants of the compiled samplers: typed, as numba makes a float of a uint64 and a plain whole number."""

from __future__ import annotations

import numpy as np

U = np.uint64
U0, U1, U2, U3, U4, U11, U16, U32 = U(0), U(1), U(2), U(3), U(4), U(11), U(16), U(32)
LOW16, LOW32 = U(0xFFFF), U(0xFFFFFFFF)
YES = np.uint16(1)
UNIT = 2.0**-53
"""Of the 53 high bits of a word, as a uniform number in [0, 1)."""
SHORT, HALF, NEAR = np.uint32(0xFFFF), np.uint32(16), np.uint32(2)
"""Of a uint32: its low half, the shift to its high half, and how near to a threshold a coin is a tie."""
