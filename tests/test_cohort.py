"""Calls of a cohort come to the end of each stage together."""

import time
from functools import partial

import pytest

import cohort


def test_each_stage_is_done_by_all_before_the_next_begins():
    done = []

    def call(name: str, stages: int) -> None:
        for stage in range(stages):
            done.append(f"{name}{stage}")
            cohort.stage_ends()

    cohort.run([lambda: call("a", 3), lambda: call("b", 1), lambda: call("c", 2)])
    assert done == ["a0", "b0", "c0", "a1", "c1", "a2"]


def test_who_is_in_no_cohort_goes_right_on():
    cohort.stage_ends()


def test_what_a_call_raises_is_raised():
    with pytest.raises(ZeroDivisionError):
        cohort.run([cohort.stage_ends, lambda: 1 / 0])


def test_once_a_stage_takes_long_each_is_finished_by_itself():
    done = []

    def call(name: str, seconds: float) -> None:
        cohort.stage_ends()
        done.append(name)
        time.sleep(seconds)  # what makes a stage long
        cohort.stage_ends()
        done.append(name)

    seconds = {"a": 0, "slow": 2 * cohort.LONG_SECONDS, "c": 0}
    members = cohort.run([partial(call, *item) for item in seconds.items()])
    assert done == ["a", "slow"]
    for member in members:
        member.finish()
    assert done == ["a", "slow", "a", "slow", "c", "c"]
