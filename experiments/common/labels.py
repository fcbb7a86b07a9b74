"""What stands for each token in a figure."""

from __future__ import annotations

from simlab.experiments.common.settings import Settings
from simlab.pairs.corpus import alphabet
from simlab.report.treeplot import visible


def token_labels(settings: Settings, states: int) -> list[str]:
    """The character of each token on pair=corpus, else its number."""
    if settings.pair_name != "corpus":
        return [str(token) for token in range(states)]
    known = {
        key: settings.pair_options[key] for key in ("path", "max_states") if key in settings.pair_options
    }
    return visible(alphabet(**known))
