"""Which algorithm decodes: the settings of each decoding algorithm, its names, and its windows.

The settings stand apart from the samplers, the references and the theory because all three take them,
and none of the three may import another.
"""

from simlab.decoders.memory import (
    EmaSpeculative,
    HistorySpeculative,
    LadderSpeculative,
    Remembering,
    StreakSpeculative,
)
from simlab.decoders.multi_draft import RULES, MultiDraftSpeculative
from simlab.decoders.naming import (
    ALGORITHMS,
    DECODERS,
    algorithm,
    check_finite,
    decoder_label,
    decoder_name,
    decoder_options,
    entry_for,
    is_plain,
    module_for,
    shown_options,
    spelled_options,
    table_options,
    task_options,
)
from simlab.decoders.rule import RuleSpeculative, on_pair
from simlab.decoders.rule_tables import RuleTables, rule_answers
from simlab.decoders.settings import (
    DRAFTED_BY,
    REPLACEMENTS,
    SHAPES,
    AdaptiveSpeculative,
    Autoregressive,
    BatchSpeculative,
    BiasedSpeculative,
    BlockSpeculative,
    ConfidenceSpeculative,
    Decoder,
    Speculative,
    TreeSpeculative,
    Windowed,
)
from simlab.decoders.windows import call_sizes, drafted_by_calls, has_bonus, longest_window, most_drafted

__all__ = [
    "ALGORITHMS",
    "DECODERS",
    "DRAFTED_BY",
    "REPLACEMENTS",
    "RULES",
    "SHAPES",
    "AdaptiveSpeculative",
    "Autoregressive",
    "BatchSpeculative",
    "BiasedSpeculative",
    "BlockSpeculative",
    "ConfidenceSpeculative",
    "Decoder",
    "EmaSpeculative",
    "HistorySpeculative",
    "LadderSpeculative",
    "MultiDraftSpeculative",
    "Remembering",
    "RuleSpeculative",
    "RuleTables",
    "Speculative",
    "StreakSpeculative",
    "TreeSpeculative",
    "Windowed",
    "algorithm",
    "call_sizes",
    "check_finite",
    "decoder_label",
    "decoder_name",
    "decoder_options",
    "drafted_by_calls",
    "entry_for",
    "has_bonus",
    "is_plain",
    "longest_window",
    "module_for",
    "most_drafted",
    "on_pair",
    "rule_answers",
    "shown_options",
    "spelled_options",
    "table_options",
    "task_options",
]
