"""Chains counted from a real text, character by character.

The text is read as a circle that starts after a line break (one is added at its end where it is missing),
so that every character has a successor and the chain may run on for any horizon.
"""

from __future__ import annotations

import codecs
import functools
import os
import stat
from pathlib import Path

import numpy as np

from simlab.checks import check_count, check_number, check_path
from simlab.errors import SimlabError
from simlab.memory import check_fits
from simlab.pairs.pair import ChainPair

LEAST_CHARACTERS = 1000
DRAFT_MODELS = ("bigram", "unigram")


def corpus(
    path: str | None = None,
    horizon: int = 50,
    draft_model: str = "bigram",
    draft_fraction: float = 0.02,
    smoothing: float = 0.01,
    max_states: int = 256,
) -> ChainPair:
    """A stationary pair counted from a text: the target knows all of it, the draft less.

    path: a UTF-8 text file; None takes the Python language reference that every Python carries
        (pydoc_data.topics; its text changes a little with the Python version).
    target: bigram counts of the whole text. draft: a `draft_model` ("bigram", or "unigram" that does not see
        the last character) of the first `draft_fraction` (0 < f <= 1) of the text.
    smoothing: pseudo-count (>= 0) added to every pair of characters, in both models.
    max_states: the vocabulary is the characters of the text, most frequent first; beyond this many the
        rarest become one token. initial: a line break.

    Raises SimlabError for a text that is missing, binary, not UTF-8 or shorter than 1000 characters, for
    unknown models and for options out of range.
    """
    horizon = check_count("horizon", horizon)
    max_states = check_count("max_states", max_states, least=2)
    smoothing = check_number("smoothing", smoothing, least=0.0)
    draft_fraction = check_number("draft_fraction", draft_fraction, above=0.0, most=1.0)
    if draft_model not in DRAFT_MODELS:
        raise SimlabError(
            f"draft_model = {draft_model!r} is not valid; expected one of {', '.join(DRAFT_MODELS)}"
        )
    tokens, line_break = _encoded(path, max_states)
    states = int(tokens.max()) + 1
    check_fits("pair corpus takes", 24.0 * states**2, f"max_states below {states}")
    seen = tokens[: max(1, round(draft_fraction * len(tokens)))]
    target = _bigram_rows(tokens, states, smoothing, "target")
    if draft_model == "bigram":
        draft = _bigram_rows(seen, states, smoothing, "draft")
    else:
        counts = np.bincount(seen, minlength=states) + smoothing
        draft = np.tile(counts / counts.sum(), (states, 1))
    initial = np.zeros(states)
    initial[line_break] = 1.0
    return ChainPair.stationary(draft, target, initial, horizon)


def alphabet(path: str | None = None, max_states: int = 256) -> tuple[str, ...]:
    """The characters that the tokens of `corpus(path, max_states=max_states)` stand for, in their order.

    The token that all of the rarest characters became, where there is one, is the empty text. Raises
    SimlabError as `corpus` does.
    """
    max_states = check_count("max_states", max_states, least=2)
    points, _, rank = _ranked(_closed(read_text(path)), max_states)
    members = np.bincount(rank)
    characters = [""] * len(members)
    for point, token in zip(points, rank, strict=True):
        if members[token] == 1:
            characters[token] = chr(point)
    return tuple(characters)


def text_of_tokens(tokens, path: str | None = None, max_states: int = 256) -> str:
    """The text that tokens of `corpus(path, max_states=max_states)` stand for, a character each.

    tokens: whole numbers, one sequence (T,). The token that all of the rarest characters became shows as
    U+FFFD. Raises SimlabError if it is not such a token, and as `corpus` does.
    """
    characters = np.array([known or "\N{REPLACEMENT CHARACTER}" for known in alphabet(path, max_states)])
    tokens = np.asarray(tokens)
    if tokens.ndim != 1 or (tokens.size and tokens.dtype.kind not in "iu"):
        raise SimlabError(
            f"tokens of shape {tokens.shape} and type {tokens.dtype}: expected whole numbers, (T,)"
        )
    outside = tokens[(tokens < 0) | (tokens >= len(characters))]
    if outside.size:
        raise SimlabError(f"token {outside[0]}: expected a number from 0 to {len(characters) - 1}")
    return "".join(characters[tokens.astype(np.int64)])


