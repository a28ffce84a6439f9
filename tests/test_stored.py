"""The file of a stored run: what it holds, and that no damage goes unnoticed."""

import contextlib
import gzip
import hashlib
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import stored_runs
import xarray as xr
from scipy.io import netcdf_file

from aesparse.errors import InputError
from experiments.pipeline.plan import Plan
from experiments.pipeline.spec import Study
from experiments.pipeline.store import RunStore
from experiments.pipeline.stored import SCHEMA, decode, encode, run_key

FIGURES = Path(__file__).parents[1] / "figures"


@pytest.fixture
def spec():
    return Plan.checked("quick", 1, None).specs("digits", "dae", "relu", "unit")[0]


@pytest.fixture
def run(spec):
    return stored_runs.fake(spec)


def recompressed(data, change):
    """The file with its netCDF bytes changed and compressed again, the header's checksum too."""
    content = change(gzip.decompress(data))
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    stream = packer.compress(content) + packer.flush()
    body = stream + struct.pack("<II", zlib.crc32(content), len(content))
    return data[:16] + struct.pack("<I", zlib.crc32(body)) + body


def rewritten(data, change):
    """The file as xarray writes it after a change, with the former checksum."""
    run = change(decode(data, "the run"))
    plain = {name: {"_FillValue": None} for name in run.variables}
    return recompressed(data, lambda _: bytes(run.to_netcdf(engine="scipy", encoding=plain)))


def test_a_run_comes_back_with_every_value_type_and_attribute(run):
    run["heights"] = (
        ("sample", "z"),
        np.array([[np.nan, np.inf, -0.0]], np.float32),
        {"unit": "m"},
    )
    run = run.assign_coords(name=("z", ["shrink", "ReLU", "σ"])).assign_attrs(shape=[28, 28])
    run["whole"] = ("z", np.array([1, -2, 3], np.int32))
    back = decode(encode(run, "grid"), "the run")
    assert back.drop_attrs(deep=False).identical(run.drop_attrs(deep=False))
    assert back["heights"].values.tobytes() == run["heights"].values.tobytes()
    assert {n: v.dtype for n, v in back.items() if n != "flagged_epoch"} == {
        n: v.dtype for n, v in run.items() if n != "flagged_epoch"
    }
    assert list(back.attrs["shape"]) == [28, 28]
    assert back.attrs["spec"] == run.attrs["spec"]
    assert back.attrs["provenance"] == run.attrs["provenance"]
    assert (back.attrs["schema"], back.attrs["kind"]) == (SCHEMA, "grid")


def test_the_same_run_gives_the_same_bytes_also_when_stored_again(run):
    data = encode(run, "grid")
    assert encode(run.copy(deep=True), "grid") == data
    assert encode(decode(data, "the run"), "grid") == data
    assert data[4:8] == b"\0\0\0\0"  # no time


def test_xarray_opens_a_run_by_its_name(run, spec, tmp_path):
    store = RunStore(tmp_path, "quick")
    store.save(spec, run)
    assert store.path(spec).name == f"{spec.key}.nc.gz"
    opened = xr.load_dataset(store.path(spec), engine="scipy")
    assert opened.identical(store.load(spec))


def test_the_checksum_is_the_one_documented(run):
    """Computed anew from the netCDF file as SciPy reads it."""
    data = encode(run.assign_attrs(shape=[28, 28]), "grid")
    digest = hashlib.sha256()

    def take(*parts):
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)

    def attributes(of, without=()):
        take(b"%d" % (len(of) - len(without)))
        for name in sorted(set(of) - set(without)):
            value = of[name]
            take(name.encode())
            if isinstance(value, bytes):
                take(b"text", value)
            else:
                array(np.atleast_1d(value))

    def array(values):
        values = values.astype(values.dtype.newbyteorder(">"))
        take(values.dtype.str.encode(), json.dumps(values.shape).encode(), values.tobytes())

    with netcdf_file(io.BytesIO(gzip.decompress(data)), mmap=False) as file:
        attributes(file._attributes, without=("sha256",))
        for name in sorted(file.variables):
            variable = file.variables[name]
            take(name.encode(), json.dumps(variable.dimensions).encode())
            array(variable.data)
            attributes(variable._attributes)
    assert decode(data, "the run").attrs["sha256"] == digest.hexdigest()


