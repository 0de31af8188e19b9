"""Fetching the training data and converting them, shown on small samples."""

import gzip
import sys
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from zipfile import ZipFile

import numpy as np
import pytest
from pictures import as_bytes, seven
from PIL import Image

from training import data, fetch

ROOT = Path(__file__).parent.parent
CSV = b'"","class"\n"1",8\n'
CLOSED = "http://127.0.0.1:9/pendigits.csv"


def grey(*values: int) -> bytes:
    return as_bytes(Image.fromarray(np.array([values], np.uint8)))


def repository(**files: bytes) -> bytes:
    """An archive as GitHub makes it, in no order: all below a folder."""
    buffer = BytesIO()
    with ZipFile(buffer, "w") as archive:
        archive.mkdir("set-07d208e")
        for name, content in [*files.items(), ("LICENSE", b"MIT"), ("README.md", b"")]:
            archive.writestr(f"set-07d208e/{name}", content)
    return buffer.getvalue()


def source(original: Path, content: bytes = CSV, file: str = "pendigits.csv"):
    digest = fetch.content_digest(file, content)
    return fetch.Source(file, original.as_uri(), digest)


@pytest.fixture
def original(tmp_path):
    path = tmp_path / "original.csv"
    path.write_bytes(CSV)
    return path


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "data"


def test_bhmsds_becomes_arrays_with_signs_as_negatives(tmp_path):
    archive = repository(
        **{
            "symbols/w-0000.png": grey(3, 4),
            "symbols/7-0001.png": grey(1, 2),
            "symbols/7-0000.png": grey(0, 255),
        }
    )
    (tmp_path / "bhmsds.npz").write_bytes(fetch.bhmsds(archive))
    samples = data.bhmsds(tmp_path)
    assert [sample.label for sample in samples] == [7, 7, data.NO_DIGIT]
    assert samples[0].content.tolist() == [[255, 0]]


def test_handwritten62_has_every_picture_once_and_no_speck(tmp_path):
    archive = repository(
        **{
            "PNG/SMALL_i_83.png": grey(9),
            "PNG/DIGIT_5_2.png": grey(1),
            "PNG/DIGIT_5_10.png": grey(1),
            "PNG/CAP_A_1.PNG": grey(2),
        }
    )
    (tmp_path / "handwritten62.zip").write_bytes(fetch.handwritten62(archive))
    with ZipFile(tmp_path / "handwritten62.zip") as made:
        assert made.namelist() == ["LICENSE", "CAP_A/CAP_A_1.PNG", "5/DIGIT_5_10.png"]
    labels = [sample.label for sample in data.handwritten62(tmp_path)]
    assert labels == [data.NO_DIGIT, 5]


def test_hwd1000_is_sorted_into_folders_by_digit(tmp_path):
    archive = repository(**{"img/9-001.png": grey(1), "img/0-001.png": grey(2)})
    (tmp_path / "hwd1000.zip").write_bytes(fetch.hwd1000(archive))
    samples = data.hwd1000(tmp_path)
    assert [(s.label, s.content) for s in samples] == [(0, grey(2)), (9, grey(1))]


def test_optdigits_are_read_from_their_bitmaps():
    bitmap = "\n".join(["0" * 31 + "1"] * 32)
    text = f"ntot = 2\n\n{bitmap}\n 4\n{bitmap}\n 7\n"
    with np.load(BytesIO(fetch.optdigits(text.encode()))) as made:
        assert made["x"].shape == (2, 32, 32)
        assert made["x"][1, 5].tolist() == [0] * 31 + [255]
        assert made["y"].tolist() == [4, 7]


def test_photos_are_scaled_and_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    photo = as_bytes(Image.new("RGB", (1400, 700)), "JPEG", exif=exif)
    archive = repository(
        **{"handwritten_digits/1/0.jpg": photo, "handwritten_digits/1/b.png": seven()}
    )
    with ZipFile(BytesIO(fetch.photos_mit(archive))) as made:
        assert made.namelist() == ["LICENSE", "1/1_097.jpg", "1/1_098.jpg"]
        assert Image.open(made.open("1/1_097.jpg")).size == (320, 640)
        assert Image.open(made.open("1/1_098.jpg")).size == (90, 140)


