"""The report: what its pages say, where their links lead, and pictures for dark pages."""

import re
from itertools import pairwise

import numpy as np
import pytest
import report_pages
import tiny
from report_pages import DRAWN, ROOT, SHOWN

from aesparse.pictures import DARK_PAPER, themed
from experiments import report
from experiments.pages.answers import answer
from experiments.pipeline.figure import Verdict
from experiments.pipeline.registry import figure_names, get_figure
from experiments.report.markup import Text

pytestmark = pytest.mark.long

MOST_BYTES = 3e6  # of a page


@pytest.fixture
def out(arpit_report):
    """The folder of that report."""
    return arpit_report[0]


def require_sound(out):
    """Every page is small, every link and picture leads somewhere, and no anchor is there twice."""
    pages = {page.path.resolve(): page for page in report_pages.read(out).values()}
    for page in pages.values():
        assert page.path.stat().st_size < MOST_BYTES
        assert len(page.anchors) == len(set(page.anchors))
        assert len(page.links) > 1
        for target in page.links:
            path, _, anchor = target.partition("#")
            linked = (page.path.parent / path).resolve() if path else page.path.resolve()
            assert linked.exists(), target
            assert not anchor or anchor in pages[linked].anchors, target
        for picture in page.pictures:
            assert (page.path.parent / picture["src"]).exists()
            assert picture["loading"] == "lazy"
            assert picture["alt"]
            assert min(int(picture[side]) for side in ("width", "height")) > 100
        assert not re.search(r"""(?:href|src|url)\W*["'(]?https?:""", page.html)
    reached, new = set(), {out.resolve() / "index.html"}
    while new:
        reached |= new
        targets = ((p, link.partition("#")[0]) for p in new for link in pages[p].links)
        new = {(p.parent / path).resolve() for p, path in targets if path} & pages.keys() - reached
    assert reached == pages.keys()


def test_the_pages_are_small_and_their_links_resolve(out):
    require_sound(out)
    pictures = [p["src"] for page in report_pages.read(out).values() for p in page.pictures]
    assert sorted(pictures) == [f"../reduced/{name}.svg" for name in DRAWN]


def test_each_claim_is_linked_to_its_figure_its_numbers_and_its_explanation(arpit_report):
    out, rows = arpit_report
    pages = report_pages.read(out)
    overview, paper = pages["index.html"], pages["arpit.html"]
    of_them = [row for row in rows if row[1] in SHOWN]
    assert {"holds", "fails", "not run"} <= {v.verdict for _, _, v in of_them}
    assert any(v.why for _, _, v in of_them)
    for _, name, v in of_them:
        assert f"report/arpit.html#{name}" in overview.links
        assert f"report/arpit.html#{name}.{v.claim}.numbers" in overview.links
        assert f"../index.html#{v.claim}" in paper.links
        if v.why:
            assert f"report/arpit.html#{name}.{v.claim}.why" in overview.links


def require_told(out, verdicts):
    """The text of every verdict stands on the page of its figure, and each figure's answer."""
    pages = report_pages.read(out)
    told = {name: p for p in pages.values() for name in figure_names() if name in p.anchors}
    for scale, name, v in verdicts:
        for part in (v.claim, scale, v.statement, v.verdict, v.numbers, *v.why):
            shown = " ".join(part.replace("`", "").split())
            assert shown in told[name].text, (name, part)
    for name in {name for _, name, _ in verdicts}:
        one = answer(name, verdicts)
        assert f"{one.outcome} {one.place}" in pages["index.html"].text
    kinds = [kind for page in pages.values() for kind in page.verdicts]
    for mark, kind in zip("✓✗?", ("holds", "fails", "inconclusive"), strict=True):
        marked = len(
            re.findall(rf'"verdict {kind}">{re.escape(mark)} {kind}', report_pages.text(out))
        )
        assert kinds.count(kind) == marked
    assert kinds.count("holds") >= 20


def test_the_pages_say_what_the_runs_say(arpit_report):
    require_told(*arpit_report)


@pytest.mark.long
def test_the_report_of_the_stored_runs_says_what_they_say(stored_report):
    out, verdicts = stored_report
    require_sound(out)
    require_told(out, verdicts)
    require_spelled_out(out)
    pages = report_pages.read(out).values()
    shown = {picture["src"].removeprefix("../") for page in pages for picture in page.pictures}
    kept = {p.relative_to(ROOT / "figures").as_posix() for p in ROOT.glob("figures/*/*.svg")}
    # A figure that none of the usual plans names, such as one at another rate, is not shown.
    assert shown <= kept
    assert len(shown) > 40


