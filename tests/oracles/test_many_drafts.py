"""Every rule of verifying several children emits the target, in exact fractions; worked values."""

from __future__ import annotations

from fractions import Fraction

import pytest

from simlab.decoders import RULES, MultiDraftSpeculative
from tests.oracles.enumerate import _row
from tests.oracles.many_drafts import greedy_vertex, position
from tests.oracles.pairs import rational_chains

KINDS = [(rule, replacement) for rule in RULES for replacement in (True, False)]
KINDS.remove(("k-seq", False))


@pytest.mark.parametrize(("rule", "replacement"), KINDS)
@pytest.mark.parametrize(("states", "zeros"), [(3, 0.0), (3, 0.5), (2, 0.2), (1, 0.0)])
def test_accepted_and_corrected_tokens_are_the_targets(rule, replacement, states, zeros):
    draft, target, _ = rational_chains(2, states, seed=5, zeros=zeros)
    for children in (1, 2, 4):
        decoder = MultiDraftSpeculative((children,), rule, replacement)
        for rows in zip(draft[0] + draft[1], target[0] + target[1], strict=True):
            found = position(*rows, children, decoder)
            for y, goal in enumerate(rows[1]):
                assert found.get((y, True), 0) + found.get((y, False), 0) == goal


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize(("states", "zeros"), [(4, 0.0), (4, 0.5), (3, 0.3)])
def test_the_flow_accepts_what_the_greedy_algorithm_of_polymatroids_does(replacement, states, zeros):
    draft, target, _ = rational_chains(1, states, seed=8, zeros=zeros)
    for children in (1, 2, 3):
        decoder = MultiDraftSpeculative((children,), "optimal", replacement)
        for rows in zip(draft[0], target[0], strict=True):
            found = position(*rows, children, decoder)
            vertex = greedy_vertex(*map(_row, rows), children, decoder)
            assert vertex == [found.get((y, True), 0) for y in range(states)]


WORKED = [
    ("6 3 1", "1 6 3", 2, {"match": 0.447, "recursive": 0.70, "k-seq": 0.713939, "optimal": 0.74}),
    ("1 2 3 4", "4 3 2 1", 2, {"match": 0.35, "recursive": 0.72, "k-seq": 0.75, "optimal": 0.79}),
    ("1 2 3 4", "4 3 2 1", 3, {"recursive": 0.768, "k-seq": 0.79395, "optimal": 0.871, "greedy": 0.933333}),
    ("3 4 2 1", "4 3 2 1", 2, {"match": 0.487, "recursive": 0.93, "k-seq": 0.96, "optimal": 1, "greedy": 1}),
]
DISTINCT = [
    ("6 3 1", "1 6 3", 2, {"recursive": 0.925, "optimal": 0.992857, "greedy": 0.95}),
    ("1 2 3 4", "4 3 2 1", 2, {"recursive": 0.764286, "optimal": 0.834524, "greedy": 0.766667}),
    ("1 2 3 4", "4 3 2 1", 3, {"recursive": 0.840298, "optimal": 1}),
    ("3 4 2 1", "4 3 2 1", 2, {"recursive": 0.95, "optimal": 1}),
]


@pytest.mark.parametrize(
    ("draft", "target", "children", "accepted", "replacement"),
    [(*case, True) for case in WORKED] + [(*case, False) for case in DISTINCT],
)
def test_worked_values(draft, target, children, accepted, replacement):
    draft, target = ([Fraction(int(digit), 10) for digit in row.split()] for row in (draft, target))
    for rule, value in accepted.items():
        decoder = MultiDraftSpeculative((children,), rule, replacement)
        found = position(draft, target, children, decoder)
        assert abs(sum(mass for (_, kept), mass in found.items() if kept) - value) < 1e-6
