"""What a user gives as data, as a finite floating matrix of NumPy's."""

import numbers
import re
from typing import Any

import jax
import numpy as np

from aesparse.errors import InputError
from aesparse.options import shortened

__all__ = ["as_array", "check_matrix"]

_EXACT = 2**24  # float32 holds all integers up to it
_EXACT_IN_COLUMNS = 2**53  # as float64 does, which integers next to floats in a frame become
_LONGEST = 300  # characters of another library's message
# What pandas, with NumPy's, its own and Arrow's columns, and polars call columns of numbers.
_NUMBERS = re.compile(r"(u?int\d+|float\d*|half|double|bool(ean)?)(\[pyarrow\])?")


def as_array(X: Any, what: str) -> np.ndarray:
    """`X` as NumPy's array; `InputError` where it is masked, sparse or no array.

    Of a data frame of pandas or polars all columns must be numbers or booleans, none missing.
    """
    if any(map(np.ma.isMaskedArray, X if isinstance(X, list | tuple) else [X])):
        raise InputError(
            f"{what} is a masked array, whose mask would be lost; expected an array [N, n]. Fill "
            "the masked entries or drop their rows first."
        )
    for call in ("toarray", "todense"):
        if hasattr(X, call):
            raise InputError(
                f"{what} is a sparse {type(X).__name__}; expected an array [N, n]. Call .{call}()."
            )
    if hasattr(X, "train") and hasattr(X, "heldout"):
        raise InputError(f"{what} is a Dataset; expected its rows. Give .train or .heldout.")
    if hasattr(X, "collect"):
        raise InputError(f"{what} is a lazy {type(X).__name__}; call .collect() first.")
    try:
        return _frame(X, what) if hasattr(X, "dtypes") and hasattr(X, "columns") else np.asarray(X)
    except InputError:
        raise
    except Exception as error:  # other libraries' arrays refuse with exceptions of their own
        if isinstance(X, jax.core.Tracer):
            raise InputError(
                f"{what} is traced, inside jax.jit, vmap or grad, and has no values yet; call this "
                "outside of them."
            ) from None
        reason = " ".join(str(error).split())[:_LONGEST] or type(error).__name__
        raise InputError(
            f"{what} is a {type(X).__name__} that cannot be converted ({reason}); expected an "
            "array [N, n], such as a Dataset's train."
        ) from None


def _frame(X: Any, what: str) -> np.ndarray:
    """The columns of a data frame, of which NumPy's own conversion makes objects in some cases."""
    columns = []
    for i, (name, kind) in enumerate(zip(X.columns, X.dtypes, strict=True)):
        which = f"in the column {shortened(name)} ({kind})"
        if not _NUMBERS.fullmatch(str(kind).lower()):
            raise InputError(f"{what} holds no numbers {which}; drop or convert it first.")
        column = X.iloc[:, i] if hasattr(X, "iloc") else X[:, i]
        if (column.isna() if hasattr(column, "isna") else column.is_null()).any():
            raise InputError(f"{what} misses values {which}; fill them or drop their rows first.")
        values = np.asarray(column)
        values = np.asarray(values.tolist()) if values.dtype == object else values
        _check_integers(values, f"{what}, {which},", _EXACT_IN_COLUMNS, "float64")
        columns.append(values)
    return np.column_stack(columns) if columns else np.empty((len(X), 0))


def check_matrix(X: Any, what: str = "The data") -> np.ndarray:
    """`X` as a finite floating [N, n] with at least one sample and input; `InputError` otherwise.

    float32 and float64 stay as they are, in the machine's byte order. float16, bfloat16, booleans
    (as 0 and 1) and integers become float32, which holds them exactly; integers beyond ±2²⁴, which
    it may not hold, are refused. Data frames of pandas and polars are taken if all their columns
    are numbers, nullable ones if nothing is missing; sparse matrices, masked arrays and tensors
    that require a gradient are refused with the call that makes an array of them. `what` begins the
    sentence of an error, "The data" by default.

    >>> check_matrix([[1, 2], [3, 4]]).dtype
    dtype('float32')
    >>> try:
    ...     check_matrix([[1.0, "two"]])
    ... except InputError as error:
    ...     print(str(error).split(";")[0])
    The data has dtype <U32
    """
    given, X = type(X).__name__, as_array(X, what)
    if X.ndim == 0 and given != "ndarray":
        raise InputError(
            f"{what} is a {given}; expected an array [N, n], such as a Dataset's train."
        )
    if X.dtype.names is not None:
        raise InputError(
            f"{what} has named fields {X.dtype.names}; expected an array [N, n]. Call "
            "numpy.lib.recfunctions.structured_to_unstructured."
        )
    if X.ndim != 2 or 0 in X.shape:
        raise InputError(
            f"{what} has shape {X.shape}; expected [N, n] with at least one sample and one "
            "input. Flatten images to rows first."
        )
    try:
        X = _as_floating(X, what)
        bad = ~np.isfinite(X)
    except MemoryError:
        raise InputError(
            f"{what} of shape {X.shape} does not fit in memory; expected fewer rows or inputs."
        ) from None
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise InputError(
            f"{what} holds {bad.sum()} values that are NaN or inf, the first at row {row}, "
            f"column {column}; expected finite numbers. Clean the data first."
        )
    return X


def _check_integers(X: np.ndarray, what: str, exact: int, kind: str) -> None:
    if X.dtype.kind in "iu" and X.size and (X.max() > exact or X.min() < -exact):
        raise InputError(
            f"{what} holds integers beyond ±{exact}, which {kind} does not hold exactly; scale "
            "them, or convert them to float64 first."
        )


def _as_floating(X: np.ndarray, what: str) -> np.ndarray:
    _check_integers(X, what, _EXACT, "float32")
    native = X.dtype.newbyteorder("=")
    if X.dtype.kind in "biu" or native == np.float16 or X.dtype.name == "bfloat16":
        return X.astype(np.float32)
    if native not in (np.float32, np.float64):
        raise InputError(
            f"{what} has dtype {X.dtype}{_first_object(X)}; expected floating point, float32 or "
            "float64. Convert it first, such as by X.astype(np.float32)."
        )
    return X.astype(native, copy=False)


def _first_object(X: np.ndarray) -> str:
    """Where an array of objects holds the first one that is no number."""
    if X.dtype == object:
        for i, value in enumerate(X.flat):
            if not isinstance(value, numbers.Real):
                row, column = divmod(i, X.shape[1])
                return f" with {shortened(value)} in row {row}, column {column}"
    return ""
