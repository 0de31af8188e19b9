"""Calls of a cohort come to the end of each stage together."""

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
