"""Whole networks of every layer there is against PyTorch in float64, and at the edges of what runs.

How far float32 may be off depends on the network: batch normalization of few values enlarges a
rounding, a ReLU near zero makes a jump of it, and every step passes it on to all later ones. What
it comes to in PyTorch's own float32, beside its float64, is the measure, the most of some runs from
weights a rounding apart (`RUNS`): of all losses, gradients or states of a network, the one of ours
that is most off may be so a few times as much as PyTorch's most is (`TIMES`), which sums in another
order, or by the rounding of a short sum (`LEAST`). A slip in a formula is off by a thousand times
that.

A bias before a batch normalization has a gradient of zero; what is there is rounding. So arrays are
measured by the largest number of their layer's.
"""

from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neocog import SGD, reference
from neocog.engine.predictor import predict_probabilities, predict_scores
from neocog.engine.trainer import Trainer
from neocog.errors import ArchitectureError
from neocog.layers import (
    GELU,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Scale,
    Sequential,
    Sigmoid,
    SiLU,
    Tanh,
)
from neocog.models import make
from neocog.network import Network

torch = pytest.importorskip("torch")
from neocog.torch_engine.module import to_torch  # noqa: E402

RUNS = 4
TIMES = 8
LEAST = 1e-6

# Nine whole batches and a smaller one.
BATCH, COUNT = 6, 58


def named(name, width, *sides):
    """A network by its name, of few channels and for small images."""
    return partial(make, name, 5, width=width, input_shape=(3, *sides))


def in_a_row(*layers, **options):
    """A network of layers called a, b, c …"""
    names = (chr(ord("a") + n) for n in range(26))
    return partial(Network, **options, **dict(zip(names, layers, strict=False)))


NETWORKS = {
    # By name, all of eight channels and mostly for images of one size, so that they share kernels
    "simple-cnn": named("simple-cnn", 0.1, 9, 8),
    "lenet5": named("lenet5", 0.1, 16, 17),
    "vgg-small": named("vgg-small", 0.1, 9, 8),
    "resnet8": named("resnet8", 0.1, 9, 8),
    "resnet20": named("resnet20", 0.1, 9, 8),
    "resnet18": named("resnet18", 0.01, 9, 8),
    "airbench": named("airbench", 0.01, 25, 25),
    # Every layer in unusual places
    "activations and pooling": in_a_row(
        AvgPool2d(2, 1, 1),
        Conv2d(3, 7, 3, padding=1),
        GELU(),
        MaxPool2d(3, 2, 1),
        Tanh(),
        AvgPool2d((3, 2), (2, 1), (1, 0), count_include_pad=False),
        Sigmoid(),
        LeakyReLU(0.2),
        Scale(-1.5),
        Flatten(),
        GELU("tanh"),
        Linear(7 * 3 * 5, 6),
        SiLU(),
        Linear(6, 5),
        Tanh(),
        input_shape=(3, 9, 11),
    ),
    "normalization everywhere": in_a_row(
        BatchNorm2d(3),
        Conv2d(3, 10, 3, padding=1),
        BatchNorm2d(10, affine=False),
        BatchNorm2d(10, momentum=0.5, eps=1e-3),
        ReLU(),
        MaxPool2d(2),
        BatchNorm2d(10),
        Conv2d(10, 6, 2),
        MaxPool2d(2),
        BatchNorm2d(6),
        AdaptiveMaxPool2d(1),
        Flatten(),
        Linear(6, 5),
        input_shape=(3, 8, 7),
    ),
    "blocks": in_a_row(
        Conv2d(2, 6, 3, padding=1),
        Residual(Conv2d(6, 6, 3, padding=1)),
        Residual(Sequential(r=Tanh(), n=BatchNorm2d(6)), Conv2d(6, 6, 1)),
        Residual(Residual(ReLU()), ReLU()),
        Residual(Sequential(p=MaxPool2d(2), a=Residual(Sigmoid())), AvgPool2d(2)),
        Residual(Conv2d(6, 6, 1), BatchNorm2d(6)),
        Residual(BatchNorm2d(6), MaxPool2d(3, 1, 1)),
        Flatten(),
        Linear(6 * 3 * 3, 7),
        Residual(Linear(7, 7), ReLU()),
        Linear(7, 5),
        Residual(Scale(0.5)),
        input_shape=(2, 6, 7),
    ),
    "the image itself in a block": in_a_row(
        Residual(Conv2d(3, 3, 3, padding=1), BatchNorm2d(3)),
        MaxPool2d(3, 2),
        Flatten(),
        Linear(3 * 3 * 3, 5),
        input_shape=(3, 7, 7),
    ),
    "depthwise": in_a_row(
        Conv2d(5, 5, 3, padding=1, groups=5),
        ReLU(),
        Conv2d(5, 20, 1),
        Conv2d(20, 20, 3, stride=2, groups=20, bias=False, dilation=2, padding=1),
        BatchNorm2d(20),
        ReLU(),
        Residual(Conv2d(20, 20, (3, 5), padding="same", groups=20)),
        Flatten(),
        Linear(20 * 4 * 4, 5),
        input_shape=(5, 10, 9),
    ),
    "odd convolutions": in_a_row(
        Conv2d(3, 12, (2, 3), padding="same"),
        GELU(),
        Conv2d(12, 18, 3, stride=2, padding=1, groups=3),
        ReLU(),
        Conv2d(18, 20, 3, dilation=2, padding=(2, 1)),
        LeakyReLU(0.1),
        Conv2d(20, 9, 1, stride=(3, 2)),
        Flatten(),
        Linear(9 * 3 * 2, 5),
        input_shape=(3, 13, 11),
    ),
    "many channels": in_a_row(
        Conv2d(3, 72, 3, padding=1, stride=2),
        ReLU(),
        Conv2d(72, 40, 3, padding=1),
        ReLU(),
        Conv2d(40, 20, 3, bias=False),
        BatchNorm2d(20),
        AdaptiveAvgPool2d(),
        Flatten(),
        Linear(20, 5),
        input_shape=(3, 13, 11),
    ),
    "no linear layer": in_a_row(
        Sequential(a=Sequential(a=Conv2d(1, 6, 3), b=ReLU()), b=Sequential(c=Dropout(0.0))),
        Conv2d(6, 5, 3),
        AdaptiveAvgPool2d(1),
        Flatten(),
        input_shape=(1, 8, 8),
    ),
}


