"""`simlab audit`: finds the verifier, prints the report, and says what is wrong with the words."""

from __future__ import annotations

import json

import pytest

from simlab.cli.main import main

FILE = """
from tests.auditing.verifiers import all_accepted, token

class Verifier:
    def __call__(self, *arguments):
        return token(*arguments)

number = 3
"""


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(FILE)
    (tmp_path / "broken.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("named", ["mine.py:token", "mine.py:Verifier", "tests.auditing.verifiers:token"])
def test_a_right_verifier_exits_with_0(named, capsys):
    assert main(["audit", named, "resolution=0.15", "states=[4]", "window=2"]) == 0
    assert "PASS" in capsys.readouterr().out


@pytest.mark.commands
def test_a_wrong_verifier_exits_with_1_and_json_says_why(capsys):
    assert main(["audit", "mine.py:all_accepted", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["outcome"] == "FAIL" and document["verifier"] == "mine.py:all_accepted"
    assert len(document["wanted"]) == len(document["seen"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "expected one verifier"),
        (["mine.py:token", "mine.py:token"], "expected one verifier"),
        (["mine"], "expected module:function"),
        (["mine.py:nothing"], "has no nothing"),
        (["other.py:token"], "no such file"),
        (["nomodule_at_all:token"], "no module nomodule_at_all"),
        (["broken.py:token"], "ZeroDivisionError"),
        (["mine.py:number"], "not a function"),
        (["mine.py:token", "windows=3"], "windows=3"),
        (["mine.py:token", "window=3,4"], "one value"),
        (["mine.py:token", "window=zero"], "window"),
        (["mine.py:token", "law=other"], "law"),
        (["mine.py:token", "resolution=2"], "resolution"),
    ],
)
def test_a_mistake_in_the_words_is_one_line(words, said, capsys):
    assert main(["audit", *words]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
