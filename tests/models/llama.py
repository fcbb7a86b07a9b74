"""A Llama in plain NumPy and float64, from its saved weights: the oracle of recorded probabilities."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


class PlainLlama:
    """The model in a folder, for one text at a time, without cache, batches or padding."""

    def __init__(self, folder: str, layers: list[int] | None = None) -> None:
        from safetensors.numpy import load_file

        self.config = json.loads((Path(folder) / "config.json").read_text())
        self.weights = {
            name: value.astype(float) for name, value in load_file(Path(folder) / "model.safetensors").items()
        }
        self.layers = range(self.config["num_hidden_layers"]) if layers is None else layers

    def rows(self, tokens: list[int]) -> np.ndarray:
        """The distribution (n, V) after each token of a text."""
        weights, eps = self.weights, self.config["rms_norm_eps"]
        x = weights["model.embed_tokens.weight"][tokens]
        for number in self.layers:
            name = f"model.layers.{number}."
            x = x + self._attention(name, _normed(x, weights[f"{name}input_layernorm.weight"], eps))
            y = _normed(x, weights[f"{name}post_attention_layernorm.weight"], eps)
            gate, up, down = (weights[f"{name}mlp.{part}_proj.weight"] for part in ("gate", "up", "down"))
            g = y @ gate.T
            x = x + (g / (1 + np.exp(-g)) * (y @ up.T)) @ down.T
        x = _normed(x, weights["model.norm.weight"], eps)
        logits = x @ weights.get("lm_head.weight", weights["model.embed_tokens.weight"]).T
        scaled = np.exp(logits - logits.max(axis=1, keepdims=True))
        return scaled / scaled.sum(axis=1, keepdims=True)

    def _attention(self, name: str, x: np.ndarray) -> np.ndarray:
        heads, groups = self.config["num_attention_heads"], self.config["num_key_value_heads"]
        size = self.config["hidden_size"] // heads
        q, k, v = (x @ self.weights[f"{name}self_attn.{part}_proj.weight"].T for part in "qkv")
        out = []
        for head in range(heads):
            group = head * groups // heads
            mine, theirs = (slice(n * size, (n + 1) * size) for n in (head, group))
            scores = _turned(q[:, mine]) @ _turned(k[:, theirs]).T / np.sqrt(size)
            scores[np.triu_indices(len(x), 1)] = -np.inf
            scores = np.exp(scores - scores.max(axis=1, keepdims=True))
            out.append(scores / scores.sum(axis=1, keepdims=True) @ v[:, theirs])
        return np.concatenate(out, axis=1) @ self.weights[f"{name}self_attn.o_proj.weight"].T


def _normed(x: np.ndarray, weight: np.ndarray, eps: float) -> np.ndarray:
    return x / np.sqrt((x**2).mean(axis=1, keepdims=True) + eps) * weight


def _turned(x: np.ndarray, base: float = 10000.0) -> np.ndarray:
    """Rotary positions, the halves of a head being the two coordinates."""
    half = x.shape[1] // 2
    angles = np.arange(len(x))[:, None] * base ** (-np.arange(half) / half)
    a, b = x[:, :half], x[:, half:]
    return np.concatenate(
        [a * np.cos(angles) - b * np.sin(angles), b * np.cos(angles) + a * np.sin(angles)], axis=1
    )
