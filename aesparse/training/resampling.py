"""Dead units of a dictionary begin again at samples that are badly reconstructed.

Shapes: N samples, n inputs, m hidden units.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Bool, Float, PRNGKeyArray

from aesparse.errors import InputError
from aesparse.losses.reconstruction import squared_error
from aesparse.models.base import Model
from aesparse.models.codes import BatchTopK
from aesparse.models.dictionary import (
    DictionaryModel,
    DictionaryParams,
    calibrated,
    check_dictionary,
    each_model,
)
from aesparse.options import checked_key, shortened

__all__ = ["resampled"]

_SHORTER = 0.2  # a new row's length over that of the living units' rows
_SAMPLES = 10_000  # encoded at once


def resampled(
    model: Model, params: DictionaryParams, X: ArrayLike, key: PRNGKeyArray
) -> DictionaryParams:
    """`params` in which units that are dead on X start anew (Bricken et al. 2023).

    A dead unit is active on no sample of X. It gets a sample drawn with probability ∝ ‖x − y‖⁴, the
    square of its error: the atom is its direction x'/‖x'‖, the encoder's row the same direction,
    0.2 times as long as the rows of living units on average; the unit's bias is 0, its threshold
    and gate start as the rule's `extras`. Units that live are left as they are. Train on from these
    by `fit(…, start=…)`, whose optimizer starts without moments. The activity of a `BatchTopK`
    model is that after `calibrated`.

    Args:
        model: a `DictionaryModel`.
        params: of one model, or of a grid with leading axes.
        X: data `[N, n]`, such as that of the training.
        key: of the random draw.

    Raises:
        InputError: for another model or key, and data that it does not take.

    >>> model = DictionaryModel(2)
    >>> params = DictionaryParams(jnp.eye(2), jnp.array([0.0, -9.0]), jnp.eye(2), jnp.zeros(2))
    >>> X = np.array([[4.0, 0.0], [0.0, 3.0]])  # unit 2 is dead, and the second sample is lost
    >>> after = resampled(model, params, X, jax.random.key(0))
    >>> after.weight.round(2).tolist(), after.bias.tolist()
    ([[1.0, 0.0], [0.0, 0.2]], [0.0, 0.0])
    """
    if not isinstance(model, DictionaryModel):
        raise InputError(
            f"The model to resample is {shortened(model)}; expected a DictionaryModel, such as "
            "DictionaryModel(64, TopK(8))."
        )
    X, key = check_dictionary(model, params, X), checked_key(key)
    active = calibrated(model, params, X) if isinstance(model.rule, BatchTopK) else params
    keys = jax.random.split(key, np.shape(params.bias)[:-1])

    def one(params: DictionaryParams, active: DictionaryParams, key: PRNGKeyArray):
        alive, errors = _activity(model, active, X)
        shift = np.asarray(params.decoder_bias) if model.subtract_decoder_bias else 0
        directed = (shift != X).any(axis=1)  # others have no direction
        if not directed.any():
            return jax.tree.map(np.asarray, params)
        drawn = _drawn(X[directed], errors[directed], key, model.hidden)
        return _restarted(model, params, ~alive, drawn - shift)

    return each_model(one, params, active, keys)


def _activity(
    model: DictionaryModel, params: DictionaryParams, X: np.ndarray
) -> tuple[Bool[np.ndarray, " m"], Float[np.ndarray, " N"]]:
    """Whether each unit is active on any sample, and ‖x − y‖² of each sample."""
    alive, errors = np.zeros(model.hidden, bool), []
    for begin in range(0, len(X), _SAMPLES):
        x = jnp.asarray(X[begin : begin + _SAMPLES])
        h = model.encode(params, x)
        alive |= np.asarray(jnp.any(h != 0, axis=0))
        errors.append(np.asarray(squared_error(x, model.decode(params, h))))
    return alive, np.concatenate(errors)


def _drawn(
    X: np.ndarray, errors: Float[np.ndarray, " N"], key: PRNGKeyArray, count: int
) -> Float[np.ndarray, "m n"]:
    """So many samples, drawn with replacement with probability ∝ the squares of their errors."""
    weights = (errors / max(float(errors.max()), np.finfo(errors.dtype).tiny)) ** 2
    weights = weights if weights.any() else np.ones_like(weights)
    rows = jax.random.choice(key, len(X), (count,), p=jnp.asarray(weights / weights.sum()))
    return X[np.asarray(rows)]


def _restarted(
    model: DictionaryModel,
    params: DictionaryParams,
    dead: Bool[np.ndarray, " m"],
    samples: Float[np.ndarray, "m n"],
) -> DictionaryParams:
    """The parameters in which each dead unit has the direction of its sample x' = x − b_d."""
    params = jax.tree.map(np.asarray, params)
    directions = samples / np.linalg.norm(samples, axis=1, keepdims=True)
    rows = np.linalg.norm(params.weight, axis=1)
    length = _SHORTER * float(np.mean(rows if dead.all() else rows[~dead]))
    fresh = {
        "bias": np.zeros(model.hidden),
        "decoder": directions.T,
        **model.rule.extras(model.hidden),
    }

    def chosen(new: ArrayLike, now: ArrayLike) -> np.ndarray:
        return np.where(dead, new, now).astype(now.dtype)  # the units along the last axis

    return params._replace(
        weight=chosen(length * directions.T, params.weight.T).T,
        **{
            name: jax.tree.map(chosen, value, getattr(params, name))
            for name, value in fresh.items()
        },
    )
