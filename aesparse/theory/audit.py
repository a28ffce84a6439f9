"""The audit of an activation-penalty pair: will it sparsify, and why?

What is proved rests on what is measured by autodiff in float64 at one model on given data, and no
property is taken from a name; what is forecast, on a short simulated training (`theory.forecast`).
Shapes: n inputs, m hidden units, N samples, P probes.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from aesparse.errors import InputError, running
from aesparse.losses.base import scalar
from aesparse.losses.growth import growth
from aesparse.losses.penalties import Penalty, as_penalty
from aesparse.losses.reconstruction import reconstruction_error
from aesparse.metrics import bias_gradient_bound
from aesparse.models.activations import Activation, as_activation
from aesparse.models.constraints import as_constraint
from aesparse.models.forward import one_layer_forward
from aesparse.models.one_layer import OneLayer, Params, init_params, preactivation
from aesparse.theory import properties
from aesparse.theory.audit_inputs import (
    check_audit_memory,
    check_numbers,
    checked_model,
    checked_rows,
)
from aesparse.theory.audited import Audit
from aesparse.theory.conclusion import conclude
from aesparse.theory.families import identify, probes
from aesparse.theory.forecast import forecast
from aesparse.theory.properties import Violation
from aesparse.theory.response import responses

__all__ = ["audit"]


def audit(
    activation: Activation | Callable | str,
    penalty: Penalty | str,
    X: Array | np.ndarray,
    *,
    params: Params | None = None,
    hidden: int = 64,
    constraint: str = "unit",
    batch_size: int = 50,
    largest_strength: float | int = 1.0,
    updates: int | None = None,
    learning_rate: float | int = 0.001,
) -> Audit:
    """Whether training J_AE + λ·penalty makes the codes of `activation` sparse on X.

    Two answers, which are told apart: what the paper's theorems prove of this penalty, and a
    forecast of the activation fraction at the end of a training with SGD and momentum 0.9.
    "sparsifies" is said where both agree: a corollary of Arpit covers the pair, no unit is pushed
    up at any of several bias levels, at the largest strength the penalty's bias gradient is at
    least 1 % of the reconstruction's (medians over units) and E[a_j] decreases for at least half of
    the units; and the fraction is forecast to fall by more than 0.05. Everything is in float64, but
    the forecast.

    Args:
        activation: an `Activation`, a name, or a function R -> R, which counts as active above 0.
        penalty: a name, or a function `penalty(forward, eps)`; it is given no noise, eps = None.
        X: data `[N, n]`, of which at most 2,000 rows are used.
        params: the model to look at, tied or not, on the constraint; by default a fresh one.
        hidden: units of the fresh one; 64 by default.
        constraint: the name of the constraint of the training; "unit" by default.
        batch_size: of the training; 50 by default.
        largest_strength: the largest λ that you would train with; 1 by default.
        updates: how long you would train; by default 50 epochs of X, at least 50 updates.
        learning_rate: at which rate; 0.001 by default.

    Raises:
        InputError: for an activation that is not elementwise, a penalty that is no finite scalar,
            parameters that do not fit, numbers out of range, and defective data.

    >>> from aesparse.data import standardize
    >>> X = np.random.default_rng(0).normal(size=(100, 4))
    >>> result = audit("softplus", "cae", standardize(X)(X), hidden=3, updates=50)
    >>> result.family.corollary, result.forecast.says, round(result.forecast.change, 2) + 0.0
    (2, 'does not move', 0.0)
    >>> bool((result.strength_now <= result.strength_of_theorem1).all())
    True
    >>> result.dead, round(result.predicted_dead, 3), round(result.forecast.change_of_mean, 2)
    (0.0, 0.0, -0.08)
    """
    s, penalty = as_activation(activation), _floating(as_penalty(penalty))
    samples, X = checked_rows(X)
    check_numbers(hidden, batch_size, largest_strength, updates, learning_rate)
    updates = max(50 * (samples // batch_size), 50) if updates is None else updates
    rows = as_constraint(constraint)
    check_audit_memory(len(X), X.shape[1], hidden if params is None else 1)
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):  # optax relies on it
        s.check()
        X = jnp.asarray(X)
        if params is None:
            params = _fresh(n=X.shape[1], m=hidden, constraint=rows)
        else:
            params = checked_model(params, X, constraint)
        at = probes(params, X)
        values, gradients = _checked_gradients(penalty, at, X, s)
        tangents = [rows.tangent(p, g) for p, g in zip(at, gradients, strict=True)]
        small = jax.tree.map(lambda v: v.astype(jnp.float32), (params, X))
        expected = forecast(
            *small,
            s,
            penalty,
            rows,
            float(largest_strength),
            updates=int(updates),
            learning_rate=float(learning_rate),
            batch=batch_size,
        )
        audited = Audit(
            **_measured(s, penalty, X, params, rows),
            family=identify(at, gradients, X, s),
            samples=len(X),
            largest_strength=float(largest_strength),
            responses=responses(params, X, s, penalty, rows.tangent, batch_size),
            activation=s,
            growth_with_batch=_growth_with_the_batch(penalty, params, X, s),
            forecast=expected,
        )
        return conclude(audited, values, gradients, tangents)


@functools.partial(jax.jit, static_argnames=("n", "m", "constraint"))
def _fresh(*, n: int, m: int, constraint) -> Params:
    return constraint.project(init_params(jax.random.key(0), n, m, dtype=np.dtype(float)))


@functools.lru_cache(maxsize=64)
def _floating(penalty: Penalty) -> Penalty:
    """The penalty as a float scalar; integer values have gradient 0 and are let through."""

    def floating(seen, eps):
        return jnp.asarray(scalar(penalty(seen, eps)), seen.x.dtype)

    return floating


@functools.partial(jax.jit, static_argnames=("s", "penalty"))
def _gradients(params, X, *, s, penalty):
    return jax.value_and_grad(lambda p: penalty(one_layer_forward(p, X, s), None))(params)


def _checked_gradients(penalty: Penalty, at: Sequence[Params], X: Float[Array, "N n"], s):
    """The penalty's values and gradients at the probes; `InputError` if they are not finite."""
    with running(
        "The penalty fails",
        "penalty(forward, eps) that returns one number and that JAX can trace and differentiate.",
    ):
        seen = [_gradients(p, X, s=s, penalty=penalty) for p in at]
    for p, (value, gradient) in zip(at, seen, strict=True):
        if not all(np.isfinite(v).all() for v in jax.tree.leaves((value, gradient))):
            level = float(jnp.mean(p.bias))
            raise InputError(
                f"The penalty or its gradient is not finite (value {float(value):.3g}) at a model "
                f"with mean bias {level:.3g}; expected finite numbers. Look for logarithms, roots "
                "or norms at 0, and for means above 1."
            )
    return zip(*seen, strict=True)


