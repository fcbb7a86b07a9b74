"""Distributions by name and options, as configs and tasks write them."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping

from simlab.errors import SimlabError
from simlab.laws.counted import rows_of_pair, rows_of_text
from simlab.laws.families import Dirichlet, Softmax, Zipf
from simlab.laws.rows import Rows
from simlab.pairs.catalogue import make_pair

Law = Dirichlet | Softmax | Zipf | Rows


def _pair(generator: str = "corpus", model: str = "target", **options) -> Rows:
    """The rows of the pair that `generator` makes with `options`."""
    return rows_of_pair(make_pair(generator, **options), model, f"rows of {generator}'s {model}")


LAWS: dict[str, Callable[..., Law]] = {
    "dirichlet": Dirichlet,
    "softmax": Softmax,
    "zipf": Zipf,
    "pair": _pair,
    "text": rows_of_text,
}


def make_law(name: str, **options) -> Law:
    """The distribution `name` with its options, which configs write as {name: dirichlet, states: 64, ...}.

    dirichlet, softmax, zipf: the settings of `Dirichlet`, `Softmax`, `Zipf`. pair: the rows of the pair that
    `generator` (default corpus) makes with the other options, those of `model` (default target). text: as
    `rows_of_text`. Raises SimlabError for unknown names and options, and where the distribution does.
    """
    if not isinstance(name, str) or name not in LAWS:
        raise SimlabError(f"no distribution {name!r}: known are {', '.join(LAWS)}")
    _check_options(name, options)
    return LAWS[name](**options)


def law_identity(law: Law) -> dict:
    """What tells a distribution from all others, JSON-able: its family and settings; rows by a digest of the
    numbers.

    Raises SimlabError if it is not a distribution.
    """
    if isinstance(law, Rows):
        count, states = law.rows.shape
        return {
            "law": "rows",
            "source": law.source,
            "rows": count,
            "states": states,
            "digest": law.digest,
        }
    for name in ("dirichlet", "softmax", "zipf"):
        if type(law) is LAWS[name]:
            return {"law": name, **dataclasses.asdict(law)}
    raise SimlabError(
        f"distribution is of type {type(law).__name__}; expected one of simlab.laws, such as Dirichlet()"
    )


def _check_options(name: str, options: Mapping) -> None:
    parameters = inspect.signature(LAWS[name]).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return  # a pair's own options, which its generator checks
    for option in options:
        if option not in parameters:
            raise SimlabError(
                f"distribution {name} has no option {option!r}: known are {', '.join(parameters)}"
            )
