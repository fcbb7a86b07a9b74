"""A causal language model and its tokenizer, from a folder, a `.gguf` file or the Hugging Face hub."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simlab.errors import SimlabError
from simlab.models import libraries


@dataclass(frozen=True)
class LanguageModel:
    """model: a transformers model in float32, in evaluation mode. tokenizer: None where there is none.

    name: what it was loaded from, for people. digest: SHA-256 of its weights.
    """

    model: Any
    tokenizer: Any
    name: str
    digest: str

    @property
    def vocabulary(self) -> int:
        """The number V of tokens that its logits are over."""
        return int(self.model.get_output_embeddings().weight.shape[0])

    @property
    def end_tokens(self) -> frozenset[int]:
        """The tokens at which a text ends."""
        ends = self.model.generation_config.eos_token_id if self.model.generation_config else None
        ends = self.model.config.eos_token_id if ends is None else ends
        return frozenset([ends] if isinstance(ends, int) else ends or [])


def load(name: str) -> LanguageModel:
    """The model called `name`: a folder that transformers saved, a `.gguf` file, or a name of the hub.

    Weights become float32 on the CPU; code that comes with a model is not run. Raises SimlabError for a name
    that is neither a file nor a folder and that the hub does not give, for torn files, for models that are
    not causal, and where there is too little memory.
    """
    transformers = libraries.transformers()
    path = Path(name).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise SimlabError(f"{name}: no such file; give a .gguf file, a folder or a name of the hub")
        _check_gguf(path)
        source, options = str(path.parent), {"gguf_file": path.name}
    elif path.is_dir():
        source, options = str(path), {}
    elif path.exists():
        raise SimlabError(f"{name} is not a model; expected a folder, a .gguf file or a name of the hub")
    else:
        source, options = name, {}
    with explained(name):
        model = transformers.AutoModelForCausalLM.from_pretrained(
            source, dtype=libraries.torch().float32, **options
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, **options)
    label = path.name if path.exists() else name
    return LanguageModel(model.eval(), tokenizer, label, digest_of(model))


def digest_of(model) -> str:
    """SHA-256 of the names, shapes and values of a model's weights."""
    digest = hashlib.sha256()
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(f"{key} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()


class explained:
    """A context in which what libraries raise about the model `name` becomes one line."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind, error, _) -> None:
        if error is None or not isinstance(error, Exception) or isinstance(error, SimlabError):
            return
        raise SimlabError(f"{self.name}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, ImportError):
        return f"{text}: {libraries.INSTALL}"
    if out_of_memory(error):
        return "out of memory while the model is loaded; give a smaller model"
    if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
        return (
            "no such folder or .gguf file, and the hub does not give a model of this name (is there a "
            f"network, and is the name right?): {text[:160]}"
        )
    return f"cannot be loaded as a causal language model (is the file whole?): {text[:200]}"


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, in Python's words or in torch's."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text


def _check_gguf(path: Path) -> None:
    """Raises SimlabError for a file that does not start as .gguf files do, or ends before its tensors."""
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise SimlabError(f"{path} is not a .gguf file: it does not start with GGUF")
    try:
        from gguf import GGUFReader

        tensors = GGUFReader(str(path)).tensors
    except ImportError as error:
        raise SimlabError(f"gguf is not installed, it reads .gguf files: {libraries.INSTALL}") from error
    except Exception as error:
        raise SimlabError(f"{path} is torn: it ends before what its header says; fetch it again") from error
    if not tensors:
        raise SimlabError(f"{path} holds no weights; fetch it again")
