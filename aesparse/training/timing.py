"""How long updates take, as `fit` makes them: without compilation, check and measurements."""

import time
from collections.abc import Callable

import jax
import numpy as np

from aesparse.options import checked_key
from aesparse.training.draws import shuffled
from aesparse.training.hyperparameters import hyperparameters
from aesparse.training.program import grid_program
from aesparse.training.sharding import MODELS, SHARED, Points, model_mesh, place
from aesparse.training.step import Recipe
from aesparse.training.validation import parameter_shapes

__all__ = ["timed_updates"]

_SAMPLES, _COEFFICIENT = 1000, 1e-3


def timed_updates(recipe: Recipe, inputs: int, models: int = 1) -> Callable[[int], float]:
    """A function that makes so many updates of a recipe's models and returns the seconds they took.

    There are `models` models on every device of this host, all at work side by side: one device
    alone would seem too fast, since those of a CPU share its cores and caches. Data are 1,000
    samples of noise (or one batch, if that is more), all coefficients 0.001. Each call continues
    from the parameters of the last; the first one compiles.
    """
    devices = jax.local_devices()
    mesh, count = model_mesh(devices), models * len(devices)
    program = grid_program(recipe, mesh)
    keys = jax.random.split(checked_key(None), 1)
    X = jax.random.normal(keys[0], (max(_SAMPLES, recipe.batch_size), inputs))
    coefficients = dict.fromkeys(
        recipe.objective.coefficients, np.full(count, _COEFFICIENT, X.dtype)
    )
    tunable = hyperparameters(recipe.optimizer, parameter_shapes(recipe.model, X))
    rates = {name: np.full(count, value, X.dtype) for name, value in tunable.items()}
    keys, X = (place(v, mesh, SHARED) for v in (keys, X))
    points = place(Points(np.zeros(count, np.int32), coefficients), mesh, MODELS)
    params = program.starting.init(keys, X, points.seed)
    state = program.starting.state(params, place(rates, mesh, MODELS))
    draws = shuffled(keys, 1, len(X))

    def run(steps: int) -> float:
        nonlocal state
        begin = time.perf_counter()
        state, losses = program.epoch(state, draws, X, points, np.int32(0), np.int32(steps))
        jax.block_until_ready(losses)
        return time.perf_counter() - begin

    return run
