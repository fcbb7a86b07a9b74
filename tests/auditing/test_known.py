"""The audit's known distributions against enumeration in fractions, and its instances."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from simlab.auditing import Instance, make_instances
from simlab.auditing.instances import draw
from simlab.auditing.known import expected_accepted, joint_distribution, outcome_table, token_marginals


def tiny(window=2, states=3):
    """Rows of sixteenths, with zeros, for every prefix: exact in floating point."""
    rng = np.random.default_rng(5)
    contexts = states**window

    def rows(positions):
        return rng.multinomial(16, np.ones(states) / states, size=(positions, contexts)) / 16

    draft, target = rows(window), rows(window + 1)
    draft[0, 0], target[0, 0] = [0, 0.5, 0.5][:states], [0.5, 0.5, 0][:states]
    return Instance("tiny", "", draft, target)


def row(rows, i, prefix, states=3):
    context = 0
    for x in prefix:
        context = context * states + x
    return [Fraction(x) for x in rows[i][context % rows.shape[1]].tolist()]


def enumerate_token(instance):
    """{(accepted, tokens emitted): probability} of token verification."""
    found = {}

    def walk(prefix, mass):
        i = len(prefix)
        target = row(instance.target, i, prefix)
        if i == instance.window:
            for z, t in enumerate(target):
                found[i, (*prefix, z)] = found.get((i, (*prefix, z)), 0) + mass * t
            return
        draft = row(instance.draft, i, prefix)
        excess = [max(t - d, 0) for t, d in zip(target, draft, strict=True)]
        for x, d in enumerate(draft):
            if d == 0:
                continue
            accept = min(Fraction(1), target[x] / d)
            if accept:
                walk((*prefix, x), mass * d * accept)
            if accept < 1:
                for z, e in enumerate(excess):
                    key = (i, (*prefix, z))
                    found[key] = found.get(key, 0) + mass * d * (1 - accept) * e / sum(excess)

    walk((), Fraction(1))
    return found


def enumerate_block(instance):
    """The same of block verification, from the algorithm: every draft, every coin."""
    found = {}
    for drafted in itertools.product(range(3), repeat=instance.window):
        mass = Fraction(1)
        for i, x in enumerate(drafted):
            mass *= row(instance.draft, i, drafted[:i])[x]
        if not mass:
            continue
        ratios, chances, lasts = [Fraction(1)], [], []
        for i in range(instance.window):
            target, draft = row(instance.target, i, drafted[:i]), row(instance.draft, i, drafted[:i])
            lasts.append([max(ratios[i] * t - d, 0) for t, d in zip(target, draft, strict=True)])
            ratios.append(min(Fraction(1), ratios[i] * target[drafted[i]] / draft[drafted[i]]))
        lasts.append(row(instance.target, instance.window, drafted))
        for i in range(1, instance.window + 1):
            left = sum(lasts[i])
            room = left + 1 - ratios[i]
            chances.append(ratios[i] if i == instance.window else left / room if room else Fraction(1))
        for accepted in range(instance.window + 1):
            chance = Fraction(1) if accepted == 0 else chances[accepted - 1]
            for later in chances[accepted:]:
                chance *= 1 - later
            if not chance:
                continue
            for z, w in enumerate(lasts[accepted]):
                key = (accepted, (*drafted[:accepted], z))
                found[key] = found.get(key, 0) + mass * chance * w / sum(lasts[accepted])
    return found


@pytest.mark.parametrize(("law", "oracle"), [("token", enumerate_token), ("block", enumerate_block)])
def test_the_outcome_table_is_the_algorithms(law, oracle):
    instance = tiny()
    table, states = outcome_table(instance, law), 3
    for (accepted, tokens), exact in oracle(instance).items():
        mass = 1.0
        contexts = instance.contexts(np.array([tokens]))[0]
        for i, x in enumerate(tokens):
            mass *= table[i, contexts[i], x + states * (i == accepted)]
        assert mass == pytest.approx(float(exact), abs=1e-12), (accepted, tokens)


@pytest.mark.parametrize(("law", "oracle"), [("token", enumerate_token), ("block", enumerate_block)])
def test_the_mean_number_accepted_is_the_algorithms(law, oracle):
    instance = tiny()
    exact = float(sum(accepted * mass for (accepted, _), mass in oracle(instance).items()))
    assert expected_accepted(instance, outcome_table(instance, law)) == pytest.approx(exact, abs=1e-12)


def test_the_marginals_and_the_joint_distribution_are_the_targets():
    instance = tiny()
    joint = joint_distribution(instance).reshape(3, 3, 3)
    for tokens in itertools.product(range(3), repeat=3):
        exact = Fraction(1)
        for i, x in enumerate(tokens):
            exact *= row(instance.target, i, tokens[:i])[x]
        assert joint[tokens] == pytest.approx(float(exact), abs=1e-12)
    marginals = token_marginals(instance)
    for i in range(3):
        others = tuple(axis for axis in range(3) if axis != i)
        np.testing.assert_allclose(marginals[i], joint.sum(axis=others), atol=1e-12)


@pytest.mark.parametrize("window", [1, 3, 9])
@pytest.mark.parametrize("sizes", [(2, 4, 8), (2, 2, 2), (3, 50, 64)])
def test_every_instance_has_rows_that_are_distributions(window, sizes):
    for instance in make_instances(window, sizes, seed=1):
        for rows in (instance.draft, instance.target):
            assert (rows >= 0).all()
            np.testing.assert_allclose(rows.sum(axis=-1), 1, atol=1e-6)
        assert instance.draft.shape[1:] == instance.target.shape[1:]
        assert instance.window == window and instance.states in sizes


def test_a_drawn_token_is_possible():
    rng = np.random.default_rng(0)
    rows = np.array([[0.0, 0.5, 0.0, 0.5, 0.0], [0, 0, 0, 0, 1.0], [1.0, 0, 0, 0, 0]])
    tokens = draw(np.repeat(rows, 1000, axis=0), rng)
    assert (np.repeat(rows, 1000, axis=0)[np.arange(3000), tokens] > 0).all()
