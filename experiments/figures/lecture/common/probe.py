"""The probe of codes: labels, codes by their models, and logistic regression on them."""

from collections.abc import Callable

import numpy as np

from experiments.figures.lecture.common.training import train
from experiments.pipeline.contents import failed
from experiments.pipeline.spec import Study

__all__ = ["fit_encoders", "labels", "probe"]


def labels(dataset) -> tuple[np.ndarray, np.ndarray]:
    """The digits shown; those of the embedded images are found by their pixels."""
    if dataset.labels is not None:
        return tuple(np.asarray(part) for part in dataset.labels)
    from sklearn.datasets import load_digits

    known = load_digits()
    by_image = {
        image.tobytes(): label
        for image, label in zip((known.data / 16).astype(np.float32), known.target, strict=True)
    }
    parts = dataset.train, dataset.heldout
    return tuple(np.array([by_image[row.tobytes()] for row in part]) for part in parts)


def probe(seen, known, unseen, truth, cost: float, study: Study) -> tuple[np.ndarray, int]:
    """Which unseen samples multinomial logistic regression gets wrong, and its iterations.

    Every feature is centred and divided by its standard deviation plus a tenth of the mean one:
    pixels that are almost always black, and units that almost never answer, stay small.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    from aesparse.data import standardize

    scale = standardize(seen, study.option("softening") * float(seen.std(axis=0).mean()))
    model = LogisticRegression(C=cost, solver="lbfgs", max_iter=study.option("max_iter"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the limit is part of the protocol
        model.fit(scale(seen), known)
    return model.predict(scale(unseen)) != truth, int(np.max(model.n_iter_))


def fit_encoders(study: Study, train: np.ndarray) -> list[Callable | None]:
    """Functions from pixels to features, one per strength; None where training failed."""
    name, strengths = study.option("code"), study.option("strengths")
    if name == "raw":
        return [lambda X: X]
    if name == "pca":
        from sklearn.decomposition import PCA

        return [
            PCA(int(k), svd_solver="covariance_eigh").fit(train[: study.option("few")]).transform
            for k in strengths
        ]
    return _trained_codes(study, train[: study.option("unlabelled")])


def _trained_codes(study: Study, X: np.ndarray) -> list[Callable | None]:
    """Encoders of models trained on unlabelled samples, all strengths in one program.

    None for a model that diverged or collapsed.
    """
    strengths, objective = study.option("strengths"), _objective(study.option("code"))
    result = train(study, X, study.option("units"), objective, strengths, seeds=(study.seed,))
    (coefficient,) = objective.coefficients
    return [
        None if bad else result.select(seed=study.seed, **{coefficient: strength}).encode
        for strength, bad in zip(
            strengths, failed(result.final, result.diverged_epoch)[0], strict=True
        )
    ]


def _objective(code: str):
    """Cross-entropy with masked inputs, or with a penalty; one coefficient."""
    from aesparse.losses.objectives import composed
    from aesparse.losses.saturation import saturation

    if code in ("ae", "dae"):
        return composed(error="cross-entropy", corrupt="masking")
    penalty = {"cae": "cae", "sae": "sae-kl", "satae": saturation}[code]
    return composed(error="cross-entropy", terms={code: penalty})
