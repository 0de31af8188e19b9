"""Which pictures are read together, which alone, and which are turned away."""

from concurrent.futures import ThreadPoolExecutor, as_completed
from io import BytesIO
from itertools import islice
from threading import Barrier, Event, Semaphore
from time import sleep

import pytest
from pictures import RESOURCES, as_bytes, drawn_seven, seven

import app as service
from recognition.batching import Abandoned, BatchingRecogniser, Budget, Busy
from recognition.decoding import InvalidImage

MAX_BYTES, MAX_PIXELS = 200_000, 8_000_000
FIVE = (RESOURCES / "photos_mit" / "5" / "5_101.jpg").read_bytes()
LARGE = seven(width=1000, height=1001)
# A test that waits longer than these seconds has failed.
LONG = 10


def batching(recogniser=service.RECOGNISER.recogniser, max_wait_seconds=0.0):
    return BatchingRecogniser(recogniser, MAX_BYTES, MAX_PIXELS, max_wait_seconds)


def digit(recognition) -> int:
    return recognition.ranking()[0][0]


@pytest.fixture
def gate():
    return Event()


@pytest.fixture
def pool(gate):
    with ThreadPoolExecutor(64) as pool:
        yield pool
        gate.set()


class HeldFile(BytesIO):
    """A file whose bytes come when the gate is opened."""

    def __init__(self, data: bytes, gate: Event) -> None:
        super().__init__(data)
        self.is_read, self.gate = Event(), gate

    def read(self, *size: int) -> bytes:
        self.is_read.set()
        self.gate.wait(6 * LONG)
        return super().read(*size)


class HeldRecogniser:
    """The real one, which classifies a picture for each permit."""

    def __init__(self) -> None:
        self.is_asked, self.permits = Event(), Semaphore(0)

    def predict(self, prepared):
        self.is_asked.set()
        assert self.permits.acquire(timeout=6 * LONG)
        return service.RECOGNISER.recogniser.predict(prepared)


def queued_behind_one(pool, *pictures: bytes):
    """While a first picture is read, the others are queued: a batch of their own."""
    recogniser = HeldRecogniser()
    batcher = batching(recogniser)
    answers = [pool.submit(batcher.recognise, BytesIO(seven()))]
    assert recogniser.is_asked.wait(LONG)
    for waiting, picture in enumerate(pictures, start=1):
        answers.append(pool.submit(batcher.recognise, BytesIO(picture)))
        while batcher._queue.qsize() < waiting:
            sleep(0.001)
    return recogniser, answers


def test_eight_pictures_that_wait_are_read_together(pool):
    recogniser, answers = queued_behind_one(pool, *9 * [seven()])
    recogniser.permits.release(1 + 8)
    done = list(islice(as_completed(answers, timeout=LONG), 1 + 8))
    assert [digit(answer.result()) for answer in done] == 9 * [7]
    assert not answers[-1].done()
    recogniser.permits.release()
    assert digit(answers[-1].result(LONG)) == 7


def test_each_of_a_batch_gets_its_own_answer_or_error(pool):
    cut_off = seven("JPEG")[:-200]
    recogniser, answers = queued_behind_one(pool, FIVE, cut_off, seven())
    recogniser.permits.release(3)
    assert digit(answers[1].result(LONG)) == 5
    with pytest.raises(InvalidImage):
        answers[2].result(LONG)
    assert digit(answers[3].result(LONG)) == 7


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(seven().ljust(65_536, b"\0"), id="bytes"),
        pytest.param(seven(width=1000, height=1000), id="pixels"),
    ],
)
def test_a_small_picture_is_read_without_asking_whether_it_is_wanted(data):
    assert digit(batching().recognise(BytesIO(data), lambda: False)) == 7


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(seven().ljust(65_537, b"\0"), id="bytes"),
        pytest.param(LARGE, id="pixels"),
        pytest.param(
            as_bytes(drawn_seven(width=1000, height=1001), "JPEG", progressive=True),
            id="progressive",
        ),
    ],
)
def test_a_large_picture_that_is_no_longer_wanted_is_not_read(data):
    with pytest.raises(Abandoned):
        batching().recognise(BytesIO(data), lambda: False)


def test_the_fifth_of_large_pictures_has_to_wait(pool, gate):
    batcher, are_in = batching(max_wait_seconds=0.01), Barrier(5)

    def is_wanted():
        are_in.wait(LONG)
        return gate.wait(LONG)

    answers = [
        pool.submit(batcher.recognise, BytesIO(LARGE), is_wanted) for _ in range(4)
    ]
    are_in.wait(LONG)
    with pytest.raises(Busy):
        batcher.recognise(BytesIO(LARGE))
    gate.set()
    assert [digit(answer.result(LONG)) for answer in answers] == 4 * [7]


@pytest.mark.parametrize(("size", "most"), [(0, 64), (MAX_BYTES, 8)])
def test_a_picture_more_than_may_wait_is_turned_away(pool, gate, size, most):
    batcher = batching(max_wait_seconds=LONG)
    files = [HeldFile(seven().ljust(size, b"\0"), gate) for _ in range(most)]
    answers = [pool.submit(batcher.recognise, file) for file in files]
    assert all(file.is_read.wait(LONG) for file in files)
    with pytest.raises(Busy):
        batcher.recognise(BytesIO(seven()))
    gate.set()
    assert [digit(answer.result(LONG)) for answer in answers] == most * [7]
    assert digit(batcher.recognise(BytesIO(seven()))) == 7


def hold(budget: Budget, units: int, timeout: float) -> None:
    with budget.spend(units, timeout):
        sleep(0.001)


def test_what_needs_less_does_not_overtake_what_waits(pool):
    budget = Budget(4)
    with budget.spend(3, timeout=0):
        large = pool.submit(hold, budget, 2, LONG)
        with pytest.raises(Busy):
            any(hold(budget, 1, timeout=0) for _ in range(1000 * LONG))
        assert not large.done()
    large.result(LONG)


def test_what_needs_more_than_there_is_gets_all():
    budget = Budget(4)
    with budget.spend(9, timeout=0), pytest.raises(Busy), budget.spend(1, timeout=0):
        pass
    with budget.spend(4, timeout=0):
        pass