@pytest.fixture(scope="module")
def several():
    """Stored runs of every scale and kind, by path."""
    paths = sorted(FIGURES.glob("runs/*/*.nc.gz"))
    if not paths:
        pytest.skip("no stored runs")
    return {path: path.read_bytes() for path in paths[:: len(paths) // 9]}


def test_every_stored_run_is_sound_and_bears_the_name_of_its_spec():
    for path in sorted(FIGURES.glob("runs/*/*.nc.gz")):
        attributes = decode(path.read_bytes(), str(path)).attrs
        assert path.name == f"{run_key(attributes['kind'], attributes['spec'])}.nc.gz"


def test_no_flipped_bit_and_no_block_of_zeros_goes_unnoticed(several, rng):
    paths = list(several)
    flipped = {(paths[i % len(paths)], int(rng.integers(2**40))) for i in range(200)}
    damaged = []
    for path, place in flipped:
        data = bytearray(several[path])
        data[place // 8 % len(data)] ^= 1 << place % 8
        damaged.append((path, data))
    for i in range(12):
        path = paths[i % len(paths)]
        data = bytearray(several[path])
        begin = int(rng.integers(len(data) - 512))
        data[begin : begin + 512] = bytes(512)
        damaged.append((path, data))
    assert len(damaged) == 212
    for path, data in damaged:
        assert data != several[path]
        with pytest.raises(InputError, match=r"the run is damaged \(.+\); restore it"):
            decode(bytes(data), "the run")


def test_bits_that_gzip_does_not_check_are_checked(run):
    """The header, bits after the last code, another way to compress the same content."""
    data = encode(run, "grid")
    size, silent = 8 * len(data), 0
    for place in (*range(200), *range(size - 400, size)):
        other = bytearray(data)
        other[place // 8] ^= 1 << place % 8
        with contextlib.suppress(OSError, EOFError, zlib.error):
            silent += gzip.decompress(other) == gzip.decompress(data)
        with pytest.raises(InputError, match="damaged"):
            decode(bytes(other), "the run")
    assert silent > 40  # the time alone has 32


@pytest.mark.parametrize(
    "change",
    [
        lambda run: run.assign_attrs(spec="[]"),
        lambda run: run.assign_attrs(provenance="{}"),
        lambda run: run.assign_attrs(note="by hand"),
        lambda run: run.assign_attrs(kind="study"),
        lambda run: run.drop_vars("activation_fraction"),
        lambda run: run.drop_vars("strength"),
        lambda run: run.rename(dead_fraction="bias"),
        lambda run: run.assign(dead_fraction=run["dead_fraction"].astype(np.float32)),
        lambda run: run.assign_coords(strength=run["strength"] * 2),
        lambda run: run.assign(dead_fraction=run["dead_fraction"].assign_attrs(scale_factor=0.5)),
        lambda run: run.assign(dead_fraction=run["dead_fraction"].assign_attrs(add_offset=1.0)),
        lambda run: run.drop_attrs(deep=False),
        *(lambda run, name=name: run.drop_attrs(deep=False).assign_attrs(
            {k: v for k, v in run.attrs.items() if k != name}
        ) for name in ("schema", "kind", "spec", "provenance", "sha256")),
    ],
)  # fmt: skip
def test_a_change_that_keeps_the_checksum_is_damage(run, change):
    data = encode(run, "grid")
    unchanged = decode(rewritten(data, lambda run: run), "the run")
    assert unchanged.identical(decode(data, "the run"))
    with pytest.raises(InputError, match="the run is damaged"):
        decode(rewritten(data, change), "the run")


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: b"nonsense",
        lambda data: data[:15],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data + data,
        lambda data: gzip.decompress(data),
        lambda data: recompressed(data, lambda _: b""),
        lambda data: recompressed(data, lambda _: b"nonsense"),
        lambda data: recompressed(data, lambda content: content[: len(content) // 2]),
        lambda data: recompressed(data, lambda content: content[:3] + b"\x07" + content[4:]),
    ],
)
def test_bytes_that_are_no_run_are_damage(run, change):
    with pytest.raises(InputError, match="the run is damaged"):
        decode(change(encode(run, "grid")), "the run")


@pytest.mark.parametrize(
    "change",
    [
        {"spec": "[]"},
        {"spec": "{"},
        {"spec": '{"dataset": "digits"}'},
        {"provenance": "{}"},
        {"provenance": "[]"},
        {"provenance": "3"},
    ],
)
def test_a_run_without_what_is_read_of_every_run_is_not_stored(run, spec, tmp_path, change):
    store = RunStore(tmp_path, "quick")
    with pytest.raises(InputError):
        store.save(spec, run.assign_attrs(change))
    with pytest.raises(InputError):
        store.save(spec, run.drop_vars("flagged_epoch"))
    assert not store.path(spec).exists()


def test_decoding_attributes_change_no_number(run):
    marked = run.copy()
    for name in ("dead_fraction", "activation_fraction"):
        marked[name] = marked[name].assign_attrs(
            scale_factor=0.5, add_offset=3.0, missing_value=0.0
        )
    back = decode(encode(marked, "grid"), "the run")
    np.testing.assert_array_equal(back["activation_fraction"], run["activation_fraction"])
    np.testing.assert_array_equal(back["dead_fraction"], run["dead_fraction"])


def test_a_newer_schema_and_kind_ask_for_newer_code(run):
    data = encode(run, "grid")
    for change in ({"schema": SCHEMA + 1}, {"kind": "path"}):
        other = rewritten(data, lambda run, change=change: run.assign_attrs(change))
        with pytest.raises(InputError, match="newer version") as refused:
            decode(other, "the run")
        assert "delete" not in str(refused.value)


def test_the_name_follows_from_kind_and_spec(spec):
    digest = hashlib.sha256(spec.json.encode()).hexdigest()[:10]
    assert run_key("grid", spec.json) == spec.key == f"digits-dae-relu-unit-s0-{digest}"
    study = Study("lecture-kl", "digits", seed=2)
    digest = hashlib.sha256(study.json.encode()).hexdigest()[:10]
    assert run_key("study", study.json) == study.key == f"study-lecture-kl-digits-s2-{digest}"
    assert Study("lecture-kl").key.startswith("study-lecture-kl-s0-")


def test_a_run_is_adopted_once_and_never_over_another(run, spec, tmp_path, unchanged):
    store, data = RunStore(tmp_path, "quick"), encode(run, "grid")
    for bad in (data[:-1], rewritten(data, lambda run: run.assign_attrs(schema=SCHEMA + 1))):
        with pytest.raises(InputError, match=spec.key):
            store.adopt(spec.key, bad)
    for name in ("another", f"../{spec.key}", spec._replace(seed=1).key):
        with pytest.raises(InputError, match="by its spec"):
            store.adopt(name, data)
    assert not list(tmp_path.rglob("*.gz"))
    assert store.adopt(spec.key, data)
    assert store.load(spec).identical(decode(data, "the run"))
    other = encode(run.assign(dead_fraction=run["dead_fraction"] + 0.1), "grid")
    with unchanged(tmp_path):
        assert not store.adopt(spec.key, data)
        with pytest.raises(InputError, match="other content"):
            store.adopt(spec.key, other)
    store.path(spec).write_bytes(data[:-1])
    with unchanged(tmp_path), pytest.raises(InputError, match="damaged"):
        store.adopt(spec.key, data)


def test_a_loaded_run_is_the_callers_own(run, spec, tmp_path):
    store = RunStore(tmp_path, "quick")
    store.save(spec, run)
    first = store.load(spec)
    first["dead_fraction"][:] = 7.0
    first.attrs["spec"] = "{}"
    assert store.load(spec).identical(decode(encode(run, "grid"), "the run"))


def test_a_run_damaged_after_it_was_read_is_noticed(run, spec, tmp_path):
    store = RunStore(tmp_path, "quick")
    store.save(spec, run)
    store.load(spec)
    data = bytearray(store.path(spec).read_bytes())
    data[len(data) // 2] ^= 4
    store.path(spec).write_bytes(bytes(data))
    with pytest.raises(InputError, match="is damaged"):
        store.load(spec)
