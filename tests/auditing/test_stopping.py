"""check_policy: rules that look ahead are found, with an exact instance of their bias; others never are."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simlab
from simlab.auditing.one_call import SmallInstance, find_bias
from simlab.auditing.stopping import check_policy
from simlab.errors import SimlabError
from tests.strategies import examples

F = Fraction


def drops_unlikely(accepted, drafted, rows):
    for i, (token, row) in enumerate(zip(drafted, rows, strict=False)):
        if row[token] < 0.2:
            return i
    return len(drafted)


def keeps_unlikely(accepted, drafted, rows):
    """Hugging Face's rule: the token of low probability is the last one that is verified."""
    return min(len(drafted), drops_unlikely(accepted, drafted, rows) + 1)


def throughputs(drafted):
    """Of 0, 1, 2 verified positions; the confidence of the second depends on the first token."""
    confidence = [0.8, 0.9 if drafted[0] == 0 else 0.0][: len(drafted)]
    tokens = 1 + np.concatenate([[0], np.cumsum(np.cumprod(confidence))])
    return tokens * [1, 0.5, 0.45][: len(tokens)]


def scheduled(accepted, drafted, rows):
    return int(np.argmax(throughputs(drafted)))


def first_fall(accepted, drafted, rows):
    falls = np.diff(throughputs(drafted)) < 0
    return int(falls.argmax()) if falls.any() else len(drafted)


def unsure(accepted, drafted, rows):
    """llama.cpp's p_min."""
    return bool(rows[-1].max() < 0.6)


def product(accepted, drafted, rows):
    return rows.max(axis=1).prod() < 0.3


def behind_unlikely(accepted, drafted, rows):
    return len(drafted) > 0 and rows[len(drafted) - 1][drafted[-1]] < 0.2


def all_but_one(accepted, drafted, rows):
    return len(drafted) - 1


def by_history(accepted, drafted, rows):
    return min(len(drafted), sum(accepted))


def test_a_dropped_unlikely_token_biases_the_smallest_instance():
    report = check_policy(drops_unlikely)
    assert report.outcome == "FAIL" and not report.non_anticipating
    assert report.bias.instance == SmallInstance(((F(9, 10), F(1, 10)),) * 2, 1, (0,))
    assert report.bias.wanted == (F(1, 2), F(1, 2)) and report.bias.output == (F(11, 20), F(9, 20))
    assert report.bias.total_variation == F(1, 20) and report.anticipation.position == 1
    assert "11/20" in str(report) and "0.55, 0.45" in str(report)


def test_a_global_maximum_of_throughput_biases_and_the_first_fall_does_not():
    report = check_policy(scheduled, window=2)
    assert report.bias.instance.draft[0] == (F(1, 2), F(1, 2)) and report.bias.instance.window == 2
    assert report.bias.wanted == (F(7, 10), F(3, 10)) and report.bias.output == (F(17, 20), F(3, 20))
    assert check_policy(first_fall, window=2).non_anticipating


@pytest.mark.parametrize(
    "rule", [keeps_unlikely, unsure, product, behind_unlikely, all_but_one, by_history, lambda *_: False]
)
def test_rules_that_do_not_look_ahead_pass(rule):
    report = simlab.check_policy(rule, window=2)
    assert report.outcome == "PASS" and report.bias is None
    assert report.asked == ("after drafting" if rule in (keeps_unlikely, all_but_one, by_history) else
                            "before each token")  # fmt: skip


def second_decides(accepted, drafted, rows):
    """Position 1 is dropped if an unlikely token is drafted behind it."""
    return 0 if len(drafted) > 1 and rows[1][drafted[1]] < 0.25 else 1


def only_third(accepted, drafted, rows):
    return 2 if len(drafted) == 3 and drafted[2] == 0 else len(drafted)


def long_history(accepted, drafted, rows):
    return drops_unlikely(accepted, drafted, rows) if len(accepted) > 2 else len(drafted)


@pytest.mark.parametrize(
    ("rule", "window", "position"), [(second_decides, 2, 1), (only_third, 3, 3), (long_history, 1, 1)]
)
def test_what_looks_ahead_further_off_is_found_too(rule, window, position):
    report = check_policy(rule)
    assert report.bias.instance.window == window and report.anticipation.position == position
    assert report.bias.total_variation > 0


def row(states):
    return st.lists(st.integers(1, 9), min_size=states, max_size=states).map(
        lambda weights: tuple(F(one, sum(weights)) for one in weights)
    )


