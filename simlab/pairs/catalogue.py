"""Pairs by name and options, as configs and tasks write them."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping

from simlab.errors import SimlabError
from simlab.pairs import generators
from simlab.pairs.corpus import corpus, read_text
from simlab.pairs.pair import ChainPair

GENERATORS: dict[str, Callable[..., ChainPair]] = {
    "paper": generators.paper,
    "dirichlet": generators.dirichlet,
    "softmax": generators.softmax,
    "mixture": generators.mixture,
    "file": generators.file,
    "corpus": corpus,
}


def make_pair(name: str, **options) -> ChainPair:
    """The pair that the generator `name` makes with `options`; SimlabError for unknown names or options."""
    return GENERATORS[_known(name)](**_known_options(name, options))


def pair_identity(name: str, **options) -> dict:
    """What makes this pair this pair, JSON-able: the generator, every option, and the content behind a path.

    Two files with the same content are the same pair wherever they lie; the same path with a new content
    is a new one. Raises SimlabError as make_pair does.
    """
    signature = inspect.signature(GENERATORS[_known(name)])
    bound = signature.bind_partial(**_known_options(name, options))
    bound.apply_defaults()
    identity: dict = {"generator": name, **bound.arguments}
    path = identity.pop("path", None)
    if name == "file":
        identity["content"] = ChainPair.load(path).digest if path else None
    if name == "corpus":
        identity["content"] = hashlib.sha256(read_text(path).encode()).hexdigest()
    return identity


def _known(name: str) -> str:
    if name not in GENERATORS:
        raise SimlabError(f"no pair {name!r}: known are {', '.join(GENERATORS)}")
    return name


def _known_options(name: str, options: Mapping) -> Mapping:
    known = list(inspect.signature(GENERATORS[name]).parameters)
    for option in options:
        if option not in known:
            raise SimlabError(f"pair {name} has no option {option!r}: known are {', '.join(known)}")
    return options
