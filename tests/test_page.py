"""What a visitor with a browser can do."""

import http.server
import os
import re
import threading
from functools import partial

import pytest
import requests
from browser import CHROMIUM, DRIVER, SCRIBBLE, SEVEN, Page, chromium
from pictures import RESOURCES, as_bytes, seven
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from server import ROOT

pytestmark = pytest.mark.slow

PHOTO = RESOURCES / "photos_mit" / "7" / "7_088.jpg"
KINDS = {".css", ".html", ".js", ".svg"}
FILES = [path for path in (ROOT / "static").iterdir() if path.suffix in KINDS]
UPLOADS = ROOT / "static" / "uploads"
AXE = (RESOURCES / "axe.min.js").read_text()
SCHEME = "prefers-color-scheme"


@pytest.fixture(scope="module")
def browser():
    if not (CHROMIUM and DRIVER):
        assert "CI" not in os.environ, "chromium or chromedriver is missing"
        # Nothing else shows the page; CI installs one.
        pytest.skip("needs chromium and chromedriver")
    return chromium


@pytest.fixture(scope="module")
def driver(browser):
    with browser() as driver:
        yield driver


@pytest.fixture
def page(driver, server):
    return Page(driver, server.url)


class BusyService(http.server.SimpleHTTPRequestHandler):
    """The page under a path of its own, as behind a proxy; /predict is always busy."""

    def do_GET(self):
        path = self.path.removeprefix("/digits")
        self.path = "/static/index.html" if path == "/" else path
        super().do_GET()

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(503)
        self.send_header("Retry-After", "5")
        self.end_headers()

    def log_message(self, *args):
        """Keeps the output of the tests clean."""


@pytest.fixture
def busy():
    handler = partial(BusyService, directory=ROOT)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.url = f"http://127.0.0.1:{server.server_port}/digits/"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def frame(page) -> dict[str, float]:
    rect = page.driver.find_element(By.CSS_SELECTOR, "#found:not([hidden]) rect")
    sides = ("x", "y", "width", "height")
    return {side: float(rect.get_attribute(side)) for side in sides}


def test_a_drawn_digit_is_read(page):
    page.draw(SEVEN)
    page.wait(lambda: page.digit() == "7")
    assert page.sentence("sure").startswith("This is a 7.")
    longest = page.driver.find_element(By.CSS_SELECTOR, "#bars .first")
    assert re.fullmatch(r"7\n(9\d(\.\d)?|100)%", longest.text)
    assert not page.find("hint").is_displayed()


def test_a_chosen_photo_is_read_and_its_digit_framed(page, server):
    page.choose(PHOTO)
    page.wait(lambda: page.digit() == "7")
    url = server.url + "/predict?save=false"
    with PHOTO.open("rb") as file:
        box = requests.post(url, files={"file": file}, timeout=60).json()["box"]
    assert frame(page) == pytest.approx(box, abs=20)
    assert page.find("picture").is_displayed()


def test_the_frame_fits_a_turned_photo(page, tmp_path):
    photo, exif = Image.open(PHOTO).transpose(Image.Transpose.ROTATE_90), Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "turned.jpg").write_bytes(as_bytes(photo, "JPEG", exif=exif))
    page.choose(tmp_path / "turned.jpg")
    page.wait(lambda: page.digit() == "7")
    view_box = page.run("return document.getElementById('found').viewBox.baseVal")
    assert (view_box["width"], view_box["height"]) == (photo.height, photo.width)


@pytest.mark.parametrize("event", ["paste", "drop"])
@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_pasted_or_dropped_picture_is_read(page, event, image_format):
    kind = f"image/{image_format.lower()}"
    page.give(event, seven(image_format), f"seven.{image_format}", kind)
    page.wait(lambda: page.digit() == "7")


def test_a_scribble_is_no_digit(page):
    page.draw(SCRIBBLE)
    assert page.sentence("unsure").startswith("Not sure.")
    assert page.digit() == "?"


