"""The bench runs, prints its table and writes it as JSON; and its baselines are right."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from simlab import pairs
from simlab.decoders import Speculative
from simlab.theory import optimal_tree, predict

SCRIPTS = Path(__file__).parent.parent / "scripts"


@pytest.fixture(scope="module")
def baselines():
    sys.path.insert(0, str(SCRIPTS))
    try:
        import baselines
    finally:
        sys.path.remove(str(SCRIPTS))
    return baselines


def test_the_baselines_decode_speculatively(baselines):
    """Five standard errors around the exact mean; at n = 20,000 a mean off by 0.15 is seen."""
    pair = pairs.paper(horizon=50)
    exact = predict(pair, Speculative())
    vectorised = baselines.NumpySpeculative(pair.draft, pair.target)
    plain = baselines.PythonSpeculative(pair.draft, pair.target)
    rejections, tokens = vectorised.run(20_000, np.random.default_rng(1))
    assert (tokens.sum(axis=1) == 20_000).all()
    assert np.abs(tokens / 20_000 - exact.token_marginals).max() < 6 * 0.5 / 20_000**0.5
    values = np.arange(51)
    for histogram in (rejections, np.array(plain.run(4000, random.Random(1)))):
        mean = histogram @ values / histogram.sum()
        error = (exact.variance / histogram.sum()) ** 0.5
        assert abs(mean - exact.expected_rejections) < 5.1 * error


@pytest.mark.parametrize(
    "pair", [pairs.softmax(12, 30, seed=1), pairs.corpus(horizon=4)], ids=["softmax", "corpus"]
)
def test_the_baselines_find_the_tree(baselines, pair):
    tree = optimal_tree(pair, 0, 0, 3000)
    owners, tokens, chances = baselines.heapq_tree(pair.target, 0, 3000)
    assert (tree.parents + 1).tolist() == owners and tree.tokens.tolist() == tokens
    assert tree.probability.tolist() == chances
    owners, tokens, chances = baselines.resorted_tree(pair.target, 0, 3000)
    np.testing.assert_allclose(chances, tree.probability, rtol=1e-12)
    assert (owners < np.arange(1, 3001)).all()  # a tree: each owner stands before its children


@pytest.mark.processes
def test_the_quick_bench_writes_its_table(tmp_path):
    written = tmp_path / "deep/bench.json"
    command = [sys.executable, str(SCRIPTS / "bench"), "--quick", "--json", str(written)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = json.loads(written.read_text())["rows"]
    for row in rows:
        assert row["what"] in done.stdout
        assert row["value"] >= 0
        assert row["reached"] is None or row["target"]
    assert sum("SD against NumPy" in row["what"] for row in rows) == 3
    assert sum(row["what"].startswith(("window", "policy", "confidence", "block")) for row in rows) == 14
    assert sum("tree search against" in row["what"] for row in rows) == 2
    assert sum("environments against" in row["what"] and row["ratio"] >= 0 for row in rows) == 5
    assert all(row["bound"] for row in rows)
    memory = next(row for row in rows if "memory" in row["what"])
    assert memory["ratio"] < 1.5, memory  # four times as many trajectories take no more