def _growth_with_the_batch(
    penalty: Penalty, params: Params, X: Float[Array, "N n"], s: Activation
) -> float:
    """The size of ∂R on every sample twice over its size on `X`: 1 for an average, 2 for a sum."""

    def size(x, eps, params):
        del eps
        return {"gradient": optax.tree.norm(_gradients(params, x, s=s, penalty=penalty)[1])}

    return growth(size, X, X, params).get("gradient", 1.0)


def _measured(s, penalty, X, params, constraint) -> dict:
    """The audit's fields that are measured at the model itself."""
    a = preactivation(params, X)
    # Check the default range and the observed range separately: one grid over both would be coarse.
    reach = max(properties.REACH, 1.2 * float(jnp.max(jnp.abs(a))))
    ranges = [jax.device_get(_conditions(r, s=s)) for r in {properties.REACH, reach}]
    conditions = {
        name: max((of_range[name] for of_range in ranges), key=lambda v: v.residual)
        for name in ranges[0]
    }
    fields = jax.device_get(_at_model(params, X, s=s, penalty=penalty, constraint=constraint))
    return fields | {
        "conditions": {name: Violation(*map(float, v)) for name, v in conditions.items()},
        "data": {name: float(value) for name, value in fields["data"].items()},
        "preactivations": np.quantile(np.asarray(a), np.linspace(0.001, 0.999, 201)),
    }


@functools.partial(jax.jit, static_argnames="s")
def _conditions(reach, *, s) -> dict[str, Violation]:
    """What the corollaries need of s, looked at up to `reach`."""
    return {
        "s non-decreasing": properties.non_decreasing(s, reach),
        "s convex": properties.convex(s, reach),
        "s' in [0, 1]": properties.slope_in_unit_interval(s, reach),
        "s(−∞) = 0": properties.negative_saturation(s),
    }


@functools.partial(jax.jit, static_argnames=("s", "penalty", "constraint"))
def _at_model(params, X, *, s, penalty, constraint) -> dict:
    """Fields of the audit: bias gradients, falls of E[a_j], activity, the data's residuals."""
    model, a, mean = OneLayer.of(params, s), preactivation(params, X), jnp.mean(X, axis=0)
    push = jax.grad(lambda p: penalty(one_layer_forward(p, X, s), None))(params)
    error, pull = jax.value_and_grad(lambda p: reconstruction_error(model, p, X, X))(params)

    def fall(gradient: Params) -> Float[Array, " m"]:
        allowed = constraint.tangent(params, gradient)
        return allowed.bias + allowed.weight @ mean

    return {
        "data": {
            "largest |E[x_i]| over rms": properties.zero_mean(X) / jnp.sqrt(jnp.mean(X**2)),
            "largest |E[xxᵀ] − I|": properties.whiteness(X),
        },
        "push": push.bias,
        "pull": pull.bias,
        "fall_by_push": fall(push),
        "fall_by_pull": fall(pull),
        "bound": bias_gradient_bound(params, error),
        "predicted_active": _gaussian_activity(a, s),
        "active": jnp.mean(s(a) > s.threshold, axis=0),
    }


def _gaussian_activity(a: Float[Array, "N m"], s: Activation) -> Float[Array, " m"]:
    """P(s(a_j) > δ_min) for Gaussian a_j with the mean and variance on the data."""
    z = jax.scipy.special.ndtri((jnp.arange(4000) + 0.5) / 4000)
    mean, spread = jnp.mean(a, axis=0), jnp.std(a, axis=0)
    return jnp.mean(s(mean[None] + z[:, None] * spread[None]) > s.threshold, axis=0)
