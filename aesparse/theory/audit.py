"""The audit of an activation-penalty pair: will it sparsify, and why?

Everything is measured, by autodiff and in float64, at one model on given data: nothing is
trained and no property is taken from a name. Shapes: n inputs, m hidden units, N samples.
"""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from aesparse.data import check_matrix
from aesparse.errors import InputError, running
from aesparse.losses.base import scalar
from aesparse.losses.growth import growth
from aesparse.losses.objectives import autoencoder
from aesparse.losses.penalties import Penalty, as_penalty
from aesparse.losses.reconstruction import reconstruction_error
from aesparse.memory import host_memory
from aesparse.metrics import Trained, bias_gradient_bound, unit_statistics
from aesparse.models.activations import Activation, as_activation
from aesparse.models.constraints import as_constraint
from aesparse.models.forward import one_layer_forward
from aesparse.models.one_layer import OneLayer, Params, check_params, init_params, preactivation
from aesparse.theory import properties
from aesparse.theory.conclusion import Audit, conclude
from aesparse.theory.families import Family, identify, probes
from aesparse.theory.properties import Violation
from aesparse.theory.response import bytes_per_unit, responses

__all__ = ["audit"]

_SAMPLES = 2000


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
) -> Audit:
    """Measures whether J_AE + λ·penalty pushes hidden units of `activation` to inactivity on X.

    `activation` and `penalty` are functions or names of built-in ones; an activation without
    its δ_min counts as active above 0. `params` is the model to look at (tied or not, on the
    `constraint`), by default a fresh one of `hidden` units. At most 2,000 rows of X are used.
    "sparsifies" is said where a corollary of Arpit covers the pair, no unit is pushed up at any
    of several bias levels, and at `largest_strength` its bias gradient is at least 1 % of the
    reconstruction's (medians over units) and E[a_j] decreases for more than half of the units.

    Raises `InputError` for an activation that is not elementwise, a penalty that is no finite
    scalar, parameters that do not fit, and defective data.
    """
    s, penalty = as_activation(activation), as_penalty(penalty)
    X = _checked_data(X)
    _check_numbers(hidden, batch_size, largest_strength)
    rows = as_constraint(constraint)
    _check_memory(len(X), X.shape[1], hidden if params is None else 1)
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):  # optax relies on it
        s.check()
        X = jnp.asarray(X)
        if params is None:
            fresh = init_params(jax.random.key(0), X.shape[1], hidden, dtype=X.dtype)
            params = rows.project(fresh)
        else:
            params = _checked_params(params, X, constraint)
        at = probes(params, X)
        penalty, values, gradients = _checked_penalty(penalty, at, X, s)
        measured = _measured(s, penalty, X, params, rows, batch_size, float(largest_strength))
        measured = dataclasses.replace(measured, family=identify(at, gradients, X, s))
        grows = _growth_with_the_batch(penalty, params, X, s)
        measured = dataclasses.replace(measured, growth_with_batch=grows)
        tangents = [rows.tangent(p, g) for p, g in zip(at, gradients, strict=True)]
        conclusion, reason = conclude(measured, values, gradients, tangents)
        return dataclasses.replace(measured, conclusion=conclusion, reason=reason)


def _checked_data(X: Array | np.ndarray) -> np.ndarray:
    X = np.asarray(check_matrix(X), np.float64)
    X = X[:: -(-len(X) // _SAMPLES)]
    if not np.ptp(X, axis=0).any():
        raise InputError(
            f"The data is the same in all {len(X)} rows; expected samples that differ."
        )
    return X


def _check_numbers(hidden: object, batch_size: object, largest_strength: float) -> None:
    for name, value in {"hidden": hidden, "batch_size": batch_size}.items():
        if not hasattr(value, "__index__") or value < 1:
            raise InputError(f"{name} is {value}; expected an integer of at least 1.")
    if not (np.isfinite(largest_strength) and largest_strength > 0):
        raise InputError(
            f"largest_strength is {largest_strength}; expected a finite number above 0."
        )


def _check_memory(samples: int, inputs: int, hidden: int) -> None:
    """`InputError` if a model of so many hidden units cannot be looked at, whatever else is."""
    each, total = bytes_per_unit(samples, inputs), host_memory()
    if hidden * each > total:
        raise InputError(
            f"hidden is {hidden}, for which an audit of {inputs} inputs needs at least "
            f"{hidden * each / 2**30:.3g} GiB and this machine has {total / 2**30:.3g}; expected "
            f"at most {total // each}."
        )


def _checked_params(params: Params, X: Float[Array, "N n"], constraint: str) -> Params:
    check_params(params, "params are")
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, X.dtype), params)
    n, m = X.shape[1], params.weight.shape[0]
    fitting = Params((m, n), (m,), decoder_bias=(n,), decoder=(n, m))
    for name, leaf, shape in zip(Params._fields, params, fitting, strict=True):
        if leaf is not None and leaf.shape != shape:
            raise InputError(
                f"params have '{name}' of shape {leaf.shape}; expected {shape}: one model on data "
                f"of {n} inputs. Select one model of a grid."
            )
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(params)):
        raise InputError("params hold NaN or inf; expected finite numbers.")
    projected = as_constraint(constraint).project(params)
    near = jax.tree.map(lambda a, b: bool(jnp.allclose(a, b, atol=1e-4)), projected, params)
    if not all(jax.tree.leaves(near)):
        rows = jnp.linalg.norm(params.weight, axis=-1)
        lengths = f"Rows of params have lengths from {jnp.min(rows):.3g} to {jnp.max(rows):.3g}"
        if params.decoder is not None:
            columns = jnp.linalg.norm(params.decoder, axis=0)
            lengths += f", decoder columns from {jnp.min(columns):.3g} to {jnp.max(columns):.3g}"
        raise InputError(
            f"{lengths}, off the constraint '{constraint}'; give constraint='free' or put them on "
            "it."
        )
    return params


