"""The optimisation problems behind the theorems, as linear programs solved by HiGHS.

Nothing here knows a theorem's answer: a program is written down from the definition of the algorithms it
ranges over, and the solver finds the optimum. A rejection-based algorithm (Yin et al. 2024, Section 3.2)
proposes y from the draft's row, accepts it with a probability b(y) of its own choice and replaces it by a
draw from a distribution P of its own choice. So the token's distribution is accepted + replaced, with
accepted(y) = b(y) draft(y) anything between 0 and draft(y), and replaced = (1 - sum accepted) P any masses
>= 0 with the sum that is left.

Each row is divided by its sum first: a pair's rows sum to 1 within 1e-9, and an equality in a program is held
to 1e-14, which is less. The solver's answer may still miss a constraint by as much, so it is only a proposal:
it is put right, and what is returned is what the algorithm that it then is attains. For whole sequences the
solver's prices are put right likewise and prove that no algorithm costs less by more than `sequence_accuracy`
(see `_Tree`). Where no way of solving a program leads that far, Undecided is raised.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simlab.checks import check_number
from simlab.errors import SimlabError
from simlab.pairs import ChainPair
from simlab.verify.check import Undecided

if TYPE_CHECKING:
    from scipy.sparse import csr_array

TOLERANCE = 1e-10
"""How far HiGHS may let a constraint be missed, at least; in units of UNIT."""

UNIT = 1e-4
"""Masses are counted in this unit, so that TOLERANCE means 1e-14 of mass."""

ACCURACY = 1e-9
"""What to expect of an optimum at one position; see `sequence_accuracy` for more."""

DROPPED = 1e-9
"""HiGHS drops entries of a matrix up to this size."""

WAYS = (("highs-ds", True), ("highs-ipm", True), ("highs-ds", False))
"""How a program is solved, one way after the other until one leads to an answer: (method, presolve)."""

MANY_VARIABLES = 20_000
"""From so many on the interior point method comes first, being up to three times faster."""

MOST_VARIABLES = 100_000


class Point(NamedTuple):
    """What an algorithm costs: E[N_rej], and the total variation between its output and the target."""

    rejections: float
    total_variation: float


def least_rejection(draft_row, target_row) -> float:
    """The least probability of rejection of an unbiased rejection-based algorithm at one position.

    Maximise sum accepted over 0 <= accepted <= draft, replaced >= 0, accepted + replaced = target.
    draft_row, target_row: distributions (V,). Raises SimlabError if they are not, Undecided where the solver
    fails. Source: the program of which Theorem 2 of Yin et al. 2024 claims the optimum, TV(draft, target).
    """
    draft, target = _distribution("draft_row", draft_row), _distribution("target_row", target_row)
    states = len(target)
    solution = _solve(
        cost=np.concatenate([-np.ones(states), np.zeros(states)]),
        equal=_accepted_and_replaced(states),
        to=target,
        most=np.concatenate([draft, np.full(states, np.inf)]),
    )
    accepted = np.clip(solution[:states], 0.0, np.minimum(draft, target))
    return float(1.0 - accepted.sum())


def least_loss(accepted, target_row) -> tuple[float, np.ndarray]:
    """The least total variation from the target that a replacement can reach, and such a replacement.

    Minimise TV(accepted + rejected P, target) over distributions P, with rejected = 1 - sum accepted.
    accepted: masses (V,), >= 0, of sum <= 1; target_row: a distribution (V,). Returns (loss, P) with P (V,);
    where nothing is rejected P has no effect and is any distribution. Raises SimlabError for other arguments,
    Undecided where the solver fails. Source: the program of which Theorem 4 of Yin et al. 2024 claims the
    optimum.
    """
    target = _distribution("target_row", target_row)
    accepted = np.asarray(accepted, float)
    if accepted.shape != target.shape or not (accepted >= 0).all() or accepted.sum() > 1 + 1e-9:
        raise SimlabError(f"accepted: give {target.shape} masses >= 0 of sum at most 1, a token each")
    rejected = max(1.0 - accepted.sum(), 0.0)
    states = len(target)
    solution = _solve(  # accepted + replaced - above + below = target, sum replaced = rejected
        cost=np.concatenate([np.zeros(states), np.full(2 * states, 0.5)]),
        equal=_replaced_above_below(states),
        to=np.append(target - accepted, rejected),
    )
    replacement = np.maximum(solution[:states], 0.0)
    replacement = replacement / replacement.sum() if replacement.any() else target
    return float(0.5 * np.abs(accepted + rejected * replacement - target).sum()), replacement


def front_by_linear_program(pair: ChainPair, weights: Iterable[float]) -> list[Point]:
    """The algorithm with the least E[N_rej] + weight * TV, for each weight >= 0.

    It ranges over *all* rejection-based algorithms: b and P may depend on the whole prefix, on what was
    rejected before, and on coins (see `_Tree`). TV is between the distributions of the whole sequence
    x_1..x_T given x_0, averaged over x_0. Each point is attained, and no algorithm has a smaller
    rejections + weight * TV by more than `sequence_accuracy`. At weight 0 nothing is rejected, which is
    drafting alone; weights above 2T - 1 give unbiased algorithms (see `least_unbiased_rejections`).

    Raises SimlabError for a weight that is negative or not finite, and for a pair whose program has more than
    MOST_VARIABLES variables, about 3 V^(T + 1); Undecided where the solver does not lead to such a point.
    Source: own.
    """
    tree = _Tree.of(pair)
    return [tree.best(1.0, check_number("weight", weight, least=0.0)) for weight in weights]


def least_sequence_loss(pair: ChainPair, rejections: float) -> Point:
    """The least TV of the whole sequence among all rejection-based algorithms with E[N_rej] <= rejections.

    Otherwise as `front_by_linear_program`, the same front at a given position; either cost may be too large
    by
    `sequence_accuracy`. Source: own.
    """
    return _Tree.of(pair).best(0.0, 1.0, check_number("rejections", rejections, least=0.0))


def least_unbiased_rejections(pair: ChainPair) -> float:
    """The least E[N_rej] among all rejection-based algorithms whose sequences follow the target exactly.

    Otherwise as `front_by_linear_program`. Source: the program of Theorem 2 of Yin et al. 2024 without a word
    about positions: the unbiasedness asked for is that of the sequence.

    *An exact penalty* (own). Unbiasedness is not asked for as a constraint, whose feasible set would be a
    single point, far thinner than a solver's tolerances, but paid for: the least E[N_rej] + 4T * TV. It is
    the same number. For take any algorithm, with masses k and q of a prefix w under its output and the
    target, and the unbiased one of masses q that rejects the least. The first rejects at
    least sum over w, y of [k(w y) - k(w) draft(y)]_+, the other sum over w, y of [q(w y) - q(w) draft(y)]_+.
    As [a]_+ - [b]_+ <= [a - b]_+, that is more by at most the sum over w, y of
    [q(w y) - k(w y)]_+ + draft(y) [k(w) - q(w)]_+, that is by the sum over t = 1..T of TV_t + TV_{t-1}, where
    TV_t, of the first t tokens, is at most TV, and TV_0 = 0: by at most (2T - 1) TV. So whatever an algorithm
    saves by its bias a weight of 2T - 1 or more takes away, and at 4T, where every biased algorithm is
    strictly worse, the optimum is an unbiased one.
    """
    rejections, total_variation = _Tree.of(pair).best(1.0, 4.0 * pair.horizon)
    return rejections + 4.0 * pair.horizon * total_variation


def sequence_accuracy(pair: ChainPair) -> float:
    """By how much an optimum over whole sequences may be too large: what is more is Undecided.

    ACCURACY, where 3e-11 was the most that was seen, and what the solver cannot see: it drops entries of the
    draft's rows up to DROPPED, so that such tokens are never accepted. The same output then takes more
    rejections, at each of T steps at most by the mass of these entries.
    """
    dropped = max(float(np.where(rows <= DROPPED, rows, 0.0).sum(axis=1).max()) for rows in pair.draft_rows)
    return ACCURACY + pair.horizon * dropped


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

    *What a solution is worth.* Of the solver's masses only the shares in which a node's mass goes on are
    taken; they are those of an algorithm, whose costs are `point`. Of its prices only those of the leaves are
    taken, 0 <= price <= bias, what a unit of `reached` beyond the target costs there: as bias [r - q]_+ >=
    price (r - q), no algorithm costs less than what the cheapest way to the leaves at these prices costs,
    which is found backwards, less the sum of price * target. That is `bound`.

    draft: each node's probability of being proposed, level by level, and target: the leaves' masses.
    Variables are accepted, replaced (nodes level by level) and excess; equal, to, below, at_most are the
    constraints equal @ v = to, below @ v <= at_most, the last of these the leaves'.
    """

    initial: np.ndarray
    draft: list[np.ndarray]
    target: np.ndarray
    equal: csr_array
    to: np.ndarray
    below: csr_array
    at_most: np.ndarray
    accuracy: float

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
            initial=initial,
            draft=[rows.reshape(-1, states) for rows in np.split(draft, np.cumsum(levels)[:-1])],
            target=target,
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
            accuracy=sequence_accuracy(pair),
        )

    def best(self, rejection: float, bias: float, most_rejections: float = np.inf) -> Point:
        """The point of least rejection * E[N_rej] + bias * TV with E[N_rej] <= most_rejections.

        Solved in one way after the other until the bound says so; Undecided where it never does.
        """
        best, least = None, -np.inf
        for masses, prices, multiplier in self.solutions(rejection, bias, most_rejections):
            point = self.point(masses)
            if point.rejections > most_rejections + self.accuracy:
                continue
            paid = multiplier * most_rejections if multiplier else 0.0
            least = max(least, self.bound(prices, rejection + multiplier) - paid)
            value = rejection * point.rejections + bias * point.total_variation
            best = min([best or (value, point), (value, point)])
            if best[0] - least <= self.accuracy:
                return best[1]
        if best is None:
            raise Undecided("no solution of the linear program keeps the given E[N_rej]")
        raise Undecided(
            f"the best algorithm that HiGHS finds costs {best[0]:.10g} (rejections and weighted bias), and "
            f"what is proven is that none costs less than {least:.10g}"
        )

    def solutions(
        self, rejection: float, bias: float, most_rejections: float = np.inf
    ) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
        """(masses, the leaves' prices, the price of E[N_rej] <= most_rejections), for each of the WAYS."""
        from scipy.sparse import csr_array, vstack

        leaves = len(self.target)
        nodes = (self.equal.shape[1] - leaves) // 2
        replaced = np.concatenate([np.zeros(nodes), np.ones(nodes), np.zeros(leaves)])
        cost = np.concatenate([np.zeros(nodes), np.full(nodes, rejection), np.full(leaves, bias)])
        below, at_most = self.below, self.at_most
        if most_rejections < np.inf:
            below = vstack([below, csr_array(replaced[None])], format="csr")
            at_most = np.append(at_most, most_rejections)
        for masses, prices in _solutions(cost, self.equal, self.to, below, at_most):
            multiplier = max(prices[nodes + leaves], 0.0) if most_rejections < np.inf else 0.0
            yield masses, np.clip(prices[nodes : nodes + leaves], 0.0, bias), multiplier

    def point(self, masses: np.ndarray) -> Point:
        """Both costs of the algorithm whose output goes on from each node in the same shares as `masses`."""
        nodes = (len(masses) - len(self.target)) // 2
        wanted = np.maximum(masses[:nodes] + masses[nodes : 2 * nodes], 0.0)
        reached, rejections, start = self.initial, 0.0, 0
        for draft in self.draft:
            share = wanted[start : start + draft.size].reshape(draft.shape)
            whole = share.sum(axis=1, keepdims=True)
            share = np.divide(share, whole, out=draft.copy(), where=whole > 0)
            output, proposed = reached[:, None] * share, reached[:, None] * draft
            rejections += float(np.maximum(output - proposed, 0.0).sum())
            reached, start = output.ravel(), start + draft.size
        return Point(rejections, float(0.5 * np.abs(reached - self.target).sum()))

    def bound(self, prices: np.ndarray, rejection: float) -> float:
        """A number that no algorithm's cost is below: what is said under "what a solution is worth"."""
        ahead = prices
        for draft in reversed(self.draft):
            ahead = ahead.reshape(draft.shape)
            replaced = rejection + ahead.min(axis=1, keepdims=True)
            ahead = replaced[:, 0] + (draft * np.minimum(ahead - replaced, 0.0)).sum(axis=1)
        return float(self.initial @ ahead - prices @ self.target)


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


