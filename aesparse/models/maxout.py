"""Maxout, the one activation that is not elementwise (Goodfellow et al. 2013; Arpit section 2.1).

A unit has k pieces, each affine in the input, and gives the largest. Shapes: n inputs, m hidden
units, k pieces. Parameters are those of k one-layer models, `Params` of weights [k, m, n] and
biases [k, m], so that constraints on rows hold for every piece.
"""

import dataclasses
import operator

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from aesparse.models.one_layer import Params, init_params, preactivation
from aesparse.options import check_counts

__all__ = ["Maxout"]


@dataclasses.dataclass(frozen=True)
class Maxout:
    """h_j = max_i (W_ij·x + b_ij), y = Σ_j h_j W̄_j, as a model.

    The decoder is tied: W̄_j is the mean of unit j's rows, W_j itself for one piece. (Arpit section
    2.1 names maxout without a decoder.) There is no decoder bias.

    Args:
        hidden: m, the number of units.
        pieces: k, the affine pieces of each; 3 by default.

    Raises:
        InputError: for counts below 1.

    >>> model = Maxout(1, pieces=2)
    >>> params = Params(jnp.array([[[1.0, 0.0]], [[-1.0, 2.0]]]), jnp.zeros((2, 1)))
    >>> h = model.encode(params, jnp.array([3.0, 1.0]))  # the larger of 3 and −3 + 2
    >>> h.tolist(), model.decode(params, h).tolist()
    ([3.0], [0.0, 3.0])
    >>> model.init(jax.random.key(0), 5).weight.shape
    (2, 1, 5)
    """

    hidden: int
    pieces: int = 3

    def __post_init__(self) -> None:
        for name in ("hidden", "pieces"):
            check_counts({name: getattr(self, name)})
            object.__setattr__(self, name, operator.index(getattr(self, name)))

    def init(self, key: PRNGKeyArray, n: int) -> Params:
        """Every piece as a one-layer model of `n` inputs starts, drawn with the random `key`.

        Glorot-normalized weights `[k, m, n]`, biases `[k, m]` of 0.
        """
        dtype = jnp.zeros(()).dtype
        keys = jax.random.split(key, self.pieces)
        return jax.vmap(lambda piece: init_params(piece, n, self.hidden, dtype=dtype))(keys)

    def encode(self, params: Params, x: Float[Array, "... n"]) -> Float[Array, "... m"]:
        """The largest piece `[..., m]` of every unit at `x [..., n]`, by its `params`."""
        return jnp.max(jax.vmap(preactivation, (0, None))(params, x), axis=0)

    def decode(self, params: Params, h: Float[Array, "... m"]) -> Float[Array, "... n"]:
        """The linear reconstruction `[..., n]` from `h [..., m]` by the mean rows of `params`."""
        return h @ jnp.mean(params.weight, axis=0)
