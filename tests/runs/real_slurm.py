"""A real SLURM on this machine's loopback: munged, slurmctld and two slurmd of one processor each.

All of it lies in one folder, listens on ports that were free, and is ended by process id. It needs root and
Debian's packages slurmctld, slurmd, slurm-client and munge; no systemd.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

COMMANDS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo", "scontrol")
START_SECONDS = 15.0

CONFIGURATION = """
ClusterName=simlab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
KillWait=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmdParameters=config_overrides
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 RealMemory=2000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 RealMemory=2000
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=60 State=UP
"""


class NoSlurm(Exception):
    """Why there is none."""


def why_not() -> str:
    """Why a real SLURM cannot be started here, in words; "" where it may be tried."""
    search = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin"
    if absent := [command for command in COMMANDS if shutil.which(command, path=search) is None]:
        return f"no {', '.join(absent)} here: apt-get install slurmctld slurmd slurm-client munge"
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "only root starts it"
    return ""


@contextmanager
def running(folder: Path):
    """The path of the running SLURM's configuration, for SLURM_CONF. Raises NoSlurm where it does not
    start."""
    if reason := why_not():
        raise NoSlurm(reason)
    processes: list[subprocess.Popen] = []
    configuration = folder / "slurm.conf"
    environment = dict(os.environ) | {"SLURM_CONF": str(configuration)}
    environment["PATH"] += os.pathsep + "/usr/sbin"

    def start(*words: str) -> None:
        with open(folder / f"{words[0]}-{len(processes)}.out", "wb") as out:
            streams = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out}
            processes.append(subprocess.Popen(words, env=environment, start_new_session=True, **streams))

    try:
        _configure(folder, configuration)
        files = {"socket": "munge.socket", "key-file": "munge.key", "pid-file": "munged.pid"}
        files |= {"log-file": "munged.log", "seed-file": "munge.seed"}
        start(
            "munged", "--foreground", "--force", *(f"--{key}={folder / name}" for key, name in files.items())
        )
        _wait(lambda: (folder / "munge.socket").exists(), processes, folder)
        start("slurmctld", "-D", "-i", "-f", str(configuration))
        for node in ("n1", "n2"):
            start("slurmd", "-D", "-N", node, "-f", str(configuration))
        _wait(lambda: _idle(environment), processes, folder)
        yield str(configuration)
    finally:
        _end(processes, configuration)


def _configure(folder: Path, configuration: Path) -> None:
    (folder / "state").mkdir()
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    sockets = [socket.socket() for _ in range(3)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    host = socket.gethostname().partition(".")[0]
    configuration.write_text(CONFIGURATION.format(host=host, ports=ports, folder=folder))


def _wait(condition, processes: list[subprocess.Popen], folder: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while not condition():
        ended = [process for process in processes if process.poll() is not None]
        if ended or time.monotonic() > end:
            name = ended[0].args[0] if ended else "SLURM"
            logs = " ".join(log.read_text(errors="replace") for log in sorted(folder.glob("*.out")))
            raise NoSlurm(f"{name} does not start: {' '.join(logs.split())[-500:]}")
        time.sleep(0.05)


def _idle(environment: dict) -> bool:
    question = ["sinfo", "--noheader", "--Node", "--format=%T"]
    try:
        told = subprocess.run(
            question, env=environment, capture_output=True, text=True, timeout=5, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return told.stdout.split() == ["idle", "idle"]


def _end(processes: list[subprocess.Popen], configuration: Path) -> None:
    """End everything: the jobs, which outlive slurmd, are known by the configuration in their environment."""
    for process in reversed(processes):
        process.terminate()
    for process in job_processes(configuration):
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            pass
    for process in reversed(processes):
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def job_processes(configuration: Path | str) -> list[int]:
    """The processes of this SLURM's jobs, by their ids."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if _is_job(entry, configuration)]


def _is_job(entry: Path, configuration: Path | str) -> bool:
    try:
        environment = (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
    ours = f"SLURM_CONF={configuration}".encode()
    return ours in environment and any(line.startswith(b"SLURM_JOB_ID=") for line in environment)
