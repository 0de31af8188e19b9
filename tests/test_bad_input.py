"""Every refusal is JSON that any origin may read, and leaves nothing on disk."""

from base64 import b64encode
from io import BytesIO
from zlib import crc32

import pytest
from pictures import as_bytes, drawn_seven, seven
from PIL import Image

import app as service

PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'


def file(data: bytes, name: str) -> dict:
    return {"data": {"file": (BytesIO(data), name)}}


def body(data: bytes, content_type: str = "multipart/form-data; boundary=x") -> dict:
    return {"data": data, "content_type": content_type}


def without_palette() -> bytes:
    data = as_bytes(drawn_seven().quantize(4))
    start = data.index(b"PLTE") - 4
    length = int.from_bytes(data[start : start + 4], "big")
    return data[:start] + data[start + 12 + length :]


def heic(brand: bytes = b"heic\0\0\0\0mif1heic") -> bytes:
    return b"\0\0\0\x18ftyp" + brand + bytes(100)


def with_flipped_bit(data: bytes, place: int) -> bytes:
    flipped = bytearray(data)
    flipped[place] ^= 1
    return bytes(flipped)


def with_parts(data: bytes, place: int, part: bytes) -> bytes:
    return data[:place] + 20_000 * part + data[place:]


def with_scans(jpeg: bytes, count: int) -> bytes:
    """The first of which its head is repeated."""
    start = jpeg.index(b"\xff\xda")
    return jpeg[:-2] + count * jpeg[start : start + 14] + jpeg[-2:]


EMPTY_CHUNK = b"\0\0\0\0abCd" + crc32(b"abCd").to_bytes(4)
NO_FILE = "No file uploaded", "no_file"
NOT_ALLOWED = "Not allowed file extension.", "extension_not_allowed"


@pytest.mark.parametrize(
    ("request_parts", "message", "code", "hint"),
    [
        pytest.param({}, *NO_FILE, "Content-Type is not declared", id="no body"),
        pytest.param(
            {"data": {"file": "7"}}, *NO_FILE, "-www-form-urlencoded", id="text"
        ),
        pytest.param({"json": {"file": "7"}}, *NO_FILE, "application/json", id="JSON"),
        pytest.param(
            body(seven(), "image/png"), *NO_FILE, "is image/png", id="raw bytes"
        ),
        pytest.param(
            {"data": {"image": (BytesIO(b"7"), "7.png"), "note": "é"}},
            *NO_FILE,
            "named note, image",
            id="other parts",
        ),
        pytest.param(
            file(seven(), ""), *NO_FILE, "without a file name", id="empty name"
        ),
        pytest.param(
            body(PART, "multipart/form-data"), *NO_FILE, "boundary", id="no boundary"
        ),
        pytest.param(body(b"nonsense"), *NO_FILE, "cut off", id="no parts"),
        pytest.param(body(PART + b"7"), *NO_FILE, "cut off", id="no last boundary"),
        pytest.param(
            file(seven(), "seven.gif"), *NOT_ALLOWED, "not .gif", id="extension"
        ),
        pytest.param(
            file(seven(), "seven"), *NOT_ALLOWED, "no extension", id="no extension"
        ),
        pytest.param(file(seven(), "png"), *NOT_ALLOWED, "no extension", id="no dot"),
        pytest.param(
            file(seven(), "seven.png.exe"), *NOT_ALLOWED, ".exe", id="two extensions"
        ),
        pytest.param(file(heic(), "7.heic"), *NOT_ALLOWED, "a HEIC picture", id="HEIC"),
        pytest.param(
            body(PART + b"\r\n--x--\r\n"),
            "The file is empty.",
            "empty_file",
            "",
            id="empty",
        ),
        pytest.param(
            {**file(seven(), "seven.png"), "query_string": "save=no"},
            "The parameter save is either true or false.",
            "invalid_parameter",
            "",
            id="save",
        ),
    ],
)
def test_request_is_refused(client, uploads, request_parts, message, code, hint):
    answer = client.post("/predict", **request_parts)
    assert_refused(answer, uploads, 400)
    assert answer.json["error"] == message
    assert answer.json["code"] == code
    assert hint in answer.json.get("hint", "")


