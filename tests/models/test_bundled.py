"""What the package carries: traces and runs of SmolLM2, read without torch, that agree with each other."""

from __future__ import annotations

import numpy as np
import pytest

import simlab
from simlab import SimlabError
from simlab.evidence import Status
from simlab.models import (
    bundled_run_names,
    bundled_runs,
    bundled_tree_names,
    bundled_trees,
    own_text_verdicts,
    truth_verdicts,
)
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


@pytest.mark.statistical
@pytest.mark.parametrize("name", bundled_run_names())
def test_what_was_run_with_real_models_is_what_the_trace_predicts(name):
    assert name in bundled_names()
    runs = bundled_runs(name)
    assert {"horizon", "window2", "window4", "window8", "batch2", "batch4", "assisted4"} <= set(runs)
    for run in (run for run in runs.values() if not run.name.startswith("biased")):
        verdicts = truth_verdicts(bundled(name), run, resolution=1 / 2)
        assert all(verdict.status is not Status.FAIL for verdict in verdicts), run.name


@pytest.mark.statistical
@pytest.mark.parametrize("name", bundled_run_names())
def test_given_its_texts_each_run_is_told_to_a_sixth_of_its_tokens(name):
    verdicts = {
        run.name: own_text_verdicts(run, resolution=1 / 6 if len(run.tokens) >= 160 else 1 / 3)
        for run in bundled_runs(name).values()
        if run.acceptances is not None and not run.name.startswith("biased")
    }
    assert {"horizon", "window2", "window4", "window8", "batch2", "batch4"} <= set(verdicts)
    for found in verdicts.values():
        assert found and all(verdict.status is Status.PASS for verdict in found), found[0].name


def test_temperatures_have_traces_of_one_draft():
    names = [name for name in bundled_names() if "-at-" in name]
    assert len(names) >= 3
    for name in names:
        trace, plain = bundled(name), bundled(name.partition("-at-")[0])
        assert trace.sequences >= 100 and trace.lengths.max() == 48
        assert f"{trace.provenance['processing']['temperature']:g}" == name.partition("-at-")[2]
        assert trace.provenance["draft_digest"] == plain.provenance["draft_digest"]
        assert abs(trace.acceptance.mean() - (1 - trace.total_variation.mean())) < np.sqrt(14 / (2 * 4000))


@pytest.mark.parametrize("name", bundled_tree_names())
def test_no_tree_is_better_than_the_targets_own(name):
    trees = bundled_trees(name)
    own, drafted = trees.expected_accepted("target"), trees.expected_accepted("draft")
    assert own.shape[0] >= 100 and own.shape[1] >= 64 and len(set(trees.kind)) >= 8
    assert (drafted <= own + 1e-3 * own).all() and (np.diff(trees.target_reach, axis=1) <= 1e-3).all()
    assert drafted[:, -1].mean() > 0.5 * own[:, -1].mean() > 0.5


@pytest.mark.statistical
def test_biased_texts_reject_less_the_larger_epsilon_is():
    runs = {name: run for name, run in bundled_runs("smollm2-first-28").items() if name.startswith("biased")}
    epsilons = [0.1, 0.2, 0.4, 0.8]
    assert set(runs) == {f"biased{e}-{by}" for e in epsilons for by in ("optimal", "target", "draft")}
    one = runs["biased0.1-optimal"]
    assert len(one.tokens) >= 100 and np.isfinite(one.log_likelihood).all()
    for by in ("optimal", "target", "draft"):
        rejections = [runs[f"biased{e}-{by}"].rejections.mean() for e in epsilons]
        assert (np.diff(rejections) < 0).all()
        assert all(np.array_equal(runs[f"biased{e}-{by}"].prompt, one.prompt) for e in epsilons)


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
