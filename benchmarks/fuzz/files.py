"""Damaged and foreign files besides the store's: checkpoints, models, lists of runs, pages."""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from aesparse.data import standardize
from aesparse.models import saved
from aesparse.models.one_layer import OneLayer, Params
from aesparse.training.checkpoints import Checkpoints
from benchmarks import pages
from benchmarks.fuzz.kit import Attempt, damage
from experiments.pipeline import wanted
from experiments.pipeline.seal import changed_page, sealed_page

__all__ = ["PAGE", "TARGETS"]

PAGE = "# A page\n\n| σ² | active |\n| --- | --- |\n| 0.1 | 0.25 |\n"
_BLOCK = "a block"
_BEGIN, _END = f"<!-- {_BLOCK}: python -m benchmarks.pages -->", f"<!-- end of {_BLOCK} -->"


def checkpoint(rng: np.random.Generator, folder: Path) -> Attempt:
    """The newest of two checkpoints damaged, under another name, or the one before it too."""
    trees = {
        i: {"w": np.random.default_rng(i).normal(size=(40, 30)), "n": np.int32(i)} for i in (1, 2)
    }
    kept = Checkpoints(folder / "c", "this", on_damage=lambda sentence: None)
    for epoch, tree in trees.items():
        kept.save(epoch, tree, settings={"rate": 0.1})
    newest, kind = kept.folder / "2.npz", rng.random()
    if kind < 0.9:
        what, data = damage(rng, newest.read_bytes())
        newest.write_bytes(data)
    else:
        what = "renamed"
        newest.rename(newest.with_name("3.npz"))
    if rng.random() < 0.2:
        what += ", and the one before"
        before = kept.folder / "1.npz"
        before.write_bytes(damage(rng, before.read_bytes())[1])

    def sound(resumed) -> bool:
        tree = trees[resumed.epoch]
        return all(resumed.tree[n].tobytes() == np.asarray(tree[n]).tobytes() for n in tree)

    return Attempt(what, lambda: kept.latest(trees[1], settings={"rate": 0.1}), sound)


@functools.cache
def _model() -> bytes:
    rng = np.random.default_rng(0)
    params = Params(
        rng.normal(size=(6, 5)).astype(np.float32), rng.normal(size=6).astype(np.float32)
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.npz"
        scaler, at = standardize(rng.normal(size=(9, 5))), {"strength": 0.25}
        saved.save(path, OneLayer(6), params, scaler=scaler, coordinates=at)
        return path.read_bytes()


def model(rng: np.random.Generator, folder: Path) -> Attempt:
    """A saved model with damaged bytes."""
    (folder / "sound.npz").write_bytes(_model())
    what, data = damage(rng, _model())
    (folder / "m.npz").write_bytes(data)

    def sound(loaded) -> bool:
        expected = saved.load(folder / "sound.npz")
        numbers = [
            [*loaded_params, *(loaded_scaler or ())]
            for _, loaded_params, loaded_scaler, _ in (loaded, expected)
        ]
        return (loaded[0], loaded[3]) == (expected[0], expected[3]) and all(
            (a is None and b is None) or (a.dtype == b.dtype and a.tobytes() == b.tobytes())
            for a, b in zip(*numbers, strict=True)
        )

    return Attempt(what, lambda: saved.load(folder / "m.npz"), sound)


def wanted_list(rng: np.random.Generator, folder: Path) -> Attempt:
    """A damaged list of wanted runs, or one with a value of the wrong kind."""
    text, path = wanted.WANTED.read_text(encoding="utf-8"), folder / "wanted.toml"
    junk = (
        "[]",
        "3",
        "-1",
        "1e30",
        '"x"',
        "true",
        "{}",
        "[[]]",
        "[-1]",
        '["x"]',
        "nan",
        "0",
        "[1.5]",
    )
    if rng.random() < 0.5:
        what, data = damage(rng, text.encode())
    else:
        field = ("scale", "seeds", "figure", "objectives", "activation", "constraint", "datasets",
                 "learning_rate", "x")[rng.integers(9)]  # fmt: skip
        value = junk[rng.integers(len(junk))]
        line = {"scale": '"reduced"', "seeds": "[3]", "figure": '"arpit-fig3"', field: value}
        what = f"{field} = {value}"
        data = ("[[wanted]]\n" + "".join(f"{k} = {v}\n" for k, v in line.items())).encode()
        if rng.random() < 0.1:
            what, data = f"wanted = {value}", f"wanted = {value}".encode()
    path.write_bytes(data)
    # A list has no checksum: every line that is read must be one whose runs can be made.
    return Attempt(
        what,
        lambda: wanted.read(path),
        lambda entries: all(isinstance(e, wanted.Entry) and e.specs() for e in entries),
    )


def page(rng: np.random.Generator, folder: Path) -> Attempt:
    """A damaged page, which must be told from the one that was generated."""
    text = sealed_page(PAGE)
    what, data = damage(rng, text.encode())
    path = folder / "page.md"
    path.write_bytes(data)
    # Only the line endings may be others.
    same = data.replace(b"\r\n", b"\n") == text.encode()
    return Attempt(what, lambda: changed_page(path), lambda said: (said is None) == same)


def blocks(rng: np.random.Generator, folder: Path) -> Attempt:
    """A damaged page with a block to fill in: the rest of it stays, to the byte."""
    what, data = damage(rng, f"{PAGE}\n{_BEGIN}\nold\n{_END}\n{PAGE}".encode())
    path = folder / "page.md"
    path.write_bytes(data)

    def sound(text: str) -> bool:
        begin, end = _BEGIN.encode(), _END.encode()
        filled = text.encode()
        before, after = data.split(begin)[0], data.split(end)[1]
        return filled.startswith(before + begin) and filled.endswith(end + after)

    return Attempt(what, lambda: pages.filled(str(path), {_BLOCK: lambda: "new"}), sound)


TARGETS: dict[str, Callable[[np.random.Generator, Path], Attempt]] = {
    "checkpoint": checkpoint,
    "model": model,
    "wanted list": wanted_list,
    "page": page,
    "blocks of a page": blocks,
}