def data_for(network, images=COUNT, seed=0):
    """Images and labels for a network."""
    rng = np.random.default_rng(seed)
    c, h, w = network.input_shape
    pixels = rng.integers(0, 256, (images, h, w, c), dtype=np.uint8)
    return pixels, rng.integers(0, network.output_shape[0], images)


class InTorch:
    """The network in PyTorch, in one precision, and what its training with momentum gives."""

    def __init__(self, network, images, labels, precision, rate, run=0):
        torch.set_num_threads(1)
        p = network.preprocessing
        inputs = reference.preprocess(images, p.mean, p.std).astype(np.float64)
        self.inputs = torch.from_numpy(inputs).to(precision)
        self.labels = torch.from_numpy(labels)
        self.module = to_torch(network).to(precision)
        noise = torch.Generator().manual_seed(run)
        with torch.no_grad():
            for parameter in self.module.parameters() if run else ():
                unfused = 2 * torch.rand(parameter.shape, generator=noise) - 1
                parameter *= 1 + 2.0**-23 * unfused
        self.sgd = torch.optim.SGD(self.module.parameters(), lr=rate, momentum=0.9)

    def scores(self):
        """What it says of the images when it is not trained."""
        self.module.eval()
        with torch.no_grad():
            return self.module(self.inputs).numpy()

    def steps(self, batches):
        """Their losses; the gradients of the last one are left behind."""
        self.module.train()
        losses = []
        for batch in batches:
            self.sgd.zero_grad()
            outputs = self.module(self.inputs[batch])
            loss = torch.nn.functional.cross_entropy(outputs, self.labels[batch])
            loss.backward()
            self.sgd.step()
            losses.append(loss.item())
        return losses

    def gradients(self):
        return {name: p.grad.numpy() for name, p in self.module.named_parameters()}

    def state(self):
        return {name: value.numpy() for name, value in self.module.state_dict().items()}


def trainer_of(network, images, labels, batch=BATCH, threads=2, **how):
    how = {"optimizer": SGD(0.02, momentum=0.9), **how}
    return Trainer(network, images, labels, batch_size=batch, threads=threads, **how)


def as_arrays(values):
    return values if isinstance(values, dict) else {"values": np.asarray(values, np.float64)}


def layer_of(name):
    """The layer that a parameter or a running statistic belongs to."""
    return name.rpartition(".")[0]


