"""Helpers that stay between predictions: awake, asleep, busy, and gone in a fork."""

import multiprocessing
import threading
import time

import numpy as np
import pytest

from neocog.engine import thread_pool
from neocog.layers import Flatten, Linear
from neocog.network import Network


def network():
    found = Network(input_shape=(1, 4, 4), flatten=Flatten(), fc=Linear(16, 3))
    found.initialize(0)
    return found


IMAGES = np.random.default_rng(0).integers(0, 256, (200, 4, 4, 1), np.uint8)


def test_awake_and_asleep():
    net = network()
    expected = net.predict_scores(IMAGES, threads=1)
    for turn in range(60):
        np.testing.assert_array_equal(net.predict_scores(IMAGES, threads=2), expected)
        # Mostly at once, sometimes about when a helper goes to sleep, sometimes long after.
        time.sleep([0, 0, 0.0005 * (turn % 7), 0.02][turn % 4])


def test_helpers_sleep_between_predictions():
    net = network()
    net.predict_scores(IMAGES, threads=4)
    time.sleep(0.1)  # long after the milliseconds that they wait awake
    before = time.process_time()
    time.sleep(0.2)
    assert time.process_time() - before < 0.05


def test_more_helpers_than_before():
    net = network()
    expected = net.predict_scores(IMAGES, threads=1)
    for threads in (2, 5, 3, 9):
        np.testing.assert_array_equal(net.predict_scores(IMAGES, threads=threads), expected)
    assert len(thread_pool._pool.mails) >= 8


def test_a_busy_crew_is_not_waited_for():
    net = network()
    expected = net.predict_scores(IMAGES, threads=1)
    before = threading.active_count()
    thread_pool._pool.busy[0] = 1
    try:
        np.testing.assert_array_equal(net.predict_scores(IMAGES, threads=4), expected)
    finally:
        thread_pool._pool.busy[0] = 0
    assert threading.active_count() == before


def test_several_threads_predict_at_once():
    net = network()
    expected = net.predict_scores(IMAGES, threads=1)
    wrong = []

    def ask():
        for _ in range(30):
            if not np.array_equal(net.predict_scores(IMAGES, threads=2), expected):
                wrong.append(True)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert thread_pool._pool.busy[0] == 0


def _ask(net, pipe):
    pipe.send(net.predict_scores(IMAGES, threads=3))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_has_helpers_of_its_own():
    net = network()
    expected = net.predict_scores(IMAGES, threads=3)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_ask, args=(net, sender))
    child.start()
    try:
        assert receiver.poll(60), "the child hangs"
        np.testing.assert_array_equal(receiver.recv(), expected)
    finally:
        child.kill()
        child.join()
