"""The text of a log in chunks: plain or compressed, from a file or a pipe."""

from __future__ import annotations

import bz2
import codecs
import gzip
import importlib
import lzma
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from simlab.errors import SimlabError

PIPE = "-"
CHUNK = 2**20
HEAD = 2**16
UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
"""What a redirect on Windows writes."""

COMPRESSED = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zst"}
"""First bytes of compressed files; the name of a file is not asked."""

BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError)


def chunks(name: str) -> Iterator[bytes]:
    """The log's text, in pieces of about CHUNK bytes, in UTF-8 or whatever the log has for ASCII.

    name: a path, or - for standard input. A compressed file that ends early is read as far as it goes, as a
    log that is being written does. Raises SimlabError for what is not a readable text.
    """
    with _opened(name) as (file, packed):
        stream = _unpacked(name, file, packed)
        text = _read(name, stream, HEAD, packed)
        coding = next((coding for mark, coding in UTF16.items() if text.startswith(mark)), None)
        if coding is None and b"\0" in text:
            raise SimlabError(f"{name} is not a text: give an engine's log, or its metrics as text")
        decode = codecs.getincrementaldecoder(coding)("replace").decode if coding else None
        while text:
            yield decode(text).encode() if decode else text
            text = _read(name, stream, CHUNK, packed)


@contextmanager
def _opened(name: str) -> Iterator[tuple[BinaryIO, str | None]]:
    """The file, buffered, and how it is compressed."""
    if name == PIPE:
        yield sys.stdin.buffer, _packing(sys.stdin.buffer)
        return
    path = Path(name).expanduser()
    if not path.exists():
        raise SimlabError(f"log: no file {name}")
    try:
        file = path.open("rb")
    except OSError as error:
        raise SimlabError(f"{name} cannot be read: {error.strerror or error}") from error
    with file:
        yield file, _packing(file)


def _packing(file: BinaryIO) -> str | None:
    head = file.peek(8)
    return next((packing for magic, packing in COMPRESSED.items() if head.startswith(magic)), None)


def _unpacked(name: str, file: BinaryIO, packing: str | None) -> BinaryIO:
    if packing is None:
        return file
    if packing == "zst":
        return _zstandard(name, file)
    return {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}[packing](file)


def _zstandard(name: str, file: BinaryIO) -> BinaryIO:
    """Python has it from 3.14 on; older ones where a package is there."""
    for module, opener in (("compression.zstd", "ZstdFile"), ("zstandard", "open"), ("pyzstd", "ZstdFile")):
        try:
            return getattr(importlib.import_module(module), opener)(file)
        except ImportError:
            continue
    raise SimlabError(f"{name} is compressed by zstd: pip install zstandard, or zstd -dc {name} | .. log=-")


def _read(name: str, stream: BinaryIO, size: int, packed: str | None) -> bytes:
    """Up to so many bytes, none at the end; of a pipe what is there."""
    try:
        return stream.read1(size) if hasattr(stream, "read1") else stream.read(size)
    except EOFError:
        return b""
    except BROKEN as error:
        kind = f"as {packed} " if packed else ""
        raise SimlabError(f"{name} cannot be read {kind}({' '.join(str(error).split())})") from error
