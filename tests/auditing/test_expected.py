"""What comes out of mistaken verifiers, exactly: published numbers, enumeration in fractions, and draws."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from simlab.auditing import Instance, expected
from simlab.auditing.instances import completed
from simlab.auditing.known import joint_distribution
from simlab.auditing.mistakes import drafted_rows
from simlab.experiments.auditing.options import SHIPPED, one_instance
from tests.auditing.test_known import tiny


def one_token(draft, target):
    """An instance of one position whose two rows are the same after every token."""
    draft, target = np.array(draft, float), np.array(target, float)
    states = len(draft)
    return Instance("one", "", np.tile(draft, (1, states, 1)), np.tile(target, (2, states, 1)))


def first_token(instance, verify):
    joint = expected.completed_distribution(instance, verify)
    return joint.reshape(instance.states, -1).sum(axis=1)


@pytest.mark.parametrize(
    ("draft", "target", "verify", "wrong"),
    [
        ((0.5, 0.25, 0.25), (0.1, 0.6, 0.3), expected.reused_noise, (0.1, 0.63, 0.27)),
        ((0.6, 0.4), (0.5, 0.5), expected.greedy_as_sampled, (5 / 6, 1 / 6)),
        ((0.625, 0.375, 0), (0.4, 0.6, 0), None, (0.5, 0.5, 0)),
        ((0.6, 0.3, 0.1), (0.1, 0.6, 0.3), expected.all_accepted, (0.6, 0.3, 0.1)),
    ],
)
def test_the_smallest_instances_of_shipped_mistakes_have_the_published_output(draft, target, verify, wrong):
    if verify is None:  # ratio and residual with the rows before top-k

        def verify(drafts):
            return expected.other_draft_rows(drafts, lambda rows: rows * 0 + [0.5, 0.3, 0.2])

    assert first_token(one_token(draft, target), verify) == pytest.approx(wrong, abs=1e-12)


def test_the_noise_cannot_show_with_two_tokens():
    instance = one_token((0.8, 0.2), (0.3, 0.7))
    assert first_token(instance, expected.reused_noise) == pytest.approx((0.3, 0.7), abs=1e-12)


def test_a_right_verifier_leaves_the_target():
    instance = tiny()
    assert expected.completed_distribution(instance, expected.right) == pytest.approx(
        joint_distribution(instance), abs=1e-12
    )


def in_fractions(instance, reach_of, replaced_by):
    """The completed output by enumeration: reach_of(ratios) -> P(the first i are accepted), i = 0..g."""
    states, window = instance.states, instance.window

    def row(rows, i, prefix):
        context = 0
        for x in prefix:
            context = (context * states + x) % rows.shape[1]
        return [Fraction(x) for x in rows[i][context].tolist()]

    found = np.full((states,) * (window + 1), Fraction(0))

    def complete(prefix, mass):
        if len(prefix) > window:
            found[prefix] += mass
            return
        for z, t in enumerate(row(instance.target, len(prefix), prefix)):
            if mass * t:
                complete((*prefix, z), mass * t)

    for drafted in itertools.product(range(states), repeat=window):
        draft = [row(instance.draft, i, drafted[:i]) for i in range(window)]
        target = [row(instance.target, i, drafted[:i]) for i in range(window + 1)]
        mass = np.prod([draft[i][x] for i, x in enumerate(drafted)])
        if not mass:
            continue
        ratios = [min(Fraction(1), target[i][x] / draft[i][x]) for i, x in enumerate(drafted)]
        reach = [*reach_of(ratios), Fraction(0)]
        for i in range(window + 1):
            stop = mass * (reach[i] - reach[i + 1])
            if stop:
                last = target[i] if i == window else replaced_by(draft[i], target[i])
                for z, weight in enumerate(last):
                    if weight:
                        complete((*drafted[:i], z), stop * weight)
    return found.ravel().astype(float)


def product(ratios):
    return list(itertools.accumulate(ratios, lambda a, b: a * b, initial=Fraction(1)))


def least(ratios):
    return list(itertools.accumulate(ratios, min, initial=Fraction(1)))


def residual(draft, target):
    excess = [max(t - d, Fraction(0)) for d, t in zip(draft, target, strict=True)]
    return [e / sum(excess) for e in excess]


@pytest.mark.parametrize(
    ("verify", "reach_of", "replaced_by"),
    [
        (expected.right, product, residual),
        (expected.replacement_from_the_target, product, lambda draft, target: target),
        (expected.one_uniform, least, residual),
        (expected.all_accepted, lambda ratios: [Fraction(1)] * (len(ratios) + 1), residual),
    ],
)
def test_a_mistake_is_its_enumeration_in_fractions(verify, reach_of, replaced_by):
    instance = tiny()
    assert expected.completed_distribution(instance, verify) == pytest.approx(
        in_fractions(instance, reach_of, replaced_by), abs=1e-12
    )


@pytest.mark.statistical
@pytest.mark.parametrize("verifier", [*SHIPPED, one_instance()], ids=lambda one: one.name)
def test_a_mistake_is_drawn_as_it_is_derived(verifier):
    """Cells of 30,000 calls against their exact masses, by Hoeffding at 1e-6 / 27 each; the target is far."""
    rng, calls = np.random.default_rng(3), 30_000
    rows = rng.dirichlet(np.ones(3), size=(2, 3, 9))
    instance = Instance("constant rows", "", rows[0, :2], rows[1])
    tokens, _ = completed(instance, verifier.play(instance, *drafted_rows(instance, calls, rng), rng)[0], rng)
    seen = np.bincount(tokens @ [9, 3, 1], minlength=27) / calls
    exact = verifier.output(instance)
    assert exact.sum() == pytest.approx(1, abs=1e-12)
    assert np.abs(seen - exact).max() < np.sqrt(np.log(2 * 27 / 1e-6) / (2 * calls))
    assert np.abs(exact - joint_distribution(instance)).max() > 1e-3


def test_what_is_sometimes_wrong_is_wrong_in_that_share():
    instance, verifier = tiny(), SHIPPED[0]
    mixed = verifier.sometimes(0.25).output(instance)
    parts = 0.75 * joint_distribution(instance) + 0.25 * verifier.output(instance)
    assert mixed == pytest.approx(parts, abs=1e-15)
