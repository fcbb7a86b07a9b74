"""Random environments: exact values, exact distributions, and samplers broken on purpose that must be
caught."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simlab
from simlab import SimlabError
from simlab.decoding.environments.counts import UNITS, EnvironmentCounts, check_capacities
from simlab.decoding.environments.sampler import environment_tables, simulate_environments_batch
from simlab.laws import Dirichlet, Rows, Softmax, Zipf
from simlab.reference.environment import accepted_in_environment, row_of
from tests.oracles.environments import accepted_alone, accepted_distribution
from tests.oracles.statistics import mismatches
from tests.strategies import examples

ERROR = 1e-6


def simulated(distribution, capacities, environments: int, seed: int = 0) -> EnvironmentCounts:
    tables = environment_tables(distribution, capacities)
    return simulate_environments_batch(tables, environments, np.random.SeedSequence(seed))


def units(value: Fraction) -> int:
    """Tokens as the nearest whole number of units."""
    return math.floor(value * UNITS + Fraction(1, 2))


dyadic_rows = st.lists(st.sampled_from([0, 0, 1, 1, 2, 3, 8, 20]), min_size=1, max_size=6).map(
    lambda parts: [Fraction(part, 64) for part in parts] + [Fraction(64 - sum(parts), 64)]
).filter(lambda row: row[-1] >= 0)  # fmt: skip


# One row: nothing is random.


@given(dyadic_rows, st.sets(st.integers(1, 60), min_size=1, max_size=5))
def test_with_one_row_each_capacity_has_its_exact_value(row, capacities):
    capacities = sorted(capacities)
    distribution = Rows([[float(entry) for entry in row]], [1.0])
    expected = [units(value) for value in accepted_alone(row, capacities)]
    found = simulated(distribution, capacities, 3).accepted
    # Entries are multiples of 1/64: from some depth on a product of floats is rounded.
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize("exponent", [0, 0.3, 1, 4])
@pytest.mark.parametrize("states", [2, 7])
def test_zipf_is_exact_at_every_capacity(states, exponent):
    capacities = range(1, 60)
    distribution = Zipf(states, exponent)
    expected = [units(value) for value in accepted_alone(distribution.rows[0], capacities)]
    assert np.abs(simulated(distribution, capacities, 1).accepted[0] - expected).max() <= 1


@pytest.mark.statistical
def test_a_large_tree_of_one_row_has_its_exact_value():
    """Against NumPy, which makes all prefixes level by level and sorts them."""
    distribution, capacity = Zipf(64, 1.0), 100_000
    level, best = np.ones(1), np.zeros(0)
    while not len(best) or level.max() > best[-1]:
        level = np.sort(np.multiply.outer(level, distribution.rows[0]).ravel())[::-1][:capacity]
        best = np.sort(np.concatenate([best, level]))[::-1][:capacity]
    (found,) = simulated(distribution, [capacity], 1).values[0]
    assert abs(found - math.fsum(best)) < 1e-9


def test_where_all_is_certain_every_drafted_token_is_right():
    for distribution in (
        Dirichlet(1, 0.5),
        Softmax(1, 3),
        Zipf(1, 1),
        Zipf(3, 5000),
        Rows([[1.0]], [1.0]),
        Rows([[0, 1, 0], [1, 0, 0]], [0.3, 0.7]),
    ):
        found = simulated(distribution, [1, 2, 1000, 200_000], 2)
        assert (found.accepted == np.array([1, 2, 1000, 200_000]) * UNITS).all(), distribution


@pytest.mark.parametrize(
    "distribution", [Zipf(4, 0), Softmax(4, 0), Dirichlet(4, 1e12)], ids=["zipf", "softmax", "dirichlet"]
)
def test_uniform_rows_tie_and_fill_level_by_level(distribution):
    capacities = [1, 3, 4, 5, 20, 21, 84, 1000]
    expected = []
    for capacity in capacities:
        total, level, width = Fraction(0), 1, 4
        while capacity:
            total += Fraction(min(capacity, width), width)
            capacity -= min(capacity, width)
            level, width = level + 1, width * 4
        expected.append(float(total))
    assert np.allclose(
        simulated(distribution, capacities, 2).values,
        expected,
        rtol=1e-4 if distribution.label[0] == "D" else 1e-9,
    )


def test_a_vocabulary_much_larger_than_the_tree_takes_no_more_room():
    """65,536 equal children a node: a heap of all of them would take 50 GiB."""
    found = simulated(Zipf(65_536, 0), [65_536, 100_000], 1).values[0]
    assert np.allclose(found, [1.0, 1 + (100_000 - 65_536) / 65_536**2], rtol=0, atol=1e-9)


# Few rows: the distribution of the values is known in rationals.

CASES = {
    "two rows": (
        [[Fraction(3, 4), Fraction(1, 4)], [Fraction(1, 2), Fraction(1, 2)]],
        [Fraction(1, 4), Fraction(3, 4)],
    ),
    "ties and zeros": (
        [[Fraction(1, 2), Fraction(1, 2), 0], [0, 0, 1], [Fraction(1, 4), Fraction(1, 4), Fraction(1, 2)]],
        [Fraction(1, 2), Fraction(1, 8), Fraction(3, 8)],
    ),
    "nearly certain": ([[1, 0], [Fraction(63, 64), Fraction(1, 64)]], [Fraction(1, 2), Fraction(1, 2)]),
}  # fmt: skip
CAPACITIES = (1, 2, 3, 5)


def tally(accepted: np.ndarray) -> Counter:
    return Counter(map(tuple, accepted.tolist()))


def law_in_units(rows, weights) -> dict:
    distribution: Counter = Counter()
    for values, probability in accepted_distribution(rows, weights, CAPACITIES).items():
        distribution[tuple(map(units, values))] += probability
    return distribution


def as_distribution(rows, weights) -> Rows:
    return Rows([[float(entry) for entry in row] for row in rows], [float(weight) for weight in weights])


@pytest.mark.statistical
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("case", CASES)
def test_the_joint_law_of_all_capacities_is_exact(case, seed):
    rows, weights = CASES[case]
    found = simulated(as_distribution(rows, weights), CAPACITIES, 200_000, seed)
    assert mismatches(law_in_units(rows, weights), tally(found.accepted)) == []


@pytest.mark.statistical
@pytest.mark.parametrize("case", CASES)
def test_the_reference_has_the_exact_distribution(case):
    rows, weights = CASES[case]
    random = np.random.default_rng(1)
    shares = [float(weight) for weight in weights]

    def draw_row(generator):
        return rows[generator.choice(len(rows), p=shares)]

    values = [accepted_in_environment(draw_row, CAPACITIES, random) for _ in range(5000)]
    assert mismatches(law_in_units(rows, weights), Counter(tuple(map(units, each)) for each in values)) == []


@pytest.mark.statistical
def test_rows_that_siblings_share_are_caught():
    """A control: all children of a node have one row, as if it were drawn with the parent."""
    rows, weights = CASES["two rows"]
    shares = [float(weight) for weight in weights]
    random = np.random.default_rng(1)
    wrong: Counter = Counter()
    for _ in range(10_000):
        picks = random.choice(len(rows), size=8, p=shares)
        frontier = [(entry, 1) for entry in rows[picks[0]]]  # (probability, depth)
        total, sums = Fraction(0), []
        for chosen in range(1, CAPACITIES[-1] + 1):
            node = max(frontier)
            frontier.remove(node)
            total += node[0]
            if chosen in CAPACITIES:
                sums.append(units(total))
            frontier += [(node[0] * entry, node[1] + 1) for entry in rows[picks[node[1]]]]
        wrong[tuple(sums)] += 1
    assert mismatches(law_in_units(rows, weights), wrong)


@pytest.mark.statistical
def test_rows_drawn_by_other_weights_are_caught():
    rows, _ = CASES["two rows"]
    found = simulated(as_distribution(rows, [Fraction(17, 64), Fraction(47, 64)]), CAPACITIES, 200_000)
    assert mismatches(law_in_units(*CASES["two rows"]), tally(found.accepted))


# Distributions with a density: against NumPy, which draws whole rows.


def far_apart(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two samples contradict one distribution: the inequality of Dvoretzky, Kiefer and Wolfowitz,
    twice."""
    points = np.concatenate([one, other])
    gap = 0.0
    for side in ("left", "right"):
        ranks = [np.searchsorted(np.sort(sample), points, side) / len(sample) for sample in (one, other)]
        gap = max(gap, np.abs(ranks[0] - ranks[1]).max())
    return gap > sum(math.sqrt(math.log(4 / ERROR) / (2 * len(sample))) for sample in (one, other))


