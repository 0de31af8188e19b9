"""What a visitor with a browser can do."""

import http.server
import re
import threading
from base64 import b64encode
from functools import partial
from io import BytesIO

import pytest
import requests
from browser import SCRIBBLE, SEVEN, Page
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
SAMPLES = ROOT / "static" / "samples"
# Of phones in both directions, with the browser's bars.
SCREENS = [(320, 568), (360, 560), (375, 553), (390, 664), (667, 331)]
# What Swagger UI's markup gets wrong: fields without a label, buttons within
# buttons, a heading outside its <main>.
OF_SWAGGER_UI = {
    "label",
    "nested-interactive",
    "region",
    "scrollable-region-focusable",
    "select-name",
}
BOTTOM = "return document.getElementById(arguments[0]).getBoundingClientRect().bottom"
SCHEME = "prefers-color-scheme"


def entry(digit: str, percent: float, x: int, **more) -> dict:
    box = {"x": x, "y": 40, "width": 60, "height": 100}
    return {"class": digit, "prob": percent, "box": box, **more}


def ranking(digit: str, percent: float) -> list[dict]:
    others = [other for other in "0123456789" if other != digit]
    rest = round((100 - percent) / 9, 2)
    first = {"class": digit, "prob": percent}
    return [first, *({"class": other, "prob": rest} for other in others)]


FOUR, NINE = entry("4", 98.21, 20), entry("9", 71.4, 120, ranking=ranking("9", 71.4))
NUMBER = {
    "classification_result": ranking("4", 98.21),
    "image_url": None,
    "box": FOUR["box"],
    "digits": [FOUR, NINE, entry("6", 41, 220)],
    "text": "49?",
}


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


def requested(page) -> list[str]:
    entries = "performance.getEntriesByType('resource').map(entry => entry.name)"
    return page.run(f"return {entries}")


def frame(page) -> dict[str, float]:
    rect = page.driver.find_element(By.CSS_SELECTOR, "#found:not([hidden]) .chosen")
    sides = ("x", "y", "width", "height")
    return {side: float(rect.get_attribute(side)) for side in sides}


def test_a_drawn_digit_is_read(page):
    page.draw(SEVEN)
    page.wait(lambda: page.digit() == "7")
    assert page.sentence("sure").startswith("This is a 7.")
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


def test_the_sentence_and_the_bars_agree(page):
    page.choose(PHOTO)
    percents = re.findall(r"[\d.]+%", page.sentence("sure"))
    assert [page.bars()["7"].strip(">")] == percents


def test_each_digit_of_a_number_can_be_chosen(page):
    page.answer(NUMBER)
    page.choose(PHOTO)
    assert "98.2%, 71.4%, 41%" in page.sentence("unsure")
    assert page.digit().split() == ["4", "9", "?"]
    assert len(page.driver.find_elements(By.CSS_SELECTOR, "#found .halo")) == 3
    # The least certain one is chosen first.
    assert page.bars() == {"6": "41%"}
    page.driver.find_element(By.CSS_SELECTOR, "#digit :checked").send_keys(Keys.LEFT)
    page.wait(lambda: page.bars()["9"] == "71.4%")
    assert len(page.bars()) == 10
    page.driver.find_element(By.CSS_SELECTOR, "#digit label").click()
    assert page.bars()["4"] == "98.2%"
    assert len(page.bars()) == 10
    assert frame(page)["x"] == pytest.approx(FOUR["box"]["x"], abs=20)


@pytest.mark.parametrize("pointer", ["mouse", "touch"])
def test_a_tap_into_a_frame_chooses_its_digit(page, pointer):
    page.answer({**NUMBER, "digits": [entry("1", 95, 0), entry("2", 91, 370)]})
    page.draw(SEVEN)
    page.wait(lambda: page.bars() == {"2": "91%"})
    halo = page.driver.find_element(By.CSS_SELECTOR, "#found .halo").rect
    drawing = page.find("drawing").rect
    middle = (
        round(halo[side] + halo[length] / 2 - drawing[side] - drawing[length] / 2)
        for side, length in [("x", "width"), ("y", "height")]
    )
    page.draw([tuple(middle)], pointer)
    assert page.bars() == {"1": "95%"}
    page.press(Keys.CONTROL, "z")
    assert page.find("hint").is_displayed()


