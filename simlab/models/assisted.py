"""transformers' own assisted generation, run and counted from outside: a client that shares no code with us.

Counted are the tokens that its loop hands to a streamer after every target call, and the candidates that the
target's forward is called with.
"""

from __future__ import annotations

from simlab.errors import SimlabError
from simlab.models import libraries
from simlab.models.algorithms import ACCEPTED, REJECTED, UNDRAFTED, Decoded
from simlab.models.drafts import sharing_copy
from simlab.models.observation import as_rows
from simlab.pairs.processing import Processing


def decode_assisted(
    draft, target, prompts: list[list[int]], texts: list[Decoded], processing: Processing, window: int
) -> None:
    """Every text by `target.generate(assistant_model=...)`, with a constant window, no confidence.

    draft, target: transformers models. The logits of a draft that samples at a temperature of its own are
    scaled before the library's temperature. Raises SimlabError for a draft whose top-k or top-p is its own,
    which the library has no setting for, and for temperature 0, where it compares tokens instead.
    """
    common, own = processing.target, processing.draft
    if (own.top_k, own.top_p) != (common.top_k, common.top_p):
        raise SimlabError("run = assisted: transformers gives the draft the target's top_k and top_p")
    if common.temperature == 0 or own.temperature == 0:
        raise SimlabError("run = assisted: temperature = 0 is greedy; expected a temperature above 0")
    draft = sharing_copy(draft)
    draft.generation_config.num_assistant_tokens = window
    draft.generation_config.num_assistant_tokens_schedule = "constant"
    draft.generation_config.assistant_confidence_threshold = 0.0
    scale = common.temperature / own.temperature
    scaled = draft.register_forward_hook(lambda _, __, outputs: _scaled(outputs, scale))
    watch = _Watch()
    watched = target.register_forward_pre_hook(watch.before_call, with_kwargs=True)
    try:
        for prompt, text in zip(prompts, texts, strict=True):
            watch.start(len(prompt))
            _generate(draft, target, prompt, text, processing, watch)
            _count(text, watch, draft, target, prompt, processing)
    finally:
        watched.remove()
        scaled.remove()


class _Watch:
    """What one generation does: candidates and emitted tokens of each call."""

    def start(self, prompt: int) -> None:
        self.candidates: list[list[int]] = []
        self.emitted: list[list[int]] = []
        self._read = prompt
        self._prompted = False

    def before_call(self, _, arguments, options):
        tokens = options["input_ids"] if "input_ids" in options else arguments[0]
        known = 1 if self.candidates else self._read
        self.candidates.append(tokens[0, known:].tolist())

    def put(self, tokens) -> None:
        if self._prompted:
            self.emitted.append(tokens.flatten().tolist())
        self._prompted = True  # a streamer is first handed the prompt

    def end(self) -> None:
        return None


def _generate(draft, target, prompt: list[int], text: Decoded, processing: Processing, watch: _Watch) -> None:
    torch = libraries.torch()
    ids = torch.tensor([prompt])
    sampling = processing.target
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(int(text.generator.integers(2**62)))
        target.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            assistant_model=draft,
            do_sample=True,
            temperature=sampling.temperature,
            top_k=sampling.top_k or 0,
            top_p=1.0 if sampling.top_p is None else sampling.top_p,
            max_new_tokens=text.limit,
            eos_token_id=sorted(text.ends) or None,
            pad_token_id=min(text.ends, default=0),
            streamer=watch,
        )


def _count(text: Decoded, watch: _Watch, draft, target, prompt: list[int], processing: Processing) -> None:
    """Fill in `text` from what was watched; the rest from the rows of both models along the whole text."""
    torch = libraries.torch()
    tokens = [token for emitted in watch.emitted for token in emitted]
    outcomes = []
    for drafted, emitted in zip(watch.candidates, watch.emitted, strict=True):
        text.calls += 1
        text.drafted[: len(drafted)] += 1
        same = [a == b for a, b in zip(drafted, emitted, strict=False)]
        accepted = same.index(False) if False in same else len(same)  # a replacement is another token
        text.accepted[:accepted] += 1
        rejected = accepted < len(drafted) and accepted < len(emitted)
        text.rejections += rejected
        outcomes += [ACCEPTED] * accepted + [REJECTED if rejected else UNDRAFTED] * (len(emitted) - accepted)
    with torch.inference_mode():
        ids, behind = torch.tensor([prompt + tokens]), slice(len(prompt) - 1, -1)
        verified, drafted = (model(ids).logits[0, behind] for model in (target, draft))
    verified = as_rows("target", verified, processing.target)
    drafted = as_rows("draft", drafted, processing.target)  # scaled, as the library samples it
    for token, *rows, outcome in zip(tokens, verified, drafted, outcomes, strict=True):
        text.emit(token, *rows, outcome)


def _scaled(outputs, scale: float):
    outputs.logits = outputs.logits * scale
    return outputs
