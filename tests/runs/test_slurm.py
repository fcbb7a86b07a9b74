"""`run=slurm` and `scripts/array` on a real SLURM, its jobs killed half-way: the same bytes as a serial run.

The real one is started by `tests/runs/real_slurm.py`; where that is not possible those tests are skipped and
say why. What needs no SLURM stands at the end and is quick.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from simlab import SimlabError, Speculative, runs
from simlab.cli.config.compose import compose_points
from simlab.cli.config.settings import backend_from
from simlab.cli.main import main
from simlab.pairs import paper
from simlab.runs import Job, Ledger, Slurm, Task, Trajectories, collect, slurm_pool
from simlab.runs.progress import gather
from simlab.runs.slurm import cluster_arguments
from simlab.runs.slurm_pool import SlurmPool
from tests.cli.command import SIMLAB
from tests.runs.driver import digest, jobs
from tests.runs.real_slurm import NoSlurm, job_processes, running
from tests.runs.running import Run, command_line, rows, wait_for

ARRAY = Path(__file__).parents[2] / "scripts" / "array"
WORDS = "trajectories=7000 batch_size=1000 pair.horizon=6 decoder=batch decoder.drafts=1,2 run=serial".split()
SCALE = 40


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A real SLURM for this process and all that it starts."""
    try:
        with (
            running(tmp_path_factory.mktemp("slurm")) as configuration,
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setenv("SLURM_CONF", configuration)
            yield configuration
    except NoSlurm as reason:
        pytest.skip(f"no real SLURM: {reason}")


def ask(*words: str) -> list[str]:
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split()


def array(*words: str, cwd: Path, code: int = 0, **variables: str) -> subprocess.CompletedProcess:
    """Call `scripts/array` with these variables of a scheduler and check its exit code."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
    done = subprocess.run(
        ["bash", ARRAY, *words], cwd=cwd, env=kept | {"SIMLAB": str(SIMLAB)} | variables,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done


def running_jobs() -> list[str]:
    return ask("squeue", "--noheader", "--states=RUNNING", "--format=%i")


@pytest.mark.processes
@pytest.mark.slurm
def test_jobs_that_are_cancelled_and_killed_half_way_are_replaced_and_nothing_is_lost(slurm, tmp_path):
    pytest.importorskip("dask_jobqueue")
    with Ledger(tmp_path / "serial") as ledger:
        *_, last = collect(jobs(SCALE), ledger=ledger)
        serial = gather(collect(jobs(SCALE), ledger=ledger))
    whole = last.done.samples
    run = Run(tmp_path / "slurm", "slurm", 1, SCALE)
    run.wait_until(lambda step: step["done"] > 0.2 * whole)
    # The run waits for us now: what happens to its job happens half-way, and only another can go on.
    (first,) = running_jobs()
    ask("scancel", first)
    run.wait_until(lambda step: step["done"] > 0.5 * whole)
    assert first not in running_jobs()
    (worker,) = [one for one in job_processes(slurm) if b"dask_worker" in command_line(one)]
    os.kill(worker, signal.SIGKILL)
    run.finish()
    assert run.process.returncode == 0, run.errors
    assert run.results == {task: digest(result) for task, result in serial.items()}
    assert rows(tmp_path / "slurm") == rows(tmp_path / "serial")
    assert not (tmp_path / "slurm.logs").exists()
    wait_for(lambda: ask("squeue", "--noheader") == [] and job_processes(slurm) == [])


@pytest.mark.processes
@pytest.mark.slurm
@pytest.mark.parametrize(
    "settings, said",
    [
        ({"queue": "nope"}, "SLURM refused the job: invalid partition specified: nope"),
        (
            {"directives": ["--hold"], "patience": 4.0},
            r"no worker has come to the SLURM cluster for 4 s.*PENDING \(JobHeldUser\)",
        ),
    ],
)
def test_jobs_that_come_to_nothing_are_one_line(slurm, tmp_path, settings, said):
    pytest.importorskip("dask_jobqueue")
    pair = paper(horizon=5)
    job = Job(Task({"digest": pair.digest}, Speculative(), 0, 1000), pair, Trajectories(1000))
    backend = Slurm(3, **{"memory": "500MB", "interface": "lo", "logs": str(tmp_path / "logs")} | settings)
    with pytest.raises(SimlabError, match=said) as caught:
        runs.run([job], backend=backend)
    assert "\n" not in str(caught.value)
    wait_for(lambda: ask("squeue", "--noheader") == [])


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The rows of the ledger of the study in one run."""
    output = tmp_path_factory.mktemp("study")
    assert main(["run", *WORDS, f"output={output}"]) == 0
    return rows(output / "ledger.sqlite")


@pytest.mark.processes
@pytest.mark.slurm
def test_the_parts_of_an_array_job_are_the_study(slurm, study, tmp_path):
    done = subprocess.run(
        ["sbatch", "--wait", "--array=1-2", "--output=log-%a.txt", ARRAY, *WORDS, "output=out"],
        cwd=tmp_path, env={"SIMLAB": str(SIMLAB)} | os.environ, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "shard 2/2 of 2 tasks is simulated" in (tmp_path / "log-2.txt").read_text()
    parts = [rows(tmp_path / "out" / "parts" / f"{part}-of-2" / "ledger.sqlite") for part in (1, 2)]
    assert set(parts[0] + parts[1]) == set(study)
    assert len(parts[0] + parts[1]) == len(study) + 2  # both know both tasks


@pytest.mark.processes
def test_a_loop_over_the_parts_and_their_merge_are_the_study(study, tmp_path):
    for part in ("1", "2"):
        done = array(*WORDS, "output=out", cwd=tmp_path, PART=part, PARTS="2")
        assert f"shard {part}/2 of 2 tasks is simulated" in done.stdout
    done = array("--merge", *WORDS, "output=out", cwd=tmp_path)
    assert done.stdout.count("new batches") == 2 and "study on paper" in done.stdout
    assert rows(tmp_path / "out" / "ledger.sqlite") == study


def told_pool(folder: Path, listed: dict[str, str]) -> SlurmPool:
    """A pool of three jobs without a worker, of which SLURM lists these."""
    pool = SlurmPool(Slurm(3, logs=str(folder)))
    pool._cluster = SimpleNamespace(scheduler=SimpleNamespace(workers={}))
    pool._jobs = {f"{pool._job_name}-{job}": str(job) for job in (1, 2, 3)}
    pool._listed = lambda: listed
    return pool


def test_jobs_that_end_before_their_worker_has_come_are_not_submitted_for_ever(tmp_path):
    pool = told_pool(tmp_path, {})
    (tmp_path / f"{pool._job_name}-2.err").write_text("warming up\nno such module\n\n")
    with pytest.raises(
        SimlabError, match=r"^3 jobs ended before their worker came \(no such module\): see the logs in"
    ):
        pool.tend()


def test_a_job_that_slurm_will_never_start_ends_the_run(tmp_path):
    pool = told_pool(
        tmp_path, {"1": "RUNNING (None)", "2": "PENDING (Priority)", "3": "PENDING (PartitionTimeLimit)"}
    )
    with pytest.raises(SimlabError, match=r"SLURM will never start the job, PENDING \(PartitionTimeLimit\)"):
        pool.tend()


def test_what_slurm_says_of_the_jobs_is_told(tmp_path):
    pool = told_pool(tmp_path, {"1": "RUNNING (None)", "2": "PENDING (Priority)", "3": "PENDING (Priority)"})
    pool.tend()
    assert "(its jobs: 1 RUNNING, 2 PENDING (Priority))" in pool.mend


@pytest.mark.parametrize(
    "variables, said",
    [
        ({}, "no part: run it as an array job"),
        ({"SGE_TASK_ID": "undefined"}, "no part: run it as an array job"),
        ({"LSB_JOBINDEX": "0"}, "no part: run it as an array job"),
        ({"PBS_ARRAY_INDEX": "2"}, "how many parts are there? set PARTS"),
        (dict(SLURM_ARRAY_TASK_ID="0", SLURM_ARRAY_TASK_MIN="0", SLURM_ARRAY_TASK_MAX="7"), "no part"),
        (
            dict(SLURM_ARRAY_TASK_ID="3", SLURM_ARRAY_TASK_MIN="3", SLURM_ARRAY_TASK_MAX="3"),
            "the array is not 1-3: submit it so, or set PARTS",
        ),
        (
            dict(SLURM_ARRAY_TASK_ID="1", SLURM_ARRAY_TASK_MAX="5", SLURM_ARRAY_TASK_COUNT="2"),
            "the array is not 1-5: submit it so, or set PARTS",
        ),
    ],
)
def test_an_array_that_does_not_say_which_part_is_refused(tmp_path, variables, said):
    done = array("trajectories=10", cwd=tmp_path, code=2, **variables)
    assert said in done.stderr and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "variables, told",
    [
        ({"PART": "2", "PARTS": "8"}, "shard=2/8 output=out/parts/2-of-8"),
        ({"PBS_ARRAYID": "2", "PARTS": "8"}, "shard=2/8 output=out/parts/2-of-8"),
        ({"LSB_JOBINDEX": "2", "LSB_JOBINDEX_END": "8"}, "shard=2/8 output=out/parts/2-of-8"),
        (
            dict(SLURM_ARRAY_TASK_ID="3", SLURM_ARRAY_TASK_MIN="3", PARTS="8"),
            "shard=3/8 output=out/parts/3-of-8",
        ),
    ],
)
def test_an_array_asks_for_its_part(tmp_path, variables, told):
    done = array("a=1", "output=out", cwd=tmp_path, **variables | {"SIMLAB": "/bin/echo"})
    assert done.stdout.strip() == f"run a=1 {told}"


def test_what_a_real_cluster_needs_is_told_to_dasks_own():
    words = [
        "run=slurm",
        "run.queue=long",
        "run.account=me",
        "run.time=90",
        "run.memory=4GB",
        "run.interface=ib0",
    ]
    words += [
        "run.workers=50",
        "run.directives=['--qos=low']",
        "run.prologue=['module load python']",
        "output=o",
    ]
    (config,) = compose_points(words)
    settings = backend_from(config)
    told = cluster_arguments(settings, "name")
    assert settings.workers == 50 and settings.patience == 86400 and settings.logs == "o/slurm-logs"
    assert (told["queue"], told["account"], told["walltime"], told["memory"]) == ("long", "me", "90", "4GB")
    assert told["interface"] == "ib0" and told["job_extra_directives"][-2:] == ["--no-requeue", "--qos=low"]
    script = pytest.importorskip("dask_jobqueue.slurm").SLURMJob("tcp://host:1", "worker", **{
        key: value for key, value in told.items() if key != "scheduler_options"
    }).job_script()  # fmt: skip
    for line in ("-p long", "-A me", "-t 90", "--mem=4G", "--qos=low"):
        assert f"#SBATCH {line}\n" in script
    assert (
        "\nmodule load python\nexec " in script
        and " -P -m distributed.cli.dask_worker tcp://host:1 " in script
    )


def test_what_is_left_open_is_the_clusters_own():
    told = cluster_arguments(Slurm(time=None, memory=None), "name")
    del told["scheduler_options"]
    script = (
        pytest.importorskip("dask_jobqueue.slurm").SLURMJob("tcp://host:1", "worker", **told).job_script()
    )
    assert "--mem=" not in script and "#SBATCH -t" not in script and "#SBATCH -p" not in script


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"workers": 0}, "run.workers = 0"),
        ({"queue": "two words"}, "run.queue = 'two words' is not valid; expected one word"),
        ({"account": "x\n#SBATCH --exclusive"}, "run.account = "),
        ({"time": "an hour"}, "run.time = 'an hour' is not valid; expected minutes"),
        ({"time": 0}, "run.time = 0 is not valid; expected minutes"),
        ({"memory": "4"}, "run.memory = '4' is not valid; expected a size with unit"),
        ({"memory": 4}, "run.memory = 4 is not valid; expected a size with unit"),
        ({"directives": ["qos=low"]}, "'qos=low' is not valid; expected an option of sbatch"),
        ({"directives": {"a": 1}}, "run.directives = .* expected a list of lines"),
        ({"prologue": "[a,b]"}, "expected a list of lines"),
        ({"prologue": [3]}, r"run.prologue = \[3\] is not valid; expected a list of lines"),
        ({"patience": 0}, "run.patience = 0"),
        ({"logs": ""}, "run.logs = ''"),
    ],
)
def test_bad_settings_are_one_line(settings, said):
    with pytest.raises(SimlabError, match=said):
        Slurm(**settings)


