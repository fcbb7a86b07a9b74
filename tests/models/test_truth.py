"""The truth test on tiny models: real decoders, run, are what a trace of other seeds predicts."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from simlab import SimlabError
from simlab.evidence import Status
from simlab.models import (
    DraftSettings,
    RecordSettings,
    own_text_verdicts,
    read_runs,
    record,
    run_decoders,
    truth_verdicts,
)
from simlab.models.algorithms import ACCEPTED, REJECTED, UNDRAFTED, Decoded
from simlab.models.run_names import run_name
from simlab.traces import Trace
from tests.models.llama import PlainLlama

TOKENS = 6
RUNS = ("horizon", "window1", "window3", "batch2", "assisted2")


def settings(tiny, out, draft, **options) -> RecordSettings:
    return RecordSettings(
        target=str(tiny / "target"),
        prompts=str(tiny / "prompts.txt"),
        out=str(out),
        draft=draft,
        tokens=TOKENS,
        batch=500,
        **options,
    )


@pytest.fixture(scope="module")
def told(tiny, tmp_path_factory):
    """A trace of the draft with the target's first two layers."""
    out = tmp_path_factory.mktemp("told") / "trace.parquet"
    return Trace.read(record(settings(tiny, out, DraftSettings(layers="0-1"), sequences=1500)))


@functools.cache
def _ran(tiny, folder, draft: DraftSettings, runs: tuple[str, ...], sequences: int):
    return read_runs(
        run_decoders(settings(tiny, folder / "runs.parquet", draft, sequences=sequences, runs=runs, seed=1))
    )


@pytest.fixture(scope="module")
def ran(tiny, tmp_path_factory):
    """Its decoders; transformers runs one text at a time, so fewer."""
    draft, folder = DraftSettings(layers="0-1"), tmp_path_factory.mktemp
    own = _ran(tiny, folder("ran"), draft, RUNS[:-1], 1500)
    return own | _ran(tiny, folder("assisted"), draft, RUNS[-1:], 150)


def failed(verdicts) -> list[str]:
    return [verdict.name for verdict in verdicts if verdict.status is Status.FAIL]


@pytest.mark.statistical
@pytest.mark.parametrize("name", RUNS)
def test_what_was_run_is_what_the_trace_predicts(told, ran, name):
    run = ran[name]
    assert run.tokens.max() == TOKENS and (run.tokens < TOKENS).any()
    assert not failed(truth_verdicts(told, run, resolution=0.3))
    drafted, accepted = run.drafted_by_position.sum(axis=1), run.accepted_by_position.sum(axis=1)
    assert (accepted <= drafted).all() and (run.rejections <= run.target_calls).all()


@pytest.mark.statistical
def test_a_run_with_another_draft_is_found(tiny, told, tmp_path):
    other = _ran(tiny, tmp_path, DraftSettings(bits=6), ("horizon", "window3"), 150)
    with pytest.raises(SimlabError, match="draft of the trace"):
        truth_verdicts(told, other["horizon"])
    for name, run in other.items():
        posing = dataclasses.replace(run, provenance=dict(told.provenance))
        assert f"{name}: E[rejections]" in failed(truth_verdicts(told, posing))


@pytest.mark.statistical
def test_a_decoder_that_replaces_by_the_target_is_found(tiny, told, tmp_path, monkeypatch):
    def verify(self, token, draft, target):
        if self.generator.random() * draft[token] < target[token]:
            self.emit(token, target)
            return True
        self.rejections += 1
        self.emit_target(target)  # not the residual: the bias of two production verifiers
        return False

    monkeypatch.setattr(Decoded, "verify", verify)
    run = _ran(tiny, tmp_path, DraftSettings(layers="0-1"), ("window3",), 5000)["window3"]
    assert any("follow the target" in name or "follows" in name for name in failed(truth_verdicts(told, run)))


@pytest.mark.statistical
@pytest.mark.parametrize("name", RUNS)
def test_given_its_texts_a_run_is_told_apart_to_a_tenth(ran, name):
    verdicts = own_text_verdicts(ran[name], resolution=0.25 if name == "assisted2" else 0.1)
    assert verdicts and all(verdict.status is Status.PASS for verdict in verdicts)


@pytest.mark.statistical
def test_a_decoder_that_accepts_too_much_is_found_by_its_own_texts(tiny, tmp_path, monkeypatch):
    def verify(self, token, draft, target):
        accepted = self.generator.random() * draft[token] < 1.3 * target[token]
        self.rejections += not accepted
        residual = np.maximum(target - draft, 0)
        token = token if accepted else int(residual.argmax())
        self.emit(token, target, draft, ACCEPTED if accepted else REJECTED)
        return accepted

    monkeypatch.setattr(Decoded, "verify", verify)
    names = ("horizon", "window2")
    for run in _ran(tiny, tmp_path, DraftSettings(layers="0-1"), names, 600).values():
        assert {
            f"{run.name}: rejections given the texts",
            f"{run.name}: target calls given the texts",
        } <= set(failed(own_text_verdicts(run)))


