"""What exact numbers take of memory beside the pair: estimates for a large V and the decoder's settings.

Counted in arrays that the modules of the theory hold at once: (V, V), the rows of a step; (T, V); and those
with a window K or a count. Measured against them (tests/theory/test_sizes.py), they are within a factor of 2.
"""

from __future__ import annotations

import math

import numpy as np

from simlab.decoders import Decoder, entry_for, longest_window
from simlab.decoders.memory import memory_of
from simlab.pairs.size import PairSize
from simlab.theory.bias.total_variation import cells_for

_PLANNED = 65  # windows that a plan looks at, and thresholds of confidence: `simlab.planning.exact`
_THRESHOLDS = 258
_BLOCK = 2**22  # numbers of all rules together, `windows.best`


def predict_bytes(size: PairSize, decoder: Decoder) -> float:
    """About how many bytes `predict` takes at most, what it returns included; with a biased decoder
    `sequence_total_variation` too."""
    rows = entry_for(decoder, BYTES, "estimate of memory")(size, decoder)
    return rows + 6 * _by_time(size)


def plan_bytes(size: PairSize) -> float:
    """About how many bytes an exact plan takes at most (`simlab.planning.exact`)."""
    rules = min(_THRESHOLDS, size.states * size.steps + 2, _BLOCK / (8 * size.states))
    thresholds = 3 * rules * _by_time(size)
    streak = 8.0 * 6 * 10 * size.states * min(4 * size.horizon, 1000)
    return 6 * size.rows + max(thresholds, streak)


def _by_time(size: PairSize) -> int:
    return 8 * size.horizon * size.states


def _counts(size: PairSize) -> float:
    """Bytes of a distribution by count and state, trimmed: about 40 standard deviations of counts."""
    return 8.0 * size.states * min(size.horizon + 1, 20 * math.sqrt(size.horizon))


def _horizon(size: PairSize, decoder: Decoder) -> float:
    return (2.5 if size.steps == 1 else 4.0) * size.rows + 6 * _counts(size)


def _batch(size: PairSize, decoder: Decoder) -> float:
    return (5 if size.steps == 1 else 8) * size.rows + 6 * _counts(size)


def _biased(size: PairSize, decoder: Decoder) -> float:
    return size.chain + max(7 * size.rows, 16 * size.rows + _bracket(size)) + 6 * _counts(size)


def _bracket(size: PairSize) -> float:
    return 8.0 * 12 * size.states * cells_for(size.horizon, size.states) + 2.0**26


def _windows(size: PairSize, decoder: Decoder) -> float:
    return 3.5 * size.rows + 2 * (longest_window(decoder, size.horizon) + 2) * _counts(size)


def _memory(size: PairSize, decoder: Decoder) -> float:
    memory = memory_of(decoder, size.horizon)
    running = float(np.minimum(memory.windows, size.horizon).sum())
    return 4 * size.rows + (len(memory.windows) + 0.5 * running) * _by_time(size)


def _block(size: PairSize, decoder: Decoder) -> float:
    window = longest_window(decoder, size.horizon)
    bracketed = float(size.states) ** (window - 1) > 2**18
    kept = (7 * window + 4 if bracketed else 2 * window + 1) * size.chain
    return kept + (3 * window + 2) * size.rows


def _tree(size: PairSize, decoder: Decoder) -> float:
    kept = min(2**27, size.rows * min(decoder.capacity + 1, size.horizon)) if size.steps == 1 else 0
    trees = 100 * min(decoder.capacity, 2**40)
    return (3 if size.steps > 1 else 6) * size.chain + 2 * kept + trees + 2.0**25


def _rule(size: PairSize, decoder: Decoder) -> float:
    return 14 * size.chain + max(2 * size.rows, 4 * size.rows + _bracket(size))


def _rule_windows(size: PairSize, decoder: Decoder) -> float:
    return _rule(size, decoder) + _windows(size, decoder)


def _several(size: PairSize, decoder: Decoder) -> float:
    classes = len(set(decoder.drafts[: longest_window(decoder, size.horizon)])) or 1
    return 2 * classes * size.chain + 2 * size.rows + 8 * _counts(size)


BYTES = {
    "autoregressive": _horizon,
    "horizon": _horizon,
    "batch": _batch,
    "biased": _biased,
    "windows": _windows,
    "memory": _memory,
    "block": _block,
    "tree": _tree,
    "rule": _rule,
    "rule windows": _rule_windows,
    "multidraft": _several,
}
"""By algorithm, the bytes beside arrays (T, V) of a pair's size and a decoder."""
