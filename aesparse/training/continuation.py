"""Training along growing strengths, each stage from where the one before ended.

A strong penalty from the start may leave units where no gradient reaches them (SATAE section 4).
Shapes: K stages, G cells.
"""

from collections.abc import Iterator, Sequence

import jax
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from aesparse.errors import InputError
from aesparse.options import check_untransformed, checked_key, checked_numbers
from aesparse.training.checkpoints import check_checkpoints
from aesparse.training.grid import GridResult, fit_grid

__all__ = ["fit_path"]


def fit_path(
    key: PRNGKeyArray,
    X: Array | np.ndarray,
    *,
    path: Sequence | Array | np.ndarray,
    **options,
) -> Iterator[GridResult]:
    """Yields `fit_grid`'s result for every stage of `path`, `[K]` or `[K, G]` for G cells a stage.

    Every stage starts from the parameters of the one before, with a batch order and noise of its
    own, and its strengths are arguments of one compiled program. `options` are those of
    `fit_grid`, less `strengths` and `init`; with `checkpoints` each stage has its part of them.
    Raises `InputError` unless the strengths grow: none may fall from a stage to the
    next, and one at least must rise.
    """
    check_untransformed(key, X, path, options)
    key = checked_key(key)
    check_checkpoints(options.get("checkpoints"))
    stages = checked_numbers(path, "The path is").astype(float)
    stages = stages[:, None] if stages.ndim == 1 else stages
    if stages.ndim != 2 or 0 in stages.shape:
        raise InputError(
            f"The path has shape {np.shape(path)}; expected [K] strengths, or [K, G] for G cells."
        )
    steps = np.diff(stages, axis=0)
    bad = np.flatnonzero((steps < 0).any(axis=1) | ~(steps > 0).any(axis=1))
    if len(bad):
        raise InputError(
            f"The path goes from {stages[bad[0]]} to {stages[bad[0] + 1]}; expected strengths that "
            "grow from stage to stage. Sort them and leave out repetitions."
        )
    taken = {"strengths", "init"} & options.keys()
    if taken:
        raise InputError(
            f"{' and '.join(sorted(taken))} given beside a path; expected neither: the path gives "
            "the strengths, and each stage starts where the one before ended."
        )
    return _stages(key, X, stages, options)


def _stages(key: PRNGKeyArray, X, stages: np.ndarray, options: dict) -> Iterator[GridResult]:
    params, checkpoints = None, options.pop("checkpoints", None)
    for i, strengths in enumerate(stages):
        stage = jax.random.fold_in(key, i)
        kept = checkpoints and checkpoints.part(i)
        result = fit_grid(stage, X, strengths=strengths, init=params, checkpoints=kept, **options)
        params = result.params
        yield result
