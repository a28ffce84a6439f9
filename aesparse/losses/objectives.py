"""Training objectives, `objective(model, params, x, eps, coefficients) -> (loss, parts)`.

The squared error is summed over the n inputs and averaged over the B samples (Arpit eq. 1); the
paper's learning rates only make sense on that scale. The coefficient "strength" is λ of a penalty,
or the level of a corruption. Any model, unless a penalty is for one layer.

>>> import jax.numpy as jnp
>>> from aesparse.models.one_layer import OneLayer, Params
>>> model = OneLayer(2, "sigmoid", tied=False)
>>> params = Params(jnp.eye(2), jnp.zeros(2), None, jnp.eye(2))
>>> x, eps = jnp.array([[0.0, 0.0], [0.0, 1.0]]), jnp.array([[0.1, -0.2], [0.3, 0.0]])
>>> for objective in (autoencoder(), kl_sparse(rho=0.3), second_order_denoising()):
...     strength = dict.fromkeys(objective.coefficients, 0.1)
...     print(round(float(objective(model, params, x, eps, strength)[0]), 4))
0.4112
0.4398
0.4237
>>> loss, parts = higher_order_contractive()(model, params, x, eps, {"strength": 0.1})
>>> sorted(parts)
['jacobian_change', 'penalty', 'reconstruction']
>>> saturated = saturating()(OneLayer(2), params, x, eps, {"strength": 0.1})[0]
>>> float(saturated)  # ½ E‖x − y‖² = 0 with ReLU, and α E Σ max(a_j, 0) = 0.1 · ½
0.05
"""

import dataclasses
import functools
from collections.abc import Sequence

import jax.numpy as jnp

from aesparse.errors import unknown_name
from aesparse.losses import penalties
from aesparse.losses.base import Objective, check_function
from aesparse.losses.composing import composed, regularized
from aesparse.losses.denoising import (
    antithetic_denoising,
    denoising,
    first_order_denoising,
)
from aesparse.losses.reconstruction import (
    half_squared_error,
    reconstruction_error,
    squared_error,
)
from aesparse.losses.saturation import saturation
from aesparse.losses.sparsity import tangent_share
from aesparse.models.forward import forward
from aesparse.models.one_layer import preactivation, row_sums

