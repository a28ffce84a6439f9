"""Checks of what a training is given, made before anything is compiled or allocated."""

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PyTree

from aesparse.data.matrix import check_matrix
from aesparse.errors import InputError, running
from aesparse.losses.base import Objective
from aesparse.metrics import Trained
from aesparse.models.base import Model, check_model
from aesparse.models.one_layer import OneLayer
from aesparse.options import GENERATOR, check_counts, shortened
from aesparse.training import guard
from aesparse.training.memory import tree_bytes
from aesparse.training.optimizers import Lbfgs
from aesparse.training.step import Recipe, TrainState, make_step
from aesparse.training.sweep import Sweep

__all__ = [
    "HELD_OUT",
    "check_bounds",
    "check_devices",
    "check_levels",
    "check_precision",
    "check_recipe",
    "check_sizes",
    "check_untransformed",
    "checked_data",
    "checked_pair",
    "parameter_shapes",
    "warn_of_precision",
]

HELD_OUT = "held_out"  # the name of the loss on samples held out
_WHOLE = ("loss", HELD_OUT)  # names that no part of an objective can have


def check_untransformed(*arguments: object) -> None:
    """`InputError` inside `jax.jit`, `jax.vmap` or `jax.grad` of the caller."""
    if any(
        isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((*arguments, jnp.zeros(())))
    ):
        raise InputError(
            "Training is called inside jax.vmap, jax.jit or jax.grad; expected a call by itself. "
            "Many models are trained at once along its own axes: sweep several strengths, "
            "learning rates and seeds."
        )


def check_precision(precision: object) -> None:
    """`InputError` unless it is one of JAX's names for the precision of products."""
    try:
        with jax.default_matmul_precision(precision):
            pass
    except (TypeError, ValueError):
        raise InputError(
            f"matmul_precision is {shortened(precision)}; expected one of JAX's names, such as "
            "'highest', 'tensorfloat32' or 'bfloat16'."
        ) from None


def check_devices(chosen: object) -> None:
    """`InputError` unless it is None, or different ones of JAX's devices."""
    if chosen is None:
        return
    listed = list(chosen) if isinstance(chosen, Sequence | np.ndarray) else []
    if not listed or not all(isinstance(device, jax.Device) for device in listed):
        raise InputError(
            f"devices are {shortened(chosen)}; expected at least one of jax.devices(), or None "
            "for all of them."
        )
    if len(set(listed)) < len(listed):
        raise InputError(f"devices are {shortened(chosen)}; expected each of them once.")


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


def check_sizes(sizes: Mapping[str, int], samples: int, *, every: int = 1) -> None:
    """Every size is an integer of 1 or more and a batch fits the data; `InputError` otherwise.

    An epoch has at least `every` updates, after which a constraint first acts.
    """
    check_counts(sizes)
    batch = sizes["batch_size"]
    if batch > samples:
        raise InputError(
            f"The batch size {batch} is larger than the data, {samples} samples; choose a batch "
            f"size of at most {samples}."
        )
    if samples // batch < every:
        raise InputError(
            f"An epoch has {samples // batch} updates, but the constraint acts on every {every}th; "
            f"expected at least {every}. Use smaller batches or more samples."
        )


def parameter_shapes(model: Model, X: Array | jax.ShapeDtypeStruct) -> PyTree:
    """Shapes of one model's parameters for data `[N, n]`, in its precision.

    `InputError` for what is no model, and for parameters that are not floating point.
    """
    check_model(model)
    key = jax.random.key(0)
    with running(f"The model's init(key, {X.shape[1]}) fails", "a pytree of parameters."):
        shapes = jax.eval_shape(lambda key: model.init(key, X.shape[1]), key)
        leaves = jax.tree.leaves(shapes)
    narrow = [leaf.dtype for leaf in leaves if str(leaf.dtype) not in guard.LIMITS]
    if not leaves or narrow:
        raise InputError(
            f"The model's init gives parameters of {sorted({str(v.dtype) for v in leaves})}; "
            f"expected some, of {' or '.join(guard.LIMITS)}."
        )
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, X.dtype), shapes)


