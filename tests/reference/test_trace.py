"""A trace is the reference's own trajectory, and what it tells of each call fits together."""

from __future__ import annotations

import dataclasses
import json
import random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import simlab
from simlab import reference
from simlab.decoders import DECODERS, REPLACEMENTS, RULES
from simlab.reference.tree import draft_tree
from tests.rules.examples import EVERY
from tests.strategies import pairs

WINDOWS = [None, 1, 2, 3]


@st.composite
def decoders(draw, pair: simlab.ChainPair, name: str):
    """Any settings of the decoder of that name, for the pair."""
    window = draw(st.sampled_from(WINDOWS))
    match name:
        case "autoregressive":
            return simlab.Autoregressive()
        case "speculative":
            return simlab.Speculative(window, draw(st.booleans()))
        case "batch":
            return simlab.BatchSpeculative(draw(st.integers(1, 4)))
        case "biased":
            return simlab.BiasedSpeculative(
                draw(st.sampled_from([0.0, 0.1, 1.0])), draw(st.sampled_from(REPLACEMENTS))
            )
        case "tree":
            shape, drafted_by = (
                draw(st.sampled_from(["tree", "chain"])),
                draw(st.sampled_from(["target", "draft"])),
            )
            return simlab.TreeSpeculative(draw(st.integers(1, 9)), drafted_by, shape)
        case "block":
            return simlab.BlockSpeculative(window)
        case "adaptive":
            seed = draw(st.integers(0, 99))
            windows = np.random.default_rng(seed).integers(0, 4, (pair.horizon, pair.states))
            return simlab.AdaptiveSpeculative(windows)
        case "multidraft":
            rule = draw(st.sampled_from(RULES))
            replacement = rule == "k-seq" or draw(st.booleans())
            drafts = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
            return simlab.MultiDraftSpeculative(drafts, rule, replacement, draw(st.booleans()))
        case "confidence":
            return simlab.ConfidenceSpeculative(draw(st.sampled_from([0.0, 0.3, 0.6, 1.0])), window)
        case "history":
            return simlab.HistorySpeculative(window or 4, draw(st.integers(0, 2)), 1, longest=4)
        case "streak":
            return simlab.StreakSpeculative(window or 4, draw(st.integers(1, 3)), longest=4)
        case "ema":
            return simlab.EmaSpeculative(window or 4, draw(st.sampled_from([0.1, 0.5, 1.0])), longest=4)
        case "ladder":
            return simlab.LadderSpeculative(window or 4, (1, 2, 3, 4), draw(st.sampled_from([0.2, 1.0])))
        case "rule":
            rule = draw(st.sampled_from(EVERY))
            return simlab.RuleSpeculative(rule, window, draw(st.booleans()))
    raise AssertionError(f"no strategy for the decoder {name}")


@st.composite
def traced(draw, name: str):
    """(pair, decoder, trace) of the decoder of that name."""
    pair = draw(pairs())
    decoder, seed = draw(decoders(pair, name)), draw(st.integers(0, 10**6))
    return pair, decoder, simlab.trace_one(pair, decoder, seed=seed), seed


@pytest.mark.parametrize("name", DECODERS)
@given(data=st.data())
def test_a_trace_is_the_references_trajectory(name, data):
    pair, decoder, trace, seed = data.draw(traced(name))
    [(tokens, rejected)] = reference.simulate(pair, decoder, 1, random.Random(seed))
    assert list(trace.tokens) == tokens and list(trace.rejected) == rejected
    assert trace.rejections == sum(rejected)
    assert trace == simlab.trace_one(pair, decoder, seed)


