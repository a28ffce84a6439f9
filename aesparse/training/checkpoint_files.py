"""The file of a checkpoint: one NumPy archive `EPOCH.npz` of arrays and of what they belong to.

What they belong to is JSON, in the array `known`. The archive's comment is the SHA-256 of all the
bytes before it, so that a damaged checkpoint is recognised.
"""

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from aesparse.errors import reason
from aesparse.files import listed

__all__ = ["epochs", "read", "stored_epochs", "write"]

_DIGITS = 64  # of the checksum, in hexadecimal
_BLOCK = 2**20  # bytes of a file that are hashed at once


def write(path: Path, known: dict, leaves: list[np.ndarray]) -> None:
    """Writes an archive of `leaves` and `known`, with its checksum as the last bytes."""
    text = np.frombuffer(json.dumps(known).encode(), np.uint8)
    np.savez(path, known=text, **{str(i): leaf for i, leaf in enumerate(leaves)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"0" * _DIGITS
    checksum, _ = _checksums(path)
    with path.open("r+b") as file:
        file.seek(-_DIGITS, 2)
        file.write(checksum)


def read(path: Path, epoch: int) -> tuple[list[np.ndarray], dict]:
    """The arrays of a checkpoint in their order and what is known of it.

    Any exception is damage: what NumPy's reader raises on bytes that are none is not limited.
    """
    actual, stored = _checksums(path)
    if actual != stored:
        raise ValueError("its checksum does not match")
    with np.load(path) as archive:
        known = json.loads(archive["known"].tobytes())
        leaves = [archive[str(i)].view(name) for i, name in enumerate(known["dtypes"])]
    if known["epoch"] != epoch:
        raise ValueError(f"it was saved as that of epoch {known['epoch']}")
    if not isinstance(known["identity"], str) or not isinstance(known["history"], list):
        raise ValueError("it does not say which training it is of")
    return leaves, {"settings": None, **known, "about": dict(known["about"])}


def epochs(folder: Path) -> list[int]:
    """Those with a checkpoint in a folder, the newest first; none where it is not there."""
    paths = (path for path in listed(folder) if path.suffix == ".npz")
    return sorted((int(path.stem) for path in paths if path.stem.isdecimal()), reverse=True)


def stored_epochs(folder: Path, on_damage: Callable[[str], object]) -> list[int]:
    """The epochs with a sound checkpoint in a folder, the newest first.

    `on_damage` is called with a sentence for each damaged one.
    """
    sound = []
    for epoch in epochs(folder):
        path = folder / f"{epoch}.npz"
        try:
            read(path, epoch)
            sound.append(epoch)
        except FileNotFoundError:  # removed meanwhile by the training it belongs to
            continue
        except Exception as error:  # whatever NumPy's reader makes of bytes that are none
            on_damage(
                f"The checkpoint {path} is damaged ({reason(error)}); the training goes on "
                "from the one before, or delete the folder to begin it again."
            )
    return sound


def _checksums(path: Path) -> tuple[bytes, bytes]:
    """The SHA-256 of a file up to its last `_DIGITS` bytes, and these bytes."""
    if not path.is_file() and path.exists():
        raise ValueError("it is no regular file")
    digest, left = hashlib.sha256(), path.stat().st_size - _DIGITS
    with path.open("rb") as file:
        while left > 0 and (block := file.read(min(left, _BLOCK))):
            digest.update(block)
            left -= len(block)
        return digest.hexdigest().encode(), file.read()