def largest_of_layers(arrays):
    """The largest number of each layer's arrays, of those that are not counts."""
    found = {}
    for name, value in arrays.items():
        if value.ndim:
            largest = float(np.abs(value).max(initial=1e-12))
            found[layer_of(name)] = max(found.get(layer_of(name), 0.0), largest)
    return found


def differences(found, exact):
    """How far each array is off, as a part of the largest number of its layer."""
    found, exact = as_arrays(found), as_arrays(exact)
    assert found.keys() == exact.keys()
    largest = largest_of_layers(exact)
    parts = {}
    for name, value in exact.items():
        assert np.shape(found[name]) == value.shape
        if value.ndim:
            off = np.abs(np.asarray(found[name], np.float64) - value).max(initial=0)
            parts[name] = off / largest[layer_of(name)]
        else:  # a count of batches
            assert int(found[name]) == int(value), name
    return parts


class Yardstick:
    """PyTorch in float64, and how far it is off in float32."""

    def __init__(self, *of_what):
        self.double = InTorch(*of_what[:3], torch.float64, of_what[3])
        self.singles = [
            InTorch(*of_what[:3], torch.float32, of_what[3], run) for run in range(RUNS)
        ]

    def steps(self, batches, found):
        """Take steps, and compare their losses."""
        self.compare(found, lambda side: side.steps(batches), "losses")

    def compare(self, found, of, what):
        """That what is found is as near to float64's numbers as PyTorch's float32 is."""
        exact = of(self.double)
        most = max(max(differences(of(single), exact).values()) for single in self.singles)
        for name, off in differences(found, exact).items():
            allowed = TIMES * most + LEAST
            assert off <= allowed, f"{what}, {name}: off by {off:.1e}, more than {allowed:.1e}"


def compare(network, images, labels, batch=BATCH, threads=2, rate=0.02):
    """A step, then all steps, then what the trained network says; gives the trainer."""
    torchs = Yardstick(network, images, labels, rate)
    torchs.compare(predict_scores(network, images, threads=1), InTorch.scores, "scores")

    trainer = trainer_of(network, images, labels, batch, threads, optimizer=SGD(rate, momentum=0.9))
    order = np.random.default_rng(1).permutation(len(images))
    batches = [order[at : at + batch] for at in range(0, len(order), batch)]
    torchs.steps(batches[:1], trainer.run(batches[0]))
    torchs.compare(trainer.gradients(), InTorch.gradients, "gradients")
    torchs.steps(batches[1:], trainer.run(order[batch:]))
    torchs.compare(trainer.state(), InTorch.state, "the state after all steps")

    # The same weights on all sides again, so that only the evaluation is compared.
    network.load_state_dict(trainer.state())
    torchs = Yardstick(network, images, labels, rate)
    torchs.compare(predict_scores(network, images, threads=2), InTorch.scores, "later scores")
    torchs.compare(
        predict_probabilities(network, images, threads=2),
        lambda side: reference.softmax(side.scores()),
        "probabilities",
    )
    return trainer


# PyTorch's word on what an even kernel costs there.
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("name", NETWORKS)
def test_ten_steps_by_pytorch_for_any_number_of_threads(name):
    network = NETWORKS[name]()
    network.initialize(0)
    images, labels = data_for(network)
    start = network.state_dict()
    states = [compare(network, images, labels).state()]
    order = np.random.default_rng(1).permutation(COUNT)
    for threads in (1, 3):
        network.load_state_dict(start)
        trainer = trainer_of(network, images, labels, threads=threads)
        trainer.run(order[:BATCH])
        trainer.run(order[BATCH:])
        states.append(trainer.state())
    for state in states[1:]:
        for name_, value in state.items():
            np.testing.assert_array_equal(value, states[0][name_], name_)


# Random networks


@st.composite
def layers_of_eight(draw):
    """A layer that keeps eight channels and the size of the map."""
    kind = draw(st.sampled_from(["conv", "norm", "function", "pool", "block", "depthwise"]))
    match kind:
        case "conv":
            return Conv2d(8, 8, 3, padding=1, bias=draw(st.booleans()))
        case "depthwise":
            return Conv2d(8, 8, 3, padding=1, groups=8)
        case "norm":
            return BatchNorm2d(8)
        case "function":
            return draw(st.sampled_from([ReLU(), GELU(), Tanh(), Scale(-0.5)]))
        case "pool":
            return draw(st.sampled_from([MaxPool2d(3, 1, 1), AvgPool2d(3, 1, 1)]))
    return Residual(draw(rows_of_eight()), draw(st.none() | layers_of_eight()))


