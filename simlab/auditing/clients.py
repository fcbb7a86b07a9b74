"""Verifiers of other libraries, in the form that an audit plays."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np

from simlab.errors import SimlabError


def transformers_verifier() -> Callable:
    """The `_speculative_sampling` of the installed Hugging Face transformers, as a verifier.

    Its arguments are logits: the logarithms of the probabilities, in single precision. It draws from
    PyTorch's global random numbers, which are seeded at the first call. PyTorch is set to one thread:
    on rows this short, handing work to others takes a hundred times as long. Raises SimlabError where
    transformers or PyTorch are not installed, or that version has no such function.
    """
    try:
        import torch
        from transformers.generation import utils
    except ImportError as error:
        raise SimlabError(
            f"transformers cannot be imported ({error}): pip install 'simlab[models]'"
        ) from error
    sampling = getattr(utils, "_speculative_sampling", None)
    if sampling is None:
        raise SimlabError("this version of transformers has no _speculative_sampling; 4.37 and later have it")
    names = inspect.signature(sampling).parameters
    seeded = []
    torch.set_num_threads(1)

    def verifier(draft_tokens, draft_probabilities, target_probabilities, rng):
        if not seeded:
            torch.manual_seed(int(rng.integers(2**62)))
            seeded.append(True)
        window = len(draft_tokens)
        given = {
            "candidate_input_ids": torch.from_numpy(draft_tokens)[None],
            "candidate_logits": _logits(torch, draft_probabilities),
            "candidate_length": window,
            "new_logits": _logits(torch, target_probabilities),
            "last_assistant_token_is_eos": False,
            "is_done_candidate": False,
            "max_matches": window,
        }
        with torch.inference_mode():
            tokens, _ = sampling(**{name: given[name] for name in names if name in given})
        return tokens[0]

    return verifier


def transformers_version() -> str:
    """The installed version."""
    from importlib.metadata import version

    return version("transformers")


def _logits(torch, probabilities: np.ndarray):
    return torch.from_numpy(probabilities.astype(np.float32)).log()[None]
