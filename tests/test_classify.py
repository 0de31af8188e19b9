"""`flask --app app classify` gives the answers of POST /predict for whole folders."""

import csv
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from browser import Page
from pictures import RESOURCES, as_bytes, seven
from PIL import Image
from selenium.webdriver.common.by import By
from server import ROOT

import app as service
import labelling

SEVENS = RESOURCES / "photos_mit" / "7"
COMMAND = [sys.executable, "-m", "flask", "--app", "app", "classify"]


@pytest.fixture
def classify(uploads):
    runner = service.app.test_cli_runner()
    return lambda *words: runner.invoke(
        args=["classify", *map(str, words)], catch_exceptions=False
    )


@pytest.fixture
def folder(tmp_path):
    """Pictures, what is none, and names that are awkward."""
    folder = tmp_path / "pictures"
    (folder / "b" / "deeper").mkdir(parents=True)
    (folder / "b" / "deeper" / "x.JPEG").write_bytes(seven("JPEG"))
    (folder / 'a, "b"\r\n<i>\'é.png').write_bytes(seven())
    (folder / "c.png").write_bytes(seven()[:200])
    (folder / "d.jpg").write_bytes(b"")
    (folder / "e.png").symlink_to("nowhere")
    (folder / "f.png").write_bytes(as_bytes(Image.new("1", (1, 70_000))))
    (folder / "g.png").write_bytes(as_bytes(Image.new("1", (1, 3000))))
    (folder / "notes.txt").write_text("not asked for")
    return folder


def rows(text: str) -> list[dict]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_answers_are_those_of_the_service(classify, post, folder):
    printed = classify(SEVENS, folder, folder / "notes.txt").stdout_bytes.decode()
    labelled = rows(printed)
    assert len(labelled) == 14 + 7 + 1
    for row in labelled:
        if row["path"].endswith("e.png"):
            assert row["error"] == "The file cannot be read: No such file or directory."
            continue
        if row["path"].endswith("d.jpg"):
            # Flask's client for tests sends an empty file without the end of its head.
            assert row["error"] == "The file is empty."
            continue
        data, name = Path(row["path"]).read_bytes(), "7" + Path(row["path"]).suffix
        answer = post(data, name, query_string="save=false").json
        assert row["error"] == answer.get("error", "")
        if not row["error"]:
            best, box = answer["classification_result"][0], answer["box"]
            assert (row["class"], float(row["prob"])) == (best["class"], best["prob"])
            assert row["text"] == answer["text"]
            assert row["box"] == " ".join(map(str, (box or {}).values()))


def test_folders_are_read_in_order_and_to_the_bottom(classify, folder):
    names = [
        os.path.relpath(row["path"], folder) for row in rows(classify(folder).stdout)
    ]
    assert names == sorted(names, key=lambda name: ("/" in name, name))
    assert len(names) == 7


def test_status_tells_whether_all_could_be_read(classify, folder):
    assert classify(SEVENS).exit_code == 0
    assert classify(folder).exit_code == 1


def test_nothing_is_stored(classify, uploads):
    classify(SEVENS)
    assert list(uploads.iterdir()) == []


def test_file_of_too_many_bytes_is_refused(classify, monkeypatch):
    monkeypatch.setattr(service.RECOGNISER, "max_bytes", 99)
    assert "A file may have at most 99 bytes." in classify(SEVENS).stdout


def test_a_list_is_continued_wherever_it_was_cut_off(classify, folder, tmp_path):
    output = tmp_path / "labels.csv"
    assert classify(folder, "--output", output).exit_code == 1
    whole = output.read_bytes()
    for size in range(0, len(whole), 5):
        output.write_bytes(whole[:size])
        assert classify(folder, "--output", output).exit_code == 1
        assert output.read_bytes() == whole


def test_what_is_in_the_list_is_not_read_again(classify, tmp_path):
    output, picture = tmp_path / "labels.csv", tmp_path / "7.png"
    picture.write_bytes(seven())
    classify(tmp_path, "--output", output)
    picture.write_bytes(b"no picture any more")
    (tmp_path / "8.png").write_bytes(seven())
    assert classify(tmp_path, "--output", output).exit_code == 0
    assert len(rows(output.read_text())) == 2


@pytest.mark.parametrize(
    "text",
    [
        "path,amount\n7.png,100\n",
        "7",
        '"' + 200_000 * "7",
        labelling.HEADER + "7.png,100\n7.png,101\n",
    ],
    ids=["other columns", "one letter", "no list", "fewer columns"],
)
def test_a_file_of_others_is_left_as_it_is(classify, tmp_path, text):
    other = tmp_path / "accounts.csv"
    other.write_text(text)
    refused = classify(SEVENS, "--output", other)
    assert refused.exit_code == 2
    assert "is not a list that this command wrote" in refused.stderr
    assert other.read_text() == text


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nowhere"],
        [SEVENS, "--output", "nowhere/labels.csv"],
        [SEVENS, "--html", "nowhere/report.html"],
    ],
    ids=str,
)
def test_bad_usage_is_refused_at_once(classify, words):
    assert classify(*words).exit_code == 2


