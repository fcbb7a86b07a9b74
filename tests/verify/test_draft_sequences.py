"""The best verification of whole drafts by linear programs: what it must equal, and what it must refuse."""

from __future__ import annotations

import numpy as np
import pytest

import simlab
from simlab import SimlabError
from simlab.theory import optimal_acceptance
from simlab.theory.many_drafts import agreeing_accepted
from simlab.verify import draft_sequences
from tests.exact import close

pytestmark = pytest.mark.statistical


def tiny(seed, states=2, horizon=2):
    pair = simlab.pairs.paper(horizon, states=states, seed=seed)
    return simlab.ChainPair(pair.draft, pair.target, np.eye(states)[0])


@pytest.mark.parametrize(("seed", "states", "horizon"), [(0, 2, 3), (1, 3, 2), (4, 3, 1)])
def test_of_one_draft_block_verification_is_the_best_rule(seed, states, horizon):
    pair = tiny(seed, states, horizon)
    found = draft_sequences.most_accepted_tokens(pair, 0, 1)
    close(found, draft_sequences.accepted_by_block_verification(pair, 0), 1e-7)
    close(draft_sequences.accepted_position_by_position(pair, 0, 1), agreeing_accepted(pair, 1).sum(), 1e-7)


@pytest.mark.parametrize("drafts", [1, 2, 3])
def test_of_one_position_it_is_the_optimal_acceptance(drafts):
    pair = tiny(3, 3, 1)
    wanted = optimal_acceptance(pair.draft[0, 0], pair.target[0, 0], drafts)
    close(draft_sequences.most_accepted_tokens(pair, 0, drafts), wanted, 1e-7)
    close(draft_sequences.accepted_position_by_position(pair, 0, drafts), wanted, 1e-7)


def test_more_is_seen_more_is_accepted_and_a_wrong_number_is_found():
    pairs = [tiny(seed) for seed in range(3)]
    found, agreeing = {}, {}
    for drafts in (1, 2):
        found[drafts] = np.array([
            [draft_sequences.most_accepted_tokens(pair, 0, drafts) for pair in pairs],
            [draft_sequences.accepted_position_by_position(pair, 0, drafts) for pair in pairs],
        ])  # fmt: skip
        agreeing[drafts] = np.array([agreeing_accepted(pair, drafts).sum() for pair in pairs])
    blocks = np.array([draft_sequences.accepted_by_block_verification(pair, 0) for pair in pairs])
    told = draft_sequences.check_sequences(found, agreeing, blocks)
    assert [check.status for check in told] == ["PASS"] * 3
    higher = {m: one + 0.5 for m, one in agreeing.items()}
    for number, wrong in enumerate(
        [
            (found, agreeing, blocks + 1e-5),
            ({1: found[1][::-1]}, {1: agreeing[1]}, blocks),
            (found, higher, blocks),
        ]
    ):
        assert draft_sequences.check_sequences(*wrong)[number].status == "FAIL"


def test_what_is_too_large_is_refused():
    with pytest.raises(SimlabError, match="3 drafts of 3 tokens of 4 are a linear program of up to"):
        draft_sequences.most_accepted_tokens(tiny(0, 4, 3), 0, 3)
