"""The report's pages as a test reads them: links, anchors, pictures, visible text."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import stored_runs
import tiny

from experiments import report
from experiments.evidence.tables import collect_verdicts
from experiments.pipeline.protocol import SCALES
from experiments.pipeline.record import publish
from experiments.pipeline.registry import gathered, get_figure
from experiments.pipeline.store import RunStore

DRAWN = ("arpit-fig1", "arpit-fig4")
SHOWN = (*DRAWN, "arpit-fig5")
ROOT = Path(__file__).parents[1]
_NOT_SHOWN = ("style", "script", "title")


class Page(HTMLParser):
    """What a page of the report holds."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.html = path, path.read_text(encoding="utf-8")
        self.links: list[str] = []
        self.anchors: list[str] = []
        self.pictures: list[dict[str, str]] = []
        self.titles: list[str] = []
        self.verdicts: list[str] = []  # the classes of verdicts
        self._said: list[str] = []
        self._hidden = 0
        self.feed(self.html)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self._hidden += tag in _NOT_SHOWN
        self.anchors += [values["id"]] if "id" in values else []
        self.titles += [values["title"]] if tag == "abbr" else []
        self.links += [values["href"]] if tag == "a" else []
        self.pictures += [values] if tag == "img" else []
        classes = values.get("class", "").split()
        self.verdicts += classes[1:] if classes[:1] == ["verdict"] else []

    def handle_endtag(self, tag):
        self._hidden -= tag in _NOT_SHOWN

    def handle_data(self, data):
        if not self._hidden:
            self._said.append(data)

    @property
    def text(self) -> str:
        """What a reader sees once all is unfolded, words apart by one space."""
        return " ".join("".join(self._said).split())


def read(out: Path) -> dict[str, Page]:
    """All pages of a report by their names."""
    return {
        path.name: Page(path) for path in (out / "index.html", *(out / "report").glob("*.html"))
    }


def text(out: Path) -> str:
    """The source of all pages."""
    return "\n".join(page.html for page in read(out).values())


def store_report(runs: Path, out: Path) -> list:
    """The report of the runs of `SHOWN` with `DRAWN` drawn, of which A4 fails on photographs."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny.use(monkeypatch)
        tiny.copy_runs(runs, out, *SHOWN)
        store = RunStore(out, "reduced")
        for spec in get_figure("arpit-fig4").runs(tiny.plan()):
            if (spec.objective, spec.dataset) == ("cae", "photos"):
                store.save(spec, stored_runs.fake(spec, np.linspace(0.6, 0.8, 11)))
        (out / "reduced").mkdir()
        for name in DRAWN:
            figure = get_figure(name)
            runs_of = gathered(figure, tiny.plan(), store)
            publish(figure, name, tiny.plan(), runs_of, out / "reduced")
        verdicts = collect_verdicts(out)
        report.write(out, verdicts)
    return verdicts


def store_stored(out: Path) -> list:
    """The report of the runs that are stored in the repository; returns its verdicts."""
    for name in ("runs", *SCALES):
        (out / name).symlink_to(ROOT / "figures" / name)
    verdicts = collect_verdicts(out)
    report.write(out, verdicts)
    return verdicts
