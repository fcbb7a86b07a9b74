"""`simlab verify`: the table, the files, JSON, a check that fails, and mistakes."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from simlab import simulate
from simlab.cli.main import main
from simlab.decoders import Speculative
from simlab.errors import SimlabError
from simlab.pairs import ChainPair, mixture, pair_identity, paper
from simlab.runs import Ledger, Task
from simlab.verify import block, theorem2
from simlab.verify.check import Undecided

SMALL = ["run=serial", "trajectories=200000", "pair.horizon=6", "experiment.places=10"]
NAMES = [
    "theorem 1, formula", "theorem 1, simulation", "theorem 1, tokens",
    "theorem 2, linear program", "theorem 2, random search", "theorem 2, all histories",
    "theorem 3, formula, 2 drafts", "theorem 3, simulation, 2 drafts", "theorem 3, tokens, 2 drafts",
    "theorem 3, formula, 4 drafts", "theorem 3, simulation, 4 drafts", "theorem 3, tokens, 4 drafts",
    "proposition 1, monotone", "proposition 1, limit", "proposition 1, formula",
    "theorem 4, linear program", "theorem 4, between 0 and A", "theorem 4, random search",
    "theorem 5, over-acceptance", "theorem 5, any b between",
    "algorithm 4 as proved, 2 drafts", "algorithm 4 as printed, 2 drafts",
    "algorithm 4 as proved, 4 drafts", "algorithm 4 as printed, 4 drafts",
    "sequence front, linear program",
    "block verification, window 2", "block verification, calls at window 2",
    "block verification, gain",
    "biased chain, formula", "biased chain, simulation", "biased chain, tokens", "biased chain, sequence TV",
    "biased chain, step by step",
]  # fmt: skip


@pytest.fixture
def verify(tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder; returns what it printed."""
    monkeypatch.chdir(tmp_path)

    def call(*words, code=0):
        assert main(["verify", *words]) == code, capsys.readouterr()
        return capsys.readouterr()

    return call


@pytest.mark.statistical
def test_every_theorem_on_the_papers_pair(verify, tmp_path):
    out = verify(*SMALL).out
    (folder,) = (tmp_path / "results").glob("verify-paper*")
    table = pd.read_csv(folder / "verify.csv")
    assert table.name.tolist() == NAMES
    assert set(table.status) == {"PASS"}
    assert out.count("PASS") == len(NAMES)
    for row in table.itertuples():
        assert row.name in out and row.statement in " ".join(out.split())
        assert row.difference == pytest.approx(row.left_value - row.right_value, rel=1e-12, abs=1e-15)
    assert max(map(len, out.splitlines()[2:-1])) <= 120
    document = json.loads((folder / "outcome.json").read_text())
    assert [check["name"] for check in document["checks"]] == NAMES


@pytest.mark.statistical
def test_several_pairs_as_json_and_again_without_simulating(verify):
    words = [
        "pair=uniform,bernoulli",
        "pair.horizon=3",
        "experiment.places=10",
        "trajectories=100000",
        "run=serial",
    ]
    first, again = (json.loads(verify(*words, "--json").out) for _ in range(2))
    assert first == again
    titles = [one["title"].partition(",")[0] for one in first]
    assert titles == ["Theorems on uniform", "Theorems on bernoulli"]
    for one in first:
        statuses = {check["name"]: check["status"] for check in one["checks"]}
        assert list(statuses) == NAMES and "FAIL" not in statuses.values()


