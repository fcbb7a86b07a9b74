"""Counts as bytes: exact round trip, readable without the pair, and damage that does not go unseen."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab import SimlabError
from simlab.decoding import Counts
from simlab.decoding.counts import OPTIONAL
from simlab.runs.blob import counts_from_bytes, counts_to_bytes

numbers = st.integers(0, 2**63 - 1) | st.integers(0, 300) | st.integers(0, 62).map(lambda bits: 1 << bits)


@st.composite
def counts(draw) -> Counts:
    horizon, states = draw(st.integers(1, 5)), draw(st.integers(1, 6))

    def array(*shape):
        size = int(np.prod(shape))
        return np.array(draw(st.lists(numbers, min_size=size, max_size=size)), np.int64).reshape(shape)

    kinds = [(0, 0), (0, 0), (1, 0), (2, 0), (9, 0), (0, horizon + 1)]
    levels, calls = draw(st.sampled_from(kinds))
    drafted, places = draw(st.sampled_from([(0, 0), (1, 0), (7, 3)])) if calls else (0, 0)
    parts = array(horizon + 1), array(horizon, states), array(horizon), draw(numbers)
    nodes = draw(st.sampled_from([0, places]))
    by_position = (array(size) for size in (places, places, places, nodes))
    return Counts(
        *parts, dict(zip(OPTIONAL, (array(levels), array(calls), array(drafted), *by_position), strict=True))
    )


@given(counts())
def test_round_trip(some):
    blob = counts_to_bytes(some)
    again = counts_from_bytes(blob)
    assert again == some
    assert again.tokens.dtype == again.rejections.dtype == np.int64
    assert again.deviations.dtype == again.target_calls.dtype == again.drafted_tokens.dtype == np.int64
    kinds = some.nodes_by_position, some.drafted_tokens, some.target_calls, some.deviations
    kind = next((magic for magic, values in zip("5432", kinds, strict=True) if values.size), "1")
    assert blob[:4].decode() == "SLC" + kind
    assert counts_to_bytes(again) == blob


@given(counts(), st.data())
def test_every_changed_byte_is_noticed(some, data):
    blob = bytearray(counts_to_bytes(some))
    place = data.draw(st.integers(0, len(blob) - 1))
    blob[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SimlabError, match="damaged"):
        counts_from_bytes(bytes(blob))


@given(counts(), st.data())
def test_every_missing_end_is_noticed(some, data):
    blob = counts_to_bytes(some)
    with pytest.raises(SimlabError, match="damaged"):
        counts_from_bytes(blob[: data.draw(st.integers(0, len(blob) - 1))])


@pytest.mark.parametrize(
    "body",
    [
        b"SLC1",
        b"SLC1\x01",
        b"SLC1\x80",
        b"SLC1\x01\x01\x01",
        b"SLC1" + b"\xff" * 12 + b"\x01",
        b"SLC1" + bytes([1, 1, 1, 0, 1, 1, 1, 5]),  # deviations in counts that have none
        b"SLC2" + bytes([1, 1, 1, 0, 1, 1, 1]),  # and none in counts that have them
        b"SLC2" + bytes([1, 1, 1, 0, 1, 1]),
        b"SLC2" + b"\xff" * 8 + b"\x7f" + b"\x01" * 9,
        b"SLC3" + bytes([1, 1, 1, 0, 1, 1, 1]),  # no target calls, too few, too many
        b"SLC3" + bytes([1, 1, 1, 0, 1, 1, 1, 0]),
        b"SLC3" + bytes([1, 1, 1, 0, 1, 1, 1, 0, 1, 0]),
        b"SLC4" + bytes([1, 1, 1, 0]),  # lengths missing
        b"SLC4" + bytes([1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 1]),  # no numbers of drafted tokens
        b"SLC4" + bytes([1, 1, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 0, 0]),  # a position too few, one too many
        b"SLC4" + bytes([1, 1, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 0, 0, 0, 0]),
        b"SLC4" + b"\xff" * 8 + b"\x7f" + b"\x01" * 16,
        b"SLC5" + bytes([1, 1, 1, 0, 1, 1, 1]),
    ],
)
def test_a_sound_checksum_does_not_excuse_a_wrong_layout(body):
    with pytest.raises(SimlabError, match="damaged"):
        counts_from_bytes(body + zlib.crc32(body).to_bytes(4, "little"))


def test_the_bytes_are_fixed():
    some = Counts(np.array([5, 300]), np.array([[128, 177]]), np.array([300]), 305)
    body = b"SLC1" + bytes([1, 2, 0xB1, 2, 5, 0xAC, 2, 0xAC, 2, 0x80, 1, 0xB1, 1])
    assert counts_to_bytes(some) == body + zlib.crc32(body).to_bytes(4, "little")


def test_the_bytes_of_deviations_are_fixed():
    """All that follows the first four bytes is as without them, and the deviations come last."""
    parts = np.array([5, 300]), np.array([[128, 177]]), np.array([300]), 305
    body = b"SLC2" + counts_to_bytes(Counts(*parts))[4:-4] + bytes([0xAC, 2, 5, 0])
    assert counts_to_bytes(Counts(*parts, deviations=np.array([300, 5, 0]))) == body + zlib.crc32(
        body
    ).to_bytes(4, "little")


def test_the_bytes_of_target_calls_are_fixed():
    parts = np.array([5, 300]), np.array([[128, 177]]), np.array([300]), 305
    body = b"SLC3" + counts_to_bytes(Counts(*parts))[4:-4] + bytes([0, 0xB1, 2])
    counts = Counts(*parts, target_calls=np.array([0, 305]))
    assert counts_to_bytes(counts) == body + zlib.crc32(body).to_bytes(4, "little")
    assert counts_from_bytes(counts_to_bytes(counts)) == counts


def test_the_bytes_of_windows_are_fixed():
    """The lengths stand at the beginning: D + 1 = 3 numbers of drafted tokens, K = 2 positions."""
    parts = np.array([5, 300]), np.array([[128, 177]]), np.array([300]), 305
    by_position = np.array([300, 5]), np.array([200, 4]), np.array([3, 2])
    counts = Counts(
        *parts,
        dict(zip(OPTIONAL[1:6], (np.array([0, 305]), np.array([1, 2, 302]), *by_position), strict=True)),
    )
    body = (
        b"SLC4" + bytes([1, 2, 0xB1, 2, 3, 2]) + counts_to_bytes(Counts(*parts))[8:-4] + bytes([0, 0xB1, 2])
    )
    body += bytes([1, 2, 0xAE, 2]) + bytes([0xAC, 2, 5]) + bytes([0xC8, 1, 4]) + bytes([3, 2])
    assert counts_to_bytes(counts) == body + zlib.crc32(body).to_bytes(4, "little")
    assert counts_from_bytes(counts_to_bytes(counts)) == counts


@given(
    counts(),
    st.dictionaries(
        st.text(st.characters(codec="utf-8")), st.lists(numbers, min_size=1, max_size=9), min_size=1
    ),
)
def test_histograms_of_any_name_make_the_round_trip(some, named):
    histograms = {name: np.array(values, np.int64) for name, values in named.items()}
    more = replace(some, histograms={**some.histograms, **histograms})
    blob = counts_to_bytes(more)
    again = counts_from_bytes(blob)
    assert again == more != replace(some, histograms={})
    assert counts_to_bytes(again) == blob
    assert blob[:4] == b"SLC5" or set(named) <= set(OPTIONAL)


def test_the_bytes_of_other_histograms_are_fixed():
    parts = np.array([5, 300]), np.array([[128, 177]]), np.array([300]), 305
    some = Counts(*parts, {"b": np.array([7]), "a": np.array([300, 1])})
    body = b"SLC5" + bytes([1, 2, 0xB1, 2, 2, 1, 97, 2, 1, 98, 1]) + counts_to_bytes(Counts(*parts))[8:-4]
    body += bytes([0xAC, 2, 1, 7])
    assert counts_to_bytes(some) == body + zlib.crc32(body).to_bytes(4, "little")


def test_small_counts_take_one_byte_a_cell():
    some = Counts.zero(50, 2000)
    assert len(counts_to_bytes(some)) < 50 * 2000 + 200


def test_negative_counts_are_refused():
    with pytest.raises(ValueError, match="never negative"):
        counts_to_bytes(Counts(np.array([-1, 1]), np.zeros((1, 1), int), np.zeros(1, int), 0))


def test_the_bytes_keep_the_old_spelling_of_names():
    """What a ledger has under drafted_by_place is drafted_by_position, and is written as it was."""
    parts = np.array([5, 300]), np.array([[128, 177]]), np.array([300]), 305
    some = Counts(*parts, {"drafted_by_place": np.array([9]), "drafted_by_pn": np.array([7])})
    assert list(some.histograms) == ["drafted_by_pn", "drafted_by_position"]
    blob = counts_to_bytes(some)
    assert blob.index(b"drafted_by_place") < blob.index(b"drafted_by_pn") and blob[-6:-4] == bytes([9, 7])
    assert counts_from_bytes(blob) == some
