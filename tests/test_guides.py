"""README.md and the guides beside the code: commands and Python run, links lead somewhere."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from simlab.cli.config.compose import compose_points, together
from simlab.cli.config.settings import settings_from
from simlab.cli.main import COMMANDS, main
from simlab.cli.record import settings_of
from simlab.experiments import experiment_module

ROOT = Path(__file__).parent.parent
FOLDERS = (
    ".", "conf", "experiments", "scripts", "simlab", "simlab/auditing", "simlab/models", "simlab/planning",
    "simlab/theory", "simlab/traces", "tests",
)  # fmt: skip
GUIDES = {str(Path(folder, "README.md")): (ROOT / folder / "README.md").read_text() for folder in FOLDERS}
SCRIPTS = (
    "scripts/reproduce",
    "scripts/test",
    "scripts/bench",
    "scripts/models",
    "scripts/array",
    "sbatch",
    "for PART",
    "pip install",
    "source .venv/bin/activate",
)
"""What else stands in blocks: .ci/run, tests/test_bench.py and tests/runs/test_slurm.py run it."""
COMPOSED = {
    "experiment=": "a whole experiment, which tests/experiments runs",
    "verify": "tens of seconds, and tests/cli/test_verify.py runs it on a small pair",
    "reproduce": "minutes",
    "run=dask": "needs a cluster, which tests/runs/test_cluster.py starts",
    "run=slurm": "needs SLURM, which tests/runs/test_slurm.py starts",
    "--multirun": "processes and Hydra's launchers; tests/cli/test_command.py runs one",
    "simlab merge": "needs the ledgers of several machines; tests/cli/test_shards.py makes them",
    "shards=": "needs a part's ledger; tests/cli/test_shards.py makes one",
    "half_width=": "simulates for as long as it takes",
    "--cfg": "prints; Hydra's own",
    "simlab record": "needs a model; tests/models records with tiny ones",
    "report": "needs results; tests/cli/test_report.py makes them",
}
"""Commands that are only composed, each with its settings checked, by a word in them; and why."""


def blocks(language: str) -> list:
    """(guide, line, text) of each fenced block of a language, as parameters that name guide and line."""
    return [
        pytest.param(
            found[1], id=f"{guide}:{text.count(chr(10), 0, found.start()) + 1}", marks=_marks(found[1])
        )
        for guide, text in GUIDES.items()
        for found in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.S | re.M)
    ]


def _marks(text: str) -> list:
    slow = (
        "biased",
        "range(",
        "simulate",
        "simlab run",
        "simlab verify",
        "simlab show",
        "simlab plan",
        "simlab.audit",
        "tree",
        "corpus",
    )
    return [pytest.mark.statistical] if any(word in text for word in slow) else []


def commands() -> list:
    """Every command of the blocks and of the tables and sentences, once, without its comment."""
    found = {}
    for guide, text in GUIDES.items():
        lines = [
            line
            for block in re.findall(r"^```sh\n(.*?)^```$", text, re.S | re.M)
            for line in block.splitlines()
        ]
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M)
        lines += [" ".join(code.split()) for code in re.findall(r"`(simlab [^`]*)`", prose)]
        for line in filter(None, lines):
            found.setdefault(shlex.join(shlex.split(line, comments=True)), f"{guide}: {line.split('  ')[0]}")
    return [
        pytest.param(line, id=name, marks=[pytest.mark.commands] if _runs(line) else [])
        for line, name in found.items()
    ]


def _runs(line: str) -> bool:
    return line.startswith("simlab ") and not any(word in line for word in COMPOSED) and "COMMAND" not in line


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder with the pair, the trace and the log that the guides speak of."""
    monkeypatch.chdir(tmp_path)
    rows = np.random.default_rng(1).dirichlet(np.ones(7), size=(2, 20, 7))
    np.savez("mine.npz", draft=rows[0], target=rows[1], initial=np.eye(7)[3])
    log = re.search(r"^```log\n(.*?)^```$", GUIDES["simlab/planning/README.md"], re.S | re.M)
    Path("server.log").write_text(log[1])
    shown = re.search(r"^```csv\n(.*?)^```$", GUIDES["simlab/traces/README.md"], re.S | re.M)
    Path("my_trace.csv").write_text(shown[1])


