"""Published layouts, made here, give the codes and reconstructions of formulas in NumPy."""

import sys

import ml_dtypes
import numpy as np
import pytest
from published_layouts import KINDS, WEIGHTS, K, M, N, codes, folder, rows, settings, weights
from safetensors.numpy import save_file

import aesparse as ae
from aesparse.metrics import code_statistics

NEAR = {"rtol": 1e-6, "atol": 1e-6}


@pytest.mark.parametrize("subtract", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_of_saelens_gives_its_codes_and_reconstructions(kind, subtract, tmp_path):
    arrays, x = weights(kind), rows()
    path = folder(tmp_path / "sae", arrays, settings(kind, apply_b_dec_to_input=subtract))
    trained = ae.read_published(path)
    expected = codes(kind, arrays, x, subtract=subtract)
    assert 0.1 < (expected > 0).mean() < 0.9
    h = trained.encode(x)
    np.testing.assert_allclose(h, expected, **NEAR)
    reconstructed = expected @ arrays["W_dec"].astype(np.float64) + arrays["b_dec"]
    np.testing.assert_allclose(trained.decode(h), reconstructed, rtol=1e-5, atol=1e-5)
    # The file of the weights in its folder is the same model.
    np.testing.assert_array_equal(ae.read_published(path / WEIGHTS).encode(x), h)


def test_what_earlier_versions_of_saelens_leave_out_or_call_otherwise(tmp_path):
    arrays, x = weights("topk"), rows()
    old = {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": K}, "d_in": N, "d_sae": M}
    older = {"activation_fn": "topk", "activation_fn_kwargs": {"k": K}, "architecture": "standard"}
    expected = codes("topk", arrays, x, subtract=True)
    for cfg in (old, older | {"normalize_activations": False}):
        trained = ae.read_published(folder(tmp_path / "sae", arrays, cfg))
        np.testing.assert_allclose(trained.encode(x), expected, **NEAR)
    plain = ae.read_published(folder(tmp_path / "sae", arrays, {}))
    relu = codes("standard", arrays, x, subtract=True)
    np.testing.assert_allclose(plain.encode(x), relu, **NEAR)


def test_top_k_of_units_in_lengths_of_their_atoms(tmp_path):
    """SAELens multiplies pre-activations by the atoms' lengths, and divides in the decoder."""
    arrays, x = weights("topk"), rows()
    cfg = settings("topk", rescale_acts_by_decoder_norm=True)
    trained = ae.read_published(folder(tmp_path / "sae", arrays, cfg))
    lengths = np.linalg.norm(arrays["W_dec"].astype(np.float64), axis=1)
    expected = codes("topk", arrays, x, subtract=True, lengths=lengths)
    other = codes("topk", arrays, x, subtract=True)
    assert ((expected > 0) != (other > 0)).any()  # the choice of the units differs
    h = trained.encode(x)
    np.testing.assert_allclose(h, expected, rtol=2e-6, atol=2e-6)
    y = (expected / lengths) @ arrays["W_dec"] + arrays["b_dec"]
    np.testing.assert_allclose(trained.decode(h), y, rtol=1e-5, atol=1e-5)


def test_a_factor_of_the_decoder(tmp_path):
    arrays, x = weights("standard"), rows()
    factor = np.linspace(0.5, 2, M).astype(np.float32)
    h = codes("standard", arrays, x, subtract=True)
    for name in ("scaling_factor", "finetuning_scaling_factor"):
        cfg = settings("standard", finetuning_scaling_factor=True)
        trained = ae.read_published(folder(tmp_path / "sae", arrays | {name: factor}, cfg))
        np.testing.assert_allclose(trained.encode(x), h, **NEAR)
        y = (h * factor) @ arrays["W_dec"] + arrays["b_dec"]
        np.testing.assert_allclose(trained.reconstruct(x), y, rtol=1e-5, atol=1e-5)
    ones = arrays | {"scaling_factor": np.ones(M, np.float32)}
    trained = ae.read_published(folder(tmp_path / "sae", ones, settings("standard")))
    y = h @ arrays["W_dec"] + arrays["b_dec"]
    np.testing.assert_allclose(trained.reconstruct(x), y, rtol=1e-5, atol=1e-5)
    used = arrays | {"scaling_factor": factor}
    refused(folder(tmp_path / "sae", used, settings("standard")), "scaling_factor")


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16, np.float64])
def test_other_precisions(dtype, tmp_path):
    arrays, x = weights("gated", dtype=dtype), rows()
    trained = ae.read_published(folder(tmp_path / "sae", arrays, settings("gated")))
    assert trained.params.weight.dtype == (np.float64 if dtype is np.float64 else np.float32)
    expected = codes("gated", arrays, x, subtract=True)
    np.testing.assert_allclose(trained.encode(x), expected, rtol=2e-6, atol=2e-6)