@pytest.mark.statistical
def test_a_file_with_odd_rows(verify, tmp_path):
    draft = np.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    target = np.array([[0.0, 0.5, 0.5], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    ChainPair.stationary(draft, target, [1.0, 0.0, 0.0], 4).save(tmp_path / "odd.npz")
    out = verify("pair=file", "pair.path=odd.npz", "trajectories=100000", "run=serial").out
    assert "FAIL" not in out and "the one step" not in out
    assert "all 3 x, the same at every t" in out


@pytest.mark.statistical
def test_the_settings_choose_the_decoders(verify):
    words = ["experiment.drafts=[3]", "experiment.epsilon=0.3", "experiment.replacement=draft"]
    (one,) = json.loads(verify(*SMALL, *words, "--json").out)
    names = [check["name"] for check in one["checks"]]
    assert "theorem 3, tokens, 3 drafts" in names and not any("4 drafts" in name for name in names)
    scopes = [check["scope"] for check in one["checks"] if check["name"].startswith("biased")]
    assert all("epsilon 0.3, replacement draft" in scope for scope in scopes)


@pytest.mark.commands
@pytest.mark.parametrize(
    ("only", "chosen"),
    [
        ("theorem 2, theorem 4", NAMES[3:6] + NAMES[15:18]),
        ("Theorem 2, random search", [NAMES[4]]),  # a whole name has commas of its own
        ("'theorem 2, random search'", [NAMES[4]]),
        ("[monotone,theorem 5]", ["proposition 1, monotone", *NAMES[18:20]]),
        ("*random*", [NAMES[4], NAMES[17]]),
        ("prop*mono", ["proposition 1, monotone"]),
    ],
)
def test_single_checks_by_parts_of_their_names_simulate_nothing_they_need_not(verify, tmp_path, only, chosen):
    (one,) = json.loads(verify("pair.horizon=3", "experiment.places=4", f"only={only}", "--json").out)
    assert [check["name"] for check in one["checks"]] == chosen
    with Ledger(tmp_path / "results" / "ledger.sqlite") as ledger:
        assert not list(ledger.tasks())


@pytest.mark.statistical
def test_a_simulated_check_alone_is_the_same_as_among_all(verify, tmp_path):
    sizes = ["run=serial", "trajectories=2000", "pair.horizon=3", "experiment.places=4"]
    (whole,) = json.loads(verify(*sizes, "--json").out)
    for name in ("theorem 3, tokens, 4 drafts", "biased chain, sequence TV"):
        (one,) = json.loads(verify(*sizes, f"only={name}", "output=other", "--json").out)
        assert one["checks"] == [check for check in whole["checks"] if check["name"] == name]
    with Ledger(tmp_path / "other" / "ledger.sqlite") as ledger:
        assert len(list(ledger.tasks())) == 2


@pytest.mark.statistical
def test_what_cannot_be_decided_is_a_row_and_the_others_go_on(verify, monkeypatch):
    def fails(error):
        def check(*_):
            raise error

        return check

    monkeypatch.setattr(theorem2, "least_unbiased_rejections", fails(Undecided("HiGHS Status 8")))
    monkeypatch.setattr(block, "check_calls", fails(MemoryError()))
    (one,) = json.loads(verify(*SMALL, "--json", code=0).out)
    checks = {check["name"]: check for check in one["checks"]}
    names = [name if name != "block verification, calls at window 2" else "block verification, calls"
             for name in NAMES]  # fmt: skip
    assert list(checks) == names
    for name, reason in (("theorem 2, all histories", "HiGHS Status 8"), (names[26], "MemoryError")):
        check = checks.pop(name)
        assert check["status"] == "INCONCLUSIVE" and check["left_value"] == "nan"
        assert check["scope"].endswith(f"undecided: {reason}")
    assert {check["status"] for check in checks.values()} == {"PASS"}


@pytest.mark.statistical
def test_a_mistake_in_a_check_is_a_mistake(verify, monkeypatch):
    def wrong(*_):
        raise SimlabError("experiment.something = 3 is not valid; expected 4")

    monkeypatch.setattr(block, "check_calls", wrong)
    assert "experiment.something = 3 is not valid; expected 4" in verify(*SMALL, code=2).err


@pytest.mark.statistical
def test_a_check_that_fails_makes_the_exit_code_1(verify, tmp_path):
    """Negative control: the ledger holds honest counts of another pair under this task's name."""
    task = Task(pair_identity(paper(6), "paper", horizon=6), Speculative(), 0)
    (tmp_path / "results").mkdir()
    with Ledger(tmp_path / "results" / "ledger.sqlite") as ledger:
        ledger.add_task(task)
        other = simulate(mixture(6, 7), Speculative(), trajectories=100_000)
        ledger.save([(task.id, 0, 100_000, other)])
    out = verify("pair.horizon=6", "run=serial", "trajectories=100000", "experiment.places=10", code=1).out
    failed = [line for line in out.splitlines() if line.startswith("FAIL")]
    assert len(failed) == 2 and "theorem 1, simulation" in failed[0] and "theorem 1, tokens" in failed[1]


@pytest.mark.commands
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["experiment=fig2"], "simlab verify has its own experiment"),
        (["experiment.places=0"], "experiment.places = 0 is not valid; expected a whole number"),
        (["experiment.drafts=2"], "experiment.drafts = 2 is not valid; expected a list"),
        (["experiment.drafts=[2,inf]"], "experiment.drafts = inf is not valid; expected a whole number"),
        (["experiment.epsilon=-1"], "epsilon = -1"),
        (["experiment.replacement=uno"], "no replacement 'uno': known are optimal, target, draft, residual"),
        (["experiment.place=3"], "no setting experiment.place"),
        (["--csv"], "no option --csv"),
        (["only=tehorem"], "no check 'tehorem': known are theorem 1, formula; theorem 1, simulation; "),
        (["only=theorem 1,theorem 9"], "no check 'theorem 9': known are"),
        (["only=theorem 3, formula, 5 drafts"], "no check '5 drafts': known are"),
        (["only="], "only=: expected parts of the checks' names, e.g. only='theorem 1'"),
        (["only=*"], "only=*: expected parts of the checks' names"),
        (["experiment.only=3"], "experiment.only = 3: expected parts of names, e.g. 'theorem 1'"),
        (["experiment.only=[]"], "experiment.only = []: expected parts of names"),
        (["pair=file"], "needs pair.path"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_simulated(verify, tmp_path, words, said):
    printed = verify(*words, code=2)
    assert printed.out == "" and said in printed.err and printed.err.count("\n") == 1
    assert not (tmp_path / "results").exists()


@pytest.mark.statistical
def test_a_large_pair_leaves_the_front_of_sequences_out_and_says_so(verify):
    words = ["pair=dirichlet", "pair.states=41", "pair.horizon=2", "trajectories=20000", "run=serial"]
    out = verify(*words, "experiment.places=5").out
    assert "The front of whole sequences is left out: two steps of 41 states" in out
    assert "sequence front" not in out and "FAIL" not in out


def test_help(verify):
    assert "usage: simlab verify" in verify("--help").out
