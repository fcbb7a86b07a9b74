"""The optimisation problems behind the theorems, as linear programs solved by HiGHS.

Nothing here knows a theorem's answer: a program is written down from the definition of the algorithms it
ranges over, and the solver finds the optimum. A rejection-based algorithm (Yin et al. 2024, Section 3.2)
proposes y from the draft's row, accepts it with a probability b(y) of its own choice and replaces it by a
draw from a law P of its own choice. So the token's law is accepted + replaced, with accepted(y) = b(y)
draft(y) anything between 0 and draft(y), and replaced = (1 - sum accepted) P any masses >= 0 with the sum
that is left.

Each row is divided by its sum first: a pair's rows sum to 1 within 1e-9, and an equality in a program is held
to 1e-14, which is less. The solver's answer may still miss a constraint by as much; a row's is put right,
and what is returned is what the algorithm that it then is attains.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simlab.checks import check_number
from simlab.errors import SimlabError
from simlab.pairs import ChainPair

if TYPE_CHECKING:
    from scipy.sparse import csr_array

TOLERANCE = 1e-10
"""How far HiGHS may let a constraint be missed, at least; in units of UNIT."""

UNIT = 1e-4
"""Masses are counted in this unit, so that TOLERANCE means 1e-14 of mass."""

ACCURACY = 1e-9
"""What to expect of an optimum at one position; see `sequence_accuracy` for more."""

NO_BIAS = 1e-12
"""By what part of its mass a sequence may be too frequent and still unbiased: sums of masses are rounded."""

MOST_VARIABLES = 100_000


class Point(NamedTuple):
    """What an algorithm costs: E[N_rej], and the total variation between its output and the target."""

    rejections: float
    total_variation: float


def least_rejection(draft_row, target_row) -> float:
    """The least probability of rejection of an unbiased rejection-based algorithm at one position.

    Maximise sum accepted over 0 <= accepted <= draft, replaced >= 0, accepted + replaced = target.
    draft_row, target_row: laws (V,). Raises SimlabError if they are none. Source: the program of which
    Theorem 2 of Yin et al. 2024 claims the optimum, TV(draft, target).
    """
    draft, target = _law("draft_row", draft_row), _law("target_row", target_row)
    from scipy.sparse import eye_array, hstack

    states = len(target)
    one = eye_array(states, format="csr")
    solution = _solve(
        cost=np.concatenate([-np.ones(states), np.zeros(states)]),
        equal=hstack([one, one], format="csr"),
        to=target,
        most=np.concatenate([draft, np.full(states, np.inf)]),
    )
    accepted = np.clip(solution[:states], 0.0, np.minimum(draft, target))
    return float(1.0 - accepted.sum())


def least_loss(accepted, target_row) -> tuple[float, np.ndarray]:
    """The least total variation from the target that a replacement can reach, and such a replacement.

    Minimise TV(accepted + rejected P, target) over laws P, with rejected = 1 - sum accepted. accepted: masses
    (V,), >= 0, of sum <= 1; target_row: a law (V,). Returns (loss, P) with P (V,); where nothing is rejected
    P has no effect and is any law. Raises SimlabError for other arguments. Source: the program of which
    Theorem 4 of Yin et al. 2024 claims the optimum.
    """
    target = _law("target_row", target_row)
    accepted = np.asarray(accepted, float)
    if accepted.shape != target.shape or not (accepted >= 0).all() or accepted.sum() > 1 + 1e-9:
        raise SimlabError(f"accepted: give {target.shape} masses >= 0 of sum at most 1, a token each")
    rejected = max(1.0 - accepted.sum(), 0.0)
    from scipy.sparse import coo_array, eye_array, hstack, vstack

    states = len(target)
    one = eye_array(states, format="csr")
    law = coo_array(np.concatenate([np.ones(states), np.zeros(2 * states)])[None])
    solution = _solve(  # accepted + replaced - above + below = target, sum replaced = rejected
        cost=np.concatenate([np.zeros(states), np.full(2 * states, 0.5)]),
        equal=vstack([hstack([one, -one, one]), law], format="csr"),
        to=np.append(target - accepted, rejected),
    )
    replacement = np.maximum(solution[:states], 0.0)
    replacement = replacement / replacement.sum() if replacement.any() else target
    return float(0.5 * np.abs(accepted + rejected * replacement - target).sum()), replacement


def sequence_front(pair: ChainPair, weights: Iterable[float]) -> list[Point]:
    """The algorithm with the least E[N_rej] + weight * TV, for each weight >= 0.

    It ranges over *all* rejection-based algorithms: b and P may depend on the whole prefix, on what was
    rejected before, and on coins (see `_Tree`). TV is between the laws of the whole sequence x_1..x_T given
    x_0, averaged over x_0. Each point lies on the front of what is possible, and nothing lies below the line
    rejections + weight * TV = const. through it. At weight 0 nothing is rejected, which is drafting alone;
    large weights give unbiased algorithms. Raises SimlabError for a weight that is negative or not finite,
    and for a pair whose program has more than MOST_VARIABLES variables, about 3 V^(T + 1). Source: own.
    """
    tree = _Tree.of(pair)
    points = []
    for weight in weights:
        weight = check_number("weight", weight, least=0.0)
        points.append(tree.point(tree.solve(tree.rejections + weight * tree.excess)))
    return points


def least_sequence_loss(pair: ChainPair, rejections: float) -> Point:
    """The least TV of the whole sequence among all rejection-based algorithms with E[N_rej] <= rejections.

    Otherwise as `sequence_front`, the same front at a given place. Source: own.
    """
    rejections = check_number("rejections", rejections, least=0.0)
    tree = _Tree.of(pair)
    return tree.point(tree.solve(tree.excess, most_rejections=rejections))


def least_unbiased_rejections(pair: ChainPair) -> float:
    """The least E[N_rej] among all rejection-based algorithms whose sequences follow the target exactly.

    Otherwise as `sequence_front`. Source: the program of Theorem 2 of Yin et al. 2024 without a word about
    positions: the unbiasedness asked for is that of the sequence.
    """
    tree = _Tree.of(pair)
    return tree.point(tree.solve(tree.rejections, most_bias=NO_BIAS)).rejections


def sequence_accuracy(pair: ChainPair) -> float:
    """What to expect of an optimum over whole sequences.

    HiGHS drops entries of a matrix up to 1e-9, so that such tokens are never accepted: at each step an
    algorithm rejects at most their mass more, and each of these rejections changes at most T positions.
    """
    dropped = max(float(np.where(rows <= 1e-9, rows, 0.0).sum(axis=1).max()) for rows in pair.draft_rows)
    return ACCURACY + 2 * pair.horizon**2 * dropped


@dataclass(frozen=True, eq=False)
class _Tree:
    """All rejection-based algorithms on a pair, as the polytope of masses on the tree of prefixes (own).

    A node is a prefix (x_0, ..., x_t), t = 1..T. accepted(node) and replaced(node) >= 0 are the probabilities
    that the sequence comes to this prefix and that its last token was accepted, or replaced a rejected one;
    reached = accepted + replaced, and reached(x_0) = initial(x_0). For every node w with children w y

        accepted(w y) <= reached(w) draft(y | w),    sum_y reached(w y) = reached(w),

    and nothing else: masses that obey this come from b(y) = accepted(w y) / (reached(w) draft(y | w)) and
    P = replaced(w .) / its sum, which is reached(w) - sum_y accepted(w y), the mass rejected at w.
    Algorithms that remember more than the prefix, or toss coins, give sums of such masses, which obey it too.
    E[N_rej] is the sum of all `replaced`, and TV the sum over leaves of [reached - target]_+, linear with one
    more variable a leaf, `excess`.

    Variables are accepted, replaced (nodes level by level) and excess; `rejections` and `excess` are the two
    costs as vectors, `equal`, `to`, `below`, `at_most` the constraints equal @ v = to, below @ v <= at_most.
    """

    rejections: np.ndarray
    excess: np.ndarray
    equal: csr_array
    to: np.ndarray
    below: csr_array
    at_most: np.ndarray
    leaves: np.ndarray

    @classmethod
    def of(cls, pair: ChainPair) -> _Tree:
        starts = np.flatnonzero(pair.initial)
        states, horizon = pair.states, pair.horizon
        levels = [len(starts) * states**t for t in range(1, horizon + 1)]
        nodes, leaves = sum(levels), levels[-1]
        if 2 * nodes + leaves > MOST_VARIABLES:
            raise SimlabError(
                f"all algorithms on {states} states and {horizon} steps are a program of "
                f"{float(2 * nodes + leaves):.3g} variables: give fewer states or a shorter "
                f"horizon, for at most {MOST_VARIABLES:,}"
            )
        draft, target = _paths(pair, starts)
        from scipy.sparse import coo_array, csr_array, eye_array, hstack, vstack

        node = np.arange(nodes)
        parent = np.concatenate([np.full(levels[0], -1), np.repeat(node[: nodes - leaves], states)])
        inner = np.flatnonzero(parent >= 0)
        family = np.concatenate([np.repeat(np.arange(len(starts)), states), len(starts) + parent[inner]])
        families = len(starts) + nodes - leaves
        up = coo_array((np.ones(nodes), (family, node)), shape=(families, nodes))
        own = coo_array(
            (np.ones(nodes - leaves), (len(starts) + node[: nodes - leaves], node[: nodes - leaves])),
            shape=(families, nodes),
        )
        flow = csr_array(up - own)
        proposed = coo_array((draft[inner], (inner, parent[inner])), shape=(nodes, nodes))
        last = eye_array(nodes, format="csr")[nodes - leaves :]
        initial = pair.initial[starts] / pair.initial.sum()
        return cls(
            rejections=np.concatenate([np.zeros(nodes), np.ones(nodes), np.zeros(leaves)]),
            excess=np.concatenate([np.zeros(2 * nodes), np.ones(leaves)]),
            equal=hstack([flow, flow, csr_array((families, leaves))], format="csr"),
            to=np.concatenate([initial, np.zeros(families - len(starts))]),
            below=vstack(
                [
                    hstack([eye_array(nodes) - proposed, -proposed, csr_array((nodes, leaves))]),
                    hstack([last, last, -eye_array(leaves)]),
                ],
                format="csr",
            ),
            at_most=np.concatenate(
                [np.repeat(initial, states) * draft[: levels[0]], np.zeros(nodes - levels[0]), target]
            ),
            leaves=target,
        )

    def solve(self, cost, most_rejections: float = np.inf, most_bias: float = np.inf) -> np.ndarray:
        """The variables of least cost with sum replaced <= most_rejections, excess <= most_bias target."""
        from scipy.sparse import csr_array, vstack

        below, at_most = self.below, self.at_most
        if most_rejections < np.inf:
            below = vstack([below, csr_array(self.rejections[None])], format="csr")
            at_most = np.append(at_most, most_rejections)
        most = np.full(len(cost), np.inf)
        if most_bias < np.inf:
            most[-len(self.leaves) :] = most_bias * self.leaves
        # With the leaves held fast the interior point method is up to six times faster, else a bit slower.
        method = "highs-ipm" if most_bias < np.inf else "highs"
        return _solve(cost, self.equal, self.to, below, at_most, most, method)

    def point(self, variables: np.ndarray) -> Point:
        """Both costs of a solution, TV from the masses: `excess` bounds it but need not meet it."""
        nodes = (len(variables) - len(self.leaves)) // 2
        reached = variables[:nodes] + variables[nodes : 2 * nodes]
        difference = reached[nodes - len(self.leaves) :] - self.leaves
        return Point(float(self.rejections @ variables), float(0.5 * np.abs(difference).sum()))


def _paths(pair: ChainPair, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the draft's probability of each node's last token, level by level; the target's mass of each leaf)."""
    drafts = []
    mass = pair.initial[starts] / pair.initial.sum()
    last = starts
    for draft, target in zip(pair.draft, pair.target, strict=True):
        drafts.append((draft / draft.sum(axis=1, keepdims=True))[last].ravel())
        mass = (mass[:, None] * (target / target.sum(axis=1, keepdims=True))[last]).ravel()
        last = np.tile(np.arange(pair.states), len(last))
    return np.concatenate(drafts), mass


def _solve(cost, equal, to, below=None, at_most=None, most=np.inf, method="highs") -> np.ndarray:
    """argmin cost @ v over 0 <= v <= most, equal @ v = to, below @ v <= at_most, by HiGHS.

    A program of masses: with all bounds doubled the answer is doubled, so the unit is free.
    """
    from scipy.optimize import linprog

    result = linprog(
        cost,
        A_ub=below,
        b_ub=None if at_most is None else at_most / UNIT,
        A_eq=equal,
        b_eq=to / UNIT,
        bounds=np.stack(np.broadcast_arrays(np.zeros(len(cost)), most / UNIT), axis=1),
        method=method,
        options={"primal_feasibility_tolerance": TOLERANCE, "dual_feasibility_tolerance": TOLERANCE},
    )
    if not result.success:
        raise SimlabError(f"the linear program of {len(cost)} variables was not solved: {result.message}")
    return result.x * UNIT


def _law(name: str, row) -> np.ndarray:
    row = np.asarray(row, float)
    if row.ndim != 1 or not len(row) or not (row >= 0).all() or abs(row.sum() - 1) > 1e-9:
        raise SimlabError(f"{name}: give a law (V,), probabilities that sum to 1")
    return row / row.sum()
