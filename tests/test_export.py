"""The epoch of every objective lowers for CPU, CUDA and TPU by `jax.export`."""

import jax
import numpy as np
import pytest
from jax import export

from aesparse.errors import InputError
from aesparse.losses import corruption, objectives, penalties
from aesparse.models import activations
from aesparse.models.one_layer import get_constraint
from aesparse.training.draws import shuffled
from aesparse.training.program import grid_program
from aesparse.training.sharding import Cells, cell_mesh

PLATFORMS = ["cpu", "cuda", "tpu"]
BATCH, N, M, MODELS = 4, 5, 6, 2


def lowered(objective, strengths):
    """The exported epoch of a grid of this objective."""
    program = grid_program(
        objective,
        get_constraint("unit"),
        batch_size=BATCH,
        momentum=0.9,
        hidden=M,
        tied=True,
        decoder_bias=False,
        mesh=cell_mesh(jax.devices()[:1]),
    )
    keys, X = jax.random.split(jax.random.key(0), 1), np.ones((3 * BATCH, N), np.float32)
    each = Cells.of_seeds(1, strengths, np.full(len(strengths), 0.1, np.float32))
    state = jax.eval_shape(program.start, keys, X, each)
    draws = jax.eval_shape(shuffled, keys, 1, len(X))
    arguments = (state, draws, X, each, np.int32(3))
    return export.export(program.epoch, platforms=PLATFORMS)(*arguments)


@pytest.mark.parametrize("name", sorted(objectives.OBJECTIVES))
def test_the_epoch_of_every_objective_lowers_for_all_platforms(name):
    for activation in ("sigmoid", "relu"):  # SATAE needs a flat part, curvature a smooth one
        try:
            objective = objectives.get_objective(name, activations.get_activation(activation))
            exported = lowered(objective, np.full(MODELS, 0.1, np.float32))
        except InputError:
            continue
        assert exported.platforms == tuple(PLATFORMS)
        return
    pytest.fail(f"No activation suits {name}.")


def test_the_epoch_of_a_composed_objective_lowers_for_all_platforms():
    objective = objectives.composed(
        activations.get_activation("sigmoid"),
        corrupt=corruption.masking,
        terms=(("cae", penalties.PENALTIES["cae"]),),
    )
    exported = lowered(objective, np.full((MODELS, 2), 0.1, np.float32))
    assert exported.platforms == tuple(PLATFORMS)
