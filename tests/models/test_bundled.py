"""What the package carries: traces and runs of SmolLM2, read without torch, that agree with each other."""

from __future__ import annotations

import numpy as np
import pytest

import simlab
from simlab import SimlabError
from simlab.evidence import Status
from simlab.models import bundled_run_names, bundled_runs, truth_verdicts
from simlab.models.prompts import BUNDLED, read_prompts
from simlab.traces import bundled, bundled_names, bundled_path

LARGE = [name for name in bundled_names() if len(bundled(name)) > 10_000]
"""The others answer one question each."""


def test_there_are_six_traces_from_acceptance_2_to_9_tenths_in_3_megabytes():
    names = bundled_names()
    acceptance = [
        np.minimum(1, t.draft_probability / t.target_probability).mean() for t in map(bundled, LARGE)
    ]
    assert len(LARGE) >= 6 and min(acceptance) < 0.25 and max(acceptance) > 0.9
    files = [bundled_path(name) for name in names] + list(BUNDLED.parent.iterdir())
    assert sum(file.stat().st_size for file in files) <= 3_000_000
    with pytest.raises(SimlabError, match=names[0]):
        bundled("gpt")


@pytest.mark.parametrize("name", LARGE)
def test_every_trace_is_whole_and_says_where_it_comes_from(name):
    trace = bundled(name)
    assert trace.sequences >= 200 and trace.lengths.max() == 64 and len(trace) >= 200 * 64
    ended = trace.lengths < 64
    assert (trace.token[trace.offsets[1:] - 1][ended] == 2).all()
    assert len(set(trace.by_sequence("kind"))) >= 8
    assert trace.provenance["command"].startswith(
        "simlab record target=SmolLM2-135M-Instruct.Q4_1.gguf draft."
    )
    accept = np.minimum(1, trace.draft_probability / trace.target_probability)
    rejected = 1 - accept
    for drafts in (2, 4, 8, 16):  # more drafts reject less
        column = trace.column(f"batch_rejection_{drafts}")
        assert (column <= rejected + 1e-3).all()
        rejected = column
    for epsilon in (0.1, 0.2, 0.4, 0.8):
        assert (trace.column(f"over_acceptance_{epsilon}") <= trace.total_variation + 1e-3).all()
        assert trace.column(f"excess_loss_optimal_{epsilon}").max() < 1e-9
    # Two estimates of one mean, of one text: their difference is a martingale's, a sixth of its bound here.
    assert abs(accept.mean() - (1 - trace.total_variation.mean())) < np.sqrt(14 / (2 * len(trace)))


@pytest.mark.parametrize("name", [name for name in bundled_names() if name.endswith("-fine")])
def test_small_over_acceptance_has_traces_of_its_own(name):
    trace = bundled(name)
    assert name.removesuffix("-fine") in LARGE and trace.sequences >= 90
    assert trace.provenance["epsilons"] == [0.001, 0.01, 0.05]
    for epsilon in (0.001, 0.01, 0.05):
        assert (trace.column(f"over_acceptance_{epsilon}") <= trace.total_variation + 1e-3).all()
        for replacement in ("optimal", "residual"):
            assert trace.column(f"excess_loss_{replacement}_{epsilon}").max() < 1e-9
    assert trace.column("excess_loss_target_0.001").mean() > 0.01 * trace.total_variation.mean()


@pytest.mark.parametrize("name", bundled_run_names())
def test_what_was_run_with_real_models_is_what_the_trace_predicts(name):
    assert name in bundled_names()
    runs = bundled_runs(name)
    assert {"horizon", "window2", "window4", "window8", "batch2", "batch4", "assisted4"} <= set(runs)
    for run in (run for run in runs.values() if not run.name.startswith("biased")):
        verdicts = truth_verdicts(bundled(name), run, resolution=1 / 2)
        assert all(verdict.status is not Status.FAIL for verdict in verdicts), run.name


def test_a_run_of_another_pair_is_refused():
    with pytest.raises(SimlabError, match="draft of the trace"):
        truth_verdicts(bundled("smollm2-bits-4"), bundled_runs("smollm2-first-28")["horizon"])
    with pytest.raises(SimlabError, match="smollm2-first-28"):
        bundled_runs("smollm2-bits-4")


def test_prompts_are_of_many_kinds():
    prompts = read_prompts(BUNDLED)
    assert len(prompts) >= 60 and len({prompt.kind for prompt in prompts}) >= 8
    assert any("\n" in prompt.text for prompt in prompts)


def test_a_bundled_trace_predicts():
    found = simlab.predict(bundled("smollm2-skip-14"), simlab.Speculative(window=4, bonus=True))
    assert 3 < found.tokens_per_call < 5