def test_gemma_scope(tmp_path):
    """JumpReLU whose encoder subtracts no bias; a folder, or its file."""
    arrays, x = weights("jumprelu"), rows()
    np.savez(tmp_path / "params.npz", **arrays)
    expected = codes("jumprelu", arrays, x, subtract=False)
    for path in (tmp_path, str(tmp_path / "params.npz")):
        np.testing.assert_allclose(ae.read_published(path).encode(x), expected, **NEAR)


def test_a_lone_file_says_by_its_names_what_it_is_and_is_asked_for_the_rest(tmp_path):
    x, path = rows(), tmp_path / "one.safetensors"
    small = {"W_enc": "w_enc", "W_dec": "w_dec"}  # as the second Gemma Scope writes them
    for kind in ("jumprelu", "gated"):
        arrays = weights(kind)
        save_file({small.get(name, name): array for name, array in arrays.items()}, path)
        trained = ae.read_published(path, subtract_decoder_bias=False)
        expected = codes(kind, arrays, x, subtract=False)
        np.testing.assert_allclose(trained.encode(x), expected, **NEAR)
        with pytest.raises(ae.InputError, match="subtract_decoder_bias"):
            ae.read_published(path)
    arrays = weights("standard")
    save_file(arrays, path)
    for kind, k in (("standard", None), ("topk", K)):
        trained = ae.read_published(path, kind=kind, k=k, subtract_decoder_bias=True)
        expected = codes(kind, arrays, x, subtract=True)
        np.testing.assert_allclose(trained.encode(x), expected, **NEAR)
    with pytest.raises(ae.InputError, match="kind"):
        ae.read_published(path, subtract_decoder_bias=True)


def test_what_is_given_goes_before_the_settings(tmp_path):
    arrays, x = weights("standard"), rows()
    path = folder(tmp_path / "sae", arrays, settings("standard"))
    trained = ae.read_published(path, kind="topk", k=2, subtract_decoder_bias=False)
    expected = codes("topk", arrays, x, subtract=False, k=2)
    np.testing.assert_allclose(trained.encode(x), expected, **NEAR)


def test_a_threshold_of_zero_or_below_is_that_of_a_relu(tmp_path):
    arrays, x = weights("jumprelu"), rows()
    arrays["threshold"] = np.linspace(-1, 0, M).astype(np.float32)
    np.savez(tmp_path / "params.npz", **arrays)
    expected = codes("standard", arrays, x, subtract=False)
    np.testing.assert_allclose(ae.read_published(tmp_path).encode(x), expected, **NEAR)


def test_it_is_measured_as_any_trained_model(tmp_path):
    arrays, x = weights("topk"), rows()
    trained = ae.read_published(folder(tmp_path / "sae", arrays, settings("topk")))
    h = codes("topk", arrays, x, subtract=True)
    y = h @ arrays["W_dec"] + arrays["b_dec"]
    measured = trained.measure(x, code_statistics)
    assert float(measured.activation_fraction) == pytest.approx((h > 0).mean())
    error = ((x - y) ** 2).sum(axis=1).mean()
    assert float(measured.reconstruction) == pytest.approx(error, rel=1e-5)


def changed(kind="jumprelu", without=(), **changes):
    arrays = weights(kind) | changes
    return {name: array for name, array in arrays.items() if name not in without}


