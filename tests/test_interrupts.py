"""Runs that are interrupted: no worker is left behind, or with memory that was let go."""

import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from _thread import start_new_thread

import numpy as np
import pytest
from child_processes import environment
from engines import parts_of

from neocog import SGD, fit
from neocog.data.images import Dataset
from neocog.engine import thread_pool
from neocog.engine.running import Run
from neocog.engine.trainer import Trainer
from neocog.errors import NeocogError
from neocog.layers import Flatten, Linear
from neocog.network import Network
from neocog.settings.training import TrainingSettings

TIMES = 30


def network():
    found = Network(input_shape=(1, 32, 32), flatten=Flatten(), fc=Linear(1024, 40))
    found.initialize(0)
    return found


def pictures(count):
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 1), np.uint8)


def press_twice(after, between):
    time.sleep(after)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(between)
    os.kill(os.getpid(), signal.SIGINT)


def interrupted(work, after, between):
    """Whether work is interrupted by two presses; they do nothing when it is over."""
    at_work = [True]

    def handler(number, frame):
        if at_work[0]:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handler)
    presses = threading.Thread(target=press_twice, args=(after, between))
    try:
        try:
            presses.start()
            return work()
        finally:
            at_work[0] = False
            presses.join()
    except KeyboardInterrupt:
        return True


def main():
    """Training and predicting, on data that only the call itself holds."""
    net, some = network(), pictures(10_000)
    net.predict_scores(some, threads=2)

    def train(epochs=1000):
        data = Dataset(some.copy(), np.zeros(len(some), np.int64))
        how = {"batch_size": 10_000, "optimizer": SGD(1e-6), "threads": 2}
        return fit(network(), data, epochs=epochs, **how).interrupted

    train(1)

    def predict():
        while True:
            net.predict_scores(some.copy(), threads=2)

    def predict_beside_another():
        thread_pool._pool.busy[0] = 1
        try:
            predict()
        finally:
            thread_pool._pool.busy[0] = 0

    works = [train, train, predict, train, train, predict_beside_another]
    for n in range(TIMES):
        if interrupted(works[n % 6], 0.01 + 0.002 * (n % 11), 0.02 * n / TIMES):
            sys.stdout.write("interrupted\n")


@pytest.mark.skipif(sys.platform == "win32", reason="signals to oneself are POSIX")
def test_ctrl_c_twice_at_many_moments():
    done = subprocess.run(
        [sys.executable, __file__],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["interrupted"] * TIMES


def waiting_run(workers, held=None):
    """A run whose workers wait for a gate, and what opens it."""
    gate = threading.Event()
    ranks = []

    def work(rank):
        gate.wait()
        ranks.append(rank)
        return 7

    return Run(work, workers, np.zeros(80, np.int64), held), gate, ranks


def test_what_workers_use_is_held_until_they_have_ended():
    class Array:
        pass

    array = Array()
    there = weakref.ref(array)
    run, gate, ranks = waiting_run(2, array)
    run.begin()
    end = run._end
    del array, run  # as when an interrupt takes everything that knows of the run
    assert there() is not None
    gate.set()
    assert end.acquire(timeout=60)
    assert sorted(ranks) == [0, 1]
    for _ in range(1000):  # its last thread is on its way out
        if there() is None:
            break
        time.sleep(0.01)
    assert there() is None


def test_a_program_holds_the_arrays_that_are_bound():
    net, images = network(), pictures(40)
    trainer = Trainer(
        *parts_of(net),
        images,
        np.zeros(40, np.int64),
        TrainingSettings(batch_size=4, optimizer=SGD(0.1), threads=2),
    )
    order = np.arange(40)
    there = weakref.ref(order)
    run = trainer.start(order, np.zeros(10))
    del order
    assert run._held["order"] is there()
    assert run.finish() == 10


def test_predictions_keep_no_images():
    net, images = network(), pictures(400)
    there = weakref.ref(images)
    net.predict_scores(images, threads=2)
    del images
    assert there() is None


def test_a_run_that_never_began_is_called_off():
    run, gate, ranks = waiting_run(2)
    assert run.end() == 0
    run.begin()  # as if the thread had been on its way
    gate.set()
    time.sleep(0.05)
    assert run.end() == 0
    assert ranks == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, TimeoutError])
def test_the_end_is_waited_for_whatever_interrupts(error, monkeypatch):
    run, gate, ranks = waiting_run(3)
    run.begin()
    while not run._first:  # or it would be called off
        time.sleep(0.001)
    interrupts = []

    def wait(seconds):
        if len(interrupts) < 5:
            interrupts.append(error())
            raise interrupts[-1]
        gate.set()
        return Run.wait(run, seconds)

    monkeypatch.setattr(run, "wait", wait)
    if error is KeyboardInterrupt:
        assert run.end() == 7
    else:
        with pytest.raises(TimeoutError) as raised:
            run.end()
        assert raised.value is interrupts[0]
    assert sorted(ranks) == [0, 1, 2]


def test_threads_that_cannot_be_started_are_an_error(monkeypatch):
    """Those that were started must not wait for the others."""
    started = []

    def start(function, arguments):
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(start_new_thread(function, arguments))

    monkeypatch.setattr("neocog.engine.running.start_new_thread", start)
    net, images = network(), pictures(40)
    trainer = Trainer(
        *parts_of(net),
        images,
        np.zeros(40, np.int64),
        TrainingSettings(batch_size=4, optimizer=SGD(0.1), threads=5),
    )
    before = trainer.parameters()
    with pytest.raises(NeocogError, match=r"5 threads cannot be started.*Take fewer threads"):
        trainer.run(np.arange(40))
    assert trainer.steps == 0
    for name, value in trainer.parameters().items():
        np.testing.assert_array_equal(value, before[name])
    monkeypatch.undo()
    assert len(trainer.run(np.arange(40))) == 10


if __name__ == "__main__":
    main()


class Slow:
    """A lock after which the first of two workers to leave goes on only behind the second."""

    def __init__(self):
        self._lock, self._exits, self._both_left = threading.Lock(), 0, threading.Event()

    def __enter__(self):
        self._lock.acquire()

    def __exit__(self, *_):
        self._exits += 1  # the second is of the first who leaves, as one starts the other before
        number = self._exits
        self._lock.release()
        if number == 2:
            assert self._both_left.wait(10)
        elif number == 3:
            self._both_left.set()


def test_the_end_is_told_once_when_workers_leave_together(monkeypatch):
    wrong = []
    monkeypatch.setattr(sys, "unraisablehook", wrong.append)
    run = Run(lambda rank: 7, 2, np.zeros(1, np.int64), None)
    run._counting = Slow()
    run.begin()
    assert run.finish() == 7
    time.sleep(0.1)  # for the thread that is not the last
    assert [str(one.exc_value) for one in wrong] == []
