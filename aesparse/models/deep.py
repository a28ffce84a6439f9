"""Deep encoders: the generic definitions for any pair `encode(params, x)`, `decode(params, h)`.

Objectives have the contract of `losses.objectives`, with parameters that may be any pytree;
the squared error is summed over inputs and averaged over samples. Penalties take the step's unit
normal noise too: `penalty(params, x, eps) -> scalar`, mean over samples, sum over units. The two
functions must treat the samples of a batch apart (no batch normalization). Shapes: n inputs,
m code units, B batch, K probes, S seeds, G strengths, E epochs. `flax` itself is never imported.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from aesparse.errors import InputError
from aesparse.losses import corruption
from aesparse.losses.objectives import Objective
from aesparse.losses.reconstruction import squared_error
from aesparse.models.activations import Activation, get_activation
from aesparse.models.one_layer import get_constraint
from aesparse.options import (
    check_momentum,
    check_precision,
    check_untransformed,
    checked_key,
)
from aesparse.training import guard
from aesparse.training.arguments import (
    check_levels,
    check_sizes,
    check_traces,
    checked_arrays,
    warn_of_precision,
)
from aesparse.training.draws import INIT, shuffled
from aesparse.training.program import Program, grid_program
from aesparse.training.recording import Recorder
from aesparse.training.sharding import CELLS, SHARED, Cells, cell_mesh, gather, place
from aesparse.training.step import TrainState, start
from aesparse.training.verification import verify

__all__ = [
    "DeepModel",
    "DeepObjective",
    "DeepResult",
    "captured",
    "contractive",
    "contractive_estimate",
    "contractive_probed",
    "denoising",
    "first_order_denoising",
    "fit_deep",
    "from_flax",
    "regularized",
    "saturation",
]

DeepPenalty = Callable[[PyTree, Array, Array], Array]
_FREE = get_constraint("free")


class DeepModel(NamedTuple):
    """Any auto-encoder as two pure functions of one pytree of parameters."""

    encode: Callable[[PyTree, Array], Array]  # (params, x [..., n]) -> h [..., m]
    decode: Callable[[PyTree, Array], Array]  # (params, h [..., m]) -> y [..., n]

    def reconstruct(self, params: PyTree, x: Float[Array, "... n"]) -> Float[Array, "... n"]:
        """decode(encode(x)); `InputError` unless it has the shape of x."""
        y = self.decode(params, self.encode(params, x))
        if y.shape != x.shape:
            raise InputError(
                f"The decoder returned shape {y.shape} for inputs of shape {x.shape}; expected "
                "the same shape. Give its last layer as many units as there are inputs."
            )
        return y


def from_flax(encoder: Any, decoder: Any, inputs: int) -> tuple[DeepModel, Callable]:
    """A model of two `flax.linen` modules, and `init(key) -> params` for data `[N, inputs]`.

    params are `{"encoder": …, "decoder": …}`, each what the module's own `init` returns.
    """

    def init(key: PRNGKeyArray) -> PyTree:
        key_e, key_d = jax.random.split(key)
        x = jnp.zeros((1, inputs))
        code, variables = encoder.init_with_output(key_e, x)
        return {"encoder": variables, "decoder": decoder.init(key_d, code)}

    model = DeepModel(
        lambda params, x: encoder.apply(params["encoder"], x),
        lambda params, h: decoder.apply(params["decoder"], h),
    )
    return model, init


def captured(encoder: Any, layers: Sequence[str]) -> Callable[[PyTree, Array], tuple[Array, ...]]:
    """`(params, x) -> (a_1, a_2, …)`: what submodules of a `flax.linen` encoder return.

    For dense layers these are pre-activations. `layers` are flax's names ("Dense_0", or
    "block/Dense_0" inside another module).
    """

    def outputs(params: PyTree, x: Float[Array, "B n"]) -> tuple[Array, ...]:
        capture = {"capture_intermediates": True, "mutable": ["intermediates"]}
        _, state = encoder.apply(params["encoder"], x, **capture)
        return tuple(_captured_call(state["intermediates"], name) for name in layers)

    return outputs


def _captured_call(tree: Mapping, name: str) -> Array:
    found = tree
    for part in name.split("/"):
        if part not in found:
            known = sorted(k for k in found if k != "__call__")
            raise InputError(f"The encoder has no layer '{name}'; expected one of {known}.")
        found = found[part]
    return found["__call__"][0]


def contractive(encode: Callable) -> DeepPenalty:
    """E‖∂h/∂x‖_F² exactly (Arpit eq. 8): n Jacobian-vector products a sample, for small n."""

    def penalty(params: PyTree, x: Float[Array, "B n"], eps: Array) -> Float[Array, ""]:
        del eps
        jacobians = jax.vmap(jax.jacfwd(functools.partial(encode, params)))(x)
        return jnp.sum(jacobians**2) / len(x)

    return penalty


def contractive_estimate(
    encode: Callable, params: PyTree, x: Float[Array, "B n"], probes: Float[Array, "K B n"]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """E‖∂h/∂x‖_F² = E_v ‖(∂h/∂x) v‖² by K probes a sample (Hutchinson), and its standard error.

    The probes' entries have mean 0 and variance 1 and are independent: random signs, which have
    the smaller error, or normal. The error is that of the estimate for this very batch; NaN for
    K = 1.
    """
    _, push = jax.linearize(functools.partial(encode, params), x)
    pushed = jax.vmap(push)(probes)
    each = jnp.sum(pushed**2, axis=tuple(range(2, pushed.ndim)))  # [K, B]
    of_the_sum = jnp.sqrt(jnp.sum(jnp.var(each, axis=0, ddof=1)) / len(probes))
    return jnp.mean(each), of_the_sum / len(x)


def contractive_probed(encode: Callable, probes: int = 1) -> DeepPenalty:
    """`contractive_estimate` as a penalty, for large n: unbiased, `probes` products a sample.

    The probes are the signs of the step's noise; a sample's further ones are its neighbours'.
    """

    def penalty(params: PyTree, x: Float[Array, "B n"], eps: Array) -> Float[Array, ""]:
        if not 1 <= probes <= len(x):
            raise InputError(
                f"probes is {probes}; expected 1 to the batch size {len(x)}, whose noise they use."
            )
        signs = jnp.where(eps > 0, 1.0, -1.0).astype(x.dtype)
        rolled = jnp.stack([jnp.roll(signs, k, axis=0) for k in range(probes)])
        return contractive_estimate(encode, params, x, rolled)[0]

    return penalty


def saturation(preactivations: Callable, complement: Callable[[Array], Array]) -> DeepPenalty:
    """E Σ_j f_c(a_j) over the units of all layers given (SATAE eq. 2).

    `preactivations(params, x)` returns arrays `[B, m_l]`, one a layer: the user's own function,
    or `captured`. `complement` is f_c, elementwise.
    """

    def penalty(params: PyTree, x: Float[Array, "B n"], eps: Array) -> Float[Array, ""]:
        del eps
        layers = jax.tree.leaves(preactivations(params, x))
        return sum(jnp.sum(complement(a)) / len(x) for a in layers)

    return penalty


@dataclasses.dataclass(frozen=True)
class DeepObjective(Objective):
    """A loss of any pytree of parameters; activations are the encoder's affair."""

    activation: Activation = dataclasses.field(default=get_activation("identity"))

    def __call__(
        self, params: PyTree, x: Array, eps: Array, strength: Float[Array, ""]
    ) -> tuple[Array, Mapping[str, Array]]:
        """The loss of a batch, and its parts."""
        return self.fn(params, x, eps, strength)


