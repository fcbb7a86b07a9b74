"""The policy of `decoder=adaptive`: the optimal one of a pair and a cost, or a table of windows in a file."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from simlab.checks import check_count, check_flag, integer_from_text
from simlab.cost import CostModel
from simlab.decoders.policy import LONGEST, Policy
from simlab.errors import SimlabError
from simlab.pairs import ChainPair

OPTIMAL = "optimal"
OPTIONS = ("policy", "bonus", "longest")


def policy_from(options: Mapping, pair: Callable[[], ChainPair], cost: CostModel) -> Policy:
    """The policy that `decoder.policy`, `decoder.bonus` and `decoder.longest` ask for, on the pair.

    pair: makes it. Raises SimlabError for other options, for files that hold no table of windows, and for a
    table of another pair.
    """
    if unknown := [key for key in options if key not in OPTIONS]:
        raise SimlabError(
            f"decoder adaptive has no option {', '.join(unknown)}: known are {', '.join(OPTIONS)}"
        )
    policy, bonus, longest = (options.get(key) for key in OPTIONS)
    bonus = check_flag("bonus", bonus)
    if policy == OPTIMAL:
        from simlab.theory import optimal_policy

        longest = None if longest is None else check_count("longest", longest)
        return optimal_policy(pair(), cost, bonus=bonus, longest=longest)
    if longest is not None:
        raise SimlabError(
            f"longest = {longest!r}: it limits policy={OPTIMAL}; a file's windows are as they are"
        )
    made, read = pair(), _read(policy, bonus)
    read.check_fits(made.horizon, made.states)
    return read


def _read(path, bonus: bool) -> Policy:
    """The table (T, V) of windows in a .npy or .csv file, a row a position. Raises SimlabError for anything
    else."""
    if not isinstance(path, str) or not path.endswith((".npy", ".csv")):
        raise SimlabError(
            f"policy = {path!r} is not valid; "
            f"expected {OPTIMAL}, or a file of a table (T, V) of windows, .npy or .csv"
        )
    path = os.path.expanduser(path)
    try:
        table = _read_csv(Path(path)) if path.endswith(".csv") else np.load(path, allow_pickle=False)
        return Policy(table, bonus)
    except SimlabError as error:
        raise SimlabError(f"{path}: {error}") from error
    except FileNotFoundError as error:
        raise SimlabError(f"no file {path}: give {OPTIMAL}, or the file of a table of windows") from error
    except (OSError, ValueError, EOFError) as error:
        raise SimlabError(
            f"{path} cannot be read: give a table (T, V) of windows, saved by numpy.save or as .csv"
        ) from error


def _read_csv(path: Path) -> list[list[int]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.reader(file)
        filled = (line for line in lines if any(cell.strip() for cell in line))
        return [[_window(cell, lines.line_num) for cell in line] for line in filled]


def _window(cell: str, line: int) -> int:
    try:
        value = integer_from_text(cell)
    except (ValueError, OverflowError) as error:
        raise SimlabError(f"line {line} has {cell[:40]!r}: give whole numbers, and no heading") from error
    if abs(value) > LONGEST:
        raise SimlabError(f"line {line} has {cell[:40]!r}: give whole numbers of at most {LONGEST}")
    return value
