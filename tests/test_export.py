"""The epoch of every objective lowers for CPU, CUDA and TPU by `jax.export`."""

import jax
import numpy as np
import optax
import pytest
from jax import export

from aesparse.errors import InputError
from aesparse.losses import objectives
from aesparse.metrics import activation_statistics
from aesparse.models.constraints import CONSTRAINTS
from aesparse.models.one_layer import OneLayer
from aesparse.training.draws import shuffled
from aesparse.training.optimizers import sgd
from aesparse.training.program import grid_program
from aesparse.training.sharding import Points, model_mesh
from aesparse.training.step import Recipe

PLATFORMS = ["cpu", "cuda", "tpu"]
BATCH, N, M, MODELS = 4, 5, 6, 2


def lowered(objective, activation, optimizer=None):
    """The exported epoch of a grid of this objective."""
    tunable = {} if optimizer else {"learning_rate": 0.1, "momentum": 0.9}
    recipe = Recipe(
        OneLayer(M, activation),
        objective,
        optimizer or sgd(),
        CONSTRAINTS["unit"],
        activation_statistics,
        BATCH,
    )
    program = grid_program(recipe, model_mesh(jax.devices()[:1]))

    def column(value):
        return np.full(MODELS, value, np.float32)

    keys, X = jax.random.split(jax.random.key(0), 1), np.ones((3 * BATCH, N), np.float32)
    levels = {name: column(0.1) for name in objective.coefficients}
    points = Points(np.zeros(MODELS, np.int32), levels)
    params = jax.eval_shape(program.starting.init, keys, X, points.seed)
    hyperparameters = {name: column(value) for name, value in tunable.items()}
    state = jax.eval_shape(program.starting.state, params, hyperparameters)
    draws = jax.eval_shape(lambda keys: shuffled(keys, 1, len(X)), keys)
    arguments = (state, draws, X, points, np.int32(0), np.int32(3))
    return export.export(program.epoch, platforms=PLATFORMS)(*arguments)


@pytest.mark.parametrize("name", sorted(objectives.OBJECTIVES))
def test_the_epoch_of_every_objective_lowers_for_all_platforms(name):
    for activation in ("sigmoid", "relu"):  # SATAE needs a flat part, curvature a smooth one
        try:
            exported = lowered(objectives.get_objective(name), activation)
        except InputError:
            continue
        assert exported.platforms == tuple(PLATFORMS)
        return
    pytest.fail(f"No activation suits {name}.")


def test_the_epoch_of_a_composed_objective_lowers_for_all_platforms():
    objective = objectives.composed(corrupt="masking", terms={"cae": "cae"})
    assert lowered(objective, "sigmoid").platforms == tuple(PLATFORMS)


def test_the_epoch_of_another_optimizer_lowers_for_all_platforms():
    optimizer = optax.chain(optax.clip_by_global_norm(0.5), optax.adamw(0.01))
    exported = lowered(objectives.get_objective("dae"), "relu", optimizer)
    assert exported.platforms == tuple(PLATFORMS)
