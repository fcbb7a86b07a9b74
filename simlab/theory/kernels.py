"""One step of a decoder as sub-stochastic kernels: the token distribution split into accepted and rejected.

Each function `.._rejected` takes the rows of one step, draft and target (V, V), and returns (V, V): entry
(x, y) is the probability that, after token x, this step is rejected *and* emits token y. For the unbiased
decoders target minus that is the probability that it accepts and emits y: accepted + rejected = target. For
`BiasedSpeculative` the accepted part is `over_accepted`, and accepted + rejected is the distribution of its
output.
"""

from __future__ import annotations

import numpy as np

DIRECT_DRAFTS = 64
"""Up to this many drafts the residual is taken draft by draft; beyond, many drafts are taken at once."""


def speculative_rejected(draft: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Speculative decoding rejects with distribution target - min(draft, target) (Yin et al. 2024, Theorem
    1).

    Its row sums are the total variation of the two rows.
    """
    return target - np.minimum(draft, target)


def over_accepted(draft: np.ndarray, target: np.ndarray, epsilon: float) -> np.ndarray:
    """What over-acceptance lets through: b draft = min(draft, target + epsilon), (..., V) as both rows.

    b = min(1, (target + epsilon)/draft), Yin et al. 2024, Section 4; from epsilon = 1 on it is 1.
    """
    return draft if epsilon >= 1 else np.minimum(draft, target + epsilon)


def replacement_distribution(
    draft: np.ndarray, target: np.ndarray, epsilon: float, replacement: str
) -> np.ndarray:
    """The distribution of what replaces a rejected token of `BiasedSpeculative`: (..., V) as draft and
    target.

    `optimal` is [target - accepted]_+ (Theorem 4), `residual` [target - draft]_+. Own argument that these
    are one distribution: where draft <= target + epsilon the accepted part is the draft, and both excesses
    are [target - draft]_+; elsewhere the accepted part is target + epsilon >= target, draft > target, and
    both are 0. Where they are 0 everywhere nothing is ever rejected and the target stands in.
    """
    match replacement:
        case "target":
            return target
        case "draft":
            return draft
        case "optimal":
            excess = np.maximum(target - over_accepted(draft, target, epsilon), 0.0)
        case "residual":
            excess = np.maximum(target - draft, 0.0)
    whole = excess.sum(axis=-1, keepdims=True)
    return np.where(whole > 0, excess / np.where(whole > 0, whole, 1.0), target)


def biased_rejected(draft: np.ndarray, target: np.ndarray, epsilon: float, replacement: str) -> np.ndarray:
    """`BiasedSpeculative` rejects with probability rho = sum [draft - target - epsilon]_+ and draws anew.

    Yin et al. 2024, Section 4. Its row sums are rho, summed from what each token loses, so that a small rho
    is as accurate as a large one.
    """
    lost = (draft - over_accepted(draft, target, epsilon)).sum(axis=-1, keepdims=True)
    return lost * replacement_distribution(draft, target, epsilon, replacement)


def batch_rejected(draft: np.ndarray, target: np.ndarray, drafts: int | float) -> np.ndarray:
    """All `drafts` i.i.d. drafts of a fresh position fail and y is emitted (Yin et al. 2024, Theorem 3).

    The m-th draft meets the target's m-th residual target^m, of which target^{m+1} = [target^m - draft]_+.
    Own argument: with s_m the probability that draft m is tried at all (s_1 = 1), the unnormalised
    residual u_m = s_m target^m obeys u_{m+1} = [u_m - s_m draft]_+ (unnormalised) and s_{m+1} = sum u_{m+1};
    the answer is u_{M+1}. drafts = math.inf gives the limit: the residual loses s_m draft(y) each time, so
    either s_m -> 0, or the total loss diverges and only tokens the draft never proposes keep their mass;
    either way the limit is target(y) where draft(y) = 0, and 0 elsewhere.
    """
    if drafts == np.inf:
        return np.where(draft > 0, 0.0, target)
    if drafts > DIRECT_DRAFTS:
        lost = _many_drafts(draft, target, int(drafts))
        return np.maximum(target - draft * lost[:, None], 0.0)
    residual = target
    tried = np.ones(len(target))
    for _ in range(int(drafts)):
        residual = np.maximum(residual - tried[:, None] * draft, 0.0)
        tried = residual.sum(axis=1)
    return residual


def _many_drafts(draft: np.ndarray, target: np.ndarray, drafts: int) -> np.ndarray:
    """S = s_1 + ... + s_M for each row, (V,), in about as many rounds as a row has distinct ratios.

    Own argument: subtracting in parts and clipping at zero commute, so u_{m+1} = [target - S_m draft]_+ and
    S_{m+1} = S_m + sum [target - S_m draft]_+. While the tokens with ratio target/draft > S stay the same,
    with target mass a and draft mass b, this is S -> S + a - b S, and j such steps from S add

        (a - b S) (1 - (1 - b)^j) / b,    j (a - b S) where b = 0.

    The first j that reaches the smallest active ratio ends the segment. Written with expm1 and log1p, which
    lose nothing where b is tiny.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.where(target > 0, target / draft, 0.0)
    order = np.argsort(-ratio, axis=1, kind="stable")
    ratio = np.take_along_axis(ratio, order, axis=1)
    target_mass = np.cumsum(np.take_along_axis(target, order, axis=1), axis=1)
    draft_mass = np.minimum(np.cumsum(np.take_along_axis(draft, order, axis=1), axis=1), 1.0)
    rows = np.arange(len(ratio))
    last = np.full(len(ratio), ratio.shape[1] - 1)
    lost = np.zeros(len(ratio))
    left = np.full(len(ratio), float(drafts))
    while True:
        while True:  # the active tokens are a prefix that only shrinks, as S only grows
            shrink = (last >= 0) & (ratio[rows, last] <= lost)
            if not shrink.any():
                break
            last[shrink] -= 1
        running = (last >= 0) & (left > 0)
        if not running.any():
            return lost
        index = (rows[running], last[running])
        lost[running], taken = _along_segment(
            target_mass[index], draft_mass[index], ratio[index], lost[running], left[running]
        )
        left[running] -= taken


def _along_segment(a, b, edge, lost, left) -> tuple[np.ndarray, np.ndarray]:
    """(S after the steps taken, steps taken): to the first S >= edge, but at most `left` steps; arrays."""
    with np.errstate(all="ignore"):  # every case that divides by zero or overflows is sorted out below
        first = a - b * lost
        way = b * (edge - lost)  # of `first`, which the steps use up geometrically
        steps = np.where(way < first, np.log1p(-way / first) / np.log1p(-b), left)
        flat = (b < np.finfo(float).tiny) | (way < np.finfo(float).tiny)
        steps = np.where(flat, (edge - lost) / first, steps)
        steps = np.minimum(np.maximum(np.ceil(np.nan_to_num(steps, nan=1.0)), 1.0), left)
        grown = np.where(b < np.finfo(float).tiny, steps, -np.expm1(steps * np.log1p(-b)) / b)
        return np.maximum(lost + first * grown, lost), steps
