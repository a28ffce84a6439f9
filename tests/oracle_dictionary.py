"""Codes and losses of today's sparse auto-encoders in NumPy, sample by sample, as published.

Nothing here imports aesparse. Parameters have the attributes weight W `[m, n]`, bias b `[m]`,
decoder D `[n, m]`, decoder_bias b_d `[n]`, log_threshold `[m]` and gate (log_scale, bias).
"""

import numpy as np


def projections(p, X, *, centred=True):
    """W x' of every sample, `[N, m]`."""
    return np.stack([p.weight @ (x - p.decoder_bias if centred else x) for x in X])


def preactivations(p, X, *, centred=True):
    return projections(p, X, centred=centred) + p.bias


def relu(p, X, **how):
    """Bricken et al. 2023."""
    return np.maximum(preactivations(p, X, **how), 0)


def topk(p, X, k, **how):
    """Gao et al. 2024: one after the other, the largest number left, until k are taken."""
    codes = []
    for a in preactivations(p, X, **how):
        h, left = np.zeros_like(a), list(range(len(a)))
        for _ in range(k):
            j = max(left, key=lambda j, a=a: (a[j], -j))  # the first of equal ones
            left.remove(j)
            h[j] = max(a[j], 0)
        codes.append(h)
    return np.stack(codes)


def batch_topk(p, X, k, **how):
    """Bussmann et al. 2024, in training: the largest N·k of all pre-activations."""
    a = preactivations(p, X, **how)
    bound = np.sort(a, axis=None)[-len(X) * k]
    return np.where(a >= bound, np.maximum(a, 0), 0)  # without ties


def jump(p, X, **how):
    """Rajamanoharan et al. 2024b: z H(z − θ)."""
    a = preactivations(p, X, **how)
    return a * (a > np.exp(p.log_threshold))


def gated(p, X, **how):
    """Rajamanoharan et al. 2024a: gate 1[W x' + b > 0], magnitude max(e^r ⊙ W x' + c, 0)."""
    z = projections(p, X, **how)
    gate = (z + p.bias > 0).astype(z.dtype)
    return gate * np.maximum(np.exp(p.gate.log_scale) * z + p.gate.bias, 0)


def error(p, X, h):
    """E ‖x − D h − b_d‖²."""
    return np.mean(
        [np.sum((x - p.decoder @ code - p.decoder_bias) ** 2) for x, code in zip(X, h, strict=True)]
    )


def rectangle(u):
    return ((u > -0.5) & (u < 0.5)).astype(float)


def l0_gradient(p, X, strength, bandwidth):
    """∂/∂ log θ `[m]` of E ‖x − y‖² + λ E Σ_j H(a_j − θ_j) by the paper's pseudo-derivatives.

    ∂h_j/∂θ_j = −(θ_j/ε) K((a_j − θ_j)/ε) and ∂H/∂θ_j = −K((a_j − θ_j)/ε)/ε.
    """
    theta, h = np.exp(p.log_threshold), jump(p, X)
    total = np.zeros_like(theta)
    for x, a, code in zip(X, preactivations(p, X), h, strict=True):
        kernel = rectangle((a - theta) / bandwidth) / bandwidth
        by_code = -2 * p.decoder.T @ (x - p.decoder @ code - p.decoder_bias)
        total += by_code * -theta * kernel - strength * kernel
    return total / len(X) * theta


def dead_units_error(p, X, h, k, codes):
    """E ‖x − y − D z‖²: z the k largest positive pre-activations of units without activity."""
    dead = [j for j in range(h.shape[1]) if not h[:, j].any()]
    if not dead:
        return 0.0
    total = 0.0
    for x, a, code in zip(X, codes, h, strict=True):
        z = np.zeros_like(a)
        for j in sorted(dead, key=lambda j, a=a: -a[j])[:k]:
            z[j] = max(a[j], 0)
        residual = x - p.decoder @ code - p.decoder_bias
        total += np.sum((residual - p.decoder @ z) ** 2)
    return total / len(X)


def prefix_errors(p, X, h, prefixes):
    """E ‖x − y_i‖², y_i by the first m_i units alone, for each prefix."""
    errors = []
    for size in prefixes:
        first = h.copy()
        first[:, size:] = 0
        errors.append(error(p, X, first))
    return errors
