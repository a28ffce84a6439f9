"""Damaged, foreign and misplaced files of the store: runs, records, pictures and archives."""

import functools
import io
import json
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from aesparse.seal import sealed, write_drawn
from aesparse.training.checkpoints import Checkpoints
from benchmarks.fuzz.files import PAGE
from benchmarks.fuzz.kit import Attempt, damage
from experiments.pipeline import status
from experiments.pipeline.archive import Archive, merge
from experiments.pipeline.damage import Damage
from experiments.pipeline.plan import Plan
from experiments.pipeline.record import read_record, record_path
from experiments.pipeline.seal import sealed_page
from experiments.pipeline.spec import GridSpec
from experiments.pipeline.store import RunStore
from experiments.pipeline.stored import content_checksum, decode, encode

__all__ = ["TARGETS"]

_PLAN = Plan.checked("quick", 2, None)
_NAME = "arpit-fig3"
_SPECS = _PLAN.specs("digits", "dae", "relu", "unit")
_PROVENANCE = {
    "data_sha256": "0" * 64, "device": "a device", "jax": "0", "revision": "r", "wall_seconds": 1.0,
}  # fmt: skip
_JUNK = ("[]", "3", "null", "{}", '"x"', "[" * 10_000, "", "{", "NaN", '{"seed": []}', "1e999")


def _content(spec: GridSpec) -> xr.Dataset:
    """A run of made-up numbers."""
    rng, grid = np.random.default_rng(spec.seed), len(spec.strengths)
    names = ("activation_fraction", "dead_fraction", "preactivation_mean")
    histories = [f"history_{name}" for name in (*names, "reconstruction")]
    values = {name: ("strength", rng.random(grid)) for name in names}
    values |= {name: (("strength", "epoch"), rng.random((grid, 5))) for name in histories}
    values["flagged_epoch"] = ("strength", np.full(grid, -1, np.int32))
    run = xr.Dataset(values, coords={"strength": list(spec.strengths)})
    return run.assign_attrs(spec=spec.json, provenance=json.dumps(_PROVENANCE))


@functools.cache
def _run(number: int = 0) -> bytes:
    return encode(_content(_SPECS[number]), "grid")


def _same_run(run, number: int = 0) -> bool:
    """Whether a run that came back has the numbers and attributes of the one stored, bit by bit."""
    attributes = _content(_SPECS[number]).attrs
    own = {"kind", "schema", "sha256"}  # which `encode` adds
    return (
        run.attrs.keys() == attributes.keys() | own
        and all(run.attrs[name] == value for name, value in attributes.items())
        and _same_numbers(run, number)
    )


def _same_numbers(run, number: int = 0) -> bool:
    expected = _content(_SPECS[number]).variables
    return run.variables.keys() == expected.keys() and all(
        run[name].dims == values.dims
        and run[name].dtype == values.dtype
        and run[name].values.tobytes() == values.values.tobytes()
        for name, values in expected.items()
    )


def _store(folder: Path, *contents: bytes) -> RunStore:
    """The runs of the two specs, with these contents."""
    store = RunStore(folder, _PLAN.scale_name)
    store.folder.mkdir(parents=True)
    for spec, content in zip(_SPECS, contents, strict=False):
        store.path(spec).write_bytes(content)
    return store


def run(rng: np.random.Generator, folder: Path) -> Attempt:
    """A stored run with damaged bytes."""
    what, data = damage(rng, _run())
    store = _store(folder, data)
    return Attempt(what, lambda: store.load(_SPECS[0]), _same_run)


def repacked_run(rng: np.random.Generator, folder: Path) -> Attempt:
    """A run whose netCDF bytes are damaged, compressed again with the right checksums of gzip."""
    data = _run()
    what, content = damage(rng, zlib.decompress(data, zlib.MAX_WBITS | 16))
    store = _store(folder, _packed(content))
    return Attempt(f"{what}, packed again", lambda: store.load(_SPECS[0]), _same_run)