def test_what_is_kept_along_the_texts_is_what_was_counted(ran):
    for name, run in ran.items():
        there = np.arange(TOKENS) < run.tokens[:, None]
        assert ((run.outcomes >= 0) == there).all()
        assert ((run.outcomes == REJECTED).sum(axis=1) == run.rejections).all()
        drafted = run.outcomes != UNDRAFTED
        assert ((run.outcomes == ACCEPTED).sum(axis=1) == run.accepted_by_position.sum(axis=1)).all()
        unknown = np.isnan(run.acceptances) & there
        assert not (unknown & drafted).any()
        assert not unknown.any() or set(np.argwhere(unknown)[:, 1]) == {TOKENS - 1}
        assert np.isnan(run.fresh_acceptances[there]).any() == (name != "batch2")
        if name == "batch2":
            assert (run.fresh_acceptances[there] >= run.acceptances[there] - 1e-3).all()


def test_acceptances_and_likelihoods_are_those_of_plain_models(tiny, tmp_path):
    """Of the first token of each text: the plain models read the prompt; the decoder says which it was."""
    out = tmp_path / "runs.parquet"
    names = ("horizon", "window3", "assisted2", "biased0.2-target")
    given = settings(tiny, out, DraftSettings(layers="0-1"), sequences=12, runs=names)
    given = dataclasses.replace(given, tokens=2)
    words = [[3, 4, 5, 6], [7, 7], [8, 9, 10, 11, 12, 13], [14, 15]]
    for run in read_runs(run_decoders(given)).values():
        for row, prompt in enumerate(run.prompt):
            tokens = run.first_tokens[row, : run.tokens[row]]
            rows = [PlainLlama(str(tiny / "target"), layers) for layers in (None, [0, 1])]
            target, draft = (
                model.rows([*words[prompt], *tokens])[len(words[prompt]) - 1 : -1][range(len(tokens)), tokens]
                for model in rows
            )
            assert run.log_likelihood[row] == pytest.approx(np.log(target).sum(), rel=1e-3)
            if run.name.startswith("biased"):
                assert (run.outcomes == -1).all()
                continue
            known = ~np.isnan(run.acceptances[row])
            assert run.acceptances[row][known] == pytest.approx(
                np.minimum(1, draft / target)[known[: len(tokens)]], abs=2e-3
            )


def test_biased_texts_answer_the_same_prompts_and_reject_less(tiny, tmp_path, told):
    names = ("horizon", "biased0-residual", "biased0.3-optimal", "biased0.3-draft")
    runs = _ran(tiny, tmp_path, DraftSettings(layers="0-1"), names, 200)
    biased = [runs[name] for name in names[1:]]
    assert all(np.array_equal(run.prompt, biased[0].prompt) for run in biased)
    assert not np.array_equal(runs["horizon"].prompt, biased[0].prompt)
    plain, most, _ = (run.rejections.sum() for run in biased)
    assert most < 0.7 * plain
    with pytest.raises(SimlabError, match="is biased"):
        truth_verdicts(told, dataclasses.replace(biased[1], provenance=dict(told.provenance)))
    assert own_text_verdicts(biased[1]) == []


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("horizon", ("horizon", None, None)),
        ("window12", ("window", 12, None)),
        ("biased0.25-draft", ("biased", 0.25, "draft")),
        ("biased1-optimal", ("biased", 1, "optimal")),
    ],
)
def test_names_of_runs_are_taken_apart(name, parts):
    assert run_name(name) == parts


@pytest.mark.parametrize(
    "name",
    ["", "fast", "window", "window0", "window1.5", "batch1", "biased0.1", "window2-draft", "horizon3", 7],
)
def test_other_names_are_refused(name):
    with pytest.raises(SimlabError, match="run ="):
        run_name(name)


def test_a_text_does_not_change_with_its_batch(tiny, tmp_path):
    found = []
    for batch in (3, 8):
        (tmp_path / str(batch)).mkdir()
        given = settings(tiny, tmp_path / str(batch) / "r.parquet", DraftSettings(layers="0,2"), sequences=8)
        given = dataclasses.replace(given, batch=batch, runs=("window2", "horizon"))
        found.append(read_runs(run_decoders(given)))
    for name in ("window2", "horizon"):
        one, other = (runs[name] for runs in found)
        assert np.array_equal(one.first_tokens, other.first_tokens)
        assert np.array_equal(one.accepted_by_position, other.accepted_by_position)


def test_a_file_that_holds_no_runs_is_refused(tmp_path, told):
    with pytest.raises(SimlabError, match="no such file"):
        read_runs(tmp_path / "none.parquet")
    told.write(tmp_path / "trace.parquet")
    with pytest.raises(SimlabError, match="holds no runs"):
        read_runs(tmp_path / "trace.parquet")
