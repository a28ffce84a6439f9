"""What is stored, drawn and damaged: `status`, `verdicts`, `report` and their pages."""

import json
import re
import shlex
import shutil
import urllib.parse
from html.parser import HTMLParser

import numpy as np
import pytest
import stored_runs
import tiny
from commands import command, exit_status, has_numbers, numbers, refusal
from hypothesis import given
from hypothesis import strategies as st

from aesparse.training.checkpoints import Checkpoints
from experiments.evidence import tables
from experiments.pipeline.plan import MOST_SEEDS, Plan
from experiments.pipeline.registry import get_figure
from experiments.pipeline.store import RunStore

pytestmark = pytest.mark.usefixtures("tiny_scales")


@pytest.fixture
def out(arpit_runs, tmp_path):
    """A folder with Figures 3's and 4's runs alone, which a test may change."""
    tiny.copy_runs(arpit_runs, tmp_path / "figures", "arpit-fig3", "arpit-fig4")
    return tmp_path / "figures"


def table(monkeypatch, capsys, out, *, code=0) -> tuple[dict[str, str], str]:
    """`status`: the rows of its table by figure, and all that it prints."""
    ended, printed, error = command(monkeypatch, capsys, "status", "--out", out)
    assert ended == code
    return {line.split()[0]: line for line in printed.splitlines()}, printed + error


def test_an_unusual_plan_leaves_the_usual_picture_alone(out, monkeypatch, capsys):
    arguments = ("arpit-fig3", "--scale", "reduced", "--out", out)
    assert command(monkeypatch, capsys, *arguments)[0] == 0
    usual = (out / "reduced" / "arpit-fig3.json").read_bytes()
    assert command(monkeypatch, capsys, *arguments, "--seeds", "2")[0] == 0
    assert (out / "reduced" / "arpit-fig3.json").read_bytes() == usual
    other = json.loads((out / "reduced" / "arpit-fig3-seeds-2.json").read_text(encoding="utf-8"))
    assert other["command"].endswith("--seeds 2")
    assert command(monkeypatch, capsys, "report", "--out", out, "--seeds", "2")[0] == 0
    page = (out / "index.html").read_text(encoding="utf-8")
    assert f"<pre>{other['command']}</pre>" in page
    assert 'href="#reduced-arpit-fig3"' in page
    message = refusal(
        monkeypatch, capsys, "lecture-overfit", "--scale", "reduced", "--out", out, "--seeds", "2"
    )
    assert "--seeds 2" in message
    assert "lecture-overfit" in message


def test_seeds_that_change_no_run_of_a_figure_do_not_name_it():
    plan = tiny.plan(seeds=2)
    assert get_figure("arpit-fig1").effective(plan) == plan
    assert get_figure("lecture-overfit").effective(plan) == tiny.plan()


def test_a_plan_names_the_command_that_makes_a_figure():
    assert tiny.plan("quick").command("x") == "python -m experiments x"
    asked = Plan.checked("paper", 2, 0.005).command("x")
    assert asked == (
        "python -m experiments x --scale paper --data-dir DATA --seeds 2 --learning-rate 0.005"
    )


def test_status_counts_what_is_stored_drawn_and_unfinished(out, monkeypatch, capsys):
    store = RunStore(out, "reduced")
    missing = get_figure("arpit-fig3").runs(tiny.plan())[-1]
    assert command(monkeypatch, capsys, "arpit-fig4", "--scale", "reduced", "--out", out)[0] == 0
    rows, _ = table(monkeypatch, capsys, out)
    assert "30/30 done" in rows["arpit-fig4"]
    changed = get_figure("arpit-fig4").runs(tiny.plan())[0]
    parents = json.loads(store.load(changed).attrs["provenance"]) | {"revision": "another"}
    store.save(changed, store.load(changed).assign_attrs(provenance=json.dumps(parents)))
    store.path(missing).unlink()
    Checkpoints(store.checkpoints(missing), "this").save(4, np.zeros(3))
    rows, printed = table(monkeypatch, capsys, out)
    assert "11/12 begun" in rows["arpit-fig3"]
    assert "30/30 to draw" in rows["arpit-fig4"]
    assert "0/10 missing" in rows["arpit-fig4"]
    (begun,) = (line for line in printed.splitlines() if missing.key in line)
    assert numbers(begun)[-1] == 4  # the epoch of its checkpoint


@pytest.mark.parametrize("arguments", [("status",), ("verdicts",), ("report",)])
def test_a_folder_that_is_not_there_is_named(monkeypatch, capsys, tmp_path, arguments):
    for out in (tmp_path / "nowhere", tmp_path / "file"):
        (tmp_path / "file").write_text("", encoding="utf-8")
        assert str(out) in refusal(monkeypatch, capsys, *arguments, "--out", out)
        assert not (tmp_path / "nowhere").exists()


def test_more_seeds_than_the_limit_are_refused_with_it(monkeypatch, capsys, tmp_path):
    assert tiny.plan(seeds=MOST_SEEDS).seeds == MOST_SEEDS
    for seeds in (0, MOST_SEEDS + 1, 99_999_999):
        for name in ("arpit-fig3", "all", "status"):
            arguments = (name, "--out", tmp_path, "--seeds", seeds)
            assert has_numbers(refusal(monkeypatch, capsys, *arguments), seeds, MOST_SEEDS)