@pytest.mark.parametrize(
    ("data", "content"),
    [
        (heic(), "a HEIC picture"),
        (heic(b"mif1\0\0\0\0mif1avif"), "an AVIF picture"),
        (heic(b"isom"), "a video"),
        (seven("WEBP"), "a WebP picture"),
        (seven("GIF"), "a GIF picture"),
        (seven("BMP"), "a BMP picture"),
        (seven("TIFF"), "a TIFF picture"),
        (seven("PDF"), "a PDF document"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG"),
        (b"\n<!DOCTYPE html><title>Not found</title>", "an HTML page"),
        (b64encode(seven("JPEG")), "base64"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_contents_are_named(post, data, content):
    answer = post(data)
    assert answer.status_code == 400
    assert answer.json["code"] == "unreadable"
    assert content in answer.json["hint"]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"7", id="text"),
        pytest.param(seven("GIF"), id="GIF"),
        pytest.param(seven("PNG")[:-200], id="truncated PNG"),
        pytest.param(seven("PNG")[:-1], id="PNG without its last byte"),
        pytest.param(seven("PNG")[:-12], id="PNG without its end"),
        pytest.param(with_flipped_bit(seven("PNG"), -20), id="PNG with a wrong bit"),
        pytest.param(with_parts(seven("PNG"), 33, EMPTY_CHUNK), id="PNG of chunks"),
        pytest.param(with_parts(seven("JPEG"), 2, b"\xff\xfe\0\2"), id="JPEG of parts"),
        pytest.param(with_parts(seven("JPEG"), 2, b"\xff"), id="JPEG of filling"),
        pytest.param(with_parts(seven("JPEG"), -2, b"\xff"), id="JPEG filled inside"),
        pytest.param(without_palette(), id="PNG without its palette"),
        pytest.param(with_scans(seven("JPEG"), 40), id="JPEG of many scans"),
        pytest.param(seven("JPEG")[:500], id="truncated JPEG"),
        pytest.param(seven("PNG")[:60] + bytes(400), id="corrupt PNG"),
    ],
)
def test_what_is_no_picture_is_refused(post, uploads, data):
    answer = post(data)
    assert_refused(answer, uploads, 400)
    assert answer.json["error"].endswith(".")
    assert answer.json["code"] == "unreadable"


def test_file_of_too_many_bytes_is_refused(post, uploads, monkeypatch):
    monkeypatch.setattr(service.RECOGNISER, "max_bytes", len(seven()) - 1)
    answer = post()
    assert_refused(answer, uploads, 413)
    assert f"{len(seven()) - 1:,} bytes" in answer.json["error"]
    assert answer.json["code"] == "too_many_bytes"


def test_file_of_just_the_limit_is_read(post, monkeypatch):
    monkeypatch.setattr(service.RECOGNISER, "max_bytes", len(seven()))
    assert post().status_code == 200


def test_body_of_too_many_bytes_is_refused(post, uploads, monkeypatch):
    monkeypatch.setitem(service.app.config, "MAX_CONTENT_LENGTH", 100)
    answer = post()
    assert_refused(answer, uploads, 413)
    assert "20,000,000 bytes" in answer.json["error"]
    assert answer.json["code"] == "too_many_bytes"


def test_picture_of_too_many_pixels_is_refused(post, uploads, monkeypatch):
    monkeypatch.setattr(service.RECOGNISER, "max_pixels", 90 * 140 - 1)
    answer = post()
    assert_refused(answer, uploads, 413)
    assert "12,599" in answer.json["error"]
    assert answer.json["code"] == "too_many_pixels"
    assert "90 by 140 pixels" in answer.json["hint"]


def test_hairline_of_a_picture_is_refused(post, uploads):
    assert_refused(post(as_bytes(Image.new("1", (1, 70_000)))), uploads, 413)


def test_upload_from_a_client_that_names_no_host_is_refused(post, uploads):
    answer = post(environ_overrides={"HTTP_HOST": "a b"})
    assert_refused(answer, uploads, 400)


def test_unknown_path_is_refused(client, uploads):
    answer = client.get("/nothing")
    assert_refused(answer, uploads, 404)
    assert answer.json["code"] == "not_found"
    assert "/docs" in answer.json["hint"]


@pytest.mark.parametrize(
    "name", [".gitkeep", f".{'0' * 32}.png", "notes.txt", "a/b.png", "./.gitkeep", "."]
)
def test_nothing_but_uploads_is_served_from_their_folder(client, uploads, name):
    (uploads / "a").mkdir()
    for path in (".gitkeep", f".{'0' * 32}.png", "notes.txt", "a/b.png"):
        (uploads / path).write_text("secret")
    answer = client.get(f"/static/uploads/{name}")
    assert answer.status_code == 404
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/predict", "POST"), ("POST", "/", "GET"), ("PUT", "/static/a", "GET")],
)
def test_wrong_method_is_told_the_right_one(client, uploads, method, path, allowed):
    answer = client.open(path, method=method)
    assert_refused(answer, uploads, 405)
    assert allowed in answer.headers["Allow"]
    assert answer.json["code"] == "method_not_allowed"
    assert allowed in answer.json["hint"]


def assert_refused(answer, uploads, status):
    assert answer.status_code == status
    assert ["error", "code", "hint"][: len(answer.json)] == list(answer.json)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert list(uploads.iterdir()) == []
