"""Draft trees on real models: the target's likeliest prefixes, and the draft's, found by asking the models.

Best-first search: of all prefixes that continue a chosen one the most probable comes next, and the model
reads each node once, when it is chosen. All texts of a batch are searched together, a node of each at a time.
What is kept of a node is its reach, the target's probability of the path to it: E[X] of a tree is the sum of
its nodes' reaches (Pankratov and Alistarh 2026), and the tree of P nodes is the first P of a larger one.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from pathlib import Path

import numpy as np

from simlab.errors import SimlabError
from simlab.models import libraries
from simlab.models.compacting import OTHER_BITS, significant
from simlab.models.draws import RECORDED, generator
from simlab.models.observation import as_rows
from simlab.models.progress import Progress
from simlab.models.recording import Session, pieces_of, run_session, write_texts
from simlab.models.rows import path_columns
from simlab.models.settings import RecordSettings
from simlab.models.stepping import Reader
from simlab.models.tree_files import write_trees

CHOOSERS = ("target", "draft")


class TreeReader(Reader):
    """Texts from which a model reads trees: a node of each text at a time, which sees its ancestors alone."""

    def __init__(self, model, prompts: list[list[int]]) -> None:
        super().__init__(model, prompts)
        self._root_mask, self._root_lengths = self._mask, self._lengths

    def visit(self, tokens: np.ndarray, ancestors: np.ndarray) -> np.ndarray:
        """Logits (B, V) after one more node of each text.

        tokens: (B,). ancestors: bool (B, n), which of the n nodes visited before are on the path to it.
        """
        torch = libraries.torch()
        seen = torch.from_numpy(ancestors.astype(np.int64))
        self._mask = torch.cat([self._root_mask, seen], dim=1)
        self._lengths = self._root_lengths + ancestors.sum(axis=1)
        return self.push(tokens[:, None])[:, 0]


class Search:
    """The search for the `capacity` most probable prefixes after one text, by one model's rows.

    parents, tokens: of the nodes in order of choice, -1 for the root as parent. reach: the target's
    probability of the path to each. Of equally probable prefixes the one comes first whose parent was chosen
    first, then the one with the lower token.
    """

    def __init__(self, capacity: int, ends: frozenset[int]) -> None:
        """ends: tokens after which nothing follows."""
        self.capacity, self._ends = capacity, ends
        self.parents: list[int] = []
        self.tokens: list[int] = []
        self.reach: list[float] = []
        self._probability: list[float] = []
        self._children: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        self._queue: list[tuple[float, int, int]] = []

    def grow(self, node: int, chooser: np.ndarray, target: np.ndarray) -> None:
        """The rows (V,) of what may follow a node, or the root (-1): of the model that chooses, and the
        target's."""
        few = min(self.capacity, np.count_nonzero(chooser))
        tokens = np.flatnonzero(chooser >= np.partition(chooser, -few)[-few])
        tokens = tokens[np.lexsort((tokens, -chooser[tokens]))][:few]
        self._children[node] = (tokens, chooser[tokens], target[tokens])
        self._offer(node, 0)

    def take(self) -> int | None:
        """Choose the next node, and return its number; None where there is none, or nothing follows it."""
        if not self._queue:
            return None
        negative, parent, rank = heapq.heappop(self._queue)
        tokens, _, target = self._children[parent]
        self.parents.append(parent)
        self.tokens.append(int(tokens[rank]))
        self.reach.append(float(target[rank]) * (self.reach[parent] if parent >= 0 else 1.0))
        self._probability.append(-negative)
        self._offer(parent, rank + 1)
        return None if self.tokens[-1] in self._ends else len(self.tokens) - 1

    @property
    def is_done(self) -> bool:
        """Whether there is no prefix left to choose."""
        return not self._queue

    def ancestors(self, node: int) -> list[int]:
        """The nodes on the path to a node, without itself."""
        found = []
        while (node := self.parents[node]) >= 0:
            found.append(node)
        return found

    def _offer(self, parent: int, rank: int) -> None:
        tokens, chances, _ = self._children[parent]
        if rank < len(tokens):
            chance = float(chances[rank]) * (self._probability[parent] if parent >= 0 else 1.0)
            heapq.heappush(self._queue, (-chance, parent, rank))


