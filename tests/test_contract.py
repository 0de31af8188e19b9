"""The HTTP contract of the service."""

import re
from base64 import b64decode
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pictures import RESOURCES, seven
from PIL import Image

import app as service

ORIGIN = "https://elsewhere.example"
BROWSERS = {
    "Chromium": "text/html,application/xhtml+xml,application/xml;q=0.9,"
    "image/avif,image/webp,image/apng,*/*;q=0.8",
    "Firefox": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "text browser": "text/html, text/plain;q=0.8",
}
PROGRAMS = [None, "*/*", "application/json", "text/html;q=0.5, application/json", "a"]


@pytest.mark.parametrize("accept", PROGRAMS)
def test_root_says_what_it_is(client, accept):
    answer = client.get("/", headers={"Accept": accept} if accept else {})
    assert answer.data == b'{"message":"Digit Recognition API"}\n'
    assert answer.headers["Content-Type"] == "application/json"
    assert "Accept" in answer.vary


def test_root_names_the_documentation_for_programs(client):
    assert client.get("/").headers.getlist("Link") == [
        '</docs>; rel="service-doc"',
        '</openapi.json>; rel="service-desc"',
    ]


@pytest.mark.parametrize("accept", BROWSERS.values(), ids=BROWSERS)
def test_root_is_a_page_for_browsers(client, accept):
    with client.get("/", headers={"Accept": accept}) as page:
        assert page.data.startswith(b"<!doctype html>")
        assert "Accept" in page.vary
        assert page.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_the_page_runs_and_shows_what_the_service_sends(client, path):
    with client.get(path, headers={"Accept": "text/html"}) as page:
        policy = page.headers["Content-Security-Policy"].split("; ")
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert not re.search(r"unsafe|https?:|\*", " ".join(policy))
        assert page.headers["Referrer-Policy"] == "no-referrer"


def test_without_javascript_the_page_tells_of_curl(client):
    with client.get("/", headers={"Accept": "text/html"}) as page:
        aside = re.search("<noscript>.*</noscript>", page.text, re.S)
        assert "curl -F file=@" in aside[0]


def test_the_documentation_needs_no_other_host():
    client = service.app.test_client()
    with client.get("/docs") as page:
        paths = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    for path in paths:
        with client.get(f"/{path.removeprefix('.')}") as part:
            assert part.status_code == 200


@pytest.mark.parametrize("name", ["__init__.py", "../__init__.py", "%2e%2e/LICENSE"])
def test_nothing_but_its_files_is_served_beside_the_documentation(client, name):
    assert client.get(f"/docs/{name}").status_code == 404


@pytest.mark.parametrize("path", ["/", "/static/page.js", "/static/page.css"])
def test_parts_of_the_page_are_never_of_different_versions(path):
    client = service.app.test_client()
    with client.get(path, headers={"Accept": "text/html"}) as answer:
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.headers["ETag"]


def test_answer_ranks_all_ten_classes(post):
    answer = post()
    ranking = answer.json["classification_result"]
    percents = [entry["prob"] for entry in ranking]
    assert answer.status_code == 200
    assert sorted(entry["class"] for entry in ranking) == list("0123456789")
    assert percents == sorted(percents, reverse=True)


def test_probabilities_are_percents_with_two_decimals(post):
    percents = [entry["prob"] for entry in post().json["classification_result"]]
    assert sum(percents) == pytest.approx(100, abs=0.1)
    assert percents == [round(percent, 2) for percent in percents]


def test_parts_of_the_answer_come_in_the_order_of_the_contract(post):
    assert list(post().json) == [
        "classification_result",
        "image_url",
        "box",
        "digits",
        "text",
    ]


def test_one_digit_is_the_only_one_of_its_digits(post):
    answer = post().json
    best = answer["classification_result"][0]
    assert answer["digits"] == [{**best, "box": answer["box"]}]
    assert answer["text"] == best["class"]


def test_every_digit_of_a_number_is_answered_with_its_box(post):
    picture = (RESOURCES / "numbers" / "19624_guerrantif.jpg").read_bytes()
    answer = post(picture, "number.jpg").json
    assert answer["text"] == "19624"
    assert [digit["class"] for digit in answer["digits"]] == list("19624")
    lefts = [digit["box"]["x"] for digit in answer["digits"]]
    assert lefts == sorted(lefts)
    assert len(answer["classification_result"]) == 10
    assert "truncated" not in answer


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.Png", "a.b.pNg", ".jpg"])
def test_extension_may_have_any_letter_case(post, name):
    assert post(name=name).status_code == 200


def test_upload_is_answered_unchanged_at_its_url(client, post):
    picture = seven("JPEG")
    with client.get(post(picture, "seven.jpg").json["image_url"]) as upload:
        assert upload.data == picture
        assert upload.mimetype == "image/jpeg"


@pytest.mark.parametrize("host", ["http://digits.example", "https://[::1]:8443"])
def test_url_has_the_scheme_and_host_of_the_client(post, host):
    assert post(base_url=host).json["image_url"].startswith(f"{host}/static/uploads/")


