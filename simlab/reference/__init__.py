"""The decoding algorithms, slow and obvious, in plain Python: what the compiled samplers are tested against.

One file per algorithm, each following the printed algorithm line by line. Nothing is shared with
`simlab.decoding`: agreement between the two is evidence.
"""

from __future__ import annotations

import functools
import math
import random

from simlab.decoders import (
    AdaptiveSpeculative,
    Autoregressive,
    BiasedSpeculative,
    BlockSpeculative,
    ConfidenceSpeculative,
    Decoder,
    Speculative,
    TreeSpeculative,
    decoder_name,
    is_plain,
)
from simlab.errors import SimlabError
from simlab.pairs.pair import ChainPair, check_count
from simlab.reference import autoregressive, batch, biased, speculative, tree, windows
from simlab.reference import block_verification as blockwise
from simlab.reference.draws import draw
from simlab.reference.trace import NOBODY, Recorder, Trajectory, Watcher

__all__ = ["simulate", "trace_one"]


def simulate(pair: ChainPair, decoder: Decoder, trajectories: int, rng) -> list[tuple[list[int], list[bool]]]:
    """Simulate trajectories one by one: a list of (tokens, rejected), T entries each. Of TreeSpeculative
    "rejected" are the bonus tokens.

    rng: a random.Random or a numpy Generator; its `random()` is the only source of randomness. Raises
    SimlabError for what is no decoder, for drafts = inf, for a policy that does not fit the pair, and for a
    number of trajectories below 1.
    """
    return _simulate(pair, decoder, check_count("trajectories", trajectories), rng, NOBODY)


def trace_one(pair: ChainPair, decoder: Decoder, seed: int = 0) -> Trajectory:
    """One trajectory with all that happened in it: each target call, its drafted tokens, their coins.

    The same tokens as `simulate(pair, decoder, 1, random.Random(seed))` gives: it is that algorithm, watched.
    Raises SimlabError as `simulate` does, and for a seed that is not a whole number >= 0.

        for call in simlab.trace_one(pair, simlab.Speculative(window=4, bonus=True), seed=1).calls:
            print(call.position, [(token.token, token.outcome) for token in call.drafted], call.tokens)
    """
    seed = check_count("seed", seed, least=0)
    if not isinstance(pair, ChainPair):
        raise SimlabError(f"pair is of type {type(pair).__name__}: give a simlab.ChainPair")
    recorder = Recorder(pair.draft.tolist(), pair.target.tolist())
    [(tokens, rejected)] = _simulate(pair, decoder, 1, random.Random(seed), recorder)
    return recorder.trajectory(tokens, rejected)


def _simulate(pair, decoder, trajectories: int, rng, watcher: Watcher) -> list[tuple[list[int], list[bool]]]:
    name = decoder_name(decoder)
    if name == "batch" and decoder.drafts == math.inf:
        raise SimlabError("drafts = inf: an exact limit; simulate needs a finite number")
    if isinstance(decoder, AdaptiveSpeculative):
        decoder.policy.check_fits(pair.horizon, pair.states)
    draft, target, initial = pair.draft.tolist(), pair.target.tolist(), pair.initial.tolist()
    if isinstance(decoder, TreeSpeculative):
        chooser = target if decoder.drafted_by == "target" else draft
        drafted = functools.cache(lambda time, token: tree.draft_tree(chooser, time, token, decoder))
    paths = []
    for _ in range(trajectories):
        start = draw(initial, rng)
        if isinstance(decoder, Autoregressive):
            paths.append(autoregressive.decode(target, start, rng, watcher))
        elif is_plain(decoder):
            paths.append(speculative.decode(draft, target, start, rng, watcher))
        elif isinstance(decoder, Speculative | AdaptiveSpeculative | ConfidenceSpeculative):
            paths.append(windows.decode(draft, target, start, decoder, rng, watcher))
        elif isinstance(decoder, BlockSpeculative):
            paths.append(blockwise.decode(draft, target, start, decoder, rng, watcher))
        elif isinstance(decoder, BiasedSpeculative):
            paths.append(biased.decode(draft, target, start, decoder, rng, watcher))
        elif isinstance(decoder, TreeSpeculative):
            paths.append(tree.decode(target, start, drafted, rng, watcher))
        else:
            paths.append(batch.decode(draft, target, start, decoder.drafts, rng, watcher))
    return paths
