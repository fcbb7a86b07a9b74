"""simlab predicts and simulates speculative decoding on Markov chains, and holds the two together.

    import simlab

    pair = simlab.pairs.paper(horizon=50)                       # or corpus(), dirichlet(), ... or your own
    exact = simlab.predict(pair, simlab.BatchSpeculative(drafts=4))
    counts = simlab.simulate(pair, simlab.BatchSpeculative(drafts=4), trajectories=1_000_000, seed=1)
    simlab.evidence.mean_verdict("E[N_rej]", counts.rejections, exact.expected_rejections, resolution=0.1)

The rooms: `pairs` is what is decoded, `traces` texts of real models, `decoders` by which algorithm, `rules`
are rules of acceptance by name, `laws` what random environments are drawn from, `theory` predicts, `planning`
says how long to draft, `decoding` simulates, `reference` does so slowly and obviously, `runs` runs many,
`evidence` judges, `report` shows.
"""

import importlib

from simlab import evidence, laws, pairs, rules
from simlab.cost import CostModel, TimeTable, read_times
from simlab.decoders import (
    AdaptiveSpeculative,
    Autoregressive,
    BatchSpeculative,
    BiasedSpeculative,
    BlockSpeculative,
    ConfidenceSpeculative,
    EmaSpeculative,
    HistorySpeculative,
    MultiDraftSpeculative,
    RuleSpeculative,
    Speculative,
    StreakSpeculative,
    TreeSpeculative,
)
from simlab.decoders.policy import Policy
from simlab.errors import SimlabError
from simlab.pairs import ChainPair
from simlab.planning import WindowPlan, plan
from simlab.predicting import predict
from simlab.reference import trace_one
from simlab.theory import (
    BestWindow,
    DraftTree,
    Prediction,
    best_window,
    optimal_policy,
    optimal_tree,
    sequence_total_variation,
)
from simlab.traces import Trace, TracePrediction

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
    "EmaSpeculative",
    "HistorySpeculative",
    "MultiDraftSpeculative",
    "Policy",
    "Prediction",
    "RuleSpeculative",
    "SimlabError",
    "Speculative",
    "StreakSpeculative",
    "TimeTable",
    "Trace",
    "TracePrediction",
    "TreeSpeculative",
    "WindowPlan",
    "audit",
    "best_window",
    "check_policy",
    "evidence",
    "laws",
    "optimal_policy",
    "optimal_tree",
    "pairs",
    "plan",
    "predict",
    "read_times",
    "rules",
    "sequence_total_variation",
    "simulate",
    "simulate_environments",
    "trace_one",
]


_LAZY = {
    "Counts": "simlab.decoding",
    "audit": "simlab.auditing",
    "check_policy": "simlab.auditing",
    "simulate": "simlab.runs",
    "simulate_environments": "simlab.runs",
}
_ROOMS = (
    "auditing",
    "decoders",
    "decoding",
    "experiments",
    "models",
    "planning",
    "reference",
    "report",
    "runs",
    "theory",
    "verify",
)


def __getattr__(name: str):
    # The samplers bring a compiler along, and figures a drawing library: only who asks waits for them.
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"simlab.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("simlab")
    raise AttributeError(f"module 'simlab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS, "__version__"} - {"importlib"})