@pytest.mark.parametrize(
    ("image_format", "name", "extension"),
    [
        ("JPEG", "a.jpg", ".jpg"),
        ("JPEG", "a.JPEG", ".jpeg"),
        ("PNG", "a.PNG", ".png"),
        ("PNG", "a.jpeg", ".png"),
        ("JPEG", "a.png", ".jpg"),
    ],
)
def test_upload_has_its_extension_unless_it_lies(post, image_format, name, extension):
    assert post(seven(image_format), name).json["image_url"].endswith(extension)


def test_upload_has_nothing_of_the_name_that_was_sent(post, uploads):
    post(name="../../my secret.png")
    (stored,) = uploads.iterdir()
    assert "secret" not in stored.name


def assert_no_page(upload):
    policy = upload.headers["Content-Security-Policy"]
    assert policy == "default-src 'none'; sandbox"
    assert upload.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("spelling", ["/static/uploads/", "/static/./uploads/"])
def test_upload_cannot_act_as_a_page(client, post, spelling):
    url = post().json["image_url"].replace("/static/uploads/", spelling)
    with client.get(url) as upload:
        assert_no_page(upload)


def test_part_of_an_upload_cannot_act_as_a_page(client, post):
    url = post().json["image_url"]
    with client.get(url, headers={"Range": "bytes=10-19"}) as part:
        assert part.status_code == 206
        assert part.mimetype == "image/png"
        assert_no_page(part)


def test_upload_that_is_still_known_cannot_act_as_a_page(client, post):
    url = post().json["image_url"]
    with client.get(url) as upload:
        known = {"If-None-Match": upload.headers["ETag"]}
    with client.get(url, headers=known) as unchanged:
        assert unchanged.status_code == 304
        assert_no_page(unchanged)


def test_upload_that_holds_a_page_is_served_as_the_picture_that_it_is_too(client, post):
    page = b"<script>alert(1)</script>"
    with client.get(post(seven() + page, "a.jpg").json["image_url"]) as upload:
        assert upload.mimetype == "image/png"
        assert_no_page(upload)


def test_box_lies_within_the_picture(post):
    box = post(seven(width=300, height=200)).json["box"]
    assert 0 <= box["x"] < box["x"] + box["width"] <= 300
    assert 0 <= box["y"] < box["y"] + box["height"] <= 200


@pytest.mark.parametrize("value", ["false", "False"])
def test_nothing_is_stored_when_the_client_says_so(post, uploads, value):
    answer = post(query_string={"save": value})
    assert answer.json == {**post().json, "image_url": None}
    assert len(list(uploads.iterdir())) == 1


@pytest.mark.parametrize(
    ("query", "field", "count"),
    [("", "false", 0), ("?save=true", "false", 1), ("?save=false", "true", 0)],
)
def test_a_field_may_say_it_too_and_the_query_wins(
    client, uploads, query, field, count
):
    form = {"save": field, "file": (BytesIO(seven()), "7.png")}
    answer = client.post(f"/predict{query}", data=form)
    assert bool(answer.json["image_url"]) == bool(count)
    assert len(list(uploads.iterdir())) == count


def test_what_the_model_saw_is_shown_on_demand(post):
    kind, data = post(query_string="input=true").json["input"].split(",")
    assert kind == "data:image/png;base64"
    image = Image.open(BytesIO(b64decode(data)))
    assert image.size == (90, 140)
    assert np.ptp(image) > 200


@pytest.mark.parametrize("path", ["/", "/ready", "/predict", "/static/nothing"])
def test_any_origin_may_read_the_answer(client, path):
    headers = client.get(path, headers={"Origin": ORIGIN}).headers
    assert headers["Access-Control-Allow-Origin"] in ("*", ORIGIN)


def test_any_origin_may_post(client):
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    headers = client.options("/predict", headers=asked).headers
    assert headers["Access-Control-Allow-Origin"] in ("*", ORIGIN)
    assert "POST" in headers["Access-Control-Allow-Methods"]


def test_ready_after_a_forward_pass(client):
    answer = client.get("/ready")
    assert answer.json == {"ready": True}
    assert answer.status_code == 200


def test_not_ready_when_the_model_gives_no_numbers(client, monkeypatch):
    nothing = lambda pixels: np.full(10, np.nan)  # noqa: E731
    monkeypatch.setattr(service.RECOGNISER.recogniser, "classify", nothing)
    answer = client.get("/ready")
    assert answer.json["error"] == "The model does not answer."
    assert answer.status_code == 503


def test_info_names_the_service_and_its_model(client):
    model = (Path(service.__file__).parent / "model.keras").read_bytes()
    assert client.get("/info").json == {
        "version": service.__version__,
        "model": {
            "name": "digits",
            "sha256": sha256(model).hexdigest(),
            "input_shape": [140, 90, 3],
            "classes": list("0123456789"),
            "preparation": "prepared ink",
        },
    }


def test_names_of_the_module():
    assert service.CLASS_LEN == len(service.CLASS) == service.MODEL.output_shape[-1]
    assert set(service.ALLOWED_EXT) == {"jpg", "jpeg", "png"}


def test_each_digit_of_a_number_has_its_ranking_if_asked(post):
    number = (RESOURCES / "numbers" / "1717_guerrantif.jpg").read_bytes()
    answer = post(number, "number.jpg", query_string={"input": "true"}).json
    for digit in answer["digits"]:
        assert digit["ranking"][0] == {"class": digit["class"], "prob": digit["prob"]}
        assert len(digit["ranking"]) == 10
