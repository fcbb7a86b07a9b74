"""Counts as bytes: how a batch lies in the ledger.

`SLC1`, then variable-length integers (seven bits a byte, lowest first, the high bit says that more follow):
T, V, trajectories, rejections (T+1), rejections_per_position (T), tokens (T*V, row by row); then the CRC-32
of everything before, as four bytes, lowest first. Counts that have deviations, those of biased decoders,
begin with `SLC2` instead, and D >= 1 deviations follow the tokens, up to the checksum. Counts that have
target calls but no drafted tokens, those of decoders that draft trees, begin with `SLC3`, and the T + 1
target calls follow the tokens. Counts that have drafted tokens, those of decoders that draft windows, begin
with `SLC4`: T, V, trajectories, D + 1, K, then as `SLC3` up to the target calls, drafted_tokens (D+1),
drafted_by_place, reached_by_place, accepted_by_place (K each), checksum. All others keep the bytes they had
before there were any. Counts of environments begin with `SLE1`: K, the K capacities, n, accepted (n*K, row by
row), checksum. Readable without the pair or law. The bytes are a function of the counts alone: no compressor
whose version could change them, so that the ledgers of two machines hold the same rows.
"""

from __future__ import annotations

import zlib

import numpy as np

from simlab.decoding.counts import BY_PLACE, Counts
from simlab.decoding.environments.counts import EnvironmentCounts
from simlab.errors import SimlabError

PLAIN, WITH_DEVIATIONS, WITH_TARGET_CALLS, WITH_WINDOWS = b"SLC1", b"SLC2", b"SLC3", b"SLC4"
ENVIRONMENTS = b"SLE1"
_MAGIC = 4  # bytes that say what follows
_LONGEST = 9  # bytes of a 63-bit number


def encode(counts: Counts | EnvironmentCounts) -> bytes:
    """The bytes of `counts`; every count must lie in 0..2**63 - 1, no decoder has both deviations and target
    calls, and one that has drafted tokens has target calls. Raises ValueError otherwise.
    """
    parts = _of_environments(counts) if isinstance(counts, EnvironmentCounts) else _of_trajectories(counts)
    magic, *numbers = parts
    numbers = np.concatenate(numbers)
    if numbers.min() < 0:
        raise ValueError("counts are never negative")
    body = magic + _varints(numbers.astype(np.uint64))
    return body + zlib.crc32(body).to_bytes(4, "little")


def decode(blob: bytes) -> Counts | EnvironmentCounts:
    """The counts that `encode` wrote. Raises SimlabError for other bytes, and for bytes changed since."""
    body, checksum = blob[:-4], blob[-4:]
    magic = body[:_MAGIC]
    known = magic in (PLAIN, WITH_DEVIATIONS, WITH_TARGET_CALLS, WITH_WINDOWS, ENVIRONMENTS)
    if not known or zlib.crc32(body).to_bytes(4, "little") != checksum:
        raise SimlabError("the counts are damaged: their checksum disagrees")
    numbers = _numbers(np.frombuffer(body, np.uint8)[_MAGIC:])
    if magic == ENVIRONMENTS:
        return _to_environments(numbers)
    return _to_windows(numbers) if magic == WITH_WINDOWS else _to_trajectories(magic, numbers)


def _of_trajectories(counts: Counts) -> tuple:
    horizon, states = counts.tokens.shape
    if counts.deviations.size and counts.target_calls.size:
        raise ValueError("no counts have both deviations and target calls")
    if counts.drafted_tokens.size:
        return _of_windows(counts)
    magic = WITH_DEVIATIONS if counts.deviations.size else PLAIN
    return (
        WITH_TARGET_CALLS if counts.target_calls.size else magic,
        np.array([horizon, states, counts.trajectories], np.int64),
        counts.rejections,
        counts.rejections_per_position,
        counts.tokens.ravel(),
        counts.deviations,
        counts.target_calls,
    )


def _of_windows(counts: Counts) -> tuple:
    horizon, states = counts.tokens.shape
    by_place = [getattr(counts, name) for name in BY_PLACE]
    lengths = counts.drafted_tokens.size, by_place[0].size
    if counts.target_calls.size != horizon + 1 or {part.size for part in by_place} != {lengths[1]}:
        raise ValueError("counts that have drafted tokens have target calls, and all places in the window")
    return (
        WITH_WINDOWS,
        np.array([horizon, states, counts.trajectories, *lengths], np.int64),
        counts.rejections,
        counts.rejections_per_position,
        counts.tokens.ravel(),
        counts.target_calls,
        counts.drafted_tokens,
        *by_place,
    )


def _to_windows(numbers: np.ndarray) -> Counts:
    if len(numbers) < 5:
        raise SimlabError("the counts are damaged: they break off")
    horizon, states, trajectories, drafted, longest = (int(number) for number in numbers[:5])
    lengths = horizon + 1, horizon, horizon * states, horizon + 1, drafted, longest, longest, longest
    if drafted < 1 or len(numbers) != 5 + sum(lengths):
        raise SimlabError(
            f"the counts are damaged: {len(numbers)} numbers for T = {horizon}, V = {states}, "
            f"{drafted} numbers of drafted tokens and {longest} places in the window"
        )
    parts = np.split(numbers[5:], np.cumsum(lengths)[:-1])
    rejections, per_position, tokens, target_calls, *others = parts
    return Counts(
        rejections,
        tokens.reshape(horizon, states),
        per_position,
        trajectories,
        np.zeros(0, np.int64),
        target_calls,
        *others,
    )


def _to_trajectories(magic: bytes, numbers: np.ndarray) -> Counts:
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


def _of_environments(counts: EnvironmentCounts) -> tuple:
    number, count = counts.accepted.shape
    return (
        ENVIRONMENTS,
        np.array([count], np.int64),
        counts.capacities,
        np.array([number], np.int64),
        counts.accepted.ravel(),
    )


def _to_environments(numbers: np.ndarray) -> EnvironmentCounts:
    count = int(numbers[0])
    if not 0 < count < len(numbers) - 1 or len(numbers) != 2 + count + int(numbers[1 + count]) * count:
        raise SimlabError(f"the counts are damaged: {len(numbers)} numbers for K = {count}")
    return EnvironmentCounts(numbers[1 : 1 + count], numbers[2 + count :].reshape(-1, count))


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
