"""A trainer's state, taken out and put back; and what ends a run."""

from math import isfinite

import numpy as np
import pytest
from engine_networks import assert_same, small
from engines import parts_of

from neocog import SGD, Adam
from neocog.engine.lowering import lower
from neocog.engine.program import Program
from neocog.engine.schedule import inference_plan
from neocog.engine.trainer import Trainer
from neocog.errors import ArchitectureError, DataError
from neocog.layers import Conv2d, Flatten, ReLU
from neocog.network import Network
from neocog.settings.training import TrainingSettings

# State


@pytest.mark.parametrize("optimizer", [SGD(0.02, momentum=0.9), Adam(0.003)], ids=["sgd", "adam"])
def test_state_taken_out_and_put_back_goes_on_bitwise(optimizer):
    network, images, labels = small()
    order = np.random.default_rng(1).permutation(len(images))

    def trainer_of(start):
        return Trainer(
            *parts_of(start),
            images,
            labels,
            TrainingSettings(batch_size=8, optimizer=optimizer, threads=2),
        )

    through = trainer_of(network)
    through.run(order)
    parameters, memory, steps = through.state(), through.optimizer_state(), through.steps
    losses = through.run(order[::-1])

    other, _, _ = small(seed=9)
    resumed = trainer_of(other)
    resumed.run(order[:8])  # something to overwrite
    resumed.set_state(parameters)
    resumed.set_optimizer_state(memory)
    resumed.steps = steps
    assert_same(resumed.state(), parameters)
    assert_same(resumed.optimizer_state(), memory)
    np.testing.assert_array_equal(resumed.run(order[::-1]), losses)
    assert_same(resumed.parameters(), through.parameters())
    assert_same(resumed.optimizer_state(), through.optimizer_state())
    assert resumed.steps == through.steps == 18


def test_what_a_trainer_gives_out_is_a_copy():
    network, images, labels = small()
    trainer = Trainer(
        *parts_of(network),
        images,
        labels,
        TrainingSettings(batch_size=8, optimizer=SGD(0.1), threads=1),
    )
    before = trainer.parameters()
    for value in trainer.parameters().values():
        value[:] = 0
    assert_same(trainer.parameters(), before)
    trainer.run(np.arange(len(images)))
    assert_same(network.state_dict(), before)
    assert not np.array_equal(trainer.parameters()["c1.weight"], before["c1.weight"])


@pytest.mark.parametrize("threads", [1, 2])
def test_maps_are_those_of_the_first_image(threads):
    """Also where a worker takes many images, one chunk after another, or the first has none."""
    network, images, labels = small()

    def outputs(batch):
        how = TrainingSettings(batch_size=batch, optimizer=SGD(1e-9), threads=threads)
        trainer = Trainer(*parts_of(network), images, labels, how, unfused=True)
        trainer.run(np.arange(3, 3 + batch))
        return {layer: maps["output"] for layer, maps in trainer.maps().items()}

    alone = outputs(1)
    assert all(value.any() for value in alone.values())
    assert_same(outputs(60), alone)


def test_times_of_instructions_change_no_array_that_is_no_longer_bound():
    network, images, _ = small()
    program = Program(inference_plan(lower(network.graph, training=False)), 1, 1)
    ends = np.zeros((2, len(images), 4), np.float32)
    program.bind({"images": images, "scores": ends[0], "probabilities": ends[1]})
    assert program.profile(len(images), rounds=1)
    program.release()
    ends[:] = 7
    with pytest.raises(RuntimeError, match="Bind"):
        program.profile(len(images), rounds=1)
    assert (ends == 7).all()


# Divergence, stopping


@pytest.mark.parametrize("threads", [1, 3])
def test_a_loss_that_is_not_finite_ends_the_run_before_its_update(threads):
    network, images, labels = small()
    order = np.random.default_rng(1).permutation(len(images))

    def trainer_of():
        optimizer = SGD(1e30, momentum=0.9)
        return Trainer(
            *parts_of(network),
            images,
            labels,
            TrainingSettings(batch_size=8, optimizer=optimizer, threads=threads),
        )

    diverging = trainer_of()
    record = np.full(9, 7.0)
    done = diverging.start(order, record).finish()
    assert 0 < done < 9
    assert all(isfinite(loss) for loss in record[:done])
    assert not isfinite(record[done])
    assert (record[done + 1 :] == 7).all()

    stopped_before = trainer_of()
    stopped_before.run(order[: 8 * done])
    assert stopped_before.steps == done
    assert_same(diverging.parameters(), stopped_before.parameters())
    assert_same(diverging.optimizer_state(), stopped_before.optimizer_state())


def test_a_run_that_is_asked_to_stop_ends_after_a_step():
    network, images, labels = small()
    order = np.resize(np.arange(len(images)), 400_000)
    trainer = Trainer(
        *parts_of(network),
        images,
        labels,
        TrainingSettings(batch_size=4, optimizer=SGD(1e-4), threads=2),
    )
    record = np.zeros(100_000)
    run = trainer.start(order, record)
    while trainer.done < 10:
        assert not run.wait(0.001)
    trainer.stop()
    done = run.finish()
    assert 10 <= done < 100_000
    assert (record[:done] > 0).all()
    assert (record[done:] == 0).all()


def test_an_empty_order_is_no_step():
    network, images, labels = small()
    trainer = Trainer(
        *parts_of(network),
        images,
        labels,
        TrainingSettings(batch_size=8, optimizer=SGD(0.1), threads=2),
    )
    assert len(trainer.run(np.arange(0))) == 0
    assert trainer.steps == 0
    assert_same(trainer.parameters(), network.state_dict())


# What does not fit


def test_data_that_do_not_fit_are_refused():
    network, images, labels = small()
    optimizer = SGD(0.1)

    def trainer_of(images=images, labels=labels):
        return Trainer(
            *parts_of(network),
            images,
            labels,
            TrainingSettings(batch_size=4, optimizer=optimizer, threads=1),
        )

    with pytest.raises(DataError, match=r"uint8 \[n, 6, 6, 3\].* not uint8 \[70, 3, 6, 6\]"):
        trainer_of(images=images.transpose(0, 3, 1, 2))
    with pytest.raises(DataError, match="not float32"):
        network.predict_scores(images.astype(np.float32))
    with pytest.raises(DataError, match=r"labels go from 0 to 4.* 4 classes, 0 to 3"):
        trainer_of(labels=np.arange(70) % 5)
    with pytest.raises(DataError, match="indices outside 0 to 69"):
        trainer_of().run(np.array([0, 70]))
    with pytest.raises(DataError, match="indices outside 0 to 69"):
        trainer_of().run(np.array([-1]))


def test_networks_that_give_no_score_a_class_are_refused():
    maps = Network(input_shape=(3, 4, 4), c=Conv2d(3, 2, 3))
    with pytest.raises(ArchitectureError, match="Flatten"):
        lower(maps.graph, training=True)
    flattened = Network(input_shape=(3, 4, 4), c=Conv2d(3, 2, 3), f=Flatten())
    with pytest.raises(ArchitectureError, match="Linear"):
        lower(flattened.graph, training=True)
    with pytest.raises(ArchitectureError, match="no layer that learns"):
        lower(Network(input_shape=(3, 1, 1), r=ReLU(), f=Flatten()).graph, training=True)