def record_trees(settings: RecordSettings, progress: Callable[[int], Progress] = Progress) -> Path:
    """Find both models' trees of `settings.trees` nodes after so many prefixes, and write their reaches.

    A prefix is a prompt and at most `settings.tokens` tokens that the target wrote after it, without its end
    token. Returns the path. Raises SimlabError as `simlab.models.record` does, and for an n-gram draft.
    """
    if settings.trees is None:
        raise SimlabError("trees is not given: expected how many nodes, e.g. trees=64")
    if settings.draft.ngram is not None:
        raise SimlabError("trees: expected a model as the draft, not counts (draft.ngram)")

    def work(session: Session, report: Progress) -> Path:
        pieces = pieces_of(
            session, "tree", settings.sequences, report, lambda numbers: _trees(session, numbers, report)
        )
        columns = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
        if settings.compact:
            columns |= {
                name: significant(values, OTHER_BITS)
                for name, values in columns.items()
                if values.dtype.kind == "f"
            }
        write_trees(settings.path, columns, session.provenance)
        return settings.path

    return run_session(settings, settings.sequences * (settings.tokens + 2 * settings.trees), work, progress)


def _trees(session: Session, numbers: range, report: Progress) -> dict[str, np.ndarray]:
    """The columns of these prefixes."""
    settings, ends = session.settings, session.target.end_tokens
    generators = [generator(settings.seed, RECORDED, number) for number in numbers]
    chosen = [int(rng.integers(len(session.prompts))) for rng in generators]
    prompts = [session.tokens[prompt] for prompt in chosen]
    written = write_texts(
        session.open_target,
        None,
        prompts,
        generators,
        settings.tokens,
        ends,
        settings.processing,
        lambda token, draft, target: token,
        report,
    )
    written = [[token for token in text if token not in ends] for text in written]
    prefixes = [prompt + text for prompt, text in zip(prompts, written, strict=True)]
    columns = {
        "sequence": np.array(numbers),
        "kind": np.array([session.prompts[prompt].kind for prompt in chosen]),
        "written": np.array([len(text) for text in written]),
    }
    for chooser in CHOOSERS:
        searches, roots = _searched(session, prefixes, chooser, report)
        reach = np.zeros((len(prefixes), settings.trees))
        for row, search in enumerate(searches):
            reach[row, : len(search.reach)] = search.reach
        columns[f"{chooser}_reach"] = reach
    told = [path_columns(target, target, int(target.argmax())) for target in roots]
    columns |= {
        name: np.array([row[name] for row in told]) for name in ("target_entropy", "target_log2_moment")
    }
    return columns


def _searched(
    session: Session, prefixes: list[list[int]], chooser: str, report: Progress
) -> tuple[list[Search], np.ndarray]:
    """The finished searches by one model's probabilities, and the target's rows after the prefixes."""
    capacity, ends = session.settings.trees, session.target.end_tokens
    processing, by_draft = session.settings.processing, chooser == "draft"
    target = TreeReader(session.target.model, prefixes)
    draft = TreeReader(session.draft.model, prefixes) if by_draft and session.own_draft else None
    searches = [Search(capacity, ends) for _ in prefixes]

    def grow(nodes: list[int | None], logits: np.ndarray, drafted: np.ndarray | None) -> np.ndarray:
        rows = as_rows("target", logits, processing.target)
        by = as_rows("draft", logits if drafted is None else drafted, processing.draft) if by_draft else rows
        for search, node, mine, yours in zip(searches, nodes, by, rows, strict=True):
            if node is not None:
                search.grow(node, mine, yours)
        return rows

    roots = grow([-1] * len(prefixes), target.last, None if draft is None else draft.last)
    for visited in range(capacity):
        nodes = [search.take() for search in searches]
        report.add(len(prefixes))
        if visited + 1 == capacity or all(search.is_done for search in searches):
            report.skip((capacity - visited - 1) * len(prefixes))
            break
        tokens = np.array(
            [0 if node is None else search.tokens[node] for search, node in zip(searches, nodes, strict=True)]
        )
        seen = np.zeros((len(prefixes), visited), bool)
        for row, (search, node) in enumerate(zip(searches, nodes, strict=True)):
            if node is not None:
                seen[row, search.ancestors(node)] = True
        drafted = None if draft is None else draft.visit(tokens, seen)
        grow(nodes, target.visit(tokens, seen), drafted)
    return searches, roots
