"""One trained model, which encodes, decodes, measures, saves and loads whole.

Everything is NumPy's, in and out. Shapes: N samples, n inputs, m hidden units.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, PRNGKeyArray, PyTree

from aesparse.data import Affine
from aesparse.data.matrix import as_array, check_matrix
from aesparse.errors import InputError, running
from aesparse.losses.base import Objective
from aesparse.metrics import Trained
from aesparse.models import saved
from aesparse.models.base import Model
from aesparse.options import shortened

__all__ = ["TrainedModel"]


@dataclass(frozen=True, eq=False, repr=False)
class TrainedModel:
    """One trained model.

    Args:
        model: the model.
        params: its parameters.
        coordinates: the values of all swept and fixed names, its place in the grid.
        scaler: the transformation of its data, by which its inputs are scaled and reconstructions
            scaled back; None (the default) for data as it was trained on.
        objective: that of the training, for measurements; None of a model read from a file.
        key: the random key of its seed, for measurements; None of a model read from a file.

    >>> import tempfile
    >>> from aesparse import OneLayer, Params
    >>> from aesparse.metrics import code_statistics
    >>> model = TrainedModel(OneLayer(2), Params(np.eye(2), np.zeros(2)), {"strength": 0.1})
    >>> model.encode(np.array([[1.0, -1.0]])).tolist(), model.decode(np.array([1.0, 0.0])).tolist()
    ([[1.0, 0.0]], [1.0, 0.0])
    >>> scaled = model.with_scaler(Affine(np.array([2.0, 2.0]), np.array([0.5, 0.5])))
    >>> scaled.reconstruct(np.array([4.0, 0.0])).tolist()  # (1, −1) scaled, (1, 0) reconstructed
    [4.0, 2.0]
    >>> from aesparse.losses.objectives import get_objective
    >>> codes = model.measure(np.eye(2), code_statistics, objective=get_objective("ae"))
    >>> float(codes.activation_fraction)
    0.5
    >>> path = f"{tempfile.mkdtemp()}/model.npz"
    >>> model.save(path)
    >>> TrainedModel.load(path).coordinates
    {'strength': 0.1}
    """

    model: Model
    params: PyTree
    coordinates: Mapping[str, float | int]
    scaler: Affine | None = None
    objective: Objective | None = None
    key: PRNGKeyArray | None = None

    def __repr__(self) -> str:
        given = "".join(f", {name}={value:.6g}" for name, value in self.coordinates.items())
        return f"TrainedModel({shortened(self.model)}{given})"

    def with_scaler(self, scaler: object) -> "TrainedModel":
        """The same model for unscaled data; `scaler`, an `Affine`, gives what it was trained on.

        None removes the scaler. `InputError` for anything else.
        """
        if scaler is not None and not isinstance(scaler, Affine):
            raise InputError(
                f"The scaler is {shortened(scaler)}; expected an Affine, such as standardize(X)."
            )
        return dataclasses.replace(self, scaler=scaler)

    def encode(self, x: ArrayLike) -> np.ndarray:
        """The codes `[N, m]` of rows `x [N, n]`, scaled first; `[m]` of one row `[n]`.

        `InputError` for rows the model does not take, and for numbers that are not finite.
        """
        return _on_rows(self._encoded, x, "x")

    def decode(self, h: ArrayLike) -> np.ndarray:
        """The reconstructions `[N, n]` of codes `h [N, m]`, in the inputs' units.

        It is `[n]` for one code `[m]`. `InputError` for codes the model does not take, and for
        numbers that are not finite.
        """
        return _on_rows(self._decoded, h, "h")

    def reconstruct(self, x: ArrayLike) -> np.ndarray:
        """The reconstructions of rows `x [N, n]`, in the units of `x`: decode(encode(x)).

        A whitening to k < n components is undone by its pseudo-inverse: what it left out of x is
        missing.
        """
        return _on_rows(lambda rows: self._decoded(self._encoded(rows)), x, "x")

    def measure(
        self, x: ArrayLike, measurement: Callable, *, objective: Objective | None = None
    ) -> PyTree:
        """`measurement(trained, x)` on rows `x [N, n]`, scaled first; a pytree of NumPy arrays.

        `objective` is that of the training unless given, as it must be for a model read from a
        file; the random key of such a model is jax.random.key(0). `InputError` without an objective
        or a value of its coefficients, and where the measurement fails.
        """
        objective = self.objective if objective is None else objective
        if objective is None:
            raise InputError(
                "The model was read from a file, which holds no objective; name the one to "
                "measure with, as in measure(x, measurement, objective=...)."
            )
        unknown = [name for name in objective.coefficients if name not in self.coordinates]
        if unknown:
            raise InputError(
                f"The objective's coefficient '{unknown[0]}' has no value among the model's "
                f"coordinates, {dict(self.coordinates)}; expected the objective of its training."
            )
        rows = jnp.asarray(self._scaled(check_matrix(x, "x")))
        coefficients = {
            name: jnp.asarray(self.coordinates[name], rows.dtype) for name in objective.coefficients
        }
        key = jax.random.key(0) if self.key is None else self.key
        trained = Trained(self.model, objective, self._params(), coefficients, key)
        return _evaluated("measurement", measurement, trained, rows)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes model, parameters, scaler and coordinates to the file `path`, all or nothing.

        `.npz` is added to another ending. `InputError` for a model that holds a function of the
        user's own.
        """
        coordinates = dict(self.coordinates)
        saved.save(path, self.model, self.params, scaler=self.scaler, coordinates=coordinates)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "TrainedModel":
        """Reads what `save` wrote to `path`; `InputError` for anything else."""
        model, params, scaler, coordinates = saved.load(path)
        return cls(model, params, coordinates or {}, scaler)

    def _params(self) -> PyTree:
        return jax.tree.map(jnp.asarray, self.params)

    def _scaled(self, rows: np.ndarray) -> np.ndarray:
        return rows if self.scaler is None else self.scaler(rows)

    def _encoded(self, rows: np.ndarray) -> np.ndarray:
        scaled = jnp.asarray(self._scaled(rows))
        return _evaluated("model's encode", self.model.encode, self._params(), scaled)

    def _decoded(self, codes: np.ndarray) -> np.ndarray:
        rows = _evaluated("model's decode", self.model.decode, self._params(), jnp.asarray(codes))
        if self.scaler is None:
            return rows
        mean, matrix = self.scaler
        wide = rows.astype(np.float64)
        wide = wide / matrix if matrix.ndim == 1 else wide @ np.linalg.pinv(matrix)
        return (wide + mean).astype(rows.dtype)


def _on_rows(function: Callable, x: ArrayLike, what: str) -> np.ndarray:
    """`function` of checked rows `[N, n]`, or of one row `[n]`."""
    array = as_array(x, what)
    if array.ndim == 1:
        return function(check_matrix(array[None], what))[0]
    return function(check_matrix(array, what))


def _evaluated(what: str, function: Callable, first: Any, rows: jax.Array) -> PyTree:
    """A function of the model's own or the user's as NumPy arrays; one sentence if it fails."""
    with (
        running(
            f"The {what} fails on an array of shape {rows.shape}",
            "rows as in its training (a measurement is a function measurement(trained, x)).",
        ),
        jax.default_matmul_precision("highest"),
    ):
        return jax.tree.map(np.asarray, function(first, rows))
