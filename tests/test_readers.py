"""Files as data: read as their writers meant, or refused by one sentence that names them."""

import contextlib
import gzip
import http.client
import io
import os
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aesparse import data
from aesparse.data import readers
from aesparse.errors import InputError

IMAGES = "train-images-idx3-ubyte"
BEGIN = struct.pack(">4I", 0x803, 60_000, 28, 28)  # of that file
LFS = b"version https://git-lfs.github.com/spec/v1\n"
BYTES = len(BEGIN) + 60_000 * 28 * 28


def refused(name, **options) -> str:
    """The one sentence with which loading ends."""
    with pytest.raises(InputError) as caught:
        data.load(name, **options)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert len(message) < 1000
    return message


def sparse(path: Path, size: int, begin: bytes = b"") -> None:
    """A file of zeros that takes no room on the disk."""
    with path.open("wb") as file:
        file.write(begin)
        file.truncate(size)


def npy_header(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


# --- a user's own file ----------------------------------------------------------------------


def test_users_files_are_read(tmp_path, rng):
    X = rng.normal(size=(7, 3))
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "x.NPY", np.asfortranarray(X))
    np.savez(tmp_path / "x.npz", X=X, y=np.ones(7))
    np.savez_compressed(tmp_path / "one.npz", rows=X)
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    table.to_csv(tmp_path / "x.csv", index=False)
    table.to_csv(tmp_path / "quoted.csv", index=False, quoting=1, lineterminator="\r\n")
    table.to_csv(tmp_path / "bom.csv", index=False, encoding="utf-8-sig")
    table.to_csv(tmp_path / "bare.csv", index=False, header=False)
    table.to_csv(tmp_path / "x.tsv", index=False, sep="\t")
    for path in tmp_path.iterdir():
        for name in (path, str(path)):
            np.testing.assert_array_equal(data.load(name).train, X)
    assert data.load(tmp_path / "x.npy", samples=2).train.shape == (2, 3)
    assert "9 samples" in refused(tmp_path / "x.npy", samples=9)


def test_a_parquet_file_is_read_without_its_index(tmp_path, rng):
    pytest.importorskip("pyarrow")
    X = rng.normal(size=(7, 3))
    table = pd.DataFrame(X, columns=["a", "b", "c"], index=range(10, 17))
    table.to_parquet(tmp_path / "x.parquet")
    np.testing.assert_array_equal(data.load(tmp_path / "x.parquet").train, X)
    table.set_index(pd.Index(list("abcdefg"))).to_parquet(tmp_path / "x.parquet")
    np.testing.assert_array_equal(data.load(tmp_path / "x.parquet").train, X)
    table.assign(kind="text").to_parquet(tmp_path / "text.parquet")
    assert "'kind'" in refused(tmp_path / "text.parquet")
    table.assign(nested=[[1, 2]] * 7).to_parquet(tmp_path / "nested.parquet")
    assert "nested" in refused(tmp_path / "nested.parquet")
    whole = (tmp_path / "x.parquet").read_bytes()
    (tmp_path / "x.parquet").write_bytes(whole[:-30])
    assert "x.parquet" in refused(tmp_path / "x.parquet")


def test_without_pyarrow_a_parquet_file_names_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install pyarrow" in refused(tmp_path / "x.parquet")


CSV = {
    "a column of text": ("a,kind\n1,u\n2,v\n", "kind"),
    "text further down": ("a,b\n1,2\n3,v\n", "'v'"),
    "a value missing": ("a,b\n1,2\n3,\n", "''"),
    "rows of several lengths": ("1,2\n3\n", "columns"),
    "row numbers of pandas": (",a\n0,1.5\n1,2.5\n", "index=False"),
    "semicolons": ("a;b\n1,5;2\n", "commas"),
    "nothing": ("", "empty"),
    "a header alone": ("a,b\n", "no rows"),
    "NaN": ("a\n1\nnan\n", "NaN"),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), "no text"),
    "Latin-1": (b"\xe9,b\n1,2\n", "UnicodeDecodeError"),
    "an endless line": (b"1," * 2**22, "line"),
}


