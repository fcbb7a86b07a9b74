"""How much memory there is, and whether what is about to be built fits into it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

from simlab.errors import SimlabError

UNASKED = 2**26
"""Up to so many bytes nobody looks whether they fit."""

WORTH_TELLING = 2**30
"""Bytes from which a command says, before it starts, how much memory it will take."""


def gibibytes(number: float) -> str:
    """So many bytes in words."""
    return f"{number / 2**30:.1f} GiB"


def check_fits(what: str, needed: float, mend: str) -> None:
    """Raises SimlabError where so many more bytes are not available.

    what: e.g. "the sampler's tables need"; mend: what is expected instead, e.g. "fewer tokens".
    """
    if needed > UNASKED and needed > (there_is := available_memory()):
        raise SimlabError(
            f"{what} {gibibytes(needed)} of memory, more than there is ({gibibytes(there_is)} available); "
            f"expected {mend}"
        )


def available_memory(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> float:
    """Bytes that this process and its children can still take, without anything being killed for it.

    The least of: what the kernel counts as available (where it does not say, all that the machine has), what
    is left below the limits of the control groups that the process is in (containers, batch schedulers), and
    what is left of the process's address space under `ulimit -v`. math.inf where nothing is known.
    """
    limits = [_free_on_machine(proc), _address_space_left(proc), *_left_in_cgroups(proc, cgroups)]
    return max(0.0, min(limits))


def _free_on_machine(proc: Path) -> float:
    try:
        for line in (proc / "meminfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                return float(value.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        pass  # not Linux, or an old one
    try:
        return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return math.inf


def _address_space_left(proc: Path) -> float:
    try:
        import resource
    except ImportError:  # Windows
        return math.inf
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return math.inf
    try:
        used = int((proc / "self" / "statm").read_text().split()[0]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        used = 0
    return float(limit - used)


def _left_in_cgroups(proc: Path, cgroups: Path) -> Iterator[float]:
    """What is left in each memory group that the process is in, from its own up to the root."""
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2
            root, names = cgroups, ("memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            root, names = cgroups / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        group = Path(path.strip("/"))
        for folder in (group, *group.parents):
            limit, used = (_number(root / folder / name) for name in names)
            if limit is not None and used is not None:
                yield limit - used + _cached_files(root / folder / "memory.stat")


def _number(path: Path) -> float | None:
    """The number in a file; None where there is none, or the word for no limit."""
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return None


def _cached_files(path: Path) -> float:
    """Bytes of files that the group's usage counts, and that give way to whoever needs memory."""
    try:
        entries = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return 0.0
    stat = {entry[0]: float(entry[1]) for entry in entries if len(entry) == 2}
    return sum(stat.get(f"total_{name}", stat.get(name, 0.0)) for name in ("inactive_file", "active_file"))
