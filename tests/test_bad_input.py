"""Every refusal is JSON that any origin may read, and leaves nothing on disk."""

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
NO_FILE = "No file uploaded"
NOT_ALLOWED = "Not allowed file extension."


@pytest.mark.parametrize(
    ("request_parts", "message"),
    [
        pytest.param({}, NO_FILE, id="no body"),
        pytest.param({"data": {"file": "7"}}, NO_FILE, id="text in place of the file"),
        pytest.param({"json": {"file": "7"}}, NO_FILE, id="JSON"),
        pytest.param(
            {"data": {"a": (BytesIO(b"7"), "7.png")}}, NO_FILE, id="other part"
        ),
        pytest.param(file(seven(), ""), NO_FILE, id="empty name"),
        pytest.param(body(PART, "multipart/form-data"), NO_FILE, id="no boundary"),
        pytest.param(body(b"nonsense"), NO_FILE, id="no parts"),
        pytest.param(body(PART + b"cut off"), NO_FILE, id="no last boundary"),
        pytest.param(file(seven(), "seven.gif"), NOT_ALLOWED, id="extension"),
        pytest.param(file(seven(), "seven"), NOT_ALLOWED, id="no extension"),
        pytest.param(file(seven(), "png"), NOT_ALLOWED, id="no dot"),
        pytest.param(file(seven(), "seven.png.exe"), NOT_ALLOWED, id="two extensions"),
        pytest.param(body(PART + b"\r\n--x--\r\n"), "The file is empty.", id="empty"),
        pytest.param(
            {**file(seven(), "seven.png"), "query_string": "save=no"},
            "The parameter save is either true or false.",
            id="save",
        ),
    ],
)
def test_request_is_refused(client, uploads, request_parts, message):
    answer = client.post("/predict", **request_parts)
    assert_refused(answer, uploads, 400)
    assert answer.json == {"error": message}


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


def test_file_of_too_many_bytes_is_refused(post, uploads, monkeypatch):
    monkeypatch.setattr(service.RECOGNISER, "max_bytes", len(seven()) - 1)
    answer = post()
    assert_refused(answer, uploads, 413)
    assert f"{len(seven()) - 1:,} bytes" in answer.json["error"]


def test_file_of_just_the_limit_is_read(post, monkeypatch):
    monkeypatch.setattr(service.RECOGNISER, "max_bytes", len(seven()))
    assert post().status_code == 200


def test_body_of_too_many_bytes_is_refused(post, uploads, monkeypatch):
    monkeypatch.setitem(service.app.config, "MAX_CONTENT_LENGTH", 100)
    answer = post()
    assert_refused(answer, uploads, 413)
    assert "20,000,000 bytes" in answer.json["error"]


def test_picture_of_too_many_pixels_is_refused(post, uploads, monkeypatch):
    monkeypatch.setattr(service.RECOGNISER, "max_pixels", 90 * 140 - 1)
    answer = post()
    assert_refused(answer, uploads, 413)
    assert "12,599" in answer.json["error"]


def test_hairline_of_a_picture_is_refused(post, uploads):
    assert_refused(post(as_bytes(Image.new("1", (1, 70_000)))), uploads, 413)


def test_upload_from_a_client_that_names_no_host_is_refused(post, uploads):
    answer = post(environ_overrides={"HTTP_HOST": "a b"})
    assert_refused(answer, uploads, 400)


def test_unknown_path_is_refused(client, uploads):
    assert_refused(client.get("/nothing"), uploads, 404)


@pytest.mark.parametrize(
    "name", [".gitkeep", f".{'0' * 32}.png", "notes.txt", "a/b.png", "./.gitkeep", "."]
)
def test_nothing_but_uploads_is_served_from_their_folder(client, uploads, name):
    (uploads / "a").mkdir()
    for path in (".gitkeep", f".{'0' * 32}.png", "notes.txt", "a/b.png"):
        (uploads / path).write_text("secret")
    answer = client.get(f"/static/uploads/{name}")
    assert answer.status_code == 404
    assert list(answer.json) == ["error"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/predict", "POST"), ("POST", "/", "GET"), ("PUT", "/static/a", "GET")],
)
def test_wrong_method_is_told_the_right_one(client, uploads, method, path, allowed):
    answer = client.open(path, method=method)
    assert_refused(answer, uploads, 405)
    assert allowed in answer.headers["Allow"]


def assert_refused(answer, uploads, status):
    assert answer.status_code == status
    assert list(answer.json) == ["error"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert list(uploads.iterdir()) == []
