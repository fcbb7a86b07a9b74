"""`simlab report`: what is there is shown, what is missing is named, and mistakes end in one line."""

from __future__ import annotations

import json
import re
import shlex
import shutil

import pytest

from simlab.cli.config.compose import compose_points
from simlab.cli.main import main
from simlab.report.rows import claim

pytestmark = pytest.mark.figures

SMALL = ["run=serial", "trajectories=2000", "tier.running_average=200"]
LISTED = "reproduce=[['experiment=fig2'],['experiment=drafts']]"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A results folder with Figure 2, a grid and nothing else."""
    folder = tmp_path_factory.mktemp("made")
    for words in (["experiment=fig2"], ["experiment=drafts", "pair.horizon=3"]):
        assert main(["run", *words, *SMALL, f"output={folder}/results"]) == 0
    return folder / "results"


@pytest.fixture
def results(made, tmp_path, monkeypatch):
    """A copy of it, below the working folder."""
    shutil.copytree(made, tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results"


@pytest.fixture
def report(capsys):
    """Run `simlab report`; returns what it printed on stdout and stderr."""

    def call(*words, code=0):
        assert main(["report", *words]) == code
        printed = capsys.readouterr()
        return printed.out, printed.err

    return call


def page(results) -> str:
    return (results / "report" / "index.html").read_text()


def folder(results, start: str):
    (found,) = results.glob(f"{start}*")
    return found


def edit(path, change) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_the_page_and_the_terminal_show_the_same_verdicts(results, report):
    out, _ = report(LISTED)
    verdicts = [
        verdict for path in results.glob("*/verdicts.json") for verdict in json.loads(path.read_text())
    ]
    assert len(verdicts) == 4 + 12
    text = page(results)
    for verdict in verdicts:
        said = claim(verdict["name"], verdict["experiment"])
        assert said in out and said in text
        assert f"{verdict['estimate']:.6g}" in out and f"{verdict['estimate']:.6g}" in text
    total = next(line for line in out.splitlines() if line.startswith("16 verdicts: "))
    assert all(part in text for part in total.partition(": ")[2].split(", "))
    assert out.splitlines()[-1] == "wrote results/report/index.html"


def test_drawing_the_page_again_changes_no_byte_and_simulates_nothing(results, report):
    report(LISTED)
    before, ledger = page(results), (results / "ledger.sqlite").read_bytes()
    report(LISTED)
    assert page(results) == before and (results / "ledger.sqlite").read_bytes() == ledger


def test_what_is_missing_is_named_with_what_makes_it(results, report):
    _, err = report(
        "reproduce=[['experiment=fig2'],['experiment=drafts'],['experiment=fig5','pair=corpus']]", *SMALL[2:]
    )
    assert [line for line in err.splitlines() if line.startswith("simlab: missing")] == [
        "simlab: missing, made by simlab run experiment=drafts tier.running_average=200",
        "simlab: missing, made by simlab run experiment=fig5 pair=corpus tier.running_average=200",
    ]
    assert "simlab run experiment=fig5 pair=corpus" in page(results)


def test_sizes_and_spellings_do_not_make_an_experiment_missing(results, report):
    _, err = report("reproduce=[['experiment=fig2']]", "tier=paper", "pair=paper", "pair.horizon=50")
    assert err == ""
    _, err = report("reproduce=[['experiment=fig2']]", "seed=1")
    assert "missing" in err


def test_a_users_own_studies_are_shown_after_the_listed_ones(results, report):
    report("reproduce=[['experiment=drafts','pair.horizon=3']]")
    text = page(results)
    assert text.index("<h2>drafts") < text.index("<h2>Figure 2 on paper")


def test_output_elsewhere_is_in_the_commands(results, report, tmp_path):
    (tmp_path / "a b").mkdir()
    shutil.move(str(results), str(tmp_path / "a b" / "c"))
    _, err = report("output='a b/c'", "reproduce=[['experiment=fig3']]")
    (line,) = [line for line in err.splitlines() if line.startswith("simlab: missing")]
    words = shlex.split(line.partition("made by ")[2])
    assert words == ["simlab", "run", "experiment=fig3", 'output="a b/c"']
    (point,) = compose_points(words[2:])
    assert point["output"] == "a b/c"


@pytest.mark.parametrize("exists", [True, False], ids=["empty", "absent"])
def test_no_results_at_all(capsys, tmp_path, monkeypatch, exists):
    monkeypatch.chdir(tmp_path)
    if exists:
        (tmp_path / "here").mkdir()
    assert main(["report", "output=here"]) == 2
    assert (
        capsys.readouterr().err == "simlab: no results in here: make them with simlab reproduce output=here\n"
    )
    assert not (tmp_path / "here" / "report").exists()


def test_a_file_where_the_results_should_be(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").write_text("")
    assert main(["report", "output=here"]) == 2
    assert "no results in here" in capsys.readouterr().err


TORN = {
    "torn": (lambda path: path.write_bytes(path.read_bytes()[:700]), "is not valid JSON, torn perhaps"),
    "empty": (lambda path: path.write_text(""), "is not valid JSON"),
    "binary": (lambda path: path.write_bytes(b"\xff\x00\xfe"), "is not valid JSON"),
    "list": (lambda path: path.write_text("[]"), "is not an outcome of simlab"),
    "schema": (lambda path: edit(path, lambda d: d.update(schema=99)), "has schema 99 and this simlab"),
    "lacking": (lambda path: edit(path, lambda d: d.pop("figures")), "it lacks figures"),
    "verdict": (lambda path: edit(path, lambda d: d["verdicts"][0].pop("low")), "incomplete: KeyError 'low'"),
    "status": (lambda path: edit(path, lambda d: d["verdicts"][0].update(status="FINE")), "FINE"),
    "number": (lambda path: edit(path, lambda d: d["verdicts"][0].update(low="x")), "incomplete: ValueError"),
    "task": (lambda path: edit(path, lambda d: d["tasks"][0].update(pair=None)), "AttributeError"),
    "gone": (lambda path: path.unlink(), "there is no outcome.json"),
    "folder": (lambda path: (path.unlink(), path.mkdir()), "outcome.json cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("way", TORN)
def test_half_finished_results_are_shown_as_far_as_they_go(results, report, way):
    spoil, said = TORN[way]
    spoil(folder(results, "fig2") / "outcome.json")
    out, err = report(LISTED)
    assert "simlab: fig2-paper-tier.running_average=200-trajectories=2000: " in err and said in err
    assert "experiment=fig2" in err and "Figure 2" not in out and "drafts" in out
    text = page(results)
    assert "Not all is here" in text and "<h2>drafts" in text and "<h2>Figure 2" not in text


@pytest.mark.parametrize(
    ("name", "spoil", "said"),
    [
        ("fig2.svg", lambda path: path.unlink(), "fig2.svg is missing"),
        (
            "fig2.svg",
            lambda path: path.write_bytes(path.read_bytes()[:5000]),
            "fig2.svg cannot be read: not a valid SVG",
        ),
        ("fig2.csv", lambda path: path.unlink(), "fig2.csv is missing"),
        ("fig2.csv", lambda path: path.write_bytes(b"\xff\xfe"), "fig2.csv cannot be read"),
        ("fig2.csv", lambda path: path.write_text("x" * 200_000), "fig2.csv cannot be read: field larger"),
    ],
    ids=["no picture", "torn picture", "no table", "binary table", "endless table"],
)
def test_files_that_are_wanting(results, report, name, spoil, said):
    spoil(folder(results, "fig2") / name)
    _, err = report("reproduce=[['experiment=fig2']]")
    assert said in err and said in page(results) and "<h2>Figure 2 on paper" in page(results)


def test_files_outside_their_folder_are_not_read(results, report, tmp_path):
    (tmp_path / "secret.csv").write_text("secret\n1\n")
    edit(
        folder(results, "fig2") / "outcome.json",
        lambda d: d["figures"][0].update(files=["../../secret.csv"]),
    )
    _, err = report(LISTED)
    assert "lies outside its folder" in err and "c2VjcmV0" not in page(results)


def test_times_may_be_torn(results, report):
    (folder(results, "fig2") / "timing.json").write_text("{")
    _, err = report("reproduce=[['experiment=fig2']]")
    assert err == ""


def test_a_fail_makes_the_exit_code_1_and_cannot_be_missed(results, report):
    edit(folder(results, "fig2") / "outcome.json", lambda d: d["verdicts"][2].update(status="FAIL"))
    out, _ = report(LISTED, code=1)
    assert "1 FAIL" in out and re.search("^FAIL +tokens", out, re.M)
    assert '<section class="alarm"' in page(results) and "<title>simlab: 1 FAIL" in page(results)


def test_an_output_that_cannot_be_written(results, report, capsys):
    (results / "report").write_text("a file")
    assert main(["report", LISTED]) == 2
    assert "cannot write results/report/index.html" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["seed=1,2"], "single values"),
        (["fig2"], "cannot read 'fig2'"),
        (["--quiet"], "no option --quiet"),
        (["colour=red"], "no setting colour"),
    ],
    ids=["grid", "word", "flag", "key"],
)
def test_mistakes(capsys, words, said):
    assert main(["report", *words]) == 2
    line = capsys.readouterr().err
    assert said in line and line.count("\n") == 1


def test_a_list_that_is_none(results, capsys):
    assert main(["report", "reproduce=[]"]) == 2
    assert capsys.readouterr().err.startswith("simlab: reproduce = [] is not valid; expected a list")


def test_reproduce_ends_with_the_page(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", "reproduce=[['experiment=drafts']]", "pair.horizon=3", *SMALL]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == "wrote results/report/index.html"
    assert "missing" not in printed.err
    assert "<h2>drafts" in page(tmp_path / "results")