NAN = np.full(M, np.nan, np.float32)
BAD_ARRAYS = {  # what is wrong: arrays, and the name that the sentence must have
    "one is missing": (changed(without=["b_enc"]), "b_enc"),
    "W_enc is missing": (changed(without=["W_enc"]), "W_enc"),
    "one is unknown": (changed(W_skip=np.ones((N, N), np.float32)), "W_skip"),
    "another architecture": (weights("gated"), "jumprelu"),
    "a bias of another length": (changed(b_enc=np.ones(M + 1, np.float32)), "b_enc"),
    "a matrix not transposed": (changed(W_dec=np.ones((N, M), np.float32)), "W_dec"),
    "an encoder that is no matrix": (changed(W_enc=np.ones(N, np.float32)), "W_enc"),
    "an encoder without units": (changed(W_enc=np.ones((N, 0), np.float32)), "W_enc"),
    "integers": (changed(b_enc=np.ones(M, np.int32)), "b_enc"),
    "NaN": (changed(threshold=NAN), "threshold"),
}
BAD_SETTINGS = {  # changes of cfg.json, and the name that the sentence must have
    "another architecture": ({"architecture": "transcoder"}, "transcoder"),
    "an architecture that is no name": ({"architecture": ["jumprelu"]}, "jumprelu"),
    "another activation": ({"activation_fn_str": "tanh-relu"}, "tanh-relu"),
    "normalized activations": ({"normalize_activations": "layer_norm"}, "layer_norm"),
    "a factor of the data": ({"normalize_activations": True}, "normalize_activations"),
    "another number of inputs": ({"d_in": N + 1}, "d_in"),
    "another number of units": ({"d_sae": M + 1}, "d_sae"),
    "no truth value": ({"apply_b_dec_to_input": "yes"}, "apply_b_dec_to_input"),
    "options that are none": ({"activation_fn_kwargs": [1]}, "cfg.json"),
}


def refused(path, name, **options):
    """`InputError` of one line that has this name."""
    with pytest.raises(ae.InputError) as error:
        ae.read_published(path, **options)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("what", BAD_ARRAYS)
def test_arrays_that_are_refused(what, tmp_path):
    arrays, name = BAD_ARRAYS[what]
    refused(folder(tmp_path / "sae", arrays, settings("jumprelu")), name)


@pytest.mark.parametrize("what", BAD_SETTINGS)
def test_settings_that_are_refused(what, tmp_path):
    changes, name = BAD_SETTINGS[what]
    refused(folder(tmp_path / "sae", weights("jumprelu"), settings("jumprelu", **changes)), name)


@pytest.mark.parametrize("text", ["", "{", "[]", "{'d_in': 6}", "[" * 10_000, "\udcff"])
def test_settings_that_are_no_json_object(text, tmp_path):
    path = folder(tmp_path / "sae", weights("standard"), "{}")
    (path / "cfg.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    refused(path, "cfg.json")


@pytest.mark.parametrize("k", [None, 0, M + 1])
def test_numbers_of_active_units_that_are_refused(k, tmp_path):
    path = folder(tmp_path / "sae", weights("topk"), settings("topk", k=k))
    refused(path, "k")


def test_options_that_are_refused(tmp_path):
    path = folder(tmp_path / "sae", weights("jumprelu"), settings("jumprelu"))
    refused(path, "k", k=3)
    refused(path, "relu6", kind="relu6")


def test_folders_that_hold_no_auto_encoder(tmp_path):
    refused(tmp_path / "absent", "absent")
    refused(tmp_path, "cfg.json")
    (tmp_path / "cfg.json").write_text("{}", encoding="utf-8")
    refused(tmp_path, WEIGHTS)
    (tmp_path / "one.pt").write_bytes(b"\x80\x02")
    refused(tmp_path / "one.pt", ".pt")


def test_damaged_files(tmp_path):
    path = folder(tmp_path / "sae", weights("jumprelu"), settings("jumprelu"))
    whole = (path / WEIGHTS).read_bytes()
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    for content in [*(whole[:n] for n in (0, 7, 8, 100, 300, len(whole) - 1)), whole + b"\0"]:
        (path / WEIGHTS).write_bytes(content)
        refused(path, WEIGHTS)
    (path / WEIGHTS).write_bytes(pointer)
    refused(path, "git lfs pull")
    np.savez(tmp_path / "params.npz", **weights("jumprelu"))
    whole = (tmp_path / "params.npz").read_bytes()
    for content in (b"", whole[:50], whole[:-30], pointer):
        (tmp_path / "params.npz").write_bytes(content)
        refused(tmp_path / "params.npz", "params.npz")


def test_a_pickle_is_never_opened(tmp_path):
    np.savez(tmp_path / "params.npz", **weights("jumprelu"), more=np.array([{}], dtype=object))
    refused(tmp_path / "params.npz", "pickle")


def test_without_the_extra_the_sentence_names_it(tmp_path, monkeypatch):
    path = folder(tmp_path / "sae", weights("standard"), settings("standard"))
    monkeypatch.setitem(sys.modules, "safetensors", None)
    refused(path, "[weights]")
    np.savez(tmp_path / "params.npz", **weights("jumprelu"))
    assert ae.read_published(tmp_path / "params.npz").encode(rows()).shape == (40, M)
