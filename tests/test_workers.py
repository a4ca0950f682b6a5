"""Barriers: threads that wait awake or asleep all go on, and cost little where there are many."""

import threading
import time

import numpy as np
import pytest
from engines import parts_of

from neocog import SGD
from neocog.engine import cores
from neocog.engine.lowering import lower
from neocog.engine.program import Program
from neocog.engine.schedule import inference_plan
from neocog.engine.trainer import Trainer
from neocog.kernels.runtime.workers import (
    CONTROL_EACH,
    CONTROL_SIZE,
    DONE,
    GROUP,
    INSTRUCTION,
    PATIENCE,
    run,
)
from neocog.layers import Flatten, Linear
from neocog.network import Network
from neocog.settings.training import TrainingSettings


def meet(workers, patience, times):
    """Steps of nothing but two barriers each; gives how many steps each worker finished."""
    columns = {"chunk": 1, "shard": 1, "barrier": 1, "every": 1}
    groups = np.array([[columns.get(name, 0) for name in GROUP]] * 2)
    control = np.zeros(CONTROL_SIZE + CONTROL_EACH * workers, np.int64)
    control[PATIENCE] = patience
    table = np.zeros((0, INSTRUCTION), np.int64)
    finished = {}

    def work(rank):
        step, losses, record = np.zeros(5, np.int64), np.zeros(1), np.zeros(1)
        shared = (control, rank, workers, times, 1)
        finished[rank] = run(table, groups, step, losses, record, *shared)

    threads = [threading.Thread(target=work, args=(r,), daemon=True) for r in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), f"hangs after {control[DONE]} of {times} steps"
    return finished


@pytest.mark.parametrize("patience", [0, 1, 30, 3000])
@pytest.mark.parametrize("workers", [2, 3, 7])
def test_nobody_is_left_at_a_barrier(workers, patience):
    times = 3000 if patience < 3000 else 300
    assert meet(workers, patience, times) == dict.fromkeys(range(workers), times)


def test_too_many_threads_do_not_wait_awake():
    """Nothing but barriers, of 16 threads: each takes some wake-ups, not milliseconds."""
    meet(2, 0, 1)
    times = 500
    began = time.process_time()
    meet(16, 0, times)
    assert (time.process_time() - began) / (2 * times) < 1e-3


def test_workers_wait_awake_only_where_there_is_a_core_for_each(monkeypatch):
    network = Network(input_shape=(1, 4, 4), flatten=Flatten(), fc=Linear(16, 3))
    network.initialize(0)

    def patience(workers):
        plan = inference_plan(lower(network.graph, training=False))
        return Program(plan, workers, 1)._patience

    monkeypatch.setattr("neocog.engine.program.available_threads", lambda: 3)
    assert patience(3) > 0
    assert patience(4) == 0


def test_threads_are_as_many_as_the_system_allows(monkeypatch):
    monkeypatch.setattr(cores, "available_cores", lambda: 5)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    cores._available.cache_clear()
    assert cores.available_threads() == 5
    # What the environment says may change, and is then looked at again.
    monkeypatch.setattr(cores, "available_cores", lambda: 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert cores.available_threads() == 2
    assert cores.useful_threads(None) == 2
    cores._available.cache_clear()


def test_training_starts_no_more_threads_than_there_are_cores(monkeypatch):
    monkeypatch.setattr(cores, "cores", lambda: 3)
    assert [cores.useful_threads(asked) for asked in (1, 3, 4, 256)] == [1, 3, 3, 3]
    # A number that is given counts more than what the environment asks for.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert cores.useful_threads(2) == 2


def test_more_threads_than_images_and_than_parts():
    network = Network(input_shape=(1, 4, 4), flatten=Flatten(), fc=Linear(16, 3))
    network.initialize(0)
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1), np.uint8)
    results = []
    for threads in (1, 40):
        optimizer = SGD(0.1, momentum=0.9)
        labels = np.arange(3)
        trainer = Trainer(
            *parts_of(network),
            images,
            labels,
            TrainingSettings(batch_size=2, optimizer=optimizer, threads=threads),
        )
        results.append((trainer.run(np.arange(3)), trainer.parameters()))
    (one, alone), (many, together) = results
    np.testing.assert_array_equal(one, many)
    for name in alone:
        np.testing.assert_array_equal(alone[name], together[name])
