"""The pair of a point: kept from one call to the next, but not where its file has changed."""

import numpy as np

from simlab.experiments.common.jobs import instance
from tests.experiments.points import point


def test_a_file_of_the_same_name_is_another_pair(tmp_path, monkeypatch):
    digests = []
    for folder, target in (("one", [0.5, 0.5]), ("two", [0.25, 0.75])):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        np.savez("mine.npz", draft=[np.eye(2)], target=[[target] * 2], initial=[1, 0])
        settings = point(
            "study", {}, output=tmp_path, trajectories=1,
            pair_name="file", pair_options={"path": "mine.npz", "horizon": None},
        )  # fmt: skip
        assert instance(settings)[0] is instance(settings)[0]
        digests.append(instance(settings)[1]["digest"])
    assert digests[0] != digests[1]
    np.savez("mine.npz", draft=[np.eye(2)], target=[[[0.125, 0.875]] * 2], initial=[0.5, 0.5])
    assert instance(settings)[1]["digest"] not in digests
