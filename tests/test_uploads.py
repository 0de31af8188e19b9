"""What lies in the uploads folder, how much of it, and for how long."""

import errno
import os
import re
import resource
import time
from pathlib import Path

import pytest

import uploads as uploads_module
from uploads import NoRoom, Uploads, write_file

DAY = 86_400
# Above what the test run itself may be writing into a log.
LARGEST_FILE = 4_000_000


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "not there yet" / "uploads"


@pytest.fixture
def kept(folder):
    return Uploads(folder, max_bytes=1000, max_age_days=30)


@pytest.fixture
def full_disk():
    """No file may grow beyond a limit, so that a write fails half way."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def age(path: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


def save_aged(kept: Uploads, days: float, size: int = 1) -> Path:
    path = kept.folder / kept.save(bytes(size), "png")
    age(path, days * DAY)
    return path


def test_names_are_new_and_cannot_be_guessed(kept):
    names = {kept.save(b"7", "png") for _ in range(100)}
    assert len(names) == 100
    assert all(re.fullmatch(r"[0-9a-f]{32}\.png", name) for name in names)


def test_saved_bytes_are_the_bytes_given(kept):
    assert (kept.folder / kept.save(b"a picture", "jpg")).read_bytes() == b"a picture"


def test_folder_that_vanished_is_made_again(kept):
    kept.folder.rmdir()
    assert (kept.folder / kept.save(b"7", "png")).exists()


def test_nothing_is_left_when_the_disk_is_full(kept, full_disk):
    with pytest.raises(NoRoom):
        kept.save(bytes(2 * LARGEST_FILE), "png")
    assert list(kept.folder.iterdir()) == []


def test_client_is_told_when_the_disk_is_full(post, uploads, monkeypatch):
    def fail(path, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("uploads.write_file", fail)
    answer = post()
    assert answer.status_code == 507
    assert answer.json == {"error": "There is no room to save the picture."}
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert list(uploads.iterdir()) == []


def test_expired_upload_makes_room_on_a_full_disk(kept, monkeypatch):
    expired, write = save_aged(kept, days=31), write_file

    def write_when_there_is_room(path, data):
        if expired.exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, data)

    monkeypatch.setattr("uploads.write_file", write_when_there_is_room)
    assert (kept.folder / kept.save(b"7", "png")).exists()


def test_nothing_is_left_when_the_rename_fails(kept, monkeypatch):
    def fail(path, target):
        raise PermissionError

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(NoRoom):
        kept.save(b"7", "png")
    assert list(kept.folder.iterdir()) == []


def test_folder_that_cannot_be_written_to_is_no_room(kept):
    kept.folder.rmdir()
    kept.folder.write_text("a file where the folder was")
    with pytest.raises(NoRoom):
        kept.save(b"7", "png")


def test_upload_expires_by_age(kept):
    expired, fresh = save_aged(kept, days=31), save_aged(kept, days=29)
    kept.sweep()
    assert list(kept.folder.iterdir()) == [fresh]
    assert not expired.exists()


def test_oldest_goes_first_when_there_is_too_much(kept):
    middle, oldest, newest = (save_aged(kept, days, 400) for days in (2, 3, 1))
    kept.sweep()
    assert not oldest.exists()
    assert set(kept.folder.iterdir()) == {middle, newest}


def test_sweep_is_due_when_much_was_saved(kept):
    kept.save(bytes(10), "png")
    assert not kept.sweep_due.is_set()
    kept.save(bytes(10), "png")
    assert kept.sweep_due.is_set()


def test_files_of_others_stay(kept):
    others = [kept.folder / name for name in (".gitkeep", "mine.png", "notes.txt")]
    saved = save_aged(kept, days=31, size=2000)
    for path in others:
        path.write_bytes(bytes(2000))
        age(path, 99 * DAY)
    kept.sweep()
    assert set(kept.folder.iterdir()) == set(others)
    assert not saved.exists()


def test_a_folder_that_is_left_alone_is_not_swept(kept):
    expired = save_aged(kept, days=31)
    kept.leave_alone()
    kept.sweep_due.set()
    kept.keep_bounded()
    assert expired.exists()


def test_remains_of_a_killed_worker_go(kept):
    saved = kept.folder / kept.save(b"7", "png")
    remains, in_work = (
        kept.folder / f".{'0' * 32}.png",
        kept.folder / f".{'1' * 32}.png",
    )
    remains.write_bytes(b"half")
    in_work.write_bytes(b"half")
    age(remains, 7200)
    kept.sweep()
    assert set(kept.folder.iterdir()) == {saved, in_work}


def test_file_from_the_future_stays(kept):
    future = save_aged(kept, days=-400)
    kept.sweep()
    assert future.exists()


@pytest.mark.parametrize("days", [400, -400])
def test_clock_that_jumps_expires_nothing(kept, monkeypatch, days):
    saved, clock = save_aged(kept, days=0), time.time
    monkeypatch.setattr(uploads_module.time, "time", lambda: clock() + days * DAY)
    new = save_aged(kept, days=0)
    kept.sweep()
    kept.sweep()
    assert saved.exists()
    assert new.exists()
