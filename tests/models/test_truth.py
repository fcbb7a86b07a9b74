"""The truth test on tiny models: real decoders, run, are what a trace of other seeds predicts."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from simlab import SimlabError
from simlab.evidence import Status
from simlab.models import DraftSettings, RecordSettings, read_runs, record, run_decoders, truth_verdicts
from simlab.models.algorithms import Decoded
from simlab.traces import Trace

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
