"""The file of a stored run: its layout, its checksum and its name, as pure functions of bytes.

A run is stored as netCDF 3, compressed by gzip, whose header holds a checksum of the compressed
bytes. The attributes of the data set are

* `schema`: the version of this layout, an integer;
* `kind`: what the run is, "grid" (a sweep over strengths) or "study";
* `spec`: JSON, what decides the run's numbers; its hash is part of the file's name;
* `provenance`: JSON, where the numbers come from: at least `PROVENANCE`, and in newer runs
  `random`, the settings of the random-number generator;
* `sha256`: `content_checksum` of everything else.

Further kinds and further fields of the provenance need no other schema.
"""

import hashlib
import io
import json
import struct
import zlib
from collections.abc import Iterator

import numpy as np

from aesparse.errors import InputError, reason

__all__ = [
    "MOST_BYTES",
    "PROVENANCE",
    "SCHEMA",
    "content_checksum",
    "damaged",
    "decode",
    "encode",
    "run_key",
    "signed_bytes",
]

SCHEMA = 1
MOST_BYTES = 2**27  # of a run, compressed or not; the largest that is stored has under 2**18
PROVENANCE = ("data_sha256", "device", "jax", "revision", "wall_seconds")

# Magic, deflate, an extra field, time 0, best compression, unknown system; the field "ck" of four
# bytes: the CRC-32 of all that follows it. The same bits on every machine.
_HEADER = b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x02\xff" + struct.pack("<H2sH", 8, b"ck", 4)
_NAME_FIELDS = {
    "grid": ("dataset", "objective", "activation", "constraint"),
    "study": ("figure", "dataset"),
}
_VARIABLES = {  # what is read of every run of a kind; a study's depend on its figure
    "grid": {
        "strength", "activation_fraction", "dead_fraction", "preactivation_mean", "flagged_epoch",
        "history_activation_fraction", "history_dead_fraction", "history_preactivation_mean",
        "history_reconstruction",
    },
    "study": set(),
}  # fmt: skip


def run_key(kind: str, spec: str) -> str:
    """The name of a run, from its kind and its spec (JSON) alone.

    Readable parts, then the first ten digits of the spec's SHA-256. `KeyError` for an unknown
    kind or a spec without the fields that name such a run.
    """
    fields = json.loads(spec)
    parts = [fields[name] for name in _NAME_FIELDS[kind]] + [f"s{fields['seed']}"]
    digest = hashlib.sha256(spec.encode()).hexdigest()[:10]
    return "-".join(part for part in ("study" * (kind == "study"), *parts, digest) if part)


def encode(run, kind: str) -> bytes:
    """The file of a run, an `xarray.Dataset` with the attributes `spec` and `provenance`.

    The same run gives the same bytes. `InputError` if `decode` would refuse them.
    """
    run = _ordered(run.drop_encoding()).assign_attrs(schema=SCHEMA, kind=kind)
    run.attrs.pop("sha256", None)
    run.attrs["sha256"] = content_checksum(_content(_netcdf(run)))
    data = _compressed(_netcdf(run))
    decode(data, "The run to be stored")
    return data


def _ordered(run):
    """The same run with its variables, and so its dimensions, in the order of their names."""
    import xarray as xr

    variables = {name: run.variables[name] for name in sorted(run.variables)}
    return xr.Dataset(variables, attrs=run.attrs).set_coords(sorted(run.coords))


def decode(data: bytes, source: str):
    """The run in a file's bytes, as an `xarray.Dataset` with its values in memory.

    `source` names the file in an error. `InputError` if a single bit is not as it was written, if
    the schema is a newer one, or if an attribute or a variable is missing. Attributes such as
    `scale_factor` and `_FillValue` change no number.
    """
    import xarray as xr

    try:
        content = _content(_decompressed(data))
        _require_known(content.attrs, source)
        if content.attrs["sha256"] != content_checksum(content):
            raise ValueError("its checksum does not match")
        _require_complete(content)
        return xr.decode_cf(content, mask_and_scale=False, decode_times=False).load()
    except InputError:
        raise
    except Exception as error:  # whatever a netCDF reader makes of bytes that are none
        raise damaged(source, error) from None


def damaged(source: str, error: Exception) -> InputError:
    """The error for a stored run that cannot be read, and why not."""
    return InputError(
        f"{source} is damaged ({reason(error)}); restore it, or delete it and repeat the "
        "command that made it."
    )


