"""What an experiment leaves, and how it presents: figures and tables on disk, its title, folder and notes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from simlab.evidence import Interval, Verdict
from simlab.experiments.common.judge import judge
from simlab.experiments.common.settings import Override, Settings
from simlab.file_names import compact, name_of
from simlab.pairs.catalogue import GENERATORS
from simlab.report import save_figure
from simlab.report.tables import save_table
from simlab.runs import Job, Result
from simlab.theory import Bracket, Prediction, predict
from simlab.verify import Check

FINER = ("tier", "running_average", "trajectories", "environments")
"""Overrides that only make the numbers finer: a title does not say them, a folder's name does."""

USUAL = ("tier=smoke",)
"""Overrides that say what conf/config.yaml has already."""


@dataclass(frozen=True)
class Exhibit:
    """A figure or a table on disk. name: of its files, without their endings. caption: what it shows and how
    to read it, a sentence or a few of plain text. files: one a format (PNG, SVG, CSV, PDF; CSV, Parquet).
    """

    name: str
    caption: str
    files: list[Path]


@dataclass(frozen=True)
class Outcome:
    """What an experiment leaves: verdicts, theorem checks, figures, tables and remarks for the reader."""

    title: str
    folder: Path
    verdicts: list[Verdict] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    figures: list[Exhibit] = field(default_factory=list)
    tables: list[Exhibit] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def files(self) -> list[Path]:
        """Every file of every figure and table."""
        return [path for exhibit in (*self.figures, *self.tables) for path in exhibit.files]


class Presentation:
    """What the figures, tables and verdicts of one outcome share.

    title: what verdicts are about. pairs: what the folder's name says after the experiment. results: by task
    id. The folder is found once, and each prediction made once.
    """

    def __init__(self, settings: Settings, title: str, results: Mapping[str, Result], *pairs: str):
        self.settings, self.title, self.results = settings, title, results
        self.folder = folder_of(settings, *pairs)
        self._predictions: dict[str, Prediction] = {}

    def result(self, job: Job) -> Result:
        """What the job came to."""
        return self.results[job.task.id]

    def prediction(self, job: Job) -> Prediction:
        """The exact numbers of a job."""
        if job.task.id not in self._predictions:
            self._predictions[job.task.id] = predict(job.pair, job.task.decoder)
        return self._predictions[job.task.id]

    def judge(
        self, name: str, job: Job, bracket: Bracket | None = None, columns: Collection[str] | None = None
    ) -> list[Verdict]:
        """The verdicts on a job, at the settings' levels; columns: those of `JUDGES` that are wanted."""
        levels = self.settings.judging
        return judge(name, job, self.result(job), self.prediction(job), bracket, levels, columns)

    def figure(
        self, name: str, caption: str, figure, table: Iterable[dict], jobs: Iterable[Job] = (), **origin: str
    ) -> Exhibit:
        """Save a figure with the numbers that it draws. jobs: those simulated; origin: other metadata."""
        import pandas as pd

        name, jobs = name_of([name]), list(jobs)
        metadata = {"Command": self.settings.command} | origin
        if jobs:
            metadata = figure_metadata(self.settings.command, jobs, [self.result(one) for one in jobs])
        table = pd.DataFrame(table)
        files = save_figure(figure, self.folder, name, table, metadata, self.settings.figures)
        return Exhibit(name, caption, files)

    def table(self, name: str, caption: str, table: Iterable[dict]) -> Exhibit:
        """Save a table of its own."""
        import pandas as pd

        name = name_of([name])
        return Exhibit(name, caption, save_table(self.folder, name, pd.DataFrame(table)))

    def outcome(
        self,
        *,
        notes: Iterable[str] = (),
        unused: Iterable[str] = ("decoder",),
        title: str = "",
        **parts: list,
    ) -> Outcome:
        """The `Outcome` with its title and folder; parts: its verdicts, checks, figures and tables.

        unused: groups of settings that this experiment does not look at, of which a note is made where they
        were given. title: instead of the usual heading.
        """
        told = [*notes, *without_effect(self.settings, *unused)]
        return Outcome(title or heading(self.settings, self.title), self.folder, notes=told, **parts)


def folder_of(settings: Settings, *pairs: str) -> Path:
    """The experiment's own folder: other settings have other folders, so that none overwrites another.

    Its name says what the command asked for (`name_of`), what a file held that it names included.
    """
    told = [
        override for override in settings.overrides if not _named(override) and override.word not in USUAL
    ]
    content = [digest for override in told for digest in _files(override).values()]
    words = [_spelled(override) for override in told]
    return settings.output / name_of([settings.title, *pairs], words, " ".join(content))


def _named(override: Override) -> bool:
    """Whether title and folder say it anyway: of a pair its generator, not a user's file of its options."""
    return override.key == "experiment" or (
        override.key == "pair" and set(override.values) <= set(GENERATORS)
    )


def heading(settings: Settings, title: str) -> str:
    """The title with the overrides that tell this outcome from others of the same experiment and pair."""
    told = [
        override.word
        for override in settings.overrides
        if not _named(override) and override.key.removeprefix("tier.") not in FINER
    ]
    return ", ".join([title, *told])


def without_effect(settings: Settings, *groups: str) -> list[str]:
    """A note on the settings of these groups, such as decoder, that an experiment with its own was given."""
    words = [override.word for override in settings.overrides if override.group in groups]
    if not words:
        return []
    own = " and ".join(f"{group}s" for group in groups)
    return [f"{settings.experiment} has {own} of its own: {', '.join(words)} made no difference."]


def rows(x, interval: Interval, exact, **settings) -> list[dict]:
    """Rows of a tidy table: `settings` as columns, then x, simulated, low, high and exact."""
    columns = np.broadcast_arrays(x, *interval, exact)
    names = ("x", "simulated", "low", "high", "exact")
    return [
        {**settings, **dict(zip(names, (value.item() for value in row), strict=True))}
        for row in zip(*columns, strict=True)
    ]


def figure_metadata(command: str, jobs: list[Job], results: list[Result]) -> dict[str, str]:
    """What a figure says of its origin: command, seed, sample sizes and tasks."""
    sizes: dict[str, list[str]] = {}
    for result in results:
        unit = result.task.unit
        sizes.setdefault(unit.capitalize(), []).append(str(getattr(result.counts, unit)))
    return {
        "Command": command,
        "Seed": str(jobs[0].task.seed),
        **{unit: ", ".join(numbers) for unit, numbers in sizes.items()},
        "Tasks": ", ".join(job.task.id for job in jobs),
    }


def _spelled(override: Override) -> str:
    """The override as a folder's name has it: ranges as ranges, files without their folders."""
    if not override.swept and not _files(override):
        listed = re.fullmatch(r"\[([^\[\]]*)\]", override.values[0])
        if listed is None:
            return override.word
        return f"{override.key}=[{compact([value.strip() for value in listed[1].split(',')])}]"
    names = [Path(value).name if value in _files(override) else value for value in override.values]
    return f"{override.key}={compact(names)}"


def _files(override: Override) -> dict[str, str]:
    """The files that an override names, each with the digest of what it holds."""
    if override.key.rpartition(".")[2] in ("path", "policy", "target", "draft"):  # of a pair, decoder or cost
        named = override.values
    else:
        named = re.findall(r"path:\s*([^,}\]]+)", override.word)
    paths = {name: Path(name.strip("\"' ")).expanduser() for name in named}
    return {name: _digest(path) for name, path in paths.items() if path.is_file()}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
