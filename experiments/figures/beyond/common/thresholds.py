"""JumpReLU for data on the scale of `modern_pareto`. It imports JAX: import it where it trains."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import PyTree

from aesparse.models.codes import JumpRelu

__all__ = ["JumpReluFrom"]


@dataclasses.dataclass(frozen=True)
class JumpReluFrom(JumpRelu):
    """JumpReLU whose thresholds begin at `start` instead of 0.001."""

    start: float = 0.001

    def extras(self, hidden: int) -> dict[str, PyTree]:
        """The `log_threshold` of each of the `hidden` units."""
        return {"log_threshold": jnp.full((hidden,), jnp.log(self.start))}
