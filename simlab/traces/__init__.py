"""TRACES: texts that a real target wrote, with what draft and target made of each token.

A language model is not a Markov chain, but one path sampled from the target carries enough to predict every
window, count and cost exactly, given the path (`simlab.theory.paths` proves it). `Trace` holds such paths,
`columns` says what may be known of each token, `files` reads and writes them, `joining` adds traces up;
`predict` finds what each decoder is on such a path, and `TracePrediction` holds what comes out.
The guide is simlab/traces/README.md.
"""

from simlab.traces.bundled import bundled, bundled_names, bundled_path
from simlab.traces.columns import KNOWN, batch_column, over_acceptance_column
from simlab.traces.predict import predict_trace
from simlab.traces.prediction import DraftedTokens, TracePrediction
from simlab.traces.trace import Trace

__all__ = [
    "KNOWN",
    "DraftedTokens",
    "Trace",
    "TracePrediction",
    "batch_column",
    "bundled",
    "bundled_names",
    "bundled_path",
    "over_acceptance_column",
    "predict_trace",
]
