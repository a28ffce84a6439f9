"""Training objectives, `objective(model, params, x, eps, coefficients) -> (loss, parts)`.

The squared error is summed over the n inputs and averaged over the B samples (Arpit eq. 1);
the paper's learning rates only make sense on that scale. The coefficient "strength" is λ of a
penalty, or the level of a corruption. Any model, unless a penalty is for one layer.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import jax.numpy as jnp

from aesparse.errors import InputError, unknown_name
from aesparse.losses import corruption, penalties
from aesparse.losses.base import Objective, Penalty, check_function, scalar
from aesparse.losses.denoising import (
    antithetic_denoising,
    denoising,
    first_order_denoising,
    levels_of,
)
from aesparse.losses.reconstruction import (
    ErrorFunction,
    as_error,
    half_squared_error,
    reconstruction_error,
    squared_error,
)
from aesparse.losses.saturation import saturation
from aesparse.losses.sparsity import tangent_share
from aesparse.models.forward import forward
from aesparse.models.one_layer import preactivation, row_sums
from aesparse.options import shortened

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

Terms = Mapping[str, Penalty | str] | Sequence[tuple[str, Penalty | str]]


@functools.cache
def autoencoder() -> Objective:
    """AE: the reconstruction error alone (Arpit eq. 1); no coefficients."""

    def fn(model, params, x, eps, coefficients):
        del eps, coefficients
        loss = reconstruction_error(model, params, x, x)
        return loss, {"reconstruction": loss}

    return Objective(fn, ())


def regularized(penalty: Penalty | str, report: Terms = ()) -> Objective:
    """J_AE + strength × penalty (Arpit eq. 4), for any penalty, a user's own included.

    `penalty` is a name of `PENALTIES` or a function `penalty(forward, eps)`; `report` names
    further such functions whose values join the parts, as a mapping or pairs.

    >>> regularized("cae").coefficients
    ('strength',)
    """
    report = _pairs(report, {"reconstruction", "penalty", "loss"})
    return Objective(_Regularized(penalties.as_penalty(penalty), report))


@dataclasses.dataclass(frozen=True)
class _Regularized:  # like those below a value: equal options give equal objectives
    penalty: Callable
    report: tuple[tuple[str, Callable], ...]

    def __call__(self, model, params, x, eps, coefficients):
        clean = forward(model, params, x)
        error = jnp.mean(squared_error(x, clean.reconstruction))
        value = scalar(self.penalty(clean, eps))
        parts = {"reconstruction": error, "penalty": value}
        parts |= {name: scalar(f(clean, eps)) for name, f in self.report}
        return error + coefficients["strength"] * value, parts


def composed(
    *,
    error: ErrorFunction | Callable | str = squared_error,
    corrupt: Callable | str | None = None,
    terms: Terms = (),
) -> Objective:
    """E ℓ(x, f_d(f_e(x̃))) + Σ_k λ_k R_k(x): any error, corruption and named penalties.

    The general form of GSAE (appendix A) and of the Lecture. `terms` are penalties by name, as a
    mapping or pairs; the coefficients are called like them, before them "corruption", the level, if
    there is one. Penalties see the clean input. The parts have every term by its name.
    `InputError` for names that are not different.

    >>> composed(corrupt="masking", terms={"beta": "sae-kl", "decay": "weight-decay"}).coefficients
    ('corruption', 'beta', 'decay')
    """
    corrupt = None if corrupt is None else corruption.as_corruption(corrupt)
    error, terms = as_error(error), _pairs(terms, {"reconstruction", "corruption", "loss"})
    names = ("corruption",) * (corrupt is not None) + tuple(name for name, _ in terms)
    fn, levels = _Composed(error, corrupt, terms), levels_of(corrupt, "corruption")
    return Objective(fn, names, levels, error)


@dataclasses.dataclass(frozen=True)
class _Composed:
    error: ErrorFunction
    corrupt: Callable | None
    terms: tuple[tuple[str, Callable], ...]

    def __call__(self, model, params, x, eps, coefficients):
        clean = forward(model, params, x)
        if self.corrupt is None:
            loss = jnp.mean(self.error(x, clean.reconstruction))
        else:
            noisy = self.corrupt(x, eps, coefficients["corruption"])
            loss = reconstruction_error(model, params, noisy, x, self.error)
        parts = {"reconstruction": loss}
        for name, penalty in self.terms:
            parts[name] = scalar(penalty(clean, eps))
            loss = loss + coefficients[name] * parts[name]
        return loss, parts


def _pairs(terms: object, taken: set[str]) -> tuple[tuple[str, Penalty], ...]:
    """Named penalties as pairs; `InputError` for others, and for names given twice or `taken`."""
    try:
        pairs = [
            (name, term) for name, term in (terms.items() if isinstance(terms, Mapping) else terms)
        ]
    except (TypeError, ValueError):
        pairs = [(None, None)]
    names = [name for name, _ in pairs]
    if not all(isinstance(name, str) for name in names):
        raise InputError(
            f"The terms are {shortened(terms)}; expected a mapping of names to penalties, such as "
            "{'beta': 'sae-kl'}."
        )
    if len(taken.union(names)) < len(taken) + len(names):
        raise InputError(
            f"Terms are called {names}; expected different names, other than {sorted(taken)}."
        )
    return tuple((name, penalties.as_penalty(term)) for name, term in pairs)


HESSIAN_SIGMA, HESSIAN_RATIO = 0.1, 100.0  # of "cae-h": the noise's deviation, γ/λ


@functools.cache
def higher_order_contractive(
    *, sigma: float = HESSIAN_SIGMA, ratio: float = HESSIAN_RATIO
) -> Objective:
    """CAE+H: J_AE + λ E‖J(x)‖_F² + γ E‖J(x) − J(x + σε)‖_F², J = ∂h/∂x (Rifai et al. 2011a).

    One layer: E Σ_j (s'_j(x) − s'_j(x + σε))² ‖W_j‖² for the last mean. Rifai et al. search γ
    and λ; on a grid over λ alone γ = `ratio`·λ. The default is 1/σ²: their term over σ² tends
    to E‖∂²h/∂x²‖² as σ → 0, so slope and curvature then weigh the same. The parts have both means.
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
    """SAE with ρ = 0 (Arpit eq. 13); the parts have the share of units beyond `pole`.

    >>> sparse(pole=0.9).coefficients
    ('strength',)
    """
    report = {"tangent_share": tangent_share(high=pole)}
    return regularized(penalties.log_sparsity(pole), report)


