"""Is a rule unbiased? Right ones pass, wrong ones are refuted by rows that refute them in fractions too."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

from simlab import SimlabError, rules
from simlab.cli.main import main
from simlab.verify import rules as verify
from simlab.verify.rules import verify_rule
from tests.oracles.acceptance import answer
from tests.rules.examples import EXACT, NAMED, Reversed, by_token, half, named

BIASED = [one for one in [*NAMED, half, by_token, Reversed()] if one not in EXACT]


@pytest.fixture
def few(monkeypatch):
    """Few rows, for tests of what is found among the smallest."""
    monkeypatch.setattr(verify, "DENOMINATORS", {2: 4, 3: 3})
    monkeypatch.setattr(verify, "RANDOM", 20)


@pytest.mark.statistical
@pytest.mark.parametrize("rule", EXACT, ids=named)
def test_unbiased_rules_have_no_counterexample(rule, few):
    check = verify_rule(rule)
    assert check.unbiased and check.counterexample is None and check.largest < 1e-14
    assert check.rows > 7 * 20


@pytest.mark.parametrize("rule", BIASED, ids=named)
def test_a_counterexample_is_one_in_fractions(rule, few):
    found = verify_rule(rule).counterexample
    accept, rows = answer(rule, list(found.draft), list(found.target))
    drawn = found.draft[::-1] if isinstance(rule, Reversed) else found.draft
    output = [p * b for p, b in zip(drawn, accept, strict=True)]
    for y, row in enumerate(rows):
        if drawn[y] and accept[y] != 1:
            replaced = (value / sum(row) for value in row)
            output = [k + drawn[y] * (1 - accept[y]) * p for k, p in zip(output, replaced, strict=True)]
    assert tuple(output) == found.output and sum(output) == 1
    assert found.total_variation > Fraction(1, 10**6)
    assert found.least <= found.total_variation


def test_no_smaller_rows_refute_it(few):
    """Over-acceptance by 1/4 is wrong already where the draft is certain of a token that cannot come."""
    found = verify_rule(rules.OverAcceptance(0.25)).counterexample
    assert found.denominator == 1 and {found.draft, found.target} == {(0, 1), (1, 0)}
    assert found.total_variation == found.least == Fraction(1, 4)


def test_a_wrong_replacement_is_told_from_too_much_acceptance(few):
    found = verify_rule(lambda p, q: (np.minimum(1, q / np.where(p > 0, p, 1)), q)).counterexample
    assert found.least == 0 < found.total_variation


@pytest.mark.statistical
def test_what_only_rare_tokens_show_is_found_at_random_and_rounded():
    right = rules.Speculative()

    def rare(draft, target):
        accept, replacement = right(draft, target)
        return np.where((target > 0) & (target < 1e-3), 1.0, accept), replacement

    found = verify_rule(rare).counterexample
    assert 1000 < found.denominator < 2000
    assert 0 < min(value for value in found.target if value) < Fraction(1, 1000)


def test_a_rule_that_is_none_is_refused(few):
    with pytest.raises(SimlabError, match=r"accept\[0\] = nan; expected a finite number; draft \[0, 1\]"):
        verify_rule(lambda p, q: (np.minimum(1, q / p), q))


def test_the_command_prints_the_rows_and_exits_with_1(capsys):
    assert main(["verify", "rule=over_acceptance", "epsilon=0.25"]) == 1
    out = capsys.readouterr().out
    assert "over_acceptance is biased" in out and "3/4  1/4" in out and "total variation 1/4 = 0.25" in out
    assert main(["verify", "rule=over_acceptance", "epsilon=0.25", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["counterexample"]["total_variation"] == "1/4" and document["unbiased"] is False


def test_the_command_says_what_it_looked_at_and_exits_with_0(few, capsys):
    assert main(["verify", "rule=token_match"]) == 0
    assert "token_match: no counterexample" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rule=typcal"], "no rule 'typcal'"),
        (["rule=typical", "pair=paper"], "pair=paper: simlab verify rule=.. has seed, epsilon"),
        (["rule=typical,lenient"], "rule: expected one value"),
        (["rule=lenient", "leniency=0"], "leniency = 0"),
        (["rule=token_match", "epsilon=1"], "token_match has no epsilon"),
    ],
)
def test_a_mistake_is_one_line(words, said, capsys):
    assert main(["verify", *words]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
