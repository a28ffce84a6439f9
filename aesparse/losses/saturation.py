"""SATAE's complementary functions: how far a pre-activation is from the flat parts of f.

Both are derived from f alone, once per activation, in float64 on the host; what comes back is
an elementwise function of z of any shape and float dtype that can be trained through.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from aesparse.errors import InputError
from aesparse.losses.base import Noise, Penalty
from aesparse.models.activations import Activation
from aesparse.models.forward import Forward

__all__ = [
    "SHORTEST",
    "WINDOW",
    "complement",
    "flat_parts",
    "multiscale_complement",
    "saturation",
    "saturation_of_layers",
]

WINDOW = 20.0  # f is examined on [−20, 20]; a part that is flat there up to an end goes on for ever
SHORTEST = 2.0**-7  # flat parts shorter than this, isolated extrema among them, do not count
# A flat part counts only if |f'| exceeds _RISEN·max|f'| within _WITHIN of its ends; this rejects
# tails whose slope merely underflows (tanh).
_RISEN, _WITHIN = 1e-6, 0.05
_POINTS = 128  # of eq. 3's table, per unit of z or per half to one scale, whichever is shorter
_TAIL = 40.0  # eq. 3's kernel is below 1e-18 beyond so many scales
_SCALES = (1e-3, 1e3)  # shortest and longest: the table grows with one over, and with, them

_Elementwise = Callable[[Float[Array, "..."]], Float[Array, "..."]]


def _on_host(f: _Elementwise, z: np.ndarray) -> np.ndarray:
    """f(z) in float64 as NumPy, also while a program that uses the result is being traced."""
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        return np.asarray(f(jnp.asarray(z)), np.float64)


@functools.lru_cache(maxsize=16)
def flat_parts(activation: Activation) -> tuple[tuple[float, float], ...]:
    """The saturation region S = {z : f'(z) = 0} of an `activation` f (SATAE eq. 1), as intervals.

    In ascending order. The slope by autodiff is exactly 0 on them; their ends are found by
    bisection to float64 rounding, and are ±inf where f is flat up to the end of the search
    `WINDOW`. Left out are parts shorter than `SHORTEST`, hence isolated extrema ("regions of
    negligible extent", SATAE section 5.1), and parts into which the slope only fades below rounding
    (tanh at 20). Empty where f has none.

    >>> from aesparse.models.activations import shrink
    >>> [(round(low, 6), round(high, 6)) for low, high in flat_parts(shrink(0.5))]
    [(-0.5, 0.5)]
    """
    slope = functools.partial(_on_host, jax.jit(activation.slope))
    grid = np.arange(-WINDOW, WINDOW + SHORTEST / 2, SHORTEST)
    slopes = slope(grid)
    flat = np.concatenate([[False], slopes == 0, [False]])
    first, behind = np.flatnonzero(flat[1:] & ~flat[:-1]), np.flatnonzero(~flat[1:] & flat[:-1])
    inner = np.concatenate([grid[first], grid[behind - 1]])
    outward = np.repeat([-1.0, 1.0], len(first))
    ends = _bisect(lambda z: slope(z) == 0, inner, inner + outward * SHORTEST)
    near = np.abs(slope(ends + outward * _WITHIN))
    unbounded = inner == outward * WINDOW
    real = unbounded | (near > _RISEN * np.abs(slopes).max())
    ends = np.where(unbounded, outward * np.inf, ends)
    parts = zip(*np.split(ends, 2), *np.split(real, 2), strict=True)
    return tuple(
        (float(low), float(high))
        for low, high, left, right in parts
        if left and right and high - low >= SHORTEST
    )


def _bisect(holds: Callable, inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """The last points at which `holds` on the ways from `inner`, where it does, to `outer`."""
    for _ in range(np.finfo(float).nmant):
        middle = (inner + outer) / 2
        holding = holds(middle)
        inner, outer = np.where(holding, middle, inner), np.where(holding, outer, middle)
    return inner


@functools.lru_cache(maxsize=16)
def complement(activation: Activation) -> _Elementwise:
    """f_c(z) = inf over z' in S of |z − z'| (SATAE eq. 1), S being `flat_parts(activation)`.

    0 on the flat parts of f, with slope ±1 outside them; the slope is 0 halfway between two flat
    parts, which are equally near. For shrink(λ) max(|z| − λ, 0), for ReLU max(z, 0), for saturated
    linear max(1 − |z|, 0). (SATAE section 3.2 prints |z| for shrink outside [−λ, λ]; its eq. 1 and
    its equality with |shrink(z)| give |z| − λ.) Raises `InputError` for an activation without a
    flat part, and for one that is flat everywhere.

    >>> from aesparse.models.activations import shrink
    >>> complement(shrink(0.5))(jnp.array([-2.0, 0.0, 1.0])).tolist()
    [1.5, 0.0, 0.5]
    """
    parts = flat_parts(activation)
    if not parts:
        raise InputError(
            f"The activation has no flat part of length {SHORTEST:g} or more on [{-WINDOW:g}, "
            f"{WINDOW:g}]; SATAE eq. 1 needs one. Use eq. 3, multiscale_complement."
        )
    if parts == ((-math.inf, math.inf),):
        raise InputError(
            f"The slope of the activation is 0 on all of [{-WINDOW:g}, {WINDOW:g}]; expected one "
            "that is flat in parts. Use a function whose slope JAX can see."
        )

    def distance(z: Float[Array, "..."]) -> Float[Array, "..."]:
        each = [jax.nn.relu(low - z) + jax.nn.relu(z - high) for low, high in parts]
        return functools.reduce(jnp.minimum, each)

    return distance


def saturation(forward: Forward, eps: Noise) -> Float[Array, ""]:
    """E Σ_j f_c(a_j) of one layer with f_c of eq. 1, as a penalty.

    Summed over units, averaged over samples. SATAE eq. 2 has its sum over samples instead.
    `forward` and `eps` are those of every penalty. Raises `InputError` as `complement` does.

    >>> from aesparse.models.forward import forward
    >>> from aesparse.models.one_layer import OneLayer, Params
    >>> x = jnp.array([[1.0, -2.0], [3.0, 1.0]])
    >>> float(saturation(forward(OneLayer(2), Params(jnp.eye(2), jnp.zeros(2)), x), None))
    2.5
    """
    del eps
    distance = complement(forward.activation)
    return jnp.mean(jnp.sum(distance(forward.preactivation), axis=-1))


def saturation_of_layers(
    preactivations: Callable[[PyTree, Array], PyTree], complement: _Elementwise
) -> Penalty:
    """E Σ_j f_c(a_j) over the units of all layers given (SATAE eq. 2), as a penalty of any model.

    Args:
        preactivations: `preactivations(params, x)` returns arrays `[B, m_l]`, one a layer: a
            function of your own, or `models.flax.captured`.
        complement: f_c, elementwise, such as `complement(activation)`.

    >>> from aesparse.models.forward import forward
    >>> from aesparse.models.one_layer import OneLayer, Params
    >>> penalty = saturation_of_layers(lambda params, x: [x @ params.weight.T], jnp.abs)
    >>> x = jnp.array([[1.0, -2.0], [3.0, 1.0]])
    >>> float(penalty(forward(OneLayer(2), Params(jnp.eye(2), jnp.zeros(2)), x), None))
    3.5
    """

    def penalty(forward: Forward, eps: Noise) -> Float[Array, ""]:
        del eps
        layers = jax.tree.leaves(preactivations(forward.params, forward.x))
        return sum(jnp.sum(complement(a)) / len(forward.x) for a in layers)

    return penalty


@functools.lru_cache(maxsize=16)
def multiscale_complement(activation: Activation, *, scale: float | int = 1.0) -> _Elementwise:
    """f_c(z) = min(M⁺f(z), M⁻f(z)) (SATAE eq. 3), for any continuous f, with or without flat parts.

    M⁺f(z) = ∫ w(l) (1/l) ∫_z^{z+l} |f'(u)| du dl averages the variation of f to the right of z over
    all lengths l, M⁻f the one to its left. With w(l) = exp(−l/s)/s, exchanging the integrals leaves
    M⁺f(z) = ∫_0^∞ |f'(z + t)| k(t) dt with the decreasing kernel k(t) = ∫_t^∞ w(l)/l dl = E₁(t/s)/s
    of integral 1: f_c is a mean of |f'| on the flatter side.

    The convolution is taken once on a grid of at least 128 points per unit and per s, with the
    kernel integrated exactly between them and the variation of f on it; between grid points M⁺ and
    M⁻ are linear, beyond ±20 constant.

    Args:
        activation: f.
        scale: s, from 0.001 to 1000; 1 by default.

    Raises:
        InputError: for another scale.

    >>> from aesparse.models.activations import get_activation
    >>> f_c = multiscale_complement(get_activation("tanh"))
    >>> bool(f_c(jnp.array(0.0)) > f_c(jnp.array(2.0)) > 0)
    True
    """
    if not _SCALES[0] <= scale <= _SCALES[1]:
        raise InputError(
            f"The scale of the averages is {scale}; expected a number from {_SCALES[0]:g} to "
            f"{_SCALES[1]:g}, beside pre-activations of a few units."
        )
    step = 2.0 ** min(math.floor(math.log2(scale)), 0) / _POINTS  # exact in float32
    rightward, leftward = _averages(activation, float(scale), step)

    def averaged(z: Float[Array, "..."]) -> Float[Array, "..."]:
        place = (jnp.clip(z, -WINDOW, WINDOW) + WINDOW) / step
        left = jnp.clip(place.astype(int), 0, len(rightward) - 2)
        share = place - left.astype(z.dtype)
        tables = (jnp.asarray(table, z.dtype) for table in (rightward, leftward))
        return jnp.minimum(*((1 - share) * t[left] + share * t[left + 1] for t in tables))

    return averaged


def _averages(activation: Activation, scale: float, step: float) -> tuple[np.ndarray, np.ndarray]:
    """M⁺f and M⁻f at the points −20, −20 + step, …, 20."""
    from scipy.signal import fftconvolve
    from scipy.special import exp1

    tail, inside = math.ceil(_TAIL * scale / step), round(2 * WINDOW / step)
    points = -WINDOW + step * np.arange(-tail, inside + tail + 1)
    density = np.abs(np.diff(_on_host(activation, points))) / step
    ends = np.arange(1, tail + 1) * step / scale
    # ∫_0^t k = τ E₁(τ) + 1 − exp(−τ) with τ = t/s
    kernel = np.diff(ends * exp1(ends) - np.expm1(-ends), prepend=0.0)
    leftward = fftconvolve(density, kernel)[tail - 1 :][: inside + 1]
    rightward = fftconvolve(density, kernel[::-1])[2 * tail - 1 :][: inside + 1]
    return np.maximum(rightward, 0.0), np.maximum(leftward, 0.0)  # −1e-17 by the transform
