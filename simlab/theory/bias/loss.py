"""The loss of one token: what rejecting less costs in bias (Yin et al. 2024, Theorems 4 and 5)."""

from __future__ import annotations

import numpy as np

from simlab.decoders import BiasedSpeculative
from simlab.errors import SimlabError
from simlab.theory.kernels import biased_rejected, over_accepted


def optimal_loss(accepted, target) -> np.ndarray | float:
    """The least total variation to the target that any replacement of the rejected tokens leaves.

    Yin et al. 2024, Theorem 4: (1/2) sum |target - accepted| - rejected / 2, with accepted = b * draft the
    part that passes and rejected = 1 - sum accepted. accepted, target: (..., V); returns (...), a float
    for single rows. Computed as sum [accepted - target]_+, to which it is equal since the target sums to
    1: what was accepted too much stays, and the rejected mass fits into what is missing. Raises SimlabError
    where the shapes differ.
    """
    accepted, target = _alike("accepted", accepted, target)
    loss = np.maximum(accepted - target, 0.0).sum(axis=-1)
    return float(loss) if loss.ndim == 0 else loss


def single_token_tradeoff(draft, target, decoder: BiasedSpeculative):
    """(P(reject), total variation of the output and the target) of one biased token.

    draft, target: (..., V); returns two arrays (...), floats for single rows. With replacement optimal (or
    residual) the two sum to the total variation of draft and target: the Pareto front of Theorem 5.
    Raises SimlabError where the shapes differ.
    """
    draft, target = _alike("draft", draft, target)
    rejected = biased_rejected(draft, target, decoder.epsilon, decoder.replacement)
    output = over_accepted(draft, target, decoder.epsilon) + rejected
    pair = rejected.sum(axis=-1), 0.5 * np.abs(output - target).sum(axis=-1)
    return tuple(float(value) if value.ndim == 0 else value for value in pair)


def _alike(name: str, rows, target) -> tuple[np.ndarray, np.ndarray]:
    rows, target = np.asarray(rows, float), np.asarray(target, float)
    if rows.shape != target.shape:
        raise SimlabError(f"{name} has shape {rows.shape} and target {target.shape}; expected the same shape")
    return rows, target
