"""Reading texts of different lengths together, a token or a block at a time, and taking tokens back.

The keys and values of tokens that were taken back stay in the cache and are masked, so that every text of a
batch may keep its own number of tokens: the cache has holes, and a token's position counts only what was
kept before it.
"""

from __future__ import annotations

import copy
import inspect

import numpy as np

from simlab.models import libraries


class Reader:
    """A batch of B texts that a causal model reads on.

    `push` reads a block and returns the logits after each of its tokens; `keep` takes back what is not to
    stay of all that was pushed since `begin`; `select` goes on with some of the texts.
    """

    def __init__(self, model, prompts: list[list[int]]) -> None:
        """prompts: the token numbers of each text, at least one each; `self.last` is what follows."""
        torch = libraries.torch()
        self._model = model
        names = inspect.signature(model.forward).parameters
        self._cache_name = "cache" if "cache" in names else "past_key_values"
        self._cache = libraries.transformers().DynamicCache(config=model.config)
        length = max(map(len, prompts))
        tokens = np.zeros((len(prompts), length), np.int64)
        valid = np.zeros((len(prompts), length), bool)
        for row, prompt in enumerate(prompts):
            tokens[row, length - len(prompt) :] = prompt
            valid[row, length - len(prompt) :] = True
        self._mask = torch.zeros((len(prompts), 0), dtype=torch.int64)
        self._lengths = np.zeros(len(prompts), np.int64)
        self.last = self.push(tokens, valid, only_last=True)[:, -1]

    def push(
        self, tokens: np.ndarray, valid: np.ndarray | None = None, only_last: bool = False
    ) -> np.ndarray:
        """Read a block of tokens (B, G); logits (B, G, V), float32, after each, or (B, 1, V) after the last.

        valid: bool (B, G), False where a text has no token; its logits mean nothing.
        """
        torch = libraries.torch()
        valid = np.ones(tokens.shape, bool) if valid is None else valid
        positions = np.maximum(self._lengths[:, None] + valid.cumsum(axis=1) - 1, 0)
        self._lengths = self._lengths + valid.sum(axis=1)
        self._mask = torch.cat([self._mask, torch.from_numpy(valid.astype(np.int64))], dim=1)
        with torch.inference_mode():
            outputs = self._model(
                input_ids=torch.from_numpy(np.ascontiguousarray(tokens, np.int64)),
                attention_mask=self._mask,
                position_ids=torch.from_numpy(positions),
                use_cache=True,
                logits_to_keep=1 if only_last else 0,
                **{self._cache_name: self._cache},
            )
        return outputs.logits.float().numpy()

    def fork(self, rows: list[int]) -> Reader:
        """Another reader, of these texts as they are now; a text may come several times."""
        other = copy.copy(self)
        other._cache = copy.deepcopy(self._cache)
        other.last = self.last[rows]
        other.select(np.array(rows))
        return other

    def begin(self) -> None:
        """What is pushed from here on may be taken back."""
        self._begun = self._mask.shape[1]

    def keep(self, counts: np.ndarray) -> None:
        """Of what was pushed since `begin`, keep the first `counts` tokens (B,) of each text."""
        torch = libraries.torch()
        pushed = self._mask[:, self._begun :].numpy()
        kept = pushed * (pushed.cumsum(axis=1) <= counts[:, None])
        self._lengths = self._lengths - pushed.sum(axis=1) + kept.sum(axis=1)
        self._mask = torch.cat([self._mask[:, : self._begun], torch.from_numpy(kept)], dim=1)

    def select(self, rows: np.ndarray) -> None:
        """Go on with these texts only, whole numbers (B',)."""
        torch = libraries.torch()
        index = torch.from_numpy(np.asarray(rows, np.int64))
        self._cache.batch_select_indices(index)
        self._mask, self._lengths = self._mask[index], self._lengths[rows]


class Readers:
    """Readers of one model, for which each of many known prompts is read once, however many texts have it.

    `open(prompts)`: a reader of these texts, forked where all are known prompts, or known ones less their
    last token (which a target with windows has not read), and else read anew.
    """

    def __init__(self, model, known: tuple[list[int], ...]) -> None:
        self._model = model
        self._known = ([*map(tuple, known)], [tuple(prompt[:-1]) for prompt in known])
        self._read: dict[int, Reader] = {}

    def open(self, prompts: list[list[int]]) -> Reader:
        """A reader of these texts."""
        for which, known in enumerate(self._known):
            if {tuple(prompt) for prompt in prompts} <= set(known):
                if which not in self._read:
                    self._read[which] = Reader(self._model, [list(prompt) for prompt in known])
                return self._read[which].fork([known.index(tuple(prompt)) for prompt in prompts])
        return Reader(self._model, prompts)
