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

from simlab.errors import SimlabError

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
    "LadderSpeculative",
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


_HOMES = {
    "AdaptiveSpeculative": "simlab.decoders",
    "Autoregressive": "simlab.decoders",
    "BatchSpeculative": "simlab.decoders",
    "BestWindow": "simlab.theory",
    "BiasedSpeculative": "simlab.decoders",
    "BlockSpeculative": "simlab.decoders",
    "ChainPair": "simlab.pairs",
    "ConfidenceSpeculative": "simlab.decoders",
    "CostModel": "simlab.cost",
    "Counts": "simlab.decoding",
    "DraftTree": "simlab.theory",
    "EmaSpeculative": "simlab.decoders",
    "HistorySpeculative": "simlab.decoders",
    "LadderSpeculative": "simlab.decoders",
    "MultiDraftSpeculative": "simlab.decoders",
    "Policy": "simlab.decoders.policy",
    "Prediction": "simlab.theory",
    "RuleSpeculative": "simlab.decoders",
    "Speculative": "simlab.decoders",
    "StreakSpeculative": "simlab.decoders",
    "TimeTable": "simlab.cost",
    "Trace": "simlab.traces",
    "TracePrediction": "simlab.traces",
    "TreeSpeculative": "simlab.decoders",
    "WindowPlan": "simlab.planning",
    "audit": "simlab.auditing",
    "best_window": "simlab.theory",
    "check_policy": "simlab.auditing",
    "optimal_policy": "simlab.theory",
    "optimal_tree": "simlab.theory",
    "plan": "simlab.planning",
    "predict": "simlab.predicting",
    "read_times": "simlab.cost",
    "sequence_total_variation": "simlab.theory",
    "simulate": "simlab.runs",
    "simulate_environments": "simlab.runs",
    "trace_one": "simlab.reference",
}
_ROOMS = (
    "auditing",
    "cost",
    "decoders",
    "decoding",
    "evidence",
    "experiments",
    "laws",
    "models",
    "pairs",
    "planning",
    "reference",
    "report",
    "rules",
    "runs",
    "theory",
    "traces",
    "verify",
)


def __getattr__(name: str):
    # Samplers bring a compiler along, figures a drawing library, and the theory many modules: only who asks
    # waits for them.
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("simlab")
    if not name.startswith("_"):
        try:
            return importlib.import_module(f"simlab.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"simlab.{name}":
                raise
    raise AttributeError(f"module 'simlab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS, "__version__"} - {"importlib"})
