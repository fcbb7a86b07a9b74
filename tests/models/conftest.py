"""The tiny models that the tests of this folder share."""

from __future__ import annotations

import pytest

from tests.models.tiny import save_prompts, save_tiny


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A folder with target and draft, tiny Llamas, and prompts.txt."""
    for name in ("torch", "transformers", "tokenizers"):
        pytest.importorskip(name, reason=f"{name} is not installed (pip install 'simlab[models]')")
    folder = tmp_path_factory.mktemp("tiny")
    save_tiny(folder / "target", seed=1)
    save_tiny(folder / "draft", seed=1, layers=2)
    save_prompts(folder / "prompts.txt")
    return folder
