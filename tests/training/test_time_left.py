"""The time that is left, by a clock that the tests set."""

import pytest

from neocog.training.epoch_line import duration, epoch_line, left
from neocog.training.history import Epoch
from neocog.training.run_length import RunLength
from neocog.training.time_left import TimeLeft


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_validation_and_saving_count():
    clock = Clock()
    time_left = TimeLeft(RunLength(images=100, batch_size=10, length=3), clock)
    assert time_left.progress(1, 0) is None
    clock.now = 5
    assert time_left.progress(1, 5) == 25  # a second a batch, 25 batches; no end is known yet
    clock.now = 10
    assert time_left.progress(1, 10) == 20
    clock.now = 14
    assert time_left.epoch_done(1) == 20 + 2 * 4
    clock.now = 19
    assert time_left.progress(2, 5) == 15 + 2 * 4
    clock.now = 24
    time_left.progress(2, 10)
    clock.now = 30
    assert time_left.epoch_done(2) == 10 + 5  # ends took 4 and 6
    clock.now = 40
    time_left.progress(3, 10)
    clock.now = 45
    assert time_left.epoch_done(3) == 0


def test_a_run_that_goes_on_counts_its_own_steps_only():
    clock = Clock()
    time_left = TimeLeft(RunLength(images=100, batch_size=10, length=1.5), clock)
    assert time_left.progress(1, 8) is None
    clock.now = 4
    assert time_left.progress(1, 10) == 5 * 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s left"), (59.2, "1 min left"), (61, "1 min left"), (200, "3 min left"),
     (3599, "1 h 0 min left"), (7500, "2 h 5 min left")],
)  # fmt: skip
def test_what_is_left_in_words(seconds, text):
    assert left(seconds) == text


def test_durations():
    assert [duration(s) for s in (3.21, 59.97, 86, 7500)] == [
        "3.2 s", "1 min 0 s", "1 min 26 s", "2 h 5 min",
    ]  # fmt: skip


def test_the_line_of_an_epoch_fits_a_terminal():
    epochs = [Epoch(9, 1.2345, 9.0, None, 1.3, 0.5), Epoch(10, 0.98765, 86.0, 0.1, 1.23456, 0.6789)]
    line = epoch_line(epochs, 200, 1, 7500)
    assert line == (
        "Epoch 10 of 200: loss 0.9877, validation 1.235, 67.89 %, 1 min 26 s, 2 h 5 min left, best"
    )
    assert epoch_line(epochs, 200, 0, 7500).endswith("2 h 5 min left")
    assert epoch_line(epochs, 10, 1, 7500).endswith("1 min 26 s, best")


def test_without_validation_no_epoch_is_called_the_best():
    epochs = [Epoch(1, 1.5, 2.0), Epoch(2, 1.2, 2.0)]
    assert epoch_line(epochs, 3, 1, 2.4) == "Epoch 2 of 3: loss 1.2, 2.0 s, 3 s left"
