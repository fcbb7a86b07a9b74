"""Whether a worker runs the client's code, found out without a cluster."""

from __future__ import annotations

import pytest

from simlab import SimlabError
from simlab.runs.build import build, differences
from simlab.runs.cluster import OtherBuild, simulate_as


def test_a_process_runs_its_own_code():
    assert differences(build(), dict(build())) == ""
    assert {"simlab", "numba", "Python"} < build().keys()


@pytest.mark.parametrize("name", ["simlab", "numba", "Python"])
def test_another_version_is_named_on_both_sides(name):
    told = differences(build(), build() | {name: "9.9"})
    assert told == f"{name} 9.9 where this process has {build()[name]}"


def test_another_sampler_is_noticed_without_another_version():
    other = {name: value + " " * (" " in value) for name, value in build().items()}
    assert differences(build(), other) == "the samplers' code"


def test_what_a_side_does_not_know_differs():
    assert differences(build(), {}).count(" none where") == 3


def test_no_batch_is_simulated_for_a_client_with_other_code():
    with pytest.raises(OtherBuild, match=r"runs other code \(simlab .* where this process has 9.9\)"):
        simulate_as(build() | {"simlab": "9.9"}, None, "", [(0, 1)], None, False)
    assert issubclass(OtherBuild, SimlabError)