@pytest.mark.parametrize("name", DECODERS)
@given(data=st.data())
def test_its_calls_fit_together(name, data):
    pair, _, trace, _ = data.draw(traced(name))
    tokens = []
    for call in trace.calls:
        assert call.position == len(tokens) and call.prefix == (tokens[-1] if tokens else trace.start)
        assert call.tokens[: call.accepted] == _accepted(call)
        tokens += call.tokens
        drawn = call.replacement or call.bonus
        assert len(call.tokens) == call.accepted + (drawn is not None) >= 1
        if drawn:
            assert (drawn.position, drawn.token) == (len(tokens) - 1, tokens[-1])
            assert drawn.distribution[drawn.token] > 0 and sum(drawn.distribution) == pytest.approx(1)
            assert min(drawn.distribution) >= 0 and len(drawn.distribution) == pair.states
        assert not (call.replacement and call.bonus)
        flags = trace.rejected[call.position : len(tokens)]
        last = (call.bonus if name == "tree" else call.replacement) is not None
        assert flags == (False,) * (len(flags) - 1) + (last,)
        if call.bonus:
            before = tokens[-2] if len(tokens) > 1 else trace.start
            assert call.bonus.distribution == pytest.approx(pair.target[len(tokens) - 1, before], rel=1e-12)
        for path, drafted in _paths(call, name):
            assert drafted.position == call.position + len(path) - 2
            chances = drafted.draft_probability, drafted.target_probability
            step = drafted.position, *path[-2:]
            assert chances == (pair.draft[step], pair.target[step])
    assert tuple(tokens) == trace.tokens and len(tokens) == pair.horizon


def _accepted(call) -> tuple[int, ...]:
    return tuple(one.token for one in call.drafted if one.outcome == "accepted")


def _paths(call, name):
    """Each drafted token with the tokens before it, from the prefix on."""
    paths = []
    for number, drafted in enumerate(call.drafted):
        parent = drafted.parent
        if name == "multidraft":  # of the child that was accepted at the position before
            parent = max((i for i in range(number) if _is_before(call.drafted[i], drafted)), default=-1)
        elif name != "tree":
            parent = number - 1 if drafted.position > call.position else -1
        paths.append(((*(paths[parent][0] if parent >= 0 else (call.prefix,)), drafted.token), drafted))
    return paths


def _is_before(one, drafted) -> bool:
    return one.outcome == "accepted" and one.position == drafted.position - 1


@pytest.mark.parametrize("name", ["speculative", "batch", "biased", "adaptive", "confidence"])
@given(data=st.data())
def test_a_token_is_accepted_where_its_coin_is_below_its_ratio(name, data):
    _, decoder, trace, _ = data.draw(traced(name))
    extra = decoder.epsilon if name == "biased" else 0.0
    for call in trace.calls:
        stopped, refused = set(), 0  # drafts in which one was rejected; those refused at their first token
        for one in call.drafted:
            turn = one.draft not in stopped and one.draft == refused
            assert (one.coin is not None) == (one.acceptance is not None) == turn
            if not turn:
                assert one.outcome == "thrown away"
                continue
            assert one.outcome == ("accepted" if one.coin < one.acceptance else "rejected")
            if one.outcome == "rejected":
                stopped.add(one.draft)
                refused += one.position == call.position
            if one.residual_target is None:
                ratio = (one.target_probability + extra) / one.draft_probability
                assert one.acceptance == min(1.0, ratio) and (extra or ratio == one.ratio)
        tried = [one.outcome for one in call.drafted if one.coin is not None]
        assert (call.replacement is not None) == (tried[-1:] == ["rejected"])
        if call.bonus:
            assert "rejected" not in tried and not call.thrown_away


@given(data=st.data())
def test_each_try_of_batch_decoding_has_the_residual_of_the_one_before(data):
    pair, _, trace, _ = data.draw(traced("batch"))
    for call in trace.calls:
        goal = pair.target[call.position, call.prefix]
        distribution = pair.draft[call.position, call.prefix]
        for one in call.drafted:
            if one.position > call.position or one.coin is None:
                assert one.residual_target is None
                continue
            assert one.residual_target == pytest.approx(goal, rel=1e-12)
            assert one.acceptance == min(1.0, one.residual_target[one.token] / one.draft_probability)
            if one.outcome == "rejected":
                rest = np.maximum(np.array(one.residual_target) - distribution, 0.0)
                goal = rest / rest.sum()
        if call.replacement and call.replacement.position == call.position:
            assert call.replacement.distribution == pytest.approx(goal, rel=1e-12)


