"""The report in a browser: phones, dark screens, search, keyboard, printing, single models."""

import json
import shutil

import pytest
import report_pages
import tiny
from report_pages import SHOWN

from experiments.pipeline.registry import get_figure

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
WebDriverWait = pytest.importorskip("selenium.webdriver.support.ui").WebDriverWait

pytestmark = pytest.mark.long
WIDTHS = (400, 768, 1440)  # a phone, a tablet or a laptop at 200%, a screen
THEMES = ("light", "dark")
CONTRAST = 4.5  # WCAG 2.2, level AA, of text
OPEN_ALL = "document.querySelectorAll('details').forEach((part) => { part.open = true; })"
OFF_SCREEN = """
return [...document.querySelectorAll("body *")].filter((node) => {
  const box = node.getBoundingClientRect();
  return box.width > 0 && (box.right > innerWidth + 0.5 || box.left < -0.5);
}).map((node) => node.outerHTML.slice(0, 100));"""
LOADED = """
const done = arguments[0];
const images = [...document.images];
images.forEach((image) => { image.loading = "eager"; });
Promise.all(images.map((image) => image.decode().then(() => true, () => false))).then(done);"""
# Of every element with text of its own: its colour and the colour behind it.
COLOURS = """
const behind = (node) => {
  for (; node; node = node.parentElement) {
    const colour = getComputedStyle(node).backgroundColor;
    if (!/, 0\\)$/.test(colour)) return colour;
  }
};
return [...document.querySelectorAll("body *")].filter((node) =>
  node.getClientRects().length && [...node.childNodes].some((child) =>
    child.nodeType === Node.TEXT_NODE && child.textContent.trim())
).map((node) => [
  getComputedStyle(node)[node.closest("svg") ? "fill" : "color"], behind(node), node.outerHTML
]);"""


@pytest.fixture(scope="module")
def window():
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no chromium and chromedriver on the path (apt-get install chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = webdriver.Chrome(options, webdriver.ChromeService(driver))
    window.set_script_timeout(60)
    yield window
    window.quit()


@pytest.fixture
def out(arpit_report):
    """The folder of that report."""
    return arpit_report[0]


def show(window, page, width=400, theme="light", fragment=""):
    """Opens a page anew."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": theme}]
    window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": features})
    window.get("about:blank")
    window.get(page.as_uri() + fragment)


def channels(colour):
    """Of `rgb(1, 2, 3)`, as WCAG's linear values."""
    assert colour.startswith("rgb("), colour
    shares = [int(part) / 255 for part in colour[4:-1].split(",")]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]


def contrast(one, other):
    weights = (0.2126, 0.7152, 0.0722)
    low, high = sorted(
        sum(w * c for w, c in zip(weights, channels(colour), strict=True))
        for colour in (one, other)
    )
    return (high + 0.05) / (low + 0.05)


def require_fits(window, out, width, theme):
    """No page has errors, text that is hard to read, pictures that fail, or parts off-screen."""
    papers = {"rgb(255, 255, 255)": "light", "rgb(22, 22, 22)": "dark"}
    for page in report_pages.read(out).values():
        show(window, page.path, width, theme)
        for unfold in ("", OPEN_ALL):
            window.execute_script(unfold)
            assert window.execute_script(OFF_SCREEN) == [], page.path
            body = "const e = document.documentElement; return [e.scrollWidth, e.clientWidth]"
            wide, room = window.execute_script(body)
            assert wide <= room, page.path
        assert all(window.execute_async_script(LOADED)), page.path
        shown = window.execute_script(COLOURS)
        assert len(shown) > 10
        assert papers[shown[0][1]] == theme
        for ink, paper, what in shown:
            assert contrast(ink, paper) >= CONTRAST, (page.path, what)
        assert window.get_log("browser") == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_pages_fit_phones_and_screens_in_light_and_dark(window, out, width, theme):
    require_fits(window, out, width, theme)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_pages_of_the_stored_runs_fit(window, stored_report, width, theme):
    require_fits(window, stored_report[0], width, theme)


def test_text_twice_as_large_fits(window, out):
    for page in report_pages.read(out).values():
        show(window, page.path, 768)
        window.execute_script(OPEN_ALL + "; document.documentElement.style.fontSize = '200%'")
        assert window.execute_script(OFF_SCREEN) == []


SHAPES = """
const image = arguments[0];
return [image.width / image.height, image.naturalWidth / image.naturalHeight];"""


def test_pictures_keep_their_room_while_they_are_loaded(window, out):
    show(window, out / "report" / "arpit.html")
    images = window.find_elements("css selector", "figure img")
    before = [image.rect for image in images]
    assert all(rect["height"] > 50 for rect in before)
    assert all(window.execute_async_script(LOADED))
    assert [image.rect for image in images] == before
    for image in images:
        shown, natural = window.execute_script(SHAPES, image)
        assert abs(shown / natural - 1) < 0.02


def visible_claims(window):
    """The identifiers of the claims that a reader sees."""
    claims = window.find_elements("css selector", ".claim")
    return [claim.get_attribute("id") for claim in claims if claim.is_displayed()]


def search(window, asked):
    """The claims that are seen once one has typed."""
    field = window.find_element("id", "search")
    field.clear()
    field.send_keys(asked)
    return visible_claims(window)


