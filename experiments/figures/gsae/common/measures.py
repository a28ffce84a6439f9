"""What is measured of the models of GSAE's figures."""

import numpy as np

from experiments.pipeline.spec import Study

__all__ = [
    "compared",
    "gradient_errors",
    "mean_angle",
    "never_inked",
    "penalty_at",
    "penalty_measurement",
]


def compared(study: Study, X: np.ndarray, models: dict, components: np.ndarray) -> dict:
    """Angles to the components and windowed energy, by model of `models` and side."""
    from aesparse.filters import windowed_energy

    hidden, side = len(components), round(X.shape[1] ** 0.5)
    covariance = np.cov(X.T, bias=True)

    def window(rows: np.ndarray) -> float:
        shape, size = (side, side, 1), int(study.option("window"))
        return float(np.nanmedian(windowed_energy(rows, shape, size)))

    angles, windows = [], []
    for params in models.values():
        rows, columns = (np.asarray(m) for m in (params.weight, params.decoder))
        angles.append(
            [mean_angle(columns, components), mean_angle(covariance @ rows.T, components)]
        )
        windows.append([window(columns.T), window(rows)])
    rng = np.random.default_rng(study.seed)
    images = []
    for _ in range(int(study.option("draws"))):
        digits = (X[rng.choice(len(X), hidden, replace=False)] - X.mean(axis=0)).T
        images.append([mean_angle(digits, components), mean_angle(covariance @ digits, components)])
    return {
        "angle": (("model", "side"), np.array(angles)),
        "window": (("model", "side"), np.array(windows)),
        "image_angle": (("draw", "side"), np.array(images)),
        "pca_window": window(components),
    }


def never_inked(rows: np.ndarray, X: np.ndarray) -> float:
    """Share of the energy of `rows` [m, n] on pixels that are 0 in all of `X` [N, n]."""
    energy = np.sum(rows.astype(float) ** 2, axis=0)
    return float(energy[~X.any(axis=0)].sum() / energy.sum())


def mean_angle(columns: np.ndarray, components: np.ndarray) -> float:
    """The mean principal angle between a span of columns [n, m] and the components [m, n]."""
    from scipy.linalg import subspace_angles

    return float(np.mean(subspace_angles(columns, components.T)))


def gradient_errors(study: Study, params, X: np.ndarray) -> dict:
    """GSAE's gradient against jax.grad at the trained sparse model, in float64; G1."""
    import jax
    import jax.numpy as jnp

    from aesparse.losses.generalized_sparse import (
        generalized_sparse,
        modified_backpropagation,
        sparsity_function,
    )
    from aesparse.models.one_layer import OneLayer

    rho, model = study.option("rho"), OneLayer.of(params, "sigmoid")
    objective = generalized_sparse("sigmoid", "kl", rho=rho)
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf, np.float64)), params)
        x = jnp.asarray(X[: int(study.option("checked"))].astype(np.float64))
        coefficients = {
            "weights": jnp.array(study.option("decay")),
            "sparsity": jnp.array(study.option("beta")),
        }
        wanted = jax.grad(lambda p: objective(model, p, x, x, coefficients)[0])(params)

        def error(outputs: int | None) -> float:
            computed = modified_backpropagation(
                params,
                x,
                activation=model.activation,
                phi=sparsity_function("kl", rho),
                coefficients=coefficients,
                outputs=outputs,
            )
            ratios = jax.tree.map(
                lambda a, b: jnp.linalg.norm(a - b) / jnp.linalg.norm(b), computed, wanted
            )
            return max(map(float, jax.tree.leaves(ratios)))

        return {"gradient_error": error(None), "printed_error": error(len(params.bias))}


def penalty_measurement(study: Study):
    """Distances of the means to ρ, the error, KL at minibatch means and at full means."""
    import jax
    import jax.numpy as jnp

    from aesparse.losses.reconstruction import reconstruction_error
    from aesparse.losses.sparsity import kl_sparsity, mean_activations

    size, penalty = int(study.option("batch_size")), kl_sparsity(study.option("rho"))

    def measured(trained, X):
        model, params, error = trained.model, trained.params, trained.objective.error
        batches = X[: len(X) // size * size].reshape(-1, size, X.shape[1])
        means = jax.vmap(lambda batch: mean_activations(model, params, batch))(batches)
        whole = jnp.mean(means, axis=0)
        return {
            "mean": jnp.mean(whole),
            "distance": jnp.mean(jnp.abs(whole - study.option("rho"))),
            "square": jnp.mean((whole - study.option("rho")) ** 2),
            "undefined": jnp.mean((whole <= 0) | (whole >= 1)),
            "reconstruction": reconstruction_error(model, params, X, X, error),
            "kl_of_batches": jnp.mean(jax.vmap(lambda m: penalty_at(penalty, m))(means)),
            "kl_of_all": penalty_at(penalty, whole),
        }

    return measured


def penalty_at(penalty, means):
    """The penalty of given mean activations [m]: linear units without weights, biases alone."""
    import jax.numpy as jnp

    from aesparse.models.forward import one_layer_forward
    from aesparse.models.one_layer import Params

    params = Params(jnp.zeros((len(means), 1), means.dtype), means)
    x = jnp.zeros((1, 1), means.dtype)
    return penalty(one_layer_forward(params, x, "identity"), None)
