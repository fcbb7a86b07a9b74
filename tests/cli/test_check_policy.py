"""`simlab check-policy`: finds the rule, prints what was found, and says what is wrong with the words."""

from __future__ import annotations

import json

import pytest

from simlab.cli.main import main

FILE = """
from tests.auditing.test_stopping import drops_unlikely, unsure

number = 3

def crashes(accepted, drafted, rows):
    return 1 / 0
"""


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    (tmp_path / "rules.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)


def test_a_rule_that_cannot_bias_exits_with_0(capsys):
    assert main(["check-policy", "rules.py:unsure", "window=1"]) == 0
    assert "PASS" in capsys.readouterr().out


def test_a_rule_that_biases_exits_with_1_and_json_has_its_fractions(capsys):
    assert main(["check-policy", "tests.auditing.test_stopping:drops_unlikely", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["outcome"] == "FAIL" and document["bias"]["output"] == ["11/20", "9/20"]
    assert document["anticipation"]["position"] == 1 and not document["non_anticipating"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "expected one rule"),
        (["rules"], "expected module:function"),
        (["rules.py:nothing"], "has no nothing"),
        (["rules.py:number"], "not a function"),
        (["rules.py:crashes"], "ZeroDivisionError"),
        (["rules.py:unsure", "windows=3"], "windows=3"),
        (["rules.py:unsure", "window=1,2"], "one value"),
        (["rules.py:unsure", "states=1"], "states"),
        (["rules.py:unsure", "--csv"], "no option"),
    ],
)
def test_a_mistake_in_the_words_is_one_line(words, said, capsys):
    assert main(["check-policy", *words]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