def whole_rows(distribution, environments: int, random) -> np.ndarray:
    """E[X | environment] at P = 1 and 2, (n, 2), from rows of the root and of its best child."""
    if isinstance(distribution, Dirichlet):
        rows = random.dirichlet(np.full(distribution.states, distribution.concentration), (environments, 2))
    else:
        rows = np.exp(distribution.scale * random.standard_normal((environments, 2, distribution.states)))
        rows /= rows.sum(axis=2, keepdims=True)
    root = np.sort(rows[:, 0], axis=1)
    first = root[:, -1]
    second = first * rows[:, 1].max(axis=1)
    if distribution.states > 1:
        second = np.maximum(second, root[:, -2])
    return np.stack([first, first + second], axis=1)


DENSE = [
    Dirichlet(2, 1.0),
    Dirichlet(3, 0.05),
    Dirichlet(10, 0.3),
    Dirichlet(64, 0.1),
    Dirichlet(9, 3.0),
    Dirichlet(33, 40.0),
    Softmax(2, 1.0),
    Softmax(16, 3.0),
    Softmax(5, 50.0),
]


@pytest.mark.statistical
@pytest.mark.parametrize("distribution", DENSE, ids=lambda distribution: distribution.label)
def test_small_trees_agree_with_whole_rows(distribution):
    found = simulated(distribution, [1, 2], 50_000, seed=4).accepted
    expected = np.floor(whole_rows(distribution, 50_000, np.random.default_rng(4)) * UNITS + 0.5)
    assert not far_apart(found[:, 0], expected[:, 0])
    assert not far_apart(found[:, 1] - found[:, 0], expected[:, 1] - expected[:, 0])