__all__ = [
    "HESSIAN_RATIO",
    "HESSIAN_SIGMA",
    "OBJECTIVES",
    "Objective",
    "antithetic_denoising",
    "as_objective",
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


@functools.cache
def autoencoder() -> Objective:
    """AE: the reconstruction error E ‖x − y‖² alone (Arpit eq. 1); no coefficients."""

    def fn(model, params, x, eps, coefficients):
        del eps, coefficients
        loss = reconstruction_error(model, params, x, x)
        return loss, {"reconstruction": loss}

    return Objective(fn, ())


HESSIAN_SIGMA, HESSIAN_RATIO = 0.1, 100.0  # of "cae-h": the noise's deviation, γ/λ


@functools.cache
def higher_order_contractive(
    *, sigma: float = HESSIAN_SIGMA, ratio: float = HESSIAN_RATIO
) -> Objective:
    """CAE+H: J_AE + λ E‖J(x)‖_F² + γ E‖J(x) − J(x + σε)‖_F², J = ∂h/∂x (Rifai et al. 2011a).

    One layer: E Σ_j (s'_j(x) − s'_j(x + σε))² ‖W_j‖² for the last mean. The parts have both means.

    Args:
        sigma: σ, the standard deviation of the noise; 0.1 by default.
        ratio: γ/λ; the strength is λ. Rifai et al. search γ and λ. The default, 100, is 1/σ²: their
            term over σ² tends to E‖∂²h/∂x²‖² as σ → 0, so slope and curvature then weigh the same.

    Raises:
        InputError: when called for another model.
    """

    def fn(model, params, x, eps, coefficients):
        clean = forward(model, params, x)
        activation, far = clean.activation, preactivation(params, x + sigma * eps)
        error = jnp.mean(squared_error(x, clean.reconstruction))
        squared = (activation.slope(clean.preactivation) - activation.slope(far)) ** 2
        change = jnp.sum(jnp.mean(squared, axis=0) * row_sums(params.weight**2))
        size = penalties.contractive(clean, eps)
        parts = {"reconstruction": error, "penalty": size, "jacobian_change": change}
        return error + coefficients["strength"] * (size + ratio * change), parts

    return Objective(fn)


def sparse(*, pole: float = penalties.POLE) -> Objective:
    """SAE with ρ = 0: J_AE + λ times −Σ_j log(1 − ρ_j) (Arpit eq. 13).

    The penalty continues as its tangent for means ρ_j above `pole`, 0.99 by default; the parts have
    the share of such units, "tangent_share". `InputError` unless 0 < pole < 1.

    >>> sparse(pole=0.9).coefficients
    ('strength',)
    """
    report = {"tangent_share": tangent_share(high=pole)}
    return regularized(penalties.log_sparsity(pole), report)


def kl_sparse(*, rho: float = 0.05) -> Objective:
    """SAE with a target: J_AE + λ Σ_j KL(ρ ‖ ρ_j) (Arpit eq. 12), see `kl_sparsity`.

    The target is `rho`, 0.05 by default. The parts have the share of units on the penalty's
    tangents, "tangent_share". `InputError` unless 0 <= ρ < 0.99.
    """
    report = {"tangent_share": tangent_share(low=penalties.kl_floor(rho))}
    return regularized(penalties.kl_sparsity(rho), report)


def second_order_denoising() -> Objective:
    """DAE-2: J_AE + σ² times DAE's second-order term of one layer (Arpit eqs. 7, 33).

    The strength is σ². The parts have "residual_share", the size of the term with the residual over
    that of the others together.
    """
    return regularized(penalties.second_order, {"residual_share": penalties.residual_share})


def saturating() -> Objective:
    """SATAE eq. 2: ½ E‖x − y‖² + α E Σ_j f_c(a_j), with f_c of eq. 1 derived from the activation.

    One layer. Both terms are means over the samples where eq. 2 has sums: α weighs them alike, a
    learning rate does not. The strength is α. `InputError` when it is first called for a model
    whose activation has no flat part.
    """
    half = half_squared_error()
    whole = composed(error=half, terms={"saturation": saturation})
    return Objective(_Saturating(whole), error=half)


@dataclasses.dataclass(frozen=True)
class _Saturating:
    whole: Objective

    def __call__(self, model, params, x, eps, coefficients):
        return self.whole(model, params, x, eps, {"saturation": coefficients["strength"]})


#: The built-in objectives by name. Every named penalty is one; these differ from, or add to, them.
OBJECTIVES: dict[str, Objective] = {
    **{name: regularized(penalty) for name, penalty in penalties.PENALTIES.items()},
    "ae": autoencoder(),
    "cae-h": higher_order_contractive(),
    "dae": denoising(),
    "dae2": second_order_denoising(),
    "dae-antithetic": antithetic_denoising(),
    "dae-masking": denoising("masking"),
    "edae": first_order_denoising(),
    "sae": sparse(),
    "sae-kl": kl_sparse(),
    "satae": saturating(),
}


def get_objective(name: str) -> Objective:
    """The built-in objective called `name`; `InputError` with near matches otherwise.

    >>> get_objective("cae").coefficients
    ('strength',)
    """
    if name not in OBJECTIVES:
        raise unknown_name("objective", name, OBJECTIVES)
    return OBJECTIVES[name]


def as_objective(value: object, names: Sequence[str] = ()) -> Objective:
    """`value` as an `Objective`: as it is, a built-in by its name, or a plain function.

    The function is `fn(model, params, x, eps, coefficients) -> (loss, parts)` with coefficients
    `names`, by default none. `InputError` for anything else.

    >>> as_objective("dae") == denoising()
    True
    """
    if isinstance(value, Objective):
        return value
    if isinstance(value, str):
        return get_objective(value)
    check_function(value, "objective", "fn(model, params, x, eps, coefficients)")
    return Objective(value, tuple(names))
