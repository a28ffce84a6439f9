"""What a training is, in values that can be stored with its checkpoints and compared."""

import functools
import hashlib
import re
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from aesparse.metrics import Trained
from aesparse.options import GENERATOR
from aesparse.training.optimizers import Lbfgs
from aesparse.training.step import Recipe, TrainState, make_step
from aesparse.training.stopping import EarlyStopping
from aesparse.training.task import Part, Task

__all__ = ["training_settings"]

_ADDRESS = re.compile(r"( at)? 0x[0-9a-f]+")
_SETTINGS = ("jax_threefry_partitionable", "jax_default_prng_impl", "jax_random_seed_offset")


def training_settings(task: Task, part: Part) -> dict:
    """Everything that decides a training's numbers but its length, as JSON values by name.

    Arrays of data and parameters stand as SHA-256 checksums, and so does the trace of one update
    and measurement (model, objective, optimizer, constraint), with their constants.
    """
    recipe, X, points = task.recipe, task.X, part.points
    start, data = (
        jax.tree.leaves((part.begin, part.moments)),
        jax.ShapeDtypeStruct(X.shape, X.dtype),
    )
    trace = _trace(recipe, data, len(task.subset))
    return {
        "X": f"{X.dtype} {X.shape}, SHA-256 {_checksum(X)}",
        "key": np.asarray(jax.random.key_data(part.keys)).tolist(),
        "generator": str(jax.random.key_impl(task.key)),
        **{name: str(getattr(jax.config, name)) for name in _SETTINGS},
        "update": f"trace with SHA-256 {_checksum(*trace)}",
        "seed": points.seed.tolist(),
        **{name: values.tolist() for name, values in points.coefficients.items()},
        **{name: values.tolist() for name, values in part.hyperparameters.items()},
        "stopping": _stopping(task.stopping),
        "start": f"SHA-256 {_checksum(*start)}, epoch {task.before}" if start else "from the seeds",
        "batch_size": int(recipe.batch_size),
        "history_epochs": "all" if task.records_all else list(task.record_at),
        "history_samples": int(task.record_rows),
        "matmul_precision": task.precision,
        "jax": jax.__version__,
    }


def _stopping(stopping: EarlyStopping | None) -> str:
    if stopping is None:
        return "none"
    held_out = "" if stopping.validation is None else _checksum(stopping.validation)
    return f"{stopping.patience} epochs, {stopping.tolerance}, SHA-256 {held_out or 'none'}"


def _checksum(*arrays) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(array)
    return digest.hexdigest()[:16]


@functools.lru_cache(maxsize=24)
def _trace(recipe: Recipe, data: jax.ShapeDtypeStruct, rows: int) -> tuple:
    """What start, update and measurement of one model compute, as bytes, and their constants.

    Hyperparameters are not among them.
    """
    number = jax.ShapeDtypeStruct((), data.dtype)
    batch = jax.ShapeDtypeStruct((recipe.batch_size, *data.shape[1:]), data.dtype)
    subset = jax.ShapeDtypeStruct((rows, *data.shape[1:]), data.dtype)
    key = jax.random.key(0, impl=GENERATOR)

    def start(key) -> PyTree:
        params = recipe.model.init(key, data.shape[1])
        return jax.tree.map(lambda p: p.astype(data.dtype), params)

    def measure(params, x, coefficients, key) -> PyTree:
        seen = Trained(recipe.model, recipe.objective, params, coefficients, key)
        return recipe.measurement(seen, x)

    params = jax.eval_shape(start, key)
    state = TrainState(params, jax.eval_shape(recipe.optimizer.init, params))
    coefficients = dict.fromkeys(recipe.objective.coefficients, number)
    if isinstance(recipe.optimizer, Lbfgs):  # whose steps are those of its line search
        gradient = jax.grad(recipe.loss, has_aux=True)
        update = jax.make_jaxpr(gradient)(params, batch, batch, coefficients)
    else:
        update = jax.make_jaxpr(make_step(recipe))(state, batch, batch, coefficients, jnp.int32(0))
    traces = (
        jax.make_jaxpr(start)(key),
        update,
        jax.make_jaxpr(measure)(params, subset, coefficients, key),
    )
    texts = [_ADDRESS.sub("", str(trace.jaxpr)).encode() for trace in traces]
    return (
        *(np.frombuffer(text, np.uint8) for text in texts),
        *(constant for trace in traces for constant in _constants(trace)),
    )


def _constants(trace) -> Iterator:
    """Those of a trace and of the functions that are called in it, compiled ones too."""
    from jax.extend.core import ClosedJaxpr, Jaxpr  # imports Pallas, for checkpoints alone

    yield from trace.consts
    for equation in trace.jaxpr.eqns:
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple | list) else (value,):
                if isinstance(inner, ClosedJaxpr):
                    yield from _constants(inner)
                elif isinstance(inner, Jaxpr):
                    yield from _constants(ClosedJaxpr(inner, ()))
