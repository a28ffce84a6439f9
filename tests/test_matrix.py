"""What is given as data: taken as a matrix, or refused with what to do."""

import jax.experimental.sparse as jsparse
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from aesparse import data
from aesparse.errors import InputError

A = np.arange(6.0).reshape(3, 2)


def frame(dtype: str) -> pd.DataFrame:
    return pd.DataFrame({"a": pd.array([0, 2, 4], dtype=dtype), "b": [1.0, 3.0, 5.0]})


TAKEN = {
    "big-endian": A.astype(">f8"),
    "big-endian integers": A.astype(">i2"),
    "big-endian half": A.astype(">f2"),
    "half": A.astype(np.float16),
    "bytes": A.astype(np.uint8),
    "rows": A.tolist(),
    "Fortran order": np.asfortranarray(A),
    "data frame": pd.DataFrame(A),
    "columns of one name": pd.DataFrame(A, columns=["a", "a"]),
    "nullable integers": frame("Int64"),
    "nullable floats": frame("Float32"),
}


@pytest.mark.parametrize("case", TAKEN)
def test_numbers_are_taken_however_they_are_stored(case):
    X = data.check_matrix(TAKEN[case])
    assert X.dtype in (np.float32, np.float64)
    assert X.dtype.isnative
    np.testing.assert_array_equal(X, A)


def test_nullable_booleans_are_zeros_and_ones():
    X = data.check_matrix(pd.DataFrame({"a": pd.array([True, False], dtype="boolean")}))
    np.testing.assert_array_equal(X, [[1], [0]])


def test_columns_of_arrow_and_frames_of_polars_are_taken():
    pytest.importorskip("pyarrow")
    for kind in ("int64[pyarrow]", "double[pyarrow]"):
        np.testing.assert_array_equal(data.check_matrix(frame(kind)), A)
    pl = pytest.importorskip("polars")
    np.testing.assert_array_equal(
        data.check_matrix(pl.DataFrame({"a": [0, 2, 4], "b": A[:, 1]})), A
    )
    with pytest.raises(InputError, match="'b'"):
        data.check_matrix(pl.DataFrame({"a": [1], "b": [None]}, schema={"a": int, "b": float}))
    with pytest.raises(InputError, match=r"\.collect\(\)"):
        data.check_matrix(pl.LazyFrame({"a": [1]}))


REFUSED = {
    "text column": (pd.DataFrame({"a": [1, 2], "kind": ["u", "v"]}), "'kind'"),
    "column of objects": (pd.DataFrame({"a": [1, 2], "mixed": [1, "v"]}), "'mixed'"),
    "categories": (pd.DataFrame({"c": pd.Categorical(["u", "v"])}), "'c'"),
    "dates": (pd.DataFrame({"day": pd.to_datetime(["2020-01-01"])}), "'day'"),
    "a value missing": (pd.DataFrame({"n": pd.array([1, None], dtype="Int64")}), "'n'"),
    "an integer that a column of floats rounds": (
        pd.DataFrame({"id": [2**60 + 1, 2], "x": [0.5, 1.5]}),
        "'id'",
    ),
    "an integer that another kind of integer rounds": (
        pd.DataFrame({"id": np.array([2**60 + 1], "u8"), "x": np.array([-1], "i8")}),
        "'id'",
    ),
    "no columns": (pd.DataFrame(), r"\(0, 0\)"),
    "objects": (np.array([[1.0, "x"]], object), "'x' in row 0, column 1"),
    "fields": (np.zeros(3, [("width", float)]), "width"),
    "sparse": (scipy.sparse.csr_array(A), r"\.toarray\(\)"),
    "sparse of JAX": (jsparse.BCOO.fromdense(A), r"\.todense\(\)"),
    "rows with a mask": ([np.ma.masked_array([1.0, 2.0], [0, 1])], "masked"),
    "mapping": ({"a": 1}, "dict"),
    "bytes object": (b"data", "bytes"),
    "more than the memory": (np.broadcast_to(np.float64(1), (10**7, 10**7)), "memory"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_matrix_of_numbers_is_named(case):
    given, named = REFUSED[case]
    with pytest.raises(InputError, match=named) as caught:
        data.check_matrix(given)
    assert len(str(caught.value).splitlines()) == 1


def test_a_fault_of_our_own_is_no_sentence_about_the_memory(monkeypatch):
    monkeypatch.setattr(np, "isfinite", lambda X: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        data.check_matrix(A)


def test_a_tensor_that_requires_a_gradient_is_refused_with_the_call_that_frees_it():
    torch = pytest.importorskip("torch")
    tensor = torch.ones(2, 2, requires_grad=True)
    with pytest.raises(InputError, match=r"detach\(\)"):
        data.check_matrix(tensor)
    np.testing.assert_array_equal(data.check_matrix(tensor.detach()), 1)


def test_masked_arrays_are_refused(rng):
    X = np.ma.masked_array(rng.normal(size=(20, 4)), mask=False)
    X[3, 2] = 9999.0
    X[3, 2] = np.ma.masked
    scaler = data.standardize(X.filled(0.0))
    for use in (data.standardize, data.whiten, data.check_matrix, scaler):
        with pytest.raises(InputError, match="masked"):
            use(X)