def test_a_blank_picture_is_no_digit(page):
    page.give("drop", as_bytes(Image.new("L", (300, 200), 255)), "a.png", "image/png")
    page.sentence("unsure")
    assert frame(page) == {"x": 0, "y": 0, "width": 300, "height": 200}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"text", "The file is not a JPEG or PNG picture that can be read."),
        (bytes(20_000_001), "A file may have at most 20,000,000 bytes."),
    ],
    ids=["text", "too large"],
)
def test_a_refusal_is_in_the_words_of_the_service(page, tmp_path, data, words):
    (tmp_path / "seven.png").write_bytes(data)
    page.choose(tmp_path / "seven.png")
    assert words in page.sentence("refused")


def test_after_a_refusal_the_field_is_free_to_draw_on(page):
    page.give("drop", b"text", "seven.png", "image/png")
    page.sentence("refused")
    page.draw(SEVEN)
    page.wait(lambda: page.digit() == "7")


@pytest.fixture
def slow_network(driver):
    conditions = {"latency": 500, "download_throughput": -1, "upload_throughput": -1}
    driver.set_network_conditions(offline=False, **conditions)
    yield
    driver.delete_network_conditions()


def test_an_answer_that_comes_too_late_is_not_shown(page, server, slow_network):
    page.draw(SEVEN)
    page.wait(lambda: page.find("answered").get_attribute("aria-busy") == "true")
    page.find("clear").click()
    # Requests are answered in order.
    page.fetch(server.url + "/predict?save=false", seven())
    assert page.digit() == ""
    assert page.sentence("idle") == "Which digit will it be?"


def test_a_heic_photo_is_refused_with_advice(page):
    page.give("drop", b"not shown", "IMG_1.HEIC", "")
    assert "Most Compatible" in page.sentence("heic")


def test_what_is_no_picture_is_not_sent(page):
    page.give("drop", b"%PDF", "seven.pdf", "application/pdf")
    assert "Choose a JPEG or PNG" in page.sentence("unreadable")


def test_a_busy_service_is_said_to_be_busy(driver, busy):
    page = Page(driver, busy.url)
    page.draw(SEVEN)
    assert page.sentence("busy") == "The service is busy.\nTry again in 5 s."


def test_a_stopped_service_is_out_of_reach(driver, busy):
    page = Page(driver, busy.url)
    busy.shutdown()
    busy.server_close()
    page.draw(SEVEN)
    assert "cannot be reached" in page.sentence("unreachable")


def test_a_lost_service_is_out_of_reach_until_it_is_back(driver, server):
    page = Page(driver, server.url)
    driver.set_network_conditions(offline=True, latency=0, throughput=-1)
    page.draw(SEVEN)
    assert "cannot be reached" in page.sentence("unreachable")
    driver.delete_network_conditions()
    page.find("again").click()
    page.wait(lambda: page.digit() == "7")


def test_undo_and_clear_need_no_mouse(page):
    page.draw(SEVEN)
    page.sentence("sure")
    page.press(Keys.CONTROL, "z")
    page.sentence("idle")
    assert page.find("hint").is_displayed()
    page.give("paste", seven(), "seven.png", "image/png")
    page.sentence("sure")
    page.find("clear").send_keys(Keys.ENTER)
    page.sentence("idle")
    page.find("undo").send_keys(Keys.ENTER)
    page.sentence("sure")


def test_the_file_chooser_is_reached_by_keyboard(page):
    names = []
    for _ in range(6):
        page.press(Keys.TAB)
        names.append(page.run("return document.activeElement.id"))
    assert names[2:5] == ["undo", "clear", "file"]


def test_the_page_speaks_the_language_of_the_browser(browser, server):
    with browser("id-ID,id") as driver:
        page = Page(driver, server.url)
        assert page.run("return document.documentElement.lang") == "id"
        assert page.sentence("idle") == "Angka berapa, ya?"
        page.give("drop", b"text", "seven.png", "image/png")
        page.sentence("refused")
        quote = driver.find_element(By.CSS_SELECTOR, "#sentence [lang=en]")
        assert quote.text.strip("“”").startswith("The file is not a JPEG")


