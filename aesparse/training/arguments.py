"""Checks of what a grid is given, made before anything is compiled."""

import functools
import operator
import warnings
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

from aesparse.data import check_matrix
from aesparse.errors import InputError, first_line
from aesparse.losses.objectives import Objective
from aesparse.models.one_layer import Constraint, Params, check_params, init_params
from aesparse.options import check_counts, checked_numbers

__all__ = [
    "check_bounds",
    "check_kind",
    "check_levels",
    "check_objective",
    "check_sizes",
    "check_strengths",
    "check_traces",
    "checked_arrays",
    "checked_data",
    "checked_init",
    "checked_pair",
    "parameter_shapes",
    "warn_of_precision",
]

_LARGEST_SEED = 2**31 - 1  # as JAX folds it into a key


def checked_arrays(X, strengths, learning_rate, seeds):
    """What the program takes as arrays: X [N, n], strengths [G, *K], rates [G], seeds.

    In the precision JAX computes with. `InputError` on anything of another shape or range.
    """
    X = checked_data(X)
    strengths = jnp.atleast_1d(
        jnp.asarray(checked_numbers(strengths, "The strengths are"), X.dtype)
    )
    if strengths.ndim > 2 or 0 in strengths.shape:
        raise InputError(
            f"The grid of strengths has shape {strengths.shape}; expected at least one number, "
            "or [G, K] for an objective with K coefficients."
        )
    check_strengths(strengths)
    rates = jnp.asarray(checked_numbers(learning_rate, "The learning rate is"), X.dtype)
    if not bool(jnp.all(jnp.isfinite(rates) & (rates > 0))):
        raise InputError(f"The learning rate is {learning_rate}; expected a finite number > 0.")
    if rates.shape not in ((), strengths.shape[:1]):
        raise InputError(
            f"The learning rates have shape {rates.shape}; expected one number or one per "
            f"strength, {strengths.shape[:1]}."
        )
    return X, strengths, jnp.broadcast_to(rates, strengths.shape[:1]), _checked_seeds(seeds)


def checked_data(X: ArrayLike) -> Array:
    """Finite data [N, n] in the precision JAX computes with; `InputError` otherwise."""
    with np.errstate(over="ignore"):
        X = jnp.asarray(check_matrix(X))
    if not bool(jnp.isfinite(X).all()):
        raise InputError(f"The data holds numbers beyond the range of {X.dtype}; scale it.")
    return X


def warn_of_precision(given: ArrayLike, X: Array) -> None:
    """Warns where float64 data is computed with as float32, since `jax_enable_x64` is off."""
    dtype = np.asarray(given).dtype
    if dtype.kind == "f" and dtype.itemsize > X.dtype.itemsize:
        warnings.warn(
            f"The data is {dtype.name} and is taken as {X.dtype}; convert it, or call "
            "jax.config.update('jax_enable_x64', True) to compute in float64.",
            stacklevel=3,
        )


def _checked_seeds(seeds) -> tuple[int, ...]:
    try:
        given = tuple(seeds)
        whole = () if any(isinstance(seed, bool | np.bool_) for seed in given) else given
        numbers = tuple(map(operator.index, whole))
    except TypeError:
        numbers = ()
    if not numbers or not all(0 <= seed <= _LARGEST_SEED for seed in numbers):
        raise InputError(
            f"The seeds are {seeds}; expected a sequence of integers from 0 to {_LARGEST_SEED}, "
            "such as (0, 1, 2)."
        )
    return numbers


def check_strengths(strengths: Array) -> None:
    """Strengths are finite and not negative; `InputError` otherwise."""
    if not bool(jnp.all(jnp.isfinite(strengths) & (strengths >= 0))):
        raise InputError(
            f"The strengths are {np.asarray(strengths)}; expected finite numbers >= 0."
        )


def check_sizes(sizes: Mapping[str, int], samples: int, *, every: int = 1) -> None:
    """Every size is a number of 1 or more and a batch fits the data; `InputError` otherwise.

    An epoch has at least `every` updates, after which a constraint first acts.
    """
    check_counts(sizes)
    if sizes["batch_size"] > samples:
        raise InputError(
            f"The batch size {sizes['batch_size']} is larger than the data, {samples} samples; "
            f"choose a batch size of at most {samples}."
        )
    if samples // sizes["batch_size"] < every:
        raise InputError(
            f"An epoch has {samples // sizes['batch_size']} updates, but the constraint acts on "
            f"every {every}th; expected at least {every}. Use smaller batches or more samples."
        )


def parameter_shapes(X: Array, hidden: int, tied: bool, decoder_bias: bool) -> Params:
    """Shapes and dtypes of one model's parameters for data `[N, n]`."""
    return jax.eval_shape(
        lambda key: init_params(
            key, X.shape[1], hidden, tied=tied, decoder_bias=decoder_bias, dtype=X.dtype
        ),
        jax.random.key(0),
    )


