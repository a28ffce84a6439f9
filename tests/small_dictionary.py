"""Small dictionary models: parameters of every kind, data, and each rule with its code in NumPy."""

import functools

import jax
import numpy as np
import oracle_dictionary as oracle

from aesparse.models.codes import BatchTopK, Gated, GateParams, JumpRelu, Relu, TopK
from aesparse.models.dictionary import DictionaryParams

INPUTS, HIDDEN, SAMPLES = 5, 9, 40
RULES = {
    "relu": (Relu(), oracle.relu),
    "top-k": (TopK(3), functools.partial(oracle.topk, k=3)),
    "batch top-k": (BatchTopK(3), oracle.jump),
    "jump": (JumpRelu(), oracle.jump),
    "gated": (Gated(), oracle.gated),
}


def parameters(rng, *axes, dtype=np.float32):
    """Random parameters of every kind, of which each rule reads its own."""

    def drawn(*shape):
        return rng.normal(size=(*axes, *shape)).astype(dtype)

    return DictionaryParams(
        weight=drawn(HIDDEN, INPUTS),
        bias=drawn(HIDDEN) / 2,
        decoder=drawn(INPUTS, HIDDEN),
        decoder_bias=drawn(INPUTS),
        log_threshold=drawn(HIDDEN),
        gate=GateParams(log_scale=drawn(HIDDEN) / 2, bias=drawn(HIDDEN)),
    )


def data(rng, samples=SAMPLES, dtype=np.float32):
    return rng.normal(size=(samples, INPUTS)).astype(dtype)


def exactly(params):
    """The same numbers in float64."""
    return jax.tree.map(np.float64, params)
