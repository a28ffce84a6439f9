"""The objectives written out in NumPy, with typed-in slopes; gradients by complex step.

Nothing here imports aesparse. Every formula is analytic in the parameters, so the complex step
f'(t) = Im f(t + ih)/h with h = 1e-30 differentiates it to rounding.
"""

import numpy as np
from scipy.special import erf
from scipy.stats import norm


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


def _normal_density(a):
    return np.exp(-(a**2) / 2) / np.sqrt(2 * np.pi)


# name: (s, s', s''), each valid for complex arguments near the real axis
ACTIVATIONS = {
    "relu": (lambda a: a * (a.real > 0), lambda a: 1.0 * (a.real > 0), lambda a: 0 * a),
    "softplus": (
        lambda a: np.log(1 + np.exp(a)),
        _sigmoid,
        lambda a: _sigmoid(a) * (1 - _sigmoid(a)),
    ),
    "sigmoid": (
        _sigmoid,
        lambda a: _sigmoid(a) * (1 - _sigmoid(a)),
        lambda a: _sigmoid(a) * (1 - _sigmoid(a)) * (1 - 2 * _sigmoid(a)),
    ),
    "hard-sigmoid": (
        lambda a: np.where(a.real > 3, 1, np.where(a.real < -3, 0, (a + 3) / 6)),
        lambda a: (np.abs(a.real) < 3) / 6,
        lambda a: 0 * a,
    ),
    "elu+1": (
        lambda a: np.where(a.real > 0, a + 1, np.exp(a)),
        lambda a: np.where(a.real > 0, 1, np.exp(a)),
        lambda a: np.where(a.real > 0, 0, np.exp(a)),
    ),
    "gelu": (
        lambda a: a * (1 + erf(a / np.sqrt(2))) / 2,
        lambda a: (1 + erf(a / np.sqrt(2))) / 2 + a * _normal_density(a),
        lambda a: (2 - a**2) * _normal_density(a),
    ),
    "tanh": (
        np.tanh,
        lambda a: 1 - np.tanh(a) ** 2,
        lambda a: -2 * np.tanh(a) * (1 - np.tanh(a) ** 2),
    ),
    "identity": (lambda a: a, lambda a: np.ones_like(a), lambda a: 0 * a),
    "shrink": (
        lambda a: np.where(np.abs(a.real) > 0.5, a - 0.5 * np.sign(a.real), 0),
        lambda a: 1.0 * (np.abs(a.real) > 0.5),
        lambda a: 0 * a,
    ),
    "saturated-linear": (
        lambda a: np.where(np.abs(a.real) < 1, a, np.sign(a.real)),
        lambda a: 1.0 * (np.abs(a.real) < 1),
        lambda a: 0 * a,
    ),
    "taylor-sigmoid": (
        lambda a: 0.5 + a / 4 - a**3 / 48,
        lambda a: 0.25 - a**2 / 16,
        lambda a: -a / 8,
    ),
}


def _parts(p, x, s):
    a = x @ p["weight"].T + p["bias"]
    decoder = p["decoder"] if "decoder" in p else p["weight"].T
    y = s(a) @ decoder.T + p.get("decoder_bias", 0)
    return a, decoder, x - y


def ae(p, x, eps, strength, act):
    return np.mean(np.sum(_parts(p, x, act[0])[2] ** 2, 1))


def _noisy(p, x, noisy, act):
    a = noisy @ p["weight"].T + p["bias"]
    decoder = p["decoder"] if "decoder" in p else p["weight"].T
    y = act[0](a) @ decoder.T + p.get("decoder_bias", 0)
    return np.mean(np.sum((x - y) ** 2, 1))


def dae(p, x, eps, strength, act):
    return _noisy(p, x, x + np.sqrt(strength) * eps, act)


def dae_masking(p, x, eps, strength, act):
    return _noisy(p, x, np.where(norm.cdf(eps) > strength, x, 0.0), act)


def edae(p, x, eps, strength, act):
    a, decoder, r = _parts(p, x, act[0])
    step = np.sqrt(strength) * eps @ p["weight"].T
    return np.mean(np.sum(r**2, 1) - 2 * np.sum(act[1](a) * step * (r @ decoder), 1))


def dae2(p, x, eps, strength, act):
    a, decoder, r = _parts(p, x, act[0])
    w = p["weight"]
    total = 0
    for i in range(len(x)):
        jacobian = decoder @ (act[1](a[i])[:, None] * w)
        bend = np.sum(act[2](a[i]) * np.sum(w * w, 1) * (decoder.T @ r[i]))
        total = total + np.sum(jacobian**2) - bend
    return np.mean(np.sum(r**2, 1)) + strength * total / len(x)


def dae_antithetic(p, x, eps, strength, act):
    return (dae(p, x, eps, strength, act) + dae(p, x, -eps, strength, act)) / 2