@st.composite
def rows_of_eight(draw):
    """One to three of them in a row."""
    row = draw(st.lists(layers_of_eight(), min_size=1, max_size=3))
    return Sequential(**{f"l{n}": layer for n, layer in enumerate(row)})


@settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(body=rows_of_eight(), pooled=st.booleans())
def test_random_networks_by_pytorch(body, pooled):
    network = Network(
        input_shape=(3, 6, 5),
        first=Conv2d(3, 8, 3, padding=1),
        body=body,
        **({"pool": AdaptiveAvgPool2d()} if pooled else {}),
        flatten=Flatten(),
        fc=Linear(8 if pooled else 240, 5),
    )
    network.initialize(1)
    images, labels = data_for(network, 22)
    compare(network, images, labels)


def test_a_block_behind_flatten_is_refused():
    """Its lanes would be a flattened map and a vector, whose numbers lie in different orders."""
    network = Network(
        input_shape=(3, 3, 2), flatten=Flatten(), block=Residual(Linear(18, 18)), fc=Linear(18, 5)
    )
    network.initialize(0)
    images, labels = data_for(network, 12)
    with pytest.raises(ArchitectureError, match=r"block: .*put a Linear"):
        compare(network, images, labels)


# At the edges


def edge():
    """A small network with batch normalization."""
    network = Network(
        input_shape=(3, 6, 5),
        conv=Conv2d(3, 8, 3, padding=1),
        norm=BatchNorm2d(8),
        relu=ReLU(),
        flatten=Flatten(),
        fc=Linear(240, 5),
    )
    network.initialize(0)
    return network


def test_a_batch_of_one_image_has_its_own_statistics():
    network = edge()
    images, labels = data_for(network, 10)
    compare(network, images, labels, batch=1)


def test_one_value_a_channel_has_no_variance():
    """PyTorch refuses it. Here the batch's variance is 0, and the running one stays finite."""
    network = Network(
        input_shape=(3, 1, 1), c=Conv2d(3, 4, 1), n=BatchNorm2d(4), f=Flatten(), l=Linear(4, 3)
    )
    network.initialize(0)
    images, labels = data_for(network, 5)
    trainer = trainer_of(network, images, labels, batch=1)
    losses = trainer.run(np.arange(5))
    assert len(losses) == 5
    for value in trainer.state().values():
        assert np.isfinite(value).all()
    assert (trainer.gradients()["c.weight"] == 0).all()
    assert (trainer.gradients()["n.weight"] == 0).all()


def test_images_of_one_color_and_labels_that_are_all_the_same():
    network = edge()
    images = np.full((COUNT, 6, 5, 3), 128, np.uint8)
    labels = np.full(COUNT, 3)
    compare(network, images, labels)
    trainer = trainer_of(network, images, labels)
    losses = np.concatenate([trainer.run(np.arange(COUNT)) for _ in range(5)])
    assert (np.diff(losses[1:]) <= 0).all(), "there is only one thing to learn"
    assert losses[-1] < 0.1


@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_scores_of_ten_thousands(scale):
    network = Network(
        input_shape=(3, 6, 5), flatten=Flatten(), fc=Linear(90, 5), scale=Scale(scale)
    )
    network.initialize(0)
    images, labels = data_for(network, 12)
    torchs, everything = Yardstick(network, images, labels, 1e-12), np.arange(12)
    assert 1e3 < np.abs(torchs.double.scores()).max() < 1e5
    trainer = trainer_of(network, images, labels, batch=12, optimizer=SGD(1e-12))
    torchs.steps([everything], trainer.run(everything))
    torchs.compare(trainer.gradients(), InTorch.gradients, "gradients")
    probabilities = predict_probabilities(network, images)
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


def test_pictures_of_one_shard_or_many_and_a_last_batch_of_one():
    """Shards of one image and of several; the last batch leaves some of them empty."""
    network = edge()
    images, labels = data_for(network, 41)
    start = network.state_dict()
    for batch in (40, 20, 3):
        network.load_state_dict(start)
        order = np.arange(41)
        states = []
        for threads in (1, 2, 3):
            trainer = trainer_of(network, images, labels, batch, threads)
            losses = trainer.run(order)
            states.append({"losses": losses, **trainer.state()})
        for state in states[1:]:
            for name, value in state.items():
                np.testing.assert_array_equal(value, states[0][name], name)
        compare(network, images, labels, batch=batch, threads=3)
