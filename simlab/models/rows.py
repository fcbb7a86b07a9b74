"""What one position of a trace records, from the whole rows of draft and target at it. Pure functions.

A row is the distribution of the next token given the text so far: floats (V,), float64, sum 1, as the model
samples (temperature, top-k and top-p included). V is the size of the vocabulary.
"""

from __future__ import annotations

import numpy as np

REPLACEMENTS = ("target", "draft", "residual")
"""By what a rejected token may be replaced, beside the optimal replacement, whose excess loss is 0."""


def path_columns(draft: np.ndarray, target: np.ndarray, token: int) -> dict[str, float]:
    """Of the token that came: its two probabilities, and of both rows. Entropies in nats."""
    return {
        "draft_probability": float(draft[token]),
        "target_probability": float(target[token]),
        "total_variation": float(np.maximum(target - draft, 0.0).sum()),
        "draft_confidence": float(draft.max()),
        "draft_entropy": -float(_times_log(draft).sum()),
        "target_entropy": -float(_times_log(target).sum()),
        "target_log2_moment": float((_times_log(target) * _log(target)).sum()),
    }


def batch_rejections(draft: np.ndarray, target: np.ndarray, token: int, drafts: tuple[int, ...]) -> dict:
    """P(the position is rejected | the token that came) at a fresh position of batch decoding, by column.

    drafts: the numbers of drafts M, each >= 2. Source: Algorithm 4 as its proof has it. Unnormalised, the
    residual after m failures is R_m = [R_(m-1) - s_m draft]_+ with R_0 = target and s_m = sum R_(m-1); its
    normalised form is the proof's. So R_m = [target - c_m draft]_+ with c_m = s_1 + .. + s_m, and the joint
    probability of M failures and the token is R_M(token).
    """
    columns, scale, mass = {}, 0.0, 1.0
    ratio = float(draft[token]) / float(target[token])
    for failures in range(1, max(drafts, default=0) + 1):
        scale += mass
        left = target > scale * draft  # what is gone stays gone: later residuals are smaller
        draft, target = draft[left], target[left]
        mass = float((target - scale * draft).sum())
        if failures in drafts:
            columns[f"batch_rejection_{failures}"] = max(1.0 - scale * ratio, 0.0)
    return columns


def front_columns(draft: np.ndarray, target: np.ndarray, epsilons: tuple[float, ...]) -> dict[str, float]:
    """The one-step trade of rejections against loss at every over-acceptance epsilon, by column.

    over_acceptance_E: the probability of rejecting, sum [draft - target - E]_+. excess_loss_optimal_E: the
    loss ½ sum |target - min(draft, target + E)| - ½ rejected of the optimal replacement, less what Theorem 5
    says it is (total variation - rejected): 0 up to rounding. excess_loss_R_E: the total variation
    between one token of the decoder with replacement R (target, draft, or residual, [target - draft]_+) and
    the target, less the same. Source: Theorems 4 and 5 of Yin et al. 2024.
    """
    columns = {}
    gap = np.maximum(target - draft, 0.0)
    variation = float(gap.sum())
    replaced = {"target": target, "draft": draft, "residual": gap / variation if variation else target}
    for epsilon in epsilons:
        kept = np.minimum(draft, target + epsilon)
        rejected = float(np.maximum(draft - target - epsilon, 0.0).sum())
        line = variation - rejected
        optimal = 0.5 * float(np.abs(target - kept).sum()) - 0.5 * rejected
        columns[f"over_acceptance_{epsilon:g}"] = rejected
        columns[f"excess_loss_optimal_{epsilon:g}"] = optimal - line
        for name in REPLACEMENTS:
            loss = np.maximum(kept + rejected * replaced[name] - target, 0.0).sum() if rejected else variation
            columns[f"excess_loss_{name}_{epsilon:g}"] = float(loss) - line
    return columns


def _log(row: np.ndarray) -> np.ndarray:
    return np.log(row, out=np.zeros_like(row), where=row > 0)


def _times_log(row: np.ndarray) -> np.ndarray:
    return row * _log(row)
