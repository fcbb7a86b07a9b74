"""The decoders themselves, run with real models on a batch of prompts: what came out is counted.

Every text has a generator of its own. Draft and target are read by `Reader`s; their rows are taken in
float64 from the logits, as a trace takes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from simlab.models.draws import draw, rank_mass
from simlab.models.observation import as_rows
from simlab.models.progress import Progress
from simlab.models.rows import batch_rejections
from simlab.pairs.processing import Processing, Sampling

CELLS = 16
"""Cells of [0, 1) in which the rank masses of emitted tokens are counted."""

REJECTED, ACCEPTED, UNDRAFTED = 0, 1, 2
"""How a token came: as a replacement, as it was drafted, or straight from the target."""


@dataclass(frozen=True)
class Bias:
    """Over-acceptance: a drafted token is accepted with probability min(1, (target + epsilon) / draft), and a
    rejected one is replaced by a draw from `replacement`: optimal, target, draft or residual.

    Source: Yin et al. 2024, section 4.
    """

    epsilon: float
    replacement: str

    def weights(self, draft: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Of the replacement, (V,), not divided by their sum; rows of draft and target (V,)."""
        match self.replacement:
            case "optimal":
                found = np.maximum(target - np.minimum(draft, target + self.epsilon), 0.0)
            case "residual":
                found = np.maximum(target - draft, 0.0)
            case "draft":
                found = draft
            case _:
                found = target
        return found if found.any() else target


@dataclass
class Decoded:
    """One text under way, and what is counted of it.

    tokens: emitted ones. ranks: `rank_mass` of each under the target, uniform if the decoder is unbiased.
    outcomes: how each came: REJECTED, ACCEPTED or UNDRAFTED. acceptances: min(1, draft / target) of each, its
    probability of acceptance given the text; nan where the draft's row is not known. fresh_acceptances: the
    same at the start of a call of batch decoding, else empty. log_likelihood: of the text under the target.
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
    outcomes: list[int] = field(default_factory=list)
    acceptances: list[float] = field(default_factory=list)
    fresh_acceptances: list[float] = field(default_factory=list)
    log_likelihood: float = 0.0
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

    def emit(
        self, token: int, target: np.ndarray, draft: np.ndarray | None = None, outcome: int = UNDRAFTED
    ) -> None:
        """The next token of the text, which the target's row (V,) is held against.

        draft: the draft's row, None where it is not known yet: see `learn`.
        """
        self.tokens.append(token)
        self.report.add(1)
        if self.done:
            self.report.skip(self.left)
        self.ranks.append(rank_mass(target, token, self.generator.random()))
        self.outcomes.append(outcome)
        self._probability = float(target[token])
        self.log_likelihood += math.log(self._probability) if self._probability > 0 else -math.inf
        self.acceptances.append(math.nan)
        if draft is not None:
            self.learn(draft)

    def learn(self, draft: np.ndarray) -> None:
        """The draft's row (V,) before the last token, which had no part in how that came."""
        share = float(draft[self.tokens[-1]])
        self.acceptances[-1] = share / self._probability if share < self._probability else 1.0

    def emit_target(self, target: np.ndarray, draft: np.ndarray | None = None, outcome: int = UNDRAFTED):
        """A token straight from the target."""
        self.emit(draw(target, self.generator.random()), target, draft, outcome)

    def verify(self, token: int, draft: np.ndarray, target: np.ndarray) -> bool:
        """Accept the drafted token, or count a rejection and emit its replacement."""
        return self._verified(Bias(0.0, "residual"), token, draft, target)

    def verify_biased(self, bias: Bias, draft: np.ndarray, target: np.ndarray) -> bool:
        """Draft a token and verify it with a bias."""
        return self._verified(bias, draw(draft, self.generator.random()), draft, target)

    def _verified(self, bias: Bias, token: int, draft: np.ndarray, target: np.ndarray) -> bool:
        if self.generator.random() * draft[token] < target[token] + bias.epsilon:
            self.emit(token, target, draft, ACCEPTED)
            return True
        self.rejections += 1
        self.emit(draw(bias.weights(draft, target), self.generator.random()), target, draft, REJECTED)
        return False

    def verify_first(self, drafts: int, draft: np.ndarray, target: np.ndarray) -> bool:
        """The same of several drafted tokens, tried in turn (Algorithm 4 as its proof has it)."""
        residual = target
        for _ in range(drafts):
            token = draw(draft, self.generator.random())
            if self.generator.random() * draft[token] < residual[token]:
                self.emit(token, target, draft, ACCEPTED)
                return True
            left = np.maximum(residual - draft, 0.0)
            if not left.any():  # draft and residual are one distribution: a failure is rounding
                left = residual
            residual = left / left.sum()
        self.rejections += 1
        self.emit(draw(residual, self.generator.random()), target, draft, REJECTED)
        return False


def decode_to_horizon(
    open_draft: Callable | None,
    open_target: Callable,
    prompts: list[list[int]],
    texts: list[Decoded],
    processing: Processing,
    drafts: int = 1,
    bias: Bias | None = None,
) -> None:
    """Speculative decoding whose drafts reach the horizon; `drafts` > 1 of them at the start of every call.

    bias: of every verification, with one draft.
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
            if bias is not None:
                kept = text.verify_biased(bias, drafted, verified)
            elif fresh[row] and drafts > 1:
                kept = text.verify_first(drafts, drafted, verified)
            else:
                kept = text.verify(draw(drafted, text.generator.random()), drafted, verified)
            if drafts > 1:
                rejected = batch_rejections(drafted, verified, text.tokens[-1], (drafts,))
                text.fresh_acceptances.append(1.0 - rejected[f"batch_rejection_{drafts}"])
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
        _learn_last(draft, [unread[row] for row in active], [texts[row] for row in active], processing.draft)
        going = np.flatnonzero([not texts[row].done for row in active])
        if going.size < active.size:
            active = active[going]
            if going.size:
                draft.select(going)
                target.select(going)


def _learn_last(draft, unread: list[list[int]], texts: list[Decoded], sampling: Sampling) -> None:
    """The draft's row before a bonus token that ended its text, for which the draft will not read on."""
    ended = [i for i, text in enumerate(texts) if text.done and text.left]
    ended = [i for i in ended if math.isnan(texts[i].acceptances[-1])]
    if not ended:
        return
    tokens, given = np.zeros((len(texts), 1), np.int64), np.zeros((len(texts), 1), bool)
    for i in ended:
        tokens[i], given[i] = unread[i][0], True
    logits = draft.push(tokens, given)[:, 0]
    for i in ended:
        texts[i].learn(_row("draft", logits[i], sampling))


def _drafted(draft, unread: list[list[int]], texts: list[Decoded], sizes: np.ndarray, sampling: Sampling):
    """Drafted tokens (B, G), 0 where a text drafts fewer, and the rows they were drawn from, a list a text.

    The draft first reads what it has not read, where its row before a bonus token is learnt; the drafted
    tokens that it reads after that, all but the last of each text, may be taken back.
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
    read = draft.push(start, given)
    for i, part in enumerate(unread):
        if len(part) > 1:
            texts[i].learn(_row("draft", read[i, -2], sampling))
    logits = read[:, -1]
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