def content_checksum(content) -> str:
    """SHA-256 of all that a file holds but the attribute `sha256`.

    `content` is an `xarray.Dataset` as stored, undecoded. What is hashed, in this order: the
    attributes of the data set, then of every variable (coordinates among them, sorted by name)
    its name, dimensions, values and attributes. Values and numeric attributes count with dtype,
    shape and bytes, big-endian in C order. Before every part stands its length in eight bytes.
    """
    digest = hashlib.sha256()
    for part in _parts(content):
        digest.update(struct.pack(">Q", len(part)) + part)
    return digest.hexdigest()


def _parts(content) -> Iterator[bytes]:
    yield from _attribute_parts({k: v for k, v in content.attrs.items() if k != "sha256"})
    for name in sorted(content.variables):
        variable = content.variables[name]
        yield name.encode()
        yield json.dumps(variable.dims).encode()
        yield from _array_parts(variable.values)
        yield from _attribute_parts(variable.attrs)


def _attribute_parts(attributes: dict) -> Iterator[bytes]:
    yield str(len(attributes)).encode()
    for name in sorted(attributes):
        yield name.encode()
        value = attributes[name]
        if isinstance(value, str):
            yield from (b"text", value.encode())
        else:
            yield from _array_parts(np.atleast_1d(value))


def _array_parts(values: np.ndarray) -> Iterator[bytes]:
    values = values.astype(values.dtype.newbyteorder(">"))
    yield from (values.dtype.str.encode(), json.dumps(values.shape).encode(), values.tobytes())


def _require_known(attributes: dict, source: str) -> None:
    """`InputError` for a schema or a kind of run that only a later version of this code reads."""
    newer = int(attributes["schema"]) > SCHEMA
    if newer or attributes["kind"] not in _NAME_FIELDS:
        what = "schema" if newer else "kind"
        raise InputError(
            f"{source} has the {what} {attributes[what]}, which this version of the code does not "
            "read; use a newer version."
        )


def _require_complete(content) -> None:
    """`ValueError` or `KeyError` unless all that is read of every run is there."""
    kind, spec = content.attrs["kind"], content.attrs["spec"]
    provenance = json.loads(content.attrs["provenance"])
    if not isinstance(provenance, dict):
        raise ValueError("its provenance is no JSON object")
    missing = [name for name in PROVENANCE if name not in provenance]
    if missing:
        raise ValueError(f"its provenance lacks {', '.join(missing)}")
    missing = sorted(_VARIABLES[kind] - content.variables.keys())
    if missing:
        raise ValueError(f"it lacks {', '.join(missing)}")
    run_key(kind, spec)


def _netcdf(run) -> bytes:
    plain = {name: {"_FillValue": None} for name in run.variables}
    return bytes(run.to_netcdf(engine="scipy", encoding=plain))


def _content(netcdf: bytes):
    """The data set as stored: big-endian, texts as characters, no attribute applied."""
    import xarray as xr

    return xr.load_dataset(io.BytesIO(netcdf), engine="scipy", decode_cf=False)


def _compressed(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    stream = packer.compress(content) + packer.flush()
    body = stream + struct.pack("<II", zlib.crc32(content), len(content))
    return _HEADER + struct.pack("<I", zlib.crc32(body)) + body


def _decompressed(data: bytes) -> bytes:
    """`ValueError` if any bit is wrong, also one that would not change the content.

    gzip itself checks the content alone: not its header, nor how the content was compressed.
    """
    begin = len(_HEADER) + 4
    if not data.startswith(_HEADER) or len(data) < begin:
        raise ValueError("it does not begin like a stored run")
    if data[len(_HEADER) : begin] != struct.pack("<I", zlib.crc32(data[begin:])):
        raise ValueError("the checksum of its compressed bytes does not match")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)  # of gzip, whose own checksum it verifies
    content = unpacker.decompress(data, MOST_BYTES)
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError(f"it does not hold one stream of at most {MOST_BYTES:,} bytes")
    return content


def signed_bytes(rows: np.ndarray) -> np.ndarray:
    """Weights `[..., n]` up to each row's scale, which a picture sets anew: the largest is ±127.

    Rows of zeros stay so; what is not finite becomes 0.
    """
    largest = np.abs(rows).max(axis=-1, keepdims=True)
    scaled = np.divide(127 * rows, largest, out=np.zeros_like(rows), where=largest > 0)
    return np.nan_to_num(np.rint(scaled)).astype(np.int8)
