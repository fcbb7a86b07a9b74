"""Pairs by name and options, as configs and tasks write them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from simlab.errors import SimlabError
from simlab.pairs import generators
from simlab.pairs.corpus import corpus
from simlab.pairs.pair import ChainPair

GENERATORS: dict[str, Callable[..., ChainPair]] = {
    "paper": generators.paper,
    "dirichlet": generators.dirichlet,
    "softmax": generators.softmax,
    "mixture": generators.mixture,
    "bernoulli": generators.bernoulli,
    "uniform": generators.uniform,
    "file": generators.file,
    "corpus": corpus,
}


def make_pair(name: str, **options) -> ChainPair:
    """The pair that the generator `name` makes with `options`; SimlabError for unknown names or options."""
    return GENERATORS[_known(name)](**_known_options(name, options))


def pair_identity(pair: ChainPair, name: str, **options) -> dict:
    """What tells `pair`, made by `make_pair(name, **options)`, from all others, JSON-able.

    The generator and every option, for the reader, and the digest of the numbers, which is what counts: two
    files with one content are one pair wherever they lie, and a path with new content, or a generator that
    was changed, is a new one. Raises SimlabError as make_pair does.
    """
    signature = inspect.signature(GENERATORS[_known(name)])
    bound = signature.bind_partial(**_known_options(name, options))
    bound.apply_defaults()
    spelled = {option: value for option, value in bound.arguments.items() if option != "path"}
    return {"generator": name, **spelled, "digest": pair.digest}


def _known(name: str) -> str:
    if not isinstance(name, str) or name not in GENERATORS:
        raise SimlabError(f"no pair {name!r}: known are {', '.join(GENERATORS)}")
    return name


def _known_options(name: str, options: Mapping) -> Mapping:
    known = list(inspect.signature(GENERATORS[name]).parameters)
    for option in options:
        if option not in known:
            raise SimlabError(f"pair {name} has no option {option!r}: known are {', '.join(known)}")
    return options
