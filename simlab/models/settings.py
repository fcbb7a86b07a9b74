"""What is recorded, as one frozen value."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from simlab.checks import check_count, check_flag, check_path
from simlab.errors import SimlabError
from simlab.models.drafts import DraftSettings
from simlab.models.observation import Extras
from simlab.models.prompts import BUNDLED
from simlab.models.run_names import run_name
from simlab.pairs.processing import Processing
from simlab.traces.files import ENDINGS


@dataclass(frozen=True)
class RecordSettings:
    """A trace to record, or with `runs` decoders to run.

    target: a name that `load` takes. draft: which draft. prompts: a file (`read_prompts`). out: the file to
        write: a trace as Parquet, CSV or JSON lines; runs as Parquet.
    sequences, tokens: how many texts, each of at most so many tokens; its end token ends a text.
    seed: of the texts: a prompt drawn from the file, then its tokens. Sequences are independent and
        identically distributed.
    processing: how both models sample. batch: texts that are decoded together.
    extras: columns beside those of every trace. compact: round to what the bundled traces keep
        (`simlab.models.compacting`).
    runs: decoders: horizon, windowK (K drafted tokens and the bonus token), batchM (M drafts), assistedK
        (transformers' own assisted generation with K drafted tokens), biasedE-R (over-acceptance by E,
        rejected tokens replaced by R: optimal, target, draft or residual).
    trees: nodes of the draft trees that are found after so many prefixes (`simlab.models.record_trees`).
    threads: of torch.

    Raises SimlabError for values out of range.
    """

    target: str
    out: str
    draft: DraftSettings = field(default_factory=DraftSettings)
    prompts: str = str(BUNDLED)
    sequences: int = 200
    tokens: int = 64
    seed: int = 0
    processing: Processing = field(default_factory=Processing)
    batch: int = 32
    extras: Extras = field(default_factory=Extras)
    compact: bool = False
    runs: tuple[str, ...] = ()
    trees: int | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("target", "out", "prompts"):
            object.__setattr__(self, name, str(check_path(name, getattr(self, name))))
            if not getattr(self, name):
                raise SimlabError(f"{name} is empty: give it a name")
        for name in ("sequences", "tokens", "batch", "threads"):
            check_count(name, getattr(self, name))
        check_count("seed", self.seed, least=0)
        check_flag("compact", self.compact)
        if self.trees is not None:
            check_count("trees", self.trees)
            if self.runs:
                raise SimlabError("run and trees exclude each other; give one of them")
        for run in self.runs:
            run_name(run)
        if len(set(self.runs)) < len(self.runs):
            raise SimlabError("run: one decoder is given twice")

    @property
    def path(self) -> Path:
        """The file to write."""
        return Path(self.out).expanduser()

    @property
    def command(self) -> str:
        """The command that records this, models and prompts by the names of their files.

        What is written is called FILE: the same record has the same bytes wherever it lies.
        """
        words = {
            "target": Path(self.target).name,
            "draft": Path(self.draft.model).name if self.draft.model else None,
        }
        words |= {f"draft.{name}": getattr(self.draft, name) for name in ("layers", "bits", "ngram")}
        for name, value in asdict(self.processing).items():
            words[name.replace("draft_", "draft.")] = None if (name, value) == ("temperature", 1.0) else value
        words["prompts"] = None if self.prompts == str(BUNDLED) else Path(self.prompts).name
        words |= {name: getattr(self, name) for name in ("sequences", "tokens", "seed", "batch")}
        default = Extras()
        for name in ("drafts", "epsilons"):
            chosen = getattr(self.extras, name)
            words[name] = None if chosen == getattr(default, name) else f"[{','.join(map(str, chosen))}]"
        words["compact"] = "true" if self.compact else None
        words["run"] = ",".join(self.runs) or None
        words["trees"] = self.trees
        words["out"] = "FILE" + next((end for end in ENDINGS if self.out.endswith(end)), "")
        return " ".join(["simlab record", *(f"{key}={v}" for key, v in words.items() if v is not None)])
