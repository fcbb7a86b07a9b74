"""Recording: texts written by the target, with what both models said at every token, piece by piece."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from simlab.errors import SimlabError
from simlab.models import libraries
from simlab.models.compacting import compacted
from simlab.models.drafts import make_draft
from simlab.models.draws import COUNTED, RECORDED, draw, generator
from simlab.models.loading import LanguageModel, load, out_of_memory
from simlab.models.ngram import Ngram, NgramReader
from simlab.models.observation import Extras, as_rows, observation
from simlab.models.parts import Parts
from simlab.models.progress import Progress
from simlab.models.prompts import Prompt, read_prompts
from simlab.models.settings import RecordSettings
from simlab.models.stepping import Reader, Readers
from simlab.traces.files import ENDINGS
from simlab.traces.trace import Trace


@dataclass(frozen=True)
class Session:
    """What a recording works with. open_draft is None where the draft is the target itself.

    tokens: of each prompt, two at least. model: the draft as a transformers model; None for counts.
    """

    settings: RecordSettings
    prompts: tuple[Prompt, ...]
    tokens: tuple[list[int], ...]
    target: LanguageModel
    draft: LanguageModel | Ngram
    parts: Parts
    provenance: dict[str, Any]

    @cached_property
    def _target_readers(self) -> Readers:
        return Readers(self.target.model, self.tokens)

    @cached_property
    def _draft_readers(self) -> Readers:
        return self._target_readers if self.draft is self.target else Readers(self.draft.model, self.tokens)

    def open_target(self, prompts: list[list[int]]) -> Reader:
        """A reader of the target."""
        return self._target_readers.open(prompts)

    def open_draft(self, prompts: list[list[int]]) -> Reader | NgramReader:
        """A reader of the draft."""
        if isinstance(self.draft, Ngram):
            return NgramReader(self.draft, prompts)
        return self._draft_readers.open(prompts)

    @property
    def own_draft(self) -> Callable | None:
        """`open_draft`; None where draft and target are one model."""
        return None if self.draft is self.target else self.open_draft


def record(settings: RecordSettings, progress: Callable[[int], Progress] = Progress) -> Path:
    """Record a trace into `settings.out`; returns the path. What was finished before is not done again.

    Raises SimlabError for what `RecordSettings`, `load` and `read_prompts` refuse, for a file that is there
    already, and where memory runs out.
    """

    def texts(session: Session, report: Progress) -> Path:
        pieces = pieces_of(
            session, "text", settings.sequences, report, lambda numbers: _recorded(session, numbers, report)
        )
        columns = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
        if settings.compact:
            columns = compacted(columns)
        trace = Trace(**columns, provenance=session.provenance)
        trace.write(settings.path)
        return settings.path

    return run_session(settings, settings.sequences * settings.tokens, texts, progress)


def run_session(settings: RecordSettings, total: int, work: Callable, progress: Callable) -> Path:
    """Load, go through `work(session, report)` and clear the pieces away; returns what it returned.

    total: how many tokens at most, for the progress.
    """
    endings = (".parquet",) if settings.runs or settings.trees else ENDINGS
    if not settings.path.name.endswith(endings):
        raise SimlabError(
            f"out = {settings.out}: its ending is none of {', '.join(endings)}; give one of them"
        )
    if settings.path.exists():
        raise SimlabError(f"{settings.path} is there already; give another out=, or remove it")
    if not settings.path.resolve().parent.is_dir():
        raise SimlabError(f"{settings.path}: no folder {settings.path.resolve().parent}; make it first")
    prompts = read_prompts(settings.prompts)
    libraries.torch().set_num_threads(settings.threads)
    counted = settings.draft.ngram is not None
    with memory_explained(settings):
        target = load(settings.target)
        draft = None if counted else make_draft(settings.draft, target)
        tokens = tuple(_tokens(target, prompt, settings.tokens) for prompt in prompts)
        provenance = _provenance(settings, target, draft)
        parts = Parts(settings.path, _identity(settings, provenance))
        report = progress(total + settings.sequences * settings.tokens * counted)
        session = Session(settings, prompts, tokens, target, draft, parts, provenance)
        if counted:
            session = Session(settings, prompts, tokens, target, _counted(session, report), parts, provenance)
        done = work(session, report)
    report.end()
    parts.remove()
    return done


@contextmanager
def memory_explained(settings: RecordSettings):
    """A context in which running out of memory is one line that says what to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise SimlabError(
            f"out of memory with batch = {settings.batch}: lower it, e.g. batch={settings.batch // 4 or 1}; "
            "what was recorded is kept, and the same command goes on from there"
        ) from error


def pieces_of(session: Session, kind: str, sequences: int, report: Progress, make: Callable) -> list[dict]:
    """Every piece of a kind, in order; those that are not there are made of their sequences and kept."""
    pieces = []
    for start, stop, there in session.parts.blocks(kind, sequences, session.settings.batch):
        if there:
            report.skip((stop - start) * session.settings.tokens)
        else:
            session.parts.save(kind, start, stop, make(range(start, stop)))
        pieces.append(session.parts.load(kind, start, stop))
    return pieces


