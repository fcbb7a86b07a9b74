"""Pairs by name and options, as configs and tasks write them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict

from simlab.errors import SimlabError
from simlab.pairs import generators
from simlab.pairs.corpus import corpus
from simlab.pairs.pair import ChainPair
from simlab.pairs.processing import Processing, processing_settings

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
    """The pair that the generator `name` makes with `options`, at the sampling settings they say.

    Every generator has the option `processing`, a mapping of the settings of ChainPair.processed, beside its
    own: make_pair("corpus", horizon=50, processing={"temperature": 0.5}). One setting may also be spelled
    flat, as {"processing.temperature": 0.5}; None stands for its default. Raises SimlabError for unknown
    names and options, and for values out of range.
    """
    own, processing = _split(name, options)
    return GENERATORS[name](**own).processed(**asdict(processing))


def pair_identity(pair: ChainPair, name: str, **options) -> dict:
    """What tells `pair`, made by `make_pair(name, **options)`, from all others, JSON-able.

    The generator and every option, for the reader, and the digest of the numbers, which is what counts: two
    files with one content are one pair wherever they lie, and a path with new content, or a generator that
    was changed, is a new one. The processing is told where it changes anything. Raises SimlabError as
    make_pair does.
    """
    own, processing = _split(name, options)
    bound = inspect.signature(GENERATORS[name]).bind_partial(**own)
    bound.apply_defaults()
    spelled = {option: value for option, value in bound.arguments.items() if option != "path"}
    if not processing.keeps_all(pair.states):
        told = {key: value for key, value in asdict(processing).items() if value is not None}
        spelled["processing"] = told
    return {"generator": name, **spelled, "digest": pair.digest}


def _split(name: str, options: Mapping) -> tuple[dict, Processing]:
    """The generator's own options, and the processing."""
    if not isinstance(name, str) or name not in GENERATORS:
        raise SimlabError(f"no pair {name!r}: known are {', '.join(GENERATORS)}")
    known = list(inspect.signature(GENERATORS[name]).parameters)
    own, settings = {}, {}
    for option, value in options.items():
        if option == "processing":
            settings |= processing_settings(value)
        elif option.startswith("processing."):
            settings |= processing_settings({option.removeprefix("processing."): value})
        elif option in known:
            own[option] = value
        else:
            others = ", ".join([*known, "processing"])
            raise SimlabError(f"pair {name} has no option {option!r}: known are {others}")
    try:
        return own, Processing(**settings)
    except SimlabError as error:
        raise SimlabError(f"processing.{error}") from error
