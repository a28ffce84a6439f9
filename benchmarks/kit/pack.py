"""What the record needs beside the code, in one zip file that `--data-dir` reads."""

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np

from aesparse.data import load
from aesparse.data.readers import MNIST_FILES, PATCHES, data_folder, patches_file, read_mnist
from aesparse.errors import InputError
from aesparse.files import replacing

__all__ = ["MOST_BYTES", "check_data", "write_pack"]

MOST_BYTES = 25 * 2**20


def write_pack(path: Path, data_dir: Path) -> int:
    """Writes MNIST's files and the crops of the stored runs to `path`; returns its bytes.

    `InputError` for data that are not those of the stored runs.
    """
    crops, folder = check_data(data_dir), data_folder(data_dir)
    folder = folder / "mnist" if (folder / "mnist").is_dir() else folder
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as out:
        for name in MNIST_FILES:
            file = folder / f"{name}.gz"
            if not file.is_file():
                raise InputError(f"{folder} has no {file.name}; expected MNIST's files, gzipped.")
            out.writestr(f"mnist/{file.name}", file.read_bytes(), zipfile.ZIP_STORED)
        for samples, rows in crops.items():
            buffer = io.BytesIO()
            np.save(buffer, rows)
            out.writestr(patches_file(samples), buffer.getvalue(), compresslevel=9)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise InputError(f"{path} has {size} bytes; expected at most {MOST_BYTES}.")
    return size


def check_data(data_dir: Path) -> dict[int, np.ndarray]:
    """The crops of the stored runs by training rows, `[N, 8, 8, 3]`; MNIST is read, too.

    `InputError` for data that cannot be read, or have another checksum.
    """
    found = {}
    for samples, expected in PATCHES.items():
        data = load("cifar10", data_dir=data_dir, samples=samples)
        rows = np.concatenate([data.train, data.heldout])
        crops = np.rint(rows * 255).astype(np.uint8).reshape(-1, *data.shape)
        checksum = hashlib.sha256(crops.tobytes()).hexdigest()
        if checksum != expected:
            raise InputError(
                f"The CIFAR-10 patches of {data_dir} have the checksum {checksum[:12]}…; expected "
                f"{expected[:12]}…, that of the stored runs. Use the files these were made from."
            )
        found[samples] = crops
    folder = data_folder(data_dir)
    folder = folder / "mnist" if (folder / "mnist").is_dir() else folder
    for split in ("train", "test"):
        for field in ("image", "label"):
            read_mnist(folder, split, field)
    return found
