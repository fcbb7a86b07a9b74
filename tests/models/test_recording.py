"""Recording from tiny models: against a Llama in plain NumPy, against itself after kill -9, and bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from simlab import SimlabError
from simlab.cli.main import main
from simlab.cli.record import settings_of
from simlab.models import DraftSettings, RecordSettings, record
from simlab.models.drafts import kept_layers
from simlab.pairs.processing import Processing
from simlab.traces import Trace
from tests.models.llama import PlainLlama
from tests.models.tiny import WORDS, save_tiny


def settings(tiny, out, **options) -> RecordSettings:
    """A small recording of the tiny models."""
    given = {"sequences": 12, "tokens": 8, "batch": 5, "draft": DraftSettings(model=str(tiny / "draft"))}
    where = {"target": str(tiny / "target"), "prompts": str(tiny / "prompts.txt")}
    return RecordSettings(out=str(out), **where, **(given | options))


def recorded(tiny, out, **options) -> Trace:
    return Trace.read(record(settings(tiny, out, **options)))


def prompts_of(trace: Trace) -> list[list[int]]:
    """The prompt of each sequence, found again by its generator."""
    from simlab.models.draws import RECORDED, generator

    words = [["a", "b", "c", "d"], ["e", "e"], ["f", "g", "h", "i", "j", "k"], ["l", "m"]]
    seed = trace.provenance["seed"]
    chosen = [int(generator(seed, RECORDED, int(number)).integers(len(words))) for number in trace.ids]
    return [[WORDS.index(word) for word in words[prompt]] for prompt in chosen]


def plain_rows(trace: Trace, model: PlainLlama):
    """(sequence, row after each prefix that a token of the trace followed)."""
    for i, prompt in enumerate(prompts_of(trace)):
        tokens = trace.token[trace.offsets[i] : trace.offsets[i + 1]].tolist()
        yield i, tokens, model.rows(prompt + tokens)[len(prompt) - 1 : -1]


@pytest.mark.parametrize(
    ("draft", "layers"), [({"layers": "0,2"}, [0, 2]), ({"model": "draft"}, None), ({}, [0, 1, 2])]
)
def test_probabilities_are_those_of_a_llama_written_out(tiny, tmp_path, draft, layers):
    if "model" in draft:
        draft = {"model": str(tiny / draft["model"])}
    trace = recorded(tiny, tmp_path / "t.parquet", draft=DraftSettings(**draft))
    target = PlainLlama(str(tiny / "target"))
    drafted = PlainLlama(str(tiny / ("draft" if layers is None else "target")), layers)
    assert len(trace) > 40 and trace.sequences == 12
    for (i, tokens, rows), (_, _, others) in zip(
        plain_rows(trace, target), plain_rows(trace, drafted), strict=True
    ):
        at = slice(trace.offsets[i], trace.offsets[i + 1])
        came = np.arange(len(tokens)), tokens
        assert trace.target_probability[at] == pytest.approx(rows[came], rel=1e-4)
        assert trace.draft_probability[at] == pytest.approx(others[came], rel=1e-4)
        assert trace.total_variation[at] == pytest.approx(np.abs(rows - others).sum(axis=1) / 2, abs=1e-5)
        assert trace.draft_confidence[at] == pytest.approx(others.max(axis=1), rel=1e-4)
        assert trace.target_entropy[at] == pytest.approx(-(rows * np.log(rows)).sum(axis=1), rel=1e-4)


def test_both_models_are_processed_as_stated(tiny, tmp_path):
    processing = Processing(temperature=0.7, top_k=4, draft_temperature=1.5, draft_top_k=30)
    trace = recorded(tiny, tmp_path / "t.parquet", processing=processing, draft=DraftSettings())
    for i, tokens, rows in plain_rows(trace, PlainLlama(str(tiny / "target"))):
        at = slice(trace.offsets[i], trace.offsets[i + 1])
        sharp, flat = rows ** (1 / 0.7), rows ** (1 / 1.5)
        sharp[sharp < np.sort(sharp, axis=1)[:, -4][:, None]] = 0
        came = np.arange(len(tokens)), tokens
        expected = sharp[came] / sharp.sum(axis=1)
        assert trace.target_probability[at] == pytest.approx(expected, rel=1e-3)
        assert trace.draft_probability[at] == pytest.approx(flat[came] / flat.sum(axis=1), rel=1e-3)


def test_a_text_ends_with_its_end_token_and_batches_do_not_change_it(tiny, tmp_path):
    one = recorded(tiny, tmp_path / "a.parquet", sequences=40)
    other = recorded(tiny, tmp_path / "b.parquet", sequences=40, batch=17)
    assert np.array_equal(one.token, other.token)
    assert one.target_probability == pytest.approx(other.target_probability, rel=1e-4)
    last = one.token[one.offsets[1:] - 1]
    short = one.lengths < 8
    assert short.any() and (last[short] == 2).all()
    inner = np.delete(one.token, one.offsets[1:] - 1)
    assert (inner != 2).all()
    assert set(one.by_sequence("kind")) == {"letters", "words", ""}


@pytest.mark.parametrize("bits", [1, 2, 5])
def test_weights_are_rounded_by_row(bits):
    torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'simlab[models]')")
    from simlab.models.drafts import rounded_rows

    weight = torch.tensor([[0.1, -0.4, 0.25, 0.0], [0.0, 0.0, 0.0, 0.0]])
    found = rounded_rows(weight, bits).numpy()
    if bits == 1:
        assert found[0] == pytest.approx([0.1875, -0.1875, 0.1875, 0])
    else:
        most = 2 ** (bits - 1) - 1
        expected = np.round(weight[0].numpy() / 0.4 * most) * 0.4 / most
        assert found[0] == pytest.approx(expected, abs=1e-6)
    assert (found[1] == 0).all()


def test_rounded_weights_and_counts_are_drafts(tiny, tmp_path):
    close = recorded(tiny, tmp_path / "a.parquet", draft=DraftSettings(bits=10))
    far = recorded(tiny, tmp_path / "b.parquet", draft=DraftSettings(bits=2))
    counted = recorded(tiny, tmp_path / "c.parquet", draft=DraftSettings(ngram=2))
    assert np.array_equal(close.token, far.token) and np.array_equal(far.token, counted.token)
    assert 0 < close.total_variation.mean() < 0.05 < far.total_variation.mean()
    assert 0.05 < counted.total_variation.mean() < 1 and counted.provenance["draft"] == "ngram=2"


def test_what_is_there_is_kept_and_the_bytes_are_the_same(tiny, tmp_path, monkeypatch):
    whole = record(settings(tiny, tmp_path / "a.parquet", compact=True)).read_bytes()
    from simlab.models import recording

    calls = []

    def stops(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments)

    original = recording._recorded
    monkeypatch.setattr(recording, "_recorded", stops)
    with pytest.raises(KeyboardInterrupt):
        record(settings(tiny, tmp_path / "b.parquet", compact=True))
    assert len(list((tmp_path / "b.parquet.part").glob("*.npz"))) == 2
    with pytest.raises(SimlabError, match="seed = 0, not 5"):
        record(settings(tiny, tmp_path / "b.parquet", compact=True, seed=5))
    monkeypatch.setattr(recording, "_recorded", original)
    path = record(settings(tiny, tmp_path / "b.parquet", compact=True))
    assert path.read_bytes() == whole
    assert not (tmp_path / "b.parquet.part").exists()
    with pytest.raises(SimlabError, match="is there already"):
        record(settings(tiny, tmp_path / "b.parquet"))


@pytest.mark.processes
def test_kill_9_and_the_same_command_again_leave_the_same_bytes(tiny, tmp_path):
    def words(out):
        options = "sequences=60 tokens=12 batch=4 draft.layers=0-1".split()
        return [f"target={tiny}/target", f"prompts={tiny}/prompts.txt", f"out={out}", *options]

    assert main(["record", *words(tmp_path / "whole.csv")]) == 0
    out = tmp_path / "killed.csv"
    code = "import sys; from simlab.cli.main import main; sys.exit(main(sys.argv[1:]))"
    child = subprocess.Popen([sys.executable, "-c", code, "record", *words(out)], stderr=subprocess.DEVNULL)
    part = tmp_path / "killed.csv.part"
    while child.poll() is None and not list(part.glob("text-*.npz")):
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert out.exists() or len(list(part.glob("text-*.npz"))) < 15
    if not out.exists():
        assert main(["record", *words(out)]) == 0
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["out=t.csv", "draft.bits=3"], "no target"),
        (["target=target", "draft.bits=3"], "no out"),
        (["target=target", "out=t.csv"], "no draft"),
        (["target=target", "out=t.csv", "draft.bits=0"], "draft.bits"),
        (["target=target", "out=t.csv", "draft.layers=3-x"], "not a list of layers"),
        (["target=target", "out=t.csv", "draft.layers=0-9"], "from 0 to 2"),
        (["target=target", "out=t.csv", "draft.ngram=2", "draft.bits=3"], "exclude"),
        (["target=target", "out=t.csv", "draft=other"], "different vocabularies"),
        (["target=target", "out=t.csv", "draft=larger"], "same vocabulary"),
        (["target=target", "out=t.csv", "draft.bits=3", "prompts=none.txt"], "no such file"),
        (["target=target", "out=t.csv", "draft.bits=3", "prompts=empty.txt"], "no prompt"),
        (["target=target", "out=t.csv", "draft.bits=3", "prompts=binary.txt"], "not text"),
        (["target=target", "out=t.csv", "draft.bits=3", "tokens=100"], "longer than the 64"),
        (["target=torn.gguf", "out=t.csv", "draft.bits=3"], "torn"),
        (["target=text.gguf", "out=t.csv", "draft.bits=3"], "not a .gguf file"),
        (["target=none.gguf", "out=t.csv", "draft.bits=3"], "no such file"),
        (["target=empty", "out=t.csv", "draft.bits=3"], "empty"),
        (["target=target", "out=t.txt", "draft.bits=3"], "ending"),
        (["target=target", "out=none/t.csv", "draft.bits=3"], "make it first"),
        (["target=target", "out=t.csv", "draft.bits=3", "run=fast"], "horizon, windowK"),
        (["target=target", "out=t.csv", "draft.ngram=1", "run=assisted2"], "assisted"),
        (["target=target", "out=t.csv", "draft.bits=3", "colour=red"], "colour"),
        (["target=target", "out=t.csv", "draft.bits=3", "sequences=0"], "sequences"),
        (["target=target", "out=t.csv", "draft.bits=3", "seed=1,2"], "expected one value"),
    ],
)
def test_bad_input_is_one_line(tiny, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("target", "draft", "prompts.txt"):
        (tmp_path / name).symlink_to(tiny / name)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00\x01")
    (tmp_path / "text.gguf").write_text("hello")
    (tmp_path / "torn.gguf").write_bytes(b"GGUF\x03\0\0\0" + (10).to_bytes(8, "little") * 2)
    if "draft=other" in words:
        save_tiny(tmp_path / "other", seed=3, layers=1, words=(*WORDS[:-1], "z"))
    if "draft=larger" in words:
        save_tiny(tmp_path / "larger", seed=3, layers=1, words=(*WORDS, "z"))
    prompts = [] if any(word.startswith("prompts") for word in words) else ["prompts=prompts.txt"]
    assert main(["record", *words, *prompts]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("simlab: ") and said in error, error
    assert not (tmp_path / "t.csv").exists()


def test_a_hub_name_without_a_network_is_one_line(tiny, tmp_path, monkeypatch, capsys):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    words = ["target=nobody/no-such-model", "draft.bits=3", f"out={tmp_path}/t.csv"]
    assert main(["record", *words]) == 2
    assert "is there a network" in capsys.readouterr().err


def test_out_of_memory_says_what_to_lower_and_loses_nothing(tiny, tmp_path, monkeypatch, capsys):
    from simlab.models import recording

    def full(*_):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(recording, "write_texts", full)
    with pytest.raises(SimlabError, match=r"batch = 5: lower it, e.g. batch=1; .* is kept"):
        record(settings(tiny, tmp_path / "t.csv"))
    monkeypatch.undo()
    assert record(settings(tiny, tmp_path / "t.csv", batch=1)).exists()


def test_no_torch_says_which_extra(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["record", "target=gpt2", "draft.bits=3", f"out={tmp_path}/t.csv"]) == 2
    assert "pip install 'simlab[models]'" in capsys.readouterr().err


def test_every_spelling_of_a_draft_is_read():
    base = ["target=t", "out=o.csv"]
    for word in ("draft.layers=0-9,12-29", "draft=layers=0-9,12-29", "draft=layers:0-9,12-29"):
        assert settings_of([*base, word]).draft == DraftSettings(layers="0-9,12-29")
    assert settings_of([*base, "draft=temperature=1.3"]).processing.draft.temperature == 1.3
    assert (
        settings_of([*base, "draft.temperature=1.3", "temperature=0.5"]).processing.target.temperature == 0.5
    )
    assert settings_of([*base, "draft=bits=3"]).draft.bits == 3
    assert settings_of([*base, "draft=ngram=2"]).draft.ngram == 2
    assert settings_of([*base, "draft=./other"]).draft.model == "other"
    assert settings_of([*base, "draft.bits=3", "run=horizon,window2"]).runs == ("horizon", "window2")
    assert kept_layers("0-2,5", 6) == [0, 1, 2, 5]
    for wrong in ("0-6", "2-1", "0,0", "3,1"):
        with pytest.raises(SimlabError):
            kept_layers(wrong, 6)


def test_provenance_is_json_and_says_what_was_done(tiny, tmp_path):
    trace = recorded(tiny, tmp_path / "t.parquet", draft=DraftSettings(layers="0-1"))
    found = json.loads(json.dumps(dict(trace.provenance)))
    assert (
        found["draft"] == "layers=0-1" and found["target"] == "target" and len(found["target_digest"]) == 64
    )
    assert (found["seed"], found["sequences"], found["tokens"]) == (0, 12, 8)
