"""Old spellings of public names, which keep working."""

from __future__ import annotations


def old_name(name: str) -> property:
    """A property that reads the attribute `name`."""
    return property(lambda self: getattr(self, name), doc=f"The old name of `{name}`.")


class ByPlace:
    """What counts and predictions have by position in the window, under the names it had before."""

    drafted_by_place = old_name("drafted_by_position")
    reached_by_place = old_name("reached_by_position")
    accepted_by_place = old_name("accepted_by_position")
    acceptance_length_by_place = old_name("acceptance_length_by_position")
    acceptance_rate_by_place = old_name("acceptance_rate_by_position")
    conditional_acceptance_by_place = old_name("conditional_acceptance_by_position")