@pytest.mark.parametrize("case", CSV)
def test_a_table_that_is_not_of_numbers_is_named(case, tmp_path):
    content, named = CSV[case]
    content = content.encode() if isinstance(content, str) else content
    (tmp_path / "x.csv").write_bytes(content)
    message = refused(tmp_path / "x.csv")
    assert named in message
    assert "x.csv" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            np.array([[1.0, np.nan], [np.inf, 2.0]]),
            "NaN",
        ),
        (np.ones(4), r"\(4,\)"),
        (np.ones((0, 4)), r"\(0, 4\)"),
        (np.ones((3, 4), dtype=complex), "complex128"),
    ],
)
def test_defective_user_arrays(tmp_path, content, message):
    np.save(tmp_path / "x.npy", content)
    with pytest.raises(InputError, match=message):
        data.load(str(tmp_path / "x.npy"))


def _npz(path: Path, **arrays) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)


def _zip(path: Path, members: dict[str, bytes], method=zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)


def _cut(path: Path) -> None:
    _npz(path, X=np.ones((30, 20)))
    path.write_bytes(path.read_bytes()[:2000])


def _encrypted(path: Path) -> None:
    _npz(path, X=np.ones((30, 20)))
    raw = bytearray(path.read_bytes())
    raw[6] |= 1  # in the member's own header
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(raw))


def _claims_more(path: Path) -> None:
    _zip(path, {"X.npy": npy_header((10**6, 10**6)) + bytes(80)})


def _bomb(path: Path, member: str = "X.npy") -> None:
    header = npy_header((2**17, 1024))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, header + bytes(10**6))
        archive.filelist[0].file_size = len(header) + 2**30  # what the list of members says


def _lfs(path: Path) -> None:
    path.write_bytes(LFS)


def _npy(content: bytes):
    return lambda path: path.write_bytes(content)


def _header(content: bytes) -> bytes:
    """A NumPy file whose header is the content."""
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(content)) + content


SAVED = {
    "text": ("x.npy", _npy(b"no array"), "text"),
    "empty": ("x.npy", _npy(b""), "empty"),
    "Git LFS": ("x.npy", _lfs, "git lfs pull"),
    "web page": ("x.npy", _npy(b"<!DOCTYPE html>"), "web page"),
    "pickle": ("x.npy", _npy(b"\x80\x04K\x03."), "pickle"),
    "objects": ("x.npy", lambda path: np.save(path, np.array([{}], object)), "objects"),
    "cut": ("x.npy", _npy(npy_header((10, 10)) + bytes(700)), "928"),
    "longer": ("x.npy", _npy(npy_header((1, 1)) + bytes(9)), "136"),
    "claims more": ("x.npy", _npy(npy_header((10**6, 10**6))), "8000000000128"),
    "negative": ("x.npy", _npy(npy_header((-1, 5))), "-1"),
    "endless header": ("x.npy", _npy(b"\x93NUMPY\2\0\xff\xff\xff\xff"), "header"),
    "larger than any memory": (
        "x.npy", lambda path: sparse(path, 2**40, npy_header((2**37 - 16, 1))), "memory"),
    "header of brackets": ("x.npy", _npy(_header(b"(" * 9000)), "cannot be read"),
    "header of signs": ("x.npy", _npy(_header(b"-" * 9000 + b"1")), "cannot be read"),
    "header with half a text": ("x.npy", _npy(_header(b"{'descr': '''a\n")), "cannot be read"),
    "header with another type": (
        "x.npy", _npy(_header(b"{'descr': 3, 'fortran_order': False, 'shape': ()}")),
        "cannot be read"),
    "two arrays": ("x.npz", lambda path: _npz(path, a=np.ones(2), b=np.ones(2)), "'a', 'b'"),
    "cut archive": ("x.npz", _cut, "zip"),
    "zeros": ("x.npz", lambda path: sparse(path, 2**40), "zip"),
    "encrypted": ("x.npz", _encrypted, "encrypted"),
    "LZMA": ("x.npz", lambda path: _zip(path, {"X.npy": b""}, zipfile.ZIP_LZMA), "deflate"),
    "member claims more": ("x.npz", _claims_more, "8000000000128"),
    "bomb": ("x.npz", _bomb, "bomb"),
    "member that is none": ("x.npz", lambda path: _zip(path, {"X.npy": b"text"}), "text"),
    "no members": ("x.npz", lambda path: _zip(path, {}), "arrays"),
    "sparse matrix": (
        "x.npz", lambda path: _npz(path, indices=0, indptr=0, format=0, shape=0, data=0),
        "toarray"),
}  # fmt: skip


