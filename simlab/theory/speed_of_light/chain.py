"""A Markov chain's entropy rate and second moment: what stands for mu and mu2 where rows have a memory.

The rows along a path of a chain are not independent of each other, so with these moments the bounds of
`simlab.theory.speed_of_light` are comparisons, not theorems: a path may linger where the chain is nearly
certain, and the best tree seeks such paths.
"""

from __future__ import annotations

import numpy as np

from simlab.errors import SimlabError
from simlab.pairs import ChainPair
from simlab.theory.speed_of_light.steps import Moments

MODELS = ("target", "draft")


def chain_moments(pair: ChainPair, model: str = "target") -> Moments:
    """mu = E[sum p log 1/p] and mu2 = E[sum p log^2 p] over the rows that the model's own output visits.

    A stationary chain: visits in the long run, from the pair's initial distribution (`long_run`); that is the
    chain's stationary distribution if it has only one. A chain that changes from step to step: the rows (t,
    x) of its T steps, each as often as the output, from the initial distribution, comes by. Nats and nats^2.
    model: "target" or "draft". Raises SimlabError for another model. Source: Shannon 1948 for the entropy
    rate; own for the second.
    """
    if model not in MODELS:
        raise SimlabError(f"model = {model!r} is not valid; expected one of {', '.join(MODELS)}")
    rows = pair.target_rows if model == "target" else pair.draft_rows
    visits = long_run(rows[0], pair.initial)[None] if len(rows) == 1 else _visits(rows, pair.initial)
    entropy = second = 0.0
    for chain, weights in zip(rows, visits / visits.sum(), strict=True):
        some = weights > 0
        weighted = chain[some] / chain[some].sum(axis=1, keepdims=True)
        logs = -np.log(np.where(weighted > 0, weighted, 1.0))
        weighted *= weights[some, None]
        entropy += float((weighted * logs).sum())
        second += float((weighted * logs**2).sum())
    return Moments(max(entropy, 0.0), second)


def long_run(chain: np.ndarray, initial: np.ndarray) -> np.ndarray:
    """The share of time that a stationary chain spends in each state, (V,): Cesaro's limit of its marginals.

    chain: float64 (V, V), its rows sum to 1; initial: (V,). It exists for reducible and periodic chains, too:
    each recurrent class gets the probability with which the chain is absorbed by it, spread over the class by
    its stationary distribution (Grassmann, Taksar and Heyman 1985, which subtracts nothing). O(V^3).
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    chain = chain / chain.sum(axis=1, keepdims=True)
    count, class_of = connected_components(csr_array(chain > 0), connection="strong")
    leaves = np.zeros(count, bool)
    before, after = np.nonzero(chain)
    leaves[class_of[before[class_of[before] != class_of[after]]]] = True
    recurrent = ~leaves[class_of]
    arrives = np.where(recurrent, initial, 0.0)
    if not recurrent.all():
        inside = chain[np.ix_(~recurrent, ~recurrent)]
        stays = np.linalg.solve((np.eye(len(inside)) - inside).T, initial[~recurrent])
        arrives[recurrent] += stays @ chain[np.ix_(~recurrent, recurrent)]
    shares = np.zeros(len(chain))
    for one in np.flatnonzero(~leaves):
        members = np.flatnonzero(class_of == one)
        shares[members] = arrives[members].sum() * _stationary(chain[np.ix_(members, members)])
    return shares / shares.sum()


def _stationary(chain: np.ndarray) -> np.ndarray:
    """The stationary distribution of an irreducible chain, by eliminating the states from the last to the
    first."""
    chain = chain.copy()
    for k in range(len(chain) - 1, 0, -1):
        chain[:k, k] /= chain[k, :k].sum()
        chain[:k, :k] += np.outer(chain[:k, k], chain[k, :k])
    law = np.ones(1)
    for k in range(1, len(chain)):
        law = np.append(law, law @ chain[:k, k])
        law /= law.sum()
    return law


def _visits(rows: np.ndarray, initial: np.ndarray) -> np.ndarray:
    """P(the token before step t is x), (T, V)."""
    visits = np.empty(rows.shape[:2])
    visits[0] = initial
    for t in range(len(rows) - 1):
        visits[t + 1] = visits[t] @ rows[t]
    return visits
