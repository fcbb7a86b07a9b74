"""`decoder=rule`: rules by name and code that the command line names, and what is wrong with either."""

from __future__ import annotations

import json
import re
import sys

import numpy as np
import pytest

from simlab.cli.config.compose import compose_points
from simlab.cli.config.rule import rule_decoder
from simlab.cli.config.settings import decoder_from
from simlab.cli.main import main
from simlab.errors import SimlabError

FILE = """
import numpy as np

def half(draft, target):
    return np.full(len(draft), 0.5), target

class Sometimes:
    def __init__(self, epsilon=0.5):
        self.epsilon = epsilon
    def __call__(self, draft, target):
        return np.full(len(draft), self.epsilon), target

def broken(draft, target):
    return draft / 0, target
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(FILE)
    np.save(tmp_path / "rows.npy", np.full((7, 7), 1 / 7))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)  # another test's, of another folder


def predicted(capsys, *words):
    assert main(["predict", "decoder=rule", "pair.horizon=5", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_named_rule_is_predicted_with_its_bias(capsys):
    document = predicted(capsys, "decoder.rule=typical", "decoder.epsilon=.09")
    assert document["decoder"] == {
        "name": "rule", "rule": "typical", "epsilon": 0.09, "delta": 0.3, "window": None, "bonus": False,
    }  # fmt: skip
    bracket = document["total_variation"]
    assert 0 < bracket["low"] == pytest.approx(bracket["high"]) and document["sequence_kl"] > 0
    assert len(document["bias_per_position"]) == 5


@pytest.mark.parametrize(
    "named",
    [
        "mine.py:half",
        *(pytest.param(one, marks=pytest.mark.statistical) for one in ("mine:half", "mine.py:Sometimes")),
    ],
)
def test_code_that_the_command_line_names_is_a_rule(named, capsys):
    document = predicted(capsys, f"decoder.rule={named}")
    assert document["expected_rejections"] == pytest.approx(2.5)
    assert document["decoder"]["rule"].startswith("mine:")


@pytest.mark.statistical
def test_a_class_is_made_with_the_parameters_given(capsys):
    document = predicted(capsys, "decoder.rule=mine.py:Sometimes", "decoder.epsilon=0.75")
    assert document["expected_rejections"] == pytest.approx(1.25)


@pytest.mark.statistical
def test_a_grid_of_rules_is_a_table(capsys):
    rules = "decoder.rule=typical,token_match,mine.py:half"
    assert main(["predict", "pair.horizon=3", "decoder=rule", rules]) == 0
    out = capsys.readouterr().out
    assert "rule=token_match" in out and "rule=mine:half" in out and "TV" in out and "KL" in out


@pytest.mark.figures
def test_rules_are_shown_with_windows_and_the_draft_that_they_are_told(capsys):
    words = ["decoder.rule=greedy_match", "decoder.window=3", "decoder.bonus=true", "pair.horizon=6"]
    assert main(["show", "decoder=rule", *words, "decoder.assumed_draft=rows.npy"]) == 0
    out = capsys.readouterr().out
    assert "the rule's answer for these rows" in out and "target calls" in out


@pytest.mark.statistical
def test_a_study_of_rules_is_simulated_and_judged(capsys):
    words = ["pair.horizon=5", "run=serial", "trajectories=100000", "decoder=rule"]
    assert main(["run", *words, "decoder.rule=lenient,mine.py:half", "decoder.window=null,2"]) == 0
    assert "FAIL" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rule": "typcal"}, "no rule 'typcal': known are speculative, over_acceptance"),
        ({"rule": None}, "decoder.rule = None is not valid; expected one of"),
        ({"rule": "typical", "k": 3}, "rule typical has no k: it has epsilon, delta"),
        ({"rule": "token_match", "k": 3}, "rule token_match has no k: it has no parameters"),
        ({"rule": "lenient", "leniency": 2}, "leniency = 2"),
        ({"rule": "mine:nothing"}, "mine has no nothing"),
        ({"rule": "nomodule_at_all:f"}, "no module nomodule_at_all"),
        ({"rule": "mine.py:half", "k": 3}, "half is not a class, and takes no k"),
        ({"assumed_draft": "other.npy"}, "no file other.npy"),
        ({"assumed_draft": "mine.py"}, "expected a .npy file"),
        ({"drafts": 3}, "decoder rule has no option drafts"),
        ({"window": 0}, "window = 0"),
    ],
)
def test_a_mistake_in_the_options_is_one_line(options, said):
    given = {"rule": "speculative", "bonus": False, **options}
    with pytest.raises(SimlabError, match=re.escape(said)) as raised:
        rule_decoder(given, [f"decoder.rule={given['rule']}"])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["decoder.rule=mine.py:broken"], "accept[0] = inf; expected a finite number; at position 0 after"),
        pytest.param(
            ["decoder.assumed_draft=rows.npy", "pair=mixture"],
            "assumed_draft has shape",
            marks=pytest.mark.statistical,
        ),
    ],
)
def test_a_rule_that_is_wrong_on_the_pair_exits_with_2(words, said, capsys):
    assert main(["predict", "decoder=rule", "pair.horizon=3", *words]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_code_that_only_a_configuration_names_is_not_loaded(tmp_path):
    (tmp_path / "evil.py").write_text("raise SystemExit('loaded')")
    (config,) = compose_points(["decoder=rule"])
    config["decoder"]["rule"] = "evil.py:rule"
    with pytest.raises(SimlabError, match="code is loaded only where the command line itself names it"):
        decoder_from(config, lambda: None)