@pytest.mark.parametrize("case", SAVED)
def test_a_defective_file_of_numpys_is_named(case, tmp_path):
    name, make, named = SAVED[case]
    make(tmp_path / name)
    message = refused(tmp_path / name)
    assert named in message
    assert name in message


OTHERS = {
    "x.mat": "loadmat",
    "x.h5": "h5py",
    "x.pkl": "pickle",
    "x.pt": "torch.load",
    "x.feather": "to_parquet",
    "x.xlsx": "to_csv",
    "x.csv.gz": "gunzip",
    "x.jpg": "PIL",
    "x.unknown": ".npy",
    "x": ".npy",
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_of_another_kind_is_refused_with_what_makes_a_matrix_of_it(name, tmp_path):
    (tmp_path / name).write_bytes(b"anything")
    assert OTHERS[name] in refused(tmp_path / name)


def test_what_is_no_regular_file_is_refused_without_opening_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")  # whose opening would wait for a writer
    os.mkfifo(tmp_path / f"{IMAGES}.gz")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "loop.npz").symlink_to(tmp_path / "loop.npz")
    assert "pipe" in refused(tmp_path / "pipe.npy")
    assert "pipe" in refused("mnist", data_dir=tmp_path)
    assert "folder" in refused(tmp_path / "folder.csv")
    assert "folder" in refused(tmp_path)
    assert "loop.npz" in refused(tmp_path / "loop.npz")
    for name in ("absent.npy", "absent.csv", "a\0b.npy", f"{'n' * 300}.npy", "line\nbreak.npy"):
        refused(tmp_path / name)
    for folder in (tmp_path / ("n" * 300), "a\0b", tmp_path / "loop.npz", tmp_path / "nowhere"):
        refused("mnist", data_dir=folder)


def test_unknown_names_have_one_line():
    assert "did you mean mnist" in refused("mnits")
    assert "known are" in refused("")
    refused("line\nbreak\x85" + "long" * 1000)


# --- MNIST ----------------------------------------------------------------------------------


def _gzipped(content: bytes):
    return lambda folder: (folder / f"{IMAGES}.gz").write_bytes(gzip.compress(content, 1))


def _gzip_bomb(folder: Path) -> None:
    with gzip.open(folder / f"{IMAGES}.gz", "wb", compresslevel=1) as file:
        for _ in range(8):
            file.write(bytes(2**24))


def _under_its_name(content: bytes, suffix: str = ".gz"):
    return lambda folder: (folder / f"{IMAGES}{suffix}").write_bytes(content)


def _pictures(folder: Path) -> None:
    (folder / "train" / "0").mkdir(parents=True)
    (folder / "train" / "0" / "1.png").touch()


def test_the_line_that_converts_pictures_names_their_folder(tmp_path):
    digits = tmp_path / "training" / "0"
    digits.mkdir(parents=True)
    (digits / "1.png").touch()
    train = re.escape(str(tmp_path / "training"))
    with pytest.raises(InputError, match=rf"Path\('{train}'\)"):
        data.load("mnist", data_dir=tmp_path)


def _one_off(folder: Path) -> None:
    (folder / "downloads").mkdir()
    (folder / "downloads" / IMAGES).touch()


def _unlisted(folder: Path) -> None:
    (folder / "mnist" / "3.0.1").mkdir(parents=True)
    (folder / "mnist" / "3.0.1" / "mnist-train.array_record-00000-of-00001").touch()


