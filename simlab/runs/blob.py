"""Counts as bytes: how a batch lies in the ledger.

`SLC1`, then variable-length integers (seven bits a byte, lowest first, the high bit says that more follow):
T, V, trajectories, rejections (T+1), rejections_per_position (T), tokens (T*V, row by row); then the CRC-32
of everything before, as four bytes, lowest first. Counts that have deviations, those of biased decoders,
begin with `SLC2` instead, and D >= 1 deviations follow the tokens, up to the checksum. Counts that have
target calls, those of decoders that draft trees, begin with `SLC3`, and the T + 1 target calls follow the
tokens. All others keep the bytes they had before there were any. Readable without the pair. The bytes are a
function of the counts alone: no compressor whose version could change them, so that the ledgers of two
machines hold the same rows.
"""

from __future__ import annotations

import zlib

import numpy as np

from simlab.decoding.counts import Counts
from simlab.errors import SimlabError

PLAIN, WITH_DEVIATIONS, WITH_TARGET_CALLS = b"SLC1", b"SLC2", b"SLC3"
_LONGEST = 9  # bytes of a 63-bit number


def encode(counts: Counts) -> bytes:
    """The bytes of `counts`; every count must lie in 0..2**63 - 1, and no decoder has both deviations and
    target calls. Raises ValueError otherwise.
    """
    horizon, states = counts.tokens.shape
    if counts.deviations.size and counts.target_calls.size:
        raise ValueError("no counts have both deviations and target calls")
    numbers = np.concatenate(
        [
            np.array([horizon, states, counts.trajectories], np.int64),
            counts.rejections,
            counts.rejections_per_position,
            counts.tokens.ravel(),
            counts.deviations,
            counts.target_calls,
        ]
    )
    if numbers.min() < 0:
        raise ValueError("counts are never negative")
    magic = WITH_DEVIATIONS if counts.deviations.size else PLAIN
    magic = WITH_TARGET_CALLS if counts.target_calls.size else magic
    body = magic + _varints(numbers.astype(np.uint64))
    return body + zlib.crc32(body).to_bytes(4, "little")


def decode(blob: bytes) -> Counts:
    """The counts that `encode` wrote. Raises SimlabError for other bytes, and for bytes changed since."""
    body, checksum = blob[:-4], blob[-4:]
    magic = body[: len(PLAIN)]
    known = magic in (PLAIN, WITH_DEVIATIONS, WITH_TARGET_CALLS)
    if not known or zlib.crc32(body).to_bytes(4, "little") != checksum:
        raise SimlabError("the counts are damaged: their checksum disagrees")
    numbers = _numbers(np.frombuffer(body, np.uint8)[len(magic) :])
    if len(numbers) < 3:
        raise SimlabError("the counts are damaged: they break off")
    horizon, states, trajectories = (int(number) for number in numbers[:3])
    more = len(numbers) - (3 + 2 * horizon + 1 + horizon * states)
    sound = {PLAIN: more == 0, WITH_DEVIATIONS: more > 0, WITH_TARGET_CALLS: more == horizon + 1}
    if not sound[magic]:
        raise SimlabError(f"the counts are damaged: {len(numbers)} numbers for T = {horizon}, V = {states}")
    ends = np.cumsum([horizon + 1, horizon, horizon * states])
    rejections, per_position, tokens, last = np.split(numbers[3:], ends)
    parts = rejections, tokens.reshape(horizon, states), per_position, trajectories
    if magic == WITH_TARGET_CALLS:
        return Counts(*parts, target_calls=last)
    return Counts(*parts, deviations=last)


def _varints(numbers: np.ndarray) -> bytes:
    lengths = np.ones(len(numbers), np.int64)
    for byte in range(1, _LONGEST):
        lengths += numbers >= np.uint64(1 << 7 * byte)
    ends = np.cumsum(lengths)
    starts = ends - lengths
    out = np.empty(int(ends[-1]), np.uint8)
    rest = np.arange(len(numbers))
    for byte in range(int(lengths.max())):
        rest = rest[lengths[rest] > byte]
        more = (lengths[rest] > byte + 1).astype(np.uint8) << 7
        digits = (numbers[rest] >> np.uint64(7 * byte)).astype(np.uint8) & 0x7F
        out[starts[rest] + byte] = digits | more
    return out.tobytes()


def _numbers(data: np.ndarray) -> np.ndarray:
    ends = np.flatnonzero(data < 0x80)
    if not len(ends) or ends[-1] != len(data) - 1:
        raise SimlabError("the counts are damaged: they break off")
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > _LONGEST:
        raise SimlabError("the counts are damaged: a number is too long")
    out = np.zeros(len(ends), np.int64)
    rest = np.arange(len(ends))
    for byte in range(int(lengths.max())):
        rest = rest[lengths[rest] > byte]
        out[rest] |= (data[starts[rest] + byte] & 0x7F).astype(np.int64) << 7 * byte
    return out
