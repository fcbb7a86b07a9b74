"""An n-gram draft: counted from a text that the target wrote, smoothed so that every token can come."""

from __future__ import annotations

import numpy as np

from simlab.errors import SimlabError


class Ngram:
    """Interpolated Witten-Bell estimates of order n over V tokens.

    The row after a context of length k is (N counts/N + U lower) / (N + U), with N the tokens that followed
    this context in the text, U the distinct ones among them, and `lower` the row after the context's last
    k - 1 tokens; below the empty context it is uniform. A context that the text does not have hands on the
    lower row. Source: Witten and Bell, The zero-frequency problem, IEEE Trans. Inf. Theory 37 (1991).
    """

    def __init__(self, order: int, vocabulary: int, texts: list[np.ndarray]) -> None:
        """texts: whole numbers (n,) each. Raises SimlabError for texts without a token."""
        if not any(len(text) for text in texts):
            raise SimlabError("an n-gram draft needs a text with at least one token")
        self.order, self.vocabulary = order, vocabulary
        followers: dict[tuple[int, ...], dict[int, int]] = {}
        for text in texts:
            tokens = [int(token) for token in text]
            for i, token in enumerate(tokens):
                for k in range(min(order - 1, i) + 1):
                    counts = followers.setdefault(tuple(tokens[i - k : i]), {})
                    counts[token] = counts.get(token, 0) + 1
        self._followers = {
            context: (np.fromiter(counts, np.int64), np.fromiter(counts.values(), np.float64))
            for context, counts in followers.items()
        }

    def row(self, context: list[int]) -> np.ndarray:
        """The distribution (V,) of the token after a text, of which the last n - 1 tokens are looked at."""
        row = np.full(self.vocabulary, 1 / self.vocabulary)
        for k in range(min(self.order - 1, len(context)) + 1):
            found = self._followers.get(tuple(context[len(context) - k :]))
            if found is None:
                break
            tokens, counts = found
            row *= counts.size / (counts.sum() + counts.size)
            row[tokens] += counts / (counts.sum() + counts.size)
        return row


class NgramReader:
    """Texts that an n-gram draft reads on: as `simlab.models.stepping.Reader`, with log probabilities."""

    def __init__(self, model: Ngram, prompts: list[list[int]]) -> None:
        """prompts: the token numbers of each text; what follows the last is `self.last`."""
        self._model = model
        self._texts = [list(map(int, prompt)) for prompt in prompts]
        self.begin()
        self.last = np.stack([self._logits(text) for text in self._texts])

    def push(
        self, tokens: np.ndarray, valid: np.ndarray | None = None, only_last: bool = False
    ) -> np.ndarray:
        """As `Reader.push`."""
        valid = np.ones(tokens.shape, bool) if valid is None else valid
        logits = np.zeros((*tokens.shape, self._model.vocabulary))
        for i, text in enumerate(self._texts):
            for g in range(tokens.shape[1]):
                if valid[i, g]:
                    text.append(int(tokens[i, g]))
                    logits[i, g] = self._logits(text)
        return logits[:, -1:] if only_last else logits

    def begin(self) -> None:
        """As `Reader.begin`."""
        self._before = [len(text) for text in self._texts]

    def keep(self, counts: np.ndarray) -> None:
        """As `Reader.keep`."""
        for text, before, count in zip(self._texts, self._before, counts, strict=True):
            del text[before + int(count) :]

    def select(self, rows: np.ndarray) -> None:
        """As `Reader.select`."""
        self._texts = [self._texts[row] for row in rows]
        self._before = [self._before[row] for row in rows]

    def _logits(self, text: list[int]) -> np.ndarray:
        return np.log(self._model.row(text))