def kl_sparse(*, rho: float = 0.05) -> Objective:
    """SAE with target ρ (Arpit eq. 12); the parts have the share of units on its tangents."""
    report = {"tangent_share": tangent_share(low=penalties.kl_floor(rho))}
    return regularized(penalties.kl_sparsity(rho), report)


def second_order_denoising() -> Objective:
    """DAE-2, J_AE plus DAE's second-order term of one layer (Arpit eqs. 7, 33).

    The parts have the size of the term with the residual over that of the other two together.
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


# Every named penalty is an objective of the same name; these differ from, or add to, them.
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
    """The named objective; `InputError` with near matches otherwise.

    >>> get_objective("cae").coefficients
    ('strength',)
    """
    if name not in OBJECTIVES:
        raise unknown_name("objective", name, OBJECTIVES)
    return OBJECTIVES[name]


def as_objective(value: object, names: Sequence[str] = ()) -> Objective:
    """An `Objective` as it is, the one of a name, or a plain function with coefficients `names`.

    The function is `fn(model, params, x, eps, coefficients) -> (loss, parts)`. `InputError` for
    anything else.

    >>> as_objective("dae") == denoising()
    True
    """
    if isinstance(value, Objective):
        return value
    if isinstance(value, str):
        return get_objective(value)
    check_function(value, "objective", "fn(model, params, x, eps, coefficients)")
    return Objective(value, tuple(names))
