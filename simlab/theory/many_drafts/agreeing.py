"""Batch decoding in which all drafts go on being used as long as they agree with what was accepted (own).

Algorithm 4 of Yin et al. 2024 (`BatchSpeculative`) follows one draft after a fresh position: the accepted
one. The other drafts that have the same token there are samples of the draft model after it as well, and are
thrown away. Here they stay: at every position the m drafts that are still alive are tried in turn by
recursive rejection, those with the accepted token stay alive, and after a rejection all M are drawn afresh.

**Unbiased.** What is decided at a position depends on the tokens of the living drafts there and on fresh
coins alone. So given all that was decided before, what the m living drafts have next are m independent draws
from the draft after the accepted token, and recursive rejection of independent draws emits the target.

**How many stay alive.** Let the j-th draft be accepted with token y. An earlier one that has y was rejected,
which leaves no residual on y (`recursive`), so y could not have been accepted: none of them has y. The m - j
later ones have not been looked at, so each has y with probability draft(y): 1 + Binomial(m - j, draft(y))
are alive. With u_j = [target - S_j draft]_+ and t_j = sum u_j, draft j is accepted with y with probability
min(t_j draft, u_j)(y), and all m are rejected and y emitted with u_{m+1}(y). So (x, m) is a Markov chain,
and with the count of rejections beside it a forward recursion gives the whole distribution.
"""

from __future__ import annotations

from math import comb

import numpy as np

from simlab.checks import check_count
from simlab.errors import SimlabError
from simlab.pairs.pair import ChainPair, check_pair
from simlab.theory.products import product

MOST_STATES = 4000
"""Last tokens times drafts alive: the recursion multiplies by matrices of that size."""


def agreeing_rejections(pair: ChainPair, drafts: int) -> np.ndarray:
    """The distribution of N_rej where `drafts` drafts stay alive as long as they agree, (T + 1,).

    drafts: M >= 1; one draft is speculative decoding. Compare `predict(pair, BatchSpeculative(M))`, which
    follows the accepted draft alone. Time O(T^2 (M V)^2). Raises SimlabError where M V is above MOST_STATES.
    Source: the module's docstring.
    """
    check_pair(pair)
    drafts = _checked(pair, drafts)
    now = np.zeros((pair.horizon + 1, drafts, pair.states))
    now[0, -1] = pair.initial / pair.initial.sum()
    kernels = None
    for t in range(pair.horizon):
        if kernels is None or not pair.is_stationary:
            kernels = _kernels(pair.draft[t], pair.target[t], drafts)
        accepted, rejected = kernels
        flat = now.reshape(pair.horizon + 1, -1)
        now = product(flat, accepted).reshape(now.shape)
        now[1:, -1] += product(flat, rejected)[:-1]
    return now.sum(axis=(1, 2))


def agreeing_accepted(pair: ChainPair, drafts: int) -> np.ndarray:
    """P(the first t tokens are all accepted) by the call that starts at the first token, for t = 1..T, (T,).

    Their sum is that call's E[accepted tokens]. Arguments and errors: `agreeing_rejections`.
    """
    check_pair(pair)
    drafts = _checked(pair, drafts)
    now = np.zeros((drafts, pair.states))
    now[-1] = pair.initial / pair.initial.sum()
    found = []
    for t in range(pair.horizon):
        now = product(now.reshape(1, -1), _kernels(pair.draft[t], pair.target[t], drafts)[0])
        found.append(now.sum())
    return np.array(found)


def _checked(pair: ChainPair, drafts: int) -> int:
    drafts = check_count("drafts", drafts)
    if drafts * pair.states > MOST_STATES:
        raise SimlabError(
            f"drafts = {drafts} with {pair.states} tokens: a recursion over {drafts * pair.states:,} states; "
            f"give at most {MOST_STATES // pair.states} drafts"
        )
    return drafts


def _kernels(draft: np.ndarray, target: np.ndarray, drafts: int) -> tuple[np.ndarray, np.ndarray]:
    """(from (m, x) to (m', y) by acceptance, (M V, M V); from (m, x) to y by rejection, (M V, V))."""
    states = len(draft)
    accepted = np.zeros((drafts, states, drafts, states))
    rejected = np.empty((drafts, states, states))
    residual, by_try = target, []
    for alive in range(1, drafts + 1):
        tried = residual.sum(axis=1, keepdims=True) if alive > 1 else np.ones((states, 1))
        by_try.append(np.minimum(tried * draft, residual))
        residual = np.maximum(residual - tried * draft, 0.0)
        rejected[alive - 1] = residual
        for behind, mass in enumerate(reversed(by_try)):  # drafts behind the accepted one
            for same in range(behind + 1):
                share = comb(behind, same) * draft**same * (1.0 - draft) ** (behind - same)
                accepted[alive - 1, :, same] += mass * share
    size = drafts * states
    return accepted.reshape(size, size), rejected.reshape(size, states)
