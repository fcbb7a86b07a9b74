"""RECORDS what real language models do: traces, and the decoders themselves, run.

The only room that imports torch and transformers, and only when a model is loaded (pip install
'simlab[models]'). `Recorder` and what is read from files need neither.
"""

from simlab.models.drafts import DraftSettings
from simlab.models.observation import Extras
from simlab.models.own_texts import own_text_verdicts
from simlab.models.prompts import BUNDLED, Prompt, read_prompts
from simlab.models.recorder import Recorder
from simlab.models.recording import record
from simlab.models.running import run_decoders
from simlab.models.runs import Run, bundled_run_names, bundled_runs, read_runs
from simlab.models.settings import RecordSettings
from simlab.models.tree_files import RecordedTrees, bundled_tree_names, bundled_trees, read_trees
from simlab.models.trees import record_trees
from simlab.models.truth import truth_verdicts

__all__ = [
    "BUNDLED",
    "DraftSettings",
    "Extras",
    "Prompt",
    "RecordSettings",
    "RecordedTrees",
    "Recorder",
    "Run",
    "bundled_run_names",
    "bundled_runs",
    "bundled_tree_names",
    "bundled_trees",
    "own_text_verdicts",
    "read_prompts",
    "read_runs",
    "read_trees",
    "record",
    "record_trees",
    "run_decoders",
    "truth_verdicts",
]