RATES = st.floats(min_value=0, exclude_min=True, allow_infinity=False)


@given(RATES, RATES)
def test_plans_with_different_rates_have_different_files_and_exact_commands(one, two):
    plans = [Plan.checked("quick", None, rate) for rate in (one, two)]
    assert (plans[0].suffix == plans[1].suffix) == (one == two)
    for plan, rate in zip(plans, (one, two), strict=True):
        asked = shlex.split(plan.command("arpit-fig3"))
        assert float(asked[asked.index("--learning-rate") + 1]) == rate


def test_status_names_damaged_runs_and_who_is_at_work(out, monkeypatch, capsys):
    store = RunStore(out, "reduced")
    damaged, *_, running = get_figure("arpit-fig3").runs(tiny.plan())
    store.path(damaged).write_bytes(b"nonsense")
    rows, printed = table(monkeypatch, capsys, out, code=2)
    assert "11/12 begun" in rows["arpit-fig3"]
    assert str(store.path(damaged)) in printed
    assert running.key not in printed
    with store.writing():
        rows, _ = table(monkeypatch, capsys, out, code=2)
        (process,) = store.writers()
        assert int(process) in numbers(rows["reduced:"])
        line = {"time": "noon", "run": "a-run", "epoch": 3, "epochs": 6}
        store.log.write_text(
            json.dumps(line) + '\n{"time": "no{"time": "noon"}\n', encoding="utf-8"
        )
        with store.training(running):
            rows, _ = table(monkeypatch, capsys, out, code=2)
    assert running.key in rows["reduced:"]
    assert re.search(r"a-run\b.*\b3\b.*\b6\b.*\bnoon\b", rows["reduced:"])


def test_verdicts_prints_every_verdict_and_explanation_in_order(out, monkeypatch, capsys):
    store = RunStore(out, "reduced")
    for spec in get_figure("arpit-fig4").runs(tiny.plan()):
        if (spec.objective, spec.dataset) == ("cae", "photos"):
            store.save(spec, stored_runs.fake(spec, np.full(11, 0.8)))
    rows = tables.collect_verdicts(out)
    assert {"holds", "fails", "not run"} <= {v.verdict for _, _, v in rows}
    status, printed, _ = command(monkeypatch, capsys, "verdicts", "--out", out)
    assert status == 0
    rest = printed
    for scale, _, v in rows:
        for part in (v.claim, scale, v.statement, v.verdict, v.numbers, *v.why):
            assert part in rest
            rest = rest.split(part, 1)[1]


class Page(HTMLParser):
    """The links, anchors and pictures of a page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.anchors, self.pictures = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors |= {values["id"]} if "id" in values else set()
        if tag == "a":
            self.links.append(values["href"])
        if tag == "img":
            self.pictures.append(values["src"])


@pytest.fixture(scope="module")
def page(arpit_runs, tmp_path_factory):
    """The report of three figures' runs, with two of them drawn."""
    out = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny.use(monkeypatch)
        tiny.copy_runs(arpit_runs, out, "arpit-fig1", "arpit-fig3", "arpit-fig4")
        for name in ("arpit-fig1", "arpit-fig4"):
            exit_status(monkeypatch, name, "--scale", "reduced", "--out", out)
        assert exit_status(monkeypatch, "report", "--out", out) == 0
    return out / "index.html"


def test_the_report_is_self_contained_and_its_links_resolve(page):
    text = page.read_text(encoding="utf-8")
    parsed = Page(text)
    assert parsed.links
    assert all(link.removeprefix("#") in parsed.anchors for link in parsed.links)
    assert all(src.startswith("data:") for src in parsed.pictures)
    assert len(parsed.pictures) == 2  # those that are drawn; the script adds filters
    assert "https://" not in re.sub(r'src="data:[^"]*"', "", text)  # but in an SVG's metadata
    assert not re.search(r"""(?:href|src|url)\W*["'(]?https?:""", urllib.parse.unquote(text))
    assert "--scale reduced" in text
    assert text.count('class="verdict holds"') >= 20


def test_the_report_works_in_a_browser(page):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no chromium and chromedriver on the path (apt-get install chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = webdriver.Chrome(options, webdriver.ChromeService(driver))
    try:
        window.set_window_size(420, 900)
        window.get(page.as_uri())
        widths = window.execute_script("return [...document.images].map(i => i.naturalWidth)")
        assert len(widths) >= 3  # two figures and a strip of filters
        assert all(widths)
        assert len(window.find_elements("css selector", "#plot path")) == 2  # axis and one line
        runs = window.find_elements("css selector", "#run option")
        next(o for o in runs if "DAE" in o.text).click()
        assert len(window.find_elements("css selector", "#plot path")) == 12
        overflow = "return document.documentElement.scrollWidth <= window.innerWidth"
        assert window.execute_script(overflow)
        assert window.get_log("browser") == []
    finally:
        window.quit()
