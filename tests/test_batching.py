"""Which pictures are read together, which alone, and which are turned away."""

from concurrent.futures import ThreadPoolExecutor, as_completed
from io import BytesIO
from itertools import islice
from threading import Event, Semaphore, current_thread
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
def recogniser():
    return HeldRecogniser()


@pytest.fixture
def pool(gate, recogniser):
    with ThreadPoolExecutor(600) as pool:
        yield pool
        gate.set()
        recogniser.permits.release(1000)


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
        self.asked, self.permits = Semaphore(0), Semaphore(0)
        real = service.RECOGNISER.recogniser
        self.open = real.open
        self.stages = (*real.stages[:-1], self.predict)

    def predict(self, prepared):
        self.thread = current_thread()
        self.asked.release()
        assert self.permits.acquire(timeout=6 * LONG)
        return service.RECOGNISER.recogniser.predict(prepared)


def hold_large(pool, batcher: BatchingRecogniser, count: int):
    """Start to read so many large pictures, which then wait for permits."""
    answers = [pool.submit(batcher.recognise, BytesIO(LARGE)) for _ in range(count)]
    for _ in answers:
        assert batcher.recogniser.asked.acquire(timeout=LONG)
    return answers


def queued_behind_one(pool, recogniser, *pictures: bytes):
    """While a first picture is read, the others are queued: a batch of their own."""
    batcher = batching(recogniser)
    answers = [pool.submit(batcher.recognise, BytesIO(seven()))]
    assert recogniser.asked.acquire(timeout=LONG)
    for waiting, picture in enumerate(pictures, start=1):
        answers.append(pool.submit(batcher.recognise, BytesIO(picture)))
        while batcher._queue.qsize() < waiting:
            sleep(0.001)
    return answers


def test_eight_pictures_that_wait_are_read_together(pool, recogniser):
    answers = queued_behind_one(pool, recogniser, *9 * [seven()])
    recogniser.permits.release(1 + 8)
    done = list(islice(as_completed(answers, timeout=LONG), 1 + 8))
    assert [digit(answer.result()) for answer in done] == 9 * [7]
    assert not answers[-1].done()
    recogniser.permits.release()
    assert digit(answers[-1].result(LONG)) == 7


def test_each_of_a_batch_gets_its_own_answer_or_error(pool, recogniser):
    cut_off = seven("JPEG")[:-200]
    answers = queued_behind_one(pool, recogniser, FIVE, cut_off, seven())
    recogniser.permits.release(3)
    assert digit(answers[1].result(LONG)) == 5
    with pytest.raises(InvalidImage):
        answers[2].result(LONG)
    assert digit(answers[3].result(LONG)) == 7


def progressive(side: int) -> bytes:
    image = drawn_seven(width=1000, height=side)
    return as_bytes(image, "JPEG", progressive=True)


@pytest.mark.parametrize(
    ("data", "is_alone"),
    [
        pytest.param(seven().ljust(65_536, b"\0"), False, id="few bytes"),
        pytest.param(seven().ljust(65_537, b"\0"), True, id="many bytes"),
        pytest.param(seven(width=1000, height=1000), False, id="few pixels"),
        pytest.param(seven(width=1000, height=1001), True, id="many pixels"),
        pytest.param(seven("JPEG", 1200, 1200), False, id="reduced while decoded"),
        pytest.param(progressive(1001), True, id="progressive"),
    ],
)
def test_only_a_large_picture_is_read_in_the_thread_that_brings_it(
    recogniser, data, is_alone
):
    recogniser.permits.release()
    assert digit(batching(recogniser).recognise(BytesIO(data))) == 7
    assert (recogniser.thread is current_thread()) == is_alone


def test_the_fifth_of_large_pictures_has_to_wait(pool, recogniser):
    batcher = batching(recogniser, max_wait_seconds=0.01)
    answers = hold_large(pool, batcher, 4)
    with pytest.raises(Busy):
        batcher.recognise(BytesIO(LARGE))
    recogniser.permits.release(4)
    assert [digit(answer.result(LONG)) for answer in answers] == 4 * [7]


def test_what_is_no_longer_wanted_after_a_long_wait_is_not_read(pool, recogniser):
    batcher = batching(recogniser, max_wait_seconds=LONG)
    hold_large(pool, batcher, 4)
    unwanted = pool.submit(batcher.recognise, BytesIO(LARGE), lambda: False)
    sleep(1.7)
    recogniser.permits.release(5)
    with pytest.raises(Abandoned):
        unwanted.result(LONG)


def test_what_need_not_wait_is_read_without_asking_for_the_client():
    assert digit(batching().recognise(BytesIO(LARGE), lambda: False)) == 7


@pytest.mark.parametrize(("size", "most"), [(0, 512), (MAX_BYTES, 8)])
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
