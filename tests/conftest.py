"""What every test shares: one BLAS thread a process, and how many examples Hypothesis tries."""

from __future__ import annotations

import os

# Before NumPy is imported: the processes of the suite have a core each, and sums do not hang on the cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

# No profile looks at the clock. `quick` and `ci` try the same examples in every run; `long` is a search by
# hand, which tries others each time and prints how to repeat what it found.
_NO_CLOCK = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": True}
settings.register_profile("quick", max_examples=6, derandomize=True, **_NO_CLOCK)
settings.register_profile("ci", max_examples=100, derandomize=True, **_NO_CLOCK)
settings.register_profile("long", max_examples=2000, **_NO_CLOCK)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_collection_modifyitems(items) -> None:
    """Ids are the same in every process, or pytest-xdist runs nothing: none has an object's address."""
    for item in items:
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid}: expected an id without an address; name it with ids=")
