"""From the logits of both models and the token that came to the numbers that a trace keeps of a position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simlab.checks import check_count, check_number
from simlab.errors import SimlabError
from simlab.models.rows import batch_rejections, front_columns, path_columns
from simlab.pairs.processing import Sampling, sampled_rows


@dataclass(frozen=True)
class Extras:
    """Which columns are recorded beside those of every trace.

    drafts: numbers of drafts M >= 2 of batch decoding, columns batch_rejection_M. epsilons: over-acceptances
    >= 0, columns over_acceptance_E and excess_loss_*_E. Raises SimlabError for values out of range.
    """

    drafts: tuple[int, ...] = (2, 4, 8, 16)
    epsilons: tuple[float, ...] = (0.1, 0.2, 0.4, 0.8)

    def __post_init__(self) -> None:
        object.__setattr__(self, "drafts", tuple(check_count("drafts", m, least=2) for m in self.drafts))
        epsilons = tuple(check_number("epsilons", epsilon, least=0.0) for epsilon in self.epsilons)
        object.__setattr__(self, "epsilons", epsilons)


def as_rows(name: str, logits, sampling: Sampling) -> np.ndarray:
    """Distributions (n, V) in float64 of logits (n, V), a NumPy array or a torch tensor.

    Raises SimlabError, naming whose logits they are, for other shapes and for what are no logits.
    """
    if hasattr(logits, "detach"):  # a tensor: bfloat16 has no NumPy type, float32 holds all of it
        logits = (
            logits.detach().to("cpu").float().numpy()
            if logits.element_size() < 4
            else (logits.detach().to("cpu").numpy())
        )
    logits = np.asarray(logits)
    if logits.ndim != 2 or logits.shape[1] < 1 or logits.dtype.kind not in "iuf":
        raise SimlabError(
            f"{name} logits of shape {logits.shape} and type {logits.dtype}: expected numbers, one a "
            "token of the vocabulary"
        )
    try:
        return sampled_rows(logits, sampling)
    except SimlabError as error:
        raise SimlabError(f"{name} {error}") from error


def observation(token: int, draft: np.ndarray, target: np.ndarray, extras: Extras) -> dict[str, float]:
    """The columns of one position, by name: rows (V,) of both models, and the token that came.

    Raises SimlabError for rows of different lengths, a token outside the vocabulary, and a token that the
    target cannot emit.
    """
    if draft.shape != target.shape:
        raise SimlabError(
            f"the draft has a vocabulary of {draft.size} tokens and the target one of {target.size}: "
            "expected two models over the same vocabulary"
        )
    if not 0 <= token < target.size:
        raise SimlabError(f"token = {token}: expected a whole number from 0 to {target.size - 1}")
    if target[token] == 0:
        raise SimlabError(
            f"token = {token} came, to which the target gives probability 0: expected a token that was "
            "sampled from the target, with the temperature, top_k and top_p stated here"
        )
    return {
        "token": token,
        **path_columns(draft, target, token),
        **batch_rejections(draft, target, token, extras.drafts),
        **front_columns(draft, target, extras.epsilons),
    }
