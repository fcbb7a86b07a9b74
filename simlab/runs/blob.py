"""Counts as bytes: how a batch lies in the ledger.

`SLC1`, then variable-length integers (seven bits a byte, lowest first, the high bit says that more follow):
T, V, trajectories, rejections (T+1), rejections_per_position (T), tokens (T*V, row by row); then the CRC-32
of everything before, as four bytes, lowest first. Counts that have deviations, those of biased decoders,
begin with `SLC2` instead, and D >= 1 deviations follow the tokens, up to the checksum. Counts that have
target calls but no drafted tokens, those of decoders that draft trees, begin with `SLC3`, and the T + 1
target calls follow the tokens. Counts that have drafted tokens, those of decoders that draft windows, begin
with `SLC4`: T, V, trajectories, D + 1, K, then as `SLC3` up to the target calls, drafted_tokens (D+1),
drafted_by_position, reached_by_position, accepted_by_position (K each), checksum. Counts with any other
histograms begin with `SLC5`: T, V, trajectories, the number of histograms, for each, by name, the length of
its name in UTF-8, the bytes of the name and its length, then as `SLC1` up to the tokens, the histograms in
the same order, checksum; there the names that end in _by_position end in _by_place, as they did before. All
others keep the bytes they had before there were any. Counts of environments begin with
`SLE1`: K, the K capacities, n, accepted (n*K, row by row), checksum. Readable without the pair or
distribution. The bytes are a function of the counts alone: no compressor whose version could change them, so
that the ledgers of two machines hold the same rows.
"""

from __future__ import annotations

import zlib

import numpy as np

from simlab.decoding.counts import BY_POSITION, OLD_NAMES, Counts
from simlab.decoding.environments.counts import EnvironmentCounts
from simlab.errors import SimlabError

PLAIN, WITH_DEVIATIONS, WITH_TARGET_CALLS, WITH_WINDOWS = b"SLC1", b"SLC2", b"SLC3", b"SLC4"
OPEN, ENVIRONMENTS = b"SLC5", b"SLE1"
NAMES = {PLAIN: (), WITH_DEVIATIONS: ("deviations",), WITH_TARGET_CALLS: ("target_calls",)}
WINDOW_NAMES = ("target_calls", "drafted_tokens", *BY_POSITION)
_WRITTEN = {new: old for old, new in OLD_NAMES.items()}
_MAGIC = 4  # bytes that say what follows
_LONGEST = 9  # bytes of a 63-bit number


def counts_to_bytes(counts: Counts | EnvironmentCounts) -> bytes:
    """The bytes of `counts`; every count must lie in 0..2**63 - 1. Raises ValueError otherwise."""
    parts = _of_environments(counts) if isinstance(counts, EnvironmentCounts) else _of_trajectories(counts)
    magic, *numbers = parts
    numbers = np.concatenate(numbers)
    if numbers.min() < 0:
        raise ValueError("counts are never negative")
    body = magic + _varints(numbers.astype(np.uint64))
    return body + zlib.crc32(body).to_bytes(4, "little")


def counts_from_bytes(blob: bytes) -> Counts | EnvironmentCounts:
    """The counts that `counts_to_bytes` wrote. Raises SimlabError for other or changed bytes."""
    body, checksum = blob[:-4], blob[-4:]
    magic = body[:_MAGIC]
    known = magic in (PLAIN, WITH_DEVIATIONS, WITH_TARGET_CALLS, WITH_WINDOWS, OPEN, ENVIRONMENTS)
    if not known or zlib.crc32(body).to_bytes(4, "little") != checksum:
        raise SimlabError("the counts are damaged: their checksum disagrees")
    numbers = _numbers(np.frombuffer(body, np.uint8)[_MAGIC:])
    if magic == ENVIRONMENTS:
        return _to_environments(numbers)
    return _to_trajectories(magic, numbers)


def _of_trajectories(counts: Counts) -> tuple:
    horizon, states = counts.tokens.shape
    magic, names, header = _layout(counts)
    return (
        magic,
        np.array([horizon, states, counts.trajectories, *header], np.int64),
        counts.rejections,
        counts.rejections_per_position,
        counts.tokens.ravel(),
        *(counts.histograms.get(name, np.zeros(0, np.int64)) for name in names),
    )


def _layout(counts: Counts) -> tuple[bytes, tuple[str, ...], list[int]]:
    """The oldest format that holds the histograms, their names in its order, and what it says of lengths."""
    sizes = {name: len(values) for name, values in counts.histograms.items()}
    lengths = {sizes.pop(name, 0) for name in BY_POSITION}
    sound = sizes.get("target_calls", counts.horizon + 1) == counts.horizon + 1
    if lengths == {0} and sound and tuple(sizes) in NAMES.values():
        magic = next(magic for magic, names in NAMES.items() if names == tuple(sizes))
        return magic, NAMES[magic], []
    if len(lengths) == 1 and sound and sizes.keys() == {"target_calls", "drafted_tokens"}:
        return WITH_WINDOWS, WINDOW_NAMES, [sizes["drafted_tokens"], *lengths]
    header = [len(counts.histograms)]
    ordered = sorted((_WRITTEN.get(name, name), name) for name in counts.histograms)
    for written, name in ordered:
        spelled = written.encode()
        header += [len(spelled), *spelled, len(counts.histograms[name])]
    return OPEN, tuple(name for _, name in ordered), header


def _to_trajectories(magic: bytes, numbers: np.ndarray) -> Counts:
    if len(numbers) < 5:
        raise SimlabError("the counts are damaged: they break off")
    horizon, states, trajectories = (int(number) for number in numbers[:3])
    rest, ordinary = numbers[3:], (horizon + 1, horizon, horizon * states)
    if magic == OPEN:
        lengths, rest = _named_lengths(rest)
    elif magic == WITH_WINDOWS:
        drafted, longest = int(rest[0]), int(rest[1])
        lengths = dict(zip(WINDOW_NAMES, (horizon + 1, drafted, *[longest] * 3), strict=True))
        lengths, rest = lengths if drafted else {"drafted_tokens": -1}, rest[2:]
    else:
        more = horizon + 1 if magic == WITH_TARGET_CALLS else len(rest) - sum(ordinary)
        lengths = dict.fromkeys(NAMES[magic], more or -1)
    if min(lengths.values(), default=0) < 0 or len(rest) != sum(ordinary) + sum(lengths.values()):
        raise SimlabError(f"the counts are damaged: {len(numbers)} numbers for T = {horizon}, V = {states}")
    parts = np.split(rest, np.cumsum([*ordinary, *lengths.values()])[:-1])
    rejections, per_position, tokens, *others = parts
    histograms = dict(zip(lengths, others, strict=False))
    return Counts(rejections, tokens.reshape(horizon, states), per_position, trajectories, histograms)


def _named_lengths(numbers: np.ndarray) -> tuple[dict[str, int], np.ndarray]:
    """The lengths of the histograms by name, and the numbers that follow them."""
    lengths, (count, *rest) = {}, numbers.tolist()
    try:
        for _ in range(count):
            size, *rest = rest
            name, (length, *rest) = bytes(rest[:size]).decode(), rest[size:]
            lengths[name] = length
    except ValueError as error:  # a name that breaks off, or is not UTF-8
        raise SimlabError("the counts are damaged: the names of their histograms are not whole") from error
    if list(lengths) != sorted(lengths) or len(lengths) != count or 0 in lengths.values():
        raise SimlabError("the counts are damaged: the names of their histograms are not in order")
    return lengths, np.array(rest, np.int64)


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
