"""Drafts: a second model over the target's vocabulary, or one made from the target.

Settings say which; `make_draft` makes it. Text written by the target under other seeds, from which an n-gram
draft is counted, is handed in.
"""

from __future__ import annotations

import copy
import re
from dataclasses import asdict, dataclass

from simlab.checks import check_count, shortened
from simlab.errors import SimlabError
from simlab.models import libraries
from simlab.models.loading import LanguageModel, digest_of, explained, load

RANGES = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")


@dataclass(frozen=True)
class DraftSettings:
    """Which draft. With none of the settings it is the target itself, as its own temperature may make it.

    model: a name that `load` takes; then the others must be None.
    layers: the target's layers that are kept, "0-9,12-29", counted from 0: self-speculation.
    bits: 1 to 16; each row of every linear map of the layers is rounded to 2^bits - 1 evenly spaced values
        from -m to m, m the largest absolute value of the row (1: its sign times its mean absolute value).
    ngram: n >= 1; counts of n tokens in a row, see `simlab.models.ngram`; alone.
    Raises SimlabError for values out of range and settings that exclude each other.
    """

    model: str | None = None
    layers: str | None = None
    bits: int | None = None
    ngram: int | None = None

    def __post_init__(self) -> None:
        if self.bits is not None:
            check_count("draft.bits", self.bits, most=16)
        if self.ngram is not None:
            check_count("draft.ngram", self.ngram, most=16)
        if self.layers is not None:
            object.__setattr__(self, "layers", str(self.layers))
            if not RANGES.fullmatch(self.layers):
                raise SimlabError(
                    f"draft.layers = {shortened(self.layers)} is not a list of layers; expected "
                    "e.g. 0-9,12-29"
                )
        given = [name for name, value in asdict(self).items() if value is not None]
        alone = next((name for name in ("model", "ngram") if name in given), None)
        if alone and len(given) > 1:
            other = next(name for name in given if name != alone)
            raise SimlabError(f"draft.{alone} and draft.{other} exclude each other; give one of them")

    @property
    def label(self) -> str:
        """In words that the command takes: "layers=0-9,12-29 bits=3", or "target"."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return " ".join(f"{name}={value}" for name, value in given.items()) or "target"


def kept_layers(layers: str, count: int) -> list[int]:
    """The numbers that "0-9,12-29" names, rising; SimlabError for one that is not below `count`, or twice."""
    numbers = []
    for part in layers.split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    if not numbers or numbers != sorted(set(numbers)) or numbers[-1] >= count:
        raise SimlabError(
            f"draft.layers = {layers} is not a list of the target's layers; expected rising numbers "
            f"from 0 to {count - 1}, e.g. 0-{count - 1}"
        )
    return numbers


def make_draft(settings: DraftSettings, target: LanguageModel) -> LanguageModel:
    """The draft as a model; the target itself where nothing is changed. Not for an n-gram draft.

    Raises SimlabError for layers that the target does not have and a model over another vocabulary.
    """
    if settings.model is not None:
        draft = load(settings.model)
        check_vocabularies(draft, target)
        return draft
    if settings.layers is None and settings.bits is None:
        return target
    model = target.model
    if settings.bits is not None:
        model = _rounded(model, settings.bits)
    if settings.layers is not None:
        model = _with_layers(model, settings.layers)
    return LanguageModel(model, target.tokenizer, f"{target.name} {settings.label}", digest_of(model))


def check_vocabularies(draft: LanguageModel, target: LanguageModel) -> None:
    """Raises SimlabError unless both models have the same tokens under the same numbers."""
    ours, theirs = (
        model.tokenizer.get_vocab() if model.tokenizer is not None else {} for model in (draft, target)
    )
    if draft.vocabulary != target.vocabulary:
        raise SimlabError(
            f"draft {draft.name} has a vocabulary of {draft.vocabulary} tokens and target {target.name} "
            f"one of {target.vocabulary}: expected two models over the same vocabulary"
        )
    if ours and theirs and ours != theirs:
        token = next(token for token in {**theirs, **ours} if ours.get(token) != theirs.get(token))
        raise SimlabError(
            f"draft {draft.name} and target {target.name} have different vocabularies: {token!r} is token "
            f"{ours.get(token)} of one and {theirs.get(token)} of the other"
        )


def sharing_copy(model):
    """A copy of a model whose weights are those of the original, not copies."""
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, shared)


def layers_of(model):
    """(parent module, attribute, list) of a model's decoder layers; SimlabError where none are found."""
    torch = libraries.torch()
    count = model.config.get_text_config().num_hidden_layers
    for parent in model.modules():
        for name, child in parent.named_children():
            if isinstance(child, torch.nn.ModuleList) and len(child) == count:
                return parent, name, child
    raise SimlabError(f"no list of {count} layers in {type(model).__name__}: its layers cannot be skipped")


def _with_layers(model, layers: str):
    torch = libraries.torch()
    with explained("draft.layers"):
        model = sharing_copy(model)
        parent, name, every = layers_of(model)
        kept = kept_layers(layers, len(every))
        setattr(parent, name, torch.nn.ModuleList(every[number] for number in kept))
        for index, layer in enumerate(getattr(parent, name)):
            for module in layer.modules():
                if hasattr(module, "layer_idx"):  # its place in the cache
                    module.layer_idx = index
        config = model.config.get_text_config()
        types = getattr(config, "layer_types", None)
        config.num_hidden_layers = len(kept)
        if types is not None:
            config.layer_types = [types[number] for number in kept]
    return model


def _rounded(model, bits: int):
    torch = libraries.torch()
    with explained("draft.bits"), torch.no_grad():
        model = sharing_copy(model)
        _, _, every = layers_of(model)
        for layer in every:
            for module in layer.modules():
                weight = getattr(module, "weight", None)
                if isinstance(weight, torch.nn.Parameter) and weight.ndim == 2:
                    module.weight = torch.nn.Parameter(rounded_rows(weight, bits), requires_grad=False)
    return model


def rounded_rows(weight, bits: int):
    """A matrix (a tensor) with each row rounded to 2^bits - 1 values about 0; see DraftSettings."""
    torch = libraries.torch()
    if bits == 1:
        return torch.sign(weight) * weight.abs().mean(dim=1, keepdim=True)
    most = 2 ** (bits - 1) - 1
    step = weight.abs().amax(dim=1, keepdim=True) / most
    return torch.where(step > 0, torch.round(weight / step), 0.0) * step
