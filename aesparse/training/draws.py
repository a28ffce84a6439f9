"""What is random in a training: one stream of each kind for every seed.

Every model of a seed sees the same batches and the same unit noise. Shapes: S seeds, N samples,
B batch, n inputs. What is drawn is compiled by itself, once for all objectives: random bits
compile slowly.
"""

import functools
from typing import NamedTuple

import jax
from jaxtyping import Array, ArrayLike, Float, Int, Key

__all__ = [
    "INIT",
    "VALIDATION",
    "Draws",
    "batches_of",
    "compiled_batches",
    "draw_batch",
    "shuffled",
    "stream",
]

# The random streams of a seed; measurements have the third.
INIT, _EPOCHS, _, VALIDATION = range(4)


class Draws(NamedTuple):
    """What is random in one epoch, for every seed."""

    order: Int[Array, "S N"]  # of the samples
    noise: Key[Array, " S"]


def stream(keys, number):
    """The keys `[S]` of one random stream of every seed."""
    return jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)


@functools.partial(jax.jit, static_argnames="samples")
def shuffled(keys: Key[Array, " S"], number: Int[ArrayLike, ""], samples: int) -> Draws:
    """Order and noise of the epoch `number` for every seed."""
    keys = stream(stream(keys, _EPOCHS), number)
    order_keys, noise_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
    return Draws(jax.vmap(lambda key: jax.random.permutation(key, samples))(order_keys), noise_keys)


def draw_batch(
    key: Key[Array, ""], data: Float[Array, "N n"], order: Int[Array, " N"], i: ArrayLike, b: int
) -> tuple[Float[Array, "b n"], Float[Array, "b n"]]:
    """The i-th minibatch of an epoch in the given order, and its unit normal noise."""
    rows = jax.lax.dynamic_slice_in_dim(order, i * b, b)
    x = data[rows]
    return x, jax.random.normal(jax.random.fold_in(key, i), x.shape, x.dtype)


def batches_of(draws: Draws, X, i, *, b: int):
    """The i-th batch and noise of every seed, `[S, b, n]` each."""
    draw = jax.vmap(functools.partial(draw_batch, b=b), in_axes=(0, None, 0, None))
    return draw(draws.noise, X, draws.order, i)


compiled_batches = jax.jit(batches_of, static_argnames="b")
