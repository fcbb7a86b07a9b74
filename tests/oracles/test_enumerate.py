"""The oracle itself: sums to 1, reproduces the target's distribution, and agrees with a case worked by
hand."""

from fractions import Fraction

import pytest

from simlab.decoders import (
    REPLACEMENTS,
    Autoregressive,
    BatchSpeculative,
    BiasedSpeculative,
    Speculative,
    TreeSpeculative,
)
from tests.oracles.enumerate import drafted_tree, joint_distribution, target_calls, total_variation
from tests.oracles.pairs import rational_chains

TREES = [
    TreeSpeculative(1),
    TreeSpeculative(4),
    TreeSpeculative(4, "draft"),
    TreeSpeculative(2, shape="chain"),
]
DECODERS = [Autoregressive(), Speculative(), *(BatchSpeculative(m) for m in (1, 2, 3)), *TREES]


@pytest.mark.parametrize("decoder", DECODERS, ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_the_tokens_follow_the_target_whatever_the_decoder(decoder, seed):
    chains = rational_chains(3, 2 + seed % 2, seed)
    distribution = joint_distribution(*chains, decoder)
    assert sum(distribution.values()) == 1
    tokens = {}
    for (sequence, _), mass in distribution.items():
        tokens[sequence] = tokens.get(sequence, Fraction(0)) + mass
    alone = joint_distribution(*chains, Autoregressive())
    assert tokens == {sequence: mass for (sequence, _), mass in alone.items()}


def test_one_draft_in_the_batch_is_speculative_decoding():
    chains = rational_chains(3, 3, 5)
    assert joint_distribution(*chains, BatchSpeculative(1)) == joint_distribution(*chains, Speculative())


def test_one_step_worked_by_hand():
    draft, target = [[["3/4", "1/4"]] * 2], [[["1/4", "3/4"]] * 2]
    once = joint_distribution(draft, target, [1, 0], Speculative())
    assert once == {
        ((0,), (False,)): Fraction(1, 4),  # 3/4 drafted, 1/3 accepted
        ((1,), (False,)): Fraction(1, 4),
        ((1,), (True,)): Fraction(1, 2),
    }
    twice = joint_distribution(draft, target, [1, 0], BatchSpeculative(2))
    # A first failure (1/2) leaves [q - p]_+ = (0, 1): the second draft is accepted if it is token 1 (1/4).
    assert twice[(1,), (False,)] == Fraction(1, 4) + Fraction(1, 2) * Fraction(1, 4)
    assert twice[(1,), (True,)] == Fraction(1, 2) * Fraction(3, 4)


@pytest.mark.parametrize("replacement", ["optimal", "residual"])
def test_nothing_accepted_in_excess_is_speculative_decoding(replacement):
    chains = rational_chains(3, 3, 5)
    assert joint_distribution(*chains, BiasedSpeculative(0, replacement)) == joint_distribution(
        *chains, Speculative()
    )
    assert total_variation(*chains, BiasedSpeculative(0, replacement)) == 0


@pytest.mark.parametrize("replacement", REPLACEMENTS)
@pytest.mark.parametrize("epsilon", [1, 7])
def test_everything_accepted_is_the_draft_alone(epsilon, replacement):
    draft, target, initial = rational_chains(3, 3, 5)
    distribution = joint_distribution(draft, target, initial, BiasedSpeculative(epsilon, replacement))
    assert distribution == joint_distribution(target, draft, initial, Autoregressive())


def test_one_biased_step_worked_by_hand():
    draft, target = [[["3/4", "1/4"]] * 2], [[["1/4", "3/4"]] * 2]
    kept = {((0,), (False,)): Fraction(1, 2), ((1,), (False,)): Fraction(1, 4)}  # 1/4 is over-accepted
    second = {"optimal": 1, "residual": 1, "target": Fraction(3, 4), "draft": Fraction(1, 4)}
    for replacement, share in second.items():
        distribution = joint_distribution(draft, target, [1, 0], BiasedSpeculative(0.25, replacement))
        assert {cell: mass for cell, mass in distribution.items() if cell in kept} == kept
        assert distribution.get(((1,), (True,)), 0) == Fraction(1, 4) * share
        assert distribution.get(((0,), (True,)), 0) == Fraction(1, 4) * (1 - share)
        bias = Fraction(1, 4) + Fraction(1, 4) * (1 - share)  # token 0 comes that much too often
        assert total_variation(draft, target, [1, 0], BiasedSpeculative(0.25, replacement)) == bias


def test_two_steps_with_a_tree_worked_by_hand():
    """Rows (1/2, 1/4, 1/4), two nodes: token 0, and behind it 0 again (1/4), which ties with 1 and 2 of the
    root, whose parent was chosen before."""
    row = [Fraction(1, 2), Fraction(1, 4), Fraction(1, 4)]
    chain, start = [[row] * 3] * 2, [1, 0, 0]
    assert drafted_tree(chain, 0, 0, TreeSpeculative(5)) == [(0,), (1,), (2,), (0, 0), (0, 1)]
    assert drafted_tree(chain, 0, 0, TreeSpeculative(5, shape="chain")) == [(0,), (0, 0)]
    distribution = joint_distribution(chain, chain, start, TreeSpeculative(2))
    assert distribution[(2, 0), (True, False)] == Fraction(
        1, 8
    )  # 2 is the bonus token; the next call drafts 0
    assert distribution[(1, 0), (False, True)] == Fraction(1, 8)  # 1 was drafted, and nothing behind it
    assert distribution[(2, 2), (True, True)] == Fraction(1, 16)
    assert ((2, 1), (True, False)) in distribution  # the tree for one token holds 0 and 1
    calls = {(False, True): 1, (True, False): 2, (True, True): 2, (False, False): 1}
    assert all(target_calls(rejected) == calls[rejected] for _, rejected in distribution)


def test_certain_tokens_come_after_what_ties_with_them():
    """A child as probable as its parent waits for all nodes of that probability whose parents came before."""
    half = Fraction(1, 2)
    chain = [[[half, half]] * 2, [[1, 0], [1, 0]], [[half, half]] * 2]
    expected = [(0,), (1,), (0, 0), (1, 0), (0, 0, 0), (0, 0, 1), (1, 0, 0), (1, 0, 1)]
    assert drafted_tree(chain, 0, 0, TreeSpeculative(99)) == expected


def test_rows_that_are_no_distributions_are_refused():
    with pytest.raises(ValueError, match="no distribution"):
        joint_distribution([[[0.1, 0.9]] * 2], [[[0.5, 0.5]] * 2], [1, 0], Speculative())
