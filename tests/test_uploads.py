"""What lies in the uploads folder, how much of it, and for how long."""

import errno
import os
import queue
import re
import subprocess
import sys
import threading
import time
from io import BytesIO
from pathlib import Path

import pytest
from conftest import LARGEST_FILE
from server import running_server

import uploads as uploads_module
from benchmarks.launches import copy_service
from uploads import StorageFull, Uploads, exclusive

DAY = 86_400


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "not there yet" / "uploads"


@pytest.fixture
def cleaned(folder):
    """Small enough for each upload to be followed by a cleanup in the background."""
    folder.mkdir(parents=True)
    return Uploads(folder, max_bytes=1000, max_age_days=30)


@pytest.fixture
def kept(cleaned, monkeypatch):
    """Cleaned up by the test alone."""
    monkeypatch.setattr(cleaned, "request_cleanup", lambda: None)
    return cleaned


def age(path: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


def save_aged(kept: Uploads, days: float, size: int = 1) -> Path:
    path = kept.folder / kept.save(BytesIO(bytes(size)), "png")
    age(path, days * DAY)
    return path


def test_names_are_new_and_cannot_be_guessed(kept):
    names = {kept.save(BytesIO(b"7"), "png") for _ in range(100)}
    assert len(names) == 100
    assert all(re.fullmatch(r"[0-9a-f]{32}\.png", name) for name in names)


def test_saved_bytes_are_the_bytes_given(kept):
    assert (
        kept.folder / kept.save(BytesIO(b"a picture"), "jpg")
    ).read_bytes() == b"a picture"


def test_folder_that_vanished_is_made_again(kept):
    kept.folder.rmdir()
    assert (kept.folder / kept.save(BytesIO(b"7"), "png")).exists()


def test_folder_that_vanishes_while_a_file_is_written_is_made_again(kept, monkeypatch):
    replace = os.replace

    def vanish_first(part, path):
        if not kept.folder.with_name("vanished").exists():
            kept.folder.rename(kept.folder.with_name("vanished"))
        replace(part, path)

    monkeypatch.setattr("os.replace", vanish_first)
    assert (kept.folder / kept.save(BytesIO(b"7"), "png")).read_bytes() == b"7"


def test_nothing_is_left_when_the_disk_is_full(kept, full_disk):
    with pytest.raises(StorageFull):
        kept.save(BytesIO(bytes(2 * LARGEST_FILE)), "png")
    assert list(kept.folder.iterdir()) == []


def no_space(file, target):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_client_is_told_when_the_disk_is_full(post, uploads, monkeypatch):
    monkeypatch.setattr("shutil.copyfileobj", no_space)
    answer = post()
    assert answer.status_code == 507
    assert answer.json["error"] == "There is no room to save the picture."
    assert answer.json["code"] == "storage_full"
    assert "save=false" in answer.json["hint"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert list(uploads.iterdir()) == []


def test_a_full_disk_is_cleaned_up_by_another_thread(cleaned, monkeypatch):
    threads = queue.SimpleQueue()
    monkeypatch.setattr("shutil.copyfileobj", no_space)
    monkeypatch.setattr(
        cleaned, "clean_up", lambda: threads.put(threading.current_thread())
    )
    with pytest.raises(StorageFull):
        cleaned.save(BytesIO(b"7"), "png")
    assert threads.get(timeout=10) is not threading.current_thread()


def test_nothing_is_left_when_the_rename_fails(kept, monkeypatch):
    def fail(path, target):
        raise PermissionError

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(StorageFull):
        kept.save(BytesIO(b"7"), "png")
    assert list(kept.folder.iterdir()) == []


def test_folder_that_cannot_be_written_to_is_no_room(kept):
    kept.folder.rmdir()
    kept.folder.write_text("a file where the folder was")
    with pytest.raises(StorageFull):
        kept.save(BytesIO(b"7"), "png")


def test_upload_expires_by_age(kept):
    expired, fresh = save_aged(kept, days=31), save_aged(kept, days=29)
    kept.clean_up()
    assert list(kept.folder.iterdir()) == [fresh]
    assert not expired.exists()


def test_oldest_goes_first_when_there_is_too_much(kept):
    middle, oldest, newest = (save_aged(kept, days, 400) for days in (2, 3, 1))
    kept.clean_up()
    assert not oldest.exists()
    assert set(kept.folder.iterdir()) == {middle, newest}


def test_much_that_was_saved_is_cleaned_up_in_the_background(cleaned):
    expired = save_aged(cleaned, days=31)
    cleaned.save(BytesIO(bytes(20)), "png")
    wait_until(lambda: not expired.exists())


def wait_until(is_so) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)  # another thread does it


def test_one_process_cleans_up_at_a_time(kept):
    expired = save_aged(kept, days=31)
    with exclusive(kept.folder):
        kept.clean_up()
        assert expired.exists()
    kept.clean_up()
    assert not expired.exists()


def test_files_of_others_stay(kept):
    others = [kept.folder / name for name in (".gitkeep", "mine.png", "notes.txt")]
    saved = save_aged(kept, days=31, size=2000)
    for path in others:
        path.write_bytes(bytes(2000))
        age(path, 99 * DAY)
    kept.clean_up()
    assert set(kept.folder.iterdir()) == set(others)
    assert not saved.exists()


@pytest.fixture
def expired_upload(tmp_path):
    """In a copy of the service."""
    copy_service(tmp_path)
    path = tmp_path / "static" / "uploads" / f"{'0' * 32}.png"
    path.write_bytes(b"7")
    age(path, 99 * DAY)
    return path


@pytest.mark.slow
def test_an_import_deletes_nothing(tmp_path, expired_upload):
    command = [sys.executable, "-c", "import app, time; time.sleep(1)"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert expired_upload.exists()


@pytest.mark.slow
def test_the_server_deletes_what_expired_before_it_started(tmp_path, expired_upload):
    with running_server(tmp_path, WEB_CONCURRENCY="2"):
        wait_until(lambda: not expired_upload.exists())


def test_remains_of_a_killed_worker_go(kept):
    saved = kept.folder / kept.save(BytesIO(b"7"), "png")
    remains, in_work = (
        kept.folder / f".{'0' * 32}.png",
        kept.folder / f".{'1' * 32}.png",
    )
    remains.write_bytes(b"half")
    in_work.write_bytes(b"half")
    age(remains, 31 * DAY)
    kept.clean_up()
    assert set(kept.folder.iterdir()) == {saved, in_work}


def test_file_from_the_future_stays(kept):
    future = save_aged(kept, days=-400)
    kept.clean_up()
    assert future.exists()


@pytest.mark.parametrize("days", [400, -400])
def test_clock_that_jumps_expires_nothing(kept, monkeypatch, days):
    saved, clock = save_aged(kept, days=0), time.time
    monkeypatch.setattr(uploads_module.time, "time", lambda: clock() + days * DAY)
    new = save_aged(kept, days=0)
    kept.clean_up()
    kept.clean_up()
    assert saved.exists()
    assert new.exists()


def test_clock_that_was_wrong_at_the_start_is_trusted_after_a_day(folder, monkeypatch):
    clock, steady = time.time, time.monotonic
    monkeypatch.setattr(uploads_module.time, "time", lambda: clock() - 10_000 * DAY)
    folder.mkdir(parents=True)
    kept = Uploads(folder, max_bytes=1000, max_age_days=30)
    expired = save_aged(kept, days=31)
    monkeypatch.setattr(uploads_module.time, "time", clock)
    age(expired, 31 * DAY)
    kept.clean_up()
    assert expired.exists()
    monkeypatch.setattr(uploads_module.time, "time", lambda: clock() + 2 * DAY)
    monkeypatch.setattr(uploads_module.time, "monotonic", lambda: steady() + 2 * DAY)
    kept.clean_up()
    assert not expired.exists()