def _error(model: DeepModel, params: PyTree, x: Array, target: Array) -> Float[Array, ""]:
    return jnp.mean(squared_error(target, model.reconstruct(params, x)))


def regularized(model: DeepModel, penalty: DeepPenalty) -> DeepObjective:
    """J_AE + strength × penalty (Arpit eq. 4); at strength 0 the plain auto-encoder."""

    def fn(params, x, eps, strength):
        error, value = _error(model, params, x, x), penalty(params, x, eps)
        if (shape := jnp.shape(value)) != ():
            raise InputError(
                f"The penalty returned shape {shape} for a batch; expected one number: sum over "
                "units and average over samples."
            )
        return error + strength * value, {"reconstruction": error, "penalty": value}

    return DeepObjective(fn)


def denoising(model: DeepModel, corrupt: Callable = corruption.gaussian) -> DeepObjective:
    """DAE: reconstructs the clean input from a corrupted one (Arpit eq. 6)."""

    def fn(params, x, eps, strength):
        loss = _error(model, params, corrupt(x, eps, strength), x)
        return loss, {"reconstruction": loss}

    return DeepObjective(fn, levels=corruption.LEVELS.get(corrupt))


def first_order_denoising(model: DeepModel) -> DeepObjective:
    """eDAE: E[ℓ + (x̃ − x)ᵀ∇ℓ], ∇ at the clean encoder's input, target fixed (Arpit 3.1.1)."""

    def fn(params, x, eps, strength):
        loss, first_order = jax.jvp(
            lambda z: _error(model, params, z, x), (x,), (jnp.sqrt(strength) * eps,)
        )
        return loss + first_order, {"reconstruction": loss, "penalty": first_order}

    return DeepObjective(fn)


