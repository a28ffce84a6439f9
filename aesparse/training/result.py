"""What a training returns: a grid of trained models with named axes.

Arrays are NumPy's, with the grid's axes in front. Shapes: K values along one axis, E epochs, H
recorded moments.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Array, ArrayLike, PyTree

from aesparse.errors import InputError, first_line, unknown_name
from aesparse.losses.base import Objective
from aesparse.models.base import Model, reconstruct
from aesparse.options import checked_key, shortened
from aesparse.training.measuring import as_measurement, measuring
from aesparse.training.positions import matches, position
from aesparse.training.sharding import Points, model_mesh
from aesparse.training.sweep import SEED, Axis, Sweep
from aesparse.training.trained_model import TrainedModel
from aesparse.training.validation import (
    check_bounds,
    check_precision,
    checked_data,
    warn_of_precision,
)

__all__ = ["Result", "TrainedModel"]

_EPOCHS = ("diverged_epoch", "stopped_epoch", "best_epoch")
_OF_MODELS = ("params", "losses", "history", "final", "optimizer_state", *_EPOCHS)


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """A trained grid: one model for every point of the product of `axes`.

    Arrays are NumPy's, with the grid's axes in front, in the order of the sweep.

    Attributes:
        axes: names and values of each axis.
        fixed: the values of names without an axis: coefficients, optimizer's, seed.
        model: the model.
        objective: the objective.
        params: the parameters, `[*axes, ...]`; None with `keep_params=False`.
        losses: the loss and its parts by name, `[*axes, E]`, means over each epoch; and, where
            models stop by samples held out, "held_out", the loss on these after each epoch.
        history: the measurements, `[*axes, ..., H]`, at `history_epochs`.
        history_epochs: `[H]`; 0 is before training.
        final: the measurements of `params` on all of the data, `[*axes, ...]`: after the last
            epoch, or the best one where models may stop.
        diverged_epoch: `[*axes]`; −1 for models that are finite to the end.
        guard: the largest relative difference that the compile check saw; NaN if it was left out.
        key_data: of the training's random key.
        stopped_epoch: `[*axes]`, the epoch after which a model stopped; −1 for those trained to the
            end; None without early stopping.
        best_epoch: `[*axes]`, the epoch of a model's parameters where models may stop, else None.
        optimizer_state: `[*axes, ...]` at the end; None without `keep_optimizer=True`.
        epochs: in all, those of a result that this training went on from included.

    >>> from aesparse import OneLayer, fit
    >>> X = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    >>> result = fit(X, OneLayer(5), "cae", epochs=2,
    ...     sweep={"strength": [0, 0.1], "seed": range(3)})
    >>> result.losses["loss"].shape, result.params.weight.shape
    ((2, 3, 2), (2, 3, 5, 8))
    >>> result.coordinates["strength"].tolist(), result.diverged_epoch.tolist()
    ([0.0, 0.1], [[-1, -1, -1], [-1, -1, -1]])
    >>> result.select(strength=0.1).sizes, result.shape
    ({'seed': 3}, (2, 3))
    >>> result.select(strength=0.1, seed=2).encode(X).shape
    (200, 5)
    >>> result.at(-1, slice(1, None)).sizes, result.at(0, 2).losses["loss"].shape
    ({'seed': 2}, (2,))
    >>> result.measure(X[:50]).reconstruction.shape
    (2, 3)
    >>> dict(result.to_xarray().activation_fraction.sizes)
    {'strength': 2, 'seed': 3}
    """

    axes: tuple[Axis, ...]
    fixed: Mapping[str, float | int]
    model: Model
    objective: Objective
    params: PyTree | None
    losses: Mapping[str, np.ndarray]
    history: PyTree
    history_epochs: np.ndarray
    final: PyTree
    diverged_epoch: np.ndarray
    guard: float
    key_data: np.ndarray
    stopped_epoch: np.ndarray | None = None
    best_epoch: np.ndarray | None = None
    optimizer_state: PyTree | None = None
    epochs: int = 0

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}: {size}" for name, size in self.sizes.items())
        return f"Result({sizes or 'one model'}; {shortened(self.model)})"

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of values along every axis."""
        return tuple(axis.size for axis in self.axes)

    @property
    def sizes(self) -> dict[str, int]:
        """The number of values by the name of the dimension, an axis's first name."""
        return {axis.names[0]: axis.size for axis in self.axes}

    @property
    def coordinates(self) -> dict[str, np.ndarray]:
        """The values `[K]` of every name that has an axis."""
        return {n: v for axis in self.axes for n, v in zip(axis.names, axis.values, strict=True)}

    def select(self, /, **coordinates: object) -> "Result | TrainedModel":
        """The part of the grid with given `coordinates`: a smaller Result, or one `TrainedModel`.

        One number for each name, up to 1e-6 relative, seeds exactly. Any name of an axis along
        which several vary together selects from it. Fixed names may be given with their value.
        `InputError` for unknown names and where no or several points of an axis match.
        """
        for name in coordinates:
            if name not in self.coordinates and name not in self.fixed:
                raise unknown_name("coordinate", name, [*self.coordinates, *self.fixed])
        for name, value in self.fixed.items():
            if name in coordinates and not matches(name, np.array([value]), coordinates[name])[0]:
                raise InputError(
                    f"No model has {name}={coordinates[name]}; it is {value} in all of this result."
                )
        index = []
        for axis in self.axes:
            asked = {name: coordinates[name] for name in axis.names if name in coordinates}
            index.append(position(axis, asked) if asked else slice(None))
        part = self.at(*index)
        if part.axes:
            return part
        if self.params is None:
            raise InputError(
                "The result holds no parameters, as it was trained with keep_params=False; train "
                "with keep_params=True to select a model."
            )
        key = jax.random.fold_in(checked_key(np.asarray(self.key_data)), part.fixed[SEED])
        return TrainedModel(self.model, part.params, part.fixed, objective=self.objective, key=key)

    def at(self, *positions: int | slice) -> "Result":
        """The part of the grid at a position along every axis, of which a slice keeps the axis.

        Without an axis left it is a result of one model. `InputError` unless there is a position
        for every axis, and a model at it.
        """
        if len(positions) != len(self.axes):
            raise InputError(
                f"{len(positions)} positions are given; expected one for each of the axes, "
                f"{', '.join(self.sizes)}, which is an integer or a slice."
            )
        left, fixed = [], dict(self.fixed)
        for axis, at in zip(self.axes, positions, strict=True):
            if isinstance(at, slice):
                left.append(Axis(axis.names, tuple(values[at] for values in axis.values)))
                continue
            if not -axis.size <= at < axis.size:
                raise InputError(
                    f"Position {at} is given along {axis.names[0]}; expected an integer from 0 to "
                    f"{axis.size - 1}."
                )
            fixed |= {n: v[at].item() for n, v in zip(axis.names, axis.values, strict=True)}
        part = {
            name: jax.tree.map(
                lambda leaf: np.asarray(np.asarray(leaf)[positions]), getattr(self, name)
            )
            for name in _OF_MODELS
        }
        return dataclasses.replace(self, axes=tuple(left), fixed=fixed, **part)

    def measure(
        self, X: ArrayLike, measurement: Callable | None = None, *, precision: str = "highest"
    ) -> PyTree:
        """A measurement of every model on other data `X [N, n]`; leaves `[*axes, ...]`.

        By default the `measurement` is the model's own statistics, as in `fit`; `precision` is that
        of matrix products, "highest" by default. `InputError` for defective data, another number of
        inputs, and without parameters.
        """
        if self.params is None:
            raise InputError(
                "The result holds no parameters, as it was trained with keep_params=False; train "
                "with keep_params=True to measure on other data."
            )
        check_precision(precision)
        given, data = X, checked_data(X)
        self._check_inputs(data)
        check_bounds(self.objective, data)
        warn_of_precision(given, data)
        sweep = Sweep(self.axes, dict(self.fixed))
        different, which = np.unique(sweep.column(SEED), return_inverse=True)
        key = checked_key(np.asarray(self.key_data))
        keys = jax.vmap(lambda seed: jax.random.fold_in(key, seed))(different.astype(np.uint32))
        names = self.objective.coefficients
        points = Points(
            which.astype(np.int32), {n: sweep.column(n).astype(data.dtype) for n in names}
        )
        flat = jax.tree.map(
            lambda leaf: leaf.reshape((sweep.size, *leaf.shape[len(sweep.shape) :])), self.params
        )
        measure = as_measurement(measurement, self.model)
        mesh = model_mesh(jax.local_devices()[:1])
        with jax.default_matmul_precision(precision):
            measured = measuring(self.model, self.objective, measure, mesh)(
                flat, keys, points, data
            )
        return jax.tree.map(
            lambda leaf: np.asarray(leaf).reshape((*sweep.shape, *leaf.shape[1:])), measured
        )

    def _check_inputs(self, data: Array) -> None:
        ahead = len(self.shape)
        one = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape[ahead:], leaf.dtype), self.params
        )
        try:
            jax.eval_shape(functools.partial(reconstruct, self.model), one, data)
        except Exception as error:  # whatever a user's model raises
            raise InputError(
                f"The models do not take data with {data.shape[1]} inputs ({first_line(error)}); "
                "expected as many as in their training."
            ) from None

    def to_xarray(self):
        """An `xarray.Dataset` whose dimensions are the axes, called by their first names.

        Variables: `loss_<name>` along "epoch" (1 to E), `history_<name>` along "moment" (at
        `history_epochs`), the final measurements by their names, `param_<name>`, `diverged_epoch`,
        and where models may stop `stopped_epoch` and `best_epoch`. Nested names are joined by "_";
        dimensions of a variable's own are called `<variable>_0` and so on. Further names of an axis
        are coordinates along it. Attributes: the fixed values and `guard`. `InputError` if a
        measurement has the name of a coordinate.
        """
        import xarray as xr

        axes = tuple(self.sizes)
        coordinates = {
            name: (axis.names[0], values)
            for axis in self.axes
            for name, values in zip(axis.names, axis.values, strict=True)
        }
        names, variables = [*coordinates, "epoch", "moment"], {}
        for name, array, last in self._variables():
            names.append(name)
            own = range(array.ndim - len(axes) - len(last))
            variables[name] = ((*axes, *(f"{name}_{i}" for i in own), *last), array)
            if last == ("epoch",):
                coordinates["epoch"] = ("epoch", np.arange(1, array.shape[-1] + 1))
        for name in names:
            if names.count(name) > 1:
                raise InputError(
                    f"'{name}' would stand twice in the dataset; rename the measurement, part of "
                    "the loss or coefficient of that name."
                )
        coordinates["moment"] = ("moment", self.history_epochs)
        return xr.Dataset(variables, coordinates, {**self.fixed, "guard": self.guard})

    def _variables(self) -> Iterator[tuple[str, np.ndarray, tuple[str, ...]]]:
        """Every array by the name it has in a dataset, with its last dimension if named."""
        for tree, prefix, last in (
            (self.losses, "loss", ("epoch",)),
            (self.history, "history", ("moment",)),
            (self.final, "", ()),
            (self.params, "param", ()),
        ):
            for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
                nested = jax.tree_util.keystr(path, simple=True, separator="_")
                name = "_".join(filter(None, (prefix, nested))) or "final"
                yield name, np.asarray(leaf), last
        for name in _EPOCHS:
            if getattr(self, name) is not None:
                yield name, np.asarray(getattr(self, name)), ()
