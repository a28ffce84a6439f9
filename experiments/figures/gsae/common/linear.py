"""Linear auto-encoders in closed form: the least J, and rows with the moments of the data."""

import numpy as np

__all__ = ["pca_bound", "same_moments"]


def pca_bound(X: np.ndarray, hidden: int, decay: float) -> float:
    """The least J of a linear auto-encoder of m hidden units, λ = `decay`, whatever β and φ.

    J = ½ E‖x − y‖² + λ ½(‖W¹‖² + ‖W²‖²) + β Σ φ(ρ̂_j), y = W²(W¹x + b¹) + b², with φ ≥ 0 and
    φ(ρ) = 0. Let C be the covariance of `X [N, n]`, σ_i² its eigenvalues in falling order.

    1. Biases: b¹ = ρ − W¹ E x makes every φ zero, and b² the mean residual. With M = W² W¹ what is
       left is ½ tr (I − M) C (I − M)ᵀ + λ ½(‖W¹‖² + ‖W²‖²).
    2. Decay: of all W², W¹ with product M, the least ½(‖W¹‖² + ‖W²‖²) is ‖M‖_*, the sum of the
       singular values of M.
    3. Let P `[n, m]` be orthonormal and span the columns of M = PK. The error is
       ½ tr (I − PPᵀ) C + ½ tr (Pᵀ − K) C (Pᵀ − K)ᵀ, and λ‖K‖_* ≥ tr YᵀK for every Y of spectral
       norm ≤ λ. Minimizing over K leaves at least ½ tr (I − PPᵀ) C + tr YP − ½ tr Y C⁻¹ Yᵀ.
    4. For Y = PᵀT, where T has C's eigenvectors and eigenvalues min(λ, σ_i²), this is
       ½ tr C − tr PᵀDP, where D has eigenvalues d_i = (σ_i² − λ)₊² / (2σ_i²). They fall with i, so
       tr PᵀDP ≤ d_1 + … + d_m (Ky Fan).

    So J ≥ ½ Σ σ_i² − Σ_{i ≤ m} d_i: a component that is used costs λ − λ²/(2σ_i²) in place of
    ½σ_i². It is reached by PCA with shrunken eigenvalues, M = Σ_{i ≤ m} (1 − λ/σ_i²)₊ u_i u_iᵀ.
    """
    variances = np.linalg.eigvalsh(np.cov(X.T.astype(float), bias=True))[::-1]
    used = variances[:hidden][variances[:hidden] > decay]
    return float(variances.sum() / 2 - ((used - decay) ** 2 / (2 * used)).sum())


def same_moments(X: np.ndarray) -> np.ndarray:
    """n + 1 rows of mean zero with the covariance of `X` [N, n], N > n.

    The loss of a linear model with squared error depends on mean and covariance alone, so it is the
    same function of the parameters as on the centred `X`, at a fraction of the cost.
    """
    factor = np.linalg.qr(X - X.mean(axis=0), mode="r") / np.sqrt(len(X))
    rows = np.concatenate([factor, np.zeros((1, factor.shape[1]))])
    # The reflection that takes the last axis to (1, …, 1)/√k: no row sum is left.
    normal = np.full(len(rows), 1 / np.sqrt(len(rows)))
    normal[-1] -= 1
    mirrored = rows - np.outer(normal, 2 * (normal @ rows) / (normal @ normal))
    return mirrored * np.sqrt(len(rows))
