"""Windows in plain Python: tokens, rejections and calls jointly against brute force; classical mistakes are
caught.
"""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from simlab import reference
from simlab.decoders import AdaptiveSpeculative, ConfidenceSpeculative, Speculative, has_bonus
from simlab.decoders.policy import Policy
from simlab.errors import SimlabError
from simlab.reference.draws import draw, residual
from simlab.reference.windows import decode_calls
from tests.decoding.test_windows import NAMES, decoders
from tests.oracles.enumerate import joint_distribution
from tests.oracles.pairs import as_pair, rational_chains
from tests.oracles.statistics import mismatches
from tests.oracles.windows import call_distribution

N = 6_000


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("horizon", "states"), [(4, 2), (2, 3), (1, 2), (3, 1)])
def test_the_reference_follows_the_law_of_tokens_and_calls(name, horizon, states):
    chains, decoder = rational_chains(horizon, states, seed=horizon), decoders(horizon, states)[name]
    draft, target, initial = (part.tolist() for part in _arrays(chains))
    rng = random.Random(7)
    sample: Counter = Counter()
    for _ in range(N):
        tokens, rejected, calls = decode_calls(draft, target, draw(initial, rng), decoder, rng)
        sample[tuple(tokens), tuple(rejected), tuple(map(tuple, calls))] += 1
    assert not mismatches(call_distribution(*chains, decoder), sample)


def _arrays(chains):
    pair = as_pair(*chains)
    return pair.draft, pair.target, pair.initial


def test_simulate_takes_windows():
    chains = rational_chains(3, 2, seed=5)
    for decoder in decoders(3, 2).values():
        paths = reference.simulate(as_pair(*chains), decoder, N // 4, np.random.default_rng(3))
        sample = Counter((tuple(tokens), tuple(rejected)) for tokens, rejected in paths)
        assert not mismatches(joint_distribution(*chains, decoder), sample)


def test_a_policy_that_does_not_fit_is_refused():
    pair = as_pair(*rational_chains(2, 2, seed=1))
    with pytest.raises(SimlabError, match=r"policy is for \(T, V\) = \(2, 3\), the pair has \(2, 2\)"):
        reference.simulate(pair, AdaptiveSpeculative(Policy(np.ones((2, 3)))), 1, random.Random(0))


# Negative controls: one loop with a window, broken as others broke theirs. The tests above must catch each.


def decode(draft, target, decoder, rng, mistake: str | None = None):
    """`reference.windows.decode` from token 0, by rows that are the same at every step, with one mistake."""
    horizon, bonus = len(target), has_bonus(decoder)
    tokens, rejected = [], []
    while len(tokens) < horizon:
        x, t = tokens[-1] if tokens else 0, len(tokens)
        most = min(decoder.window, horizon - t - (bonus and mistake != "window too long by one"))
        over = False
        for _ in range(most):
            row, goal = draft[t][x], target[t][x]
            sure = not isinstance(decoder, ConfidenceSpeculative) or max(row) >= decoder.threshold
            if not sure and mistake != "unsure token dropped":
                break
            y, level = draw(row, rng), rng.random()
            if isinstance(decoder, ConfidenceSpeculative) and mistake == "unsure token dropped":
                if row[y] < decoder.threshold:  # it is not verified, and a bonus token comes in its place
                    break
            over = level >= min(1.0, goal[y] / row[y])
            if over and mistake == "shared uniform":
                y = draw(residual(goal, row), _Given(level))
            elif over:
                y = draw(residual(goal, row), rng)
            tokens.append(y)
            rejected.append(over)
            x, t = y, t + 1
            if over:
                break
        if bonus and not over and len(tokens) < horizon:
            tokens.append(draw((draft if mistake == "bonus from the draft" else target)[t][x], rng))
            rejected.append(False)
    return tuple(tokens), tuple(rejected)


class _Given:
    """A source of randomness that has been used before."""

    def __init__(self, level: float) -> None:
        self.level = level

    def random(self) -> float:
        return self.level


DRAFT = [[0.5, 0.3125, 0.1875], [0.25, 0.375, 0.375], [0.125, 0.125, 0.75]]
TARGET = [[0.25, 0.25, 0.5], [0.5, 0.3125, 0.1875], [0.25, 0.5, 0.25]]
TWO, SURE = Speculative(2, bonus=True), ConfidenceSpeculative(0.4375, 2)


@pytest.mark.parametrize(
    ("decoder", "mistake"),
    [
        (TWO, None),
        (SURE, None),
        (TWO, "bonus from the draft"),
        (SURE, "bonus from the draft"),
        (TWO, "window too long by one"),
        (TWO, "shared uniform"),
        (SURE, "unsure token dropped"),
    ],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_broken_windows_are_caught(decoder, mistake, seed):
    chains = [DRAFT] * 3, [TARGET] * 3, [1, 0, 0]
    distribution, rng = joint_distribution(*chains, decoder), random.Random(seed)
    sample = Counter(decode(*chains[:2], decoder, rng, mistake) for _ in range(2 * N))
    assert bool(mismatches(distribution, sample)) == (mistake is not None)


@pytest.mark.parametrize(
    ("decoder", "mistake", "biased"),
    [
        (SURE, None, False),
        (TWO, "window too long by one", False),
        (TWO, "bonus from the draft", True),
        (TWO, "shared uniform", True),
        (SURE, "unsure token dropped", True),
    ],
)
def test_which_mistakes_bias_the_tokens(decoder, mistake, biased):
    """Most do, and the tokens alone tell; a window too long costs calls only."""
    chains = [DRAFT] * 3, [TARGET] * 3, [1, 0, 0]
    distribution, rng = Counter(), random.Random(3)
    for (tokens, _), mass in joint_distribution(*chains, decoder).items():
        distribution[tokens] += mass
    sample = Counter(decode(*chains[:2], decoder, rng, mistake)[0] for _ in range(2 * N))
    assert bool(mismatches(distribution, sample)) == biased