def dae2_kink(p, x, eps, strength, act, width=0.25):
    """DAE-2 and, for ReLU, the mass of s'' at 0 spread over a bell of this width."""
    a, decoder, r = _parts(p, x, act[0])
    bell = np.exp(-0.5 * (a / width) ** 2) / (width * np.sqrt(2 * np.pi))
    jump = act is ACTIVATIONS["relu"]
    mass = np.sum(bell * np.sum(p["weight"] ** 2, 1) * (r @ decoder), 1)
    return dae2(p, x, eps, strength, act) - jump * strength * np.mean(mass)


def cae(p, x, eps, strength, act):
    a, _, r = _parts(p, x, act[0])
    penalty = np.mean(np.sum(act[1](a) ** 2 * np.sum(p["weight"] ** 2, 1), 1))
    return np.mean(np.sum(r**2, 1)) + strength * penalty


def cae_h(p, x, eps, strength, act, sigma=0.1, ratio=100):
    """CAE, and how far the Jacobian, written out, moves under the noise."""

    def jacobian(z):
        return act[1](z @ p["weight"].T + p["bias"])[:, :, None] * p["weight"][None]

    change = np.mean(np.sum((jacobian(x) - jacobian(x + sigma * eps)) ** 2, (1, 2)))
    return cae(p, x, eps, strength, act) + strength * ratio * change


def mdae(p, x, eps, strength, act):
    a, decoder, r = _parts(p, x, act[0])
    lengths = np.sum(p["weight"] ** 2, 1) * np.sum(decoder**2, 0)
    penalty = np.mean(np.sum(act[1](a) ** 2 * lengths, 1))
    return np.mean(np.sum(r**2, 1)) + strength * penalty


def mean_square(p, x, eps, strength, act):
    a, _, r = _parts(p, x, act[0])
    return np.mean(np.sum(r**2, 1)) + strength * np.sum(np.mean(act[0](a), 0) ** 2)


def weight_decay(p, x, eps, strength, act):
    _, _, r = _parts(p, x, act[0])
    weights = [p[name] for name in ("weight", "decoder") if name in p]
    return np.mean(np.sum(r**2, 1)) + strength * sum(np.sum(w**2) for w in weights)


def sae(p, x, eps, strength, act):
    a, _, r = _parts(p, x, act[0])
    rho = np.mean(act[0](a), 0)
    beyond = -np.log(0.01) + (rho - 0.99) / 0.01
    safe = np.where(rho.real > 0.99, 0, rho)
    penalty = np.sum(np.where(rho.real > 0.99, beyond, -np.log(1 - safe)))
    return np.mean(np.sum(r**2, 1)) + strength * penalty


def sae_kl(p, x, eps, strength, act, target=0.05):
    a, _, r = _parts(p, x, act[0])
    rho = np.mean(act[0](a), 0)

    def kl(t):
        return target * np.log(target / t) + (1 - target) * np.log((1 - target) / (1 - t))

    def kl_slope(t):
        return (1 - target) / (1 - t) - target / t

    low, high = target / 100, 0.99
    inside = np.where((rho.real < low) | (rho.real > high), 0.5, rho)
    values = np.where(rho.real > high, kl(high) + kl_slope(high) * (rho - high), kl(inside))
    values = np.where(rho.real < low, kl(low) + kl_slope(low) * (rho - low), values)
    return np.mean(np.sum(r**2, 1)) + strength * np.sum(values)


# Distances to the flat parts, by hand: z <= 0, |z| >= 3, |z| <= 1/2, |z| >= 1.
FLAT_DISTANCES = {
    "relu": lambda a: a * (a.real > 0),
    "hard-sigmoid": lambda a: np.where(np.abs(a.real) < 3, 3 - a * np.sign(a.real), 0),
    "shrink": lambda a: np.where(np.abs(a.real) > 0.5, a * np.sign(a.real) - 0.5, 0),
    "saturated-linear": lambda a: np.where(np.abs(a.real) < 1, 1 - a * np.sign(a.real), 0),
}


def satae(p, x, eps, strength, act):
    a, _, r = _parts(p, x, act[0])
    (distance,) = (f for name, f in FLAT_DISTANCES.items() if ACTIVATIONS[name] is act)
    return np.mean(np.sum(r**2, 1) / 2 + strength * np.sum(distance(a), 1))


OBJECTIVES = {
    "ae": ae,
    "dae": dae,
    "dae-masking": dae_masking,
    "edae": edae,
    "dae2": dae2,
    "dae-antithetic": dae_antithetic,
    "dae2-kink": dae2_kink,
    "cae": cae,
    "cae-h": cae_h,
    "mdae": mdae,
    "sae": sae,
    "sae-kl": sae_kl,
    "satae": satae,
    "mean-square": mean_square,
    "weight-decay": weight_decay,
}


def complex_step_gradient(f, p):
    """The gradient of the real function f of a dict of arrays."""
    gradient = {name: np.zeros_like(array) for name, array in p.items()}
    for name, array in p.items():
        for index in np.ndindex(array.shape):
            shifted = array.astype(complex)
            shifted[index] += 1e-30j
            gradient[name][index] = f({**p, name: shifted}).imag / 1e-30
    return gradient