@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs(code, capsys):
    if "import torch" in code:
        pytest.importorskip("torch")
    if '["cc"' in code and not shutil.which("cc"):
        pytest.skip("needs a C compiler")
    exec(compile(code, "guide", "exec"), {})
    out = capsys.readouterr().out
    assert out and "FAIL" not in out


@pytest.mark.parametrize("line", commands())
def test_commands_run(line, capsys):
    if not line.startswith("simlab "):
        assert line.startswith(SCRIPTS), f"not a command that the tests know: {line}"
        return
    _, command, *words = shlex.split(line)
    if command == "COMMAND" or command.startswith("--"):
        return
    assert command in COMMANDS
    if command in ("audit", "check-policy"):  # of a function that is yours: tests/cli/test_audit.py
        return
    if not _runs(line):
        _composes(command, words)
        return
    if command == "run":
        words = [word for word in words if not word.startswith("trajectories=")]
        words += ["run=serial", "trajectories=1000"]
    if command == "status":
        main(["run", "run=serial", "trajectories=1000"])
    if line != "simlab plan":  # a name in a sentence: it needs to know from what
        assert main([command, *words]) == 0, capsys.readouterr()


def _composes(command: str, words: list[str]) -> None:
    """The settings are there and have values that the experiment takes."""
    if command == "merge":
        return  # takes files, not settings
    if command == "verify" and any(word.startswith("rule=") for word in words):
        return  # of a rule, not of a pair: tests/verify/test_rules.py
    if command == "record":
        assert not words or settings_of(words)  # no words: a name in a sentence
        return
    words = [word for word in words if not word.startswith(("-", "hydra", "shards=")) and word != "job"]
    if command == "verify":
        words.append("experiment=verify")
    for table in together(words)[0]:
        for config in compose_points(table):
            experiment_module(settings_from(config).experiment)


@pytest.mark.parametrize("text", blocks("console"))
def test_what_a_command_prints_is_what_the_guide_shows(text, capsys):
    """Line by line, numbers to 1e-3; "..." stands for any lines."""
    command, *shown = text.splitlines()
    assert command.startswith("$ simlab ")
    words = shlex.split(command)[2:]
    assert main([*words, *(["run=serial"] if words[0] == "run" else [])]) == 0
    printed, at = [line for line in capsys.readouterr().out.splitlines() if line.strip()], 0
    free = False
    for line in filter(str.strip, shown):
        if line == "...":
            free = True
            continue
        while free and at < len(printed) and not _same(line, printed[at]):
            at += 1
        assert at < len(printed), f"not printed: {line}"
        assert _same(line, printed[at]), f"shown: {line}\nprinted: {printed[at]}"
        at, free = at + 1, False
    assert free or at == len(printed), f"also printed: {printed[at:]}"


def _same(shown: str, printed: str) -> bool:
    """Whether two lines have the same words, and numbers that are close."""
    number = r"-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?"
    words = [re.sub(r"\s+", " ", re.sub(number, "#", line)).strip() for line in (shown, printed)]
    values = [[float(n.replace(",", "")) for n in re.findall(number, line)] for line in (shown, printed)]
    return words[0] == words[1] and np.allclose(values[0], values[1], rtol=1e-3, atol=1e-6)


def test_two_lines_differ_by_a_word_or_a_number():
    assert _same("E[N_rej]   16.404890", "E[N_rej] 16.4049")
    assert not _same("E[N_rej] 16.404890", "E[N_rej] 16.44")
    assert not _same("E[N_rej] 16.404890", "E[calls] 16.404890")


@pytest.mark.parametrize("guide", GUIDES)
def test_links_and_paths_lead_somewhere(guide):
    text = re.sub(r"^```.*?^```$", "", GUIDES[guide], flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / guide).parent / path
        assert file.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.*)$", file.read_text(), re.M)
            assert anchor in [re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads], (
                target
            )
    for path in re.findall(r"`((?:simlab|experiments|conf|scripts|tests)/[\w./-]+)`", text):
        assert "NAME" in path or (ROOT / path).exists() or guide == "tests/README.md", path


def test_the_readme_is_short_and_opens_with_its_two_commands():
    assert len((ROOT / "README.md").read_bytes()) <= 9000
    first = re.search(r"^```sh\n(.*?)^```$", GUIDES["README.md"], re.S | re.M)[1].splitlines()
    assert [line.split()[0] for line in first] == ["scripts/reproduce", "scripts/test"]
