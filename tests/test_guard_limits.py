"""What the numerics guard takes for rounding, and what for a disagreement."""

import numpy as np
import pytest

from aesparse.training import guard


def test_a_small_leaf_is_judged_against_the_whole_gradient():
    ones, zeros = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)
    loss = np.full(2, 1e6, np.float32)  # however large, it hides no wrong gradient

    def state(a, b):
        return {"momentum": {"a": a, "b": b}, "losses": {"loss": loss}}

    whole = state(ones, zeros)
    assert guard.compare(state(ones, zeros + np.float32(1e-9)), whole) < guard.LIMITS["float32"]
    with pytest.raises(guard.NumericsError, match=r"'momentum.b' of model 0"):
        guard.compare(state(ones, zeros + np.float32(1e-3)), whole)
    with pytest.raises(guard.NumericsError, match=r"'momentum.a' of model 0"):
        guard.compare(state(ones * np.float32(1.001), zeros), whole)
    with pytest.raises(guard.NumericsError):
        guard.compare(state(np.full((2, 3), np.nan, np.float32), zeros), whole)


def test_a_row_wrong_on_one_batch_only_is_rounding():
    right, wrong = np.array([[0.0, 1e-7]]), np.array([[1e-2, 1e-7]])
    both = guard.smaller({"a": wrong}, {"a": right})
    assert guard.judge(both, 1e-4) == 1e-7
    with pytest.raises(guard.NumericsError, match="row 0"):
        guard.judge(guard.smaller({"a": wrong}, {"a": wrong}), 1e-4)


@pytest.mark.parametrize(
    ("precision", "passes"), [("highest", 1e-5), ("tensorfloat32", 1e-3), ("bfloat16", 2e-2)]
)
def test_the_limit_belongs_to_the_precision_of_the_products(precision, passes):
    """Between one unit of rounding of a factor and the error of a wrong gradient, which is 1."""
    ones = {"momentum": np.ones((2, 3), np.float32)}

    def off(share):
        return {"momentum": ones["momentum"] * np.float32(1 + share)}

    assert guard.compare(off(passes), ones, precision) > 0
    with pytest.raises(guard.NumericsError):
        guard.compare(off(0.1), ones, precision)
    if precision != "highest":
        with pytest.raises(guard.NumericsError):
            guard.compare(off(passes), ones)
    assert guard.limit("float64", precision) == guard.LIMITS["float64"]