def test_the_list_and_the_report_are_two_files(classify, tmp_path):
    file = tmp_path / "same"
    answer = classify(tmp_path, "--output", file, "--html", file)
    assert answer.exit_code == 2
    assert "same file" in answer.output
    assert not file.exists()


def test_a_picture_that_may_not_be_looked_at_becomes_a_row(classify, monkeypatch):
    def forbidden(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_fifo", forbidden)
    (row,) = rows(classify(SEVENS / "7_087.jpg").stdout)
    assert row["error"] == "The file cannot be read: Permission denied."


def test_the_report_shows_failures_then_the_least_sure(classify, folder, tmp_path):
    report = tmp_path / "report.html"
    classify(SEVENS, folder, "--html", report)
    page = report.read_text()
    cards = page.split("<li ")[1:]
    percents = [card.partition(" %")[0].rpartition(" ")[2] for card in cards[4:]]
    assert all("<em>" in card for card in cards[:4])
    assert [float(p) for p in percents] == sorted(float(p) for p in percents)
    assert page.count('src="data:image/webp;base64,UklGR') == len(percents) == 17
    assert "&lt;i&gt;" in page
    assert "<i>" not in page


@pytest.mark.slow
def test_the_report_is_filtered_and_moved(browser, classify, folder, tmp_path):
    report = tmp_path / "report.html"
    classify(folder, "--html", report)
    moved = report.parent.rename(tmp_path.with_name("moved")) / report.name
    with browser() as driver:
        page = Page(driver, moved.as_uri())
        assert page.violations() == []
        cards = driver.find_elements(By.CSS_SELECTOR, "li")
        page.find("only-7").click()
        displayed = [card for card in cards if card.is_displayed()]
        assert 0 < len(displayed) < len(cards)
        assert {card.text[0] for card in displayed} == {"7"}
        # The broken link leads nowhere, moved or not.
        links = driver.find_elements(By.CSS_SELECTOR, "li a")
        paths = [urlsplit(link.get_property("href")).path for link in links]
        found = [Path(url2pathname(path)).exists() for path in paths]
        assert found.count(False) == 1


def test_a_report_of_a_continued_list_shows_all(classify, tmp_path, monkeypatch):
    output, report = tmp_path / "labels.csv", tmp_path / "report.html"
    classify(SEVENS, "--output", output)
    classify(SEVENS, "--output", output, "--html", report)
    assert report.read_text().count("<img") == 14
    monkeypatch.setattr(labelling, "MAX_SHOWN", 5)
    classify(SEVENS, "--output", output, "--html", report)
    assert report.read_text().count("<img") == 5
    assert "14 pictures, 0 failed" in report.read_text()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="only Unix has such pipes")
def test_a_pipe_is_not_waited_for(classify, tmp_path):
    os.mkfifo(tmp_path / "7.png")
    (row,) = rows(classify(tmp_path).stdout)
    assert row["error"] == "The file cannot be read: It is a pipe."


def test_the_report_can_be_made_without_a_list(classify, tmp_path):
    report = tmp_path / "report.html"
    words = [SEVENS, "--output", os.devnull, "--html", report]
    assert classify(*words).exit_code == 0
    assert report.read_text().count("<img") == 14


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are Unicode")
@pytest.mark.slow
def test_a_name_of_any_bytes_comes_out_as_it_is(tmp_path):
    name = os.fsencode(tmp_path) + b"/\xff.png"
    with open(name, "wb") as file:
        file.write(seven())
    report = tmp_path / "report.html"
    words = [*COMMAND, tmp_path, "--html", report]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, check=True)
    assert ended.stdout.splitlines()[1].startswith(name + b",7,")
    assert b'href="%FF.png"' in report.read_bytes()


@pytest.fixture
def interruptible():
    """Else, where the tests run in the background of a shell, Ctrl+C is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.slow
def test_interrupted_run_keeps_what_it_wrote_and_is_continued(tmp_path, classify):
    for number in range(5000):
        (tmp_path / f"{number:04}.jpg").symlink_to(SEVENS / "7_087.jpg")
    output = tmp_path / "labels.csv"
    words = [*COMMAND, tmp_path, "--output", output]
    with subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE) as process:
        while not output.exists() or output.stat().st_size < 10_000:
            assert process.poll() is None
            time.sleep(0.01)  # nothing else tells that rows have been written
        process.send_signal(signal.SIGINT)
        assert process.stderr.read().endswith(b"Aborted!\n")
    written = len(rows(output.read_text()))
    assert process.returncode == 1
    for number in range(written + 10, 5000):
        (tmp_path / f"{number:04}.jpg").unlink()
    assert classify(tmp_path, "--output", output).exit_code == 0
    paths = [row["path"] for row in rows(output.read_text())]
    assert paths == [f"{tmp_path}/{number:04}.jpg" for number in range(written + 10)]
