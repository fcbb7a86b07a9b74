"""Closed forms of Yin et al. 2024, Figure 3: what more drafts save on a single token.

The *batch improvement* of M drafts is P(reject) of one draft less P(reject) of M: TV(target, draft) -
prod_{m <= M} TV(target^m, draft) with target^1 = target and target^{m+1} = [target^m - draft]_+, normalised.
Both cases below are those in which the residual stops changing after the first draft.
"""

from __future__ import annotations

import numpy as np

from simlab.checks import check_number
from simlab.errors import SimlabError


def batch_improvement_bernoulli(draft: float, target: float, drafts) -> np.ndarray:
    """The batch improvement of two tokens, token 1 of probability `draft` and `target` under the models.

    draft, target: in [0, 1]. drafts: whole numbers >= 1 or math.inf, of any shape; returns float64 of that
    shape. For u = draft >= v = target it is (u - v)(1 - u^{M-1}) (Yin et al. 2024, Figure 3). For u < v the
    tokens change places, which changes no total variation (own): 1 - u and 1 - v for u and v, so
    (v - u)(1 - (1 - u)^{M-1}).

    Why: let the token that the draft prefers be a, of draft mass w = max as above. [target - draft]_+ is
    then all on the other token, so target^2 = target^3 = ... is a point mass there, whose total variation to
    the draft is w: the product is |u - v| w^{M-1}. As M grows it tends to |u - v| unless w = 1, where the
    other token is never proposed and nothing is saved. Raises SimlabError for values out of range.
    """
    draft = check_number("draft", draft, least=0.0, most=1.0)
    target = check_number("target", target, least=0.0, most=1.0)
    drafts = _check_drafts(drafts)
    if draft == target:
        return np.zeros(drafts.shape)
    log_preferred = np.log(draft) if draft > target else np.log1p(-draft)
    return abs(draft - target) * _one_less_power(log_preferred, drafts - 1)


def batch_improvement_uniform(ratio: float, drafts) -> np.ndarray:
    """The batch improvement of a draft uniform on V tokens and a target uniform on V' of them.

    ratio: r = V / V' >= 1. drafts: whole numbers >= 1 or math.inf, of any shape; returns float64 of that
    shape: (1 - 1/r) - (1 - 1/r)^M (Yin et al. 2024, Figure 3). Why: [target - draft]_+ is uniform on the V'
    tokens again, so every factor of the product is 1 - 1/r. Raises SimlabError for values out of range.
    """
    ratio = check_number("ratio", ratio, least=1.0)
    drafts = _check_drafts(drafts)
    if ratio == 1:
        return np.zeros(drafts.shape)
    reject = (ratio - 1) / ratio
    log_reject = np.log1p(-1 / ratio) if ratio > 2 else np.log(reject)
    return reject * _one_less_power(log_reject, drafts - 1)


def _one_less_power(log_base: float, exponent: np.ndarray) -> np.ndarray:
    """1 - base^exponent, which keeps its digits where the power is close to 1; exponent 0 or inf included."""
    if log_base == 0:  # 1 to the power of infinity, too: nothing is ever saved
        return np.zeros(exponent.shape)
    return -np.expm1(log_base * exponent)


def _check_drafts(drafts) -> np.ndarray:
    """`drafts` as float64; raises SimlabError for the first that is neither a whole number >= 1 nor inf."""
    numbers = np.asarray(drafts)
    if numbers.dtype.kind not in "iuf":
        raise SimlabError(
            f"drafts = {drafts!r} is not valid; expected whole numbers of at least 1, or inf for the limit"
        )
    numbers = numbers.astype(float)
    wrong = ~((numbers >= 1) & (np.isinf(numbers) | (numbers == np.floor(numbers))))
    if wrong.any():
        raise SimlabError(
            f"drafts = {numbers[wrong][0]:g} is not valid; "
            "expected whole numbers of at least 1, or inf for the limit"
        )
    return numbers
