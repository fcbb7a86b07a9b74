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
from simlab.theory.bias.total_variation import ENUMERATED, cells_for
from simlab.theory.windows.best import ALL_RULES


def predict_bytes(size: PairSize, decoder: Decoder) -> float:
    """About how many bytes `predict` takes at most, what it returns included."""
    rows = entry_for(decoder, BYTES, "estimate of memory")(size, decoder)
    return rows + 6 * _by_time(size)


def total_variation_bytes(size: PairSize, decoder: Decoder) -> float:
    """About how many bytes `sequence_total_variation` takes at most: none for an unbiased decoder."""
    if not decoder.is_biased:
        return 0.0
    grid = 12 * 8.0 * size.states * cells_for(size.horizon, size.states)
    return size.chain + 16 * size.rows + grid + ENUMERATED * 64


def rules_bytes(size: PairSize, rules: int, longest: int) -> float:
    """About how many bytes the times of so many rules with windows up to `longest` take at most
    (`windows.best`)."""
    together = min(rules, max(1, ALL_RULES / (min(longest, size.horizon) * size.states)))
    return 6 * size.rows + 3 * 8 * together * size.states * (size.horizon + min(longest, size.horizon))


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
    return size.chain + 7 * size.rows + 6 * _counts(size)


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
    return 14 * size.chain + 2 * size.rows


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
