"""What a run shows: numbers that add up, plain lines off a terminal and not too many, a live line on one."""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

import simlab
from simlab.evidence import confidence_sequence, mean_interval
from simlab.pairs import paper
from simlab.runs import HalfWidth, Interrupted, Job, Ledger, Task, Trajectories, collect, progress, run, show
from simlab.runs.progress import describe

PAIR = paper(horizon=12)


def job(seed: int, stop, size: int = 1000) -> Job:
    return Job(Task({"name": "paper"}, simlab.Speculative(), seed, size), PAIR, stop)


def test_progress_adds_up(tmp_path):
    jobs = [job(1, Trajectories(50_000)), job(2, HalfWidth(0.1, 0.9, 10**6))]
    with Ledger(tmp_path / "ledger") as ledger:
        steps = list(collect(jobs, ledger=ledger))
        last = steps[-1]
        needed = sum(r.counts.trajectories for step in steps for r in step.results)
        assert last.jobs_done == last.jobs == 2
        assert last.trajectories_done == last.trajectories == needed <= last.simulated
        assert last.seconds >= 0 and last.rate >= 0 and last.seconds_left == 0
        (again,) = collect(jobs, ledger=ledger)
    assert again.trajectories_done == needed and again.simulated == 0
    assert again.rate == 0 and again.seconds_left is None


def test_the_rate_and_the_seconds_left_follow_from_the_clock():
    *_, last = collect([job(1, Trajectories(5_000))])
    assert replace(last, seconds=2.0).rate == 2500
    assert replace(last, seconds=0.0).rate == 0  # the clock did not tick
    early = replace(last, planned=sum([last.done] * 40, last.done), seconds=2.0)
    assert early.seconds_left is None and "estimating the time left" in describe(early)
    half = replace(last, planned=last.done + last.done, seconds=2.0)
    assert half.seconds_left == 2 and replace(half, seconds=0.0).seconds_left == 0


def test_the_interval_is_of_the_kind_that_the_stopping_rule_asks_for():
    (*_, last) = collect([job(1, Trajectories(5_000))])
    assert last.interval == mean_interval(last.rejections, 0.95)
    stop = HalfWidth(0.1, 0.9, 10**6)
    (*_, last) = collect([job(1, stop)])
    mean, low, high = confidence_sequence(last.results[0].batch_sums, 12, 0.9)
    assert tuple(last.interval) == (mean[-1], low[-1], high[-1])


def test_plain_lines_are_few_and_the_last_one_is_whole(monkeypatch):
    stream = io.StringIO()
    results = show(collect([job(seed, Trajectories(20_000)) for seed in range(5)]), stream)
    assert len(results) == 5
    assert re.fullmatch(
        r"5/5 tasks, 100k/100k trajectories, \S+/s, 0:00 left, [0-9a-f]{8}: \S+ ± \S+ rejections\n",
        stream.getvalue(),
    )
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    stream = io.StringIO()
    show(collect([job(9, Trajectories(20_000))]), stream)
    assert stream.getvalue().count("\n") >= 2


@pytest.mark.processes
def test_a_terminal_gets_a_live_line():
    script = (
        "from tests.runs.test_progress import *;print(len(show(collect([job(1, Trajectories(300_000))]))))"
    )
    main, side = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=side) as process:
        os.close(side)
        shown = b""
        try:
            while part := os.read(main, 4096):
                shown += part
        except OSError:  # the terminal's other end is closed
            pass
        assert process.stdout.read() == b"1\n"
    assert b"1/1 tasks, 300k/300k trajectories" in shown


def press_ctrl_c(steps):
    """The steps, with Ctrl-C pressed after the first one."""
    for number, step in enumerate(steps):
        if number == 0:
            os.kill(os.getpid(), signal.SIGINT)
        yield step


@pytest.fixture
def heeded():
    """SIGINT as a terminal leaves it: a suite that was started in the background is born ignoring it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
def test_ctrl_c_is_told_and_the_handler_put_back(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    stream = io.StringIO()
    with Ledger(tmp_path / "ledger") as ledger:
        with pytest.raises(Interrupted, match="1 of 1 tasks unfinished; what was done is in"):
            show(press_ctrl_c(collect([job(1, Trajectories(10**9))], ledger=ledger)), stream)
        assert len(list(ledger.batches(job(1, Trajectories(1)).task.id))) > 0
    assert "finishing what is under way" in stream.getvalue()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.usefixtures("heeded")
def test_without_a_ledger_ctrl_c_says_that_nothing_is_kept():
    with pytest.raises(Interrupted, match="nothing is kept"):
        list(press_ctrl_c(collect([job(1, Trajectories(10**9))])))
    assert issubclass(Interrupted, KeyboardInterrupt)


def test_a_run_that_is_dropped_half_way_keeps_its_batches_and_puts_the_handler_back(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    with Ledger(tmp_path / "ledger") as ledger:
        steps = collect([job(1, Trajectories(10**9))], ledger=ledger)
        done = next(steps).trajectories_done
        steps.close()
        assert signal.getsignal(signal.SIGINT) is before
        assert 1000 * len(list(ledger.batches(job(1, Trajectories(1)).task.id))) == done > 0


def test_a_process_that_ignores_ctrl_c_goes_on_doing_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        steps = press_ctrl_c(collect([job(1, Trajectories(500_000))]))
        assert sum(len(step.results) for step in steps) == 1
    finally:
        signal.signal(signal.SIGINT, before)


def test_runs_work_outside_the_main_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(run([job(1, Trajectories(5_000))])))
    thread.start()
    thread.join()
    assert len(found[0]) == 1
