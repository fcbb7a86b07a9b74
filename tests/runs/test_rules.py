"""Tasks of rules are named by their tables, and tables travel to workers, not code."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import simlab
from simlab import RuleSpeculative, SimlabError, rules
from simlab.runs import Job, Task, Trajectories


def ids(pair, *decoders, seed=0):
    return [Job(Task({"digest": pair.digest}, one, seed), pair, Trajectories(10)).task.id for one in decoders]


def test_a_task_is_named_by_what_its_rule_answers():
    pair, share = simlab.pairs.paper(4), [0.5]

    def rule(draft, target):
        return np.full(len(draft), share[0]), target

    def the_same(draft, target):
        return [share[0]] * len(draft), target.tolist()

    first, second = ids(pair, RuleSpeculative(rule), RuleSpeculative(the_same))
    assert first == second
    share[0] = 0.25
    assert ids(pair, RuleSpeculative(rule)) != [first]
    share[0] = 0.5
    assert ids(pair, RuleSpeculative(rule)) == [first]
    others = [RuleSpeculative(rule, 2), RuleSpeculative(rule, 2, True), RuleSpeculative(rules.Typical())]
    assert len({first, *ids(pair, *others), *ids(pair, RuleSpeculative(rule), seed=1)}) == 5


def test_a_rule_that_has_met_no_pair_names_no_task():
    with pytest.raises(SimlabError, match="named by its tables"):
        _ = Task({"name": "paper"}, RuleSpeculative(rules.Typical())).id


def test_code_stays_here_and_tables_travel_once():
    pair, bias = simlab.pairs.paper(6), 0.125
    job = Job(
        Task({"digest": pair.digest}, RuleSpeculative(lambda p, q: (np.minimum(1, q / p + bias), q))),
        pair,
        Trajectories(10),
    )
    travelled = pickle.loads(pickle.dumps(job.task))  # a lambda could not
    assert travelled == job.task and travelled.decoder == job.task.decoder
    light = pickle.dumps(job.task.light)
    assert len(light) < 1500 < len(pickle.dumps(job.task))
    assert pickle.loads(light).id == job.task.id
    assert pickle.loads(light).tables_key == job.task.tables_key


@pytest.mark.processes
@pytest.mark.parametrize("settings", [{}, {"window": 3, "bonus": True}])
def test_any_number_of_workers_counts_the_same(settings):
    pair, leniency = simlab.pairs.paper(10), 0.5
    decoder = RuleSpeculative(
        lambda p, q: (np.minimum(1, q / (leniency * p)), q), **settings
    )  # a closure, which no other process could import
    one, three = (
        simlab.simulate(pair, decoder, trajectories=600_000, seed=3, workers=workers) for workers in (1, 3)
    )
    assert one == three
