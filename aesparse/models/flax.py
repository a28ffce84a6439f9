"""Models made of two `flax.linen` modules; flax itself is not imported."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from aesparse.errors import InputError
from aesparse.options import shortened

__all__ = ["FlaxModel", "captured"]


@dataclasses.dataclass(frozen=True)
class FlaxModel:
    """A model made of two `flax.linen` modules.

    Args:
        encoder: the module that maps inputs `[..., n]` to codes.
        decoder: the module that maps codes back to `[..., n]`.

    Raises:
        InputError: for anything but instances of modules.

    Its parameters are `{"encoder": …, "decoder": …}`, each what the module's own `init` returns.

    >>> import flax.linen as nn
    >>> model = FlaxModel(nn.Sequential([nn.Dense(3), nn.sigmoid]), nn.Dense(5))
    >>> params = model.init(jax.random.key(0), 5)
    >>> h = model.encode(params, jnp.ones((2, 5)))
    >>> h.shape, model.decode(params, h).shape
    ((2, 3), (2, 5))
    """

    encoder: Any
    decoder: Any

    def __post_init__(self) -> None:
        for name, module in {"encoder": self.encoder, "decoder": self.decoder}.items():
            if isinstance(module, type) or not all(
                hasattr(module, method) for method in ("init_with_output", "apply")
            ):
                raise InputError(
                    f"The {name} is {shortened(module)}; expected a flax.linen module, such as "
                    "nn.Dense(64)."
                )

    def __hash__(self) -> int:  # modules that hold a list, such as nn.Sequential, have none
        return hash((type(self.encoder), type(self.decoder)))

    def init(self, key: PRNGKeyArray, n: int) -> PyTree:
        """Parameters of both modules, drawn with the random `key`, for data of `n` inputs."""
        key_e, key_d = jax.random.split(key)
        x = jnp.zeros((1, n))
        code, variables = self.encoder.init_with_output(key_e, x)
        return {"encoder": variables, "decoder": self.decoder.init(key_d, code)}

    def encode(self, params: PyTree, x: Float[Array, "... n"]) -> Float[Array, "..."]:
        """What the encoder returns for `x [..., n]`, with the parameters `params["encoder"]`."""
        return self.encoder.apply(params["encoder"], x)

    def decode(self, params: PyTree, h: Float[Array, "..."]) -> Float[Array, "..."]:
        """What the decoder returns for the code `h`, with the parameters `params["decoder"]`."""
        return self.decoder.apply(params["decoder"], h)


def captured(encoder: Any, layers: Sequence[str]) -> Callable[[PyTree, Array], tuple[Array, ...]]:
    """A function `(params, x) -> (a_1, a_2, …)`: what submodules of the encoder return.

    For dense layers these are pre-activations, as `saturation_of_layers` takes them.

    Args:
        encoder: the encoder of a `FlaxModel`.
        layers: flax's names of submodules ("Dense_0", or "block/Dense_0" inside another module).

    Raises:
        InputError: when called, for a name that the encoder lacks.

    >>> import flax.linen as nn
    >>> encoder = nn.Sequential([nn.Dense(4), nn.relu, nn.Dense(3)])
    >>> params = FlaxModel(encoder, nn.Dense(5)).init(jax.random.key(0), 5)
    >>> outputs = captured(encoder, ["layers_0", "layers_2"])
    >>> [a.shape for a in outputs(params, jnp.ones((2, 5)))]
    [(2, 4), (2, 3)]
    """

    def outputs(params: PyTree, x: Float[Array, "B n"]) -> tuple[Array, ...]:
        capture = {"capture_intermediates": True, "mutable": ["intermediates"]}
        _, state = encoder.apply(params["encoder"], x, **capture)
        return tuple(_captured_call(state["intermediates"], name) for name in layers)

    return outputs


def _captured_call(tree: Mapping, name: str) -> Array:
    for part in name.split("/"):
        if part not in tree:
            known = sorted(k for k in tree if k != "__call__")
            raise InputError(f"The encoder has no layer '{name}'; expected one of {known}.")
        tree = tree[part]
    return tree["__call__"][0]