@given(data=st.data())
def test_a_blocks_length_is_the_last_one_that_its_coin_allows(data):
    _, _, trace, _ = data.draw(traced("block"))
    for call in trace.calls:
        running = 1.0
        for one in call.drafted:
            running = min(running * one.target_probability / one.draft_probability, 1.0)
            assert one.running_ratio == running
        if call.drafted:
            assert call.drafted[-1].acceptance == running
        allowed = [i for i, one in enumerate(call.drafted, start=1) if one.coin < one.acceptance]
        assert call.accepted == max(allowed, default=0)
        outcomes = [one.outcome for one in call.drafted]
        beyond = len(outcomes) - call.accepted
        assert outcomes == ["accepted"] * call.accepted + ["rejected", *["thrown away"] * beyond][:beyond]
        assert (call.bonus is not None) == (beyond == 0)


@given(data=st.data())
def test_a_trees_nodes_are_the_drafted_ones_and_the_walk_ends_where_it_must(data):
    pair, decoder, trace, _ = data.draw(traced("tree"))
    chooser = (pair.target if decoder.drafted_by == "target" else pair.draft).tolist()
    for call in trace.calls:
        nodes = [path[1:] for path, _ in _paths(call, "tree")]
        assert nodes == draft_tree(chooser, call.position, call.prefix, decoder)
        walked = [node for node, one in zip(nodes, call.drafted, strict=True) if one.outcome == "accepted"]
        assert walked == [call.tokens[:depth] for depth in range(1, call.accepted + 1)]
        assert (call.bonus is None) == (call.tokens in nodes)


def test_a_biased_decoders_replacement_is_the_one_it_asks_for():
    pair = simlab.ChainPair.stationary([[0.9, 0.1]] * 2, [[0.2, 0.8]] * 2, [1.0, 0.0], horizon=8)
    distributions = {"target": (0.2, 0.8), "draft": (0.9, 0.1), "residual": (0, 1), "optimal": (0, 1)}
    for replacement, distribution in distributions.items():
        trace = simlab.trace_one(pair, simlab.BiasedSpeculative(0.1, replacement), seed=2)
        drawn = [call.replacement.distribution for call in trace.calls if call.replacement]
        assert drawn and all(one == pytest.approx(distribution) for one in drawn)


@given(data=st.data())
def test_a_trace_goes_through_json(data):
    _, _, trace, _ = data.draw(traced(data.draw(st.sampled_from(list(DECODERS)))))
    document = dataclasses.asdict(trace)
    assert json.loads(json.dumps(document)) == json.loads(json.dumps(document, allow_nan=False))
    assert json.loads(json.dumps(document))["tokens"] == list(trace.tokens)


@given(data=st.data())
def test_a_ratio_is_targets_over_drafts(data):
    _, _, trace, _ = data.draw(traced("speculative"))
    assume(trace.calls[0].drafted)
    one = trace.calls[0].drafted[0]
    assert one.ratio == one.target_probability / one.draft_probability
    assert dataclasses.replace(one, draft_probability=0.0).ratio == float("inf")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"decoder": simlab.BatchSpeculative(float("inf"))}, "inf"),
        ({"decoder": "speculative"}, "decoder"),
        ({"pair": np.eye(2)}, "expected a simlab.ChainPair"),
        ({"seed": -1}, "seed"),
        ({"seed": 0.5}, "seed"),
        ({"decoder": simlab.AdaptiveSpeculative([[1, 1]])}, "policy"),
    ],
    ids=str,
)
def test_refuses_what_it_cannot_trace(arguments, words):
    given = {"pair": simlab.pairs.paper(horizon=3), "decoder": simlab.Speculative(), **arguments}
    with pytest.raises(simlab.SimlabError, match=words):
        simlab.trace_one(**given)
