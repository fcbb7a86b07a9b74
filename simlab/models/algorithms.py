"""The decoders themselves, run with real models on a batch of prompts: what came out is counted.

Every text has a generator of its own. Draft and target are read by `Reader`s; their rows are taken in
float64 from the logits, as a trace takes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from simlab.models.draws import draw, rank_mass
from simlab.models.observation import as_rows
from simlab.models.progress import Progress
from simlab.pairs.processing import Processing, Sampling

CELLS = 16
"""Cells of [0, 1) in which the rank masses of emitted tokens are counted."""


@dataclass
class Decoded:
    """One text under way, and what is counted of it.

    tokens: emitted ones. ranks: `rank_mass` of each under the target, uniform if the decoder is unbiased.
    drafted, accepted: by position in the window, counted to the window's length (one cell for the horizon).
    report: of the progress.
    """

    generator: np.random.Generator
    limit: int
    ends: frozenset[int]
    positions: int
    report: Progress
    tokens: list[int] = field(default_factory=list)
    ranks: list[float] = field(default_factory=list)
    rejections: int = 0
    calls: int = 0
    drafted: np.ndarray = None
    accepted: np.ndarray = None

    def __post_init__(self) -> None:
        self.drafted = np.zeros(self.positions, np.int64)
        self.accepted = np.zeros(self.positions, np.int64)

    @property
    def done(self) -> bool:
        """Whether the text is as long as it may be, or has come to its end token."""
        return len(self.tokens) >= self.limit or bool(self.tokens and self.tokens[-1] in self.ends)

    @property
    def left(self) -> int:
        """How many tokens may come yet."""
        return self.limit - len(self.tokens)

    def emit(self, token: int, target: np.ndarray) -> None:
        """The next token of the text, which the target's row (V,) is held against."""
        self.tokens.append(token)
        self.report.add(1)
        if self.done:
            self.report.skip(self.left)
        self.ranks.append(rank_mass(target, token, self.generator.random()))

    def emit_target(self, target: np.ndarray) -> None:
        """A token straight from the target."""
        self.emit(draw(target, self.generator.random()), target)

    def verify(self, token: int, draft: np.ndarray, target: np.ndarray) -> bool:
        """Accept the drafted token, or count a rejection and emit its replacement."""
        if self.generator.random() * draft[token] < target[token]:
            self.emit(token, target)
            return True
        self.rejections += 1
        residual = np.maximum(target - draft, 0.0)
        self.emit(draw(residual if residual.any() else target, self.generator.random()), target)
        return False

    def verify_first(self, drafts: int, draft: np.ndarray, target: np.ndarray) -> bool:
        """The same of several drafted tokens, tried in turn (Algorithm 4 as its proof has it)."""
        residual = target
        for _ in range(drafts):
            token = draw(draft, self.generator.random())
            if self.generator.random() * draft[token] < residual[token]:
                self.emit(token, target)
                return True
            left = np.maximum(residual - draft, 0.0)
            if not left.any():  # draft and residual are one distribution: a failure is rounding
                left = residual
            residual = left / left.sum()
        self.rejections += 1
        self.emit(draw(residual, self.generator.random()), target)
        return False


def decode_to_horizon(
    open_draft: Callable | None,
    open_target: Callable,
    prompts: list[list[int]],
    texts: list[Decoded],
    processing: Processing,
    drafts: int = 1,
) -> None:
    """Speculative decoding whose drafts reach the horizon; `drafts` > 1 of them at the start of every call.

    Tokens behind a rejection, which would be thrown away unseen, are not drafted: the others do not depend on
    them. open_draft, open_target: a model's reader of a list of prompts; None for a draft that is the same
    model as the target, and differs in its processing only.
    """
    active = np.arange(len(texts))
    target = open_target(prompts)
    draft = None if open_draft is None else open_draft(prompts)
    fresh = np.ones(len(texts), bool)
    target_logits = target.last
    draft_logits = target_logits if draft is None else draft.last
    while True:
        for i, row in enumerate(active):
            text = texts[row]
            drafted = _row("draft", draft_logits[i], processing.draft)
            verified = _row("target", target_logits[i], processing.target)
            if fresh[row]:
                text.calls += 1
            text.drafted[0] += 1
            if fresh[row] and drafts > 1:
                kept = text.verify_first(drafts, drafted, verified)
            else:
                kept = text.verify(draw(drafted, text.generator.random()), drafted, verified)
            text.accepted[0] += kept
            fresh[row] = not kept
        going = np.flatnonzero([not texts[row].done for row in active])
        if not going.size:
            return
        if going.size < active.size:
            active = active[going]
            for reader in (target, draft):
                if reader is not None:
                    reader.select(going)
        last = np.array([[texts[row].tokens[-1]] for row in active])
        target_logits = target.push(last)[:, 0]
        draft_logits = target_logits if draft is None else draft.push(last)[:, 0]