def test_a_number_of_many_digits_names_the_least_certain(page):
    digits = [entry("1", 95, 0)] * 200
    digits[104] = entry("7", 82, 0)
    text = "\n".join(["1" * 100, "1111711111" + "1" * 90])
    page.answer({**NUMBER, "digits": digits, "text": text, "truncated": True})
    page.choose(PHOTO)
    sentence = page.sentence("likely")
    assert sentence.startswith("Probably 200 digits in 2 rows.")
    assert "digit 105, a 7, at 82%" in sentence
    assert "only the first are read" in sentence


def test_the_input_of_the_model_is_shown(page):
    data = b64encode(seven()).decode()
    page.answer({**NUMBER, "digits": [], "input": f"data:image/png;base64,{data}"})
    page.choose(PHOTO)
    page.sentence("unsure")
    shown = page.find("input")
    page.wait(lambda: shown.get_property("naturalHeight") == 140)
    assert shown.is_displayed()


@pytest.mark.parametrize("name", ["3", "7"])
def test_a_sample_shows_what_the_service_does(page, name):
    selector = f"#samples img[src$='/{name}.jpg']"
    page.driver.find_element(By.CSS_SELECTOR, selector).click()
    page.wait(lambda: page.digit() == name)
    assert not page.find("samples").is_displayed()


def test_several_pictures_are_read_into_a_list(page, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"text")
    page.choose(SAMPLES / "3.jpg", PHOTO, tmp_path / "broken.png")
    rows = page.find("pictures")
    page.wait(lambda: "⚠" in rows.text)
    first, second, _ = rows.find_elements(By.TAG_NAME, "button")
    assert first.text.split("\n") == ["3.jpg", "3"]
    assert second.text.split("\n") == [PHOTO.name, "7"]
    assert page.digit() == "3"
    second.click()
    assert page.digit() == "7"
    page.wait(page.find("picture").is_displayed)
    rows.find_elements(By.TAG_NAME, "button")[2].click()
    assert "broken.png" in page.find("sentence").text


def error(page) -> str:
    page.wait(lambda: "error" in page.find("answered").get_attribute("class").split())
    return page.find("sentence").text


def test_a_refusal_names_the_file_and_keeps_the_drawing(page):
    page.draw(SEVEN)
    page.sentence("sure")
    page.give("drop", b"text", "holiday.png", "image/png")
    assert error(page).startswith("holiday.png\n")
    assert page.find("alarm").is_displayed()
    assert page.find("drawing").is_displayed()
    assert not page.find("hint").is_displayed()
    page.find("again").click()
    page.wait(lambda: page.digit() == "7")


def test_a_refusal_with_a_code_is_in_the_language_of_the_reader(page):
    page.answer(
        {"error": "Too many.", "code": "too_many_pixels", "hint": "Fewer."}, 413
    )
    page.choose(PHOTO)
    assert "cut out the part with the digits" in page.sentence("too_many_pixels")
    page.driver.find_element(By.CSS_SELECTOR, "button[lang=id]").click()
    assert "terlalu banyak piksel" in page.find("sentence").text
    assert "Too many." not in page.find("sentence").text
    page.driver.find_element(By.CSS_SELECTOR, "button[lang=en]").click()


def test_a_refusal_without_a_code_is_in_the_words_of_the_service(page):
    page.answer({"error": "No digits on Sundays."}, 400)
    page.draw(SEVEN)
    assert "No digits on Sundays." in page.sentence("refused")
    quote = page.driver.find_element(By.CSS_SELECTOR, "#sentence [lang=en]")
    assert quote.text.strip("“”") == "No digits on Sundays."


