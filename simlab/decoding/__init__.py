"""SIMULATES: compiled samplers of the decoding algorithms, one file each. Never predicts.

A pair and a decoder become tables once (`build_tables`); tables, a number of trajectories and a seed become
integer counts (`simulate_batch`), the same on every machine. Importing this package does not import numba:
the samplers are loaded when one of their names is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simlab.decoding.counts import Counts

if TYPE_CHECKING:
    from simlab.decoding.simulate import Paths, Tables, build_tables, sample_paths, simulate_batch

__all__ = ["Counts", "Paths", "Tables", "build_tables", "sample_paths", "simulate_batch"]


def __getattr__(name: str):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from simlab.decoding import simulate

    globals().update({each: getattr(simulate, each) for each in __all__})
    return globals()[name]