def checked_init(
    init: Params,
    X: Array,
    cells: tuple[int, int],
    constraint: Constraint,
    *,
    hidden: int,
    tied: bool,
    decoder_bias: bool,
) -> Params:
    """Parameters to start from, one model per seed and strength `[S, G, ...]`, on the host.

    As they are where they lie on the constraint up to rounding, else projected. `InputError`
    unless they have the structure and shapes of the grid's, are finite, and can be projected.
    """
    check_params(init, "init is")
    models = parameter_shapes(X, hidden, tied, decoder_bias)
    found = {k: np.shape(v) for k, v in init._asdict().items() if v is not None}
    expected = {k: (*cells, *v.shape) for k, v in models._asdict().items() if v is not None}
    if found != expected:
        raise InputError(
            f"The parameters to start from have shapes {found}; expected {expected}: seeds, "
            "strengths, then those of one model."
        )
    init = jax.tree.map(lambda leaf: checked_numbers(leaf, "init holds").astype(X.dtype), init)
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(init)):
        raise InputError("The parameters to start from hold NaN or inf; expected finite numbers.")
    with jax.default_matmul_precision("highest"):
        projected = jax.device_get(jax.vmap(jax.vmap(constraint.project))(init))
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(projected)):
        raise InputError(
            "The parameters to start from hold a row (or decoder column) of zeros, which has no "
            "direction to be scaled to length 1; give it one, or use the constraint 'free'."
        )
    near = jax.tree.map(lambda a, b: np.allclose(a, b, rtol=1e-5, atol=1e-6), init, projected)
    return init if all(jax.tree.leaves(near)) else projected


def check_bounds(objective: Objective, X: Array) -> None:
    """The objective's error is defined for the data; `InputError` otherwise."""
    if objective.error.bounds is None:
        return
    low, high = objective.error.bounds
    if not bool(jnp.all((low <= X) & (high >= X))):
        raise InputError(
            f"The data lies in [{float(X.min()):g}, {float(X.max()):g}]; this reconstruction "
            f"error expects [{low:g}, {high:g}]. Scale the data, or use a squared error."
        )


def check_objective(
    objective: Objective,
    X: Array,
    strengths: Array,
    *,
    batch_size: int,
    hidden: int,
    tied: bool,
    decoder_bias: bool,
) -> None:
    """Calls the objective and its gradient on shapes alone, before anything is compiled.

    `InputError` for a penalty that is no scalar or that JAX cannot trace and differentiate, for
    data that the objective's error is not defined for, for levels that its
    corruption is not, and for an activation that is no finite function of one number.
    """
    check_levels(objective, strengths)
    check_bounds(objective, X)
    objective.activation.check()
    shape = functools.partial(jax.ShapeDtypeStruct, dtype=X.dtype)
    params = parameter_shapes(X, hidden, tied, decoder_bias)
    batch = shape((batch_size, X.shape[1]))
    check_traces(objective, params, batch, shape(strengths.shape[1:]))


def check_traces(objective: Objective, params, batch, strength) -> None:
    """Traces the objective and its gradient, for arguments that may be shapes alone.

    `InputError` where JAX cannot, or where the objective returns no pair of a scalar and parts.
    """
    arguments = (params, batch, batch, strength)
    try:
        loss = checked_pair(jax.eval_shape(objective, *arguments))[0]
        if loss.shape == ():
            jax.eval_shape(jax.grad(objective, has_aux=True), *arguments)
    except InputError:
        raise
    except Exception as error:  # whatever the user's function raises is the cause to show
        raise InputError(
            f"The objective fails on a batch ({first_line(error)}); expected a function that JAX "
            "can trace and differentiate. Use jax.numpy for numpy, jnp.where for if, and only the "
            "arguments that it is called with."
        ) from None
    if loss.shape != ():
        raise InputError(
            f"The objective returned shape {loss.shape} for a batch; expected a scalar. "
            "A penalty must return one number: sum over units and average over samples."
        )


def check_kind(objective: object) -> None:
    """`InputError` unless it is an `Objective`."""
    if not isinstance(objective, Objective):
        raise InputError(
            f"The objective is {objective!r}; expected an Objective, such as "
            "get_objective('dae', get_activation('relu')), or Objective(fn, activation) for a "
            "function of your own."
        )


def checked_pair(found: object) -> tuple:
    """What an objective returned, (loss, parts by name); `InputError` if it is anything else."""
    if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], Mapping)):
        raise InputError(
            f"The objective returned a {type(found).__name__}; expected a pair: the loss, and a "
            "mapping from names to its parts, such as {}."
        )
    if "loss" in found[1]:
        raise InputError("A part of the objective is called 'loss', as the whole is; rename it.")
    return found


def check_levels(objective: Objective, strengths: Array) -> None:
    """It is an objective that takes such strengths and corrupts at such levels.

    `InputError` otherwise.
    """
    check_kind(objective)
    count = objective.coefficients
    if strengths.shape[1:] != (() if count is None else (count,)) and not (
        strengths.ndim == 1 and count in (0, 1)
    ):
        expected = "one number, [G]" if count is None else f"{count} numbers, [G, {count}]"
        raise InputError(
            f"The strengths have shape {strengths.shape}; this objective takes {expected}. Their "
            "number is its `coefficients`."
        )
    if objective.levels is None:
        return
    low, high = objective.levels
    levels = strengths if strengths.ndim == 1 else strengths[:, 0]
    if not bool(jnp.all((low <= levels) & (levels < high))):
        raise InputError(
            f"The strengths of the corruption are {np.asarray(levels)}; expected numbers in "
            f"[{low:g}, {high:g}), such as the probability that an input is zeroed."
        )
