"""What the theory says of any decoder: one table from its algorithm to the module that has its theory.

Each module offers, for a pair and a decoder that are checked here:

predict(pair, decoder) -> Prediction
rejections_per_position(pair, decoder) -> (T,), P(position t is rejected)
output_chain(pair, decoder) -> (T, V, V), the distribution of the next token given the last one
costs_to_go(pair, decoder, call_time) -> (T + 1, V), the mean cost of the tokens from t on after token x,
    where a call that drafts g tokens costs call_time(g), of an array or a number; with a memory, of calls
    that remember nothing yet; or None where there is no such recursion.

No other module of the theory imports one of these to ask for any decoder, so that none needs to know which
there are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from simlab.checks import shortened
from simlab.cost import CostModel, check_cost
from simlab.decoders import Decoder, module_for
from simlab.errors import SimlabError
from simlab.memory import check_fits
from simlab.pairs.pair import ChainPair, check_pair
from simlab.pairs.size import PairSize
from simlab.theory.prediction import Prediction

THEORIES = {
    "autoregressive": "simlab.theory.horizon.forward",
    "horizon": "simlab.theory.horizon.speculative",
    "batch": "simlab.theory.horizon.forward",
    "biased": "simlab.theory.horizon.forward",
    "windows": "simlab.theory.windows.forward",
    "memory": "simlab.theory.windows.memory",
    "block": "simlab.theory.block.calls",
    "tree": "simlab.theory.trees.calls",
    "rule": "simlab.theory.rules.horizon",
    "rule windows": "simlab.theory.rules.windows",
    "multidraft": "simlab.theory.many_drafts.calls",
}
"""By algorithm, the module with its theory, imported when it is asked for."""


LARGE = 2**24
"""Bytes of a pair from which it is asked whether its numbers fit into memory."""


def predict(pair: ChainPair, decoder: Decoder) -> Prediction:
    """The exact distribution of N_rej, of the target calls and of each token, for any decoder.

    Speculative(): Yin et al. 2024, Theorem 1; BatchSpeculative(drafts): Theorem 3, with math.inf the limit
    of Proposition 1; BiasedSpeculative: own, see `horizon.forward`; windows, blocks and trees: own, see
    `windows.forward`, `block` and `trees.calls`, for their time and memory too. Time O(T^2 V^2) as matrix
    products; `expected_rejections_per_position` is O(T V^2). Memory beyond the pair: about seven (V, V)
    arrays and six (T+1, V), and the (T, V, V) of the output chain where it is not the target; decoders
    differ (`simlab.theory.sizes`). Raises SimlabError if the arguments are not a ChainPair and a decoder with
    a theory, for a policy of another pair, and where a large pair's numbers do not fit into memory.
    """
    theory = _theory(pair, decoder)
    if pair.nbytes > LARGE:
        from simlab.theory.sizes import predict_bytes  # it asks modules of the theory that ask this one

        needed = predict_bytes(PairSize.of(pair), decoder)
        check_fits("exact numbers take", needed, "fewer states, fewer steps, or a stationary pair")
    return theory.predict(pair, decoder)


def expected_rejections_per_position(pair: ChainPair, decoder: Decoder) -> np.ndarray:
    """P(position t is rejected), (T,), by the recursion without the count: O(T V^2) time, O(V^2) memory.

    Its sum is E[N_rej]. With windows of K tokens O(T V^2 K) time; blocks and trees go the way of `predict`.
    Raises SimlabError as `predict` does.
    """
    return _theory(pair, decoder).rejections_per_position(pair, decoder)


def output_chain(pair: ChainPair, decoder: Decoder) -> np.ndarray:
    """The distribution of the decoder's next token given the last one, as `Prediction.output_chain`.

    (T, V, V). Raises SimlabError as `predict` does.
    """
    return _theory(pair, decoder).output_chain(pair, decoder)


def expected_target_calls(pair: ChainPair, decoder: Decoder) -> np.ndarray:
    """C[t, x]: the mean number of target calls for tokens t..T-1 after token x, (T + 1, V), C[T] = 0.

    For decoders of windows or trees, of calls that start at t. By backward recursion, for every (t, x),
    visited or not: a second road to the mean that `predict` has from the distribution. Raises SimlabError for
    another decoder, a policy of another pair, and trees too large.
    """
    return _costs_to_go(pair, decoder, lambda drafted: np.ones(np.shape(drafted)))


def expected_time(pair: ChainPair, decoder: Decoder, cost: CostModel) -> np.ndarray:
    """The mean time for tokens t..T-1 after token x, (T + 1, V), in the unit of `cost`; 0 at T.

    For decoders of windows, of calls that start at t; initial @ its first row is cost.expected_time(predict(
    pair, decoder)), by another route. Raises SimlabError for another decoder, a policy of another pair and
    if `cost` is not a CostModel.
    """
    check_cost(cost)
    return _costs_to_go(pair, decoder, cost.call_time)


def _costs_to_go(pair: ChainPair, decoder: Decoder, call_time: Callable) -> np.ndarray:
    theory = _theory(pair, decoder)
    if theory.costs_to_go is None:
        raise SimlabError(
            f"no calls from each position on for {shortened(decoder)}: give a decoder of windows, such as "
            "simlab.Speculative(window=4)"
        )
    return theory.costs_to_go(pair, decoder, call_time)


def _theory(pair: ChainPair, decoder: Decoder):
    check_pair(pair)
    return module_for(decoder, THEORIES, "theory")