def text_tokens(path: str | None = None, max_states: int = 256) -> np.ndarray:
    """The text that `corpus` counts, as its tokens in their order, int64 (characters,).

    Raises SimlabError as `corpus` does.
    """
    return _encoded(path, check_count("max_states", max_states, least=2))[0].copy()


def read_text(path: str | None) -> str:
    """The text at `path` (UTF-8, any line ends), or the built-in one. Raises SimlabError if it is
    unusable."""
    if path is None:
        from pydoc_data.topics import topics

        return "\n".join(topics[name] for name in sorted(topics))
    check_path("path", path)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path):
            raise SimlabError(f"{path} is not a regular file; expected the path of a UTF-8 text file")
        raw = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise SimlabError(f"no text {path}: give the path of a UTF-8 text file") from error
    except OSError as error:
        raise SimlabError(f"cannot read {path}: {error.strerror or error}") from error
    zero = raw.find(b"\0")
    if zero >= 0:
        raise SimlabError(f"{path} is binary (a zero byte at offset {zero}): give a UTF-8 text file")
    try:
        text = raw.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        raise SimlabError(
            f"{path} is not UTF-8 text (byte 0x{raw[error.start]:02x} at offset {error.start}): convert it"
        ) from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if len(text) < LEAST_CHARACTERS:
        raise SimlabError(f"{path} has {len(text)} characters: give a text of at least {LEAST_CHARACTERS}")
    return text


def _closed(text: str) -> str:
    """The text with a line break at its end."""
    return text if text.endswith("\n") else text + "\n"


def _encoded(path: str | None, max_states: int) -> tuple[np.ndarray, int]:
    """The tokens of the text at `path`, and the line break's."""
    return _built_in(max_states) if path is None else _encode(_closed(read_text(path)), max_states)


@functools.lru_cache(maxsize=1)  # pairs of one text with drafts of many qualities ask for it again
def _built_in(max_states: int) -> tuple[np.ndarray, int]:
    return _encode(_closed(read_text(None)), max_states)


def _encode(text: str, max_states: int) -> tuple[np.ndarray, int]:
    """The text's tokens, and the line break's."""
    points, codes, rank = _ranked(text, max_states)
    return rank[codes], int(rank[np.searchsorted(points, ord("\n"))])


def _ranked(text: str, max_states: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(code points of the characters, where each position of the text has which of them, their tokens).

    Tokens by falling frequency (ties by code point), the rarest folded into one. A line break is never
    folded, so that `initial` means what it says.
    """
    points, codes = np.unique(np.frombuffer(text.encode("utf-32-le"), dtype="<u4"), return_inverse=True)
    counts = np.bincount(codes)
    line_break = int(np.searchsorted(points, ord("\n")))
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    if rank[line_break] >= max_states - 1 and len(points) > max_states:
        swapped = order[max_states - 2]
        rank[line_break], rank[swapped] = rank[swapped], rank[line_break]
    return points, codes, np.minimum(rank, max_states - 1)


def _bigram_rows(tokens: np.ndarray, states: int, smoothing: float, name: str) -> np.ndarray:
    pairs = tokens * states + np.roll(tokens, -1)
    counts = np.bincount(pairs, minlength=states * states).reshape(states, states) + smoothing
    totals = counts.sum(axis=1, keepdims=True)
    if (totals == 0).any():
        raise SimlabError(
            f"smoothing = 0: the {name}'s part of the text lacks {int((totals == 0).sum())} of {states} "
            "characters; give smoothing > 0 or a larger draft_fraction"
        )
    return counts / totals
