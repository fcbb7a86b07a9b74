"""A rule whose every call drafts to the horizon, without the bonus token: the recursion of
`horizon.forward`, along the chain that the output follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from simlab.decoders import RuleSpeculative
from simlab.pairs.pair import ChainPair
from simlab.theory.horizon import forward
from simlab.theory.prediction import Prediction
from simlab.theory.windows import forward as windows


def predict(pair: ChainPair, decoder: RuleSpeculative) -> Prediction:
    """The exact prediction. Raises SimlabError for what the rule returns on the pair's rows."""
    return replace(forward.predict(pair, decoder.on(pair)), decoder=decoder)


def rejections_per_position(pair: ChainPair, decoder: RuleSpeculative) -> np.ndarray:
    """P(position t is rejected), (T,), without the count. Raises SimlabError as `predict` does."""
    return forward.rejections_per_position(pair, decoder.on(pair))


def output_chain(pair: ChainPair, decoder: RuleSpeculative) -> np.ndarray:
    """The distribution of the next token given the last one, (T, V, V). Raises as `predict` does."""
    return forward.output_chain(pair, decoder.on(pair))


def costs_to_go(pair: ChainPair, decoder: RuleSpeculative, call_time: Callable) -> np.ndarray:
    """The mean cost of tokens t..T-1 after token x, (T + 1, V): a window as long as the horizon."""
    return windows.costs_to_go(pair, decoder.on(pair), call_time)
