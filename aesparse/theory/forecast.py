"""What a training is expected to do to E[a_j] and to the activation fraction. A forecast, no proof.

A short path (`theory.path`) is simulated at strength 0 and at some more, with steps so large that
it covers the training, as far as they are stable. What remains is extrapolated from the drift of
E[a_j] over the path's second half: with the logarithm of the updates (as if it were slowing down)
and in proportion to them (as if it were not), whereby a_j keeps its distribution around its mean.
Shapes: m hidden units, N samples, L strengths.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aesparse.losses.penalties import Penalty
from aesparse.models.activations import Activation
from aesparse.models.constraints import Constraint
from aesparse.models.one_layer import Params
from aesparse.theory.path import MOMENTS, Path, simulate

__all__ = ["ABSTAINS", "FALLS", "MOVES", "RISES", "STAYS", "Forecast", "forecast"]

FALLS, RISES, STAYS, ABSTAINS = "falls", "rises", "does not move", "abstains"
MOVES = 0.05  # the fraction moves if it changes by more (docs/protocol.md)
# Forecasts nearer than this to ±MOVES are withheld: about the largest error near the threshold on
# the calibration pairs (experiments/figures/beyond/common/pairs.toml).
_DOUBT = 0.015
_SHARES = (0.0, 0.1, 0.3, 1.0)  # of the largest strength
_UPDATES = 600  # of a path, at most
_FASTEST = 4.0  # larger steps describe the training less and less
_RISEN = 1.1  # an error without penalty that ends this far above its least: the steps are too large


@dataclasses.dataclass(frozen=True, eq=False)
class Forecast:
    """What the fraction is expected to do from strength 0 to the largest, and by how much.

    Attributes:
        says: "falls", "rises", "does not move" (by more than 0.05), or "abstains".
        reason: why, or why not.
        strengths: λ `[L]`, 0 first.
        fraction: the activation fraction that is expected at the training's end, `[L]`.
        mean: E[a_j] there, mean over units, `[L]`.
        spread: the standard deviation of a_j at strength 0, mean over units.
        updates: of the training that is forecast.
        learning_rate: its rate.
        path: the simulated training that it comes from.
    """

    says: str
    reason: str
    strengths: Float[np.ndarray, " L"]
    fraction: Float[np.ndarray, " L"]
    mean: Float[np.ndarray, " L"]
    spread: float
    updates: int
    learning_rate: float
    path: Path

    @property
    def change(self) -> float:
        """Of the fraction, from strength 0 to the largest."""
        return float(self.fraction[-1] - self.fraction[0])

    @property
    def change_of_mean(self) -> float:
        """Of E[a_j], from strength 0 to the largest, mean over units."""
        return float(self.mean[-1] - self.mean[0])


def forecast(
    params: Params,
    X: Float[Array, "N n"],
    s: Activation,
    penalty: Penalty,
    manifold: Constraint,
    largest: float,
    *,
    updates: int,
    learning_rate: float,
    batch: int = 50,
) -> Forecast:
    """The forecast for `updates` updates of SGD with momentum 0.9 from `params` on."""
    strengths = largest * np.array(_SHARES)
    made = max(min(updates, _UPDATES) // MOMENTS, 1) * MOMENTS
    speed = min(updates / made, _FASTEST)
    while True:
        path = simulate(
            params,
            X,
            s,
            penalty,
            manifold,
            strengths,
            updates=made,
            rate=learning_rate,
            batch=batch,
            speed=speed,
        )
        if speed <= 1 or _sound(path):
            break
        speed = max(speed / 2, 1.0)
    return _read(path, s, strengths, updates, learning_rate)


def _sound(path: Path) -> bool:
    """Whether steps of this size still describe the training."""
    return path.finite and bool(path.error[0, -1] <= _RISEN * path.error[0].min())


def _read(path: Path, s: Activation, strengths, updates: int, learning_rate: float) -> Forecast:
    half = MOMENTS // 2
    ratio = max(updates / path.updates[-1], 1.0)
    drift = path.mean[:, -1] - path.mean[:, half]  # over the second half of the path
    slowing, steady = drift * np.log2(ratio), drift * 2 * (ratio - 1)

    def fractions(shift: np.ndarray) -> np.ndarray:
        h = s(jnp.asarray(path.a + shift[:, None]))
        return np.asarray(jnp.mean(h > s.threshold, axis=(1, 2)))

    ends = [path.fraction[:, -1]] if ratio == 1 else [fractions(slowing), fractions(steady)]
    words = {_word(float(f[-1] - f[0])) for f in ends}
    mean = np.mean(path.mean[:, -1] + slowing, axis=1)
    if not path.finite:
        says, reason = ABSTAINS, "a simulated model diverges"
    elif len(words) > 1:
        says = ABSTAINS
        reason = (
            f"the simulated path covers {path.updates[-1]:.0f} of {updates} updates and what "
            "follows is open"
        )
    elif words == {ABSTAINS}:
        says = ABSTAINS
        reason = f"the change is too close to {MOVES:g}, from which on the fraction moves"
    else:
        (says,), reason = words, f"simulated over {path.updates[-1]:.0f} of {updates} updates"
    spread = float(np.mean(path.spread[0, -1]))
    return Forecast(says, reason, strengths, ends[0], mean, spread, updates, learning_rate, path)


def _word(change: float) -> str:
    if abs(abs(change) - MOVES) < _DOUBT or not np.isfinite(change):
        return ABSTAINS
    if abs(change) <= MOVES:
        return STAYS
    return FALLS if change < 0 else RISES
