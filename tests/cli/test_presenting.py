"""In which order experiments are presented."""

from types import SimpleNamespace

from simlab.cli import presenting
from simlab.cli.presenting import Presenters


class Submitted:
    """An executor that notes the names of what it is given."""

    def __init__(self):
        self.names = []

    def submit(self, work, *arguments):
        if work is presenting.present_experiment:
            self.names.append(arguments[0])

    def shutdown(self, **_):
        pass


def submitted(monkeypatch, names, results) -> list[str]:
    """The names in the order in which they are given away; the last experiment's task is not simulated yet
    where results lack it."""
    executor = Submitted()
    monkeypatch.setattr(presenting, "worker_processes", lambda processes: executor)
    small = SimpleNamespace(nbytes=0)
    jobs = [SimpleNamespace(task=SimpleNamespace(id=name), subject=small) for name in names]
    with Presenters(names, 2, lambda *_: None) as presenters:
        presenters.expect([SimpleNamespace(jobs=[job]) for job in jobs])
        presenters.results.update(results)
        presenters._start_ready()
    return executor.names


def test_the_longest_start_first_once_all_is_simulated(monkeypatch):
    names = ["fig2", "models", "fig4", "study"]
    assert submitted(monkeypatch, names, dict.fromkeys(names)) == ["fig4", "models", "fig2", "study"]


def test_before_that_they_start_in_their_order(monkeypatch):
    names = ["fig2", "models", "fig4", "study"]
    assert submitted(monkeypatch, names, dict.fromkeys(names[:3])) == ["fig2", "models", "fig4"]
    assert submitted(monkeypatch, names, dict.fromkeys(names[1:])) == []
