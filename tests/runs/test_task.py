"""Task ids: one name for equal settings, another for any change, and seeds that follow from the id alone."""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab import Autoregressive, BatchSpeculative, BiasedSpeculative, SimlabError, Speculative
from simlab.decoders import AdaptiveSpeculative, BlockSpeculative, ConfidenceSpeculative, TreeSpeculative
from simlab.decoders.policy import Policy
from simlab.runs import Task, canonical_json, task_id
from simlab.runs.task import canonical
from tests.strategies import examples

PAIR = {"name": "paper", "horizon": 50, "seed": 10}

WINDOWED = [
    Speculative(4),
    Speculative(4, bonus=True),
    Speculative(bonus=True),
    BlockSpeculative(4),
    BlockSpeculative(None),
    AdaptiveSpeculative([[1, 2], [2, 3]]),
    AdaptiveSpeculative([[1, 2], [2, 4]]),
    AdaptiveSpeculative(Policy([[1, 2], [2, 3]], bonus=False)),
    ConfidenceSpeculative(0.4, 4),
    ConfidenceSpeculative(0.4, 5),
    ConfidenceSpeculative(0.5, 4),
    ConfidenceSpeculative(0.5, 4, "entropy"),
    ConfidenceSpeculative(0.5, 4, "cumulative"),
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5).filter(lambda key: not key.startswith("$")), inner, max_size=3)
    ),
    max_leaves=8,
)


def test_the_id_is_the_hash_of_the_canonical_json():
    task = Task(PAIR, BatchSpeculative(4), seed=7, batch_size=1000)
    text = (
        '{"batch_size":1000,"decoder":{"drafts":4,"name":"batch"},'
        '"pair":{"horizon":50,"name":"paper","seed":10},"schema":1,"seed":7}'
    )
    assert canonical_json(task) == text
    assert task.id == task_id(task) == hashlib.sha256(text.encode()).hexdigest()
    biased = '{"epsilon":0.25,"name":"biased","replacement":"target"}'
    text = text.replace('{"drafts":4,"name":"batch"}', biased)
    assert canonical_json(Task(PAIR, BiasedSpeculative(0.25, "target"), 7, 1000)) == text


def test_equal_settings_have_one_id():
    task = Task(PAIR, BatchSpeculative(4), seed=7, batch_size=1000)
    others = [
        Task(dict(reversed(PAIR.items())), BatchSpeculative(4), 7, 1000),
        Task(
            {"name": "paper", "horizon": 50.0, "seed": np.int32(10)}, BatchSpeculative(np.int64(4)), 7, 1000
        ),
        Task({"name": np.str_("paper"), "horizon": np.float32(50), "seed": 10}, BatchSpeculative(4), 7, 1000),
        Task(PAIR, BatchSpeculative(4), np.uint8(7), np.int16(1000)),
        pickle.loads(pickle.dumps(task)),
    ]
    assert {other.id for other in others} == {task.id}
    assert set(others) == {task}
    biased = BiasedSpeculative(1, "draft"), BiasedSpeculative(np.float64(1.0), "draft")
    assert len({Task(PAIR, decoder).id for decoder in biased}) == 1
    assert Task({"x": -0.0}, Speculative()) == Task({"x": 0}, Speculative())
    assert Task({"x": (1, 2)}, Speculative()) == Task({"x": [1, 2]}, Speculative())


def test_every_change_changes_the_id():
    tasks = [
        Task(PAIR, BatchSpeculative(4), 7, 1000),
        Task(PAIR, BatchSpeculative(4), 8, 1000),
        Task(PAIR, BatchSpeculative(4), 7, 1001),
        Task(PAIR, BatchSpeculative(5), 7, 1000),
        Task(PAIR, Speculative(), 7, 1000),
        Task(PAIR, Autoregressive(), 7, 1000),
        Task(PAIR, BiasedSpeculative(0.1), 7, 1000),
        Task(PAIR, BiasedSpeculative(0.2), 7, 1000),
        Task(PAIR, BiasedSpeculative(0.1, "residual"), 7, 1000),
        *(Task(PAIR, decoder, 7, 1000) for decoder in WINDOWED),
        Task({**PAIR, "horizon": 51}, BatchSpeculative(4), 7, 1000),
        Task({**PAIR, "horizon": 50.5}, BatchSpeculative(4), 7, 1000),
        Task({**PAIR, "horizon": "50"}, BatchSpeculative(4), 7, 1000),
        Task({**PAIR, "horizon": None}, BatchSpeculative(4), 7, 1000),
        Task({**PAIR, "horizon": True}, BatchSpeculative(4), 7, 1000),
        Task({**PAIR, "horizon": math.inf}, BatchSpeculative(4), 7, 1000),
        Task({**PAIR, "horizon": -math.inf}, BatchSpeculative(4), 7, 1000),
        Task({**PAIR, "horizon": "inf"}, BatchSpeculative(4), 7, 1000),
    ]
    assert len({task.id for task in tasks}) == len(tasks)


