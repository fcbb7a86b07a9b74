"""Calls and time from each position and token on: backward recursions, a second route to the means."""

from __future__ import annotations

import numpy as np

from simlab.cost import CostModel, check_cost
from simlab.decoders import (
    AdaptiveSpeculative,
    BlockSpeculative,
    ConfidenceSpeculative,
    Decoder,
    Speculative,
    TreeSpeculative,
)
from simlab.errors import SimlabError
from simlab.pairs.pair import ChainPair
from simlab.theory.horizon.forward import check
from simlab.theory.trees import calls as tree_calls
from simlab.theory.windows.backward import costs_to_go
from simlab.theory.windows.rules import rules_of


def expected_target_calls(pair: ChainPair, decoder: Decoder) -> np.ndarray:
    """C[t, x]: the mean number of target calls for tokens t..T-1 after token x, (T + 1, V), C[T] = 0.

    For decoders of windows or trees, of calls that start at t. By backward recursion, for every (t, x),
    visited or not: a second road to the mean that `predict` has from the law. Raises SimlabError for another
    decoder, a policy of another pair, and trees too large.
    """
    if isinstance(decoder, TreeSpeculative):
        return tree_calls.expected_target_calls(pair, decoder)
    return _to_go(pair, decoder, 0.0, 1.0)


def expected_time(pair: ChainPair, decoder: Decoder, cost: CostModel) -> np.ndarray:
    """The mean time for tokens t..T-1 after token x, (T + 1, V), in the unit of `cost`; 0 at T.

    For decoders of windows, of calls that start at t; initial @ its first row is cost.expected_time(predict(
    pair, decoder)), by another route. Raises SimlabError for another decoder, a policy of another pair and
    what is no cost.
    """
    check_cost(cost)
    return _to_go(pair, decoder, cost.draft, cost.target)


def _to_go(pair: ChainPair, decoder: Decoder, drafted: float, call: float) -> np.ndarray:
    check(pair, decoder)
    if isinstance(decoder, BlockSpeculative):
        from simlab.theory.block import block_costs_to_go

        return block_costs_to_go(pair, decoder, drafted, call)
    if not isinstance(decoder, Speculative | AdaptiveSpeculative | ConfidenceSpeculative):
        raise SimlabError(
            f"no calls from each position on for {decoder!r}: give a decoder of windows, such as "
            "simlab.Speculative(window=4)"
        )
    found = np.zeros((pair.horizon + 1, pair.states))
    backwards = enumerate(costs_to_go(pair, rules_of(pair, decoder), drafted, call), start=1)
    for steps_left, values in backwards:
        found[pair.horizon - steps_left] = values[0]
    return found
