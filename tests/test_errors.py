"""An unexpected error is a traceback in the log and a 500 without its cause."""

import app as service


def fail(*_):
    raise RuntimeError("the secret")


def test_client_learns_nothing_of_the_cause(post, uploads, monkeypatch):
    monkeypatch.setattr(service.RECOGNISER, "recognise", fail)
    answer = post()
    assert answer.status_code == 500
    assert list(answer.json) == ["error", "code"]
    assert "secret" not in answer.text
    assert list(uploads.iterdir()) == []


def test_any_origin_may_read_the_failure(post, monkeypatch):
    monkeypatch.setattr(service.RECOGNISER, "recognise", fail)
    assert post().headers["Access-Control-Allow-Origin"] == "*"


def test_log_has_the_traceback(post, monkeypatch, caplog):
    monkeypatch.setattr(service.RECOGNISER, "recognise", fail)
    post()
    assert "the secret" in caplog.text
    assert "Traceback" in caplog.text