def test_without_slurms_commands_a_run_says_what_it_looked_for(tmp_path, monkeypatch):
    shutil.copy("/bin/true", tmp_path / "squeue")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        SimlabError, match="looked for sbatch, squeue, scancel on the PATH and found no sbatch and no"
    ):
        SlurmPool(Slurm()).check()


def test_without_the_extra_a_run_says_what_to_install(tmp_path, monkeypatch):
    for command in ("sbatch", "squeue", "scancel"):
        shutil.copy("/bin/true", tmp_path / command)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with pytest.raises(SimlabError, match=r"pip install simlab\[slurm\]"):
        SlurmPool(Slurm()).check()


@pytest.mark.processes
def test_dask_jobqueue_does_not_take_ctrl_c(monkeypatch):
    pytest.importorskip("dask_jobqueue")
    for name in [name for name in sys.modules if name.partition(".")[0] == "dask_jobqueue"]:
        monkeypatch.delitem(sys.modules, name)  # to be imported as by the first run of a process
    monkeypatch.setattr(slurm_pool, "check_commands", lambda: None)
    before = signal.getsignal(signal.SIGINT)
    SlurmPool(Slurm()).check()
    assert "dask_jobqueue.runner" in sys.modules and signal.getsignal(signal.SIGINT) is before