def test_a_file_that_is_too_large_is_not_sent(page, tmp_path):
    (tmp_path / "seven.png").write_bytes(bytes(20_000_001))
    page.choose(tmp_path / "seven.png")
    assert "At most 20 MB" in page.sentence("too_many_bytes")
    assert not any("predict" in url for url in requested(page))


def test_the_address_of_a_picture_is_answered_with_advice(page):
    page.paste("https://example.com/seven.png")
    assert "Copy the picture itself" in page.sentence("link")


def test_an_answer_that_comes_too_late_is_not_shown(page, server):
    page.hold_answers()
    page.draw(SEVEN)
    page.release_answers(before=page.find("clear").click)
    # Longer than the page takes for the answer that it has.
    page.fetch(server.url + "/predict?save=false", seven())
    assert page.digit() == ""
    assert page.find("samples").is_displayed()


def test_a_heic_photo_is_refused_with_advice(page):
    page.give("drop", b"not shown", "IMG_1.HEIC", "")
    assert "Most Compatible" in page.sentence("heic")


def test_what_is_no_picture_is_not_sent(page):
    page.give("drop", b"%PDF", "seven.pdf", "application/pdf")
    assert "Choose a JPEG or PNG" in page.sentence("unreadable")
    assert not any("predict" in url for url in requested(page))


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


def test_undo_redo_and_clear_need_no_mouse(page):
    page.draw(SEVEN)
    page.sentence("sure")
    page.press(Keys.CONTROL, "z")
    page.sentence("idle")
    assert page.find("hint").is_displayed()
    page.find("redo").send_keys(Keys.ENTER)
    page.sentence("sure")
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
    assert names[2:] == ["undo", "redo", "clear", "choose"]


def test_the_page_speaks_the_language_of_the_browser(browser, server):
    with browser("id-ID,id") as driver:
        page = Page(driver, server.url)
        assert page.run("return document.documentElement.lang") == "id"
        assert page.sentence("idle").startswith("Membaca angka tulisan tangan")
        page.draw(SEVEN)
        assert page.sentence("sure").startswith("Ini angka 7.")


def test_a_chosen_language_is_remembered(page, server):
    for tag, title in [("id", "Pengenalan angka"), ("en", "Digit recognition")]:
        page.driver.find_element(By.CSS_SELECTOR, f"button[lang={tag}]").click()
        assert Page(page.driver, server.url).driver.title.startswith(title)


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
    asked = requested(page)
    assert any("/predict?save=false" in url for url in asked)
    assert all(url.startswith((server.url, "blob:" + server.url)) for url in asked)
    assert driver.get_log("browser") == []


def test_the_page_is_small():
    assert 0 < sum(path.stat().st_size for path in FILES) < 60_000


@pytest.mark.parametrize("name", ["about.html", "about.id.html", "texts.js"])
def test_the_page_quotes_the_accuracy_of_the_model_card(name):
    card = (ROOT / "training" / "README.md").read_text()
    figure = re.search(r"MNIST, test part \| 10,000 \| \d+ \| ([\d.]+) %", card)[1]
    text = (ROOT / "static" / name).read_text()
    assert figure in text.replace(",", ".")


def test_a_link_to_the_page_has_a_title_a_text_and_an_icon(page, server):
    find = partial(page.driver.find_element, By.CSS_SELECTOR)
    assert (
        "nothing is stored"
        in find("[name=description]").get_attribute("content").lower()
    )
    assert find("[property='og:title']").get_attribute("content")
    icon = requests.get(find("[rel=apple-touch-icon]").get_property("href"), timeout=60)
    assert Image.open(BytesIO(icon.content)).size == (180, 180)


