"""The report: one self-contained page with claims, figures, and single models."""

import base64
import html
import io
import json
import string
import urllib.parse
from pathlib import Path

import numpy as np

from aesparse.files import require_writable
from experiments.drawing import style
from experiments.drawing.filters import montage
from experiments.evidence import tables
from experiments.pipeline.damage import Damage
from experiments.pipeline.figure import Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import SCALES, title
from experiments.pipeline.record import read_record, record_path
from experiments.pipeline.registry import deciding_plans, figure_names, get_figure
from experiments.pipeline.seal import write_page
from experiments.pipeline.spec import GridSpec
from experiments.pipeline.store import RunStore

__all__ = ["write"]

_TEMPLATE = Path(__file__).with_name("report.html")
_HISTORIES = {
    "activation_fraction": "activation fraction",
    "dead_fraction": "dead units",
    "preactivation_mean": "mean E[a_j]",
    "reconstruction": "reconstruction error",
}


def write(
    out: Path,
    verdicts: list[tuple[str, str, Verdict]],
    seeds: int | None = None,
    damage: Damage | None = None,
) -> Path:
    """Writes `out/index.html` from the verdicts and what else is stored; returns its path.

    Figures and runs that are damaged are left out, with a sentence each in `damage`.
    """
    require_writable(out)
    damage = damage or Damage()
    figures, runs = {}, {}
    for scale in reversed(SCALES):
        store = RunStore(out, scale, damage)
        for name in figure_names():
            figure = get_figure(name)
            if scale in figure.scales:
                plan, *unseen = deciding_plans(out, figure, scale, seeds)
                for drawn in (_drawn(out, name, plan) if seeds is None else plan, *unseen):
                    stored = record_path(out, name, drawn)
                    if stored.exists():
                        with damage.noted():
                            record = read_record(stored, name, drawn)
                            before = figures.get((scale, name), "")
                            anchor = f"{scale}-{name}{drawn.suffix if before else ''}"
                            figures[scale, name] = before + _figure(scale, anchor, record, stored)
                first = [s for s in figure.runs(plan) if s.kind == "grid" and s.seed == 0]
                runs |= {(scale, s): store.load(s) for s in first if (scale, s) not in runs}
    cells = [_cell(scale, spec, run) for (scale, spec), run in runs.items() if run is not None]
    digest, others = tables.digest(verdicts)
    page = string.Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        overview=_table(tables.overview(verdicts)),
        verdicts="\n".join(_row(*row, (row[0], row[1]) in figures) for row in verdicts),
        digest=_table(digest),
        others="\n".join(f"<li>{html.escape(line)}.</li>" for line in others),
        figures="\n".join(figures.values()),
        runs=json.dumps(cells, separators=(",", ":")).replace("</", "<\\/"),
        histories=json.dumps(_HISTORIES),
    )
    path = out / "index.html"
    write_page(path, page)
    return path


def _drawn(out: Path, name: str, plan: Plan) -> Plan:
    """The plan of all seeds that decide a figure's claims, or the usual if only that is drawn."""
    usual = plan._replace(seeds=plan.scale.seeds)
    return plan if record_path(out, name, plan).exists() else usual


def _table(lines: list[tuple[str, ...]]) -> str:
    head, *rows = lines
    return "\n".join(
        f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"
        for tag, cells in (("th", head), *(("td", row) for row in rows))
    )


def _row(scale: str, figure: str, v: Verdict, shown: bool) -> str:
    claim = html.escape(v.claim)
    if shown:
        claim = f'<a href="#{scale}-{figure}">{claim}</a>'
    cells = (scale, title(v.dataset), v.statement, v.numbers)
    why = "".join(f"<p><small>{html.escape(sentence)}</small></p>" for sentence in v.why)
    return (
        f"<tr><td>{claim}</td>"
        f'<td><span class="verdict {v.verdict.replace(" ", "-")}">{v.verdict}</span>'
        f"<br><small>{v.rests_on}</small></td>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        + (
            f'</tr><tr class="why"><td></td><td></td><td colspan="4">{why}</td></tr>'
            if why
            else "</tr>"
        )
    )


def _figure(scale: str, anchor: str, record: dict, stored: Path) -> str:
    picture = stored.with_suffix(".svg")
    parents = list(record["runs"].values())
    made = ", ".join(
        f"{field} {' / '.join(sorted({str(p[field]) for p in parents}))}"
        for field in ("device", "jax", "revision")
    )
    hours = sum(p["wall_seconds"] for p in parents) / 3600
    return (
        f'<figure id="{anchor}"><h3>{html.escape(record["title"])} '
        f"<small>{scale}</small></h3>"
        f'<img alt="{html.escape(record["title"])}" src="data:image/svg+xml,'
        f'{_quoted(picture.read_text(encoding="utf-8"))}">'
        f"<figcaption>{html.escape(record['caption'])}</figcaption>"
        f"<details><summary>How it was made</summary>"
        f"<pre>{html.escape(record['command'])}</pre>"
        f"<p>{len(parents)} runs, {hours:.1f} hours of training; {html.escape(made)}.</p>"
        "</details></figure>"
    )


def _quoted(svg: str) -> str:
    """An SVG for an address in double quotes; a quarter smaller than base64."""
    return urllib.parse.quote(" ".join(svg.splitlines()), safe=" <>=/:;,.()'!?+*@[]{}|")


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _cell(scale: str, spec: GridSpec, run) -> dict:
    """What the page's script draws: a run's histories, and its filters where they are kept."""
    label = f"{scale}: {title(spec.dataset)}, {style.label(spec.objective)}"
    return {
        "label": f"{label}, {spec.activation}, {spec.constraint}, rate {spec.learning_rate}, "
        f"batch {spec.batch_size}",
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
    return _encoded(buffer.getvalue())
