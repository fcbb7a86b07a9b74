"""simlab predicts and simulates speculative decoding on Markov chains, and holds the two together.

    import simlab

    pair = simlab.pairs.paper(horizon=50)                       # or corpus(), dirichlet(), ... or your own
    exact = simlab.predict(pair, simlab.BatchSpeculative(drafts=4))
    counts = simlab.simulate(pair, simlab.BatchSpeculative(drafts=4), trajectories=1_000_000, seed=1)
    simlab.evidence.mean_verdict("E[N_rej]", counts.rejections, exact.expected_rejections, resolution=0.1)

The rooms: `pairs` is what is decoded, `decoders` by which algorithm, `laws` are what random environments are
drawn from, `theory` predicts, `planning` says how long to draft, `decoding` simulates, `reference` does so
slowly and obviously, `runs` runs many, `evidence` judges, `report` shows.
"""

from simlab import evidence, laws, pairs
from simlab.cost import CostModel
from simlab.decoders import (
    AdaptiveSpeculative,
    Autoregressive,
    BatchSpeculative,
    BiasedSpeculative,
    BlockSpeculative,
    ConfidenceSpeculative,
    Speculative,
    TreeSpeculative,
)
from simlab.decoders.policy import Policy
from simlab.errors import SimlabError
from simlab.pairs import ChainPair
from simlab.planning import WindowPlan, plan
from simlab.reference import trace_one
from simlab.theory import (
    BestWindow,
    DraftTree,
    Prediction,
    best_window,
    optimal_policy,
    optimal_tree,
    predict,
    sequence_total_variation,
)

__all__ = [
    "AdaptiveSpeculative",
    "Autoregressive",
    "BatchSpeculative",
    "BestWindow",
    "BiasedSpeculative",
    "BlockSpeculative",
    "ChainPair",
    "ConfidenceSpeculative",
    "CostModel",
    "Counts",
    "DraftTree",
    "Policy",
    "Prediction",
    "SimlabError",
    "Speculative",
    "TreeSpeculative",
    "WindowPlan",
    "best_window",
    "evidence",
    "laws",
    "optimal_policy",
    "optimal_tree",
    "pairs",
    "plan",
    "predict",
    "sequence_total_variation",
    "simulate",
    "simulate_environments",
    "trace_one",
]


def __getattr__(name: str):
    # The samplers bring a compiler along: only who simulates waits for it.
    if name in ("simulate", "simulate_environments"):
        from simlab import runs

        return getattr(runs, name)
    if name == "Counts":
        from simlab.decoding import Counts

        return Counts
    raise AttributeError(f"module 'simlab' has no attribute {name!r}")