@pytest.mark.statistical
def test_another_concentration_is_caught():
    expected = whole_rows(Dirichlet(10, 0.3), 100_000, np.random.default_rng(4))[:, 0]
    assert far_apart(simulated(Dirichlet(10, 0.28), [1, 2], 100_000).values[:, 0], expected)


@pytest.mark.statistical
@pytest.mark.parametrize(
    "distribution",
    [Dirichlet(6, 0.3), Dirichlet(12, 2.0), Softmax(6, 2.0)],
    ids=lambda distribution: distribution.label,
)
def test_larger_trees_agree_with_the_reference(distribution):
    capacities, random = [5, 40], np.random.default_rng(6)
    found = simulated(distribution, capacities, 20_000, seed=5).values
    draw_row = row_of(distribution)
    expected = np.array([accepted_in_environment(draw_row, capacities, random) for _ in range(500)])
    for column in range(len(capacities)):
        assert not far_apart(found[:, column], expected[:, column])


def test_rows_of_a_tiny_concentration_are_certain_to_double_precision():
    """The largest of V tokens lies within V a of 1 in the mean; at 1e-6 a gamma would underflow."""
    values = simulated(Dirichlet(64, 1e-6), [1, 10], 20_000).values
    assert (values[:, 0] == 1).mean() > 0.99 and values[:, 0].min() > 0.3
    assert 9.9 < values[:, 1].mean() <= 10


# What holds in every environment.


@st.composite
def odd_distributions(draw):
    kind = draw(st.sampled_from(["rows", "dirichlet", "softmax", "zipf"]))
    states = draw(st.integers(1, 12))
    if kind == "dirichlet":
        return Dirichlet(states, draw(st.sampled_from([1e-9, 1e-3, 0.1, 1.0, 7.0, 1e9])))
    if kind == "softmax":
        return Softmax(states, draw(st.sampled_from([0.0, 1e-9, 1.0, 10.0, 1e300])))
    if kind == "zipf":
        return Zipf(states, draw(st.sampled_from([0.0, 0.5, 1.0, 60.0])))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows = random.random((draw(st.integers(1, 5)), states)) ** draw(st.sampled_from([0, 1, 9]))
    rows *= random.random(rows.shape) < draw(st.sampled_from([0.3, 1.0]))
    rows[rows.sum(axis=1) == 0, 0] = 1.0
    weights = random.random(len(rows)) * (random.random(len(rows)) < 0.7)
    weights[0] += 1e-9
    off = draw(st.sampled_from([1.0, 1 + 9e-10, 1 - 9e-10]))
    return Rows(rows / rows.sum(axis=1, keepdims=True) * off, weights / weights.sum())


@examples(150)
@given(odd_distributions(), st.integers(1, 70), st.integers(0, 2**32))
def test_values_rise_by_falling_steps_and_never_pass_the_capacity(distribution, most, seed):
    found = simulated(distribution, range(1, most + 1), 4, seed)
    values = np.concatenate([np.zeros((4, 1), np.int64), found.accepted], axis=1)
    steps = np.diff(values, axis=1)
    assert (steps >= 0).all() and (steps[:, 0] > 0).all()
    assert (np.diff(steps, axis=1) <= 2).all()  # sums are rounded to a unit
    assert (found.accepted <= np.arange(1, most + 1) * UNITS).all()


@pytest.mark.statistical
@pytest.mark.parametrize(
    "distribution",
    [*DENSE[2:5], Softmax(16, 3.0), Zipf(64, 1.0)],
    ids=lambda distribution: distribution.label,
)
def test_a_smaller_question_has_the_same_answer_in_distribution(distribution):
    """The trees are nested: what is dropped for the sake of P = 500 has no part in P = 20."""
    together = simulated(distribution, [20, 500], 1500, seed=1).values[:, 0]
    alone = simulated(distribution, [20], 10_000, seed=2).values[:, 0]
    assert not far_apart(together, alone)


