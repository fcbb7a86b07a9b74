"""Rows of probabilities as they are given: what their number type allows, how they are mended or refused.

A softmax computed in float32, float16 or bfloat16 does not sum to 1 in float64, and a user is not to be sent
away for it. Such rows are accepted where their sum is as near to 1 as their type can bring it, and are
divided by it in float64. Rows of float64 (and whole numbers) are taken as they are, and must sum to 1 within
1e-9.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.errors import SimlabError

ROW_SUM_TOLERANCE = 1e-9
"""How far a row's sum may lie from 1 in float64: far above rounding, far below a wrong model."""

_SUMMED_IN = 2.0**-24  # unit roundoff of float32, in which models of every narrower type take their sums
_LOGARITHM = 64  # nats: a row may have been a log-softmax in float32, rounded in proportion to its logarithms
_IF_LOGITS = "; if these are logits, take their softmax first, as ChainPair.from_logits does"


class _Type(NamedTuple):
    """A number type. roundoff: the largest relative rounding error; lost: the largest one below its range."""

    roundoff: float
    lost: float


FLOAT32 = _Type(2.0**-24, 2.0**-150)
FLOAT16 = _Type(2.0**-11, 2.0**-25)
BFLOAT16 = _Type(2.0**-8, 2.0**-134)


