"""Whole networks: against PyTorch and the formulas, for any number of threads, from run to run."""

import threading
from math import isfinite

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog import SGD, Adam, reference
from neocog.engine.lowering import lower
from neocog.engine.predictor import predict_probabilities, predict_scores
from neocog.engine.trainer import Trainer
from neocog.errors import ArchitectureError, DataError, NeocogError
from neocog.kernels.workers import GROUP
from neocog.layers import GELU, BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU
from neocog.models import simple_cnn
from neocog.network import Network

# Float32's roundings u add up over a step's some ten thousand operations in a row, of which the
# signs differ: 2**-24 · √10,000 ≈ 6e-6 of the largest number. Ten steps with a rate of 0.01 pass
# it on a few times over.
STEP = 1e-5
TEN_STEPS = 1e-4


def networks():
    """One of each kind: the note's, deeper ones, ones with every layer in unusual places."""
    return {
        "simple_cnn": simple_cnn(),
        "three convolutions": Network(
            input_shape=(3, 16, 16),
            c1=Conv2d(3, 16, 3, padding=1),
            r1=ReLU(),
            c2=Conv2d(16, 24, 3, padding=1),
            p2=MaxPool2d(),
            r2=ReLU(),
            c3=Conv2d(24, 10, 3),
            r3=ReLU(),
            flatten=Flatten(),
            l1=Linear(10 * 6 * 6, 30),
            r4=ReLU(),
            l2=Linear(30, 7),
        ),
        "odd sizes, no bias": Network(
            input_shape=(1, 9, 11),
            r0=ReLU(),
            c1=Conv2d(1, 5, (3, 5), padding=(4, 1), bias=False),
            p1=MaxPool2d(),
            c2=Conv2d(5, 17, 3, padding=3),
            r2=ReLU(),
            r3=ReLU(),
            p2=MaxPool2d(),
            p3=MaxPool2d(),
            r4=ReLU(),
            flatten=Flatten(),
            l1=Linear(17 * 2 * 2, 30, bias=False),
            r5=ReLU(),
            l2=Linear(30, 3),
            r6=ReLU(),
        ),
        "pooling first, ends in a convolution": Network(
            input_shape=(2, 13, 10),
            p0=MaxPool2d(),
            r0=ReLU(),
            c1=Conv2d(2, 8, 1),
            c2=Conv2d(8, 8, (4, 3), padding=(1, 2), bias=False),
            p1=MaxPool2d(),
            r1=ReLU(),
            c3=Conv2d(8, 6, (2, 3), padding=0),
            flatten=Flatten(),
        ),
        "perceptron": Network(
            input_shape=(4, 6, 5),
            flatten=Flatten(),
            l1=Linear(4 * 6 * 5, 13),
            r1=ReLU(),
            l2=Linear(13, 9, bias=False),
            l3=Linear(9, 5),
        ),
        "one pixel": Network(
            input_shape=(3, 1, 1), c1=Conv2d(3, 3, 3, padding=1), r=ReLU(), flatten=Flatten()
        ),
    }


NETWORKS = networks()
# Each compiles kernels of its own: a plain pytest does with some.
THOROUGH = ("odd sizes, no bias", "pooling first, ends in a convolution")
named_networks = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.thorough] * (name in THOROUGH)) for name in NETWORKS],
)


def prepared(network, images, seed=0):
    """The network with parameters, and images and labels for it."""
    rng = np.random.default_rng(seed)
    network.initialize(seed)
    c, h, w = network.input_shape
    data = rng.integers(0, 256, (images, h, w, c), dtype=np.uint8)
    return network, data, rng.integers(0, network.output_shape[0], images)


def small(images=70, seed=0):
    """A small network with every kind of operation, for what need not be shown of all."""
    network = Network(
        input_shape=(3, 6, 6),
        c1=Conv2d(3, 8, 3, padding=1),
        r1=ReLU(),
        p1=MaxPool2d(),
        c2=Conv2d(8, 8, 3, padding=1),
        r2=ReLU(),
        flatten=Flatten(),
        l1=Linear(72, 11),
        r3=ReLU(),
        l2=Linear(11, 4),
    )
    return prepared(network, images, seed)


