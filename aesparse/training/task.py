"""A training as one value: everything that was checked, and what came out."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from aesparse.training.checkpoints import Checkpoints
from aesparse.training.progress import Progress
from aesparse.training.sharding import Points
from aesparse.training.step import Recipe
from aesparse.training.stopping import EarlyStopping
from aesparse.training.sweep import Sweep

__all__ = ["Outcome", "Part", "Task"]


class Part(NamedTuple):
    """Models that one program trains together."""

    keys: Key[Array, " S"]  # of their seeds
    points: Points  # [C]
    hyperparameters: dict[str, Float[np.ndarray, " C"]]
    begin: PyTree | None  # parameters to start from, [C, ...]
    moments: PyTree | None  # the optimizer's state to go on from, [C, ...]
    checkpoints: Checkpoints | None


class Task(NamedTuple):
    """What is trained, on what, and what is recorded of it."""

    recipe: Recipe
    X: Float[Array, "N n"]
    key: Key[Array, ""]
    sweep: Sweep
    tunable: dict[str, float]  # hyperparameters of the optimizer and their defaults
    epochs: int
    record_at: Sequence[int]  # epochs
    record_rows: int
    begin: PyTree | None  # parameters to start from, of all models [C, ...]
    moments: PyTree | None  # the optimizer's state to go on from, likewise
    before: int  # epochs that the models had before, which their random numbers go on from
    at_once: int  # models of one program
    devices: tuple[jax.Device, ...] | None
    precision: str
    stopping: EarlyStopping | None
    on_epoch: Callable | None
    progress: Progress
    checkpoints: Checkpoints | None
    check_compiled: bool
    keep_params: bool
    keep_optimizer: bool

    @property
    def subset(self) -> Float[Array, "H n"]:
        """The samples of the history."""
        return self.X[: self.record_rows]

    @property
    def records_all(self) -> bool:
        """Whether history is recorded at the start and at every epoch."""
        return len(self.record_at) == self.epochs + 1

    def parts(self) -> list[Part]:
        """The models in parts of equal length; the last one is filled up with its last model."""
        size, count = self.at_once, self.sweep.size
        rows = np.minimum(np.arange(-(-count // size) * size), count - 1).reshape(-1, size)
        seeds = self.sweep.column("seed")
        most = max(len(np.unique(seeds[chosen])) for chosen in rows)
        return [
            self._part(i, chosen, seeds[chosen], most, len(rows)) for i, chosen in enumerate(rows)
        ]

    def _part(self, i: int, rows: np.ndarray, seeds: np.ndarray, most: int, parts: int) -> Part:
        different, position = np.unique(seeds, return_inverse=True)
        different = np.pad(different, (0, most - len(different)), mode="edge")
        dtype = self.X.dtype

        def column(name: str) -> np.ndarray:
            return self.sweep.column(name)[rows].astype(dtype)

        names = self.recipe.objective.coefficients
        saved = self.checkpoints
        if saved is not None and parts > 1:
            saved = saved.part(i)
        return Part(
            jax.vmap(lambda seed: jax.random.fold_in(self.key, seed))(different.astype(np.uint32)),
            Points(position.astype(np.int32), {name: column(name) for name in names}),
            {name: column(name) for name in self.tunable},
            *jax.tree.map(lambda leaf: leaf[rows], (self.begin, self.moments)),
            saved,
        )


class Outcome(NamedTuple):
    """What came of the models of a part, on the host; E epochs until the last model stopped."""

    params: PyTree | None  # [C, ...]
    losses: dict[str, np.ndarray]  # [C, E]
    history: PyTree  # [C, ..., H]
    final: PyTree  # [C, ...]
    finite: np.ndarray  # [C]: parameters and loss at the end
    guard: float
    stopped: np.ndarray | None = None  # [C]: the epoch after which a model stopped; −1: not so
    best: np.ndarray | None = None  # [C]: the epoch of its parameters, where models may stop
    moments: PyTree | None = None  # [C, ...]: the optimizer's state at the end, if it is kept
