"""What goes wrong around a command: titles that lead elsewhere, inputs that are alike."""

from __future__ import annotations

import pytest

from simlab.cli.main import main
from tests.cli.command import files

SMALL = ["run", "run=serial", "trajectories=1000", "pair.horizon=4"]


@pytest.mark.parametrize("title", ["../../esc", "..", ".", "a/../../b", "/tmp/esc"])
def test_a_title_names_a_folder_and_files_in_the_output(tmp_path, monkeypatch, title):
    home = tmp_path / "one" / "two" / "three"
    home.mkdir(parents=True)
    monkeypatch.chdir(home)
    assert main([*SMALL, f"+experiment.title={title}"]) == 0
    written = {path.split("/")[:4] == ["one", "two", "three", "results"] for path in files(tmp_path)}
    assert written == {True}
    (folder,) = [path for path in (home / "results").iterdir() if path.is_dir()]
    assert {path.suffix for path in folder.iterdir()} == {".json", ".csv", ".parquet"}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("run.backend=[]", "no run backend []: known are serial, loky, dask"),
        ("run.backend={a: 1}", "no run backend {'a': 1}: known are serial, loky, dask"),
        ("+experiment.title=[a,b]", "experiment.title = ['a', 'b'] is not a valid title; expected text"),
        ("+experiment.title=null", "experiment.title = None is not a valid title; expected text"),
    ],
)
def test_what_is_not_a_name_is_one_line(tmp_path, monkeypatch, capsys, word, said):
    monkeypatch.chdir(tmp_path)
    assert main(["run", word]) == 2
    assert capsys.readouterr().err.startswith(f"simlab: {said}")


def test_texts_with_names_that_read_alike_have_a_folder_each(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()
    names = ["x/y.txt", "x_y.txt", "y.txt", "日本.txt", "ü.txt"]
    for number, name in enumerate(names):
        (tmp_path / name).write_text(f"some text of number {number} " * 100)
        assert main([*SMALL, "pair=corpus", f"pair.path='{name}'"]) == 0
    folders = [path.name for path in (tmp_path / "results").iterdir() if path.is_dir()]
    assert len(folders) == len(names) and max(map(len, folders)) < 60
