"""Problems: parameters and data at which a statement is evaluated, random ones and projections.

`problem` is a `Problem`. Shapes: n inputs, m hidden units, N samples.

>>> problem = draw(jax.random.key(0), Size(inputs=1, hidden=1, samples=2))
>>> centred(problem).X.sum().tolist(), [abs(x).round(3).item() for x in whitened(problem).X]
(0.0, [1.0, 1.0])
>>> draw_many(jax.random.key(0), SIZES[0], count=3).X.shape
(3, 2, 1)
>>> simple = Params(jnp.ones((1, 1)), jnp.zeros(1))
>>> print(describe(Problem(simple, jnp.array([[1.0], [-1.0]]), jnp.log(2.0), simple)))
x = (1, -1); W = (1); b = 0; W after = (1); b after = 0; λ = 2
>>> float(Problem(simple, problem.X, jnp.array(0.0), simple).strength)
1.0
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from aesparse.models.one_layer import Params

__all__ = ["SIZES", "Problem", "Size", "centred", "describe", "draw", "draw_many", "whitened"]


class Problem(NamedTuple):
    """What a statement is evaluated at.

    Attributes:
        params: the parameters of one tied model without a decoder bias.
        X: data `[N, n]`.
        log_strength: log λ.
        after: the parameters one step later.
    """

    params: Params
    X: Float[Array, "N n"]
    log_strength: Float[Array, ""]
    after: Params

    @property
    def strength(self) -> Float[Array, ""]:
        """λ > 0."""
        return jnp.exp(self.log_strength)


class Size(NamedTuple):
    """The size of a problem.

    Attributes:
        inputs: n.
        hidden: m.
        samples: N.
    """

    inputs: int
    hidden: int
    samples: int


# Smallest first: the first size with a violation gives the simplest counter-example.
SIZES = (Size(1, 1, 2), Size(1, 2, 2), Size(2, 3, 8))


def centred(problem: Problem) -> Problem:
    """The problem with E[x] = 0, exactly also for rounded numbers.

    The last sample balances the others.
    """
    X = problem.X
    return problem._replace(X=X.at[-1].set(-jnp.sum(X[:-1], axis=0)))


def whitened(problem: Problem) -> Problem:
    """The problem with E[x] = 0 and E[xxᵀ] = I."""
    X = centred(problem).X
    factor = jnp.linalg.cholesky(X.T @ X / len(X))
    white = jax.scipy.linalg.solve_triangular(factor, X.T, lower=True).T
    return problem._replace(X=white)


def draw(key: PRNGKeyArray, size: Size) -> Problem:
    """A random problem of a `size`, drawn with `key`, in the box that `falsify` searches.

    Biases are wider than weights so that units saturate too.
    """
    keys = jax.random.split(key, 6)

    def params(key_w: PRNGKeyArray, key_b: PRNGKeyArray) -> Params:
        weight = jax.random.normal(key_w, (size.hidden, size.inputs))
        return Params(weight, 2 * jax.random.normal(key_b, (size.hidden,)))

    return Problem(
        params(keys[0], keys[1]),
        jax.random.normal(keys[2], (size.samples, size.inputs)),
        3 * jax.random.normal(keys[3]),
        params(keys[4], keys[5]),
    )


@functools.partial(jax.jit, static_argnames=("size", "count"))
def draw_many(key: PRNGKeyArray, size: Size, count: int) -> Problem:
    """`count` random problems along a leading axis, by one program for all statements about them.

    `key` and `size` are as for `draw`.
    """
    return jax.vmap(lambda key: draw(key, size))(jax.random.split(key, count))


def describe(problem: Problem) -> str:
    """The numbers of a `problem` in one line; λ = 1 and a later step of zeros are left out."""
    named = {"x": problem.X, "W": problem.params.weight, "b": problem.params.bias}
    if any(bool(jnp.any(leaf != 0)) for leaf in problem.after[:2]):
        named |= {"W after": problem.after.weight, "b after": problem.after.bias}
    shown = [f"{name} = {_numbers(value)}" for name, value in named.items()]
    strength = [f"λ = {float(problem.strength):.4g}"] if problem.log_strength != 0 else []
    return "; ".join([*shown, *strength])


def _numbers(value: Float[Array, "..."]) -> str:
    if value.ndim == 0:
        return f"{float(value) + 0.0:.4g}"  # no −0
    inside = ", ".join(_numbers(row) for row in value)
    return inside if value.shape == (1,) else f"({inside})"
