"""Traces in files: what is written is read back number by number, and bad files are told in one line."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simlab
from simlab.errors import SimlabError
from simlab.traces.files import ENDINGS
from tests.strategies import examples

SHARES = st.floats(0, 1)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=9)


@st.composite
def traces(draw) -> simlab.Trace:
    """Any trace with some optional columns, subnormal probabilities and odd texts included."""
    lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    ids = draw(
        st.lists(st.integers(-(2**40), 2**40), min_size=len(lengths), max_size=len(lengths), unique=True)
    )
    rows = sum(lengths)

    def column(values):
        return draw(st.lists(values, min_size=rows, max_size=rows))

    def once(values):
        return np.repeat(np.array([draw(values) for _ in lengths], object), lengths).tolist()

    columns = {"draft_probability": column(SHARES), "target_probability": column(SHARES.filter(bool))}
    optional = {
        "position": lambda: np.concatenate([np.arange(length) for length in lengths]),
        "token": lambda: column(st.integers(0, 2**31 - 1)),
        "weight": lambda: once(st.floats(0, exclude_min=True, allow_infinity=False)),
        "kind": lambda: once(TEXTS),
        "prompt": lambda: once(TEXTS),
        "target_entropy": lambda: column(st.floats(0, allow_infinity=False)),
        "over_acceptance_0.1": lambda: column(SHARES),
    }
    for name in draw(st.sets(st.sampled_from(sorted(optional)))):
        columns[name] = optional[name]()
    provenance = draw(
        st.dictionaries(TEXTS, st.integers() | TEXTS | st.floats(allow_nan=False, allow_infinity=False))
    )
    return simlab.Trace(np.repeat(ids, lengths), **columns, provenance=provenance)


@pytest.mark.parametrize("ending", ENDINGS)
@examples(60)
@given(trace=traces())
def test_what_is_written_is_read_back(tmp_path_factory, ending, trace):
    folder = tmp_path_factory.mktemp("traces")
    path = folder / f"trace{ending}"
    trace.write(path)
    assert simlab.Trace.read(path) == trace
    first = path.read_bytes()
    trace.write(str(path))
    assert path.read_bytes() == first  # the same trace, the same bytes
    assert [file.name for file in folder.iterdir()] == [path.name]  # no part is left


def _small() -> simlab.Trace:
    rows = np.arange(600)
    return simlab.Trace(rows // 3, rows / 600, (rows + 1) / 600, provenance={"seed": 1})


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_a_torn_file_is_one_line(tmp_path, ending, kept):
    path = tmp_path / f"torn{ending}"
    _small().write(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(SimlabError, match="torn"):
        simlab.Trace.read(path)


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_a_file_that_lost_whole_lines_is_torn(tmp_path, ending):
    path = tmp_path / f"short{ending}"
    _small().write(path)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-2]))
    with pytest.raises(SimlabError, match="the file is torn: it has 598 rows, its head says 600"):
        simlab.Trace.read(path)


def test_files_by_hand_need_no_head(tmp_path):
    csv, lines = tmp_path / "hand.csv", tmp_path / "hand.jsonl"
    csv.write_text('\ufeffsequence, "target_probability",draft_probability,kind\n0,.5,1,a b\n0,1,0,a b\n')
    lines.write_text(
        '{"sequence": 0, "draft_probability": 1, "target_probability": 0.5, "kind": "a b"}\n'
        '{"kind": "a b", "sequence": 0, "draft_probability": 0, "target_probability": 1}\n'
    )
    assert simlab.Trace.read(csv) == simlab.Trace.read(lines)
    assert simlab.Trace.read(csv).provenance == {}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "sequence,draft_probability\n0,1\n", "no column target_probability"),
        ("a.csv", "sequence,draft_probability,target_probability,sequence\n0,1,1,0\n", "there twice"),
        ("a.csv", "sequence,draft_probability,target_probability,x\n0,1,1,1\n", "'x' is not a column"),
        ("a.csv", "sequence,draft_probability,target_probability\n0,1,one\n", "cannot be read as a trace"),
        (
            "a.csv",
            "sequence,draft_probability,target_probability\n0,1,nan\n",
            "row 0: target_prob.* not a numb",
        ),
        (
            "a.csv",
            "sequence,draft_probability,target_probability\n0,1,\n",
            "row 0: target_prob.* not a number",
        ),
        ("a.csv", "sequence,draft_probability,target_probability\n,1,1\n", "row 0: sequence is not a number"),
        ("a.csv", "sequence,draft_probability,target_probability\n", "mpty"),
        ("a.csv", '# {"simlab_trace": 2}\nsequence\n', "not that of a trace of format 1"),
        ("a.csv", "# hello\nsequence\n", "its head is not JSON"),
        ("a.jsonl", '{"sequence": 0, "draft_probability": 1}\n', "no column target_probability"),
        ("a.jsonl", "[1, 2]\n", "its first row is not a JSON object"),
        ("a.parquet", "sequence\n", "cannot be read as a trace"),
        ("a.csv.gz", "sequence\n", "cannot be read as a trace"),
        ("a.txt", "sequence\n", r"the ending of a trace's file is one of \.parquet, \.csv"),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(tmp_path, name, text, said):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(SimlabError, match=said) as caught:
        simlab.Trace.read(path)
    assert name in str(caught.value)


def test_lines_may_end_as_on_windows(tmp_path):
    path = tmp_path / "dos.csv"
    _small().write(path)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert simlab.Trace.read(path) == _small()


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SimlabError, match="no file"):
        simlab.Trace.read(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(SimlabError, match="not a regular file"):
        simlab.Trace.read(tmp_path / "folder.csv")
    with pytest.raises(SimlabError, match="expected a path"):
        simlab.Trace.read(3)


def test_bytes_that_are_not_text(tmp_path):
    path = tmp_path / "odd.csv"
    path.write_bytes(b"\xff\xfe\x00sequence\n")
    with pytest.raises(SimlabError, match="cannot be read as a trace"):
        simlab.Trace.read(path)
    packed = tmp_path / "odd.csv.gz"
    packed.write_bytes(gzip.compress(b"sequence,draft_probability,target_probability\n0,1,1\n")[:-9])
    with pytest.raises(SimlabError, match="cannot be read as a trace"):
        simlab.Trace.read(packed)
