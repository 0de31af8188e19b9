"""The examples of the READMEs, run as they stand there."""

import csv
import json
import re
import shutil
import subprocess
import sys

import pytest
from pictures import RESOURCES
from programs import program
from server import ROOT

pytestmark = pytest.mark.slow

SEVEN = RESOURCES / "photos_mit" / "7" / "7_087.jpg"
READMES = ["README.md", "README.id.md"]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What a page has at hand, and what it does with the answer.
NODE = """
import fs from "node:fs";
const blob = new Blob([fs.readFileSync("seven.jpg")]);
%s
console.log(JSON.stringify(answer));
"""


def examples(language: str, word: str, readme: str = "README.md") -> list[str]:
    blocks = BLOCK.findall((ROOT / readme).read_text())
    return [text for known, text in blocks if known == language and word in text]


def output(command: list[str], folder, text: str | None = None) -> str:
    run = subprocess.run(
        command, cwd=folder, input=text, stdout=subprocess.PIPE, text=True
    )
    assert run.returncode == 0
    return run.stdout


@pytest.fixture
def at_server(server):
    return lambda text: text.replace("http://localhost:5000", server.url)


@pytest.fixture
def folder(tmp_path):
    shutil.copy(SEVEN, tmp_path / "seven.jpg")
    return tmp_path


@pytest.mark.parametrize("readme", READMES)
def test_curl(at_server, readme):
    program("curl")
    (example,) = examples("console", "curl", readme)
    command, reply = at_server(example).removeprefix("$ ").split("\n", 1)
    answer = json.loads(output(["bash", "-c", command], ROOT))
    answer.pop("image_url")
    expected = json.loads(reply)
    del expected["image_url"]
    assert answer["box"] == expected["box"]
    assert answer["classification_result"][0] == expected["classification_result"][0]


def test_requests(at_server, folder):
    (example,) = examples("python", "requests")
    printed = output([sys.executable, "-"], folder, at_server(example))
    assert printed.startswith("{'class': '7', 'prob': ")


def test_fetch(at_server, folder):
    program("node")
    (example,) = examples("js", "fetch(")
    script = at_server(NODE % example)
    answer = json.loads(output(["node", "--input-type=module"], folder, script))
    assert answer["classification_result"][0]["class"] == "7"


@pytest.mark.parametrize(
    "example",
    [text for readme in READMES for text in examples("console", "classify", readme)],
)
def test_classify(example):
    command, expected = example.removeprefix("$ ").split("\n", 1)
    command = command.replace(".venv/bin/flask", f"{sys.executable} -m flask")
    run = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert run.returncode == (",,,," in expected)
    labels = [row[:2] + row[3:] for row in csv.reader(run.stdout.splitlines())]
    assert labels == [row[:2] + row[3:] for row in csv.reader(expected.splitlines())]
