"""Windows with a memory, compiled: tokens, calls and drafted tokens against brute force, and spoilt rules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from simlab.decoders import HistorySpeculative, Speculative, longest_window
from simlab.decoding import build_tables, simulate_batch
from simlab.decoding.core.chunks import CHUNK
from simlab.decoding.simulate import BLOCK, record_paths
from simlab.reference.memory import windows_of
from tests.decoding.test_simulate import paper, seeded
from tests.decoding.test_windows import disagreements
from tests.oracles.pairs import as_pair, rational_chains
from tests.oracles.rules import RULES
from tests.oracles.statistics import mismatches, outcomes
from tests.oracles.windows import call_distribution, marginal
from tests.strategies import examples, pairs
from tests.test_memory import rules

N = 200_000


def caught(chains, decoder, change=lambda tables: tables) -> tuple[bool, bool]:
    """Whether the sampler is caught by tokens and rejections jointly, and by its counts of calls."""
    tables = change(build_tables(as_pair(*chains), decoder))
    distribution, paths = call_distribution(*chains, decoder), record_paths(tables, N, seeded(5))
    joint = marginal(distribution, lambda tokens, rejected, calls: (tokens, rejected))
    counts = simulate_batch(tables, N, seeded(6))
    wrong = disagreements(distribution, counts, longest_window(decoder, len(chains[0])))
    return bool(mismatches(joint, outcomes(paths.tokens, paths.rejected))), bool(wrong)


@pytest.mark.statistical
@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(("horizon", "states", "zeros"), [(6, 2, 0.2), (4, 3, 0.0), (1, 3, 0.2), (5, 1, 0)])
def test_tokens_calls_and_drafted_tokens_follow_their_distribution(name, horizon, states, zeros):
    assert caught(rational_chains(horizon, states, 21, zeros), RULES[name]) == (False, False)


# Negative controls, one a rule at least: the production kernel with a spoilt automaton.


def forgetful(tables):
    """Always in the first state."""
    return replace(tables, after=np.zeros_like(tables.after))


def one_late(tables):
    """The outcome is read as though one token fewer had been accepted."""
    return replace(tables, after=np.concatenate([tables.after[:, :1], tables.after[:, :-1]], axis=1))


@pytest.mark.statistical
@pytest.mark.parametrize("mistake", [forgetful, one_late])
@pytest.mark.parametrize("name", ["history", "streak of one", "ema"])
def test_a_spoilt_memory_is_caught(name, mistake):
    """By the calls and by the rejections: the tokens alone follow the target whatever the windows are."""
    assert caught(rational_chains(6, 2, 21, 0.0), RULES[name], mistake)[1]


@examples(60)
@given(pairs(most_steps=6), rules())
def test_calls_are_those_that_the_paths_tell(pair, decoder):
    """Where a call ends follows from the rejections and the windows, which the reference's rule gives."""
    assert_recounted(pair, decoder, 130)


@pytest.mark.parametrize("trajectories", [1, 33, CHUNK + 1])
def test_calls_are_those_of_the_paths_in_chunks_of_any_size(trajectories):
    assert_recounted(paper(7), HistorySpeculative(2, longest=4), trajectories)


def assert_recounted(pair, decoder, trajectories: int) -> None:
    horizon, longest = pair.horizon, longest_window(decoder, pair.horizon)
    tables = build_tables(pair, decoder)
    counts, paths = (run(tables, trajectories, seeded(4)) for run in (simulate_batch, record_paths))
    calls, drafted = np.zeros_like(counts.target_calls), np.zeros_like(counts.drafted_tokens)
    by_position = np.zeros((3, longest), np.int64)
    for rejected in paths.rejected:
        t = number = proposed = 0
        rule = windows_of(decoder)
        window = next(rule)
        while t < horizon:
            goal = min(window, horizon - t - 1)
            accepted = next((i for i in range(goal) if rejected[t + i]), goal)
            for row, end in enumerate((goal, min(goal, accepted + 1), accepted)):
                by_position[row, :end] += 1
            window = rule.send(accepted)
            t, number, proposed = t + accepted + 1, number + 1, proposed + goal
        calls[number] += 1
        drafted[proposed] += 1
    assert np.array_equal(counts.target_calls, calls)
    assert np.array_equal(counts.drafted_tokens, drafted)
    found = counts.drafted_by_position, counts.reached_by_position, counts.accepted_by_position
    assert np.array_equal(np.array(found), by_position)
    assert np.array_equal(paths.rejected.sum(axis=0), counts.rejections_per_position)


def test_a_rule_that_never_moves_is_a_fixed_window_with_the_same_random_numbers():
    pair = paper(6, 9)
    still, fixed = HistorySpeculative(3, 0, 0, longest=3), Speculative(3, bonus=True)
    one, other = (simulate_batch(build_tables(pair, decoder), 5000, seeded(1)) for decoder in (still, fixed))
    assert one == other


@pytest.mark.statistical
def test_blocks_of_trajectories_do_not_mix():
    """What the rules of one block remember is forgotten in the next: both halves have the same calls."""
    pair, decoder = paper(3), HistorySpeculative(1, longest=2)
    tables = build_tables(pair, decoder)
    counts = simulate_batch(tables, 2 * BLOCK, seeded(4))
    rejected = record_paths(tables, 2 * BLOCK, seeded(4)).rejected
    # The first call drafts one token: accepted, a bonus token follows, and one token is left; or rejected.
    wanted = np.where(rejected[:, 0], 2 + rejected[:, 1], 2)
    assert np.array_equal(np.bincount(wanted, minlength=4), counts.target_calls)


FROZEN = {
    "history": [[0, 0, 3288, 4761, 1873, 78], [0, 0, 0, 6122, 3553, 325, 0, 0, 0, 0]],
    "ema": [[0, 0, 4417, 3655, 1842, 86], [0, 0, 0, 4469, 4538, 993, 0, 0, 0, 0]],
}


@pytest.mark.parametrize("name", FROZEN)
def test_same_seed_same_counts_on_every_machine(name):
    """Frozen numbers: the stream and the tables are part of the contract. A change here voids old ledgers."""
    counts = simulate_batch(build_tables(paper(5), RULES[name]), 10_000, seeded(2024))
    assert [counts.target_calls.tolist(), counts.drafted_tokens.tolist()] == FROZEN[name]
