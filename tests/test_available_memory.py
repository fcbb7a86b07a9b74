"""How much memory there is: what the kernel says, and the limits of control groups of either version."""

from __future__ import annotations

import math

import pytest

from simlab import memory
from simlab.errors import SimlabError
from simlab.memory import available_memory, check_fits

GIB = 2**30
MEMINFO = "MemTotal:       16777216 kB\nMemFree:         1048576 kB\nMemAvailable:    8388608 kB\n"


@pytest.fixture
def system(tmp_path):
    """Writes a /proc and /sys/fs/cgroup and asks them: files by path below either."""

    def asked(**files: str) -> float:
        for name, text in {"proc/meminfo": MEMINFO, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return available_memory(tmp_path / "proc", tmp_path / "cgroup")

    return asked


def test_without_limits_it_is_what_the_kernel_counts_as_available(system):
    assert system() == 8 * GIB
    assert system(**{"proc/self/cgroup": "0::/\n"}) == 8 * GIB
    unlimited = {"proc/self/cgroup": "0::/job\n", "cgroup/job/memory.max": "max\n"}
    assert system(**unlimited, **{"cgroup/job/memory.current": "5"}) == 8 * GIB


def test_a_group_of_version_2_limits_it_and_so_does_each_group_around_it(system):
    files = {
        "proc/self/cgroup": "0::/slurm/job_1/step_0\n",
        "cgroup/slurm/job_1/memory.max": f"{4 * GIB}\n",
        "cgroup/slurm/job_1/memory.current": f"{2 * GIB}\n",
        "cgroup/slurm/job_1/memory.stat": f"anon 7\ninactive_file {GIB // 2}\nactive_file {GIB // 4}\n",
    }
    assert system(**files) == 2.75 * GIB  # cached files give way
    inner = {
        "cgroup/slurm/job_1/step_0/memory.max": str(GIB),
        "cgroup/slurm/job_1/step_0/memory.current": "0",
    }
    assert system(**files, **inner) == GIB


def test_a_group_of_version_1_limits_it_wherever_it_is_mounted(system):
    files = {
        "proc/self/cgroup": "5:cpuset:/\n4:cpu,memory:/docker/abc\n0::/\n",
        "cgroup/memory/memory.limit_in_bytes": str(3 * GIB),  # in a container its own group is the root
        "cgroup/memory/memory.usage_in_bytes": str(GIB),
        "cgroup/memory/memory.stat": f"inactive_file 0\ntotal_inactive_file {GIB}\n",
    }
    assert system(**files) == 3 * GIB


def test_a_group_over_its_limit_leaves_nothing(system):
    files = {
        "proc/self/cgroup": "0::/\n",
        "cgroup/memory.max": str(GIB),
        "cgroup/memory.current": str(2 * GIB),
    }
    assert system(**files) == 0


def test_where_the_system_says_nothing_it_is_all_the_machine_has(tmp_path):
    assert 0 < available_memory(tmp_path, tmp_path) <= math.inf


def test_an_address_space_that_is_limited(tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "statm").write_text(f"{GIB // resource.getpagesize()} 1 1")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (GIB + 2**20, resource.RLIM_INFINITY))
    assert memory._address_space_left(tmp_path) == 2**20


def test_what_does_not_fit_is_one_line_with_the_mend(monkeypatch):
    monkeypatch.setattr("simlab.memory.available_memory", lambda: GIB)
    check_fits("the pair takes", GIB, "fewer states")
    with pytest.raises(SimlabError) as caught:
        check_fits("the pair takes", 1.5 * GIB, "fewer states")
    told = "the pair takes 1.5 GiB of memory, more than there is (1.0 GiB available); expected fewer states"
    assert str(caught.value) == told
    monkeypatch.setattr("simlab.memory.available_memory", lambda: 0)
    check_fits("a small pair takes", 2**20, "fewer states")  # nobody looks
