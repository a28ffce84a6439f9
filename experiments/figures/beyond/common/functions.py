"""Activations and penalties that the library does not have, as a user would write them."""

import jax
import jax.numpy as jnp

from aesparse.losses.penalties import (
    get_penalty,
    kl_sparsity,
    mean_activation,
    slope,
)
from aesparse.models.activations import ACTIVATIONS, Activation, get_activation

__all__ = ["OWN_ACTIVATIONS", "OWN_PENALTIES", "activation_of", "outside", "penalty_of"]

# δ_min: 0 where s changes its sign, 0.1 where it tends to 0 from above.
OWN_ACTIVATIONS = {
    "mish": Activation(jax.nn.mish, 0.0),
    "silu": Activation(jax.nn.silu, 0.0),
    "quick-gelu": Activation(lambda a: a * jax.nn.sigmoid(1.702 * a), 0.0),
    "gelu, 0.1": Activation(jax.nn.gelu, 0.1),
    "squareplus": Activation(lambda a: (a + jnp.sqrt(a**2 + 4)) / 2, 0.1),
    "snake": Activation(lambda a: a + jnp.sin(a) ** 2, 0.0),
    "elu": Activation(jax.nn.elu, 0.0),
    "half elu+1/2": Activation(lambda a: jax.nn.elu(a, 0.5) + 0.5, 0.1),
    "softsign+1": Activation(lambda a: jax.nn.soft_sign(a) + 1, 0.1),
    "arctan+1": Activation(lambda a: 2 * jnp.arctan(a) / jnp.pi + 1, 0.1),
    "bump": Activation(lambda a: jnp.exp(-(a**2)), 0.1),
    "squared relu": Activation(lambda a: jax.nn.relu(a) ** 2 / 2, 0.0),
    "leaky relu": Activation(lambda a: jax.nn.leaky_relu(a, 0.1), 0.0),
    "relu6": Activation(jax.nn.relu6, 0.0),
    "gompertz": Activation(lambda a: jnp.exp(-jnp.exp(-a)), 0.1),
    "shifted relu": Activation(lambda a: jax.nn.relu(a - 1), 0.0),
    "smooth abs": Activation(lambda a: jnp.sqrt(a**2 + 0.01), 0.5),
    "probit": Activation(jax.scipy.stats.norm.cdf, 0.1),
    "relu, 2.5": Activation(jax.nn.relu, 2.5),
    "relu, 4": Activation(jax.nn.relu, 4.0),
    "relu, 0.5": Activation(jax.nn.relu, 0.5),
    "softplus, 1e-6": Activation(jax.nn.softplus, 1e-6),
    "softplus, 0.5": Activation(jax.nn.softplus, 0.5),
    "sigmoid, 0.5": Activation(jax.nn.sigmoid, 0.5),
}


def _covariance(h):
    centred = h - jnp.mean(h, axis=0, keepdims=True)
    return centred.T @ centred / len(h)


def _groups(h):
    """Length of each group of four neighbouring units; [B, m/4]."""
    return jnp.sqrt(jnp.sum(h.reshape(len(h), -1, 4) ** 2, axis=-1) + 1e-8)


def l1(seen, eps):
    """E Σ abs(h_j)."""
    return jnp.mean(jnp.sum(jnp.abs(seen.code), axis=1))


def energy(seen, eps):
    """E Σ h_j²."""
    return jnp.mean(jnp.sum(seen.code**2, axis=1))


def student(seen, eps):
    """E Σ log(1 + h_j²)."""
    return jnp.mean(jnp.sum(jnp.log1p(seen.code**2), axis=1))


def hoyer(seen, eps):
    """Hoyer: E ‖h‖₁/‖h‖₂, from 1 (one unit) to √m (all alike)."""
    h = jnp.abs(seen.code)
    return jnp.mean(jnp.sum(h, axis=1) / jnp.sqrt(jnp.sum(h**2, axis=1) + 1e-8))


def entropy(seen, eps):
    """Entropy of the shares abs(h_j)/Σ abs(h_k) of a sample, averaged."""
    h = jnp.abs(seen.code) + 1e-4
    share = h / jnp.sum(h, axis=1, keepdims=True)
    return -jnp.mean(jnp.sum(share * jnp.log(share), axis=1))


def logdet(seen, eps):
    """½ log det(I + Cov h)."""
    m = seen.code.shape[1]
    return jnp.linalg.slogdet(jnp.eye(m) + _covariance(seen.code))[1] / 2


