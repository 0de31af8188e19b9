"""What `python -m tests.faults` breaks, where it takes only seconds."""

import pytest

from tests.faults import FAULTS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("fault", ["terminated", "reloaded", "idle-uploads"])
def test_the_service_withstands(fault):
    result = FAULTS[fault](seconds=5)
    assert result.has_passed, result


def test_service_without_its_model_does_not_start():
    result = FAULTS["model-damaged"](seconds=5)
    assert result.has_passed, result
