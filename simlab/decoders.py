"""Which algorithm decodes: the settings of each decoding algorithm, and nothing else.

The settings stand apart from the samplers, the references and the theory because all three take them,
and none of the three may import another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral

from simlab.checks import check_count, check_number
from simlab.errors import SimlabError


@dataclass(frozen=True)
class Autoregressive:
    """The target decodes alone: no drafts, no rejections, one target call a token."""


@dataclass(frozen=True)
class Speculative:
    """Speculative decoding (Leviathan et al. 2023; Yin et al. 2024, Algorithms 1 and 2).

    The draft proposes a token; it is accepted with probability min(1, target/draft); on rejection the
    token is replaced by a draw from [target - draft]_+ and drafting starts over. The look-ahead reaches
    the horizon, so each rejection costs one target call.
    """


@dataclass(frozen=True)
class BatchSpeculative:
    """Batch speculative decoding (Yin et al. 2024, Algorithm 4).

    drafts: how many independent drafts are tried at each fresh position (the first one and each one after
    a rejection). An integer of at least 1, or math.inf for the exact limit, which `predict` knows and no
    sampler can run. Raises SimlabError for anything else.
    """

    drafts: int | float = 4

    def __post_init__(self) -> None:
        drafts = self.drafts
        if isinstance(drafts, float) and math.isinf(drafts) and drafts > 0:
            return
        if isinstance(drafts, bool) or not isinstance(drafts, Integral) or drafts < 1:
            raise SimlabError(f"drafts = {drafts!r}: give a whole number of at least 1, or inf for the limit")
        object.__setattr__(self, "drafts", int(drafts))


REPLACEMENTS = ("optimal", "target", "draft", "residual")
"""What a rejected token of `BiasedSpeculative` is replaced by."""


@dataclass(frozen=True)
class BiasedSpeculative:
    """Speculative decoding that accepts too much (Yin et al. 2024, Section 4, Theorems 4 and 5).

    A drafted token is accepted with probability min(1, (target + epsilon)/draft), so fewer are rejected and
    the output is biased. A rejected token is replaced by a draw from

    optimal: [target - accepted]_+ with accepted = min(draft, target + epsilon), of all replacements one with
        the least bias (Theorem 4; "Decoding-OPT");
    target: the target itself ("Decoding-UNO" in the paper's text);
    draft: the draft ("Decoding-UNO" in the code of the paper's appendix);
    residual: [target - draft]_+, as in speculative decoding, which epsilon = 0 is exactly.

    epsilon: a finite number >= 0; from 1 on every token is accepted. Raises SimlabError for anything else.
    """

    epsilon: float = 0.1
    replacement: str = "optimal"

    def __post_init__(self) -> None:
        object.__setattr__(self, "epsilon", check_number("epsilon", self.epsilon, least=0.0))
        if not isinstance(self.replacement, str) or self.replacement not in REPLACEMENTS:
            raise SimlabError(f"no replacement {self.replacement!r}: known are {', '.join(REPLACEMENTS)}")


DRAFTED_BY = ("target", "draft")
"""By whose probabilities the tree of `TreeSpeculative` is chosen."""

SHAPES = ("tree", "chain")
"""The whole tree of the most probable prefixes, or the single chain of the same size."""


@dataclass(frozen=True)
class TreeSpeculative:
    """Deterministic speculation with draft trees (Pankratov and Alistarh 2026).

    Before each target call a tree of at most `capacity` drafted tokens is verified at once; the root, the
    given prefix, is not one of them. The target's own token path walks the tree: X tokens of it lie in the
    tree, and the call yields them and the next one, the bonus token: X + 1 in all, but no more than are left
    to the horizon. The output is the target's.

    capacity: P >= 1, a whole number. drafted_by: "target", which gives the tree with the largest E[X], or
    "draft", what a draft model that does not know the target makes of it. shape: "tree", the `capacity` most
    probable prefixes (`simlab.optimal_tree`), or "chain", the greedy continuation: each drafted token is the
    most probable one after the last. Raises SimlabError for anything else.
    """

    capacity: int = 64
    drafted_by: str = "target"
    shape: str = "tree"

    def __post_init__(self) -> None:
        object.__setattr__(self, "capacity", check_count("capacity", self.capacity))
        for name, known in (("drafted_by", DRAFTED_BY), ("shape", SHAPES)):
            value = getattr(self, name)
            if not isinstance(value, str) or value not in known:
                raise SimlabError(f"{name} = {value!r}: give one of {', '.join(known)}")


Decoder = Autoregressive | Speculative | BatchSpeculative | BiasedSpeculative | TreeSpeculative

DECODERS: dict[str, type] = {
    "autoregressive": Autoregressive,
    "speculative": Speculative,
    "batch": BatchSpeculative,
    "biased": BiasedSpeculative,
    "tree": TreeSpeculative,
}


def decoder_name(decoder: Decoder) -> str:
    """The name of a decoder in configs and tables. Raises SimlabError for what is no decoder."""
    for name, settings in DECODERS.items():
        if type(decoder) is settings:
            return name
    known = ", ".join(f"{settings.__name__}()" for settings in DECODERS.values())
    raise SimlabError(f"{decoder!r} is no decoder: give one of {known}")
