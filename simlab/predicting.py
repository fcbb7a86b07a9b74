"""`simlab.predict`: exact numbers of a decoder, from a pair of chains or from a trace of a real model."""

from __future__ import annotations

from typing import overload

from simlab import theory
from simlab.decoders import Decoder
from simlab.errors import SimlabError
from simlab.pairs import ChainPair
from simlab.theory import Prediction
from simlab.traces.predict import predict_trace
from simlab.traces.prediction import TracePrediction
from simlab.traces.trace import Trace


@overload
def predict(source: ChainPair, decoder: Decoder) -> Prediction: ...


@overload
def predict(source: Trace, decoder: Decoder) -> TracePrediction: ...


def predict(source: ChainPair | Trace, decoder: Decoder) -> Prediction | TracePrediction:
    """What a decoder does: rejections, target calls, tokens per call, acceptance by position, ..

    source: a `simlab.ChainPair`, of which all numbers are exact (`simlab.theory.predict`); or a
    `simlab.Trace`, texts that a real target wrote, given which they are exact, with intervals for the models
    (`simlab.traces.predict_trace`). Raises SimlabError for anything else, and as those do.
    """
    if isinstance(source, Trace):
        return predict_trace(source, decoder)
    if isinstance(source, ChainPair):
        return theory.predict(source, decoder)
    raise SimlabError(
        f"{type(source).__name__} is not a pair or a trace; expected a simlab.ChainPair or a simlab.Trace"
    )
