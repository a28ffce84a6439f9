"""Generalized sparse auto-encoders (GSAE appendix A): any unit f, any sparsity penalty φ.

J = E ℓ(x, f(W² f(W¹x + b¹) + b²)) + λ ψ(W) + β Σ_j φ(ρ̂_j), untied, f on the output too. Shapes:
n inputs, m hidden units (the document's p), N samples (its m); W¹ is `weight`, W² `decoder`.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aesparse.errors import InputError, unknown_name
from aesparse.losses.objectives import Objective, composed
from aesparse.losses.penalties import (
    POLE,
    Noise,
    Penalty,
    kl_divergence,
    kl_sparsity,
    mean_activation,
    weight_decay,
)
from aesparse.losses.reconstruction import half_squared_error
from aesparse.models.activations import Activation
from aesparse.models.one_layer import Forward, Params, encode, preactivation

__all__ = [
    "SPARSITY",
    "generalized_sparse",
    "half_weight_norm",
    "modified_backpropagation",
    "sparsity_function",
    "value_range",
]

SparsityFunction = Callable[[Float[Array, ""]], Float[Array, ""]]

# φ(ρ̂) for a target ρ; GSAE section 2 (KL), section 4 (ℓ2), section 5 (ℓ1).
SPARSITY: dict[str, Callable[[float, Float[Array, ""]], Float[Array, ""]]] = {
    "kl": kl_divergence,
    "l1": lambda rho, t: jnp.abs(t - rho),
    "l2": lambda rho, t: (t - rho) ** 2,
}
_REACH = 1e3  # pre-activations between ± this tell a unit's range …
_NEAR = 5.0  # … and between these, whether it attains 0 or 1: farther out smooth ones round to them


def half_weight_norm(forward: Forward, eps: Noise) -> Float[Array, ""]:
    """ψ = ½(‖W¹‖² + ‖W²‖²), without biases: its gradient is W (GSAE appendix A)."""
    return weight_decay(forward, eps) / 2


def sparsity_function(name: str, rho: float | int) -> SparsityFunction:
    """φ(ρ̂) = KL(ρ ‖ ρ̂), |ρ̂ − ρ| or (ρ̂ − ρ)² by the names of `SPARSITY`, smallest at ρ.

    `InputError` for an unknown name, and for KL unless 0 < ρ < 1.
    """
    if name not in SPARSITY:
        raise unknown_name("sparsity function", name, SPARSITY)
    if name == "kl" and not 0 < rho < 1:
        raise InputError(
            f"The KL target ρ is {rho}; expected a number between 0 and 1, such as 0.05, because "
            "KL(ρ ‖ ρ̂) compares two coins."
        )
    return functools.partial(SPARSITY[name], float(rho))


def value_range(activation: Activation, reach: float = _REACH) -> tuple[float, float]:
    """The smallest and largest value of a unit on pre-activations in ±`reach`."""
    positive = jnp.geomspace(1e-3, reach, 200)
    values = activation(jnp.concatenate([-positive, jnp.zeros(1), positive]))
    return float(jnp.min(values)), float(jnp.max(values))


@functools.cache
def generalized_sparse(
    activation: Activation,
    phi: str | SparsityFunction = "kl",
    *,
    rho: float | int | None = None,
    extend: bool = False,
) -> Objective:
    """GSAE's J with ℓ = ½‖·‖², ψ = `half_weight_norm`; the strength is (λ, β).

    `phi` is a name of `SPARSITY` with target `rho` (0.05 by default), or a user's function of one
    mean, which has no target. ρ̂_j is
    the mean over whatever rows the objective is given: all of them under `fit_full_batch`, the
    minibatch's under `fit_grid`, where for convex φ the penalty is larger by Jensen. KL is
    defined for means in (0, 1) alone; `extend=True` continues it by its tangents for units that
    leave (0, 1) (`penalties.kl_sparsity`), without which those are an `InputError`; so is
    `extend` or `rho` for a φ it says nothing about.
    """
    if rho is not None and not isinstance(phi, str):
        raise InputError(f"rho is {rho}, but φ is a function of your own; put its target into it.")
    if extend and phi != "kl":
        raise InputError("extend=True is given, but only KL leaves its domain; leave it out.")
    rho = 0.05 if rho is None else rho
    penalty = _kl(activation, rho, extend) if phi == "kl" else _other(phi, rho)
    return composed(
        activation,
        error=half_squared_error(activation),
        terms=(("weights", half_weight_norm), ("sparsity", penalty)),
    )


def _other(phi: str | SparsityFunction, rho: float | int) -> Penalty:
    return mean_activation(sparsity_function(phi, rho) if isinstance(phi, str) else phi)


def _kl(activation: Activation, rho: float | int, extend: bool) -> Penalty:
    exact = sparsity_function("kl", rho)
    if extend:
        return kl_sparsity(float(rho))
    low, high = value_range(activation)
    least, most = value_range(activation, _NEAR)
    if low < 0 or high > 1 or least <= 0 or most >= 1:
        raise InputError(
            f"KL(ρ ‖ ρ̂) is defined for means in (0, 1), but these units take values from {low:g} "
            f"to {high:g}, and {least:g} to {most:g} for |a| <= {_NEAR:g}; expected values inside "
            "(0, 1), such as sigmoid's. Choose φ = 'l1' or 'l2', or extend=True to continue KL by "
            f"its tangents below ρ/100 and above {POLE}."
        )
    return mean_activation(exact)


def modified_backpropagation(
    params: Params,
    X: Float[Array, "N n"],
    *,
    activation: Activation,
    phi: SparsityFunction,
    strength: Float[Array, " 2"],
    outputs: int | None = None,
) -> Params:
    """∇J of `generalized_sparse` by GSAE's own algorithm, the appendix's modified δ⁽²⁾.

    δ⁽²⁾_i = (Σ_j W²_ji δ⁽³⁾_j + β φ'(ρ̂_i)) f'(z⁽²⁾_i), where j runs over the n outputs; the
    document prints p, the number of hidden units: `outputs=m` is that reading. `params` are
    untied, with a decoder bias. Nothing trains with it: it states the document's claim (G1),
    which `jax.grad` confirms.
    """
    decay, beta = strength
    z2, code = preactivation(params, X), encode(params, X, activation)
    z3 = code @ params.decoder.T
    z3 = z3 + jnp.broadcast_to(params.decoder_bias, z3.shape)
    delta3 = (activation(z3) - X) * activation.slope(z3)
    push = beta * jax.vmap(jax.grad(phi))(jnp.mean(code, axis=0))
    back = delta3[:, :outputs] @ params.decoder[:outputs]
    delta2 = (back + jnp.broadcast_to(push, back.shape)) * activation.slope(z2)
    return Params(
        weight=delta2.T @ X / len(X) + decay * params.weight,
        bias=jnp.mean(delta2, axis=0),
        decoder_bias=jnp.mean(delta3, axis=0),
        decoder=delta3.T @ code / len(X) + decay * params.decoder,
    )
