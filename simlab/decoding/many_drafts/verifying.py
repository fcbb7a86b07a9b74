"""From a decoder to the tables of its rule, and from these, by their class, to the kernel that verifies."""

from __future__ import annotations

import numpy as np
from numba.extending import overload

from simlab.checks import shortened
from simlab.decoders import MultiDraftSpeculative
from simlab.decoding.many_drafts.distinct import Distinct, distinct_tries, verify_distinct
from simlab.decoding.many_drafts.match import (
    DistinctMatching,
    Matching,
    distinct_matching,
    matching,
    verify_distinct_matching,
    verify_matching,
)
from simlab.decoding.many_drafts.points import Points, points, verify_points
from simlab.decoding.many_drafts.sets import Sets, sets, verify_sets
from simlab.decoding.many_drafts.tries import (
    Tries,
    greedy_tries,
    k_seq_tries,
    recursive_tries,
    verify_tries,
)
from simlab.errors import SimlabError
from simlab.pairs.pair import ChainPair

TABLES = {
    ("recursive", True): recursive_tries,
    ("recursive", False): distinct_tries,
    ("k-seq", True): k_seq_tries,
    ("optimal", True): points,
    ("optimal", False): sets,
    ("match", True): matching,
    ("match", False): distinct_matching,
    ("greedy", True): greedy_tries,
    ("greedy", False): greedy_tries,
}
"""By rule and replacement, what builds its tables of (pair, counts)."""

KERNELS = {
    Tries: verify_tries,
    Distinct: verify_distinct,
    Matching: verify_matching,
    DistinctMatching: verify_distinct_matching,
    Points: verify_points,
    Sets: verify_sets,
}
"""By the class of the tables, the kernel that verifies one position of many trajectories."""


def rule_tables(pair: ChainPair, decoder: MultiDraftSpeculative, counts: np.ndarray):
    """The tables of the decoder's rule; counts: (C,), the numbers of children that positions have.

    Raises SimlabError for a rule without a sampler, and for the optimal rule for distinct children where
    there are too many sets of them.
    """
    key = decoder.rule, decoder.replacement
    if key not in TABLES:
        raise SimlabError(f"no sampler for {shortened(decoder)}")
    return TABLES[key](pair, counts)


def verify(tables, c, t, count, states, scratch, work, state):
    """Verify the children of class c at step t for the first `count` origins of `work`: fill scratch.tokens
    and scratch.rejected."""
    KERNELS[type(tables)](tables, c, t, count, states, scratch, work, state)


@overload(verify)
def _verify_compiled(tables, c, t, count, states, scratch, work, state):
    kernel = KERNELS[tables.instance_class]

    def verified(tables, c, t, count, states, scratch, work, state):
        kernel(tables, c, t, count, states, scratch, work, state)

    return verified
