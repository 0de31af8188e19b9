"""The running service answers every request as static/openapi.json describes."""

import json
import subprocess
import sys

import pytest
import requests
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import RESOURCES, seven
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
)
from server import ROOT
from test_readme import EXAMPLE

pytestmark = pytest.mark.slow

DOCUMENT = ROOT / "static" / "openapi.json"
SCHEMA = schemathesis.openapi.from_path(DOCUMENT)
PREDICT = SCHEMA["/predict"]["post"]
UPLOAD = SCHEMA["/static/uploads/{name}"]["get"]
PICTURES = [seven("JPEG"), seven(), seven(width=3, height=2000)]
PICTURES += [path.read_bytes() for path in sorted(RESOURCES.glob("*/4/*"))[::8]]

same_cases_each_time = settings(max_examples=300, derandomize=True, deadline=None)


@st.composite
def damaged(draw) -> bytes:
    picture = draw(st.sampled_from(PICTURES))
    place = st.integers(0, len(picture))
    start, stop = sorted([draw(place), draw(place)])
    return picture[:start] + draw(st.binary(max_size=50)) + picture[stop:]


FILES = st.sampled_from(PICTURES) | damaged() | st.binary()
NAMES = st.text() | st.sampled_from(["7.png", "7.JPEG", "../7.jpg", "7.gif", ".png"])
for media_type in ("image/jpeg", "image/png"):
    schemathesis.openapi.media_type(media_type, FILES)


@SCHEMA.parametrize()
@same_cases_each_time
def test_every_answer_is_as_the_schema_says(case, server):
    answer = case.call(server.url, timeout=60)
    is_upload = case.method == "POST" and answer.status_code == 200
    if is_upload and (url := answer.json()["image_url"]):
        UPLOAD.validate_response(requests.get(url, timeout=60))
    # No schema tells which bytes are a picture: what it allows may be refused. And a
    # list in place of a field of a form arrives as other fields, or none.
    is_form = case.method == "POST"
    excluded = [positive_data_acceptance] + is_form * [negative_data_rejection]
    case.validate_response(answer, excluded_checks=excluded)


@same_cases_each_time
@given(name=NAMES, data=FILES)
def test_a_file_of_any_name_is_answered_as_the_schema_says(name, data, server):
    url = f"{server.url}/predict?save=false"
    answer = requests.post(url, files={"file": (name, data)}, timeout=60)
    assert answer.status_code < 500
    PREDICT.validate_response(answer)


def test_the_schema_is_served(server):
    answer = requests.get(f"{server.url}/openapi.json", timeout=60)
    assert answer.json() == json.loads(DOCUMENT.read_text())


def test_the_python_sample_prints_the_digit(server):
    samples = json.loads(DOCUMENT.read_text())["paths"]["/predict"]["post"]
    (source,) = (
        sample["source"]
        for sample in samples["x-codeSamples"]
        if sample["lang"] == "Python"
    )
    source = source.replace("http://localhost:5000", server.url)
    source = source.replace("seven.jpg", f"{RESOURCES}/photos_mit/7/7_087.jpg")
    command = [sys.executable, "-c", source]
    printed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert printed.stdout.startswith("7 ")


def test_the_schema_has_the_version_of_the_service(server):
    info = requests.get(f"{server.url}/info", timeout=60).json()
    assert json.loads(DOCUMENT.read_text())["info"]["version"] == info["version"]


def test_the_example_of_the_schema_is_that_of_the_readme():
    success = json.loads(DOCUMENT.read_text())["paths"]["/predict"]["post"]["responses"]
    (media_type,) = success["200"]["content"].values()
    assert media_type["examples"]["photo"]["value"] == json.loads(EXAMPLE[2])
