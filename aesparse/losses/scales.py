"""Strengths and learning rates between losses that sum and average differently.

aesparse's losses are E Σ_i (x_i − y_i)² + λ·E Σ_j R_j: summed over the n inputs and the m units,
averaged over the N samples of a batch. Elsewhere one takes means over inputs or units, sums over
samples, or a factor of ½, so that the same λ weighs the penalty otherwise. With λ converted both
losses have the same minimizers, and gradients in the same direction.
"""

from typing import NamedTuple

from aesparse.errors import InputError, unknown_name
from aesparse.options import check_counts, check_positive, checked_numbers, shortened

__all__ = ["SCALES", "LossScale", "convert_learning_rate", "convert_strength"]


class LossScale(NamedTuple):
    """How a loss is put together; by default as in aesparse.

    Args:
        inputs: "sum" or "mean" of the reconstruction error over the inputs.
        samples: the same over the samples of a batch.
        factor: in front of the error: ½ where that is printed.
        units: "sum" or "mean" of the penalty over the hidden units.
        penalty_samples: the same over samples. "mean" also for what does not depend on how many
            there are: weights, and functions of mean activations.
        penalty_factor: in front of the penalty, beside its coefficient.

    >>> LossScale(inputs="mean", units="mean").units
    'mean'
    """

    inputs: str = "sum"
    samples: str = "mean"
    factor: float = 1.0
    units: str = "sum"
    penalty_samples: str = "mean"
    penalty_factor: float = 1.0


#: Scales by name. "pytorch-mean" is `MSELoss()` plus λ times `h.abs().mean()`, "pytorch-sum" the
#: same with sums; "keras" is `loss="mse"` with an `activity_regularizer`; "scikit-learn" is that of
#: its dictionary learning.
SCALES: dict[str, LossScale] = {
    "aesparse": LossScale(),
    "satae": LossScale(samples="sum", factor=0.5, penalty_samples="sum"),
    "gsae": LossScale(factor=0.5),
    "pytorch-mean": LossScale(inputs="mean", units="mean"),
    "pytorch-sum": LossScale(samples="sum", penalty_samples="sum"),
    "keras": LossScale(inputs="mean"),
    "scikit-learn": LossScale(samples="sum", factor=0.5, penalty_samples="sum"),
    "saelens": LossScale(),
}


def convert_strength(
    strength: float | int,
    source: LossScale | str,
    target: LossScale | str = "aesparse",
    *,
    inputs: int,
    units: int,
    samples: int,
) -> float:
    """The coefficient in the `target` loss that weighs a penalty as `strength` does in `source`.

    With r and p, the error and the penalty of a scale over those of aesparse, it is
    λ · (p/r of the source) / (p/r of the target).

    Args:
        strength: λ in the loss `source`.
        source: a name of `SCALES`, or a `LossScale`.
        target: the same; "aesparse" by default.
        inputs: n, the inputs of a sample.
        units: m, the hidden units.
        samples: B, the samples of a batch.

    Raises:
        InputError: for unknown names, scales that are no scales, and sizes below 1.

    >>> convert_strength(0.1, "scikit-learn", inputs=64, units=32, samples=500)
    0.2
    >>> convert_strength(0.1, "pytorch-mean", inputs=64, units=32, samples=50)  # 0.1 · n/m
    0.2
    >>> convert_strength(0.2, "aesparse", "keras", inputs=64, units=32, samples=50)  # 0.2/n
    0.003125
    """
    check_counts({"inputs": inputs, "units": units, "samples": samples})
    sizes = {"inputs": inputs, "units": units, "samples": samples}
    (r_from, p_from), (r_to, p_to) = (_factors(s, **sizes) for s in (source, target))
    return _number(strength, "The strength") * (p_from * r_to) / (r_from * p_to)


def convert_learning_rate(
    rate: float | int,
    source: LossScale | str,
    target: LossScale | str = "aesparse",
    *,
    inputs: int,
    samples: int,
) -> float:
    """The rate at which SGD, with or without momentum, makes the same steps on the `target` loss.

    With the strength converted, too, one gradient is the other times the ratio of the errors.
    Optimizers that normalize their steps, such as Adam, keep their rate.

    Args:
        rate: the learning rate on the loss `source`.
        source: a name of `SCALES`, or a `LossScale`.
        target: the same; "aesparse" by default.
        inputs: n, the inputs of a sample.
        samples: B, the samples of a batch.

    Raises:
        InputError: as for `convert_strength`.

    >>> convert_learning_rate(0.1, "keras", inputs=50, samples=20)  # 0.1/n
    0.002
    """
    check_counts({"inputs": inputs, "samples": samples})
    sizes = {"inputs": inputs, "units": 1, "samples": samples}
    r_from, r_to = (_factors(scale, **sizes)[0] for scale in (source, target))
    return _number(rate, "The learning rate") * r_from / r_to


def _number(value: float | int, what: str) -> float:
    number = checked_numbers(value, f"{what} is")
    if number.ndim:
        raise InputError(f"{what} is {shortened(value)}; expected one number. Convert one by one.")
    return float(number)


def _factors(
    scale: LossScale | str, *, inputs: int, units: int, samples: int
) -> tuple[float, float]:
    """The reconstruction error and the penalty of a scale over those of aesparse."""
    scale = _checked(scale)
    error = scale.factor / (inputs if scale.inputs == "mean" else 1)
    error *= samples if scale.samples == "sum" else 1
    penalty = scale.penalty_factor / (units if scale.units == "mean" else 1)
    penalty *= samples if scale.penalty_samples == "sum" else 1
    return error, penalty


def _checked(scale: LossScale | str) -> LossScale:
    if isinstance(scale, str):
        if scale not in SCALES:
            raise unknown_name("scale of a loss", scale, SCALES)
        return SCALES[scale]
    if not isinstance(scale, LossScale):
        raise InputError(
            f"The scale of a loss is {shortened(scale)}; expected a name, such as 'keras', or a "
            "LossScale."
        )
    for name in ("inputs", "samples", "units", "penalty_samples"):
        if getattr(scale, name) not in ("sum", "mean"):
            raise InputError(
                f"{name} of a loss's scale is {shortened(getattr(scale, name))}; expected 'sum' or "
                "'mean'."
            )
    check_positive({"factor": scale.factor, "penalty_factor": scale.penalty_factor})
    return scale
