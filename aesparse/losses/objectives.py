"""Training objectives: `objective(params, x, eps, strength) -> (loss, aux)`.

The squared error is summed over the n inputs and averaged over the B samples (Arpit eq. 1);
the paper's learning rates only make sense on that scale. `eps [B, n]` is unit normal noise
drawn by the trainer and scaled inside; `strength` is the coefficient λ of a penalty, or the
noise variance σ² (masking: the probability). `aux` holds what the loss is made of.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aesparse.errors import InputError, unknown_name
from aesparse.losses import corruption, penalties
from aesparse.losses.penalties import Noise, Penalty
from aesparse.losses.reconstruction import (
    ErrorFunction,
    half_squared_error,
    reconstruction_error,
    squared_error,
)
from aesparse.losses.saturation import complement, saturation
from aesparse.models.activations import Activation, check_activation, get_activation
from aesparse.models.one_layer import Forward, Params, decode, forward, preactivation, row_sums

__all__ = [
    "OBJECTIVES",
    "Objective",
    "antithetic_denoising",
    "autoencoder",
    "composed",
    "denoising",
    "first_order_denoising",
    "get_objective",
    "higher_order_contractive",
    "kl_sparse",
    "regularized",
    "saturating",
    "second_order_denoising",
    "sparse",
]


@dataclasses.dataclass(frozen=True)
class Objective:
    """A loss with the activation and error it was built for; call it as the contract above.

    `levels`: the strength, the first one of several, must lie in [low, high). `coefficients`:
    how many numbers a strength has where it is a vector `[K]`; None: it is one number.
    """

    fn: Callable[..., tuple[Array, Mapping[str, Array]]]
    activation: Activation
    error: ErrorFunction = squared_error
    levels: tuple[float, float] | None = None
    coefficients: int | None = None

    def __post_init__(self) -> None:
        check_activation(self.activation)
        if not isinstance(self.error, ErrorFunction):
            raise InputError(
                f"The error is {self.error!r}; expected an ErrorFunction, such as squared_error, "
                "or ErrorFunction(fn) for a function of your own."
            )

    def __call__(
        self,
        params: Params,
        x: Float[Array, "B n"],
        eps: Float[Array, "B n"],
        strength: Float[Array, "*K"],
    ) -> tuple[Array, Mapping[str, Array]]:
        """The loss of a batch (a scalar, unless a user's penalty is not), and its parts.

        `strength` is one number, or a vector `[K]` for objectives with several coefficients.
        """
        return self.fn(params, x, eps, strength)


@functools.cache
def autoencoder(activation: Activation) -> Objective:
    """AE: the reconstruction error alone; the strength has no effect (Arpit eq. 1)."""

    def fn(params, x, eps, strength):
        del eps, strength
        loss = reconstruction_error(params, x, x, activation)
        return loss, {"reconstruction": loss}

    return Objective(fn, activation)


@functools.cache
def denoising(activation: Activation, corrupt: Callable = corruption.gaussian) -> Objective:
    """DAE: reconstructs the clean input from a corrupted one (Arpit eq. 6).

    `corrupt(x, eps, strength)` is `corruption.gaussian` (variance) or `corruption.masking`
    (probability), or a user's own.
    """

    def fn(params, x, eps, strength):
        loss = reconstruction_error(params, corrupt(x, eps, strength), x, activation)
        return loss, {"reconstruction": loss}

    return Objective(fn, activation, levels=corruption.LEVELS.get(corrupt))


@functools.cache
def antithetic_denoising(activation: Activation) -> Objective:
    """DAE with the noise in pairs ±ε: its first-order term cancels exactly (Arpit 3.1.1).

    The mean of the Gaussian DAE's loss at ε and at −ε, twice the products of a DAE.
    """
    one_sided = denoising(activation)

    def fn(params, x, eps, strength):
        losses = [one_sided(params, x, sign * eps, strength)[0] for sign in (1, -1)]
        loss = sum(losses) / 2
        return loss, {"reconstruction": loss}

    return Objective(fn, activation)


@functools.cache
def first_order_denoising(activation: Activation) -> Objective:
    """eDAE: E[ℓ + (x̃ − x)ᵀ∇ℓ], DAE's Taylor series cut after the first order (Arpit 3.1.1).

    ∇ is taken with respect to the encoder's input at the clean x while the target stays
    fixed: one Jacobian-vector product. Linear in the noise, hence unbounded below for one
    fixed noise and free rows.
    """

    def fn(params, x, eps, strength):
        # Each layer is linear but for its activation, so the product's directions go through it
        # beside the batch: five matrix products of twice the rows instead of ten.
        weights = params._replace(bias=jnp.zeros_like(params.bias), decoder_bias=None)
        both = jnp.concatenate([x, jnp.sqrt(strength) * eps])
        a, along = jnp.split(preactivation(weights, both), 2)
        code = jax.jvp(activation, (a + jnp.broadcast_to(params.bias, a.shape),), (along,))
        y, along = jnp.split(decode(weights, jnp.concatenate(code)), 2)
        if params.decoder_bias is not None:
            y = y + jnp.broadcast_to(params.decoder_bias, y.shape)
        loss, first_order = jax.jvp(lambda y: jnp.mean(squared_error(x, y)), (y,), (along,))
        return loss + first_order, {"reconstruction": loss, "penalty": first_order}

    return Objective(fn, activation)


@functools.cache
def regularized(
    activation: Activation, penalty: Penalty, *, report: tuple[tuple[str, Penalty], ...] = ()
) -> Objective:
    """J_AE + strength × penalty (Arpit eq. 4), for any penalty, a user's own included.

    `report` names further functions of the same form whose values join `aux`.
    """

    def fn(params, x, eps, strength):
        clean = forward(params, x, activation)
        error = jnp.mean(squared_error(x, clean.reconstruction))
        value = penalty(clean, eps)
        aux = {"reconstruction": error, "penalty": value}
        aux |= {name: f(clean, eps) for name, f in report}
        return error + strength * value, aux

    return Objective(fn, activation)


@functools.cache
def composed(
    activation: Activation,
    *,
    error: ErrorFunction = squared_error,
    corrupt: Callable | None = None,
    terms: tuple[tuple[str, Penalty], ...] = (),
) -> Objective:
    """E ℓ(x, f_d(f_e(x̃))) + Σ_k λ_k R_k(x): any error, corruption and named penalties.

    The general form of GSAE (appendix A) and of the Lecture. `strength` is a vector `[K]`: the
    level of the corruption if there is one, then a coefficient λ_k per penalty; where K = 1 a
    single number will do, and where K = 0 it has no effect. Penalties see the clean input. aux
    has every part by its name.
    """
    expected, names = len(terms) + (corrupt is not None), [name for name, _ in terms]
    if len({"reconstruction", *names}) <= len(names):
        raise InputError(f"Terms are called {names}; expected names of their own.")

    def fn(params, x, eps, strength):
        ignored = expected == 0 and jnp.ndim(strength) == 0
        levels = jnp.zeros(0) if ignored else jnp.atleast_1d(strength)
        if len(levels) != expected:
            raise InputError(
                f"The strength has length {len(levels)}; expected {expected}: "
                f"{', '.join([*['corruption'] * (corrupt is not None), *names])}."
            )
        clean, coefficients = forward(params, x, activation), levels
        if corrupt is None:
            loss = jnp.mean(error(x, clean.reconstruction))
        else:
            corrupted, coefficients = corrupt(x, eps, levels[0]), levels[1:]
            loss = reconstruction_error(params, corrupted, x, activation, error)
        aux = {"reconstruction": loss}
        for (name, penalty), coefficient in zip(terms, coefficients, strict=True):
            aux[name] = penalty(clean, eps)
            loss = loss + coefficient * aux[name]
        return loss, aux

    return Objective(fn, activation, error, corruption.LEVELS.get(corrupt), expected)


HESSIAN_SIGMA, HESSIAN_RATIO = 0.1, 100.0  # of "cae-h": the noise's deviation, γ/λ


@functools.cache
def higher_order_contractive(
    activation: Activation, *, sigma: float = HESSIAN_SIGMA, ratio: float = HESSIAN_RATIO
) -> Objective:
    """CAE+H: J_AE + λ E‖J(x)‖_F² + γ E‖J(x) − J(x + σε)‖_F², J = ∂h/∂x (Rifai et al. 2011a).

    One layer: E Σ_j (s'_j(x) − s'_j(x + σε))² ‖W_j‖² for the last mean. Rifai et al. search γ
    beside λ; on a grid over λ alone γ = `ratio`·λ. The default is 1/σ²: their term over σ² tends
    to E‖∂²h/∂x²‖² as σ → 0, so slope and curvature then weigh the same. aux has both means.
    """

    def fn(params, x, eps, strength):
        clean, far = forward(params, x, activation), preactivation(params, x + sigma * eps)
        error = jnp.mean(squared_error(x, clean.reconstruction))
        squared = (activation.slope(clean.preactivation) - activation.slope(far)) ** 2
        change = jnp.sum(jnp.mean(squared, axis=0) * row_sums(params.weight**2))
        size = penalties.contractive(clean, eps)
        aux = {"reconstruction": error, "penalty": size, "jacobian_change": change}
        return error + strength * (size + ratio * change), aux

    return Objective(fn, activation)


@functools.cache
def _tangent_share(low: float = -math.inf, high: float = penalties.POLE) -> Penalty:
    """The share of units whose batch mean lies outside [low, high], on a tangent."""

    def share(forward: Forward, eps: Noise) -> Float[Array, ""]:
        del eps
        means = jnp.mean(forward.code, axis=0)
        return jnp.mean((means > high) | (means < low))

    return share


@functools.cache
def sparse(activation: Activation, *, pole: float = penalties.POLE) -> Objective:
    """SAE with ρ = 0 (Arpit eq. 13); aux reports the share of units beyond `pole`."""
    report = (("tangent_share", _tangent_share(high=pole)),)
    return regularized(activation, penalties.log_sparsity(pole), report=report)


@functools.cache
def kl_sparse(activation: Activation, *, rho: float = 0.05) -> Objective:
    """SAE with target ρ (Arpit eq. 12); aux reports the share of units on its tangents."""
    report = (("tangent_share", _tangent_share(low=penalties.kl_floor(rho))),)
    return regularized(activation, penalties.kl_sparsity(rho), report=report)


@functools.cache
def second_order_denoising(activation: Activation) -> Objective:
    """DAE-2, J_AE plus DAE's second-order term (Arpit eqs. 7, 33).

    aux reports how large the term with the residual is beside the other two together.
    """
    report = (("residual_share", penalties.residual_share),)
    return regularized(activation, penalties.second_order, report=report)


@functools.cache
def saturating(activation: Activation) -> Objective:
    """SATAE eq. 2: ½ E‖x − y‖² + α E Σ_j f_c(a_j), with f_c of eq. 1 derived from `activation`.

    Both terms are means over the samples where eq. 2 has sums: α weighs them alike, a learning
    rate does not. `InputError` for an activation without a flat part.
    """
    complement(activation)  # found, or refused, before anything is traced
    half = half_squared_error(get_activation("identity"))
    return composed(activation, error=half, terms=(("saturation", saturation),))


def _with_named(name: str, activation: Activation) -> Objective:
    return regularized(activation, penalties.PENALTIES[name])


# Every named penalty is an objective of the same name; these differ from, or add to, them.
OBJECTIVES: dict[str, Callable[[Activation], Objective]] = {
    **{name: functools.partial(_with_named, name) for name in penalties.PENALTIES},
    "ae": autoencoder,
    "cae-h": higher_order_contractive,
    "dae": denoising,
    "dae2": second_order_denoising,
    "dae-antithetic": antithetic_denoising,
    "dae-masking": lambda s: denoising(s, corruption.masking),
    "edae": first_order_denoising,
    "sae": sparse,
    "sae-kl": kl_sparse,
    "satae": saturating,
}


def get_objective(name: str, activation: Activation) -> Objective:
    """The named objective for `activation`; `InputError` with near matches otherwise."""
    if name not in OBJECTIVES:
        raise unknown_name("objective", name, OBJECTIVES)
    check_activation(activation)
    return OBJECTIVES[name](activation)
