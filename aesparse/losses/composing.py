"""Objectives put together: a reconstruction error, a corruption and any penalties.

Shapes: n inputs, B batch; params of one model.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import jax.numpy as jnp

from aesparse.errors import InputError
from aesparse.losses import corruption, penalties
from aesparse.losses.base import Objective, Penalty, scalar
from aesparse.losses.denoising import levels_of
from aesparse.losses.reconstruction import (
    ErrorFunction,
    as_error,
    reconstruction_error,
    squared_error,
)
from aesparse.models.forward import forward
from aesparse.options import shortened

__all__ = ["Terms", "composed", "regularized"]

Terms = Mapping[str, Penalty | str] | Sequence[tuple[str, Penalty | str]]


def regularized(penalty: Penalty | str, report: Terms = ()) -> Objective:
    """J_AE + strength × penalty (Arpit eq. 4), with J_AE = E ‖x − y‖², for any penalty.

    Args:
        penalty: a name of `penalties.PENALTIES`, or a function `penalty(forward, eps)`.
        report: further penalties by name, as a mapping or pairs, whose values join the parts.

    Raises:
        InputError: for unknown names, and names of `report` that are not different.

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

    The general form of GSAE (appendix A) and of the Lecture. Penalties see the clean input. The
    parts have every term by its name.

    Args:
        error: ℓ, a name of `reconstruction.ERRORS`, an `ErrorFunction` or a function `(target, z)
            -> [B]`; by default the squared error.
        corrupt: of the input, as in `denoising`; none by default. Its level is the coefficient
            "corruption".
        terms: penalties by name, as a mapping or pairs; the coefficients are called like them.

    Raises:
        InputError: for unknown names, and names of terms that are not different.

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
