"""`simlab run`: simulate, hold against the theory, draw; also what `simlab reproduce` is made of."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path

from simlab.cli.config.compose import compose_points
from simlab.cli.config.settings import backend_from, output_from, settings_from, shard_from
from simlab.cli.memory import check_run
from simlab.cli.output.documents import OUTCOME, TIMING, outcome_document, plain, timing_document, to_json
from simlab.cli.output.verdict_tables import check_table, verdict_table
from simlab.cli.process import ignore_signals
from simlab.errors import SimlabError
from simlab.experiments import experiment_module
from simlab.report.rows import tally


def main(words: list[str]) -> int:
    """Run the composed experiment over its grid; a flag (--cfg, --help, -m, ...) hands over to Hydra."""
    if any(word.startswith("-") for word in words):
        from simlab.cli.multirun import through_hydra

        return through_hydra(words)
    return execute([compose_points(words)])


def announce(outcome, seconds: float) -> None:
    """Print all that an experiment came to."""
    print(f"\n{outcome.title}")
    print_judged(outcome, outcome.verdicts, outcome.checks)
    for note in outcome.notes:
        print(note)
    if outcome.files:
        print("wrote " + ", ".join(str(path) for path in outcome.files))


def print_judged(outcome, verdicts: Sequence, checks: Sequence) -> None:
    """Print these verdicts and theorem checks of an outcome as tables; nothing where there are none."""
    for table, judged in ((verdict_table, verdicts), (check_table, checks)):
        if judged:
            print(table([dataclasses.asdict(one) for one in judged], outcome.title))


def execute(
    experiments: Sequence[Sequence[dict]], report: Path | None = None, show_outcome: Callable = announce
) -> int:
    """Run experiments, each given by the configurations of its points; returns the exit code.

    All simulate as one list of jobs (a task that two of them share runs once), and each presents as soon as
    its own are done. `report`: where a verdicts.json of all of them is written; show_outcome: what is done
    with each Outcome, and the seconds it took to present, in the given order. A ledger with damaged pages is
    rescued first, in one line that says so. Returns 1 if a verdict or a theorem check FAILed, 130 after
    Ctrl-C, else 0. Raises SimlabError for a user's mistake, before anything runs where it can be seen.
    """
    from simlab.runs.ledger import DamagedLedger
    from simlab.runs.rescue import rescue

    try:
        return _execute(experiments, report, show_outcome)
    except DamagedLedger:
        path = output_from(experiments[0][0]) / "ledger.sqlite"
        saved, kept = rescue(path)
        print(
            f"simlab: {path} was damaged: {saved:,} batches of it are saved in a fresh one, the damaged file "
            f"is kept as {kept}, and what is missing is run again",
            file=sys.stderr,
        )
        return _execute(experiments, report, show_outcome)


def _execute(experiments: Sequence[Sequence[dict]], report: Path | None, show_outcome: Callable) -> int:
    from simlab.cli.presenting import Presenters
    from simlab.runs import Interrupted, Ledger, Loky, collect, show
    from simlab.runs.shard import WHOLE

    output = output_from(experiments[0][0])
    backend = backend_from(experiments[0][0])
    check_run([config for configs in experiments for config in configs])
    points = [[settings_from(config) for config in configs] for configs in experiments]
    names = [some[0].experiment for some in points]
    shard = shard_from(experiments[0][0])
    outcomes, ordered = {}, []

    def done(number: int, outcome, seconds: float) -> None:
        outcomes[number] = outcome, seconds
        jobs, tier = plans[number].jobs, tier_of(experiments[number])
        document = outcome_document(outcome, points[number], tier, jobs, presenters.results)
        _write_json(outcome.folder / "verdicts.json", _verdicts(outcome))
        _write_json(outcome.folder / OUTCOME, document)
        _write_json(outcome.folder / TIMING, timing_document(jobs, ledger.timings(), seconds, backend))
        while (shown := outcomes.get(len(ordered))) is not None:  # in the listed order, on every machine
            ordered.append(shown[0])
            show_outcome(*shown)

    processes = backend.workers if isinstance(backend, Loky) and shard == WHOLE else 1
    try:
        with Presenters(names, processes, done) as presenters:
            plans = [experiment_module(name).plan(some) for name, some in zip(names, points, strict=True)]
            jobs = [job for plan in plans for job in plan.jobs]
            make_folder(output)
            if shard != WHOLE:
                return _simulate_shard(jobs, shard, output, backend)
            presenters.expect(plans)
            with _ledger_warnings_as_lines(), Ledger(output / "ledger.sqlite") as ledger:
                if jobs:
                    show(presenters.along(collect(jobs, ledger=ledger, backend=backend)))
                presenters.finish()
    except Interrupted as stopped:
        ignore_signals()  # one more would only tear what follows
        print(f"simlab: {stopped}", file=sys.stderr)
        return 128 + stopped.number
    if report is not None:
        _write_json(report, {"verdicts": [row for outcome in ordered for row in _verdicts(outcome)]})
        print(f"\n{_tally(ordered)}\nwrote {report}")
    judged = [one for outcome in ordered for one in (*outcome.verdicts, *outcome.checks)]
    return 1 if any(one.status == "FAIL" for one in judged) else 0


def _simulate_shard(jobs: Sequence, shard, output: Path, backend) -> int:
    """Simulate a part of the jobs and say how to go on: figures and verdicts need all parts."""
    from simlab.runs import Interrupted, Ledger, collect, show

    parts = [dataclasses.replace(job, shard=shard) for job in jobs]
    tasks = len({job.task.id for job in jobs})
    path = output / "ledger.sqlite"
    try:
        with _ledger_warnings_as_lines(), Ledger(path) as ledger:
            show(collect(parts, ledger=ledger, backend=backend))
    except Interrupted as stopped:
        print(f"simlab: {stopped}", file=sys.stderr)
        return 128 + stopped.number
    print(
        f"shard {shard} of {tasks} tasks is simulated, in {path}; when all {shard.count} are: "
        "simlab merge INTO.sqlite FROM.sqlite ..., then this command without shard= draws"
    )
    return 0


@contextmanager
def _ledger_warnings_as_lines():
    """What a ledger warns of, as one line of ours on standard error, each time."""
    from simlab.runs.ledger import LedgerWarning

    with warnings.catch_warnings():
        warnings.simplefilter("always", LedgerWarning)
        others = warnings.showwarning

        def show(message, category, *rest, **more) -> None:
            if issubclass(category, LedgerWarning):
                print(f"simlab: {message}", file=sys.stderr)
            else:
                others(message, category, *rest, **more)

        warnings.showwarning = show
        yield


def tier_of(configs: Sequence[dict]) -> str | None:
    """The name of the sizes that an experiment's points share."""
    return configs[0]["tier"].get("name")


def make_folder(folder: Path) -> None:
    """Make `folder` and see that it can be written to; SimlabError otherwise."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"simlab")
    except OSError as error:
        raise SimlabError(
            f"cannot write to {folder} ({error.strerror or error}): give another folder with output=FOLDER"
        ) from error


def _verdicts(outcome) -> list[dict]:
    return [{"experiment": outcome.title, **dataclasses.asdict(verdict)} for verdict in outcome.verdicts]


def _tally(outcomes) -> str:
    verdicts = [verdict.status for outcome in outcomes for verdict in outcome.verdicts]
    checks = [check.status for outcome in outcomes for check in outcome.checks]
    lines = [tally(verdicts)] + [tally(checks, "theorem check")] * bool(checks)
    return "\n".join(lines)


def _write_json(path: Path, document) -> None:
    from simlab.report.save import write_whole

    write_whole(path, to_json(plain(document)).encode())
