"""Old spellings of public names, which keep working."""

from __future__ import annotations


def old_name(name: str) -> property:
    """A property that reads the attribute `name`."""
    return property(lambda self: getattr(self, name), doc=f"The old name of `{name}`.")
