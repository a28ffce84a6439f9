"""Archives of runs made elsewhere: zip files that grow run by run, and their import."""

import contextlib
import io
import re
import zipfile
from pathlib import Path

from aesparse.errors import InputError, reason
from aesparse.files import replacing
from aesparse.options import shortened
from experiments.pipeline.protocol import SCALES
from experiments.pipeline.store import SUFFIX, RunStore
from experiments.pipeline.stored import MOST_BYTES as LARGEST_RUN

__all__ = ["MOST_BYTES", "Archive", "merge"]

MOST_BYTES = 15_000_000  # of one file
_SHOWN = 5  # refused members that a message names


class Archive:
    """Runs in `path` and, as each is full, `path` with -2, -3, … before the suffix.

    A file is rewritten whole and takes the place of the one before, so that it is sound at any
    moment. Members are called `<scale>/<file name of the run>`.
    """

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        self._path, self._most = path, most_bytes

    @property
    def files(self) -> list[Path]:
        """The files there are, in the order they were begun."""
        paths, number = [], 1
        while (path := self._numbered(number)).exists():
            paths.append(path)
            number += 1
        return paths

    def _numbered(self, number: int) -> Path:
        stem = self._path.stem if number == 1 else f"{self._path.stem}-{number}"
        return self._path.with_name(f"{stem}{self._path.suffix}")

    def names(self) -> list[str]:
        """The members of all files; `InputError` if one cannot be read."""
        names = []
        for path in self.files:
            with _opened(path) as archive:
                names += archive.namelist()
        return names

    def add(self, scale: str, path: Path) -> None:
        """Appends the stored run at `path`, unless a member of its name is there."""
        name, data = f"{scale}/{path.name}", path.read_bytes()
        if name in self.names():  # which fails unless all files are archives
            return
        files = self.files or [self._path]
        before = files[-1].read_bytes() if files[-1].exists() else b""
        grown = _appended(before, name, data)
        target = files[-1]
        if before and len(grown) > self._most:
            target, grown = self._numbered(len(files) + 1), _appended(b"", name, data)
        with replacing(target) as temporary:
            temporary.write_bytes(grown)


def _appended(before: bytes, name: str, data: bytes) -> bytes:
    buffer = io.BytesIO(before)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is no regular file")
        return zipfile.ZipFile(path)
    except Exception as error:  # damaged bytes make zipfile raise many kinds
        raise InputError(
            f"{path} is not a readable archive of runs ({reason(error)}); fetch it again."
        ) from None


def merge(path: Path, root: Path) -> tuple[int, int]:
    """Stores the runs of an archive file under `root`; returns how many are new, and were there.

    Sound runs are stored even if others are not; nothing stored before is overwritten. Then
    `InputError` names those that are damaged, foreign, or other than the ones stored.
    """
    counts, refused = [0, 0], []
    with contextlib.ExitStack() as held:
        archive = held.enter_context(_opened(path))
        stores: dict[str, RunStore] = {}
        for member in archive.infolist():
            scale, _, name = member.filename.partition("/")
            key = name.removesuffix(SUFFIX)
            if scale not in SCALES or not re.fullmatch(r"[\w.+-]+", name) or key == name:
                refused.append(f"{shortened(member.filename)} is no run")
                continue
            if member.file_size > LARGEST_RUN:
                refused.append(f"{member.filename} has {member.file_size:,} bytes")
                continue
            if scale not in stores:
                stores[scale] = RunStore(root, scale)
                held.enter_context(stores[scale].writing())
            try:
                with archive.open(member) as file:  # which may hold more than it claims
                    data = file.read(member.file_size + 1)
            except Exception as error:  # damaged bytes make zlib and zipfile raise many kinds
                refused.append(f"{member.filename} is damaged ({reason(error)})")
                continue
            try:
                counts[not stores[scale].adopt(key, data)] += 1
            except InputError as error:
                refused.append(str(error).rstrip("."))
    if refused:
        named = "; ".join(refused[:_SHOWN]) + "; …" * (len(refused) > _SHOWN)
        raise InputError(
            f"{path} holds {len(refused)} run{'s' * (len(refused) > 1)} that cannot be imported: "
            f"{named}. The other {sum(counts)} are stored; fetch the archive again for these."
        )
    return counts[0], counts[1]