def test_every_training_set_has_a_source_that_stays_as_it_is():
    sources = fetch.published()
    files = {source.file.split("/")[0] for source in sources}
    assert {*data.TRAINING_SETS, "mnist"} <= files
    assert set(fetch.CONVERTERS) <= files
    for _, url, digest in sources:
        assert "cvdf-datasets/mnist" in url or any(
            len(part.removesuffix(".zip")) == 40 for part in url.split("/")
        )
        assert len(digest) == 64


def test_what_is_there_and_right_is_not_fetched_again(original, directory):
    wanted = source(original)
    assert fetch.fetch(wanted, directory).startswith("made from file:")
    assert (directory / "pendigits.csv").read_bytes() == CSV
    original.unlink()
    assert fetch.fetch(wanted, directory) == "already there"


def test_a_damaged_file_is_fetched_again(original, directory):
    directory.mkdir()
    (directory / "pendigits.csv").write_bytes(CSV[:-1])
    fetch.fetch(source(original), directory)
    assert (directory / "pendigits.csv").read_bytes() == CSV


def test_content_that_was_compressed_otherwise_is_right():
    quick, small = (gzip.compress(bytes(999), level) for level in (1, 9))
    assert quick != small
    digests = {fetch.content_digest("x.gz", file) for file in (quick, small)}
    assert digests == {sha256(bytes(999)).hexdigest()}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"<html>Log in</html>", id="page"),
        pytest.param(repository()[:-40], id="cut off"),
        pytest.param(repository(**{"img/1-001.png": grey(1)}), id="other picture"),
        pytest.param(repository(**{"png/1-001.png": grey(0)}), id="other folder"),
    ],
)
def test_other_content_leaves_nothing_behind(tmp_path, directory, content):
    (tmp_path / "original.zip").write_bytes(content)
    right = fetch.hwd1000(repository(**{"img/1-001.png": grey(0)}))
    wanted = source(tmp_path / "original.zip", right, "hwd1000.zip")
    with pytest.raises(fetch.Missing, match=r"original\.zip has another SHA-256"):
        fetch.fetch(wanted, directory)
    assert not directory.exists()


def test_a_download_that_breaks_off_is_no_file(directory):
    class BreaksOff(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(CSV)))
            self.end_headers()
            self.wfile.write(CSV[:-1])

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), BreaksOff) as server:
        Thread(target=server.handle_request).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        wanted = fetch.Source("pendigits.csv", url, sha256(CSV).hexdigest())
        with pytest.raises(fetch.Missing, match="IncompleteRead"):
            fetch.fetch(wanted, directory)
    assert not directory.exists()


def test_a_source_without_an_answer_does_not_stop_the_others(
    original, directory, tmp_path, monkeypatch, capsys
):
    wanted = source(original)
    rows = [wanted._replace(file="optdigits.npz", url=CLOSED), wanted]
    table = "\n".join(",".join(row) for row in [fetch.Source._fields, *rows])
    (tmp_path / "sources.csv").write_text(table)
    monkeypatch.setattr(fetch, "SOURCES", tmp_path / "sources.csv")
    monkeypatch.setattr(sys, "argv", ["fetch", str(directory)])
    with pytest.raises(SystemExit) as end:
        fetch.main()
    assert end.value.code == 1
    unreachable, fetched, count = capsys.readouterr().out.splitlines()
    assert CLOSED in unreachable
    assert f"save it as {directory / 'optdigits.npz.download'}" in unreachable
    assert fetched.startswith("pendigits.csv: made from file:")
    assert count == f"1 of 2 files are in {directory}"


def test_a_file_that_was_saved_by_hand_is_taken(original, directory):
    directory.mkdir()
    original.rename(directory / "pendigits.csv.download")
    fetch.fetch(source(original)._replace(url=CLOSED), directory)
    assert (directory / "pendigits.csv").read_bytes() == CSV
