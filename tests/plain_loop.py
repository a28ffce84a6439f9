"""Training as a plain loop over epochs and batches in float64, with which `fit` is compared.

Nothing here imports aesparse. Losses are typed again as `loss(params, x, eps, c) -> (loss, parts)`
with c the coefficients by name; one-layer parameters have the attributes weight `[m, n]`, bias
`[m]`, and decoder_bias `[n]`, decoder `[n, m]` or None. Updates, projections and retractions are
NumPy, line by line; optax gives the steps of optimizers that are optax's own.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax


def start_key(key, seed):
    """The key from which a seed's parameters are drawn."""
    return jax.random.fold_in(jax.random.fold_in(key, seed), 0)


def batches(key, seed, epoch, X, size):
    """The batches of an epoch (counted from 1) and their unit noise, `[size, n]` each."""
    epoch_key = jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(key, seed), 1), epoch)
    order_key, noise_key = jax.random.split(epoch_key)
    order = np.asarray(jax.random.permutation(order_key, len(X)))
    for i in range(len(X) // size):
        x = X[order[i * size : (i + 1) * size]]
        eps = jax.random.normal(jax.random.fold_in(noise_key, i), x.shape, X.dtype)
        yield x, np.asarray(eps)


class Constraint(NamedTuple):
    """`tangent(params, direction)` and `project(params)`, the latter at every `every`-th update."""

    tangent: Callable = lambda params, direction: direction
    project: Callable = lambda params: params
    every: int = 1


def _tangent_rows(params, direction):
    rows = direction.weight.copy()
    for j, w in enumerate(params.weight):
        rows[j] -= (rows[j] @ w) / (w @ w) * w
    return direction._replace(weight=rows)


def _unit_rows(params):
    return params._replace(weight=np.stack([w / np.sqrt(w @ w) for w in params.weight]))


def _unit_columns(params):
    columns = [d / np.sqrt(d @ d) for d in params.decoder.T]
    return params._replace(decoder=np.stack(columns, axis=1))


def _nonnegative(params):
    return params._replace(weight=np.where(params.weight < 0, 0.0, params.weight))


FREE = Constraint()
UNIT = Constraint(_tangent_rows, _unit_rows)
RESCALED = Constraint(project=_unit_rows)
COLUMNS = Constraint(project=_unit_columns, every=10)
NONNEGATIVE = Constraint(project=_nonnegative)


class Optimizer(NamedTuple):
    """`update(gradient, state, params) -> (step, state)`; the step is added to the parameters.

    `moment(state, tangent)` is the state with its first moment projected by `tangent`.
    """

    start: Callable
    update: Callable
    moment: Callable = lambda state, tangent: state


def sgd(rate, momentum):
    """v ← μ v + g, W ← W − η v."""

    def update(gradient, velocity, params):
        del params
        velocity = jax.tree.map(lambda v, g: momentum * v + g, velocity, gradient)
        return jax.tree.map(lambda v: -rate * v, velocity), velocity

    return Optimizer(
        lambda params: jax.tree.map(np.zeros_like, params),
        update,
        lambda velocity, tangent: tangent(velocity),
    )


def from_optax(transformation, moment=lambda state, tangent: state):
    """A transformation of optax as it is, jitted."""
    return Optimizer(transformation.init, jax.jit(transformation.update), moment)


def clipped_adam(rate, *, projected=True):
    """Adam by optax behind clipping to global norm 1/2 and before a cosine decay over 20 steps."""

    def moment(state, tangent):
        clip, adam, *rest = state
        return (clip, adam._replace(mu=tangent(numpy(adam.mu))), *rest)

    transformation = optax.chain(
        optax.clip_by_global_norm(0.5),
        optax.scale_by_adam(),
        optax.scale_by_schedule(optax.cosine_decay_schedule(1.0, 20)),
        optax.scale(-rate),
    )
    return from_optax(transformation, *[moment] * projected)


class Trained(NamedTuple):
    """One model's training."""

    params: Any  # at the end
    losses: dict[str, np.ndarray]  # [E], means over the updates of an epoch
    epochs: list[Any]  # the parameters at the start and after every epoch
    norms: list[float]  # of the gradient on the tangent space, one an update


def numpy(tree):
    """The tree with NumPy leaves."""
    return jax.tree.map(np.asarray, jax.device_get(tree))


@functools.lru_cache(maxsize=32)
def value_and_gradient(loss):
    """Compiled once for each loss."""
    return jax.jit(jax.value_and_grad(loss, has_aux=True))


def train(
    key, X, params, loss, optimizer, coefficients, *, seed=0, epochs=2, size=10, constraint=FREE
):
    """One model: parameters put on the constraint, then `epochs` passes over the data."""
    gradient_of = value_and_gradient(loss)
    params = constraint.project(numpy(params))
    state = optimizer.start(params)
    recorded, moments, norms = {}, [params], []
    for epoch in range(1, epochs + 1):
        updates = []
        for i, (x, eps) in enumerate(batches(key, seed, epoch, X, size)):
            (value, parts), gradient = gradient_of(params, x, eps, coefficients)
            tangent = functools.partial(constraint.tangent, params)
            gradient = tangent(numpy(gradient))
            state = optimizer.moment(state, tangent)
            step, state = optimizer.update(gradient, state, params)
            params = jax.tree.map(lambda p, s: p + np.asarray(s), params, step)
            if (i + 1) % constraint.every == 0:
                params = constraint.project(params)
            updates.append({**parts, "loss": value})
            norms.append(np.sqrt(sum(np.sum(g**2) for g in jax.tree.leaves(gradient))))
        moments.append(params)
        for name in updates[0]:
            mean = np.mean([float(update[name]) for update in updates])
            recorded.setdefault(name, []).append(mean)
    losses = {name: np.array(values) for name, values in recorded.items()}
    return Trained(params, losses, moments, norms)


# One-layer models. Tied where there is no decoder.


def preactivation(p, x):
    return x @ p.weight.T + p.bias[None]


def output(p, h):
    y = h @ (p.weight.T if p.decoder is None else p.decoder).T
    return y if p.decoder_bias is None else y + p.decoder_bias[None]


def squared(x, y):
    """Summed over inputs, averaged over samples."""
    return jnp.sum((x - y) ** 2) / len(x)


def relu(a):
    return jnp.where(a > 0, a, 0.0)


def denoising(p, x, eps, c, s=relu):
    """DAE: the noise has variance `strength`."""
    error = squared(x, output(p, s(preactivation(p, x + jnp.sqrt(c["strength"]) * eps))))
    return error, {"reconstruction": error}


def contractive(p, x, eps, c):
    """CAE with ReLU: s' is 1 where a > 0, else 0."""
    del eps
    a = preactivation(p, x)
    error = squared(x, output(p, relu(a)))
    penalty = jnp.sum(jnp.where(a > 0, 1.0, 0.0) @ jnp.sum(p.weight**2, axis=1)) / len(x)
    return error + c["strength"] * penalty, {"reconstruction": error, "penalty": penalty}


def saturating(p, x, eps, c, width=0.5):
    """SATAE with shrink: ½ E‖x − y‖² + α E Σ_j max(|a_j| − λ, 0)."""
    del eps
    a = preactivation(p, x)
    beyond = relu(jnp.abs(a) - width)
    error = squared(x, output(p, jnp.sign(a) * beyond)) / 2
    penalty = jnp.sum(beyond) / len(x)
    return error + c["strength"] * penalty, {"reconstruction": error, "saturation": penalty}