def as_array(value, name: str) -> np.ndarray:
    """`value` as an array of real numbers in its own type; bfloat16 as float32, which holds it exactly.

    Raises SimlabError for what is not a rectangular array of real numbers, and for masked arrays.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise SimlabError(f"{name} is a masked array: give every probability, {name}.filled(0) for instance")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise SimlabError(f"{name} is not a rectangular array: {_one_line(error)}") from error
    except (TypeError, RuntimeError) as error:  # a tensor of bfloat16, with a gradient, or on another device
        mend = f"give a NumPy array, for a torch tensor {name}.detach().float().cpu().numpy()"
        raise SimlabError(f"{name} cannot be read as an array ({_one_line(error)}): {mend}") from error
    if array.dtype.name == "bfloat16":  # of ml_dtypes, as JAX has it: NumPy itself has none
        return array.astype(np.float32)
    if array.dtype.kind not in "fiub":
        raise SimlabError(f"{name} has type {array.dtype}; expected real numbers")
    return array


def repeats(array: np.ndarray) -> bool:
    """Whether (T, V, V) is one step, seen T times."""
    return array.ndim == 3 and array.strides[0] == 0


def distributions(name: str, array: np.ndarray) -> tuple[np.ndarray, float]:
    """(the rows in float64, the largest |sum - 1| that was divided away), of an array (T, V, V) or (V,).

    Rows of types narrower than float64 are divided by their sums. Raises SimlabError, in one line that names
    the position and the value, for entries that are negative or not finite and for sums that the type does
    not allow (`allowance`); transposed arrays and logits are called what they are.
    """
    given = array[None, None] if array.ndim == 1 else array[:1] if repeats(array) else array
    rows = given.astype(np.float64, copy=False)
    allowed = allowance(given)
    with np.errstate(
        invalid="ignore", over="ignore"
    ):  # a non-finite entry is reported below, by its position
        sums = np.stack([step.sum(axis=-1) for step in rows])
        lows = np.stack([step.min(axis=-1) for step in rows])
    # NaN fails both comparisons; an infinite or negative entry fails one of them.
    good = (lows >= 0) & (np.abs(sums - 1) <= allowed)
    if not good.all():
        _refuse(name, array.dtype, rows, sums, good, allowed)
    correction = float(np.abs(sums - 1).max()) if _is_narrow(array.dtype) else 0.0
    if correction > 0:
        rows /= sums[..., None]
    return np.broadcast_to(rows[0], array.shape) if repeats(array) else rows.reshape(array.shape), correction


def allowance(rows: np.ndarray) -> float:
    """How far a row's sum may lie from 1, for rows (S, V, V) in their own type: 1e-9 in float64.

    Own, by standard error analysis. A softmax divides weights by their sum. The sum of V weights is taken in
    float32 or better, with relative error up to V 2^-24, and stored with relative error u, the unit roundoff
    of the type; the quotient errs by u again, and by an absolute amount below the type's range. Errors of the
    weights do not change the sum of the quotients. 64 roundings of float32 more are for rows that were
    log-probabilities on their way. float32 numbers that bfloat16 or float16 can hold, all of them, are taken
    to have been rounded to it.
    """
    if not _is_narrow(rows.dtype):
        return ROW_SUM_TOLERANCE
    states = rows.shape[-1]
    summing = min((states + _LOGARITHM) * _SUMMED_IN, 0.5)
    return max(
        (1 + kind.roundoff) / ((1 - kind.roundoff) * (1 - summing)) - 1 + states * kind.lost
        for kind in _types_of(rows)
    )


def _is_narrow(dtype: np.dtype) -> bool:
    return dtype.kind == "f" and dtype.itemsize < 8


def _types_of(rows: np.ndarray) -> list[_Type]:
    """The types that the numbers of float16 or float32 rows may have been rounded to."""
    if rows.dtype.itemsize == 2:
        return [FLOAT16]
    types = [FLOAT32]
    if not any((step.astype("<f4").view("<u4") & 0xFFFF).any() for step in rows):
        types.append(BFLOAT16)
    with np.errstate(over="ignore"):
        if all((step.astype(np.float16) == step).all() for step in rows):
            types.append(FLOAT16)
    return types


def _refuse(name, dtype, rows, sums, good, allowed) -> None:
    """Raises SimlabError for the first entry that is not a probability, or row that does not sum to 1."""
    t, x = (int(i) for i in np.argwhere(~good)[0])
    row = rows[t, x]
    where = "initial" if name == "initial" else f"{name}[t={t}, x={x}]"
    bad = np.flatnonzero(~(np.isfinite(row) & (row >= 0)))
    if bad.size:
        y = int(bad[0])
        entry = f"initial[{y}]" if name == "initial" else f"{name}[t={t}, x={x}, y={y}]"
        hint = "" if name == "initial" else _logit_hint(name, row)
        raise SimlabError(f"{entry} = {row[y]!s}: a probability is finite and not negative{hint}")
    whole = float(sums[t, x])
    if name != "initial" and _is_transposed(rows, sums):
        raise SimlabError(
            f"{name} looks transposed: its columns sum to 1 and its rows do not ({where} sums to {whole!r}); "
            f"{name}[t, x, y] is the probability of y after x: give np.swapaxes({name}, -1, -2)"
        )
    hint = _sum_hint(name, dtype, rows, sums)
    raise SimlabError(f"{where} sums to {whole!r}: expected 1 to within {allowed:.2g} in {dtype}{hint}")


def _is_transposed(rows: np.ndarray, sums: np.ndarray) -> bool:
    columns = max(float(np.abs(step.sum(axis=0) - 1).max()) for step in rows)
    return columns <= max(allowance(rows.astype(np.float32)), ROW_SUM_TOLERANCE) and bool(
        np.abs(sums - 1).max() > 10 * columns
    )


def _logit_hint(name: str, row: np.ndarray) -> str:
    """What a row with a negative entry may be instead; nothing for NaN, infinity and mere rounding."""
    if np.isnan(row).any() or row.max() == np.inf or row.min() > -1e-3:
        return ""
    if row.max() <= 0 and abs(np.exp(row).sum() - 1) < 0.05:
        return f"; these look like log-probabilities: give np.exp({name}), or use ChainPair.from_logits"
    return _IF_LOGITS


def _sum_hint(name: str, dtype: np.dtype, rows: np.ndarray, sums: np.ndarray) -> str:
    if rows.max() > 1 + 1e-3:
        whole = all((step == np.rint(step)).all() for step in rows)
        return "; for counts, divide each row by its sum" if whole else _IF_LOGITS
    if not _is_narrow(dtype):
        narrow = rows.astype(np.float32)
        if (narrow == rows).all() and np.abs(sums - 1).max() <= allowance(narrow):
            return f"; these are float32 numbers: give {name}.astype(np.float32), which is normalised"
        if np.abs(sums - 1).max() < 1e-3:
            return "; take the softmax in float64, or give the rows in the type they were computed in"
    return "; a row holds the probability of every next token"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
