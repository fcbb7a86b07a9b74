"""The traces that the package carries: recorded by `simlab record`, read without a model."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from simlab.checks import shortened
from simlab.errors import SimlabError
from simlab.traces.trace import Trace

ENDING = ".parquet"


def bundled_names() -> tuple[str, ...]:
    """The names of the bundled traces, in alphabetical order."""
    names = [file.name for file in _folder().iterdir()]
    return tuple(sorted(name.removesuffix(ENDING) for name in names if name.endswith(ENDING)))


def bundled(name: str) -> Trace:
    """A bundled trace by its name; its provenance says how it was recorded, simlab/models/README.md by which
    command. Raises SimlabError, naming those that there are, for an unknown name.
    """
    known = bundled_names()
    if name not in known:
        raise SimlabError(f"{shortened(name)} is not a bundled trace; known are {', '.join(known)}")
    return Trace.read(bundled_path(name))


def bundled_path(name: str) -> Path:
    """The file of a bundled trace, for commands that take one."""
    return Path(str(_folder() / f"{name}{ENDING}"))


def _folder():
    return files("simlab.traces") / "data"