def _checked_penalty(penalty: Penalty, at: Sequence[Params], X: Float[Array, "N n"], s: Activation):
    """The penalty as a float scalar, with its values and gradients at the probes.

    Integer values have gradient 0 and are let through.
    """

    def floating(seen, eps):
        return jnp.asarray(scalar(penalty(seen, eps)), seen.x.dtype)

    both = jax.jit(jax.value_and_grad(lambda p: floating(one_layer_forward(p, X, s), None)))
    with running(
        "The penalty fails",
        "penalty(forward, eps) that returns one number and that JAX can trace and differentiate.",
    ):
        values, gradients = zip(*map(both, at), strict=True)
    for p, value, gradient in zip(at, values, gradients, strict=True):
        if not all(bool(jnp.isfinite(v).all()) for v in jax.tree.leaves((value, gradient))):
            level = float(jnp.mean(p.bias))
            raise InputError(
                f"The penalty or its gradient is not finite (value {float(value):.3g}) at a model "
                f"with mean bias {level:.3g}; expected finite numbers. Look for logarithms, roots "
                "or norms at 0, and for means above 1."
            )
    return floating, values, gradients


def _growth_with_the_batch(
    penalty: Penalty, params: Params, X: Float[Array, "N n"], s: Activation
) -> float:
    """The size of ∂R on every sample twice over its size on `X`: 1 for an average, 2 for a sum."""

    def size(x, eps, params):
        del eps
        gradient = jax.grad(lambda p: penalty(one_layer_forward(p, x, s), None))(params)
        return {"gradient": optax.tree.norm(gradient)}

    return growth(size, X, X, params).get("gradient", 1.0)


def _measured(s, penalty, X, params, constraint, batch_size, largest_strength) -> Audit:
    """Everything but the family, the conclusion and its reason."""
    a, mean = preactivation(params, X), jnp.mean(X, axis=0)
    # Check the default range and the observed range separately: one grid over both would be coarse.
    reach = max(properties.REACH, 1.2 * float(jnp.max(jnp.abs(a))))
    conditions = {
        name: max((check(s, r) for r in {properties.REACH, reach}), key=lambda v: v.residual)
        for name, check in {
            "s non-decreasing": properties.non_decreasing,
            "s convex": properties.convex,
            "s' in [0, 1]": properties.slope_in_unit_interval,
        }.items()
    } | {
        "s(−∞) = 0": properties.negative_saturation(s),
    }
    push = jax.grad(lambda p: penalty(one_layer_forward(p, X, s), None))(params)
    model = OneLayer.of(params, s)
    error, pull = jax.value_and_grad(lambda p: reconstruction_error(model, p, X, X))(params)
    trained = Trained(model, autoencoder(), params, {}, jax.random.key(0))

    def fall(gradient: Params) -> np.ndarray:
        allowed = constraint.tangent(params, gradient)
        return np.asarray(allowed.bias + allowed.weight @ mean)

    return Audit(
        conclusion="",
        reason="",
        conditions={name: Violation(*map(float, v)) for name, v in conditions.items()},
        data={
            "largest |E[x_i]| over rms": float(properties.zero_mean(X) / jnp.sqrt(jnp.mean(X**2))),
            "largest |E[xxᵀ] − I|": float(properties.whiteness(X)),
        },
        family=Family("", 0),
        samples=len(X),
        largest_strength=largest_strength,
        push=np.asarray(push.bias),
        pull=np.asarray(pull.bias),
        fall_by_push=fall(push),
        fall_by_pull=fall(pull),
        bound=np.asarray(bias_gradient_bound(params, error)),
        responses=responses(params, X, s, penalty, constraint.tangent, batch_size),
        predicted_active=np.asarray(_gaussian_activity(a, s)),
        active=np.asarray(unit_statistics(trained, X).active),
        preactivations=np.quantile(np.asarray(a), np.linspace(0.001, 0.999, 201)),
        activation=s,
    )


def _gaussian_activity(a: Float[Array, "N m"], s: Activation) -> Float[Array, " m"]:
    """P(s(a_j) > δ_min) for Gaussian a_j with the mean and variance on the data."""
    z = jax.scipy.special.ndtri((jnp.arange(4000) + 0.5) / 4000)
    mean, spread = jnp.mean(a, axis=0), jnp.std(a, axis=0)
    return jnp.mean(s(mean[None] + z[:, None] * spread[None]) > s.threshold, axis=0)
