"""One result of all parts of a training.

Shapes: C models, E epochs, H recorded moments.
"""

import jax
import numpy as np
from jaxtyping import PyTree

from aesparse.training.result import Result
from aesparse.training.task import Outcome, Task

__all__ = ["assembled", "diverged_epoch"]


def assembled(task: Task, outcomes: list[Outcome]) -> Result:
    """The models of all parts with the sweep's axes in front, up to the last epoch of any."""
    sweep = task.sweep
    last = max(outcome.losses["loss"].shape[-1] for outcome in outcomes)
    moments = np.array([epoch for epoch in task.record_at if epoch <= last], int)

    def joined(*leaves: np.ndarray) -> np.ndarray:
        flat = leaves[0] if len(leaves) == 1 else np.concatenate(leaves)
        return flat[: sweep.size].reshape((*sweep.shape, *flat.shape[1:]))

    whole = jax.tree.map(joined, *(_ended(outcome, last, moments) for outcome in outcomes))
    return Result(
        axes=sweep.axes,
        fixed=sweep.fixed,
        model=task.recipe.model,
        objective=task.recipe.objective,
        params=whole.params,
        losses=whole.losses,
        history=whole.history,
        history_epochs=moments,
        final=whole.final,
        diverged_epoch=whole.finite,
        guard=float(max(outcome.guard for outcome in outcomes)),
        key_data=np.asarray(jax.random.key_data(task.key)),
        stopped_epoch=whole.stopped,
        best_epoch=whole.best,
        optimizer_state=whole.moments,
        epochs=task.before + last,
    )


def _ended(outcome: Outcome, last: int, moments: np.ndarray) -> Outcome:
    """A part with `last` epochs, NaN after a model stopped, and `diverged_epoch` for `finite`."""
    loss, stopped = outcome.losses["loss"], outcome.stopped
    outcome = outcome._replace(guard=np.zeros(len(loss)))
    if stopped is None:
        return outcome._replace(finite=diverged_epoch(loss, outcome.finite))
    ends = np.where(stopped < 0, loss.shape[-1], stopped)
    until = np.minimum(np.arange(loss.shape[-1]), ends[:, None] - 1)
    loss = np.take_along_axis(loss, until, axis=-1)  # what came after a stop says nothing
    return outcome._replace(
        losses=_trimmed(outcome.losses, np.arange(1, last + 1), ends),
        history=_trimmed(outcome.history, moments, ends),
        finite=diverged_epoch(loss, outcome.finite, ends),
    )


def _trimmed(tree: PyTree, moments: np.ndarray, ends: np.ndarray) -> PyTree:
    """Records `[C, ..., H]` at `moments`, NaN (integers: 0) after each model's last epoch."""

    def one(leaf: np.ndarray) -> np.ndarray:
        whole = np.zeros((*leaf.shape[:-1], len(moments)), leaf.dtype)
        whole[..., : leaf.shape[-1]] = leaf
        over = moments > ends.reshape(-1, *(1,) * (leaf.ndim - 1))
        none = np.nan if np.issubdtype(leaf.dtype, np.inexact) else 0
        return np.where(over, none, whole).astype(leaf.dtype)

    return jax.tree.map(one, tree)


def diverged_epoch(
    loss: np.ndarray, finite: np.ndarray, ends: np.ndarray | None = None
) -> np.ndarray:
    """The first epoch whose mean loss is not finite, of models that end so; −1 for others.

    A model whose parameters alone end not `finite [...]` diverged in its last epoch: that of
    `loss [..., E]`, or the one it stopped at, `ends [...]`.
    """
    bad = ~np.isfinite(loss)
    ended = bad[..., -1] | ~finite
    last = loss.shape[-1] if ends is None else ends
    first = np.where(bad.any(axis=-1), bad.argmax(axis=-1) + 1, last)
    return np.where(ended, first, -1).astype(np.int32)
