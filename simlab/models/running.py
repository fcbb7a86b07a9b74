"""Decoders run with real models: one row a text, with what was counted of it: half of a truth test."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from simlab.errors import SimlabError
from simlab.models.algorithms import CELLS, Decoded, decode_to_horizon, decode_windows
from simlab.models.assisted import decode_assisted
from simlab.models.draws import DECODED, generator
from simlab.models.progress import Progress
from simlab.models.recording import Session, pieces_of, run_session
from simlab.models.runs import write_runs
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

    return run_session(settings, settings.sequences * len(settings.runs), work, progress)


def _decoder(run: str) -> Callable:
    """(session, prompts, texts) -> None: the decoder by the name of its run."""
    kind, number = run.rstrip("0123456789"), run.lstrip("abcdefghijklmnopqrstuvwxyz")

    def horizon(session: Session, prompts, texts) -> None:
        drafts = int(number) if kind == "batch" else 1
        decode_to_horizon(
            session.own_draft, session.open_target, prompts, texts, session.settings.processing, drafts
        )

    def windows(session: Session, prompts, texts) -> None:
        decode_windows(
            session.open_draft, session.open_target, prompts, texts, session.settings.processing, int(number)
        )

    def assisted(session: Session, prompts, texts) -> None:
        models = session.draft.model, session.target.model
        decode_assisted(*models, prompts, texts, session.settings.processing, int(number))

    return {"horizon": horizon, "batch": horizon, "window": windows, "assisted": assisted}[kind]


def _run(session: Session, run: str, report: Progress, numbers: range) -> dict:
    """The rows of these sequences: arrays by column."""
    settings = session.settings
    part = int.from_bytes(run.encode(), "big") % 2**61  # its own random numbers
    generators = [generator(settings.seed, DECODED, number, part) for number in numbers]
    chosen = [int(rng.integers(len(session.prompts))) for rng in generators]
    positions = int(run.lstrip("abcdefghijklmnopqrstuvwxyz") or 1) if run[0] in "wa" else 1
    ends = session.target.end_tokens
    texts = [Decoded(rng, settings.tokens, ends, positions, report) for rng in generators]
    _decoder(run)(session, [session.tokens[prompt] for prompt in chosen], texts)
    return {
        "run": np.array([run] * len(texts)),
        "sequence": np.array(numbers),
        "kind": np.array([session.prompts[prompt].kind for prompt in chosen]),
        "tokens": np.array([len(text.tokens) for text in texts]),
        "rejections": np.array([text.rejections for text in texts]),
        "target_calls": np.array([text.calls for text in texts]),
        "drafted_by_position": _lists([text.drafted.tolist() for text in texts]),
        "accepted_by_position": _lists([text.accepted.tolist() for text in texts]),
        "first_tokens": _lists([text.tokens[:2] for text in texts]),
        "first_ranks": _lists([[round(rank, 6) for rank in text.ranks[:2]] for text in texts]),
        "rank_cells": _lists([_cells(text.ranks) for text in texts]),
    }


def _cells(ranks: list[float]) -> list[int]:
    """How many of the ranks lie in each of CELLS even parts of [0, 1)."""
    return np.bincount((np.array(ranks) * CELLS).astype(int).clip(0, CELLS - 1), minlength=CELLS).tolist()


def _lists(values: list[list]) -> np.ndarray:
    """Lists of numbers as text, which a piece can hold."""
    return np.array([json.dumps(value) for value in values])
