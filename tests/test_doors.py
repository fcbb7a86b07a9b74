"""The doors between the rooms (pyproject.toml, [tool.importlinter]), and what a quick start leaves out."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.processes
def test_no_room_imports_through_a_wall():
    code = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.processes
@pytest.mark.parametrize(
    ("module", "slow"),
    [
        ("simlab.cli.predict", ("numba", "pandas", "matplotlib", "scipy", "joblib", "rich", "dask")),
        ("simlab.cli.show", ("numba", "pandas", "matplotlib", "scipy", "joblib", "rich", "dask")),
        ("simlab.cli.plan", ("numba", "pandas", "matplotlib", "scipy", "joblib", "rich", "dask")),
        ("simlab.runs", ("pandas", "matplotlib", "hydra", "dask", "distributed", "rich")),
        ("simlab.decoding", ("pandas", "matplotlib", "hydra", "joblib", "rich")),
    ],
)
def test_a_quick_start_imports_nothing_slow(module, slow):
    code = f"import sys, {module}; print([name for name in {slow!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_family_of_experiments_imports_another():
    for path in (ROOT / "experiments").glob("*/**/*.py"):
        family = path.relative_to(ROOT / "experiments").parts[0]
        for imported in re.findall(r"simlab\.experiments\.(\w+)", path.read_text()):
            assert imported in (family, "common"), f"{path} imports {imported}"


def test_an_experiment_plans_once_and_hands_its_plan_on():
    """`present` takes what `plan` returned, and asks for no job of its own."""
    from simlab.experiments import EXPERIMENTS, experiment_module

    for name in EXPERIMENTS:
        module = experiment_module(name)
        assert list(inspect.signature(module.plan).parameters) == ["points"], name
        assert list(inspect.signature(module.present).parameters) == ["planned", "results"], name
        assert not hasattr(module, "jobs"), name
    makers = {"Job", "job", "running_average_job", "dial_job"}
    for path in (ROOT / "experiments").rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef) and function.name.lstrip("_").startswith("present"):
                names = {call.func.id for call in ast.walk(function) if _calls_a_name(call)}
                planned = {one for one in names if one in makers or one.endswith("_jobs")}
                assert not planned, f"{path}: {function.name} plans again with {planned}"


def _calls_a_name(node) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


def test_the_wheel_lists_every_folder_of_the_checkout():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = [
        path.parent.relative_to(ROOT)
        for top in ("simlab", "experiments", "conf")
        for path in (ROOT / top).rglob("__init__.py")
    ]
    names = [".".join(folder.parts) for folder in folders]
    assert sorted(listed) == sorted(name if name.startswith("simlab") else f"simlab.{name}" for name in names)


def test_the_experiments_import_only_the_public_faces_of_hydra_free_rooms():
    for path in (ROOT / "experiments").rglob("*.py"):
        source = path.read_text()
        assert "hydra" not in source and "omegaconf" not in source, path