def inputs(network, images):
    p = network.preprocessing
    return reference.preprocess(images, p.mean, p.std)


def in_float64(state):
    return {name: value.astype(np.float64) for name, value in state.items()}


def assert_near(actual, expected, part):
    """Within `part` of the largest of the expected numbers."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape
    worst = np.abs(actual - expected).max()
    assert worst <= part * np.abs(expected).max() + 1e-12, f"{worst} is too far"


def assert_same(actual, expected):
    """Bitwise the same arrays under the same names."""
    assert actual.keys() == expected.keys()
    for name in actual:
        assert actual[name].dtype == expected[name].dtype
        np.testing.assert_array_equal(actual[name], expected[name], name)


# Against the formulas


@named_networks
def test_a_step_by_the_formulas(name):
    network, images, labels = prepared(NETWORKS[name], 7)
    state, x = in_float64(network.state_dict()), inputs(NETWORKS[name], images)
    scores = reference.forward(network, state, x)[list(network.layers)[-1]]
    assert_near(predict_scores(network, images, threads=1), scores, STEP)
    probabilities = predict_probabilities(network, images, threads=1)
    assert_near(probabilities, reference.softmax(scores), STEP)

    trainer = Trainer(network, images, labels, batch_size=5, optimizer=SGD(0.01), threads=2)
    order = np.array([6, 0, 3, 3, 1])
    loss = trainer.run(order)
    expected_loss, gradients, _ = reference.backward(network, state, x[order], labels[order])
    assert_near(loss, [expected_loss], STEP)
    found = trainer.gradients()
    assert list(found) == list(network.parameter_shapes)
    for parameter, gradient in gradients.items():
        assert_near(found[parameter], gradient, STEP)
    for parameter, value in trainer.parameters().items():
        assert_near(value, state[parameter] - 0.01 * gradients[parameter], STEP)


# Against PyTorch


@named_networks
@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_ten_steps_by_pytorch(name, kind):
    torch = pytest.importorskip("torch")
    from neocog.torch_engine.module import to_torch

    torch.set_num_threads(1)
    batch, count = 4, 38  # nine whole batches and a half
    network, images, labels = prepared(NETWORKS[name], count)
    module = to_torch(network)
    x = torch.from_numpy(inputs(network, images).astype(np.float32))
    y = torch.from_numpy(labels)
    if kind == "sgd":
        optimizer = SGD(0.01, momentum=0.9)
        stepper = torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9)
    else:
        optimizer = Adam(0.001)
        stepper = torch.optim.Adam(module.parameters(), lr=0.001)

    with torch.no_grad():
        logits = module(x).numpy()
    assert_near(predict_scores(network, images, threads=2), logits, STEP)

    trainer = Trainer(network, images, labels, batch_size=batch, optimizer=optimizer, threads=2)
    order = np.random.default_rng(1).permutation(count)
    losses, expected_losses = [], []
    for begin in range(0, count, batch):
        part = order[begin : begin + batch]
        losses += list(trainer.run(part))
        stepper.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(x[part]), y[part])
        loss.backward()
        expected_losses.append(loss.item())
        if begin == 0:
            gradients = trainer.gradients()
            for parameter, value in module.named_parameters():
                assert_near(gradients[parameter], value.grad.numpy(), STEP)
        stepper.step()
    assert len(losses) == 10
    assert_near(losses, expected_losses, TEN_STEPS)
    if kind == "sgd":
        # Adam moves a weight of almost no gradient by its sign, so weights may differ by rates.
        for parameter, value in trainer.parameters().items():
            assert_near(value, module.state_dict()[parameter].numpy(), TEN_STEPS)


# Threads


@pytest.mark.parametrize("batch", [1, 4, 7, 64])
def test_results_do_not_depend_on_threads_or_runs(batch):
    network, images, labels = small()
    order = np.random.default_rng(1).permutation(len(images))
    results = []
    for threads in (1, 2, 3, 4, 1):
        optimizer = Adam(0.003) if batch == 7 else SGD(0.02, momentum=0.9)
        trainer = Trainer(
            network, images, labels, batch_size=batch, optimizer=optimizer, threads=threads
        )
        losses = np.concatenate([trainer.run(order), trainer.run(order[::-1])])
        state = trainer.parameters(), trainer.optimizer_state(), trainer.gradients()
        results.append((losses, *state))
    steps = 2 * -(-len(images) // batch)
    for losses, *states in results:
        assert len(losses) == steps
        np.testing.assert_array_equal(losses, results[0][0])
        for state, first in zip(states, results[0][1:], strict=True):
            assert_same(state, first)
    assert len(np.unique(results[0][0])) == steps, "losses that all differ show that it learned"


@pytest.mark.parametrize("name", ["simple_cnn", "odd sizes, no bias"])
def test_other_networks_do_not_depend_on_threads_either(name):
    network, images, labels = prepared(NETWORKS[name], 45)
    order, states = np.arange(45), []
    for threads in (1, 3):
        trainer = Trainer(
            network, images, labels, batch_size=20, optimizer=SGD(0.01, 0.9), threads=threads
        )
        losses = trainer.run(order)
        states.append({"losses": losses, **trainer.parameters(), **trainer.optimizer_state()})
    assert_same(*states)


def test_predictions_do_not_depend_on_threads_or_company():
    network, images, _ = small()
    scores = predict_scores(network, images, threads=1)
    probabilities = predict_probabilities(network, images, threads=1)
    for threads in (1, 2, 3, 4):
        np.testing.assert_array_equal(predict_scores(network, images, threads=threads), scores)
    for size in (1, 2, 3, 33):
        parts = [images[at : at + size] for at in range(0, len(images), size)]
        together = np.concatenate([predict_scores(network, p, threads=2) for p in parts])
        np.testing.assert_array_equal(together, scores)
        together = np.concatenate([predict_probabilities(network, p) for p in parts])
        np.testing.assert_array_equal(together, probabilities)


def wide():
    """A network whose layers are shared in every way: direct, pooled, by Winograd, not at all."""
    network = Network(
        input_shape=(3, 17, 12),
        conv1=Conv2d(3, 40, 5, stride=2),
        relu1=ReLU(),
        conv2=Conv2d(40, 33, 3, padding=1),
        norm=BatchNorm2d(33),
        act=GELU(),
        conv3=Conv2d(33, 8, 1),
        pool=MaxPool2d(2),
        flatten=Flatten(),
        fc=Linear(8 * 3 * 2, 4),
    )
    network.initialize(0)
    rng = np.random.default_rng(0)
    return network, rng.integers(0, 256, (7, 17, 12, 3), np.uint8)


def test_workers_that_help_each_other_change_nothing():
    """Where there are many images, who is done takes what others have not come to yet."""
    network, images = wide()
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (59, *images.shape[1:]), np.uint8)
    labels, order = rng.integers(0, 4, 59), np.tile(np.arange(59), 4)
    states = []
    for threads in (1, 2, 5):
        trainer = Trainer(
            network, images, labels, batch_size=24, optimizer=SGD(0.01, 0.9), threads=threads
        )
        groups = trainer._program._groups
        steal_sizes = groups[:, GROUP.index("steal_size")]
        assert (steal_sizes > 0).sum() >= 3
        assert (steal_sizes == 0).any()
        losses = trainer.run(order)
        states.append({"losses": losses, **trainer.parameters(), **trainer.optimizer_state()})
    assert_same(states[1], states[0])
    assert_same(states[2], states[0])


@pytest.mark.parametrize("make", [small, wide])
def test_one_image_shared_by_threads_is_the_same(make, monkeypatch):
    network, images, *_ = make()
    expected = predict_scores(network, images)
    network.initialize(0)  # the same parameters, and nothing kept for predicting
    monkeypatch.setattr("neocog.engine.predictor._SHARED", 0)
    for threads in (1, 2, 3):
        for n in range(3):
            alone = predict_scores(network, images[n : n + 1], threads=threads)
            np.testing.assert_array_equal(alone, expected[n : n + 1])


def test_one_image_without_winograd_is_the_same_but_for_rounding(monkeypatch):
    network, images = wide()
    expected = predict_scores(network, images)
    network.initialize(0)
    monkeypatch.setattr("neocog.engine.predictor._SHARED", 0)
    monkeypatch.setattr("neocog.engine.ops.winograd._FAR_BYTES", 0)
    alone = np.concatenate(
        [predict_scores(network, images[n : n + 1], threads=2) for n in range(7)]
    )
    assert not np.array_equal(alone, expected)
    np.testing.assert_allclose(alone, expected, rtol=1e-5, atol=1e-6)


def test_no_images_have_no_predictions_and_leave_the_thread_as_it_was():
    network = Network(input_shape=(3, 4, 4), flatten=Flatten(), fc=Linear(48, 4))
    network.initialize(0)
    assert predict_scores(network, np.zeros((0, 4, 4, 3), np.uint8)).shape == (0, 4)
    # Denormals are flushed in the workers only.
    predict_scores(network, np.zeros((2, 4, 4, 3), np.uint8))
    assert np.float32(1e-40) * np.float32(1) != 0


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_that_cannot_be(threads):
    network = Network(input_shape=(3, 4, 4), flatten=Flatten(), fc=Linear(48, 4))
    network.initialize(0)
    with pytest.raises(NeocogError, match="threads"):
        network.predict_proba(np.zeros((1, 4, 4, 3), np.uint8), threads=threads)


def test_predictions_from_several_threads_at_once():
    network, images, _ = small(200)
    expected = predict_scores(network, images, threads=1)
    network.initialize(0)  # the same parameters, and nothing kept for predicting
    wrong = []

    def ask(seed):
        rng = np.random.default_rng(seed)
        for _ in range(20):
            chosen = rng.integers(0, len(images), rng.integers(1, 60))
            found = predict_scores(network, images[chosen], threads=1 + seed % 3)
            if not np.array_equal(found, expected[chosen]):
                wrong.append(seed)

    askers = [threading.Thread(target=ask, args=(seed,)) for seed in range(6)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert not wrong


def test_images_that_do_not_lie_in_a_row_in_memory():
    network, images, labels = small(8)
    order, expected = np.arange(8), None
    turned = np.asfortranarray(images)
    backwards = np.ascontiguousarray(images[::-1])[::-1]
    for same in (images, turned, backwards):
        trainer = Trainer(network, same, labels, batch_size=4, optimizer=SGD(0.01), threads=2)
        result = {"losses": trainer.run(order), "scores": predict_scores(network, same)}
        expected = expected or result
        assert_same(result, expected)


# State


@pytest.mark.parametrize("optimizer", [SGD(0.02, momentum=0.9), Adam(0.003)], ids=["sgd", "adam"])
def test_state_taken_out_and_put_back_goes_on_bitwise(optimizer):
    network, images, labels = small()
    order = np.random.default_rng(1).permutation(len(images))

    def trainer_of(start):
        return Trainer(start, images, labels, batch_size=8, optimizer=optimizer, threads=2)

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
    trainer = Trainer(network, images, labels, batch_size=8, optimizer=SGD(0.1), threads=1)
    before = trainer.parameters()
    for value in trainer.parameters().values():
        value[:] = 0
    assert_same(trainer.parameters(), before)
    trainer.run(np.arange(len(images)))
    assert_same(network.state_dict(), before)
    assert not np.array_equal(trainer.parameters()["c1.weight"], before["c1.weight"])


# Divergence, stopping


@pytest.mark.parametrize("threads", [1, 3])
def test_a_loss_that_is_not_finite_ends_the_run_before_its_update(threads):
    network, images, labels = small()
    order = np.random.default_rng(1).permutation(len(images))

    def trainer_of():
        optimizer = SGD(1e30, momentum=0.9)
        return Trainer(network, images, labels, batch_size=8, optimizer=optimizer, threads=threads)

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
    trainer = Trainer(network, images, labels, batch_size=4, optimizer=SGD(1e-4), threads=2)
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
    trainer = Trainer(network, images, labels, batch_size=8, optimizer=SGD(0.1), threads=2)
    assert len(trainer.run(np.arange(0))) == 0
    assert trainer.steps == 0
    assert_same(trainer.parameters(), network.state_dict())


# Denormals


def test_denormals_count_as_zero_in_a_run_and_only_there():
    network = Network(input_shape=(1, 1, 8), flatten=Flatten(), fc=Linear(8, 2, bias=False))
    network.load_state_dict({"fc.weight": np.full((2, 8), 1e-40, np.float32)})
    white = np.full((3, 1, 8, 1), 255, np.uint8)
    assert (predict_scores(network, white, threads=1) == 0).all()
    assert np.float32(1e-40) * np.float32(1) > 0, "this thread's own arithmetic is as it was"


# What does not fit


def test_data_that_do_not_fit_are_refused():
    network, images, labels = small()
    optimizer = SGD(0.1)

    def trainer_of(images=images, labels=labels):
        return Trainer(network, images, labels, batch_size=4, optimizer=optimizer, threads=1)

    with pytest.raises(DataError, match=r"uint8 \[n, 6, 6, 3\].* not uint8 \[70, 3, 6, 6\]"):
        trainer_of(images=images.transpose(0, 3, 1, 2))
    with pytest.raises(DataError, match="not float32"):
        predict_scores(network, images.astype(np.float32))
    with pytest.raises(DataError, match=r"labels go from 0 to 4.* 4 classes, 0 to 3"):
        trainer_of(labels=np.arange(70) % 5)
    with pytest.raises(DataError, match="indices outside 0 to 69"):
        trainer_of().run(np.array([0, 70]))
    with pytest.raises(DataError, match="indices outside 0 to 69"):
        trainer_of().run(np.array([-1]))


def test_networks_that_give_no_score_a_class_are_refused():
    maps = Network(input_shape=(3, 4, 4), c=Conv2d(3, 2, 3))
    with pytest.raises(ArchitectureError, match="Flatten"):
        lower(maps, training=True)
    flattened = Network(input_shape=(3, 4, 4), c=Conv2d(3, 2, 3), f=Flatten())
    with pytest.raises(ArchitectureError, match="Linear"):
        lower(flattened, training=True)
    with pytest.raises(ArchitectureError, match="no layer that learns"):
        lower(Network(input_shape=(3, 1, 1), r=ReLU(), f=Flatten()), training=True)


# Packing

CHANNELS = st.sampled_from([1, 2, 3, 4, 5, 8, 16, 17, 24, 33, 48])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    c=CHANNELS,
    k=CHANNELS,
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    outputs=CHANNELS,
    size=st.tuples(st.integers(5, 7), st.integers(5, 7)),
)
def test_packing_there_and_back(c, k, kernel, outputs, size):
    h, w = size[0] - kernel[0] + 1, size[1] - kernel[1] + 1
    network = Network(
        input_shape=(c, *size),
        conv=Conv2d(c, k, kernel),
        flatten=Flatten(),
        fc=Linear(k * h * w, outputs),
    )
    only_linear = Network(
        input_shape=(c, *size), flatten=Flatten(), fc=Linear(c * size[0] * size[1], outputs)
    )
    rng = np.random.default_rng(c * k)
    for op in (*lower(network, training=True), *lower(only_linear, training=True)):
        for parameter in op.parameters():
            # Whole numbers from 1 on: none is lost, doubled or taken for padding.
            shape = parameter.shape
            value = 1 + rng.permutation(int(np.prod(shape))).astype(np.float32).reshape(shape)
            packed = parameter.pack(value)
            assert packed.shape == (parameter.size,)
            assert packed.dtype == np.float32
            assert np.count_nonzero(packed) == value.size
            np.testing.assert_array_equal(np.sort(packed[packed > 0]), np.arange(value.size) + 1)
            back = parameter.unpack(packed)
            np.testing.assert_array_equal(back, value)
            assert not np.shares_memory(back, packed)


def test_a_copy_is_a_network_of_its_own():
    network, images, _ = small()
    before = predict_scores(network, images)
    copy = network.copy()
    np.testing.assert_array_equal(predict_scores(copy, images), before)
    assert (copy.classes, copy.preprocessing) == (network.classes, network.preprocessing)
    network.initialize(1)
    assert (predict_scores(network, images) != before).any()
    np.testing.assert_array_equal(predict_scores(copy, images), before)
    copy.load_state_dict({name: 0 * value for name, value in copy.state_dict().items()})
    assert (predict_scores(copy, images) == 0).all()
    assert (predict_scores(network, images) != 0).any()


def test_a_copy_without_parameters_has_none():
    network = simple_cnn(4)
    assert not network.copy().initialized