@functools.lru_cache(maxsize=4)
def _accepted_and_replaced(states: int) -> csr_array:
    """The sums that are the target's row in `least_rejection`, the same for all rows of one length."""
    from scipy.sparse import eye_array, hstack

    one = eye_array(states, format="csr")
    return hstack([one, one], format="csr")


@functools.lru_cache(maxsize=4)
def _replaced_above_below(states: int) -> csr_array:
    """The left sides of the equations of `least_loss`, the same for all rows of one length."""
    from scipy.sparse import coo_array, eye_array, hstack, vstack

    one = eye_array(states, format="csr")
    distribution = coo_array(np.concatenate([np.ones(states), np.zeros(2 * states)])[None])
    return vstack([hstack([one, -one, one]), distribution], format="csr")


def _solve(cost, equal, to, most=np.inf) -> np.ndarray:
    """argmin cost @ v over 0 <= v <= most, equal @ v = to, by HiGHS; Undecided where it finds none."""
    return next(_solutions(cost, equal, to, most=most))[0]


def _solutions(
    cost, equal, to, below=None, at_most=None, most=np.inf
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(argmin cost @ v over 0 <= v <= most, equal @ v = to, below @ v <= at_most; the prices of at_most).

    For each of the WAYS that leads to one, solved when it is asked for; Undecided where none does. A program
    of masses: with all bounds doubled the answer is doubled, so the unit is free.
    """
    from scipy.optimize import linprog

    found = False
    for method, presolve in WAYS if len(cost) < MANY_VARIABLES else (WAYS[1], WAYS[0], WAYS[2]):
        result = linprog(
            cost,
            A_ub=below,
            b_ub=None if at_most is None else at_most / UNIT,
            A_eq=equal,
            b_eq=to / UNIT,
            bounds=np.stack(np.broadcast_arrays(np.zeros(len(cost)), most / UNIT), axis=1),
            method=method,
            options={
                "presolve": presolve,
                "primal_feasibility_tolerance": TOLERANCE,
                "dual_feasibility_tolerance": TOLERANCE,
            },
        )
        if result.success:
            found = True
            yield result.x * UNIT, -np.asarray(result.ineqlin.marginals)
    if not found:
        raise Undecided(f"the linear program of {len(cost)} variables was not solved: {result.message}")


def _distribution(name: str, row) -> np.ndarray:
    row = np.asarray(row, float)
    if row.ndim != 1 or not len(row) or not (row >= 0).all() or abs(row.sum() - 1) > 1e-9:
        raise SimlabError(f"{name}: give a distribution (V,), probabilities that sum to 1")
    return row / row.sum()
