"""Whether two processes run the same code: counts of another would be wrong numbers under right names."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

ROOMS = ("decoders", "decoding", "laws", "pairs", "runs")
"""What counts hang on: what is decoded, the samplers, and how batches are numbered and seeded."""


@cache
def build() -> dict[str, str]:
    """This process's versions of simlab, numba and Python, and the stamp of the samplers' sources."""
    from simlab.jit import PACKAGE, source_stamp

    stamps = [source_stamp(PACKAGE / room) for room in ROOMS]
    return {
        "simlab": _version("simlab"),
        "numba": _version("numba"),
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "the samplers' code": " ".join(stamps),
    }


def differences(ours: dict[str, str], theirs: dict[str, str]) -> str:
    """In which of `build`'s entries two processes differ, in words; "" where they are the same."""
    told = []
    for name in ours | theirs:
        here, there = ours.get(name, "none"), theirs.get(name, "none")
        if here == there:
            continue
        told.append(name if " " in here + there else f"{name} {there} where this process has {here}")
    return ", ".join(told)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # run from its sources
        return "none"