NAMES = {
    "DAE": "denoising auto-encoder",
    "CAE": "contractive auto-encoder",
    "mDAE": "marginalized denoising auto-encoder",
    "SAE": "sparse auto-encoder",
    "SATAE": "saturating auto-encoder",
    "GSAE": "generalized sparse auto-encoder",
}


def require_spelled_out(out):
    for page in report_pages.read(out).values():
        for name, meaning in NAMES.items():
            if re.search(rf"(?<![\w-]){name}\b", page.text):
                assert f"{name}{meaning}" in page.text  # a term and its description


def test_short_names_are_spelled_out_on_each_page(out):
    require_spelled_out(out)
    assert set(NAMES.values()) & set(report_pages.read(out)["arpit.html"].titles)


HOSTILE = '<script>alert("1")</script> & <b>'


def test_text_is_escaped(out, tmp_path, tiny_scales):
    verdict = Verdict("A1", "mnist", HOSTILE, "fails", HOSTILE, (HOSTILE,), HOSTILE)
    report.write(tmp_path, [("reduced", "arpit-fig1", verdict)])
    source = report_pages.text(tmp_path)
    assert source.count("<script>") == len(report_pages.read(tmp_path))
    assert "<b>" not in source.replace("<b>The paper:", "").partition("How an answer")[0]
    assert report_pages.read(tmp_path)["arpit.html"].text.count(HOSTILE) >= 4
    require_sound(tmp_path)


def test_a_short_name_inside_a_longer_one_is_left_alone():
    say = Text({"AE": "auto-encoder", "DAE-2": "two", "DAE": "<one>"})
    assert say("SATAE") == "SATAE"
    assert say("DAE-2's").count("abbr") == 2
    assert 'title="&lt;one&gt;"' in say("DAE")
    assert set(say.used) == {"DAE-2", "DAE"}


def test_pages_and_models_that_are_gone_are_removed(out, tmp_path, tiny_scales):
    tiny.copy_runs(out, tmp_path, "arpit-fig4")
    (tmp_path / "report" / "models").mkdir(parents=True)
    gone = [tmp_path / "report" / "old.html", tmp_path / "report" / "models" / "old.js"]
    mine = tmp_path / "report" / "notes.txt"
    for path in (*gone, mine):
        path.write_text("", encoding="utf-8")
    report.write(tmp_path, [])
    assert not any(path.exists() for path in gone)
    assert mine.exists()
    specs = [s for s in get_figure("arpit-fig4").runs(tiny.plan()) if s.seed == 0]
    assert len(list((tmp_path / "report" / "models").glob("*.js"))) == len(specs)


def luminance(colour):
    """WCAG 2.2, relative luminance of sRGB."""
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def on_dark(colours):
    """What lines of some colours become on a dark page."""
    lines = "".join(f'<path style="stroke: {colour}"/>' for colour in colours)
    sheet = themed(f"<svg><style></style>{lines}</svg>")
    found = dict(re.findall(r"stroke: (#\w{6})\"\]\{stroke:(#\w{6})", sheet))
    return [found[colour] for colour in colours]


def test_lines_can_be_seen_on_a_dark_page_and_keep_their_order():
    import matplotlib as mpl

    dark_to_light = [
        mpl.colors.to_hex(c) for c in mpl.colormaps["viridis"](np.linspace(0, 0.85, 12))
    ]
    okabe_ito = ["#000000", "#0072b2", "#d55e00", "#e69f00", "#cc3311", "#009e73", "#56b4e9"]
    for colours in (dark_to_light, okabe_ito, ["#555555", "#777777", "#999999"]):
        assert all(contrast(colour, DARK_PAPER) >= 3 for colour in on_dark(colours))
        assert len(set(on_dark(colours))) == len(colours)
    lightness = [luminance(colour) for colour in on_dark(dark_to_light)]
    assert all(a < b for a, b in pairwise(lightness))
    assert on_dark(["#ffffff", "#56b4e9"]) == [DARK_PAPER, "#56b4e9"]
    assert luminance(on_dark(["#555555"])[0]) > luminance(on_dark(["#999999"])[0])


def test_a_picture_that_is_drawn_fits_a_dark_page(out):
    svg = (out / "reduced" / "arpit-fig1.svg").read_text(encoding="utf-8")
    sheet = re.search(r"prefers-color-scheme:dark\)\{(.*?)</style>", svg)[1]
    drawn = set(re.findall(r"((?:fill|stroke): #\w{6})", svg.replace(sheet, "")))
    assert len(drawn) > 5
    assert all(f'[style*="{part}"]' in sheet for part in drawn)