def foreign_run(rng: np.random.Generator, folder: Path) -> Attempt:
    """A run that is not one of ours, or decoded otherwise, with whatever checksum it has."""
    content = decode(_run(), "the run")
    names = [*content.variables, *content.attrs]
    name, junk = names[rng.integers(len(names))], _JUNK[rng.integers(len(_JUNK))]
    if name in content.attrs:
        foreign = content.assign_attrs({name: junk})
        what = f"{name} is {junk[:20]}"
    elif rng.random() < 0.5:
        foreign, what = content.drop_vars(name), f"no {name}"
    else:
        attribute = ("scale_factor", "add_offset", "_FillValue", "missing_value", "units")
        extra = attribute[rng.integers(len(attribute))]
        value = "days since 1970" if extra == "units" else 0.5
        foreign = content.copy()
        foreign[name] = foreign[name].assign_attrs({extra: value})
        what = f"{name} has {extra}"
    data = _netcdf(foreign)
    if name != "sha256" and rng.random() < 0.5:  # made by other code with the right checksum
        undecoded = xr.load_dataset(io.BytesIO(data), engine="scipy", decode_cf=False)
        data = _netcdf(foreign.assign_attrs(sha256=content_checksum(undecoded)))
    store = _store(folder, _packed(data))
    return Attempt(what, lambda: store.load(_SPECS[0]), _same_numbers)


def _netcdf(content: xr.Dataset) -> bytes:
    """Without fill values but those that are there."""
    plain = {
        name: {} if "_FillValue" in variable.attrs else {"_FillValue": None}
        for name, variable in content.variables.items()
    }
    return bytes(content.to_netcdf(engine="scipy", encoding=plain))


def _packed(netcdf: bytes) -> bytes:
    """Compressed as a stored run is, with the right checksums of the bytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    stream = packer.compress(netcdf) + packer.flush()
    body = stream + struct.pack("<II", zlib.crc32(netcdf), len(netcdf))
    return _run()[:16] + struct.pack("<I", zlib.crc32(body)) + body


def misplaced_run(rng: np.random.Generator, folder: Path) -> Attempt:
    """Two runs that were swapped, one under the name of the other, or a renamed folder."""
    kind = int(rng.integers(3))
    if kind == 0:
        store = _store(folder, _run(1), _run(0))
    elif kind == 1:
        store = _store(folder, _run(1))
    else:
        store = RunStore(folder, "paper")
        _store(folder, _run(0), _run(1)).folder.rename(store.folder)
        spec = Plan.checked("paper", 1, None).specs("mnist", "dae", "relu", "unit")[0]
        return Attempt("renamed scale", lambda: store.load(spec), lambda value: value is None)
    return Attempt(("swapped", "renamed", "")[kind], lambda: store.load(_SPECS[0]), _same_run)


def _record_content() -> dict:
    return {
        "figure": _NAME,
        "command": _PLAN.command(_NAME),
        "title": "A title",
        "caption": "A caption: 0.25",
        "evidence": True,
        "verdicts": [{"claim": "A3", "verdict": "holds", "numbers": "0.25"}],
        "runs": {spec.key: _PROVENANCE for spec in _SPECS},
    }


@functools.cache
def _drawn() -> dict[str, bytes]:
    """A record and its pictures, by their endings."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1, 1))
    figure.subplots().plot([0, 1])
    with tempfile.TemporaryDirectory() as folder:
        paths = write_drawn(Path(folder) / "a.json", figure, _record_content())
        return {path.suffix: path.read_bytes() for path in paths}


def _write_drawn(folder: Path, changed: dict[str, bytes]) -> Path:
    path = record_path(folder, _NAME, _PLAN)
    path.parent.mkdir(parents=True)
    for ending, data in (_drawn() | changed).items():
        path.with_name(f"{path.stem}{ending}").write_bytes(data)
    return path


