"""What an audit is given, checked. Shapes: n inputs, m hidden units, N samples."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aesparse.data import check_matrix
from aesparse.errors import InputError
from aesparse.memory import host_memory
from aesparse.models.constraints import as_constraint
from aesparse.models.one_layer import Params, check_params
from aesparse.theory.response import bytes_per_unit

__all__ = ["check_audit_memory", "check_numbers", "checked_model", "checked_rows"]

_SAMPLES = 2000


def checked_rows(X: Array | np.ndarray) -> tuple[int, np.ndarray]:
    """How many rows there are, and those that are used."""
    every = np.asarray(check_matrix(X), np.float64)
    X = every[:: -(-len(every) // _SAMPLES)]
    if not np.ptp(X, axis=0).any():
        raise InputError(
            f"The data is the same in all {len(X)} rows; expected samples that differ."
        )
    return len(every), X


def check_numbers(hidden, batch_size, largest_strength, updates, learning_rate) -> None:
    """`InputError` unless the counts are integers >= 1 and the other numbers finite and > 0."""
    counts = {"hidden": hidden, "batch_size": batch_size}
    counts |= {} if updates is None else {"updates": updates}
    for name, value in counts.items():
        if not hasattr(value, "__index__") or value < 1:
            raise InputError(f"{name} is {value}; expected an integer of at least 1.")
    for name, value in {
        "largest_strength": largest_strength,
        "learning_rate": learning_rate,
    }.items():
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{name} is {value}; expected a finite number above 0.")


def check_audit_memory(samples: int, inputs: int, hidden: int) -> None:
    """`InputError` if a model of so many hidden units cannot be looked at, whatever else is."""
    each, total = bytes_per_unit(samples, inputs), host_memory()
    if hidden * each > total:
        raise InputError(
            f"hidden is {hidden}, for which an audit of {inputs} inputs needs at least "
            f"{hidden * each / 2**30:.3g} GiB and this machine has {total / 2**30:.3g}; expected "
            f"at most {total // each}."
        )


def checked_model(params: Params, X: Float[Array, "N n"], constraint: str) -> Params:
    """`params` in float64; `InputError` unless they fit data `X` and lie on the `constraint`."""
    check_params(params, "params are")
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, X.dtype), params)
    n, m = X.shape[1], params.weight.shape[0]
    fitting = Params((m, n), (m,), decoder_bias=(n,), decoder=(n, m))
    for name, leaf, shape in zip(Params._fields, params, fitting, strict=True):
        if leaf is not None and leaf.shape != shape:
            raise InputError(
                f"params have '{name}' of shape {leaf.shape}; expected {shape}: one model on data "
                f"of {n} inputs. Select one model of a grid."
            )
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(params)):
        raise InputError("params hold NaN or inf; expected finite numbers.")
    projected = as_constraint(constraint).project(params)
    near = jax.tree.map(lambda a, b: bool(jnp.allclose(a, b, atol=1e-4)), projected, params)
    if not all(jax.tree.leaves(near)):
        rows = jnp.linalg.norm(params.weight, axis=-1)
        lengths = f"Rows of params have lengths from {jnp.min(rows):.3g} to {jnp.max(rows):.3g}"
        if params.decoder is not None:
            columns = jnp.linalg.norm(params.decoder, axis=0)
            lengths += f", decoder columns from {jnp.min(columns):.3g} to {jnp.max(columns):.3g}"
        raise InputError(
            f"{lengths}, off the constraint '{constraint}'; give constraint='free' or put them on "
            "it."
        )
    return params