def spread_out(seen, eps):
    """−½ log det(0.1 I + Cov h): rewards codes that fill the space."""
    m = seen.code.shape[1]
    return -jnp.linalg.slogdet(0.1 * jnp.eye(m) + _covariance(seen.code))[1] / 2


def variance(seen, eps):
    """Σ Var h_j."""
    return jnp.sum(jnp.var(seen.code, axis=0))


def keep_variance(seen, eps):
    """Σ max(0, 1 − sd h_j), the hinge of VICReg."""
    return jnp.sum(jax.nn.relu(1 - jnp.sqrt(jnp.var(seen.code, axis=0) + 1e-4)))


def decorrelation(seen, eps):
    """The squared covariances of different units, summed over pairs and divided by m."""
    covariance = _covariance(seen.code)
    return (jnp.sum(covariance**2) - jnp.sum(jnp.diag(covariance) ** 2)) / len(covariance)


def group_lasso(seen, eps):
    """E Σ over groups of four units of ‖h_g‖₂."""
    return jnp.mean(jnp.sum(_groups(seen.code), axis=1))


def lifetime(seen, eps):
    """Σ √E h_j²: whole units are silenced."""
    return jnp.sum(jnp.sqrt(jnp.mean(seen.code**2, axis=0) + 1e-8))


def exclusive(seen, eps):
    """E Σ over groups of four units of ‖h_g‖₁²."""
    h = jnp.abs(seen.code).reshape(len(seen.code), -1, 4)
    return jnp.mean(jnp.sum(jnp.sum(h, axis=-1) ** 2, axis=1))


def tail(seen, eps):
    """E Σ max(0, h_j − 1)²: only large codes cost."""
    return jnp.mean(jnp.sum(jax.nn.relu(seen.code - 1) ** 2, axis=1))


def half_mean(seen, eps):
    """Σ (E h_j − ½)²."""
    return jnp.sum((jnp.mean(seen.code, axis=0) - 0.5) ** 2)


def reward(seen, eps):
    """−E Σ h_j."""
    return -jnp.mean(jnp.sum(seen.code, axis=1))


def bias_size(seen, eps):
    """Σ b_j²."""
    return jnp.sum(seen.params.bias**2)


def weight_l1(seen, eps):
    """Σ abs(W_ji)."""
    return jnp.sum(jnp.abs(seen.params.weight))


def orthogonal(seen, eps):
    """‖WWᵀ − I‖² / m."""
    gram = seen.params.weight @ seen.params.weight.T
    return jnp.sum((gram - jnp.eye(len(gram))) ** 2) / len(gram)


def late_hinge(seen, eps):
    """50 Σ max(0, E h_j − 0.966)²: without a gradient where an audit of digits begins."""
    return 50 * jnp.sum(jax.nn.relu(jnp.mean(seen.code, axis=0) - 0.966) ** 2)


OWN_PENALTIES = {
    "mean": mean_activation(lambda t: t),
    "kl, 0.2": kl_sparsity(0.2),
    "slope 1, 1": slope(1, 1),
    "slope 4, 2": slope(4, 2),
    "l1": l1,
    "energy": energy,
    "student": student,
    "hoyer": hoyer,
    "entropy": entropy,
    "logdet": logdet,
    "spread out": spread_out,
    "variance": variance,
    "keep variance": keep_variance,
    "decorrelation": decorrelation,
    "group lasso": group_lasso,
    "lifetime": lifetime,
    "exclusive": exclusive,
    "tail": tail,
    "half mean": half_mean,
    "reward": reward,
    "bias size": bias_size,
    "weight l1": weight_l1,
    "orthogonal": orthogonal,
    "late hinge": late_hinge,
}


def activation_of(name: str) -> Activation:
    """The activation of a pair, with its δ_min."""
    return OWN_ACTIVATIONS[name] if name in OWN_ACTIVATIONS else get_activation(name)


def penalty_of(name: str):
    """The penalty of a pair."""
    return OWN_PENALTIES[name] if name in OWN_PENALTIES else get_penalty(name)


def outside(activation: str, penalty: str) -> bool:
    """Whether a function of the pair is none that the library has a name for."""
    built_in = {s.fn for s in ACTIVATIONS.values()}
    own = activation in OWN_ACTIVATIONS and OWN_ACTIVATIONS[activation].fn not in built_in
    return own or penalty in OWN_PENALTIES