MNIST = {
    "short": (_gzipped(bytes(1000)), "47040016"),
    "cut": (_under_its_name(gzip.compress(bytes(1000))[:-20]), "truncated"),
    "flipped": (_under_its_name(b"\x1f\x8b\x08" + bytes(500)), "corrupt"),
    "altered": (_gzipped(bytes(BYTES)), "corrupt"),
    "bomb": (_gzip_bomb, "47040016"),
    "zeros": (lambda folder: sparse(folder / f"{IMAGES}.gz", 2**40), "1099511627776"),
    "zeros, unpacked": (lambda folder: sparse(folder / IMAGES, 2**40), "1099511627776"),
    "Fashion-MNIST": (_gzipped(BEGIN + bytes(BYTES - len(BEGIN))), "Fashion-MNIST"),
    "Git LFS": (_under_its_name(LFS), "git lfs pull"),
    "web page": (_under_its_name(b"<html>"), "web page"),
    "empty": (_under_its_name(b""), "empty"),
    "text": (_under_its_name(b"text", ""), "text"),
    "nothing": (lambda folder: None, IMAGES),
    "pictures": (_pictures, "PIL"),
    "one level off": (_one_off, "downloads"),
    "folder of tensorflow-datasets": (_unlisted, "prepare it again"),
    "Keras' file": (lambda folder: _npz(folder / "mnist.npz", x_train=np.ones(3)), "mnist.npz"),
    "damaged Keras' file": (lambda folder: (folder / "mnist.npz").write_bytes(b"PK"), "mnist.npz"),
}


@pytest.mark.parametrize("case", MNIST)
def test_what_is_not_mnist_is_named_for_what_it_is(case, tmp_path, unchanged):
    make, named = MNIST[case]
    folder = tmp_path / "data"
    folder.mkdir()
    make(folder)
    with contextlib.nullcontext() if case.startswith("zeros") else unchanged(folder):
        message = refused("mnist", data_dir=folder)
    assert named in message
    assert str(folder) in message


@pytest.fixture(scope="module")
def images() -> bytes:
    """MNIST's training images as they are in the IDX file."""
    folder = os.environ.get("AESPARSE_DATA_DIR")
    if not folder:
        pytest.skip("AESPARSE_DATA_DIR does not name a folder with MNIST and CIFAR-10")
    with gzip.open(Path(folder) / "mnist" / f"{IMAGES}.gz") as file:
        return file.read()


@pytest.mark.parametrize(
    "name", [IMAGES, f"{IMAGES}.gz", f"MNIST/raw/{IMAGES}", "raw/train-images.idx3-ubyte"]
)
def test_an_unpacked_idx_file_is_read_whatever_it_is_called(name, images, tmp_path):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(images)
    digits = readers.read_mnist(tmp_path)
    assert digits.shape == (60_000, 28, 28, 1)
    assert digits.tobytes() == images[16:]


def test_keras_file_is_read_with_mnists_checksum(images, data_dir, tmp_path):
    x = np.frombuffer(images, np.uint8, offset=16).reshape(60_000, 28, 28)
    labels = readers.read_mnist(data_dir, field="label")
    with (tmp_path / "mnist.npz").open("wb") as file:
        np.savez(file, x_train=x, y_train=labels)
    np.testing.assert_array_equal(readers.read_mnist(tmp_path)[..., 0], x)
    np.testing.assert_array_equal(readers.read_mnist(tmp_path, field="label"), labels)
    with (tmp_path / "mnist.npz").open("wb") as file:
        np.savez(file, x_train=x[::-1])
    assert "checksum" in refused("mnist", data_dir=tmp_path)


# --- CIFAR-10 -------------------------------------------------------------------------------


def _batches(size: int, count: int = 5):
    def make(folder: Path) -> None:
        for i in range(1, count + 1):
            sparse(folder / f"data_batch_{i}.bin", size)

    return make


def _pickles(folder: Path) -> None:
    (folder / "cifar-10-batches-py").mkdir()
    (folder / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"cposix\nsystem\n(S'false'\ntR.")


