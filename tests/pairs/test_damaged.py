"""A pair's file that is damaged is one line, whatever the damage."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab import SimlabError
from simlab.pairs import paper
from simlab.pairs.pair import ChainPair


def _saved(save) -> bytes:
    pair, file = paper(horizon=3, states=4), io.BytesIO()
    save(file, draft=pair.draft, target=pair.target, initial=pair.initial)
    return file.getvalue()


PACKED, PLAIN = _saved(np.savez_compressed), _saved(np.savez)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged") / "pair.npz"


def _load(path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        ChainPair.load(path)
    except SimlabError as error:
        assert str(path) in str(error) and "\n" not in str(error)


@given(st.sampled_from([PACKED, PLAIN]), st.integers(0), st.binary(min_size=1, max_size=30))
def test_bytes_that_were_overwritten(path, content, at, damage):
    at %= len(content)
    _load(path, content[:at] + damage + content[at + len(damage) :])


@given(st.sampled_from([PACKED, PLAIN]), st.integers(0))
def test_a_file_that_breaks_off(path, content, at):
    _load(path, content[: at % len(content)])


@pytest.mark.parametrize(("byte", "flag"), [(8, 99), (6, 1)])
def test_a_way_of_packing_that_is_not_known_and_a_password(path, byte, flag):
    content, directory = bytearray(PACKED), PACKED.find(b"PK\x01\x02")
    content[byte] = content[directory + byte + 2] = flag
    path.write_bytes(content)
    with pytest.raises(SimlabError, match="is not a readable .npz file"):
        ChainPair.load(path)
