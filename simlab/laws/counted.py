"""Distributions whose rows are those of a pair, or counted from a text.

In either the rows follow each other with a memory. As a distribution they are drawn independently, each as
often as it comes up: what is left out is the memory, and a comparison of the two shows what it does.
"""

from __future__ import annotations

import numpy as np

from simlab.checks import check_count
from simlab.errors import SimlabError
from simlab.laws.rows import Rows
from simlab.pairs.corpus import text_tokens
from simlab.pairs.pair import ChainPair, check_pair

MODELS = ("target", "draft")
MOST_BYTES = 2**31
"""The largest table of rows that is counted from a text."""


def rows_of_pair(pair: ChainPair, model: str = "target", source: str | None = None) -> Rows:
    """The rows (t, x) of a model of a pair, weighted by how often the model's own output visits them.

    The weight of row (t, x) is the probability that the model's output, from the pair's initial distribution,
    has x before step t, averaged over the T steps. Rows with the same numbers are one row, and rows that are
    never visited none: K <= T * V. model: "target" or "draft". source: as `Rows` takes it. Raises SimlabError
    for another model.
    """
    check_pair(pair)
    if model not in MODELS:
        raise SimlabError(f"model = {model!r} is not valid; expected one of {', '.join(MODELS)}")
    chain, rows = getattr(pair, model), getattr(pair, f"{model}_rows")
    visits = np.empty((pair.horizon, pair.states))
    visits[0] = pair.initial
    for t in range(pair.horizon - 1):
        # No matrix product: its last bits, and with them the distribution's identity, would depend on the
        # machine.
        visits[t + 1] = (visits[t][:, None] * chain[t]).sum(axis=0)
    if len(rows) == 1:
        visits = visits.sum(axis=0, keepdims=True)
    weights = visits.ravel() / visits.sum()
    return _merged(rows.reshape(-1, pair.states), weights, source or f"rows of a {model} chain")


def rows_of_text(
    path: str | None = None, context: int = 2, max_states: int = 256, source: str | None = None
) -> Rows:
    """The next character's frequencies after each `context` characters of a text, weighted by how often they
    come up.

    path, max_states: as `simlab.pairs.corpus` takes them (null: the Python language reference). The text is a
    circle, so that every position has a context. context: >= 0; with 0 there is one row, the frequencies of
    the characters. Contexts with the same frequencies are one row; a context seen once has a row that is
    certain, and from some length of it on all have. Raises SimlabError as `corpus` does, for a bad context,
    and where the rows would take more than 2 GiB.
    """
    context = check_count("context", context, least=0)
    tokens = text_tokens(path, max_states)
    states = int(tokens.max()) + 1
    contexts = np.zeros(len(tokens), np.int64)  # which context each position has
    for back in range(1, context + 1):
        codes = contexts * states + np.roll(tokens, back)
        contexts = np.unique(codes, return_inverse=True)[1].ravel()
    pairs, times = np.unique(contexts * states + tokens, return_counts=True)
    which, successor = np.divmod(pairs, states)
    needed = 8 * states * (int(which.max()) + 1)
    if needed > MOST_BYTES:
        raise SimlabError(
            f"context = {context}: the rows would take {needed / 2**30:.1f} GiB: give a shorter context"
        )
    counts = np.zeros((int(which.max()) + 1, states))
    counts[which, successor] = times
    totals = counts.sum(axis=1)
    text = source or f"text, {context} character{'s' * (context != 1)} before"
    return _merged(counts / totals[:, None], totals / totals.sum(), text)


def _merged(rows: np.ndarray, weights: np.ndarray, source: str) -> Rows:
    """The distribution of rows (K, V) with weights (K,), equal rows taken together and those of weight 0 left
    out."""
    visited = weights > 0
    distinct, which = np.unique(rows[visited], axis=0, return_inverse=True)
    return Rows(distinct, np.bincount(which.ravel(), weights[visited], len(distinct)), source)