CIFAR = {
    "truncated": (_batches(3073), "30730000"),
    "altered": (_batches(30_730_000), "d17523651d"),
    "incomplete": (_batches(30_730_000, 1), "data_batch_2.bin"),
    "endless": (_batches(2**40), "1099511627776"),
    "Git LFS": (lambda folder: (_batches(9)(folder), _lfs(folder / "data_batch_1.bin")), "lfs"),
    "Python version": (_pickles, "pickle"),
    "Python batch": (lambda folder: (folder / "data_batch_1").touch(), "pickle"),
    "packed": (lambda folder: (folder / "cifar-10-binary.tar.gz").touch(), "tar xzf"),
    "CIFAR-100": (lambda folder: (folder / "cifar-100-binary").mkdir(), "CIFAR-100"),
}  # fmt: skip


@pytest.mark.parametrize("case", CIFAR)
def test_what_is_not_cifar_is_named_for_what_it_is(case, tmp_path, unchanged):
    make, named = CIFAR[case]
    folder = tmp_path / "data"
    folder.mkdir()
    make(folder)
    with contextlib.nullcontext() if case == "endless" else unchanged(folder):
        message = refused("cifar10", data_dir=folder)
    assert named in message
    assert str(folder) in message


@pytest.mark.parametrize(
    ("name", "file"), [("mnist", "train-images-idx3-ubyte"), ("cifar10", "data_batch_1.bin")]
)
def test_a_file_that_may_not_be_read_is_named(name, file, tmp_path, monkeypatch):
    for i in range(1, 6):
        sparse(
            tmp_path / file.replace("1.bin", f"{i}.bin"), BYTES if name == "mnist" else 30_730_000
        )

    def forbidden(path, *arguments, **options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", forbidden)  # who runs the tests may read everything
    message = refused(name, data_dir=tmp_path)
    assert file in message
    assert "Permission denied" in message


# --- zip files as folders -------------------------------------------------------------------

PATCHES = readers.patches_file(min(readers.PATCHES))
ZIPS = {
    "empty": b"",
    "no list of members": b"PK\x03\x04 and no more",
    "other files": {"a.txt": b"text"},
    "an absolute name": {"//a": b""},
    "a deep name": {"a/" * 1000: b""},
    "too many bytes": {PATCHES: bytes(10**7)},
    "text": {PATCHES: b"text"},
    "claims more": {PATCHES: npy_header((10**5, 10**5))},
    "another kind": {PATCHES: npy_header((10, 2)) + bytes(160)},
}


@pytest.mark.parametrize("case", ZIPS)
def test_a_zip_file_that_is_no_data_folder_is_named(case, tmp_path):
    path, content = tmp_path / "pack.zip", ZIPS[case]
    path.write_bytes(content) if isinstance(content, bytes) else _zip(path, content)
    for name, samples in (("cifar10", min(readers.PATCHES)), ("mnist", None)):
        assert "pack.zip" in refused(name, data_dir=path, samples=samples)


def test_images_in_a_zip_file_are_bounded_too(tmp_path):
    _zip(tmp_path / "pack.zip", {f"mnist/{IMAGES}.gz": gzip.compress(bytes(2 * BYTES), 1)})
    assert "47040016" in refused("mnist", data_dir=tmp_path / "pack.zip")


# --- memory ---------------------------------------------------------------------------------

HOSTILE = """
import re, sys
from pathlib import Path
import aesparse as ae
from aesparse.errors import InputError
for name, folder in zip(sys.argv[1::2], sys.argv[2::2]):
    try:
        ae.data.load(name, data_dir=folder or None, samples=10_000)
    except InputError as error:
        print(error)
print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])  # the peak
"""


def _wide(path: Path) -> None:
    """400 MB of bytes, in a file of 2 MB, which are four times as many as float32."""
    file = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (400_000, 1000)}
    np.lib.format.write_array_header_1_0(file, header)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("X.npy", "w") as member,
    ):
        member.write(file.getvalue())
        for _ in range(400):
            member.write(bytes(10**6))


