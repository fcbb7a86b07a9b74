"""`simlab record`: reads settings, records a trace or runs decoders with real models."""

from __future__ import annotations

import re

from simlab.checks import as_integer, shortened
from simlab.cli.config.compose import taken_out
from simlab.cli.config.settings import file_from
from simlab.errors import SimlabError

USAGE = """usage: simlab record target=MODEL draft=MODEL|draft.KEY=VALUE out=FILE [key=value ...]

Lets a real language model write texts and records what it and a draft made of every token: a trace, from
which simlab predict and simlab plan answer for every window. Needs pip install 'simlab[models]'.

  target=MODEL          a folder that transformers saved, a .gguf file, or a name of the Hugging Face hub
  draft=MODEL           a second model over the same vocabulary; or made from the target:
  draft.layers=0-9,12-29  its layers from 0 that are kept (self-speculation by skipping)
  draft.bits=4          the weights of its layers rounded to so many bits
  draft.ngram=2         counts of two tokens in a row, of a text that the target writes with other seeds
  draft.temperature=1.3   its own temperature (and draft.top_k, draft.top_p), also of the other drafts
  prompts=FILE          a prompt a line, kind<TAB>prompt to name kinds; \\n is a line break. Or bundled ones
  out=FILE              .parquet, .csv or .jsonl
  sequences=200 tokens=64 seed=0    so many texts, each from a prompt drawn at random; its end token ends one
  temperature=1 top_k=K top_p=P     how both models sample
  batch=32 threads=1    texts at once, threads of torch; other values change the last digits
  drafts=[2,4,8,16] epsilons=[0.1,0.2,0.4,0.8]   columns batch_rejection_M and over_acceptance_E
  compact=true          rounded numbers, for a small file (its provenance says so)
  run=horizon,window4,batch2,assisted4   no trace: these decoders are run with the models, and counted;
                        biased0.1-optimal over-accepts by 0.1 (or -target, -draft, -residual)
  trees=64              no trace: draft trees of so many nodes, after `sequences` prefixes of `tokens` tokens

draft=layers=0-9,12-29 is another spelling of draft.layers=0-9,12-29, and so of the others. Stopped at any
moment, the same command goes on where it was (OUT.part keeps what is finished):

  simlab record target=./my-model draft=./my-small-model out=trace.parquet
  simlab record target=SmolLM2-135M-Instruct.Q4_1.gguf draft.layers=0-27 out=trace.parquet sequences=200
  simlab record target=./my-model draft.temperature=1.5 out=runs.parquet run=horizon,window2,window4

From Python: simlab.models.record(simlab.models.RecordSettings(...)).
"""

MADE = ("layers", "bits", "ngram")
SAMPLED = ("temperature", "top_k", "top_p")
NUMBERS = ("sequences", "tokens", "seed", "batch", "threads")
KEYS = (
    "target",
    "draft",
    *(f"draft.{name}" for name in (*MADE, *SAMPLED)),
    "prompts",
    "out",
    *NUMBERS,
    *SAMPLED,
    "drafts",
    "epsilons",
    "compact",
    "run",
    "trees",
)


def main(words: list[str]) -> int:
    """Record, and say what was written; returns the exit code."""
    from simlab.models import record, record_trees, run_decoders

    settings = settings_of(words)
    work = run_decoders if settings.runs else record_trees if settings.trees else record
    path = work(settings)
    print(f"written: {path}")
    return 0


def settings_of(words: list[str]):
    """The settings that the words ask for; SimlabError for words that are none."""
    from simlab.models import DraftSettings, Extras, RecordSettings
    from simlab.pairs.processing import Processing

    made = rf"draft=({'|'.join((*MADE, *SAMPLED))})[=:]"
    given, others = taken_out([re.sub(made, r"draft.\1=", word) for word in words], KEYS)
    if others:
        raise SimlabError(f"{others[0]}: simlab record has {', '.join(KEYS)}")
    for name in ("target", "out"):
        if name not in given:
            example = {"target": "target=./my-model", "out": "out=trace.parquet"}[name]
            raise SimlabError(f"no {name}: give one, e.g. {example}")
    drafts = {name: given.pop(f"draft.{name}") for name in (*MADE, *SAMPLED) if f"draft.{name}" in given}
    if not drafts and "draft" not in given:
        raise SimlabError(
            "no draft: give draft=MODEL, or one made from the target, e.g. draft.layers=0-9 or "
            "draft.temperature=1.5"
        )
    layers = drafts.pop("layers", None)
    own = {name: _one(f"draft.{name}", values) for name, values in drafts.items()}
    draft = DraftSettings(
        model=_file("draft", given),
        layers=None if layers is None else ",".join(map(str, layers)),
        **{name: own.pop(name) for name in MADE if name in own},
    )
    common = {name: _one(name, given[name]) for name in SAMPLED if name in given}
    common |= {f"draft_{name}": value for name, value in own.items()}
    options = {name: _file(name, given) for name in ("prompts", "target", "out") if name in given}
    options |= {name: _one(name, given[name]) for name in (*NUMBERS, "compact", "trees") if name in given}
    extras = {name: _list(given[name]) for name in ("drafts", "epsilons") if name in given}
    return RecordSettings(
        draft=draft,
        processing=Processing(**{name: value for name, value in common.items() if value is not None}),
        extras=Extras(**extras),
        runs=tuple(_list(given.get("run", []))),
        **options,
    )


def _one(name: str, values: list):
    if len(values) > 1:
        raise SimlabError(f"{name} = {shortened(values)}: expected one value")
    return as_integer(values[0])


def _file(name: str, given: dict[str, list]) -> str | None:
    return file_from(name, _one(name, given[name])) if name in given else None


def _list(values: list) -> tuple:
    """The values of key=1,2 and of key=[1,2] alike."""
    return tuple(values[0]) if len(values) == 1 and isinstance(values[0], list) else tuple(values)
