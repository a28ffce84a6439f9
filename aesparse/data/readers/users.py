"""A user's own file, by its ending: read, or refused with the line that converts it."""

from pathlib import Path
from typing import Any

from aesparse.data.readers.arrays import read_npy, read_npz
from aesparse.data.readers.files import reading, shown
from aesparse.data.readers.tables import read_csv, read_parquet
from aesparse.errors import InputError

__all__ = ["is_users_file", "read_matrix"]

_READERS = {
    ".npy": read_npy,
    ".npz": read_npz,
    ".csv": lambda path: read_csv(path, ","),
    ".tsv": lambda path: read_csv(path, "\t"),
    ".parquet": read_parquet,
}
_PICKLE = "a pickle, which can run any program and is never opened; store its array"
# What a file of another kind is, and what makes a matrix of it.
_OTHERS = {
    ".mat": "MATLAB's; convert it: np.save('x.npy', scipy.io.loadmat(PATH)['X'])",
    ".h5": "HDF5; convert it: np.save('x.npy', h5py.File(PATH)['X'][:])",
    ".pkl": f"{_PICKLE}: np.save('x.npy', X)",
    ".pt": f"{_PICKLE}: np.save('x.npy', torch.load(PATH).numpy())",
    ".feather": "Feather; convert it: pandas.read_feather(PATH).to_parquet('x.parquet')",
    ".xlsx": "a spreadsheet; convert it: pandas.read_excel(PATH).to_csv('x.csv', index=False)",
    ".txt": "text; if it is a table, name it .csv and separate its columns by commas",
    ".gz": "compressed; unpack it with `gunzip`",
    ".zip": "a zip file; unpack it with `unzip`",
    ".png": "a picture; convert it: np.save('x.npy', np.asarray(PIL.Image.open(PATH)))",
}
_SAME = {
    ".hdf5": ".h5", ".pickle": ".pkl", ".joblib": ".pkl", ".pth": ".pt", ".arrow": ".feather",
    ".xls": ".xlsx", ".jpg": ".png", ".jpeg": ".png", ".dat": ".txt",
}  # fmt: skip


def is_users_file(name: str | Path) -> bool:
    """Whether a name is meant as a path: by its ending, its folder, or what lies there."""
    path = Path(name)
    suffix = path.suffix.lower()
    if not str(name).strip():
        return False
    if suffix in {*_READERS, *_OTHERS, *_SAME} or len(path.parts) > 1:
        return True
    with reading(path, "check the path."):
        return path.exists()


def read_matrix(path: Path) -> Any:
    """A user's matrix, or data frame, from a `.npy`, `.npz`, `.csv`, `.tsv` or `.parquet` file.

    A `.npz` file holds it as its array `X` or its only one. `InputError` for defective files, and,
    with the line that converts it, for those of another kind; a pickle is never opened.
    """
    suffix = path.suffix.lower()
    if suffix in _READERS:
        return _READERS[suffix](path)
    taken = f"expected a file {', '.join(_READERS)}"
    other = _OTHERS.get(_SAME.get(suffix, suffix))
    with reading(path, "check the path."):
        if path.is_dir():
            raise InputError(
                f"{shown(path)} is a folder; {taken}, or the name of a data set with this folder "
                "as data_dir."
            )
        if not path.exists():
            raise InputError(f"No file {shown(path)}; {taken}, or the name of a data set.")
    if other:
        raise InputError(f"{shown(path)} is {other}.")
    raise InputError(f"{shown(path)} is of a kind that is not read; {taken}.")
