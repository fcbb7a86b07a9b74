"""Finds a function that the user names: module:function or file.py:function."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from simlab.errors import SimlabError


def load_function(
    named: str, kinds: str = "module:function or file.py:function", options: Mapping | None = None
) -> Callable:
    """The function; a class is made with the options, and its instance is called.

    kinds: what can be named, for the message. options: for a class alone. Raises SimlabError where the name
    is not module:function or file.py:function, nothing of that name is there, importing it fails, or it
    cannot be called.
    """
    where, colon, attribute = named.rpartition(":")
    if not (colon and where and attribute):
        raise SimlabError(f"{named}: expected {kinds}")
    found = _module(where)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise SimlabError(f"{named}: {where} has no {attribute}")
        found = getattr(found, part)
    if isinstance(found, type):
        try:
            found = found(**(options or {}))
        except Exception as error:
            raise SimlabError(f"{named}: {attribute}() raised {type(error).__name__}: {error}") from error
    elif options:
        raise SimlabError(f"{named}: {attribute} is not a class, and takes no {', '.join(options)}")
    if not callable(found):
        raise SimlabError(f"{named}: {attribute} is not a function")
    return found


def _module(where: str):
    """The module of a name or a file; the current folder is looked in first, as `python -m` does, except for
    what the standard library has: a queue.py there is not its queue."""
    if "" not in sys.path:
        installed = [path.endswith(("site-packages", "dist-packages")) for path in sys.path]
        sys.path.insert(installed.index(True) if any(installed) else len(sys.path), "")
    try:
        if not where.endswith(".py"):
            return importlib.import_module(where)
        if not Path(where).is_file():
            raise SimlabError(f"{where}: there is no such file")
        spec = importlib.util.spec_from_file_location(Path(where).stem, where)
        module = importlib.util.module_from_spec(spec)
        sys.modules.setdefault(spec.name, module)
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        raise SimlabError(f"{where}: no module {error.name}") from error
    except SimlabError:
        raise
    except (Exception, SystemExit) as error:
        raise SimlabError(f"{where}: importing it raised {type(error).__name__}: {error}") from error
    return module
