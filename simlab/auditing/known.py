"""The known distribution of how many tokens are accepted, and which: token and block verification.

Own code: neither the samplers nor the exact theory of simlab is asked.
"""

from __future__ import annotations

import numpy as np

from simlab.auditing.instances import Instance


def outcome_table(instance: Instance, law: str) -> np.ndarray:
    """P(accept token y, or stop and emit z | all tokens before are accepted): (g + 1, C, 2 V).

    Cells 0..V-1 accept, V..2V-1 stop. At position g nothing is drafted, and the call stops.
    """
    return {"token": _token_table, "block": _block_table}[law](instance)


def _token_table(instance: Instance) -> np.ndarray:
    """Accept y with min(draft, target)(y), else emit z with [target - draft]_+(z) (Leviathan et al. 2023)."""
    draft, target = instance.true_draft, instance.true_target
    table = np.zeros((*target.shape[:2], 2 * target.shape[2]))
    accepted = np.minimum(draft, target[:-1])
    table[:-1] = np.concatenate([accepted, target[:-1] - accepted], axis=-1)
    table[-1, :, instance.states :] = target[-1]
    return table


def _block_table(instance: Instance) -> np.ndarray:
    """Block verification (Sun et al. 2025): P(accepted >= i, prefix) = m_i, with m_0 = 1 and
    m_{i+1} = min(m_i target(y), draft(prefix, y)); what is missing of m_i target(y) is emitted and stops.

    The context must be the whole prefix: C = V**g.
    """
    draft, target = instance.true_draft, instance.true_target
    table = np.zeros((*target.shape[:2], 2 * target.shape[2]))
    reach, drafted = np.ones(1), np.ones(1)
    for i in range(instance.window):
        count = len(reach)
        wanted = reach[:, None] * target[i, :count]
        proposed = drafted[:, None] * draft[i, :count]
        accepted = np.minimum(wanted, proposed)
        with np.errstate(invalid="ignore"):
            rows = np.concatenate([accepted, wanted - accepted], axis=-1) / reach[:, None]
        table[i, :count] = np.where(reach[:, None] > 0, rows, 0.0)
        reach, drafted = accepted.ravel(), proposed.ravel()
    table[-1, :, instance.states :] = target[-1]
    return table


def token_marginals(instance: Instance) -> np.ndarray:
    """The distribution of the token at each position when all tokens are the target's: (g + 1, V)."""
    target, states = instance.true_target, instance.states
    weights = np.zeros(target.shape[1])
    weights[0] = 1.0
    found = []
    for rows in target:
        joint = weights[:, None] * rows
        found.append(joint.sum(axis=0))
        weights = _moved_on(joint, states)
    return np.array(found)


def joint_distribution(instance: Instance) -> np.ndarray:
    """The target's distribution of all g + 1 tokens: (V,) * (g + 1), flat."""
    mass = np.ones(1)
    context = np.zeros(1, dtype=np.int64)
    for rows in instance.true_target:
        mass = (mass[:, None] * rows[context]).ravel()
        steps = context[:, None] * instance.states + np.arange(instance.states)
        context = (steps % rows.shape[0]).ravel()
    return mass


def expected_accepted(instance: Instance, table: np.ndarray) -> float:
    """Mean number of accepted tokens a call under an outcome table."""
    weights = np.zeros(table.shape[1])
    weights[0] = 1.0
    total = 0.0
    for rows in table[:-1]:
        joint = weights[:, None] * rows[:, : instance.states]
        total += joint.sum()
        weights = _moved_on(joint, instance.states)
    return float(total)


def _moved_on(joint: np.ndarray, states: int) -> np.ndarray:
    """The mass of each next context, from the mass of (context, token)."""
    contexts = joint.shape[0]
    following = (np.arange(contexts)[:, None] * states + np.arange(states)) % contexts
    return np.bincount(following.ravel(), joint.ravel(), minlength=contexts)
