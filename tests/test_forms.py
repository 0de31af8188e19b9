"""The file is found in a form however a client writes it."""

import http.client

import pytest
from conftest import LARGEST_FILE
from pictures import seven

SEVEN = seven()
DISPOSITION = b"Content-Disposition: form-data; "
NAMED = DISPOSITION + b'name="file"; filename="7.png"'
# What .NET, RestSharp and older urllib3 make of names outside ASCII.
RFC_2047 = b'filename="=?utf-8?B?54Wn54mHLnBuZw==?="'
RFC_2231 = b"filename*=utf-8''%E7%85%A7%E7%89%87.png"


def part(head: bytes, data: bytes = SEVEN) -> bytes:
    return b"--x\r\n" + head + b"\r\n\r\n" + data + b"\r\n"


def predict(client, *parts: bytes):
    body = b"".join(parts) + b"--x--\r\n"
    content_type = "multipart/form-data; boundary=x"
    return client.post("/predict?save=false", data=body, content_type=content_type)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(NAMED, id="usual"),
        pytest.param(DISPOSITION + b"name=file; filename=7.png", id="unquoted"),
        pytest.param(
            DISPOSITION + b"name=file; " + RFC_2047 + b"; " + RFC_2231, id=".NET"
        ),
        pytest.param(
            DISPOSITION + b"name=file; " + RFC_2231 + b"; " + RFC_2047, id="reversed"
        ),
        pytest.param(DISPOSITION + b'name="file"; ' + RFC_2047, id="RestSharp"),
        pytest.param(DISPOSITION + b'name="file"; ' + RFC_2231, id="urllib3"),
        pytest.param(
            DISPOSITION + b'name="file"; filename="=?utf-8?b?A?=.png"', id="broken"
        ),
        pytest.param(DISPOSITION + b'name="file";\r\n filename="7.png"', id="folded"),
        pytest.param(DISPOSITION + b'name="file"; filename="\xff.png"', id="any bytes"),
        pytest.param(NAMED + 20 * b"\r\nX-Other: 1", id="many headers"),
        pytest.param(NAMED.lower(), id="lower case"),
    ],
)
def test_a_file_is_found_however_its_part_is_written(client, head):
    assert predict(client, part(head)).status_code == 200


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(DISPOSITION + b'filename="a.png"', id="without a name"),
        pytest.param(DISPOSITION + b'name="other"', id="another field"),
        pytest.param(DISPOSITION + b'name="file"', id="text of that name"),
    ],
)
def test_a_file_is_found_after_other_parts(client, first):
    assert predict(client, part(first, b"7"), part(NAMED)).status_code == 200


@pytest.mark.parametrize("padding", [0, 70_000, 600_000])
def test_a_file_of_any_length_is_read_whole(client, padding):
    # What follows the end of a PNG is kept with it.
    assert predict(client, part(NAMED, SEVEN + bytes(padding))).status_code == 200


def test_none_of_two_files_is_dropped_in_silence(client, uploads):
    answer = predict(client, part(NAMED), part(NAMED))
    assert answer.status_code == 400
    assert answer.json["code"] == "several_files"
    assert list(uploads.iterdir()) == []


@pytest.mark.parametrize(
    "value",
    [
        pytest.param([b"no"], id="another word"),
        pytest.param([b"false" + bytes(100_000)], id="long"),
        pytest.param([b"false", b"true"], id="both"),
    ],
)
def test_a_doubtful_field_is_refused(client, value):
    fields = [part(DISPOSITION + b'name="save"', each) for each in value]
    body = b"".join([*fields, part(NAMED), b"--x--\r\n"])
    content_type = "multipart/form-data; boundary=x"
    answer = client.post("/predict", data=body, content_type=content_type)
    assert answer.status_code == 400
    assert answer.json["code"] == "invalid_parameter"


def test_a_field_may_be_repeated(client, uploads):
    field = part(DISPOSITION + b'name="save"', b"false")
    body = b"".join([field, field, part(NAMED), b"--x--\r\n"])
    content_type = "multipart/form-data; boundary=x"
    answer = client.post("/predict", data=body, content_type=content_type)
    assert answer.status_code == 200
    assert list(uploads.iterdir()) == []


def test_a_hint_names_the_extension_in_its_own_letters(client):
    head = DISPOSITION + 'name="file"; filename="foto.жпг"'.encode()
    assert "not .жпг." in predict(client, part(head)).json["hint"]


def test_a_part_without_a_name_is_told(client):
    answer = predict(client, part(DISPOSITION + b'name=""', b"x"))
    assert "no name" in answer.json["hint"]


def test_a_disk_that_is_full_while_a_file_arrives_is_told(client, full_disk):
    answer = predict(client, part(NAMED, SEVEN + bytes(2 * LARGEST_FILE)))
    assert answer.status_code == 507
    assert answer.json["code"] == "storage_full"
    assert "hint" not in answer.json


@pytest.fixture(scope="module")
def small_limit(start_server):
    return start_server(WEB_CONCURRENCY="1", MAX_UPLOAD_BYTES="100000")


@pytest.mark.slow
@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize(("excess", "status"), [(0, 200), (1, 413)])
def test_a_body_of_just_the_limit_is_read(small_limit, is_chunked, excess, status):
    file = part(NAMED, SEVEN + bytes(100_000 - len(SEVEN)))
    head = DISPOSITION + b'name="other"'
    rest = 1_100_000 + excess - len(file) - len(part(head, b"")) - len(b"--x--\r\n")
    body = part(head, bytes(rest)) + file + b"--x--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    connection = http.client.HTTPConnection("127.0.0.1", small_limit.port, timeout=60)
    sent = iter([body]) if is_chunked else body
    connection.request("POST", "/predict", sent, headers, encode_chunked=is_chunked)
    assert connection.getresponse().status == status
    connection.close()