@pytest.mark.parametrize(
    ("decoder", "begins"),
    [
        (Autoregressive(), "ba193f667f302dc2"),
        (Speculative(), "4a718b74883cb1dd80eae1fad09342ba21b15bdd3f368dcbc9b7abeb1ab43e17"),
        (BatchSpeculative(4), "a75874ec605f4c1e"),
        (BiasedSpeculative(0.1), "ebd2fd03db0b9368"),
        (TreeSpeculative(6), "30d7fa1ccf0a8d8e"),
        (BlockSpeculative(4), "ab10bee9ffd825b6"),  # of the second sampler
    ],
    ids=str,
)
def test_ids_are_those_of_the_ledgers_that_there_are(decoder, begins):
    """Frozen: as they were before any decoder had a window."""
    assert Task({"a": 1}, decoder).id.startswith(begins)


def test_a_policy_is_named_by_what_it_says():
    table = np.array([[1, 2], [0, 3]])
    others = [
        table.tolist(),
        table.astype(float),
        np.asfortranarray(table),
        Policy(table),
        Policy(table.astype("u1")),
    ]
    tasks = {Task(PAIR, AdaptiveSpeculative(other)) for other in others}
    assert len(tasks) == 1
    assert Policy(table).digest in canonical_json(tasks.pop())


@pytest.mark.processes
def test_the_id_is_the_same_in_another_process():
    task = Task({"ε": 0.1, "b": [1e300, 1e-5]}, Speculative(), 2**200)
    script = (
        "from simlab import Speculative; from simlab.runs import Task;"
        "print(Task({'b': (1e300, 0.00001), 'ε': 1/10}, Speculative(), 2**200).id)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONIOENCODING": "utf-8"}
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert output.stdout.strip() == task.id, output.stderr


@examples(60)
@given(json_values)
def test_the_canonical_form_is_its_own_canonical_form_and_survives_json(value):
    form = canonical(value, "value")
    assert canonical(form, "value") == form
    assert canonical(json.loads(json.dumps(form)), "value") == form


@given(
    st.dictionaries(st.text("abc", max_size=2), st.integers() | st.floats(-9, 9), max_size=3), st.integers(0)
)
def test_ids_agree_exactly_when_the_settings_are_equal(pair, seed):
    task = Task(pair, Speculative(), seed)
    spelled = {key: np.float64(value) if value == float(value) else value for key, value in pair.items()}
    assert Task(spelled, Speculative(), seed).id == task.id
    assert Task({**pair, "another": 0}, Speculative(), seed).id != task.id
    assert Task(pair, Speculative(), seed + 1).id != task.id


def test_a_task_keeps_its_own_copy_of_the_settings():
    settings = {"rows": [1, 2]}
    task = Task(settings, Speculative())
    identity = task.id
    settings["rows"].append(3)
    assert Task(task.pair, Speculative()).id == identity == task_id(task)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({"x": math.nan}, Speculative()), "pair.x = nan"),
        (({"x": [0, np.float32("nan")]}, Speculative()), r"pair.x\[1\] = nan"),
        (({"x": {1, 2}}, Speculative()), "pair.x is of type set"),
        (({"x": np.zeros(3)}, Speculative()), "pair.x is of type ndarray"),
        (({3: 1}, Speculative()), "the key 3"),
        (({"$x": 1}, Speculative()), "start with"),
        (("paper", Speculative()), "pair = 'paper'"),
        ((PAIR, "batch"), "'batch' is not a decoder"),
        ((PAIR, Speculative(), -1), "seed = -1"),
        ((PAIR, Speculative(), 1.0), "seed = 1.0"),
        ((PAIR, Speculative(), True), "seed = True"),
        ((PAIR, Speculative(), None), "seed = None"),
        ((PAIR, Speculative(), 0, 0), "batch_size = 0"),
    ],
)
def test_bad_settings_are_named(arguments, message):
    with pytest.raises(SimlabError, match=message):
        Task(*arguments)


def test_a_batch_has_its_own_random_numbers():
    task = Task(PAIR, Speculative(), seed=3)
    words = [int(task.id[start : start + 8], 16) for start in range(0, 64, 8)]
    by_hand = np.random.SeedSequence(3, spawn_key=(*words, 5))
    assert (task.seed_sequence(5).generate_state(8) == by_hand.generate_state(8)).all()
    states = {
        tuple(each.seed_sequence(batch).generate_state(8))
        for each in (task, Task(PAIR, Speculative(), seed=4), Task(PAIR, Autoregressive(), seed=3))
        for batch in range(20)
    }
    assert len(states) == 60
    assert len(Task(PAIR, Speculative(), 10**100).seed_sequence(0).generate_state(4)) == 4
    with pytest.raises(SimlabError, match="batch = -1"):
        task.seed_sequence(-1)


def test_the_limit_of_many_drafts_is_no_task():
    with pytest.raises(SimlabError, match="drafts = inf: the exact limit is for predict"):
        Task(PAIR, BatchSpeculative(math.inf))
