"""A verifier that raises, hangs, returns what is no window's tokens or changes its arguments: said, not shown
as a traceback."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import simlab
from tests.auditing.verifiers import in_a_batch, token


def after(calls, misdeed):
    """A right verifier whose call with this number does something else."""
    made = []

    def verifier(tokens, draft, target, rng):
        made.append(1)
        if len(made) == calls:
            return misdeed(tokens, draft, target, rng)
        return token(tokens, draft, target, rng)

    return verifier


class Strange:
    def tolist(self):
        raise RuntimeError("not on this device")


def _raise(*_):
    raise RuntimeError("no more\nuniforms")


def _exit(*_):
    raise SystemExit(3)


def _write(tokens, draft, target, rng):
    found = token(tokens, draft, target, rng)
    target[0] = target[0][::-1] + 1
    return found


@pytest.mark.parametrize(
    ("misdeed", "kind", "words"),
    [
        (_raise, "raise", "Call 100 raised RuntimeError: 'no more"),
        (_exit, "raise", "SystemExit"),
        (_write, "changed arguments", "changed its arguments"),
        (lambda *_: None, "shape", "None"),
        (lambda *_: [], "shape", "1 to 4 whole numbers"),
        (lambda *_: [0] * 5, "shape", "1 to 4 whole numbers"),
        (lambda *_: [[0]], "shape", "whole numbers"),
        (lambda *_: 1, "shape", "whole numbers"),
        (lambda *_: [0.5], "shape", "0.5"),
        (lambda *_: "0", "shape", "whole numbers"),
        (lambda *_: (x for x in [0]), "shape", "generator"),
        (lambda *_: {0: 1}, "shape", "{0: 1}"),
        (lambda *_: [True], "shape", "[True]"),
        (lambda *_: Strange(), "shape", "whole numbers"),
        (lambda *_: np.array([1.0]), "shape", "whole numbers"),
        (lambda *_: [2**70], "shape", "whole numbers"),
        (lambda *_: [8], "vocabulary", "token 8"),
        (lambda *_: [-1], "vocabulary", "token -1"),
        (
            lambda tokens, draft, *_: [(int(tokens[0]) + 1) % draft.shape[1], 0],
            "not drafted",
            "were not drafted",
        ),
    ],
)
def test_misconduct_is_named(misdeed, kind, words):
    report = simlab.audit(after(100, misdeed), resolution=0.1)
    assert (report.outcome, report.kind) == ("FAIL", kind), report
    assert words in report.sentence and report.instance is not None
    assert str(report)


@pytest.mark.parametrize(
    "tokens", [np.array([0, 0]), (0, 0), [np.int32(0), 0], np.array([0, 0], dtype=np.uint8)]
)
def test_every_form_of_whole_numbers_is_read(tokens):
    from simlab.auditing.calling import _read
    from simlab.auditing.instances import make_instances

    instance = make_instances(3, (2, 4, 8), 0)[0]
    assert _read([tokens], instance, 0).tolist() == [[0, 0, -1, -1]]


@pytest.mark.parametrize("hang", [lambda *_: time.sleep(60), lambda *_: _forever()], ids=["sleep", "loop"])
def test_a_call_that_hangs_is_interrupted(hang):
    started = time.monotonic()
    report = simlab.audit(after(100, hang), time_limit=0.2)
    assert (report.outcome, report.kind) == ("FAIL", "hang") and "Call 100" in report.sentence
    assert time.monotonic() - started < 50


def test_a_call_that_hangs_in_another_thread_is_interrupted():
    reports = []

    def run():
        reports.append(simlab.audit(after(100, lambda *_: _forever()), time_limit=0.2))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert [report.kind for report in reports] == ["hang"]


def _forever():
    while True:
        pass


@pytest.mark.statistical
def test_a_slow_stream_of_quick_calls_is_not_a_hang():
    def verifier(*arguments):
        time.sleep(0.001)
        return token(*arguments)

    assert simlab.audit(verifier, time_limit=0.25, seconds=1).outcome == "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda rows: rows[:-1], "sequences and returned"),
        (lambda rows: None, "returned None"),
        (lambda rows: [[99], *rows[1:]], "99"),
    ],
)
def test_a_batch_of_another_shape_is_named(answer, words):
    def verifier(*arguments):
        return answer(in_a_batch(token)(*arguments))

    report = simlab.audit(verifier, batched=True)
    assert report.outcome == "FAIL" and words in report.sentence


def test_a_batch_that_changes_its_arguments_is_named():
    def verifier(tokens, draft, target, rng):
        found = in_a_batch(token)(tokens, draft, target, rng)
        tokens += 1
        return found

    assert simlab.audit(verifier, batched=True).kind == "changed arguments"
