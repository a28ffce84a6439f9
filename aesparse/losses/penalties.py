"""Regularizers R, each averaged over the batch: `penalty(forward, eps)` of `losses.base`.

Each penalty of Jacobians has a *generic* definition (full Jacobian or Hessian by autodiff, valid
for any model, the reference) and a *structured* one for one-layer models, which training uses: s',
s'' of the scalar activation and the lengths of the weights. No derivative is typed by hand. Here
are their names; they are written in `losses.contractive`, `losses.marginalized`,
`losses.second_order` (DAE-2) and `losses.sparsity` (mean activations). Shapes: n inputs, m hidden
units, B batch; params of one model.

>>> from aesparse.models.forward import forward
>>> from aesparse.models.one_layer import OneLayer, Params
>>> params = Params(jnp.array([[1.0, 0.0], [0.0, 2.0]]), jnp.zeros(2))
>>> clean = forward(OneLayer(2, "sigmoid"), params, jnp.array([[0.0, 0.0], [0.0, 1.0]]))
>>> for name, penalty in PENALTIES.items():
...     print(f"{name:12} {float(penalty(clean, None)):.4f}")
cae          0.2095
mdae         0.6507
dae2         0.4071
dae2-kink    0.4071
sae          1.8656
sae-kl       1.4285
mean-square  0.7267
weight-decay 5.0000
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from aesparse.errors import unknown_name
from aesparse.losses.base import Noise, Penalty, check_function, per_example
from aesparse.losses.contractive import contractive, contractive_generic, slope
from aesparse.losses.marginalized import (
    marginalized,
    marginalized_by_input,
    marginalized_by_input_generic,
    marginalized_generic,
)
from aesparse.losses.second_order import (
    residual_share,
    second_order,
    second_order_generic,
    second_order_terms,
    second_order_with_kink,
)
from aesparse.losses.sparsity import (
    POLE,
    kl_divergence,
    kl_floor,
    kl_sparsity,
    log_sparsity,
    mean_activation,
    mean_activations,
)
from aesparse.models.forward import Forward, check_one_layer

__all__ = [
    "PENALTIES",
    "POLE",
    "Penalty",
    "as_penalty",
    "contractive",
    "contractive_generic",
    "get_penalty",
    "kl_divergence",
    "kl_floor",
    "kl_sparsity",
    "log_sparsity",
    "marginalized",
    "marginalized_by_input",
    "marginalized_by_input_generic",
    "marginalized_generic",
    "mean_activation",
    "mean_activations",
    "per_example",
    "residual_share",
    "second_order",
    "second_order_generic",
    "second_order_terms",
    "second_order_with_kink",
    "slope",
    "weight_decay",
]


def weight_decay(forward: Forward, eps: Noise) -> Float[Array, ""]:
    """Σ W² over encoder and decoder weights of one layer, without biases and without a factor ½.

    Tied weights count once. `forward` and `eps` are those of every penalty. `InputError` for
    another model.

    >>> from aesparse.models.forward import forward
    >>> from aesparse.models.one_layer import OneLayer, Params
    >>> params = Params(jnp.eye(2), jnp.zeros(2), decoder=2 * jnp.eye(2))
    >>> float(weight_decay(forward(OneLayer(2, tied=False), params, jnp.ones((1, 2))), None))
    10.0
    """
    del eps
    check_one_layer(forward.model)
    params = forward.params
    decoder = 0.0 if params.decoder is None else jnp.sum(params.decoder**2)
    return jnp.sum(params.weight**2) + decoder


#: The built-in penalties by name, each with its own objective J_AE + strength × penalty.
PENALTIES: dict[str, Penalty] = {
    "cae": contractive,
    "mdae": marginalized,
    "dae2": second_order,
    "dae2-kink": second_order_with_kink(),
    "sae": log_sparsity(),
    "sae-kl": kl_sparsity(0.05),
    "mean-square": mean_activation(jnp.square),
    "weight-decay": weight_decay,
}


def get_penalty(name: str) -> Penalty:
    """The built-in penalty called `name`; `InputError` with near matches otherwise.

    >>> get_penalty("cae") is contractive
    True
    """
    if name not in PENALTIES:
        raise unknown_name("penalty", name, PENALTIES)
    return PENALTIES[name]


def as_penalty(value: object) -> Penalty:
    """`value` as a penalty: a built-in by its name, or a function `penalty(forward, eps)` as it is.

    `InputError` for anything else.

    >>> as_penalty("cae") is contractive
    True
    """
    if isinstance(value, str):
        return get_penalty(value)
    check_function(value, "penalty", "penalty(forward, eps)")
    return value
