"""The auto-encoders that `modern_pareto` compares: what each is, how it is trained and measured.

Shapes: S seeds, P points (values of k or of the strength), N samples, n inputs, m units.
"""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from experiments.pipeline.spec import Study

__all__ = [
    "BANDWIDTH",
    "BY_K",
    "METHODS",
    "START",
    "Measured",
    "Method",
    "measured",
    "random_cosine",
    "recovered",
]

# Of JumpReLU. Published are 0.001 for both and data with E‖x‖² = 1; here E‖x‖² is about n, and a
# threshold that begins at 0.001 would not get far in so few updates.
BANDWIDTH, START = 1.0, 0.5
BY_K = ("top-k", "batch top-k", "matryoshka")  # whose points are values of k, a program each
_PARTS = 4  # a matryoshka's prefixes: m/8, m/4, m/2, m


class Method(NamedTuple):
    """How an auto-encoder is called and drawn, and whether it is one of the papers' four."""

    name: str
    colour: str
    marker: str
    of_papers: bool = False


class Measured(NamedTuple):
    """Numbers by name `[S, P]`, codes of held-out samples `[S, P, N, m]`, atoms `[S, P, m, n]`."""

    numbers: dict[str, np.ndarray]
    codes: np.ndarray
    atoms: np.ndarray


METHODS = {
    "l1": Method("ℓ1, unit atoms", "#000000", "o"),
    "top-k": Method("top-k", "#0072B2", "s"),
    "batch top-k": Method("batch top-k", "#56B4E9", "D"),
    "jump": Method("JumpReLU", "#D55E00", "^"),
    "gated": Method("gated", "#009E73", "v"),
    "matryoshka": Method("matryoshka top-k", "#CC79A7", "P"),
    "cae": Method("CAE", "#0072B2", "s", of_papers=True),
    "dae": Method("DAE", "#555555", "o", of_papers=True),
    "sae": Method("SAE", "#CC3311", "^", of_papers=True),
    "satae": Method("SATAE", "#E69F00", "D", of_papers=True),
}


@functools.cache
def _adam(rate: float):
    """One optimizer per rate, so that programs are shared."""
    import optax

    return optax.adam(rate)


def _dictionary(method: str, hidden: int, k: int | None):
    """The rule and the objective of one of today's sparse auto-encoders."""
    from aesparse.losses import dictionary
    from aesparse.models import codes

    prefixes = [hidden >> shift for shift in reversed(range(_PARTS))]
    match method:
        case "l1":
            return codes.Relu(), dictionary.dictionary_l1()
        case "top-k":
            return codes.TopK(k), dictionary.topk()
        case "batch top-k":
            return codes.BatchTopK(k), dictionary.topk()
        case "jump":
            return codes.JumpRelu(BANDWIDTH, START), dictionary.jumprelu_l0()
        case "gated":
            return codes.Gated(), dictionary.gated()
        case "matryoshka":
            return codes.TopK(k), dictionary.matryoshka(prefixes, dictionary.topk())


def _parts(method: str, hidden: int, k: int | None):
    """Model, objective and constraint, those of the papers as the papers have them."""
    import aesparse as ae

    if METHODS[method].of_papers:
        satae = method == "satae"
        model = ae.OneLayer(hidden, "relu", tied=not satae, decoder_bias=True)
        return model, method, "unit-columns" if satae else "unit"
    rule, objective = _dictionary(method, hidden, k)
    return ae.DictionaryModel(hidden, rule), objective, "unit-atoms"


def _fitted(study: Study, X: np.ndarray, k: int | None = None):
    """The trained models: all seeds of one k, or all seeds and strengths."""
    import aesparse as ae
    from aesparse.models.dictionary import calibrated

    option, points = study.option, study.option("points")
    model, objective, constraint = _parts(option("method"), option("hidden"), k)
    result = ae.fit(
        X,
        model,
        objective,
        sweep={"seed": range(option("seeds"))} | ({} if k else {"strength": points}),
        optimizer=_adam(option("learning_rate")),
        constraint=constraint,
        measure={},  # what counts is measured on held-out data
        epochs=option("epochs"),
        batch_size=option("batch_size"),
        history_epochs=[0],
    )
    if option("method") == "batch top-k":
        result = dataclasses.replace(result, params=calibrated(model, result.params, X))
    return result


def _seen(trained, x):
    from aesparse.metrics import code_quality

    return code_quality(trained, x), trained.model.encode(trained.params, x)


def measured(
    study: Study, X: np.ndarray, heldout: np.ndarray
) -> tuple[dict, np.ndarray, np.ndarray]:
    """Trains the models of a study on X `[N, n]` and measures them on held-out data."""
    if study.option("method") not in BY_K:
        return _measured(_fitted(study, X), heldout)
    each = [_measured(_fitted(study, X, int(k)), heldout) for k in study.option("points")]
    numbers = {name: np.stack([one.numbers[name] for one in each], 1) for name in each[0].numbers}
    codes, atoms = (np.stack([getattr(one, of) for one in each], 1) for of in ("codes", "atoms"))
    return Measured(numbers, codes, atoms)


def _measured(result, heldout: np.ndarray) -> Measured:
    quality, codes = result.measure(heldout, _seen)
    active = np.count_nonzero(codes, axis=-1)
    params = result.params
    atoms = params.weight if params.decoder is None else np.swapaxes(params.decoder, -1, -2)
    numbers = {
        "l0": quality.l0,
        "explained_variance": quality.explained_variance,
        "dead_fraction": quality.dead_fraction,
        "fewest": active.min(axis=-1),
        "most": active.max(axis=-1),
        "diverged_epoch": result.diverged_epoch,
    }
    return Measured(numbers, codes, atoms)


def recovered(codes: np.ndarray, atoms: np.ndarray, truth) -> dict[str, np.ndarray]:
    """How well models recover generated data, by name `[S, P]`; NaN for those that diverged.

    `codes [S, P, N, m]` and `atoms [S, P, m, n]` are theirs, `truth` is `aesparse.data.Generated`,
    of the same samples.
    """
    from aesparse.metrics import matched_f1, recovery

    found = np.full((3, *codes.shape[:2]), np.nan)
    for at in np.ndindex(*codes.shape[:2]):
        if np.isfinite(codes[at]).all() and np.isfinite(atoms[at]).all():
            near = recovery(atoms[at], truth.directions)
            f1 = matched_f1(codes[at], truth.codes).mean_f1
            found[(slice(None), *at)] = near.mean_cosine, near.recovered, f1
    return dict(zip(("mean_cosine", "recovered", "matched_f1"), found, strict=True))


def random_cosine(truth, atoms: np.ndarray) -> float:
    """The mean best cosine of as many random atoms as those of a model, `atoms [S, P, m, n]`."""
    from aesparse.metrics import recovery

    drawn = np.random.default_rng(1).normal(size=atoms.shape[-2:])  # the data have seed 0
    return recovery(drawn, truth.directions).mean_cosine
