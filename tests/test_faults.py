"""What `python -m deploy.faults` tells more of, where it takes only seconds."""

import pytest

from deploy.faults import FAULTS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("fault", ["terminated", "reloaded"])
def test_promises_are_kept_while_the_service_is_broken(fault):
    result = FAULTS[fault](seconds=5)
    assert result.is_kept, result


def test_service_without_its_model_does_not_start():
    assert FAULTS["model-damaged"](seconds=5).is_kept
