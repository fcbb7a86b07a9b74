"""The decoding algorithms, slow and obvious, in plain Python: what the compiled samplers are tested against.

One file per algorithm, each following the printed algorithm line by line. Nothing is shared with
`simlab.decoding`: agreement between the two is evidence.
"""

from __future__ import annotations

import random

from simlab.decoders import Decoder, check_finite, module_for, on_pair
from simlab.pairs.pair import ChainPair, check_count, check_pair
from simlab.reference.draws import Chains, draw
from simlab.reference.trace import NOBODY, Recorder, Trajectory, Watcher

__all__ = ["REFERENCES", "simulate", "trace_one"]

REFERENCES = {
    "autoregressive": "simlab.reference.autoregressive",
    "horizon": "simlab.reference.speculative",
    "windows": "simlab.reference.windows",
    "memory": "simlab.reference.memory",
    "block": "simlab.reference.block_verification",
    "batch": "simlab.reference.batch",
    "biased": "simlab.reference.biased",
    "tree": "simlab.reference.tree",
    "rule": "simlab.reference.rule",
    "rule windows": "simlab.reference.rule",
    "multidraft": "simlab.reference.multi_draft",
}
"""By algorithm, the module with its `decode(chains, start, decoder, rng, watcher) -> (tokens, rejected)`."""


def simulate(pair: ChainPair, decoder: Decoder, trajectories: int, rng) -> list[tuple[list[int], list[bool]]]:
    """Simulate trajectories one by one: a list of (tokens, rejected), T entries each. Of TreeSpeculative
    "rejected" are the bonus tokens.

    rng: a random.Random or a numpy Generator; its `random()` is the only source of randomness. Raises
    SimlabError if it is not a decoder or has no reference, for drafts = inf, for a policy that does not fit
    the pair, and for a number of trajectories below 1.
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
    check_pair(pair)
    recorder = Recorder(pair.draft.tolist(), pair.target.tolist())
    [(tokens, rejected)] = _simulate(pair, decoder, 1, random.Random(seed), recorder)
    return recorder.trajectory(tokens, rejected)


def _simulate(pair, decoder, trajectories: int, rng, watcher: Watcher) -> list[tuple[list[int], list[bool]]]:
    check_finite(decoder)
    decode, decoder = module_for(decoder, REFERENCES, "reference").decode, on_pair(decoder, pair)
    chains, initial = Chains(pair.draft.tolist(), pair.target.tolist()), pair.initial.tolist()
    return [decode(chains, draw(initial, rng), decoder, rng, watcher) for _ in range(trajectories)]
