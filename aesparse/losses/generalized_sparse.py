"""Generalized sparse auto-encoders (GSAE appendix A): any activation f, any sparsity penalty φ.

J = E ℓ(x, f(W² f(W¹x + b¹) + b²)) + λ ψ(W) + β Σ_j φ(ρ̂_j), untied, f on the output too. Shapes:
n inputs, m hidden units (the document's p), N samples (its m); W¹ is `weight`, W² `decoder`.
"""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from aesparse.errors import InputError, unknown_name
from aesparse.losses.base import Noise, Objective, Penalty
from aesparse.losses.objectives import composed
from aesparse.losses.penalties import weight_decay
from aesparse.losses.reconstruction import half_squared_error
from aesparse.losses.sparsity import POLE, kl_divergence, kl_sparsity, mean_activation
from aesparse.models.activations import Activation, as_activation
from aesparse.models.forward import Forward
from aesparse.models.one_layer import Params, encode, preactivation

__all__ = [
    "SPARSITY",
    "generalized_sparse",
    "half_weight_norm",
    "modified_backpropagation",
    "sparsity_function",
    "value_range",
]

SparsityFunction = Callable[[Float[Array, ""]], Float[Array, ""]]

#: φ(ρ̂) by name, for a target ρ; GSAE section 2 (KL), section 4 (ℓ2), section 5 (ℓ1).
SPARSITY: dict[str, Callable[[float, Float[Array, ""]], Float[Array, ""]]] = {
    "kl": kl_divergence,
    "l1": lambda rho, t: jnp.abs(t - rho),
    "l2": lambda rho, t: (t - rho) ** 2,
}
_REACH = 1e3  # an activation's range is taken on pre-activations in ± this
_NEAR = 5.0  # whether it attains 0 or 1, in ± this: farther out smooth ones round to them


def half_weight_norm(forward: Forward, eps: Noise) -> Float[Array, ""]:
    """ψ = ½(‖W¹‖² + ‖W²‖²), without biases, as a penalty: its gradient is W (GSAE appendix A).

    `forward` and `eps` are those of every penalty. One layer; tied weights count once.

    >>> from aesparse.models.forward import forward
    >>> from aesparse.models.one_layer import OneLayer
    >>> params = Params(jnp.eye(2), jnp.zeros(2), decoder=2 * jnp.eye(2))
    >>> float(half_weight_norm(forward(OneLayer(2, tied=False), params, jnp.ones((1, 2))), None))
    5.0
    """
    return weight_decay(forward, eps) / 2


def sparsity_function(name: str, rho: float | int) -> SparsityFunction:
    """φ(ρ̂) = KL(ρ ‖ ρ̂), |ρ̂ − ρ| or (ρ̂ − ρ)² by the `name` in `SPARSITY`, smallest at ρ = `rho`.

    `InputError` for an unknown name, and for KL unless 0 < ρ < 1.

    >>> [round(float(sparsity_function(name, 0.1)(jnp.array(0.5))), 4) for name in SPARSITY]
    [0.3681, 0.4, 0.16]
    """
    if name not in SPARSITY:
        raise unknown_name("sparsity function", name, SPARSITY)
    if name == "kl" and not 0 < rho < 1:
        raise InputError(
            f"The KL target ρ is {rho}; expected a number between 0 and 1, such as 0.05, because "
            "KL(ρ ‖ ρ̂) compares two coins."
        )
    return _sparsity_function(name, float(rho))


@functools.cache
def _sparsity_function(name: str, rho: float) -> SparsityFunction:
    return functools.partial(SPARSITY[name], rho)


@functools.lru_cache(maxsize=64)
def value_range(activation: Activation, reach: float = _REACH) -> tuple[float, float]:
    """The smallest and largest value of an `activation` for |a| <= `reach`, 1000 by default.

    >>> value_range(as_activation("tanh"))
    (-1.0, 1.0)
    """
    with jax.ensure_compile_time_eval():  # also while a program is traced
        positive = jnp.geomspace(1e-3, reach, 200)
        values = activation(jnp.concatenate([-positive, jnp.zeros(1), positive]))
        return float(jnp.min(values)), float(jnp.max(values))


