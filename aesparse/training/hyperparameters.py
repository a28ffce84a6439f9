"""Hyperparameters and first moments in the states of optimizers.

What `optax.inject_hyperparams` keeps in the optimizer's state can be swept like a coefficient: each
model of a grid has its own value there.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from aesparse.errors import InputError, running
from aesparse.training.optimizers import Optimizer, Sgd

__all__ = ["hyperparameters", "on_first_moments", "with_hyperparameters"]

_FIRST_MOMENTS = ("trace", "mu")  # of optax: momentum; the mean of gradients of Adam and its kin


def hyperparameters(optimizer: Optimizer, params: PyTree) -> dict[str, float]:
    """Names and values of what can be swept of an optimizer, for `params` of these shapes.

    Those that follow a schedule are not among them. `InputError` where the optimizer cannot be
    started, or two of its parts have hyperparameters of one name.

    >>> import optax
    >>> optimizer = optax.inject_hyperparams(optax.rmsprop)(0.01)
    >>> sorted(hyperparameters(optimizer, {"w": jnp.zeros(3)}))
    ['decay', 'eps', 'initial_scale', 'learning_rate']
    """
    if isinstance(optimizer, Sgd):
        return dataclasses.asdict(optimizer)  # nothing to compile

    def values() -> list[dict[str, Array]]:
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), params)
        return [_numbers(state) for state in _injected(optimizer.init(zeros))]

    with running(
        "The optimizer cannot be started for this model",
        "an optax transformation of its parameters.",
    ):
        parts = jax.device_get(jax.jit(values)())
    names = [name for part in parts for name in part]
    if len(set(names)) < len(names):
        raise InputError(
            f"Parts of the optimizer have hyperparameters of one name among {sorted(names)}; "
            "expected different ones. Make one optimizer of them, with names of your own."
        )
    # As they were written: 0.001 for the float32 number nearest to it.
    return {name: float(str(value)) for part in parts for name, value in part.items()}


def with_hyperparameters(state: PyTree, values: Mapping[str, Array]) -> PyTree:
    """The `state` of an optimizer with other `values`, by name, of its hyperparameters.

    >>> from aesparse.training.optimizers import sgd
    >>> state = with_hyperparameters(sgd().init(jnp.zeros(1)), {"momentum": jnp.array(0.5)})
    >>> float(state.hyperparams["momentum"])
    0.5
    """

    def replaced(part):
        chosen = {
            name: jnp.asarray(values[name], number.dtype)
            for name, number in _numbers(part).items()
            if name in values
        }
        return part._replace(hyperparams={**part.hyperparams, **chosen})

    return _map_states(_is_injected, replaced, state)


def on_first_moments(f: Callable[[PyTree], PyTree], state: PyTree, params: PyTree) -> PyTree:
    """The `state` with `f` applied to its first moments, which have the structure of `params`.

    >>> from aesparse.training.optimizers import sgd
    >>> params = jnp.zeros(2)
    >>> on_first_moments(lambda moments: moments + 1, sgd().init(params), params).trace.tolist()
    [1.0, 1.0]
    """
    structure = jax.tree.structure(params)

    def has_moments(part) -> bool:
        return any(
            jax.tree.structure(getattr(part, name, None)) == structure for name in _FIRST_MOMENTS
        )

    def moved(part):
        names = [name for name in _FIRST_MOMENTS if hasattr(part, name)]
        return part._replace(**{name: f(getattr(part, name)) for name in names})

    return _map_states(has_moments, moved, state)


def _is_injected(part: object) -> bool:
    return isinstance(part, tuple) and isinstance(getattr(part, "hyperparams", None), dict)


def _injected(state: PyTree) -> Iterator:
    if _is_injected(state):
        yield state
    if isinstance(state, tuple | list):
        for part in state:
            yield from _injected(part)


def _numbers(part) -> dict[str, Array]:
    """The hyperparameters that are one floating-point number and follow no schedule."""
    scheduled = getattr(part, "hyperparams_states", {})
    return {
        name: value
        for name, value in part.hyperparams.items()
        if name not in scheduled and jnp.issubdtype(jnp.result_type(value), jnp.floating)
    }


def _map_states(matches: Callable, f: Callable, state: PyTree) -> PyTree:
    """`f` applied to every part of an optimizer's state that matches, inner parts first."""
    if not isinstance(state, tuple | list):
        return state
    parts = [_map_states(matches, f, part) for part in state]
    named = hasattr(state, "_fields")
    state = type(state)(*parts) if named else type(state)(parts)
    return f(state) if named and matches(state) else state