class DeepResult(NamedTuple):
    """A trained grid; leading axes are seeds and strengths."""

    params: PyTree  # [S, G, ...]
    losses: Mapping[str, Float[Array, "S G E"]]  # the objective's aux, mean over each epoch
    guard: float  # largest relative difference the numerics guard saw


def fit_deep(
    key: PRNGKeyArray,
    X: Array | np.ndarray,
    *,
    objective: DeepObjective,
    init: Callable[[PRNGKeyArray], PyTree],
    strengths: Sequence[float] | Array | np.ndarray,
    seeds: Sequence[int] = (0,),
    epochs: int = 50,
    batch_size: int = 50,
    learning_rate: float | Array | np.ndarray = 0.001,
    momentum: float = 0.9,
    matmul_precision: str = "highest",
) -> DeepResult:
    """`fit_grid` for any pytree of parameters, without constraint, by the same program.

    `init(key)` gives one model's parameters, float32 or float64; all strengths of a seed start
    from the same. Raises `InputError` on bad input, `guard.NumericsError` on a miscompiled program.
    """
    check_untransformed(key, X, strengths, learning_rate, momentum)
    check_precision(matmul_precision)
    key = checked_key(key)
    given = X
    X, strengths, rates, seeds = checked_arrays(X, strengths, learning_rate, seeds)
    check_sizes({"epochs": epochs, "batch_size": batch_size}, len(X))
    check_momentum(momentum)
    check_levels(objective, strengths)
    warn_of_precision(given, X)
    keys = jax.vmap(functools.partial(jax.random.fold_in, key))(jnp.asarray(seeds))
    with jax.default_matmul_precision(matmul_precision):
        models = jax.jit(jax.vmap(lambda key: init(jax.random.fold_in(key, INIT))))(keys)
        for leaf in jax.tree.leaves(models):
            if str(leaf.dtype) not in guard.LIMITS:
                raise InputError(
                    f"init gives parameters of dtype {leaf.dtype}; expected one of "
                    f"{', '.join(guard.LIMITS)}, for which the numerics guard has a limit."
                )
        check_traces(
            objective, jax.tree.map(lambda leaf: leaf[0], models), X[:batch_size], strengths[0]
        )
        program = _program(objective, models, X.shape[1], len(strengths), batch_size, momentum)
        state, cells = _cells(models, strengths, rates, momentum, program.mesh)
        keys, X = (place(v, program.mesh, SHARED) for v in (keys, X))
        difference = verify(program, state, keys, X, cells)
        shape = (len(seeds), len(strengths))

        def on_hosts(tree):
            return jax.tree.map(
                lambda leaf: leaf[: shape[0] * shape[1]].reshape(*shape, *leaf.shape[1:]),
                gather(tree, program.mesh),
            )

        losses = Recorder(epochs, program.mesh, on_hosts)
        for epoch in range(1, epochs + 1):
            steps = np.int32(len(X) // batch_size)
            state, aux = program.epoch(state, shuffled(keys, epoch, len(X)), X, cells, steps)
            losses.add(aux)
    return DeepResult(on_hosts(state.params), losses.arrays(), difference)


def _program(
    objective: DeepObjective, models: PyTree, n: int, strengths: int, batch: int, momentum: float
) -> Program:
    """The grid's program; its hidden size stands for the number of parameters, m·n."""
    leaves = jax.tree.leaves(models)
    hidden = -(-sum(leaf[0].size for leaf in leaves) // n)
    sizes = {"batch_size": batch, "momentum": momentum, "hidden": hidden}
    mesh = cell_mesh(cells=len(leaves[0]) * strengths)
    return grid_program(objective, _FREE, **sizes, tied=True, decoder_bias=False, mesh=mesh)


def _cells(
    models: PyTree, strengths: Array, rates: Array, momentum: float, mesh: Mesh
) -> tuple[TrainState, Cells]:
    """The grid's cells on their devices, each at the parameters of its seed."""
    seeds = len(jax.tree.leaves(models)[0])
    cells = Cells.of_seeds(seeds, strengths, rates).padded(mesh.size)
    params = jax.tree.map(lambda leaf: leaf[cells.seed], models)
    state = start(params, _FREE)
    return place(state, mesh, CELLS), place(cells, mesh, CELLS)