def generalized_sparse(
    output: Activation | Callable | str = "sigmoid",
    phi: str | SparsityFunction = "kl",
    *,
    rho: float | int | None = None,
    extend: bool = False,
) -> Objective:
    """GSAE's J = E ½‖x − f(z)‖² + λ ψ + β Σ_j φ(ρ̂_j), ψ = `half_weight_norm` (appendix A).

    One layer. Coefficients: "weights", λ, and "sparsity", β. The document's J is that of a model
    with the same f as its activation, an untied decoder and a decoder bias. ρ̂_j is the mean over
    whatever rows the objective is given: all of them in full-batch training, the minibatch's
    otherwise, where for convex φ the penalty is larger by Jensen.

    Args:
        output: f on the output, as in `as_activation`; "sigmoid" by default.
        phi: φ, a name of `SPARSITY` ("kl" by default), or a function of one mean, which has no
            target.
        rho: the target ρ of a named φ, 0.05 by default.
        extend: True continues KL by its tangents (`kl_sparsity`). KL is defined for means in (0, 1)
            alone: by default it is refused, when first called, for an activation that leaves (0,
            1).

    Raises:
        InputError: for unknown names, KL targets outside (0, 1), and `extend` or `rho` where they
            say nothing.

    >>> generalized_sparse("sigmoid", "l1", rho=0.1).coefficients
    ('weights', 'sparsity')
    """
    if rho is not None and not isinstance(phi, str):
        raise InputError(f"rho is {rho}, but φ is a function of your own; put its target into it.")
    if extend and phi != "kl":
        raise InputError("extend=True is given, but only KL leaves its domain; leave it out.")
    return composed(
        error=half_squared_error(as_activation(output)),
        terms={
            "weights": half_weight_norm,
            "sparsity": _sparsity(phi, 0.05 if rho is None else rho, extend),
        },
    )


def _sparsity(phi: str | SparsityFunction, rho: float | int, extend: bool) -> Penalty:
    if not isinstance(phi, str):
        return mean_activation(phi)
    exact = mean_activation(sparsity_function(phi, rho))
    if phi != "kl":
        return exact
    return kl_sparsity(float(rho)) if extend else _within_its_domain(exact)


@functools.lru_cache(maxsize=64)
def _within_its_domain(kl: Penalty) -> Penalty:
    """The exact KL penalty; `InputError` for a model whose activation leaves (0, 1)."""

    def penalty(forward: Forward, eps: Noise) -> Float[Array, ""]:
        low, high = value_range(forward.activation)
        least, most = value_range(forward.activation, _NEAR)
        if low < 0 or high > 1 or least <= 0 or most >= 1:
            raise InputError(
                f"KL(ρ ‖ ρ̂) is defined for means in (0, 1), but this activation takes values from "
                f"{low:g} to {high:g}, and {least:g} to {most:g} for |a| <= {_NEAR:g}; expected "
                "values inside (0, 1), such as sigmoid's. Choose φ = 'l1' or 'l2', or extend=True "
                f"to continue KL by its tangents below ρ/100 and above {POLE}."
            )
        return kl(forward, eps)

    return penalty


def modified_backpropagation(
    params: Params,
    X: Float[Array, "N n"],
    *,
    activation: Activation,
    phi: SparsityFunction,
    coefficients: Mapping[str, ArrayLike],
    outputs: int | None = None,
) -> Params:
    """∇J of `generalized_sparse` by GSAE's own algorithm, the appendix's modified δ⁽²⁾.

    δ⁽²⁾_i = (Σ_j W²_ji δ⁽³⁾_j + β φ'(ρ̂_i)) f'(z⁽²⁾_i), where j runs over the n outputs; the
    document prints p, the number of hidden units. Nothing trains with it: it states the document's
    claim (G1), which `jax.grad` confirms.

    Args:
        params: of an untied model with a decoder bias.
        X: data `[N, n]`.
        activation: f, of code and output.
        phi: φ, a function of one mean.
        coefficients: "weights" and "sparsity", as for `generalized_sparse`.
        outputs: up to which output j runs, by default n; m is the printed reading.

    >>> from aesparse.models.one_layer import OneLayer
    >>> model, X = OneLayer(2, "sigmoid", tied=False, decoder_bias=True), jnp.eye(3)
    >>> params, values = model.init(jax.random.key(0), 3), {"weights": 0.1, "sparsity": 0.2}
    >>> phi = sparsity_function("l2", 0.1)
    >>> by_hand = modified_backpropagation(params, X, activation=model.activation, phi=phi,
    ...     coefficients=values)
    >>> loss = generalized_sparse("sigmoid", "l2", rho=0.1)
    >>> by_jax = jax.grad(lambda p: loss(model, p, X, X, values)[0])(params)
    >>> bool(jnp.allclose(by_hand.weight, by_jax.weight, atol=1e-6))
    True
    """
    decay, beta = coefficients["weights"], coefficients["sparsity"]
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
