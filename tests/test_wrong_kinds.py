"""Arguments of the wrong kind where the library is entered: one sentence, and no traceback.

In a process of its own, without the type checks of this test session, as a user has it.
"""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import aesparse as ae

# Every case: the call, and one word its sentence has.
FIT = {
    "X": {
        "data set": ('fit(X=ae.data.Dataset("two", X, X[:5], (2, 2)))', "Dataset"),
        "tensor": ("fit(X=Tensor())", "detach"),
        "masked array": ("fit(X=np.ma.masked_less(X, 0))", "masked"),
        "sparse matrix": ("fit(X=scipy.sparse.csr_matrix(X))", "toarray"),
        "complex": ("fit(X=X + 1j)", "complex64"),
        "texts": ("fit(X=X.astype(str))", "data"),
        "text": ('fit(X="data")', "data"),
        "None": ("fit(X=None)", "data"),
        "function": ("fit(X=np.sin)", "data"),
        "large integers": ("fit(X=(X * 1e8).astype(int))", "16777216"),
        "ragged": ("fit(X=[[1.0], [1.0, 2.0]])", "data"),
        "NaN": ("fit(X=X * np.nan)", "NaN"),
        "beyond float32": ("fit(X=X.astype(float) * 1e39)", "float32"),
        "one row": ("fit(X=X[0])", "(4,)"),
        "no rows": ("fit(X=X[:0])", "(0, 4)"),
        "objects": ("fit(X=X.astype(object))", "object"),
        "dates": ('fit(X=np.zeros((20, 4), "M8[s]"))', "datetime64"),
    },
    "model": {
        "name": ('fit(model="relu")', "model"),
        "number": ("fit(model=3)", "3"),
        "list": ("fit(model=[model])", "model"),
        "class": ("fit(model=Own)", "model"),
        "parameters": ("fit(model=two)", "model"),
        "unhashable": ("fit(model=Unhashable())", "hash"),
        "NumPy inside": ("fit(model=NumpyCode())", "numpy"),
        "if inside": ("fit(model=BranchingCode())", "Bool"),
        "keyword missing": ("fit(model=KeywordInit())", "scale"),
        "NumPy in init": ("fit(model=NumpyInit())", "init"),
        "integers of init": ("fit(model=IntegerInit())", "int32"),
        "decoder too short": ("fit(model=ShortDecoder())", "(10, 1)"),
        "shapes that do not fit": ("fit(model=Flat())", "dot"),
    },
    "objective": {
        "misspelt": ('fit(objective="deo")', "dae"),
        "number": ("fit(objective=3)", "3"),
        "None": ("fit(objective=None)", "None"),
        "list": ('fit(objective=["dae"])', "dae"),
        "if in a penalty": ("penalized(branching)", "Bool"),
        "keyword of a penalty": ("penalized(keyword)", "scale"),
        "NumPy in a penalty": ("penalized(numpy_inside)", "Array"),
        "penalty without gradient": ("penalized(without_gradient)", "ValueError"),
        "penalty that raises": ("penalized(fails)", "first"),
        "vector": ("penalized(lambda forward, eps: forward.params.bias)", "(3,)"),
        "no arguments": ("own(lambda: 0.0)", "objective"),
        "no pair": ("own(lambda m, p, x, e, c: jnp.sum(p.weight))", "pair"),
        "list for a pair": ("own(lambda m, p, x, e, c: [jnp.sum(p.weight), {}])", "list"),
        "part called loss": (
            'own(lambda m, p, x, e, c: (jnp.sum(p.bias), {"loss": jnp.sum(p.bias)}))', "loss"),
        "part that is no number": (
            'own(lambda m, p, x, e, c: (jnp.sum(p.bias), {"vector": p.bias}))', "vector"),
        "part that is a text": (
            'own(lambda m, p, x, e, c: (jnp.sum(p.bias), {"name": "a text"}))', "name"),
        "part not called by a text": (
            "own(lambda m, p, x, e, c: (jnp.sum(p.bias), {1: jnp.sum(p.bias)}))", "part 1"),
        "loss that is an integer": ("own(lambda m, p, x, e, c: (3, {}))", "objective"),
        "loss that is complex": (
            "own(lambda m, p, x, e, c: (jnp.sum(p.bias) * (1 + 0j), {}))", "complex"),
        "loss that is a text": ('own(lambda m, p, x, e, c: ("a", {}))', "objective"),
        "data outside its bounds": (
            "fit(objective=objectives.composed(error=cross_entropy), sweep=None)", "[0, 1]"),
        "error not summed": (
            "fit(objective=objectives.composed(error=ErrorFunction(lambda x, z: (x - z) ** 2)),"
            " sweep=None)", "(10, 4)"),
        "units that mix": ("fit(model=ae.OneLayer(3, jnp.max))", "elementwise"),
        "level outside its range": (
            'fit(objective="dae-masking", sweep={"strength": 1.0})', "strength"),
        "structured penalty": ('fit(objective="cae", model=Own())', "Own"),
    },
    "sweep": {
        "None": ("fit(sweep=None)", "strength"),
        "number": ("fit(sweep=0.1)", "0.1"),
        "list": ("fit(sweep=[0.1])", "mapping"),
        "misspelt": ('fit(sweep={"strenght": 0.1})', "strength"),
        "texts": ('fit(sweep={"strength": ["0.1"]})', "0.1"),
        "text": ('fit(sweep={"strength": "0.1"})', "0.1"),
        "booleans": ('fit(sweep={"strength": [True, False]})', "True"),
        "complex": ('fit(sweep={"strength": [0.1j]})', "0.1j"),
        "ragged": ('fit(sweep={"strength": [[0.1], [0.1, 0.2]]})', "strength"),
        "rows": ('fit(sweep={"strength": [[0.1, 0.2]]})', "(1, 2)"),
        "masked": ('fit(sweep={"strength": np.ma.masked_less([0.1, 0.2], 0.15)})', "masked"),
        "tensor": ('fit(sweep={"strength": Tensor()})', "strength"),
        "negative": ('fit(sweep={"strength": [0.1, -0.2]})', "-0.2"),
        "NaN": ('fit(sweep={"strength": [0.1, np.nan]})', "nan"),
        "empty": ('fit(sweep={"strength": []})', "(0,)"),
        "boolean seed": ('fit(sweep=sweep | {"seed": True})', "True"),
        "text seeds": ('fit(sweep=sweep | {"seed": "012"})', "012"),
        "negative seed": ('fit(sweep=sweep | {"seed": -1})', "-1"),
        "seed too large": ('fit(sweep=sweep | {"seed": 2**40})', "2147483647"),
        "half a seed": ('fit(sweep=sweep | {"seed": 0.5})', "0.5"),
        "no rate": ('fit(sweep=sweep | {"learning_rate": None})', "None"),
        "rate 0": ('fit(sweep=sweep | {"learning_rate": 0.0})', "0.0"),
        "momentum 1": ('fit(sweep=sweep | {"momentum": 1.0})', "1.0"),
        "key that is no name": ("fit(sweep=sweep | {3: [1.0]})", "3"),
        "hyperparameter of another optimizer": ('fit(sweep=sweep | {"b1": 0.9})', "b1"),
    },
    "optimizer": {
        "name": ('fit(optimizer="adam")', "adam"),
        "number": ("fit(optimizer=0.1)", "0.1"),
        "function": ("fit(optimizer=optax.adam)", "optax"),
        "list": ("fit(optimizer=[optax.adam(0.1)])", "optax"),
        "update of another shape": (
            "fit(optimizer=optax.GradientTransformation(identity.init, broken_update))", "optimizer"
        ),
        "start that fails": (
            "fit(optimizer=optax.GradientTransformation(failing_start, identity.update))",
            "no start",
        ),
        "text rate": ('ae.sgd("0.1")', "0.1"),
        "boolean momentum": ("ae.sgd(momentum=False)", "False"),
        "complex momentum": ("ae.sgd(momentum=0.9 + 0j)", "0j"),
        "text iterations": ('ae.lbfgs(max_iterations="3")', "max_iterations"),
        "no iterations": ("ae.lbfgs(max_iterations=0)", "max_iterations"),
        "text tolerance": ('ae.lbfgs(tolerance="1e-5")', "1e-5"),
        "negative tolerance": ("ae.lbfgs(tolerance=-1.0)", "-1"),
        "L-BFGS with noise": ("fit(optimizer=ae.lbfgs())", "noise"),
        "L-BFGS with masks": ('fit(objective="dae-masking", optimizer=ae.lbfgs())', "noise"),
        "L-BFGS on a constraint": (
            'fit(objective="cae", optimizer=ae.lbfgs(), constraint="unit")', "constraint"),
        "L-BFGS and if": (
            "fit(objective=objectives.regularized(branching), optimizer=ae.lbfgs())", "Bool"),
    },
    "constraint": {
        "misspelt": ('fit(constraint="units")', "unit"),
        "list": ('fit(constraint=["unit"])', "unit"),
        "function": ("fit(constraint=lambda p: p)", "Constraint"),
        "True": ("fit(constraint=True)", "True"),
        "rows of another model": ('fit(model=Own(), constraint="unit")', "one-layer"),
        "columns of tied weights": (
            'fit(constraint="unit-columns", batch_size=2)', "tied"),
        "epochs too short for it": (
            'fit(model=ae.OneLayer(3, tied=False), constraint="unit-columns")', "10"),
        "if inside": (
            "fit(constraint=ae.Constraint(lambda p, d: d, lambda p: p if p.bias[0] > 0 else p))",
            "Bool"),
        "arguments missing": ("fit(constraint=ae.Constraint(lambda p: p, lambda p: p))", "take"),
        "other dtypes": ("fit(constraint=ae.Constraint(lambda p, d: d, unlike))", "constraint"),
        "no functions": ('fit(constraint=ae.Constraint("tangent", "project"))', "constraint"),
        "every 0": (
            "fit(constraint=ae.Constraint(lambda p, d: d, lambda p: p, every=0))", "every"),
        "every True": (
            "fit(constraint=ae.Constraint(lambda p, d: d, lambda p: p, every=True))", "every"),
    },
    "measure": {
        "name": ('fit(measure="dead")', "dead"),
        "list": ("fit(measure=[measured])", "measure"),
        "number by name": ('fit(measure={"a": 3})', "measure"),
        "name that is a number": ("fit(measure={1: measured})", "measure"),
        "arguments missing": ("measured(lambda trained: 0.0)", "measurement"),
        "NumPy inside": ("measured(lambda trained, x: np.asarray(x).mean())", "numpy"),
        "if inside": ("measured(lambda trained, x: 1.0 if x.sum() > 0 else 0.0)", "Bool"),
        "text": ('measured(lambda trained, x: "a text")', "measurement"),
        "unhashable": ("measured(Unhashable())", "hash"),
    },
    "key": {
        "number": ("fit(key=0)", "0"),
        "text": ('fit(key="0")', "0"),
        "several": ("fit(key=jax.random.split(key))", "(2,)"),
        "rbg": ('fit(key=jax.random.key(0, impl="rbg"))', "rbg"),
        "raw rbg": ('fit(key=jax.random.key_data(jax.random.key(0, impl="rbg")))', "(4,)"),
    },
    "epochs": {
        "boolean": ("fit(epochs=np.True_)", "epochs"),
        "text": ('fit(epochs="10")', "epochs"),
        "fraction": ("fit(epochs=1.0)", "epochs"),
        "0": ("fit(epochs=0)", "epochs"),
        "more than can be recorded": ("fit(epochs=10**12)", "history_epochs"),
        "more than can be counted": ("fit(epochs=2**63)", "epochs"),
    },
    "batch_size": {
        "text": ('fit(batch_size="10")', "batch_size"),
        "boolean": ("fit(batch_size=True)", "batch_size"),
        "array": ("fit(batch_size=np.array([3, 4]))", "batch_size"),
        "too large": ("fit(batch_size=21)", "21"),
    },
    "history_epochs": {
        "number": ("fit(history_epochs=1)", "history_epochs"),
        "text": ('fit(history_epochs="01")', "history_epochs"),
        "booleans": ("fit(history_epochs=[False, True])", "history_epochs"),
        "decreasing": ("fit(history_epochs=[1, 0])", "history_epochs"),
        "beyond the last": ("fit(history_epochs=[0, 2])", "history_epochs"),
        "none": ("fit(history_epochs=[])", "history_epochs"),
    },
    "history_samples": {
        "0": ("fit(history_samples=0)", "history_samples"),
        "None": ("fit(history_samples=None)", "history_samples"),
    },
    "start": {
        "number": ("fit(start=3)", "start"),
        "text": ('fit(start="there")', "start"),
        "another model": ("fit(start={'weight': X})", "start"),
        "one model": ("fit(start=model.init(key, 4))", "(2, 3, 4)"),
        "complex": ("fit(start=jax.tree.map(lambda p: p + 0j, two))", "0.j"),
        "texts": ("fit(start=jax.tree.map(lambda p: p.astype(str), two))", "start"),
        "masked": (
            "fit(start=two._replace(weight=np.ma.masked_less(two.weight, 0)))", "masked"),
        "booleans": ("fit(start=two._replace(bias=two.bias > 0))", "start"),
        "NaN": ("fit(start=jax.tree.map(lambda p: p * np.nan, two))", "NaN"),
        "row of zeros": (
            'fit(start=jax.tree.map(np.zeros_like, two), constraint="unit")', "zeros"),
        "class": ("fit(start=ae.Result)", "start"),
    },
    "models_per_program": {
        "0": ("fit(models_per_program=0)", "models_per_program"),
        "text": ('fit(models_per_program="2")', "models_per_program"),
        "boolean": ("fit(models_per_program=True)", "models_per_program"),
    },
    "keep_params": {
        "text": ('fit(keep_params="no")', "keep_params"),
        "number": ("fit(keep_params=1)", "keep_params"),
    },
    "keep_optimizer": {
        "text": ('fit(keep_optimizer="no")', "keep_optimizer"),
    },
    "matmul_precision": {
        "misspelt": ('fit(matmul_precision="hihgest")', "hihgest"),
        "number": ("fit(matmul_precision=3)", "3"),
        "list": ('fit(matmul_precision=["high"])', "high"),
    },
    "devices": {
        "none": ("fit(devices=[])", "devices"),
        "name": ('fit(devices=["cpu"])', "cpu"),
        "text": ('fit(devices="cpu")', "cpu"),
        "twice": ("fit(devices=jax.devices()[:1] * 2)", "once"),
        "number": ("fit(devices=2)", "devices"),
    },
    "progress": {
        "text": ('fit(progress="yes")', "progress"),
        "function": ("fit(progress=print)", "progress"),
    },
    "on_epoch": {"number": ("fit(on_epoch=3)", "on_epoch")},
    "stopping": {
        "number": ("fit(stopping=3)", "EarlyStopping"),
        "text as held-out data": ('fit(stopping=EarlyStopping("half"))', "data"),
        "text patience": ('EarlyStopping(X, patience="ten")', "ten"),
        "text tolerance": ('EarlyStopping(X, tolerance="small")', "small"),
        "NaN tolerance": ("EarlyStopping(X, tolerance=np.nan)", "nan"),
    },
    "checkpoints": {
        "folder": ('fit(checkpoints="folder")', "folder"),
        "number as folder": ('ae.Checkpoints(3, "training")', "folder"),
        "mapping as identity": ('ae.Checkpoints("folder", {"seed": 0})', "text"),
        "text interval": ('ae.Checkpoints("folder", "training", every_seconds="60")', "60"),
        "NaN interval": ('ae.Checkpoints("folder", "training", every_seconds=np.nan)', "nan"),
    },
    "check_compiled": {
        "text": ('fit(check_compiled="no")', "check_compiled"),
        "None": ("fit(check_compiled=None)", "check_compiled"),
    },
}  # fmt: skip
OTHERS = {
    "transformations": {
        "vmap": ("jax.vmap(lambda k: fit(key=k))(jax.random.split(key))", "vmap"),
        "jit": ("jax.jit(lambda: fit().losses)()", "jit"),
        "jit of fit": ("jax.jit(fit)(X)", "jit"),
        "jit of the sweep": ('jax.jit(lambda s: fit(sweep={"strength": s}).losses)(0.1)', "jit"),
        "jit of the start": ("jax.jit(lambda s: fit(start=s).losses)(two)", "jit"),
        "grad": (
            'jax.grad(lambda s: fit(sweep={"strength": s}).losses["loss"].sum())(0.1)', "grad"),
    },
    "data": {
        "traced standardized": ("jax.jit(ae.data.standardize)(X)", "jit"),
        "tensor standardized": ("ae.data.standardize(Tensor())", "detach"),
        "bytes transformed": ("ae.data.standardize(X)((X > 0).astype(np.uint8))", "uint8"),
        "columns transformed": ("ae.data.standardize(X)(X[:, :1])", "(20, 1)"),
        "tensor transformed": ("ae.data.standardize(X)(Tensor())", "detach"),
        "sparse array standardized": (
            "ae.data.standardize(scipy.sparse.coo_array(X))", "toarray"),
        "text epsilon": ('ae.data.standardize(X, "0.1")', "epsilon"),
        "fractional rank": ("ae.data.whiten(X, 2.5)", "rank"),
        "boolean samples": ('ae.data.load("digits", samples=True)', "samples"),
        "number as data set": ("ae.data.load(3)", "3"),
    },
    "filters": {
        "text": ('ae.filters.peak_share("filters", (2, 2, 1))', "filters"),
        "one filter": ("ae.filters.peak_share(X[0], (2, 2, 1))", "(4,)"),
        "texts": ("ae.filters.peak_share(X.astype(str), (2, 2, 1))", "real"),
        "complex": ("ae.filters.gabor_fit(X + 1j, (2, 2, 1))", "real"),
        "traced": ("jax.jit(lambda w: ae.filters.gabor_fit(w, (2, 2, 1)))(X)", "jit"),
        "sparse matrix": (
            "ae.filters.peak_share(scipy.sparse.csr_matrix(X), (2, 2, 1))", "toarray"),
        "number as shape": ("ae.filters.mean_frequency(X, 4)", "channels"),
        "fractional shape": ("ae.filters.mean_frequency(X, (2, 2, 1.0))", "channels"),
        "fractional window": ("ae.filters.windowed_energy(X, (2, 2, 1), 1.5)", "1.5"),
    },
    "plans and audits": {
        "misspelt objective": (
            'planned(model, "deo")', "dae"),
        "model that is none": (
            'planned("relu", "dae")', "model"),
        "text rate": (
            'planned(model, "dae", rate="fast")', "rate"),
        "tensor audited": ('ae.audit("relu", "cae", Tensor())', "detach"),
        "text audited": ('ae.audit("relu", "cae", X, params="params")', "params"),
    },
    "published weights": {
        "number as path": ("ae.read_published(3)", "3"),
        "fractional k": ("published(kind='topk', k=2.5)", "2.5"),
        "boolean k": ("published(kind='topk', k=True)", "True"),
        "list as architecture": ("published(kind=['topk'])", "topk"),
        "text as flag": (
            "published(kind='standard', subtract_decoder_bias='yes')", "subtract_decoder_bias"),
        "another model audited": ("ae.audit_dictionary(model, X)", "OneLayer"),
        "text audited": ('ae.audit_dictionary(atoms, "data")', "data"),
        "parameters of another model": (
            "ae.audit_dictionary(atoms, X, params=model.init(key, 4))", "Params"),
        "text coefficient": (
            "ae.audit_dictionary(atoms, X, ae.losses.dictionary.dictionary_l1(auxiliary=1),"
            " coefficients={'auxiliary': '1'})", "auxiliary"),
        "list of coefficients": ("ae.audit_dictionary(atoms, X, coefficients=[1.0])", "[1.0]"),
        "text batch": ('ae.audit_dictionary(atoms, X, batch="50")', "batch"),
    },
}  # fmt: skip
CASES = {
    f"{group}, {name}": case
    for group, cases in (FIT | OTHERS).items()
    for name, case in cases.items()
}


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """What every case answers."""
    calls = json.dumps({name: call for name, (call, _) in CASES.items()})
    code = [sys.executable, str(Path(__file__).parent / "wrong_kinds.py")]
    done = subprocess.run(code, input=calls, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", CASES)
def test_it_is_one_sentence_that_names_it(said, name):
    assert said[name].startswith("InputError: ")
    assert CASES[name][1] in said[name]
    assert "\n" not in said[name]
    assert len(said[name]) < 600


def test_every_argument_of_fit_is_among_them():
    assert set(FIT) == set(inspect.signature(ae.fit).parameters)