def record(rng: np.random.Generator, folder: Path) -> Attempt:
    """A record that is damaged, edited, or that of something else."""
    kind, data = rng.random(), _drawn()[".json"]
    if kind < 0.6:
        what, data = damage(rng, data)
    elif kind < 0.8:
        data = _JUNK[rng.integers(len(_JUNK))].encode()
        what = f"is {data[:20]!r}"
    else:
        content = json.loads(data)
        del content["sha256"]
        name = list(content)[rng.integers(len(content))]
        junk = ([], 3, None, {}, "x", {"a": 3}, {"a": {}})[rng.integers(7)]
        data = sealed(content | {name: junk}).encode()
        what = f"sealed with {name}: {junk}"
        path = _write_drawn(folder, {".json": data})
        # What the report shows cannot be another one; the rest is as it was sealed.
        expected = _record_content() | ({name: junk} if name in ("evidence", "verdicts") else {})
        texts = {name: junk} if isinstance(junk, str) and name in ("title", "caption") else {}
        runs = {"runs": {}} if (name, junk) == ("runs", {}) else {}
        return Attempt(
            what,
            lambda: read_record(path, _NAME, _PLAN),
            lambda value: value == expected | texts | runs,
        )
    path = _write_drawn(folder, {".json": data})
    return Attempt(
        what, lambda: read_record(path, _NAME, _PLAN), lambda value: value == _record_content()
    )


def picture(rng: np.random.Generator, folder: Path) -> Attempt:
    """A damaged picture of a record, a missing one, or one in the place of another."""
    ending, kind = (".png", ".svg")[rng.integers(2)], rng.random()
    if kind < 0.8:
        what, data = damage(rng, _drawn()[ending])
    else:
        what, data = "the other picture", _drawn()[".svg" if ending == ".png" else ".png"]
    path = _write_drawn(folder, {ending: data})
    if kind > 0.9:
        what = "missing"
        path.with_name(f"{path.stem}{ending}").unlink()
    return Attempt(f"{ending}: {what}", lambda: read_record(path, _NAME, _PLAN), lambda _: False)


def archive(rng: np.random.Generator, folder: Path) -> Attempt:
    """A damaged archive of two runs, imported into an empty folder."""
    source, path = _store(folder / "from", _run(0), _run(1)), folder / "runs.zip"
    for spec in _SPECS:
        Archive(path).add("quick", source.path(spec))
    what, data = damage(rng, path.read_bytes())
    path.write_bytes(data)
    target = RunStore(folder / "to", "quick")

    def imported():
        try:
            merge(path, folder / "to")
        finally:  # what was refused has left no other number either
            for number, spec in enumerate(_SPECS):
                stored = target.load(spec)
                if stored is not None and not _same_run(stored, number):
                    raise AssertionError("another number was imported")
        return True

    return Attempt(what, imported)


def every_file(rng: np.random.Generator, folder: Path) -> Attempt:
    """Any file of a folder of figures damaged: `status` names it, and goes on."""
    store = _store(folder, _run(0), _run(1))
    record = _write_drawn(folder, {})
    kept = Checkpoints(store.checkpoints(_SPECS[0]), "this")
    kept.save(3, np.zeros(5))
    (folder / "index.html").write_text(sealed_page(PAGE), encoding="utf-8")
    endings = [record.with_name(f"{record.stem}{ending}") for ending in _drawn()]
    paths = [store.path(_SPECS[0]), *endings, kept.folder / "3.npz", folder / "index.html"]
    path = paths[rng.integers(len(paths))]
    what, data = damage(rng, path.read_bytes())
    path.write_bytes(data)
    named = Damage()
    return Attempt(
        f"{path.suffixes}: {what}",
        lambda: status.lines(folder, None, named),
        lambda lines: any(str(path) in sentence for sentence in named),
    )


TARGETS: dict[str, Callable[[np.random.Generator, Path], Attempt]] = {
    "run": run,
    "repacked run": repacked_run,
    "foreign run": foreign_run,
    "misplaced run": misplaced_run,
    "record": record,
    "picture": picture,
    "archive": archive,
    "every file": every_file,
}
