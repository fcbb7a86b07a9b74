"""Bounds on E[X] in a random environment: a search for a violation.

Where every node has the same row the environment is no longer random: E[X] of the best tree of P nodes is
one number, found by best-first search, for all P at once. Bounds that hold for every distribution of the rows
hold for these, so that one row that passes one at one P refutes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from simlab.checks import check_count
from simlab.laws import Rows
from simlab.pairs import ChainPair
from simlab.theory import optimal_tree
from simlab.theory.speed_of_light import Moments, dual_bound, moments, renewal_bound, sharper_bound
from simlab.verify.check import Check
from simlab.verify.compare import Claim, at_least, equal

BOUNDS: dict[str, Callable] = {"sharper": sharper_bound, "dual": dual_bound}

STATEMENTS = {
    "sharper": "No tree of P nodes has E[X] > log(P)/mu + mu2/mu^2",
    "dual": "No tree of P nodes has E[X] > log(1 + mu (P + 1) - mu2/mu)/mu + mu2/mu^2 - 1 "
    "where P >= mu2/mu^2 - 1, else P",
}

MOST_STATES = 12
LEAST_ENTROPY = 1e-3
"""Of rows that are closer to certain the gaps are smaller than their rounding."""

TOLERANCE = 1e-9
"""What rounding may take from sums of 10,000 probabilities and from the bounds."""


LATTICE = 5e-3
"""What the renewal bound's lattice may add, in tokens; 2e-3 at most was seen."""


class Found(NamedTuple):
    """A row, its moments, and the capacity with the smallest difference between bound and E[X] there."""

    row: np.ndarray
    moments: Moments
    capacity: int
    bound: float
    accepted: float

    @property
    def difference(self) -> float:
        """bound - E[X], in tokens. Its infimum over all rows is 0: at P = 1 the dual bound is at most 1, and
        E[X] is the largest probability of the row, which can be as near 1 as one likes.
        """
        return self.bound - self.accepted

    @property
    def gap(self) -> float:
        """The difference divided by min(1, mu)^2, which the search makes small: no number of tokens.

        As mu falls to 0 every difference does, a little faster, and that is no news. Nor is that of a row
        that is all but certain, unless it is a violation.
        """
        difference, entropy = self.difference, self.moments.entropy
        if entropy < LEAST_ENTROPY and difference >= -TOLERANCE:
            return np.inf
        return difference / min(1.0, max(entropy, LEAST_ENTROPY)) ** 2


def random_search(
    rows: int = 300,
    *,
    climbs: int = 6,
    steps: int = 30,
    capacity: int = 10_000,
    seed: int = 0,
    bounds: Mapping[str, Callable] = BOUNDS,
) -> list[Check]:
    """For each bound, bound - E[X] >= 0 where a search finds that closest to failing, as `Found.gap` has it.

    rows: how many random rows are looked at, of 2 to 12 tokens (`random_row`), at every P from 1 to
    `capacity`. climbs: from how many of those with the smallest gaps the search climbs on, `steps` random
    steps each that are kept if they make the gap smaller. bounds: functions of (moments, capacities) by name.
    Deterministic by seed. Raises SimlabError for counts below 1 (climbs and steps: below 0).
    """
    rows, capacity = check_count("rows", rows), check_count("capacity", capacity)
    climbs, steps = check_count("climbs", climbs, least=0), check_count("steps", steps, least=0)
    random = np.random.default_rng(seed)
    sampled = [_measured(random_row(random), capacity) for _ in range(rows)]
    return [
        _check(name, bound, sampled, min(climbs, rows), steps, capacity, seed)
        for name, bound in bounds.items()
    ]


def check_renewal(
    rows: int = 40, *, capacity: int = 10_000, seed: int = 0, bound: Callable = renewal_bound
) -> Check:
    """The renewal bound is E[X] of the best tree where every node has the same row: duality leaves no gap.

    rows: how many random rows, of an entropy of 0.1 nats or more, are looked at, at 40 capacities from 1 to
    `capacity` each. bound: a function of (distribution, capacities). Deterministic by seed. Raises
    SimlabError for counts below 1.
    """
    rows, capacity = check_count("rows", rows), check_count("capacity", capacity)
    random = np.random.default_rng([seed, 1])
    places = np.unique(np.geomspace(1, capacity, 40).astype(int))
    bounds, accepted = [], []
    while len(bounds) < rows:
        law = Rows(random_row(random)[None], np.ones(1))
        if moments(law).entropy >= 0.1:
            bounds.append(bound(law, places))
            accepted.append(accepted_by_capacity(law.rows[0], capacity)[places - 1])
    claim = Claim(
        "speed of light, renewal bound",
        "own, after Pankratov and Alistarh 2026",
        "Where every node has the same row, the renewal bound is E[X] of the best tree",
        "bound",
        "E[X] of the best tree",
    )
    scope = f"{len(places)} capacities up to {capacity:,}, {rows} random rows, seed {seed}"
    return equal(claim, bounds, accepted, tolerance=LATTICE, scope=scope)


