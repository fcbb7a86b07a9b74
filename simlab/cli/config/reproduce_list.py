"""What `simlab reproduce` makes: the experiments that the configuration lists."""

from __future__ import annotations

from simlab.cli.config.compose import compose_points
from simlab.errors import SimlabError


def base_configuration(words: list[str]) -> dict:
    """The configuration that the words make of the defaults. Raises SimlabError for a grid."""
    points = compose_points(words)
    if len(points) != 1:
        raise SimlabError("a grid belongs to simlab run: give single values here")
    return points[0]


def listed_experiments(words: list[str]) -> list[list[dict]]:
    """The configurations of each listed experiment's points.

    words: overrides that go on top of each experiment's own. Raises SimlabError if an entry is not a list.
    """
    listed = _listed(base_configuration(words)["reproduce"], words)
    return [compose_points(overrides) for overrides in listed]


def _listed(experiments, words: list[str]) -> list[list[str]]:
    """The overrides of each experiment, with those of the command line on top, each list once."""
    if not isinstance(experiments, list) or not experiments:
        raise SimlabError(f"reproduce = {experiments!r} is not valid; expected a list of lists of overrides")
    given = {word.lstrip("~+").partition("=")[0] for word in words}
    lists: dict[tuple[str, ...], None] = {}
    for listed in experiments:
        if not isinstance(listed, list) or not all(isinstance(word, str) for word in listed):
            raise SimlabError(
                f"reproduce: {listed!r} is not a list of overrides; expected e.g. [experiment=fig2]"
            )
        lists[(*(word for word in listed if word.partition("=")[0] not in given), *words)] = None
    return [list(overrides) for overrides in lists]