def _recorded(session: Session, numbers: range, report: Progress) -> dict[str, np.ndarray]:
    """The columns of the trace of these sequences."""
    settings = session.settings
    generators = [generator(settings.seed, RECORDED, number) for number in numbers]
    chosen = [int(rng.integers(len(session.prompts))) for rng in generators]
    sampling = settings.processing

    def observe(token: int, draft: np.ndarray, target: np.ndarray) -> dict:
        return observation(token, draft, target, settings.extras)

    rows = write_texts(
        session.open_target,
        session.own_draft,
        [session.tokens[prompt] for prompt in chosen],
        generators,
        settings.tokens,
        session.target.end_tokens,
        sampling,
        observe,
        report,
    )
    flat = [
        {"sequence": number, "position": position, **row, "kind": session.prompts[prompt].kind}
        for number, prompt, text in zip(numbers, chosen, rows, strict=True)
        for position, row in enumerate(text)
    ]
    return {name: np.array([row[name] for row in flat]) for name in flat[0]}


def write_texts(
    open_target: Callable,
    open_draft: Callable | None,
    prompts: list[list[int]],
    generators: list[np.random.Generator],
    limit: int,
    ends: frozenset[int],
    processing,
    observe: Callable,
    report: Progress,
) -> list[list]:
    """Texts sampled from the target; what `observe(token, draft row, target row)` says of each, by text.

    open_draft: None for a draft that is the target's model. A text ends with one of `ends`, or at `limit`.
    """
    found: list[list] = [[] for _ in prompts]
    target = open_target(prompts)
    draft = None if open_draft is None else open_draft(prompts)
    target_logits, draft_logits = target.last, None if draft is None else draft.last
    active = np.arange(len(prompts))
    for step in range(limit):
        tokens = np.zeros((active.size, 1), np.int64)
        for i, text in enumerate(active):
            row = as_rows("target", target_logits[i : i + 1], processing.target)[0]
            logits = target_logits if draft is None else draft_logits
            drafted = as_rows("draft", logits[i : i + 1], processing.draft)[0]
            tokens[i, 0] = draw(row, generators[text].random())
            found[text].append(observe(int(tokens[i, 0]), drafted, row))
        report.add(active.size)
        going = np.flatnonzero(~np.isin(tokens[:, 0], list(ends)))
        report.skip((active.size - going.size) * (limit - step - 1))
        if not going.size or step + 1 == limit:
            break
        if going.size < active.size:
            active, tokens = active[going], tokens[going]
            for reader in (target, draft):
                if reader is not None:
                    reader.select(going)
        target_logits = target.push(tokens)[:, 0]
        draft_logits = None if draft is None else draft.push(tokens)[:, 0]
    return found


def _counted(session: Session, report: Progress) -> Ngram:
    """The n-gram draft, counted from as many texts as are recorded, written with other seeds."""
    settings = session.settings

    def written(numbers: range) -> dict[str, np.ndarray]:
        generators = [generator(settings.seed, COUNTED, number) for number in numbers]
        prompts = [session.tokens[int(rng.integers(len(session.prompts)))] for rng in generators]
        texts = write_texts(
            session.open_target,
            None,
            prompts,
            generators,
            settings.tokens,
            session.target.end_tokens,
            settings.processing,
            lambda token, draft, target: token,
            report,
        )
        return {"tokens": np.concatenate(texts), "lengths": np.array([len(text) for text in texts])}

    pieces = pieces_of(session, "counted", settings.sequences, report, written)
    texts = [text for piece in pieces for text in np.split(piece["tokens"], np.cumsum(piece["lengths"])[:-1])]
    return Ngram(settings.draft.ngram, session.target.vocabulary, texts)


def _tokens(target: LanguageModel, prompt: Prompt, tokens: int) -> list[int]:
    """The tokens of a prompt, two at least: the first is repeated if it is the only one."""
    numbers = list(map(int, target.tokenizer(prompt.text)["input_ids"]))
    if not numbers:
        raise SimlabError(f"the prompt {prompt.text[:40]!r} has no tokens in the vocabulary of {target.name}")
    most = getattr(target.model.config.get_text_config(), "max_position_embeddings", None)
    if most is not None and len(numbers) + tokens > most:
        raise SimlabError(
            f"the prompt {prompt.text[:40]!r} has {len(numbers)} tokens, and with tokens = {tokens} more it "
            f"is longer than the {most} that {target.name} reads; lower tokens or shorten the prompt"
        )
    return numbers if len(numbers) > 1 else numbers * 2


def _identity(settings: RecordSettings, provenance: dict) -> dict:
    """What recordings must share for one to go on with the other's pieces: all but how many texts at once."""
    how = ("batch", "threads", "command")
    return {key: value for key, value in provenance.items() if key not in how}


def _provenance(settings: RecordSettings, target: LanguageModel, draft: LanguageModel | None) -> dict:
    """What the file says of where it comes from; the same for the same command on the same machine."""
    extras: Extras = settings.extras
    return {
        "command": settings.command,
        "target": target.name,
        "target_digest": target.digest,
        "draft": target.name if settings.draft.label == "target" else settings.draft.label,
        "draft_digest": draft.digest if draft is not None else None,
        "processing": asdict(settings.processing),
        "prompts": Path(settings.prompts).name,
        "prompts_digest": hashlib.sha256(Path(settings.prompts).expanduser().read_bytes()).hexdigest(),
        "sequences": settings.sequences,
        "tokens": settings.tokens,
        "seed": settings.seed,
        "batch": settings.batch,
        "threads": settings.threads,
        "drafts": list(extras.drafts),
        "epsilons": list(extras.epsilons),
        "compact": settings.compact,
        "versions": {name: version(name) for name in ("simlab", "torch", "transformers", "numpy")},
        "processor": platform.machine(),
    } | ({} if settings.trees is None else {"trees": settings.trees})