def test_a_chosen_language_is_remembered(page, server):
    for tag, title in [("id", "Pengenalan angka"), ("en", "Digit recognition")]:
        page.driver.find_element(By.CSS_SELECTOR, f"button[lang={tag}]").click()
        assert Page(page.driver, server.url).driver.title == title


def test_nothing_of_a_visit_is_stored(page):
    before = set(UPLOADS.iterdir())
    page.draw(SEVEN)
    page.wait(lambda: page.digit() == "7")
    page.choose(PHOTO)
    page.sentence("sure")
    assert set(UPLOADS.iterdir()) == before


def test_a_visit_needs_no_other_host_and_breaks_no_rule(driver, server):
    driver.get_log("browser")
    page = Page(driver, server.url)
    page.draw(SEVEN)
    page.wait(lambda: page.digit() == "7")
    page.choose(PHOTO)
    page.sentence("sure")
    entries = "performance.getEntriesByType('resource').map(entry => entry.name)"
    asked = page.run(f"return {entries}")
    assert any(url.endswith("/predict?save=false") for url in asked)
    assert all(url.startswith((server.url, "blob:" + server.url)) for url in asked)
    assert driver.get_log("browser") == []


def test_the_page_is_small():
    assert 0 < sum(path.stat().st_size for path in FILES) < 40_000


def emulate(driver, scheme: str, width: int) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    # Colours on their way from one to the other are neither.
    features = {SCHEME: scheme, "prefers-reduced-motion": "reduce"}
    features = [{"name": name, "value": value} for name, value in features.items()]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


@pytest.fixture
def emulated(driver):
    yield partial(emulate, driver)
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {})


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["idle", "sure", "refused"])
def test_axe_finds_no_accessibility_violation(emulated, page, kind, scheme, width):
    emulated(scheme, width)
    data = {"sure": seven(), "refused": b"text"}.get(kind)
    if data:
        page.give("paste", data, "seven.png", "image/png")
    page.sentence(kind)
    found = page.run(AXE + "; return axe.run()")
    assert found["passes"]
    assert [(rule["id"], rule["nodes"]) for rule in found["violations"]] == []


@pytest.mark.parametrize("pointer", ["touch", "pen"])
def test_a_finger_or_pen_draws_and_does_not_scroll(emulated, page, pointer):
    emulated("light", 320)
    page.draw(SEVEN, pointer)
    page.wait(lambda: page.digit() == "7")
    assert page.run("return scrollY") == 0


@pytest.mark.parametrize("width", [320, 768, 1280])
def test_no_width_needs_scrolling_sideways(emulated, page, width):
    emulated("light", width)
    assert page.run("return document.documentElement.scrollWidth") <= width


def test_the_documentation_sends_a_picture(driver, server):
    driver.get_log("browser")
    page = Page(driver, server.url + "/docs")
    page.wait(lambda: driver.find_elements(By.CSS_SELECTOR, ".opblock-post"))
    for button in (".opblock-post .opblock-summary-control", ".try-out__btn"):
        driver.find_element(By.CSS_SELECTOR, button).click()
    driver.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(PHOTO))
    driver.find_element(By.CSS_SELECTOR, ".execute").click()
    answer = ".live-responses-table .response-col_description pre"
    page.wait(lambda: driver.find_elements(By.CSS_SELECTOR, answer))
    assert '"class": "7"' in driver.find_element(By.CSS_SELECTOR, answer).text
    assert driver.get_log("browser") == []


@pytest.mark.parametrize(
    ("data", "part"), [(seven(), "classification_result"), (b"", "error")]
)
def test_a_page_elsewhere_may_read_answers(driver, server, busy, data, part):
    page = Page(driver, busy.url)
    assert part in page.fetch(server.url + "/predict?save=false", data)