@st.composite
def calls(draw, measurable):
    """An instance, a target, and how many tokens of each block are verified."""
    states, window = draw(st.sampled_from([(2, 1), (2, 2), (2, 3), (3, 2)]))
    draft, target = (tuple(draw(row(states)) for _ in range(states)) for _ in range(2))
    blocks = list(itertools.product(range(states), repeat=window))
    if measurable:
        prefixes = [block[:i] for i in range(window) for block in blocks]
        stops = {prefix: draw(st.booleans()) for prefix in dict.fromkeys(prefixes)}
        verified = {x: next((i for i in range(window) if stops[x[:i]]), window) for x in blocks}
    else:
        verified = {block: draw(st.integers(0, window)) for block in blocks}
    return SmallInstance(draft, window, (0,)), target, verified


def enumerated(instance, target, verified):
    """The joint distribution of the first `window` tokens, sequence by sequence, in no clever way."""
    found = dict.fromkeys(instance.blocks(), F(0))
    for block in instance.blocks():
        for sequence in found:
            mass, x = F(1), 0
            for y in block:
                mass, x = mass * instance.draft[x][y], y
            x, rejected = 0, False
            for i, z in enumerate(sequence):
                p, q, y = instance.draft[x], target[x], block[i]
                if rejected or i >= verified[block]:
                    mass *= q[z]
                elif z == y:
                    mass *= min(F(1), q[y] / p[y])  # a rejected token is never drawn again
                else:
                    left = sum(max(b - a, F(0)) for a, b in zip(p, q, strict=True))
                    share = max(q[z] - p[z], F(0)) / left if left else F(0)
                    mass *= (1 - min(F(1), q[y] / p[y])) * share
                    rejected = True
                x = z
            found[sequence] += mass
    return found


@examples(60)
@given(calls(measurable=True))
def test_no_rule_that_does_not_look_ahead_biases_any_instance(call):
    instance, target, verified = call
    assert find_bias(instance, target, verified.__getitem__) is None


@examples(60)
@given(calls(measurable=False))
def test_the_bias_is_what_enumeration_finds(call):
    instance, target, verified = call
    joint = enumerated(instance, target, verified)
    assert sum(joint.values()) == 1
    bias = find_bias(instance, target, verified.__getitem__)
    after = bias.after if bias else None
    for length in range(instance.window):
        for prefix in itertools.product(range(instance.states), repeat=length):
            mass = [sum(p for s, p in joint.items() if s[: length + 1] == (*prefix, z)) for z in
                    range(instance.states)]  # fmt: skip
            wanted = target[prefix[-1] if prefix else 0]
            same = all(one == sum(mass) * q for one, q in zip(mass, wanted, strict=True))
            if prefix == after:
                assert bias.output == tuple(one / sum(mass) for one in mass) and bias.wanted == wanted
                assert not same
                return
            assert same
    assert bias is None


RNG = np.random.default_rng(1)


def counting():
    calls = itertools.count()
    return lambda accepted, drafted, rows: next(calls) > 3_000


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (3, "expected a function"),
        (lambda accepted: True, "TypeError"),
        (lambda accepted, drafted, rows: 1 / 0, "ZeroDivisionError"),
        (lambda accepted, drafted, rows: 0.5, "returned 0.5"),
        (lambda accepted, drafted, rows: None, "returned None"),
        (lambda accepted, drafted, rows: len(drafted) + 1, "0 to 1"),
        (lambda accepted, drafted, rows: -1, "0 to 1"),
        (lambda accepted, drafted, rows: bool(drafted) or 0, "True or False"),
        (lambda accepted, drafted, rows: rows.sort(), "ValueError"),
        (lambda accepted, drafted, rows: RNG.random() < 0.5, "random"),
        (counting(), "keeps state"),
    ],
)
def test_what_is_not_such_a_function_is_one_line(rule, said):
    with pytest.raises(SimlabError, match=said) as error:
        check_policy(rule)
    assert "\n" not in str(error.value)


def test_a_rule_that_hangs_is_told(monkeypatch):
    monkeypatch.setattr("simlab.auditing.stopping.TIME_LIMIT", 0.05)

    def hangs(accepted, drafted, rows):
        while True:
            pass

    with pytest.raises(SimlabError, match="did not return"):
        check_policy(hangs)


@pytest.mark.parametrize("settings", [{"window": 0}, {"states": 1}, {"window": 13}, {"window": 2.5}])
def test_other_settings_are_refused(settings):
    with pytest.raises(SimlabError, match="window|states"):
        check_policy(unsure, **settings)