def decode_windows(
    open_draft: Callable,
    open_target: Callable,
    prompts: list[list[int]],
    texts: list[Decoded],
    processing: Processing,
    window: int,
) -> None:
    """Speculative decoding with a window and the bonus token: draft, verify in one call, take back, repeat.

    Both models read for themselves, also where they are one. prompts: two tokens each at least.
    """
    unread = [prompt[-1:] for prompt in prompts]  # by the draft; the target has not read the last of these
    active = np.arange(len(texts))
    draft, target = (opened([prompt[:-1] for prompt in prompts]) for opened in (open_draft, open_target))
    while active.size:
        sizes = np.array([min(window, texts[row].left - 1) for row in active])
        tokens, rows = _drafted(
            draft, [unread[row] for row in active], [texts[row] for row in active], sizes, processing.draft
        )
        width = int(sizes.max()) + 1
        block = np.zeros((active.size, width), np.int64)
        block[:, 0] = [unread[row][-1] for row in active]
        block[:, 1:] = tokens
        valid = np.arange(width) <= sizes[:, None]
        target.begin()
        logits = target.push(block, valid)
        accepted = np.zeros(active.size, np.int64)
        for i, row in enumerate(active):
            accepted[i] = _verified(texts[row], tokens[i, : sizes[i]], rows[i], logits[i], processing.target)
            unread[row] = texts[row].tokens[-1:]
            if accepted[i] == sizes[i] and sizes[i]:  # the draft has not read the last token that it drafted
                unread[row] = [int(tokens[i, sizes[i] - 1]), *unread[row]]
        target.keep(accepted + 1)
        draft.keep(accepted)
        going = np.flatnonzero([not texts[row].done for row in active])
        if going.size < active.size:
            active = active[going]
            if going.size:
                draft.select(going)
                target.select(going)


def _drafted(draft, unread: list[list[int]], texts: list[Decoded], sizes: np.ndarray, sampling: Sampling):
    """Drafted tokens (B, G), 0 where a text drafts fewer, and the rows they were drawn from, a list a text.

    The draft first reads what it has not read; the drafted tokens that it reads after that, all but the last
    of each text, may be taken back.
    """
    width = int(sizes.max())
    tokens = np.zeros((len(texts), width), np.int64)
    rows: list[list[np.ndarray]] = [[] for _ in texts]
    longest = max(map(len, unread))
    start = np.zeros((len(texts), longest), np.int64)
    given = np.zeros((len(texts), longest), bool)
    for i, part in enumerate(unread):
        start[i, longest - len(part) :] = part
        given[i, longest - len(part) :] = True
    logits = draft.push(start, given)[:, -1]
    draft.begin()
    for g in range(width):
        for i in np.flatnonzero(sizes > g):
            rows[i].append(_row("draft", logits[i], sampling))
            tokens[i, g] = draw(rows[i][-1], texts[i].generator.random())
        if g + 1 < width:
            logits = draft.push(tokens[:, g : g + 1], (sizes > g + 1)[:, None])[:, 0]
    return tokens, rows


def _verified(
    text: Decoded, tokens: np.ndarray, drafted: list[np.ndarray], logits: np.ndarray, sampling: Sampling
) -> int:
    """One call of a text: how many of its drafted tokens were accepted; they and the next are emitted."""
    text.calls += 1
    text.drafted[: len(tokens)] += 1
    for g, token in enumerate(tokens):
        if not text.verify(int(token), drafted[g], _row("target", logits[g], sampling)):
            return g
        text.accepted[g] += 1
        if text.done:  # the end token: nothing follows it
            return g + 1
    text.emit_target(_row("target", logits[len(tokens)], sampling))
    return len(tokens)


def _row(name: str, logits: np.ndarray, sampling: Sampling) -> np.ndarray:
    return as_rows(name, logits[None], sampling)[0]
