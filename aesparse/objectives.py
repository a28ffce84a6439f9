"""Training objectives: `objective(params, x, eps, strength) -> (loss, aux)`.

The squared error is summed over the n inputs and averaged over the B samples (Arpit eq. 1);
the paper's learning rates only make sense on that scale. `eps [B, n]` is unit normal noise
drawn by the trainer and scaled inside; `strength` is the coefficient λ of a penalty, or the
noise variance σ² (masking: the probability). `aux` holds what the loss is made of.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aesparse import corruption, penalties
from aesparse.activations import Activation
from aesparse.errors import unknown_name
from aesparse.model import Params, reconstruct
from aesparse.penalties import Penalty

__all__ = [
    "OBJECTIVES",
    "Objective",
    "antithetic_denoising",
    "autoencoder",
    "denoising",
    "first_order_denoising",
    "get_objective",
    "kl_sparse",
    "reconstruction_error",
    "regularized",
    "second_order_denoising",
    "sparse",
]


@dataclasses.dataclass(frozen=True)
class Objective:
    """A loss together with the activation it was built for; call it as the contract above."""

    fn: Callable[..., tuple[Array, Mapping[str, Array]]]
    activation: Activation

    def __call__(
        self,
        params: Params,
        x: Float[Array, "B n"],
        eps: Float[Array, "B n"],
        strength: Float[Array, ""],
    ) -> tuple[Array, Mapping[str, Array]]:
        """The loss of a batch (a scalar, unless a user's penalty is not), and its parts."""
        return self.fn(params, x, eps, strength)


def reconstruction_error(
    params: Params, x: Float[Array, "B n"], target: Float[Array, "B n"], activation: Activation
) -> Float[Array, ""]:
    """E‖target − f_d(f_e(x))‖²: summed over inputs, averaged over samples (Arpit eqs. 1, 6)."""
    return jnp.mean(jnp.sum((target - reconstruct(params, x, activation)) ** 2, axis=-1))


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

    return Objective(fn, activation)


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
        noise = jnp.sqrt(strength) * eps
        loss, first_order = jax.jvp(
            lambda z: reconstruction_error(params, z, x, activation), (x,), (noise,)
        )
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
        del eps
        error = reconstruction_error(params, x, x, activation)
        value = penalty(params, x, activation=activation)
        aux = {"reconstruction": error, "penalty": value}
        aux |= {name: f(params, x, activation=activation) for name, f in report}
        return error + strength * value, aux

    return Objective(fn, activation)


@functools.cache
def sparse(activation: Activation, *, pole: float = penalties.POLE) -> Objective:
    """SAE with ρ = 0 (Arpit eq. 13); aux reports the share of units beyond `pole`."""
    report = (("tangent_share", penalties.tangent_share(high=pole)),)
    return regularized(activation, penalties.log_sparsity(pole), report=report)


@functools.cache
def kl_sparse(activation: Activation, *, rho: float = 0.05) -> Objective:
    """SAE with target ρ (Arpit eq. 12); aux reports the share of units on its tangents."""
    report = (("tangent_share", penalties.tangent_share(low=penalties.kl_floor(rho))),)
    return regularized(activation, penalties.kl_sparsity(rho), report=report)


@functools.cache
def second_order_denoising(activation: Activation) -> Objective:
    """DAE-2, J_AE plus DAE's second-order term (Arpit eqs. 7, 33).

    aux reports how large the term with the residual is beside the other two together.
    """
    report = (("residual_share", penalties.residual_share),)
    return regularized(activation, penalties.second_order, report=report)


def _with_named(name: str, activation: Activation) -> Objective:
    return regularized(activation, penalties.PENALTIES[name])


# Every named penalty is an objective of the same name; these differ from, or add to, them.
OBJECTIVES: dict[str, Callable[[Activation], Objective]] = {
    **{name: functools.partial(_with_named, name) for name in penalties.PENALTIES},
    "ae": autoencoder,
    "dae": denoising,
    "dae2": second_order_denoising,
    "dae-antithetic": antithetic_denoising,
    "dae-masking": lambda s: denoising(s, corruption.masking),
    "edae": first_order_denoising,
    "sae": sparse,
    "sae-kl": kl_sparse,
}


def get_objective(name: str, activation: Activation) -> Objective:
    """The named objective for `activation`; `InputError` with near matches otherwise."""
    if name not in OBJECTIVES:
        raise unknown_name("objective", name, OBJECTIVES)
    return OBJECTIVES[name](activation)
