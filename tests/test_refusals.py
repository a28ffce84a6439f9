"""Models, penalties and objectives of the wrong kind: one sentence each, and no traceback.

In a process of its own, without the type checks of this test session, as a user has it.
"""

import json
import subprocess
import sys
import textwrap

SCRIPT = """
import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from aesparse.data.transforms import contrast_normalize, remove_patch_mean, zca
from aesparse.errors import InputError
from aesparse.losses import dictionary, objectives
from aesparse.models import saved
from aesparse.models.activations import saturated_linear, shrink
from aesparse.models.base import check_model
from aesparse.models.codes import BatchTopK, Gated, JumpRelu, TopK
from aesparse.models.dictionary import DictionaryModel, calibrated
from aesparse.models.flax import FlaxModel
from aesparse.models.one_layer import OneLayer, Params
from aesparse.models.starts import bumps, copied_encoder
from aesparse.training.resampling import resampled

model = OneLayer(2)
key = jax.random.key(0)
params = model.init(key, 3)
atoms = DictionaryModel(3).init(key, 3)
x = jnp.ones((4, 3))


class Unhashable:
    __hash__ = None
    init = encode = decode = None

    def __call__(self, forward, eps):
        return 0.0


CASES = {
    "no activation": lambda: OneLayer(3, None),
    "list": lambda: OneLayer(3, ["relu"]),
    "no units": lambda: OneLayer(0),
    "true units": lambda: OneLayer(True),
    "half units": lambda: OneLayer(2.5),
    "tied": lambda: OneLayer(3, tied="no"),
    "decoder_bias": lambda: OneLayer(3, decoder_bias=1),
    "params": lambda: OneLayer.of({"bias": 1}, "relu"),
    "class": lambda: check_model(OneLayer),
    "function": lambda: check_model(lambda x: x),
    "name": lambda: check_model("relu"),
    "mapping": lambda: check_model({"encode": 1}),
    "unhashable model": lambda: check_model(Unhashable()),
    "flax class": lambda: FlaxModel(nn.Dense, nn.Dense(3)),
    "flax function": lambda: FlaxModel(nn.Dense(2), jnp.tanh),
    "penalty number": lambda: objectives.regularized(3),
    "penalty list": lambda: objectives.regularized(["cae"]),
    "penalty class": lambda: objectives.regularized(dict),
    "penalty unhashable": lambda: objectives.regularized(Unhashable()),
    "objective number": lambda: objectives.as_objective(3),
    "objective class": lambda: objectives.as_objective(dict),
    "coefficients": lambda: objectives.Objective(lambda *a: 0, "strength"),
    "no mapping": lambda: objectives.get_objective("cae")(model, params, x, x, 0.3),
    "error": lambda: objectives.Objective(lambda *a: 0, error=abs),
    "error number": lambda: objectives.composed(error=1),
    "corruption": lambda: objectives.composed(corrupt=0.3),
    "terms string": lambda: objectives.composed(terms="cae"),
    "terms number": lambda: objectives.composed(terms=3),
    "terms of functions": lambda: objectives.composed(terms=[lambda f, e: 0.0]),
    "term number": lambda: objectives.composed(terms={"a": 3}),
    "term named 1": lambda: objectives.composed(terms={1: "cae"}),
    "scaler": lambda: saved.save("never.npz", model, params, scaler=lambda x: x),
    "coordinates": lambda: saved.save("never.npz", model, params, coordinates={"a": [1, 2]}),
    "another width": lambda: saved.save("never.npz", OneLayer(2, shrink(0.4)), params),
    "width of shrink": lambda: shrink("0.5"),
    "no width of shrink": lambda: shrink(None),
    "width of saturated linear": lambda: saturated_linear([1.0]),
    "infinite width": lambda: saturated_linear(float("inf")),
    "true width": lambda: saturated_linear(True),
    "copied mapping": lambda: copied_encoder({"weight": params.weight}),
    "key of bumps": lambda: bumps(0, (3, 3, 1), 2),
    "shape of bumps": lambda: bumps(key, 9, 2),
    "text shape of bumps": lambda: bumps(key, "3x3", 2),
    "half a pixel": lambda: bumps(key, (3, 2.5, 1), 2),
    "units of bumps": lambda: bumps(key, (3, 3, 1), "2"),
    "text sigma": lambda: bumps(key, (3, 3, 1), 2, "1"),
    "tied bumps": lambda: bumps(key, (3, 3, 1), 2, tied="yes"),
    "text epsilon": lambda: zca(x, epsilon="0.1"),
    "epsilon of rows": lambda: contrast_normalize(x, epsilon=None),
    "patches of text": lambda: remove_patch_mean("patches"),
    "one patch": lambda: contrast_normalize(np.ones(4)),
    "no patches": lambda: zca(None),
    "rule by name": lambda: DictionaryModel(3, "top-k"),
    "class of a rule": lambda: DictionaryModel(3, TopK),
    "centred": lambda: DictionaryModel(3, subtract_decoder_bias="yes"),
    "text k": lambda: TopK("2"),
    "text bandwidth": lambda: JumpRelu("0.1"),
    "half an auxiliary unit": lambda: dictionary.topk(auxiliary=2.5),
    "one prefix": lambda: dictionary.matryoshka(3, dictionary.topk()),
    "text prefixes": lambda: dictionary.matryoshka(("2", "3"), dictionary.topk()),
    "base by name": lambda: dictionary.matryoshka((2, 3), "ae"),
    "objective of another model": lambda: dictionary.topk()(model, params, x, x, {}),
    "thresholds missing": lambda: DictionaryModel(3, JumpRelu()).encode(atoms, x),
    "gate missing": lambda: DictionaryModel(3, Gated()).encode(atoms, x),
    "calibrated relu": lambda: calibrated(DictionaryModel(3), atoms, x),
    "calibrated one layer": lambda: calibrated(model, params, x),
    "calibrated mapping": lambda: calibrated(DictionaryModel(3, BatchTopK(1)), {}, x),
    "calibrated on a row": lambda: calibrated(DictionaryModel(3, BatchTopK(1)), atoms, x[0]),
    "resampled one layer": lambda: resampled(model, params, x, key),
    "resampled mapping": lambda: resampled(DictionaryModel(3), {}, x, key),
    "resampled by a number": lambda: resampled(DictionaryModel(3), atoms, x, 0),
    "saved without thresholds": lambda: saved.save("never", DictionaryModel(3, JumpRelu()), atoms),
    "saved one layer's": lambda: saved.save("never", DictionaryModel(3), params),
}

said = {}
for name, call in CASES.items():
    try:
        call()
        said[name] = "nothing"
    except InputError as error:
        said[name] = f"InputError: {error}"
    except Exception as error:
        said[name] = repr(error)
print(json.dumps(said))
"""


def test_every_wrong_kind_is_one_sentence():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)], capture_output=True, text=True, check=True
    )
    said = json.loads(done.stdout)
    assert len(said) > 30
    wrong = {k: v for k, v in said.items() if not v.startswith("InputError: ") or "\n" in v}
    assert not wrong
