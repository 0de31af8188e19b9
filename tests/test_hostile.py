"""A part of the requests of `python -m tests.hostile`."""

import pytest
from server import running_server

from benchmarks.launches import copy_service
from tests.hostile import groups, outcome
from tests.hostile_pictures import chunk, exif, png

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def own_uploads(tmp_path_factory):
    return tmp_path_factory.mktemp("service") / "static" / "uploads"


@pytest.fixture(scope="module")
def own_server(own_uploads):
    folder = own_uploads.parent.parent
    copy_service(folder)
    with running_server(folder, WEB_CONCURRENCY="1") as server:
        yield server


# Bombs take a minute to make.
@pytest.mark.parametrize("group", [name for name in groups(0, 0) if name != "bombs"])
def test_hostile_requests_are_refused_or_answered(own_server, own_uploads, group):
    cases = groups(seed=0, count=300)[group]
    outcomes = [outcome(own_server, own_uploads, *case) for case in cases]
    # Times are not reliable on a busy machine.
    complaints = [each for each in outcomes if each.complaint not in ("", "slow")]
    assert len(outcomes) > 10
    assert complaints == []


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_exif_data_of_a_whole_picture_does_no_harm(post):
    answer = post(png(9, 9, extra=chunk(b"eXIf", exif(300, 5000))))
    assert answer.status_code == 200
