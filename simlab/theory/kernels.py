"""One step of a decoder as sub-stochastic kernels: the token law split into accepted and rejected.

Each function takes the rows of one step, draft and target (V, V), and returns (V, V): entry (x, y) is the
probability that, after token x, this step is rejected *and* emits token y. Target minus that is the
probability that it accepts and emits y, so that accepted + rejected = target: the output is unbiased.
"""

from __future__ import annotations

import numpy as np

DIRECT_DRAFTS = 64
"""Up to this many drafts the residual is taken draft by draft; beyond, many drafts are taken at once."""


def speculative_rejected(draft: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Speculative decoding rejects with law target - min(draft, target) (Yin et al. 2024, Theorem 1).

    Its row sums are the total variation of the two rows.
    """
    return target - np.minimum(draft, target)


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
    """S = s_1 + ... + s_M for each row, (V,), in as many rounds as a row has distinct ratios at most.

    Own argument: subtracting in parts and clipping at zero commute, so u_{m+1} = [target - S_m draft]_+ and
    S_{m+1} = S_m + sum [target - S_m draft]_+. While the tokens with ratio target/draft > S stay the same
    this map is linear, S -> S + a - b S with a, b their target and draft mass: its j-th iterate is
    a/b - (a/b - S)(1 - b)^j, and the first j that passes the smallest active ratio ends the segment.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(target > 0, target / draft, 0.0)
    order = np.argsort(-ratio, axis=1, kind="stable")
    ratio = np.take_along_axis(ratio, order, axis=1)
    target_mass = np.cumsum(np.take_along_axis(target, order, axis=1), axis=1)
    draft_mass = np.cumsum(np.take_along_axis(draft, order, axis=1), axis=1)
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
        a = target_mass[rows, last][running]
        b = np.minimum(draft_mass[rows, last][running], 1.0)
        edge, s, remaining = ratio[rows, last][running], lost[running], left[running]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            fixed = a / b
            steps = np.ceil(np.log((fixed - edge) / (fixed - s)) / np.log1p(-b))
            # No crossing where the fixed point is the edge itself (equal ratios) or lies at infinity (b = 0).
            steps = np.maximum(np.nan_to_num(steps, nan=1.0), 1.0)
            steps = np.minimum(np.where((fixed > edge) & (b > 0), steps, remaining), remaining)
            moved = np.where(b > 0, fixed - (fixed - s) * np.power(1.0 - b, steps), s + a * steps)
        lost[running] = np.maximum(moved, s)
        left[running] -= steps
