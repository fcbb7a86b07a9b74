"""Draft trees of tiny models: against every prefix enumerated with a Llama in plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from simlab import SimlabError
from simlab.cli.main import main
from simlab.models import DraftSettings, RecordSettings, read_trees, record_trees
from simlab.models.draws import RECORDED, generator
from simlab.models.trees import Search
from simlab.pairs.processing import Processing
from tests.models.llama import PlainLlama
from tests.models.tiny import WORDS

PROMPTS = [["a", "b", "c", "d"], ["e", "e"], ["f", "g", "h", "i", "j", "k"], ["l", "m"]]
NODES = 12


def settings(tiny, out, **options) -> RecordSettings:
    given = {"sequences": 7, "tokens": 3, "batch": 4, "trees": NODES, "draft": DraftSettings(layers="0-1")}
    where = {"target": str(tiny / "target"), "prompts": str(tiny / "prompts.txt")}
    return RecordSettings(out=str(out), **where, **(given | options))


def prefixes(tiny, count: int) -> list[list[int]]:
    """The prompt of each sequence and what the target wrote, found again with the plain model."""
    model, found = PlainLlama(str(tiny / "target")), []
    for number in range(count):
        rng = generator(0, RECORDED, number)
        text = [WORDS.index(word) for word in PROMPTS[int(rng.integers(len(PROMPTS)))]]
        for _ in range(3):
            token = int(np.searchsorted(model.rows(text)[-1].cumsum(), rng.random(), side="right"))
            if token == 2:
                break
            text.append(token)
        found.append(text)
    return found


def enumerated(text: list[int], chooser, target) -> np.ndarray:
    """Reaches of the NODES prefixes that `chooser` finds the most probable, in falling order: brute force."""
    open_nodes, chosen = [((), 1.0, 1.0)], []
    while len(chosen) < NODES + 1:
        path, chance, reach = max(open_nodes, key=lambda node: node[1])
        open_nodes.remove((path, chance, reach))
        chosen.append(reach)
        if path[-1:] == (2,):
            continue
        by, told = (rows([*text, *path])[-1] for rows in (chooser, target))
        open_nodes += [((*path, y), chance * by[y], reach * told[y]) for y in range(len(by))]
    return np.array(chosen[1:])


@pytest.mark.parametrize("draft", ["layers", "temperature"])
def test_trees_hold_the_most_probable_prefixes(tiny, tmp_path, draft):
    target = PlainLlama(str(tiny / "target")).rows
    if draft == "layers":
        options, by = {}, PlainLlama(str(tiny / "target"), [0, 1]).rows
    else:
        options = {"draft": DraftSettings(), "processing": Processing(draft_temperature=1.7)}

        def by(text):
            flat = target(text) ** (1 / 1.7)
            return flat / flat.sum(axis=1, keepdims=True)

    found = read_trees(record_trees(settings(tiny, tmp_path / "t.parquet", **options)))
    texts = prefixes(tiny, 7)
    lengths = [len(PROMPTS[int(generator(0, RECORDED, n).integers(4))]) for n in range(7)]
    assert (found.written == [len(text) - length for text, length in zip(texts, lengths, strict=True)]).all()
    for row, text in enumerate(texts):
        assert found.target_reach[row] == pytest.approx(enumerated(text, target, target), rel=1e-3)
        assert found.draft_reach[row] == pytest.approx(enumerated(text, by, target), rel=1e-3)
        root = target(text)[-1]
        assert found.target_entropy[row] == pytest.approx(-(root * np.log(root)).sum(), rel=1e-3)
        assert found.target_log2_moment[row] == pytest.approx((root * np.log(root) ** 2).sum(), rel=1e-3)
    ours, theirs = found.expected_accepted("target"), found.expected_accepted("draft")
    assert (np.diff(found.target_reach, axis=1) <= 1e-6).all() and (theirs <= ours + 1e-6).all()
    with pytest.raises(SimlabError, match="drafted_by"):
        found.expected_accepted("both")


def test_ties_go_to_the_parent_chosen_first_and_the_lower_token():
    row = np.array([0.25, 0.5, 0.25, 0.0])
    search = Search(6, frozenset([3]))
    search.grow(-1, row, row)
    for _ in range(6):
        if (node := search.take()) is not None:
            search.grow(node, row, row)
    assert search.tokens == [1, 0, 2, 1, 0, 2] and search.parents == [-1, -1, -1, 0, 0, 0]
    assert search.reach == [0.5, 0.25, 0.25, 0.25, 0.125, 0.125]
    assert search.ancestors(5) == [0]


def test_a_row_of_few_tokens_has_all_its_prefixes():
    search = Search(50, frozenset([0, 1]))
    search.grow(-1, np.array([0.3, 0.7, 0.0]), np.array([0.5, 0.25, 0.25]))
    assert [search.take() for _ in range(3)] == [None] * 3 and search.is_done
    assert search.tokens == [1, 0] and search.reach == [0.25, 0.5]


def test_batches_and_compact_change_nothing_but_digits(tiny, tmp_path):
    one, other = (
        read_trees(record_trees(settings(tiny, tmp_path / f"{batch}.parquet", batch=batch, compact=compact)))
        for batch, compact in ((7, False), (2, True))
    )
    assert other.target_reach == pytest.approx(one.target_reach, rel=1e-3)
    assert other.draft_reach == pytest.approx(one.draft_reach, rel=1e-3)
    assert one.provenance["trees"] == NODES and "trees=12" in one.provenance["command"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trees=0"], "trees"),
        (["trees=4", "run=horizon"], "exclude each other"),
        (["trees=4", "draft=ngram=2"], "not counts"),
        (["trees=4", "out=t.csv"], "ending"),
    ],
)
def test_bad_input_is_one_line(tiny, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    given = [f"target={tiny}/target", f"prompts={tiny}/prompts.txt", "sequences=2", "tokens=2"]
    defaults = {"out": "out=t.parquet", "draft": "draft.layers=0-1"}
    given += [word for name, word in defaults.items() if not any(w.startswith(name) for w in words)]
    assert main(["record", *given, *words]) == 2
    assert said in capsys.readouterr().err.strip().splitlines()[-1]


def test_a_file_that_holds_no_trees_is_refused(tmp_path):
    with pytest.raises(SimlabError, match="no such file"):
        read_trees(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(SimlabError, match="holds no trees"):
        read_trees(tmp_path / "text.parquet")