def _text(path: Path) -> None:
    """One text of 1 MB, in all of 2,500 rows."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    indices = arrow.array(np.zeros(2500, np.int32))
    column = arrow.DictionaryArray.from_arrays(indices, ["a" * 10**6])
    parquet.write_table(arrow.table({"a": column}), path, store_schema=False)


def _many_members(path: Path) -> None:
    """A zip file of 1.2 million members, all of them one."""
    _zip(path, {"a": b""})
    raw, count = path.read_bytes(), 1_200_000
    begin, end = raw.index(b"PK\1\2"), raw.index(b"PK\5\6")
    members = raw[begin:end] * count
    closing = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(members), begin, 0)
    path.write_bytes(raw[:begin] + members + closing)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says what the peak was")
def test_hostile_files_are_refused_with_little_memory(tmp_path):
    """Each would fill the memory if it were read, or expanded, whole."""
    zeros = gzip.compress(bytes(2**24)) * 640  # 10 GiB expanded
    for folder in ("bomb", "idx", "cifar", "keras", "members"):
        (tmp_path / folder).mkdir()
    (tmp_path / "bomb" / f"{IMAGES}.gz").write_bytes(zeros)
    sparse(tmp_path / "idx" / f"{IMAGES}.gz", 10**11)
    _batches(10**11)(tmp_path / "cifar")
    sparse(tmp_path / "keras" / "mnist.npz", 10**11)
    sparse(tmp_path / "zeros.npy", 10**11)
    sparse(tmp_path / "claims.npy", 2**40, npy_header((2**37 - 16, 1)))
    sparse(tmp_path / "zeros.npz", 10**11)
    _bomb(tmp_path / "bomb.npz")
    sparse(tmp_path / "x.csv", 2**43, b"1,2\n")
    (tmp_path / "line.csv").write_bytes(b"1," * 10**8)
    sparse(tmp_path / "x.parquet", 10**11, b"PAR1")
    sparse(tmp_path / "holes.npy", 12 * 10**8 + 128, npy_header((15 * 10**7, 1)))
    _wide(tmp_path / "wide.npz")
    _text(tmp_path / "text.parquet")
    _many_members(tmp_path / "members" / "mnist.npz")
    _bomb(tmp_path / "pack.zip", PATCHES)
    sets = [("mnist", "bomb"), ("mnist", "idx"), ("cifar10", "cifar"), ("mnist", "keras")]
    sets.append(("mnist", "members"))
    calls = [(name, tmp_path / folder) for name, folder in [*sets, ("cifar10", "pack.zip")]]
    calls += [(path, "") for path in sorted(tmp_path.glob("*.[cnp][spa]*"))]
    arguments = [str(value) for call in calls for value in call]
    code = [sys.executable, "-c", HOSTILE, *arguments]
    done = subprocess.run(code, capture_output=True, text=True, check=True)
    *messages, peak = done.stdout.splitlines()
    assert len(messages) == len(calls) == 16
    assert int(peak) * 1024 < 1e9


# --- tensorflow-datasets --------------------------------------------------------------------

INFO, SHARD = "dataset_info.json", "mnist-train.array_record-00000-of-00001"


@pytest.fixture
def prepared(data_dir, tmp_path) -> Path:
    """A copy of the prepared MNIST that may be damaged; its shards are links."""
    pytest.importorskip("tensorflow_datasets")
    folder = tmp_path / "tfds"
    (folder / "mnist" / "3.0.1").mkdir(parents=True)
    for source in (data_dir / "tfds" / "mnist" / "3.0.1").iterdir():
        target = folder / "mnist" / "3.0.1" / source.name
        target.symlink_to(source) if "record" in source.name else shutil.copy(source, target)
    return folder


def _replaced(name: str, change):
    def damage(folder: Path) -> None:
        path = folder / name
        raw = path.read_bytes()
        path.unlink()
        changed = change(raw)
        if changed is not None:
            path.write_bytes(changed)

    return damage


PREPARED = {
    "info list": _replaced(INFO, lambda raw: b"[]"),
    "info number": _replaced(INFO, lambda raw: b"3"),
    "info null": _replaced(INFO, lambda raw: b"null"),
    "info empty": _replaced(INFO, lambda raw: b""),
    "info cut": _replaced(INFO, lambda raw: raw[:500]),
    "info nested": _replaced(INFO, lambda raw: b"[" * 100_000),
    "info not UTF-8": _replaced(
        INFO, lambda raw: raw.replace(b"Modified", b"\xff").replace(b"m", b"\xff")
    ),
    "info without splits": _replaced(INFO, lambda raw: raw.replace(b'"splits"', b'"other"')),
    "another split": _replaced(INFO, lambda raw: raw.replace(b'"train"', b'"other"')),
    "another version": _replaced(INFO, lambda raw: raw.replace(b"3.0.1", b"2.0.0")),
    "another format": _replaced(INFO, lambda raw: raw.replace(b"array_record", b"tfrecord")),
    "fewer records": _replaced(INFO, lambda raw: raw.replace(b"60000", b"59999")),
    "more records": _replaced(INFO, lambda raw: raw.replace(b"60000", b"99999")),
    "info absent": _replaced(INFO, lambda raw: None),
    "shard absent": _replaced(SHARD, lambda raw: None),
    "shard empty": _replaced(SHARD, lambda raw: b""),
    "shard cut": _replaced(SHARD, lambda raw: raw[:1_000_000]),
    "shard of zeros": _replaced(SHARD, lambda raw: bytes(100_000)),
    "shard flipped": _replaced(SHARD, lambda raw: raw[:70_000] + bytes(9_000) + raw[79_000:]),
}


@pytest.mark.parametrize("case", PREPARED)
def test_a_damaged_prepared_folder_is_named_with_what_to_do(case, prepared):
    PREPARED[case](prepared / "mnist" / "3.0.1")
    message = refused("mnist", data_dir=prepared)
    assert str(prepared / "mnist") in message
    assert "prepare it" in message


@pytest.mark.long
def test_a_prepared_folder_gives_the_same_digits(data_dir):
    pytest.importorskip("tensorflow_datasets")
    files = readers.read_mnist(data_dir)
    for folder in (data_dir / "tfds", data_dir / "tfds" / "mnist" / "3.0.1"):
        assert readers.prepared_folder("mnist", folder) == data_dir / "tfds"
    read = readers.read_prepared("mnist", data_dir / "tfds")
    # another order of the same digits
    assert sorted(row.tobytes() for row in read) == sorted(row.tobytes() for row in files)


def test_without_tensorflow_datasets_the_message_names_both_ways(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(InputError, match=r"--data-dir.*\.\[datasets\]"):
        data.load("mnist")


def test_without_a_network_preparing_fails_at_once(monkeypatch, tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")

    def unreachable(*args, **kwargs):
        raise OSError("Name or service not known")

    def garbled(*args, **kwargs):
        raise http.client.BadStatusLine("no HTTP")

    build = tfds.builder
    monkeypatch.setattr(tfds, "builder", lambda name, data_dir: build(name, data_dir=tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    assert "network" in refused("mnist")
    monkeypatch.setattr("urllib.request.urlopen", garbled)
    assert "network" in refused("mnist")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("1;2\n3;4\n", "semicolons"),
        ("a;b\n1,5;2,5\n", "semicolons"),
        ("1 2\n3 4\n", "spaces"),
        ("1\t2\n3\t4\n", "tabs"),
        ("1.5,2.5,abc\n1,2,3\n", "abc"),
    ],
)
def test_another_separator_and_a_half_header_are_named(text, named, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=named):
        data.load(path)


def test_a_first_line_that_numbers_the_columns_is_a_header_and_said_to_be(tmp_path):
    path = tmp_path / "x.csv"
    pd.DataFrame([[5, 6], [7, 8]]).to_csv(path, index=False)
    with pytest.warns(UserWarning, match="first line"):
        assert data.load(path).train.tolist() == [[5, 6], [7, 8]]
