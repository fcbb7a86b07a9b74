"""torch and transformers, imported when they are needed: nothing else in simlab imports them."""

from __future__ import annotations

import importlib
import os

from simlab.errors import SimlabError

INSTALL = "pip install 'simlab[models]' (torch==2.13.0 is a CPU build on many indexes)"


def torch():
    """The module torch; raises SimlabError that says what to install where it is missing."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # read when tqdm is imported, which torch may do
    return _imported("torch")


def transformers():
    """The module transformers, which says only what is wrong; SimlabError where it is missing."""
    torch()
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    module = _imported("transformers")
    module.utils.logging.disable_progress_bar()
    return module


def _imported(name: str):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SimlabError(f"{name} is not installed, and a model runs with it: {INSTALL}") from error