@pytest.mark.statistical
def test_a_million_nodes():
    (found,) = simulated(Dirichlet(64, 0.1), [10, 1_000_000], 1).values
    assert found[0] < found[1] < 10


UNCOMPILED = """
import json, numpy as np
from simlab.decoding.environments.sampler import environment_tables, simulate_environments_batch
from simlab.laws import Dirichlet, Rows, Softmax, Zipf
distributions = [Dirichlet(20, 0.3), Dirichlet(3, 2.0), Softmax(9, 2.0), Zipf(7, 0.0), Zipf(40, 1.0),
        Rows([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]], [0.9, 0.1])]
found = []
for distribution in distributions:
    tables = environment_tables(distribution, [1, 2, 7, 150, 400])
    found.append(simulate_environments_batch(tables, 2, np.random.SeedSequence(3)).accepted.tolist())
print(json.dumps(found))
"""


@pytest.mark.processes
def test_compiled_or_not_the_counts_are_the_same():
    """Uncompiled an index outside of an array is an error, too."""
    runs = []
    for switched_off in ("0", "1"):
        environment = {**os.environ, "NUMBA_DISABLE_JIT": switched_off}
        command = [sys.executable, "-c", UNCOMPILED]
        runs.append(
            subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        )
    assert runs[0] == runs[1] and len(json.loads(runs[0])) == 6


# The seed, the counts, and mistakes.


def test_the_seed_alone_decides():
    distribution = Dirichlet(8, 0.4)
    assert simulated(distribution, [1, 30], 50, seed=1) == simulated(distribution, [1, 30], 50, seed=1)
    assert simulated(distribution, [1, 30], 50, seed=1) != simulated(distribution, [1, 30], 50, seed=2)


def test_counts_merge_in_any_order_and_only_with_their_like():
    parts = [simulated(Dirichlet(5, 0.5), [1, 7], number, seed=number) for number in (3, 1, 4)]
    none = EnvironmentCounts.zero([1, 7])
    whole = EnvironmentCounts.merged(parts)
    assert whole == parts[2] + (parts[0] + parts[1]) == (none + parts[1]) + parts[0] + parts[2]
    assert whole.environments == 8 and whole.values.shape == (8, 2) and none.environments == 0
    assert whole.accepted.tolist() == sorted(whole.accepted.tolist())
    assert whole != parts[0] and whole != 3
    with pytest.raises(SimlabError, match="do not belong together"):
        whole + simulated(Dirichlet(5, 0.5), [1, 8], 1)
    with pytest.raises(TypeError):
        whole + 1


@pytest.mark.parametrize(
    ("capacities", "message"),
    [
        ((), "expected a list"),
        ("12", "expected a list"),
        (None, "expected a list"),
        (2.5, "expected a list"),
        ([0, 1], "capacity = 0 is not valid; expected a whole number of at least 1"),
        ([1, 2.5], "capacity = 2.5"),
        ([2**31], "capacity = 2147483648 is not valid; expected a whole number of at most 2147483647"),
        ([5, 3], "capacities: 3 comes after 5: give them ascending, each once"),
        ([5, 5], "capacities: 5 comes after 5"),
    ],
)
def test_capacities_that_are_none(capacities, message):
    with pytest.raises(SimlabError) as caught:
        check_capacities(capacities)
    assert message in str(caught.value)
    assert check_capacities(7) == (7,) and check_capacities(np.array([1, 9])) == (1, 9)


def test_what_does_not_fit_says_what_it_would_take(monkeypatch):
    monkeypatch.setattr("simlab.memory.available_memory", lambda: 2**30)
    with pytest.raises(SimlabError, match="= 100000000: a search needs 1.5 GiB of memory, more than"):
        environment_tables(Zipf(), [100_000_000])


def test_the_public_call():
    found = simlab.simulate_environments(Dirichlet(8, 0.4), [1, 30], 100, seed=3)
    assert found.environments == 100 and found.capacities.tolist() == [1, 30]
    assert found == simlab.simulate_environments(Dirichlet(8, 0.4), [1, 30], 100, seed=3, workers=2)
    for wrong, message in (
        (lambda: simlab.simulate_environments("dirichlet", [1], 1), "distribution is of type str"),
        (lambda: simlab.simulate_environments(Zipf(), [1], 0), "environments = 0"),
        (lambda: simlab.simulate_environments(Zipf(), [1], 1, seed=-1), "seed = -1"),
        (lambda: simlab.simulate_environments(Zipf(), [1], 1, workers=0), "workers = 0"),
    ):
        with pytest.raises(SimlabError, match=message):
            wrong()
