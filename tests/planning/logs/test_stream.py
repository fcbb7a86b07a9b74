"""Logs come plain, compressed, from a pipe and from Windows; what is not a text is refused in a line."""

import bz2
import gzip
import io
import lzma
import sys
import types

import pytest

from simlab.errors import SimlabError
from simlab.planning.logs import read_log
from tests.planning.logs import writers

TEXT = "\n".join([*writers.NOISE, writers.vllm(87, [70, 55, 42], 261), *writers.NOISE, ""]).encode()


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, bz2.compress, lzma.compress], ids="plain gz bz2 xz".split()
)
def test_compressed_logs_are_known_by_their_first_bytes(tmp_path, pack):
    path = tmp_path / "log.1"
    path.write_bytes(pack(TEXT))
    (reading,) = read_log(path)
    assert (reading.calls, reading.by_position.tolist()) == (87, [70, 55, 42])


def test_a_compressed_log_that_is_still_written_is_read_as_far_as_it_goes(tmp_path):
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(TEXT * 50)[:-9])
    (reading,) = read_log(path)
    assert reading.lines == 50


def test_a_damaged_one_is_told(tmp_path):
    path = tmp_path / "log.xz"
    packed = bytearray(lzma.compress(TEXT * 50))
    packed[40] ^= 255
    path.write_bytes(packed)
    with pytest.raises(SimlabError, match="log.xz cannot be read as xz"):
        read_log(path)


def test_zstandard_is_read_by_a_module_or_its_absence_told(tmp_path, monkeypatch):
    """The module of the test unpacks nothing: what is tested is that it is asked."""
    path = tmp_path / "log.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + b"packed")
    for name in ("compression.zstd", "compression", "zstandard", "pyzstd"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SimlabError, match="log.zst is compressed by zstd: pip install zstandard"):
        read_log(path)
    unpacking = types.SimpleNamespace(open=lambda file: io.BytesIO(TEXT))
    monkeypatch.setitem(sys.modules, "zstandard", unpacking)
    assert read_log(path)[0].calls == 87


def test_a_log_that_windows_redirected_is_read(tmp_path):
    path = tmp_path / "log.txt"
    path.write_bytes(TEXT.decode().replace("\n", "\r\n").encode("utf-16"))
    assert read_log(path)[0].by_position.tolist() == [70, 55, 42]


def test_standard_input_is_read_once(monkeypatch):
    stdin = types.SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(gzip.compress(TEXT))))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert read_log("-")[0].calls == 87


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"\x7fELF\0\0", "is not a text"), (b"", "no statistic"), (None, "log: no file")],
    ids=["binary", "empty", "absent"],
)
def test_what_cannot_be_read_is_one_line(tmp_path, content, told):
    path = tmp_path / "log"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SimlabError, match=told):
        read_log(path)


def test_a_large_log_takes_no_more_memory_than_a_small_one(tmp_path, monkeypatch):
    """Pieces are handed on and forgotten: none is longer than a chunk and its margins."""
    from simlab.planning.logs import piece, scan, stream

    path, longest = tmp_path / "log", []
    path.write_bytes(TEXT * 8000)
    lines = piece.Piece.lines
    monkeypatch.setattr(piece.Piece, "lines", lambda one, to: longest.append(len(one.text)) or lines(one, to))
    assert scan.read_log(path)[0].lines == 8000
    assert len(longest) > 3 and max(longest) <= stream.CHUNK + stream.HEAD + 3 * piece.MARGIN