def random_row(random: np.random.Generator) -> np.ndarray:
    """A distribution on 2 to 12 tokens, (V,): Dirichlet of any concentration, two levels, nearly certain, or
    geometric.
    """
    states = int(random.integers(2, MOST_STATES + 1))
    kind = random.integers(4)
    if kind == 0:
        row = random.dirichlet(np.full(states, 10 ** random.uniform(-1, 2)))
    elif kind == 1:
        row = np.where(np.arange(states) < random.integers(1, states), 1.0, 10 ** random.uniform(-4, 0))
    elif kind == 2:
        rare = 10 ** random.uniform(-3, -0.3)
        row = np.append(1 - rare, np.full(states - 1, rare / (states - 1)))
    else:
        row = random.uniform(0.05, 1) ** np.arange(states)
    return row / row.sum()


def accepted_by_capacity(row: np.ndarray, capacity: int) -> np.ndarray:
    """E[X] of the best tree of 1, 2, .., capacity nodes, (capacity,), where every node has this row, (V,)."""
    chain = np.broadcast_to(row, (len(row), len(row)))
    pair = ChainPair.stationary(chain, chain, np.full(len(row), 1 / len(row)), capacity)
    return optimal_tree(pair, 0, 0, capacity).expected_accepted_by_capacity


def _measured(row: np.ndarray, capacity: int) -> tuple[np.ndarray, Moments, np.ndarray]:
    return row, moments(Rows(row[None], np.ones(1))), accepted_by_capacity(row, capacity)


def _closest(bound: Callable, row: np.ndarray, moments: Moments, accepted: np.ndarray) -> Found:
    capacities = np.arange(1, len(accepted) + 1)
    values = bound(moments, capacities)
    place = int(np.argmin(np.where(np.isnan(values), -np.inf, values - accepted)))
    return Found(row, moments, int(capacities[place]), float(values[place]), float(accepted[place]))


def _check(name, bound, sampled, climbs, steps, capacity, seed) -> Check:
    random = np.random.default_rng([seed, sum(name.encode())])
    found = sorted((_closest(bound, *one) for one in sampled), key=lambda one: one.gap)
    climbed = [_climbed(bound, one, steps, capacity, random) for one in found[:climbs]]
    best = min([found[0], *climbed], key=lambda one: one.gap)
    least = min([best, *(one for one in found if one.gap < np.inf)], key=lambda one: one.difference)
    claim = Claim(
        f"speed of light, {name} bound, random search",
        "own, after Pankratov and Alistarh 2026",
        STATEMENTS.get(name, f"No tree of P nodes has E[X] above the {name} bound"),
        "bound",
        "E[X] of the best tree",
    )
    row = ", ".join(f"{one:.3g}" for one in sorted(best.row, reverse=True))
    scope = (
        f"every P to {capacity:,} on {len(sampled):,} random rows and {climbs * steps:,} steps of climbing, "
        f"seed {seed}; shown, where bound - E[X] over min(1, mu)^2 is smallest, {best.gap:.3g}: "
        f"P = {best.capacity:,}, mu = {best.moments.entropy:.3g}, row ({row}); in tokens alone it was "
        f"{least.difference:.2g} or more (P = {least.capacity:,}, mu = {least.moments.entropy:.2g})"
    )
    return at_least(claim, best.bound, best.accepted, tolerance=TOLERANCE, scope=scope)


def _climbed(bound, found: Found, steps: int, capacity: int, random: np.random.Generator) -> Found:
    """The row after `steps` random changes, each kept if it makes the gap smaller."""
    size = 0.5
    for _ in range(steps):
        row = found.row * np.exp(size * random.standard_normal(len(found.row)))
        changed = _closest(bound, *_measured(row / row.sum(), capacity))
        better = changed.gap < found.gap
        found = changed if better else found
        size *= 1.5 if better else 0.85
    return found