def test_claims_are_searched_as_one_types_and_by_the_address(window, out):
    show(window, out / "index.html")
    assert visible_claims(window) == []  # folded
    shown = search(window, "cae+h contractive")  # the second only as what a name stands for
    assert "A13" in shown
    assert "A9" not in shown
    assert window.current_url.endswith("#search=cae%2Bh%20contractive")
    assert search(window, "no such claim") == []
    assert not any(s.is_displayed() for s in window.find_elements("css selector", "[data-group]"))
    assert search(window, " ") == []
    assert all(s.is_displayed() for s in window.find_elements("css selector", "[data-group]"))
    show(window, out / "index.html", fragment="#search=cae%2Bh%20contractive")
    assert visible_claims(window) == shown
    window.execute_script("location.hash = '#search=A4'")
    WebDriverWait(window, 5).until(lambda w: "A4" in visible_claims(w))


def test_a_link_opens_what_it_leads_to(window, out):
    show(window, out / "index.html", fragment="#search=A4")
    window.find_element("css selector", "#A4 a[href$='arpit-fig4.A4.why']").click()
    why = window.find_element("id", "arpit-fig4.A4.why")
    assert why.get_attribute("open")
    assert -1 <= window.execute_script(TOP, why) < 900  # scrolled to whole pixels
    window.find_element("css selector", "[id='arpit-fig4.A4'] a[href$='index.html#A4']").click()
    assert window.find_element("id", "A4").is_displayed()


TOP = "return arguments[0].getBoundingClientRect().top"
OUTLINE = """
const style = getComputedStyle(document.activeElement);
return [style.outlineStyle, parseFloat(style.outlineWidth)];"""


def test_the_keyboard_reaches_and_opens_what_is_folded(window, out):
    show(window, out / "report" / "arpit.html")
    window.find_element("id", "search").click()
    focused = window.switch_to.active_element
    for _ in range(5):
        focused.send_keys(Keys.TAB)
        focused = window.switch_to.active_element
        kind, width = window.execute_script(OUTLINE)
        assert kind == "solid"
        assert width >= 2
        if focused.tag_name == "summary":
            break
    assert focused.tag_name == "summary"
    focused.send_keys(Keys.ENTER)
    assert window.execute_script("return arguments[0].parentElement.open", focused)


FOLDED = "return document.querySelectorAll('details:not([open])').length"


@pytest.mark.parametrize("name", ["index.html", "report/arpit.html"])
def test_printing_shows_what_is_folded_dark_on_white(window, out, name):
    show(window, out / name, theme="dark")
    folded = window.execute_script(FOLDED)
    assert folded > 3
    window.execute_script("dispatchEvent(new Event('beforeprint'))")
    window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert window.execute_script(FOLDED) == 0
    for part in ("header", ".search"):
        assert not window.find_element("css selector", part).is_displayed()
    ink = window.execute_script("return getComputedStyle(document.body).color")
    assert contrast(ink, "rgb(255, 255, 255)") >= CONTRAST
    assert window.execute_script(OFF_SCREEN) == []
    window.execute_script("dispatchEvent(new Event('afterprint'))")
    assert window.execute_script(FOLDED) == folded


PRINTED = """
window.print = () => {
  window.printed = [...document.images].map((image) => image.naturalWidth);
};"""


def test_the_button_prints_once_all_pictures_are_loaded(window, out):
    show(window, out / "report" / "arpit.html")
    window.execute_script(PRINTED)
    window.find_element("id", "print").click()
    WebDriverWait(window, 10).until(lambda w: w.execute_script("return window.printed"))
    loaded = window.execute_script("return window.printed")
    assert len(loaded) == 2
    assert all(loaded)


def test_the_explorer_is_not_printed(window, out):
    show(window, out / "report" / "models.html")
    window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not window.find_element("id", "plot").is_displayed()


def lines(window):
    return len(window.find_elements("css selector", "#plot path")) - 1  # the axis is another


def test_a_single_models_data_is_loaded_when_it_is_chosen(window, out):
    show(window, out / "report" / "models.html")
    specs = {s for n in SHOWN for s in get_figure(n).runs(tiny.plan()) if s.seed == 0}
    chosen = window.find_elements("css selector", "#run option")
    assert len(chosen) == len(specs)
    loaded = "return document.querySelectorAll('script[src]').length"
    assert window.execute_script(loaded) == 1
    strengths = {}
    for option in chosen:
        option.click()
        kind = option.text.split(", ")[1]
        strengths.setdefault(kind, set()).add(lines(window))
        images = window.find_elements("css selector", "#filters img")
        assert all(i.get_attribute("naturalWidth") != "0" for i in images)
        assert images
    assert strengths["AE"] == {1}
    assert strengths["DAE"] == {11}
    assert window.execute_script(loaded) == len(chosen)
    window.find_elements("css selector", "#shown option")[-1].click()
    assert lines(window) in (1, 11)
    assert window.execute_script(OFF_SCREEN) == []
    assert window.get_log("browser") == []


def test_a_model_that_cannot_be_loaded_is_said(window, out, tmp_path):
    shutil.copytree(out / "report", tmp_path / "report")
    for path in (tmp_path / "report" / "models").glob("*.js"):
        path.unlink()
    show(window, tmp_path / "report" / "models.html")
    assert window.find_element("id", "state").text
    assert json.dumps(window.get_log("browser")).count("models/") >= 1  # the browser's own line