def test_the_page_links_to_the_model_card_and_the_source_in_its_language(page, server):
    for tag in ("id", "en"):
        page.driver.find_element(By.CSS_SELECTOR, f"button[lang={tag}]").click()
        for name in ("card", "source"):
            link = page.driver.find_element(By.CSS_SELECTOR, f"[data-href={name}]")
            answer = requests.get(link.get_property("href"), timeout=60)
            assert f'<html lang="{tag}">' in answer.text
    assert 'id="source"' in answer.text


def test_a_desk_with_a_camera_takes_a_photo(browser, server):
    fake = [f"--use-fake-{part}-for-media-stream" for part in ("device", "ui")]
    with browser("en", *fake) as driver:
        page = Page(driver, server.url)
        button = page.find("photograph")
        page.wait(button.is_displayed)
        button.click()
        page.wait(lambda: page.find("viewfinder").get_property("videoWidth") > 0)
        page.find("shoot").click()
        page.wait(page.find("picture").is_displayed)
        page.wait(page.find("bars").is_displayed)
        assert not page.find("camera").is_displayed()


def test_without_a_camera_there_is_no_button_for_it(page):
    assert not page.find("photograph").is_displayed()


def emulate(driver, scheme: str, width: int, height: int = 800) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
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
@pytest.mark.parametrize("kind", ["idle", "sure", "unsure", "link"])
def test_axe_finds_no_accessibility_violation(emulated, page, kind, scheme, width):
    emulated(scheme, width)
    if kind == "unsure":
        page.answer(NUMBER)
    if kind == "link":
        page.paste("https://example.com/seven.png")
    elif kind != "idle":
        page.choose(PHOTO, SAMPLES / "3.jpg")
    page.sentence(kind)
    assert page.violations() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["about.html", "about.id.html"])
def test_axe_finds_none_in_the_model_card(emulated, driver, server, name, scheme):
    emulated(scheme, 320)
    assert Page(driver, f"{server.url}/static/{name}").violations() == []


@pytest.mark.parametrize("size", SCREENS, ids=str)
@pytest.mark.parametrize("tag", ["en", "id"])
@pytest.mark.parametrize("kind", ["idle", "sure", "number"])
def test_the_answer_shows_without_scrolling(emulated, page, kind, tag, size):
    emulated("light", *size)
    page.driver.find_element(By.CSS_SELECTOR, f"button[lang={tag}]").click()
    if kind == "number":
        page.answer(NUMBER)
    if kind != "idle":
        page.choose(PHOTO)
        page.wait(page.find("bars").is_displayed)
    names = ["sentence", "samples"] if kind == "idle" else ["digit", "sentence", "bars"]
    for name in names:
        bottom = page.run(BOTTOM, name)
        assert 0 < bottom <= size[1], name
    page.driver.find_element(By.CSS_SELECTOR, "button[lang=en]").click()


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


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("tag", ["en", "id"])
def test_the_words_of_a_button_fit_into_it(emulated, page, tag, width):
    emulated("light", width)
    page.driver.find_element(By.CSS_SELECTOR, f"button[lang={tag}]").click()
    button = page.find("choose")
    wanted, given = map(button.get_property, ("scrollWidth", "clientWidth"))
    page.driver.find_element(By.CSS_SELECTOR, "button[lang=en]").click()
    assert 0 < wanted <= given


def documentation(driver, server) -> Page:
    """With the form of POST /predict open."""
    page = Page(driver, server.url + "/docs")
    for button in (".opblock-post .opblock-summary-control", ".try-out__btn"):
        page.wait(lambda button=button: driver.find_elements(By.CSS_SELECTOR, button))
        driver.find_element(By.CSS_SELECTOR, button).click()
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_only_swagger_ui_itself_at_fault(emulated, driver, server, scheme):
    emulated(scheme, 1280)
    found = {rule for rule, _ in documentation(driver, server).violations()}
    assert found <= OF_SWAGGER_UI


def test_the_documentation_sends_a_picture(driver, server):
    driver.get_log("browser")
    page = documentation(driver, server)
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
