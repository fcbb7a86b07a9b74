"""Compilation: numba's njit with an on-disk cache that notices an edit in any file of the function's room.

numba keys a cached function by its own file alone. A kernel inlines helpers from its neighbours, so that an
edited helper would go unnoticed; the stamp of every cached function is therefore the hash of all sources of
its room: the folder right under the package, with all that lies in it. Compiled functions call compiled
functions of their own room only: theory and decoding, which both compile, share this wrapper and no kernel.

A file of the cache may be damaged. numba would fail over it or, where a byte of machine code was flipped, run
it: each file carries a digest, and one that disagrees is compiled anew and overwritten.
"""

from __future__ import annotations

import hashlib
import inspect
import pickle
from functools import cache
from pathlib import Path

import numba
from numba.core.caching import IndexDataCacheFile

PACKAGE = Path(__file__).resolve().parent
_DIGEST = 16  # bytes


@cache
def source_stamp(folder: Path) -> str:
    """SHA-256 over the names and contents of all `.py` files below a folder, and of this one."""
    sha = hashlib.sha256()
    for path in [PACKAGE / "jit.py", *sorted(folder.rglob("*.py"))]:
        sha.update(str(path.relative_to(PACKAGE)).encode() + b"\0" + path.read_bytes() + b"\0")
    return sha.hexdigest()


def inlined(function):
    """`function` for use inside compiled ones, put in their place before anything is optimised.

    For the few bodies of vector loops that return more than one value, which LLVM inlines too late.
    """
    return numba.njit(inline="always")(function)


def compiled(function):
    """`function` compiled at its first call, or loaded from the cache; itself under NUMBA_DISABLE_JIT=1.

    No fastmath and no bounds checks; the GIL is released. numba keeps the cache beside the source or, where
    that folder cannot be written, in the user's cache folder; where neither can be, the function is compiled
    anew in each process.
    """
    if numba.config.DISABLE_JIT:
        return function
    try:
        dispatcher = numba.njit(cache=True, nogil=True, boundscheck=False)(function)
    except RuntimeError:  # numba found no folder that it may write
        return numba.njit(nogil=True, boundscheck=False)(function)
    # numba has no public way to widen the stamp; a test fails if a release moves this. It reads the version
    # before it unpickles the rest, which would fail over a NamedTuple that has another name by now.
    cache, stamp = dispatcher._cache, source_stamp(_room_of(function))
    files = CheckedFiles(cache._cache_path, cache._impl.filename_base, cache._cache_file._source_stamp)
    files._version = (files._version, stamp)
    cache._cache_file = files
    return dispatcher


class CheckedFiles(IndexDataCacheFile):
    """numba's cache of one function: an index and a file a signature, each pickled behind a digest."""

    def _dump(self, obj) -> bytes:
        data = super()._dump(obj)
        return _digest(data) + data

    def _load_index(self) -> dict:
        try:
            with open(self._index_path, "rb") as file:
                version, data = pickle.load(file), file.read()
            stamp, overloads = pickle.loads(_checked(data)) if version == self._version else (None, {})
        except Exception:  # not there or damaged, and a pickle may fail in any way
            return {}
        return overloads if stamp == self._source_stamp else {}

    def _load_data(self, name: str):
        return pickle.loads(_checked(Path(self._data_path(name)).read_bytes()))


def _checked(data: bytes) -> bytes:
    """What follows the digest; OSError, which numba takes for a file that is gone, where it disagrees."""
    digest, rest = data[:_DIGEST], data[_DIGEST:]
    if _digest(rest) != digest:
        raise OSError("the digest of a file in the cache disagrees")
    return rest


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST).digest()


def _room_of(function) -> Path:
    return PACKAGE / Path(inspect.getfile(function)).resolve().relative_to(PACKAGE).parts[0]
