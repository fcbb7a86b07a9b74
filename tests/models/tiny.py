"""Tiny Llamas with random weights, built from a configuration: nothing is fetched."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

WORDS = ("[unk]", "<s>", "</s>", *"abcdefghijklmnopqrst")
"""The vocabulary: token 2 ends a text."""


def save_tiny(folder: Path, *, seed: int, layers: int = 3, words: tuple[str, ...] = WORDS) -> str:
    """Save a random model and its word tokenizer in a folder; returns the folder's name."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.set_num_threads(1)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        eos_token_id=2,
        bos_token_id=1,
        initializer_range=0.6,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="[unk]"))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>").save_pretrained(folder)
    return str(folder)


def save_prompts(path: Path) -> str:
    """A file of prompts of different lengths and kinds."""
    path.write_text("letters\ta b c d\nletters\te\nwords\tf g h i j k\n\nl m\n")
    return str(path)