def check_recipe(
    recipe: Recipe, shapes: PyTree, X: Array, names: Sequence[str], *, rows: int
) -> tuple[int, int]:
    """Traces a training on shapes alone: loss, gradient, constraint, optimizer, measurement.

    Returns the bytes that one model's losses of an epoch and its measurements on `rows` samples
    take. `InputError` where JAX cannot trace, and for a loss that is no scalar.
    """
    leaves, structure = jax.tree.flatten(shapes)
    return _check_shapes(recipe, structure, tuple(leaves), X.shape, X.dtype, tuple(names), rows)


@functools.lru_cache(maxsize=24)  # of those that are in order
def _check_shapes(
    recipe: Recipe,
    structure,
    leaves: tuple,
    data: tuple[int, ...],
    dtype,
    names: tuple[str, ...],
    rows: int,
) -> tuple[int, int]:
    shapes, X = jax.tree.unflatten(structure, leaves), jax.ShapeDtypeStruct(data, dtype)
    if isinstance(recipe.model, OneLayer):
        recipe.model.activation.check()
    coefficients = dict.fromkeys(names, jax.ShapeDtypeStruct((), X.dtype))
    batch = jax.ShapeDtypeStruct((recipe.batch_size, X.shape[1]), X.dtype)
    arguments = (shapes, batch, batch, coefficients)
    loss = _traced("objective", lambda *a: checked_pair(recipe.loss(*a))[0], *arguments)
    if loss.shape != ():
        raise InputError(
            f"The objective returned shape {loss.shape} for a batch; expected a scalar. "
            "A penalty must return one number: sum over units and average over samples."
        )
    gradient = ("objective", jax.grad(recipe.loss, has_aux=True), *arguments)
    _traced("constraint", recipe.constraint.project, shapes)
    moments = _traced("optimizer", recipe.optimizer.init, shapes)
    losses = {}
    if isinstance(recipe.optimizer, Lbfgs):  # which makes no single step
        _traced(*gradient)
    else:
        state = TrainState(shapes, moments)
        step = (make_step(recipe), state, batch, batch, coefficients, jnp.int32(0))
        try:
            moved, losses = _traced("optimizer or constraint", *step)
        except InputError:
            _traced(*gradient)  # if the gradient is at fault, it is named instead
            raise
        if _signature(moved) != _signature(state):
            raise InputError(
                "The optimizer or constraint changes the shapes or dtypes of what it is given; "
                "expected parameters and state like those before the step."
            )
    for count in dict.fromkeys((len(X), rows)):  # in the end on all samples, in the history on some
        measured = _traced(
            "measurement",
            lambda params, x, coefficients, key: recipe.measurement(
                Trained(recipe.model, recipe.objective, params, coefficients, key), x
            ),
            shapes,
            jax.ShapeDtypeStruct((count, X.shape[1]), X.dtype),
            coefficients,
            jax.random.key(0, impl=GENERATOR),
        )
    return tree_bytes(losses), tree_bytes(measured)


def _signature(tree: PyTree) -> tuple:
    leaves, structure = jax.tree.flatten(tree)
    return structure, [(leaf.shape, leaf.dtype) for leaf in leaves]


def _traced(what: str, f: Callable, *shapes: PyTree) -> PyTree:
    with running(
        f"The {what} fails on a batch",
        "a function that JAX can trace and differentiate. Use jax.numpy for numpy, jnp.where for "
        "if, and only the arguments that it is called with.",
    ):
        return jax.eval_shape(f, *shapes)


def checked_pair(returned: object) -> tuple:
    """What an objective returned, (loss, parts by name); `InputError` if it is anything else."""
    pair = isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], Mapping)
    if not pair:
        raise InputError(
            f"The objective returned a {type(returned).__name__}; expected a pair: the loss, and a "
            "mapping from names to its parts, such as {}."
        )
    for name, part in returned[1].items():
        if not isinstance(name, str) or name in _WHOLE or jnp.shape(part) != ():
            raise InputError(
                f"The objective returned a part {shortened(name)} of shape {jnp.shape(part)}; "
                f"expected one number for each name but {' and '.join(map(repr, _WHOLE))}, which "
                "the whole is called."
            )
    return returned


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


def check_levels(objective: Objective, sweep: Sweep) -> None:
    """Coefficients lie where the objective is defined, such as probabilities; `InputError`."""
    for name, low, high in objective.levels:
        values = sweep.column(name)
        if not np.all((low <= values) & (values < high)):
            raise InputError(
                f"{name} is {shortened(values.tolist())}; expected numbers in [{low:g}, {high:g}), "
                "such as the probability that an input is zeroed."
            )
