"""The page in a headless Chromium, and the actions of a visitor."""

import shutil
from base64 import b64encode
from contextlib import contextmanager
from pathlib import Path

from pictures import RESOURCES
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

AXE = (RESOURCES / "axe.min.js").read_text()
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
# Root has no sandbox, and /dev/shm is small in a container.
ARGUMENTS = "--headless=new --no-sandbox --disable-dev-shm-usage --window-size=1280,900"
SEVEN = [(-60, -80), (0, -82), (60, -80), (25, 0), (-5, 85)]
SCRIBBLE = [(x, y) for y in range(-90, 91, 30) for x in (-100, 100)]
GIVE = """
const [kind, name, type, text] = arguments;
const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
const transfer = new DataTransfer();
transfer.items.add(new File([bytes], name, {type}));
const options = {bubbles: true, clipboardData: transfer, dataTransfer: transfer};
const EventType = kind === "paste" ? ClipboardEvent : DragEvent;
document.getElementById("sheet").dispatchEvent(new EventType(kind, options));
"""
PASTE_TEXT = """
const transfer = new DataTransfer();
transfer.setData("text", arguments[0]);
dispatchEvent(new ClipboardEvent("paste", {clipboardData: transfer}));
"""
ANSWER = """
const [body, status] = arguments;
window.fetch = async () => new Response(JSON.stringify(body), {status});
"""
HOLD = """
const {fetch} = window;
const released = new Promise(resolve => {
  window.release = () => resolve(window.fetch = fetch);
});
window.fetch = async (...request) => {
  const answer = await fetch(...request);
  window.isHeld = true;
  await released;
  return answer;
};
"""
# As a page elsewhere would ask.
FETCH = """
const [url, text] = arguments;
const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
const form = new FormData();
form.append("file", new Blob([bytes]), "seven.png");
return fetch(url, {method: "POST", body: form}).then(answer => answer.json());
"""


@contextmanager
def chromium(language: str = "en", *arguments: str):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in [*ARGUMENTS.split(), *arguments]:
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"intl.accept_languages": language})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


class Page:
    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver = driver
        driver.get(url)
        # Chromedriver returns earlier when the page is the one shown already; what is
        # done before the page's modules have run goes unnoticed.
        self.wait(lambda: self.run("return document.readyState") == "complete")

    def find(self, name: str):
        return self.driver.find_element(By.ID, name)

    def run(self, script: str, *arguments):
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition):
        return WebDriverWait(self.driver, 60).until(lambda _: condition())

    def draw(self, points: list[tuple[int, int]], pointer: str = "mouse") -> None:
        """A stroke through these points, in pixels from the middle of the field."""
        actions = ActionBuilder(
            self.driver, PointerInput(pointer, pointer), duration=20
        )
        drawing = self.find("drawing")
        start, *others = points
        actions.pointer_action.move_to(drawing, *start).pointer_down()
        for point in others:
            actions.pointer_action.move_to(drawing, *point)
        actions.pointer_action.release()
        actions.perform()

    def choose(self, *paths: Path) -> None:
        self.find("file").send_keys("\n".join(map(str, paths)))

    def give(self, event: str, data: bytes, name: str, kind: str) -> None:
        """Paste or drop a file."""
        self.run(GIVE, event, name, kind, b64encode(data).decode())

    def paste(self, text: str) -> None:
        self.run(PASTE_TEXT, text)

    def answer(self, body: dict, status: int = 200) -> None:
        """From now on the page gets this answer instead of the service's."""
        self.run(ANSWER, body, status)

    def hold_answers(self) -> None:
        """From now on answers are kept from the page until they are released."""
        self.run(HOLD)

    def release_answers(self, before) -> None:
        """As soon as one has come, and `before` has been called."""
        self.wait(lambda: self.run("return Boolean(window.isHeld)"))
        before()
        self.run("release()")

    def fetch(self, url: str, data: bytes) -> dict:
        return self.run(FETCH, url, b64encode(data).decode())

    def press(self, *keys: str) -> None:
        actions = ActionChains(self.driver)
        for key in keys[:-1]:
            actions.key_down(key)
        actions.send_keys(keys[-1])
        for key in keys[:-1]:
            actions.key_up(key)
        actions.perform()

    def digit(self) -> str:
        return self.find("digit").text

    def sentence(self, kind: str) -> str:
        """The sentence shown, once it is of this kind."""
        self.wait(lambda: self.find("answered").get_attribute("data-kind") == kind)
        return self.find("sentence").text

    def bars(self) -> dict[str, str]:
        """The digits with their percentages."""
        rows = self.driver.find_elements(By.CSS_SELECTOR, "#bars li")
        return dict(row.text.split("\n") for row in rows if "\n" in row.text)

    def violations(self) -> list[tuple]:
        """What axe finds against the rules of accessibility."""
        found = self.run(AXE + "; return axe.run()")
        assert found["passes"]
        return [(rule["id"], rule["nodes"]) for rule in found["violations"]]
