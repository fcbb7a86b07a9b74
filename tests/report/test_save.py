"""Figures on disk: the same bytes everywhere, their origin inside, and errors in one line."""

import csv
import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from simlab.errors import SimlabError
from simlab.report import new_figure, save_figure, style, write_whole
from simlab.report.save import _csv

pytestmark = pytest.mark.figures

METADATA = {"seed": "7", "trajectories": "1000000", "tasks": "0123abcd, 4567ef89"}
TABLE = pd.DataFrame({"n": [1, 2], "estimate": [0.1 + 0.2, 1 / 3], "verdict": ["PASS", "FAIL"]})


def save(folder, metadata=METADATA, further=()):
    with style():
        figure = new_figure(3, 2)
        axes = figure.add_subplot()
        axes.plot(np.arange(20), np.sqrt(np.arange(20)), label="$\\sqrt{n}$")
        axes.fill_between([0, 5], [0, 1], [1, 2], alpha=0.2)
        axes.legend()
        return save_figure(figure, folder, "picture", TABLE, metadata, further)


def contents(paths):
    return [path.read_bytes() for path in paths]


def test_same_bytes_twice_and_other_bytes_for_other_metadata(tmp_path):
    first, second, other = (
        contents(save(tmp_path / "a")),
        contents(save(tmp_path / "b")),
        contents(save(tmp_path / "c", {**METADATA, "seed": "8"})),
    )
    assert first == second
    assert first[0] != other[0] and first[1] != other[1] and first[2] == other[2]


def test_a_layout_that_differs_in_its_last_digits_gives_the_same_bytes(tmp_path, monkeypatch):
    place = ConstrainedLayoutEngine.execute

    def nearly(engine, figure):
        place(engine, figure)
        for axes in figure.axes:
            axes.set_position(np.array(axes.get_position().bounds) + 1e-15)

    first = contents(save(tmp_path / "first"))
    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", nearly)
    assert contents(save(tmp_path / "second")) == first


def test_plain_rows_are_written_as_pandas_writes_them(tmp_path):
    rows = [
        {"plan": 'a, "b"', "window": 0, "speedup": 1.0, "near": False},
        {"plan": "é", "window": 12, "speedup": 0.1 + 0.2, "near": True, "low": 1e-17},
        {"plan": "", "window": 3, "speedup": float("nan"), "near": False, "low": 123456789012345680.0},
    ]
    assert _csv(rows) == _csv(pd.DataFrame(rows))


@pytest.mark.processes
def test_same_bytes_in_another_process_with_other_settings(tmp_path):
    """Another working directory, hash seed and matplotlibrc; and pyplot stays out of it."""
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 9\nfont.size: 20\nsavefig.dpi: 33\n")
    root = Path(__file__).parents[2]
    program = (
        "import sys; from pathlib import Path; from tests.report.test_save import save;"
        "save(Path('out'), further=['pdf']);"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    environment = {
        **os.environ,
        "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"),
        "PYTHONHASHSEED": "5",
        "PYTHONPATH": str(root),
        "SOURCE_DATE_EPOCH": "1",
    }
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True, timeout=120)
    there = [tmp_path / "out" / f"picture.{kind}" for kind in ("png", "svg", "csv", "pdf")]
    assert contents(there) == contents(save(tmp_path / "here", further=["pdf"]))


def test_metadata_and_size(tmp_path):
    png, svg, _ = save(tmp_path)
    with Image.open(png) as image:
        assert image.size == (600, 400)
        assert METADATA.items() <= image.text.items()
        assert image.text["Title"] == "picture"
    text = svg.read_text()
    assert all(f"{key}: {value}" in text for key, value in METADATA.items())
    assert "dc:date" not in text


def test_a_pdf_is_written_beside_where_it_is_asked_for_and_changes_nothing_else(tmp_path):
    usual, more = save(tmp_path / "a"), save(tmp_path / "b", further=["pdf"])
    assert [path.suffix for path in more] == [".png", ".svg", ".csv", ".pdf"]
    assert contents(usual) == contents(more[:3])
    pdf = more[3].read_bytes()
    assert pdf.startswith(b"%PDF-") and pdf.rstrip().endswith(b"%%EOF")
    assert b"/MediaBox [ 0 0 216 144 ]" in pdf  # 3 by 2 inches
    assert b"seed: 7" in pdf and b"CreationDate" not in pdf
    assert b"/Type3" not in pdf and b"/CIDFontType2" in pdf


def test_the_table_reads_back_exactly(tmp_path):
    with open(save(tmp_path)[2], newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["estimate"]) for row in rows] == TABLE["estimate"].tolist()
    assert [(int(row["n"]), row["verdict"]) for row in rows] == [(1, "PASS"), (2, "FAIL")]


def test_settings_of_the_process_stay(tmp_path):
    before = dict(matplotlib.rcParams)
    save(tmp_path)
    assert dict(matplotlib.rcParams) == before


def test_only_whole_files_appear(tmp_path):
    paths = save(tmp_path / "deep" / "er")
    assert sorted(paths) == sorted((tmp_path / "deep" / "er").iterdir())


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SimlabError, match=r"cannot write .*picture\.png: .*; give a folder"):
        save(tmp_path / "file")


def test_a_full_disk_keeps_the_old_file(tmp_path):
    """The system refuses to write more than 1000 bytes to a file, as a full disk would."""
    path = tmp_path / "table.csv"
    write_whole(path, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(
            SimlabError, match=r"cannot write .*table\.csv: .*; make room on the disk"
        ) as error:
            write_whole(path, b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(error.value)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "mend"),
    [(errno.EROFS, "give a folder"), (errno.EACCES, "give a folder"), (errno.ENOSPC, "make room")],
)
def test_what_the_system_refuses(tmp_path, monkeypatch, number, mend):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(SimlabError, match=mend):
        write_whole(tmp_path / "x.csv", b"x")
    assert list(tmp_path.iterdir()) == []
