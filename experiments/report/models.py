"""The page of single models: a list of runs, each with its histories and filters in a file."""

import base64
import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from experiments.drawing import style
from experiments.drawing.filters import montage
from experiments.pipeline.protocol import title
from experiments.pipeline.spec import GridSpec
from experiments.report import markup
from experiments.report.markup import Text

__all__ = ["page"]

_HISTORIES = {
    "activation_fraction": "activation fraction",
    "dead_fraction": "dead units",
    "preactivation_mean": "mean E[a_j]",
    "reconstruction": "reconstruction error",
}
_ROWS = {"free": "unconstrained"}  # as people say it
_FOLDER = "models"
_HERE = Path(__file__).parent


def page(runs: Mapping[tuple[str, GridSpec], object], say: Text) -> tuple[str, str, dict[str, str]]:
    """The page's main part, its script, and the text of a script with the data of every run.

    These are by file name. A page opened from a disk may load scripts, but no other files.
    """
    listed, data = [], {}
    for (scale, spec), run in runs.items():
        name = f"{scale}-{spec.key}"
        file = f"{_FOLDER}/{name}.js"
        label = _label(scale, spec)
        say(label)
        listed.append({"label": label, "file": file})
        content = json.dumps(_content(spec, run), separators=(",", ":"))
        data[file] = f"received({json.dumps(file)}, {content});\n"
    start = {"runs": listed, "histories": _HISTORIES}
    script = f"const explored = {_embedded(start)};\n{_read('models.js')}" if listed else ""
    main = _read("models.html") if listed else "<h1>Single models</h1><p>No run is stored.</p>"
    return main + markup.glossary(say), script, data


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _embedded(content: object) -> str:
    """JSON inside a page, where `</script>` would end the script."""
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).replace("</", "<\\/")


def _label(scale: str, spec: GridSpec) -> str:
    rows = _ROWS.get(spec.constraint, spec.constraint)
    return (
        f"{scale}: {title(spec.dataset)}, {style.label(spec.objective)}, "
        f"{style.activation_label(spec.activation)}, rows {rows}, rate {spec.learning_rate}, "
        f"batch {spec.batch_size}"
    )


def _content(spec: GridSpec, run) -> dict:
    """What the script draws: a run's histories, and its filters where they are stored."""
    return {
        "strengths": list(spec.strengths),
        "histories": {
            name: [_rounded(line) for line in run[f"history_{name}"].values] for name in _HISTORIES
        },
        "filters": [
            {"strength": float(strength), "png": _filters(rows, spec.dataset)}
            for strength, rows in zip(
                run["filter_strength"].values, run["filters"].values, strict=True
            )
        ]
        if "filters" in run
        else [],
    }


def _rounded(line: np.ndarray) -> list[float | None]:
    return [float(f"{v:.3g}") if np.isfinite(v) else None for v in line.astype(float)]


def _filters(rows: np.ndarray, dataset: str) -> str:
    """A strip of filters as a PNG, grey where the data is."""
    from PIL import Image

    depth = 3 if dataset in ("cifar10", "photos") else 1
    side = round((rows.shape[1] / depth) ** 0.5)
    strip = montage(rows.astype(float), (side, side, depth), len(rows))
    buffer = io.BytesIO()
    Image.fromarray(strip if depth > 1 else strip[..., 0]).save(buffer, "png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()
