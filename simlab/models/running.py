"""Decoders run with real models: one row a text, with what was counted of it: half of a truth test."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from simlab.errors import SimlabError
from simlab.models.algorithms import CELLS, Bias, Decoded, decode_to_horizon, decode_windows
from simlab.models.assisted import decode_assisted
from simlab.models.draws import DECODED, generator
from simlab.models.progress import Progress
from simlab.models.recording import Session, pieces_of, run_session
from simlab.models.run_names import RunName, run_name
from simlab.models.runs import ALONG, coded, write_runs
from simlab.models.settings import RecordSettings


def run_decoders(settings: RecordSettings, progress: Callable[[int], Progress] = Progress) -> Path:
    """Run the decoders of `settings.runs` and write what was counted to `settings.out`; returns the path.

    Raises SimlabError as `simlab.models.record` does, and for an n-gram draft in assisted generation.
    """
    if not settings.runs:
        raise SimlabError("run is empty: expected decoders, e.g. horizon, window4, batch2 or assisted4")
    if settings.draft.ngram is not None and any(run.startswith("assisted") for run in settings.runs):
        raise SimlabError("run = assisted: transformers takes a model as its draft, not counts (draft.ngram)")

    def work(session: Session, report: Progress) -> Path:
        columns: dict[str, list[np.ndarray]] = {}
        for run in settings.runs:
            make = functools.partial(_run, session, run, report)
            for piece in pieces_of(session, run, settings.sequences, report, make):
                for name, values in piece.items():
                    columns.setdefault(name, []).append(values)
        whole = {name: np.concatenate(values) for name, values in columns.items()}
        write_runs(settings.path, whole, session.provenance)
        return settings.path

    total = settings.sequences * settings.tokens * len(settings.runs)
    return run_session(settings, total, work, progress)


def _decode(name: RunName, session: Session, prompts: list[list[int]], texts: list[Decoded]) -> None:
    """Write the texts with the decoder of this name."""
    processing = session.settings.processing
    readers = session.open_draft, session.open_target
    match name.kind:
        case "window":
            decode_windows(*readers, prompts, texts, processing, int(name.number))
        case "assisted":
            models = session.draft.model, session.target.model
            decode_assisted(*models, prompts, texts, processing, int(name.number))
        case _:
            bias = Bias(name.number, name.replacement) if name.kind == "biased" else None
            decode_to_horizon(
                session.own_draft, session.open_target, prompts, texts, processing, name.drafts, bias
            )


def _run(session: Session, run: str, report: Progress, numbers: range) -> dict:
    """The rows of these sequences: arrays by column."""
    settings, name = session.settings, run_name(run)
    part = int.from_bytes(run.encode(), "big") % 2**61  # its own random numbers
    generators = [generator(settings.seed, DECODED, number, part) for number in numbers]
    # Texts that are to be compared with each other's answer the same prompt, text by text.
    draws = [generator(settings.seed, DECODED, n) for n in numbers] if name.kind == "biased" else generators
    chosen = [int(rng.integers(len(session.prompts))) for rng in draws]
    ends = session.target.end_tokens
    texts = [Decoded(rng, settings.tokens, ends, name.positions, report) for rng in generators]
    _decode(name, session, [session.tokens[prompt] for prompt in chosen], texts)
    return {
        "run": np.array([run] * len(texts)),
        "sequence": np.array(numbers),
        "prompt": np.array(chosen),
        "kind": np.array([session.prompts[prompt].kind for prompt in chosen]),
        "tokens": np.array([len(text.tokens) for text in texts]),
        "rejections": np.array([text.rejections for text in texts]),
        "target_calls": np.array([text.calls for text in texts]),
        "log_likelihood": np.array([text.log_likelihood for text in texts]),
        "drafted_by_position": _lists([text.drafted.tolist() for text in texts]),
        "accepted_by_position": _lists([text.accepted.tolist() for text in texts]),
        "first_tokens": _lists([text.tokens[:2] for text in texts]),
        "first_ranks": _lists([[round(rank, 6) for rank in text.ranks[:2]] for text in texts]),
        **(_nothing_along(len(texts)) if name.kind == "biased" else _along(texts)),
    }


def _along(texts: list[Decoded]) -> dict[str, np.ndarray]:
    """What is kept of every token."""
    return {
        "rank_cells": _lists([_cells(text.ranks) for text in texts]),
        "outcomes": _lists([text.outcomes for text in texts]),
        "acceptances": _lists([coded(text.acceptances) for text in texts]),
        "fresh_acceptances": _lists([coded(text.fresh_acceptances) for text in texts]),
    }


def _nothing_along(texts: int) -> dict[str, np.ndarray]:
    """The same of a biased decoder, whose tokens no theory is held against: empty lists."""
    return dict.fromkeys(("rank_cells", *ALONG), _lists([[]] * texts))


def _cells(ranks: list[float]) -> list[int]:
    """How many of the ranks lie in each of CELLS even parts of [0, 1)."""
    return np.bincount((np.array(ranks) * CELLS).astype(int).clip(0, CELLS - 1), minlength=CELLS).tolist()


def _lists(values: list[list]) -> np.ndarray:
    """Lists of numbers as text, which a piece can hold."""
    return np.array([json.dumps(value) for value in values])
