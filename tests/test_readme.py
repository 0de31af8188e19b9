"""The examples and the figures of the READMEs, in both languages."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import requests

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
NAMES = ["README.md", "README.id.md"]
TEXTS = {name: (ROOT / name).read_text() for name in NAMES}
CURL = re.compile(r"^\$ curl -F file=@(\S+) http://\S+\n(\{.*\})$", re.M)
EXAMPLE = CURL.search(TEXTS["README.md"])


@pytest.mark.parametrize("name", NAMES)
def test_curl_of_the_readme_gets_the_reply_of_the_readme(server, name):
    picture, reply = CURL.search(TEXTS[name]).groups()
    with (ROOT / picture).open("rb") as file:
        answer = requests.post(
            f"{server.url}/predict", files={"file": file}, timeout=60
        )
    given, reply = answer.json(), json.loads(reply)
    assert given["box"] == reply["box"]
    first, expected = (each["classification_result"][0] for each in (given, reply))
    assert first["class"] == expected["class"]
    assert first["prob"] == pytest.approx(expected["prob"], abs=0.5)


def test_classify_of_the_readmes_prints_what_they_show():
    example = r"^\$ \.venv/bin/(flask .*)\n([^`]+)"
    command, rows = re.search(example, TEXTS["README.id.md"], re.M).groups()
    words = [
        word
        for pattern in shlex.split(command)
        for word in sorted(map(str, ROOT.glob(pattern))) or [pattern]
    ]
    words = [word.removeprefix(f"{ROOT}/") for word in words]
    ended = subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True
    )
    assert ended.stdout == rows
    assert command in TEXTS["README.md"]
    assert rows in TEXTS["README.md"]


def test_both_languages_tell_the_same_accuracy():
    table = re.compile(r"^\|.*\| ([\d.,]+) % \(.*?([\d.,]+) \w+ ([\d.,]+)\) \|$", re.M)
    english, indonesian = (table.findall(TEXTS[name]) for name in NAMES)
    assert english
    assert [[each.replace(",", ".") for each in row] for row in indonesian] == [
        list(row) for row in english
    ]
