"""`simlab show`: what it prints is the trace, its pictures are drawn, its mistakes are one line."""

from __future__ import annotations

import csv
import dataclasses
import json
import re

import pytest

import simlab
from simlab.cli.main import main
from simlab.cli.output.documents import plain
from simlab.cli.output.trajectory import READINGS, visible
from simlab.decoders import DECODERS

OPTIONS = {
    "speculative": ["decoder.window=3", "decoder.bonus=true"],
    "batch": ["decoder.drafts=3"],
    "tree": ["decoder.capacity=9"],
}


@pytest.fixture
def drawn(capsys, tmp_path, monkeypatch):
    """Run `simlab show` in an empty folder; returns what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        assert main(["show", *words]) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def shown(drawn, monkeypatch):
    """The same without the picture."""
    monkeypatch.setattr("simlab.cli.show._draw", lambda *drawn: [drawn[4]])
    return drawn


def words_of(name: str) -> list[str]:
    return [f"decoder={name}", *OPTIONS.get(name, [])]


def test_every_decoder_is_explained():
    assert set(READINGS) == set(DECODERS)


@pytest.mark.parametrize("name", DECODERS)
def test_json_is_the_trace(shown, name, tmp_path):
    document = json.loads(shown(*words_of(name), "seed=3", "--json"))
    assert not list(tmp_path.iterdir())
    pair = simlab.pairs.paper(horizon=20)
    if name == "adaptive":
        decoder = simlab.AdaptiveSpeculative(simlab.optimal_policy(pair, simlab.CostModel(0.05, 1.0)))
    else:
        options = {key: value for key, value in document["decoder"].items() if key != "name"}
        decoder = DECODERS[name](**options)
    trace = simlab.trace_one(pair, decoder, seed=3)
    expected = json.loads(json.dumps(plain(dataclasses.asdict(trace))))
    assert {key: document[key] for key in expected} == expected
    assert document["pair"]["horizon"] == 20 and document["rejections"] == trace.rejections


@pytest.mark.parametrize("name", DECODERS)
def test_the_table_tells_each_token_once(shown, name):
    text = shown(*words_of(name), "seed=3")
    assert "\033" not in text and max(map(len, text.splitlines())) <= 100
    document = json.loads(shown(*words_of(name), "seed=3", "--json"))
    heading, *rows = re.search(r"^call  position.*?(?=\n\n)", text, re.M | re.S)[0].splitlines()
    assert heading.endswith("outcome")
    calls = [int(row.split()[0]) for row in rows if not row.startswith(" ")]
    assert calls == list(range(1, len(document["calls"]) + 1))
    drafted = [one for call in document["calls"] for one in call["drafted"]]
    if name != "tree":
        for outcome in ("accepted", "rejected"):
            told = sum(row[heading.index("outcome") :].startswith(outcome) for row in rows)
            assert told == sum(one["outcome"] == outcome for one in drafted)
    assert sum("replacement" in row for row in rows) == sum(bool(c["replacement"]) for c in document["calls"])
    joined = " ".join(text.split())
    assert " ".join(map(str, document["tokens"])) in joined
    assert f"20 tokens in {len(calls)} target calls" in joined
    assert not drafted or f"{len(drafted)} drafted tokens" in joined


def test_a_corpus_is_shown_in_characters(shown):
    words = ["pair=corpus", "decoder.window=4", "decoder.bonus=true", "seed=1"]
    document = json.loads(shown(*words, "--json"))
    alphabet = simlab.pairs.corpus().states
    assert len(document["text"]) == 20 and all(token < alphabet for token in document["tokens"])
    text = "".join(visible(character) for character in document["text"])
    assert f"after ⏎ came: {text}" in shown(*words)


@pytest.mark.parametrize(
    ("character", "label"),
    [
        (" ", "␣"),
        ("\n", "⏎"),
        ("", "..."),
        ("a", "a"),
        ("中", "U+4E2D"),
        ("\u0301", "U+0301"),
        ("\0", "U+0000"),
    ],
)
def test_labels_are_a_cell_wide_and_have_ink(character, label):
    assert visible(character) == label


def test_a_terminal_has_colours_and_others_have_none(shown, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = shown("seed=3")
    assert "\033[34m" in coloured and "\033[1;31m" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert re.sub(r"\033\[[0-9;]*m", "", coloured) == shown("seed=3")


def test_the_horizon_is_shortened_only_where_none_is_given(shown):
    def horizon(*words):
        return len(json.loads(shown(*words, "--json"))["tokens"])

    assert horizon() == 20 and horizon("pair.horizon=33") == 33 and horizon("pair=bernoulli") == 1


@pytest.mark.figures
@pytest.mark.parametrize("name", DECODERS)
def test_the_picture_its_numbers_and_the_same_bytes_again(drawn, name, tmp_path):
    words = [*words_of(name), "pair.horizon=6", "seed=3"]
    drawn(*words)
    folder = tmp_path / "results" / "show-paper"
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(name.rpartition(".")[2] for name in files) == ["csv", "png", "svg"]
    [table] = folder.glob("*.csv")
    rows = list(csv.DictReader(table.open()))
    document = json.loads(drawn(*words, "--json"))
    told = [
        (number, one)
        for number, call in enumerate(document["calls"], start=1)
        for one in [*call["drafted"], *filter(None, [call["replacement"], call["bonus"]])]
    ]
    assert len(rows) == len(told)
    for row, (call, one) in zip(rows, told, strict=True):
        assert (int(row["call"]), int(row["position"]) - 1, int(row["token"])) == (
            call,
            one["position"],
            one["token"],
        )
        if "coin" in one:
            assert row["outcome"] == one["outcome"]
            assert (float(row["coin"]) if row["coin"] else None) == one["coin"]
    drawn(*words)
    assert files == {path.name: path.read_bytes() for path in folder.iterdir()}
    for other in ("seed=4", "pair.seed=3"):
        drawn(*words[:-1], other)
    assert len(list(folder.iterdir())) == 9


@pytest.mark.commands
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["seed=1,2"], "one trajectory"),
        (["decoder.window=1,2"], "one trajectory"),
        (["decoder=batch", "decoder.drafts=inf"], "drafts = inf"),
        (["decoder=batch", "decoder.drafts=99"], "room for 16"),
        (["decoder=tree", "decoder.capacity=1000"], "room for 128"),
        (["pair.horizon=100"], "room for 60"),
        (["trajectories=10"], "simlab show has pair, decoder"),
        (["seed=-1"], "seed"),
        (["seed=foo"], "seed"),
        (["decoder=foo"], "decoder"),
        (["--fast"], "--fast"),
    ],
    ids=str,
)
def test_mistakes_are_one_line(words, complaint, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["show", *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1 and complaint in printed.err, printed
    assert not list(tmp_path.iterdir())


@pytest.mark.figures
def test_a_pdf_beside_the_figure_changes_nothing_else(drawn, tmp_path):
    drawn("pair.horizon=5")
    folder = tmp_path / "results" / "show-paper"
    usual = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert drawn("pair.horizon=5", "figures=[pdf]").endswith(".csv, .pdf\n")
    more = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert len(more) == 4 and {name for name in more if name not in usual} == {
        name.replace(".csv", ".pdf") for name in usual if name.endswith(".csv")
    }
    assert more["".join(name for name in more if name.endswith(".pdf"))].startswith(b"%PDF-")
