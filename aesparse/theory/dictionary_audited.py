"""What an audit of a sparse auto-encoder measured and predicts, as a record and as a table.

Shapes: m hidden units, L strengths.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from aesparse.metrics.codes import CodeQuality
from aesparse.theory.response import STRENGTHS, Response

__all__ = ["DictionaryAudit", "dictionary_rows"]


@dataclasses.dataclass(frozen=True, eq=False)
class DictionaryAudit:
    """What was measured and predicted of a sparse auto-encoder. Printed, it is a table.

    Gradients are means over batches, each part of the loss at coefficient 1.

    Attributes:
        quality: L0, dead units, error and explained variance on the samples.
        samples: how many rows of X were used.
        predicted_active: share of samples on which a unit is active, if its a_j is Gaussian with
            the mean and variance that follow from mean and covariance of X, `[m]`.
        centred_active: the same if the data had mean b_d, or mean 0 where the encoder subtracts no
            bias, `[m]`.
        bias_gradients: ∂part/∂b_j by the name of the part, `[m]`.
        threshold_gradients: ∂part/∂log θ_j by the name of the part, `[m]`; empty but for JumpReLU.
        responses: Adam's step of "bias", and of "log_threshold" for JumpReLU, over strengths, at a
            unit rate; empty for an objective without a strength. Its `change` is that of the
            parameter.
    """

    quality: CodeQuality
    samples: int
    predicted_active: Float[np.ndarray, " m"]
    centred_active: Float[np.ndarray, " m"]
    bias_gradients: Mapping[str, Float[np.ndarray, " m"]]
    threshold_gradients: Mapping[str, Float[np.ndarray, " m"]]
    responses: Mapping[str, Response]

    def __str__(self) -> str:
        from aesparse.tables import aligned

        return aligned(dictionary_rows(self))

    @property
    def moves_bias(self) -> tuple[str, ...]:
        """The parts of the loss whose gradient by the biases is not zero."""
        return tuple(name for name, g in self.bias_gradients.items() if np.any(g))

    @property
    def predicted_dead(self) -> float:
        """The expected share of units active on none of the samples, for Gaussian a_j."""
        return self._dead(self.predicted_active)

    @property
    def centred_dead(self) -> float:
        """The same if the data had mean b_d, or mean 0 where the encoder subtracts no bias."""
        return self._dead(self.centred_active)

    def _dead(self, active: Float[np.ndarray, " m"]) -> float:
        return float(np.mean((1 - active) ** self.samples))


def dictionary_rows(audit: DictionaryAudit) -> list[tuple[str, str]]:
    """What an `audit` measured and predicts, as (name, value) in the order to read it in."""
    quality = audit.quality
    return [
        (
            "L0",
            f"{quality.l0:.4g} of {len(quality.density)} units a sample; predicted for Gaussian "
            f"a_j {audit.predicted_active.sum():.4g}",
        ),
        (
            "dead units",
            f"{quality.dead_fraction:.3f} of them on {audit.samples} samples; predicted "
            f"{audit.predicted_dead:.3f}",
        ),
        (
            "on centred data",
            f"predicted L0 {audit.centred_active.sum():.4g}, dead units {audit.centred_dead:.3f}",
        ),
        ("explained variance", f"{quality.explained_variance:.4g}"),
        ("parts that move the biases", ", ".join(audit.moves_bias) or "none"),
        *((f"∂{part}/∂b_j", _gradient(g)) for part, g in audit.bias_gradients.items()),
        *((f"∂{part}/∂log θ_j", _gradient(g)) for part, g in audit.threshold_gradients.items()),
        *((f"Adam's step of {name}", _step(r)) for name, r in audit.responses.items()),
    ]


def _gradient(g: Float[np.ndarray, " m"]) -> str:
    low, middle, high = np.quantile(g, [0.0, 0.5, 1.0], method="nearest")
    return (
        f"positive for {np.mean(g > 0):.1%} of units, negative for {np.mean(g < 0):.1%}; median "
        f"{middle:.3g}, from {low:.3g} to {high:.3g}"
    )


def _step(response: Response) -> str:
    if not np.any(response.change[-1] - response.change[0]):
        return "it does not depend on λ"
    down = response.falling
    ends = (
        f"downwards for {down[0]:.1%} of units at λ = {STRENGTHS[0]:g}, for {down[-1]:.1%} at "
        f"λ = {STRENGTHS[-1]:g}"
    )
    if np.isinf(response.saturation):
        return f"{ends}; it never saturates in λ"
    return f"{ends}; beyond λ = {response.saturation:.3g} it no longer changes"
