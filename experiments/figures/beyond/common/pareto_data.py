"""The two data sets of `modern_pareto`, on one scale: E‖x‖² is about the number of inputs."""

import numpy as np

from experiments.pipeline.protocol import DATA
from experiments.pipeline.spec import Study

__all__ = ["GENERATED", "prepared"]

# Non-negative combinations of more directions than inputs. The directions' largest cosine, the
# noise's standard deviation, and the seed of NumPy's generator.
GENERATED = {"coherence": 0.5, "noise": 0.02, "data_seed": 0}


def prepared(study: Study, dataset):
    """Training and held-out rows, and the truth of the held-out ones (None for real data)."""
    heldout = int(study.option("heldout"))
    if study.dataset:
        from aesparse.data import standardize

        scaler = standardize(dataset.train, DATA[study.dataset].epsilon)
        return scaler(dataset.train), scaler(dataset.heldout[:heldout]), None
    return _generated(study, heldout)


def _generated(study: Study, heldout: int):
    """Centred, and all inputs divided by one number, so that directions stay what they are."""
    from aesparse.data import generated

    option = study.option
    data = generated(
        study.samples + heldout,
        option("inputs"),
        option("directions"),
        active=option("active"),
        coherence=option("coherence"),
        noise=option("noise"),
        seed=option("data_seed"),
    )
    train, held = data.X[: study.samples], data.X[study.samples :]
    centre, scale = train.mean(axis=0), np.sqrt(train.var(axis=0).mean())
    truth = data._replace(X=held, codes=data.codes[study.samples :])
    return (train - centre) / scale, (held - centre) / scale, truth
