"""Filters as pictures: tiles of weights, grey around zero, or colours for three channels."""

import numpy as np

__all__ = ["montage", "show"]

_GAP = 1  # pixels between tiles


def montage(rows: np.ndarray, shape: tuple[int, int, int], columns: int) -> np.ndarray:
    """Weights `[K, n]` as one picture `[H, W, 3]` uint8, each scaled by its own largest weight."""
    height, width, _ = shape
    largest = np.abs(rows).max(axis=-1, keepdims=True)
    scaled = np.divide(rows, largest, out=np.zeros(rows.shape), where=largest > 0)
    tiles = np.rint(127.5 + 127.5 * scaled).astype(np.uint8).reshape(len(rows), *shape)
    lines = -(-len(rows) // columns)
    picture = np.full(
        (lines * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3), 255, np.uint8
    )
    for i, tile in enumerate(tiles):
        top, left = i // columns * (height + _GAP), i % columns * (width + _GAP)
        picture[top : top + height, left : left + width] = tile
    return picture


def show(
    axis, rows: np.ndarray, shape: tuple[int, int, int], columns: int, title: str = ""
) -> None:
    """Draws a montage in a panel without axes."""
    axis.imshow(montage(rows, shape, columns), interpolation="nearest")
    axis.set_title(title, fontsize=9)
    axis.set_axis_off()
