"""Whole networks by the formulas against PyTorch's modules in float64."""

import numpy as np
import pytest

from neocog import reference
from neocog.layers import (
    GELU,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GroupNorm,
    Layer,
    LayerNorm2d,
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
from neocog.network import Network

# PyTorch says so of even kernels, once.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected.detach().numpy(), rtol=1e-9, atol=1e-10)


def networks():
    return {
        "the note's, small": Network(
            input_shape=(3, 6, 6), conv1=Conv2d(3, 4, 3, padding=1), relu=ReLU(), pool=MaxPool2d(),
            flatten=Flatten(), fc=Linear(36, 5),
        ),
        "deep and odd": Network(
            input_shape=(2, 11, 9), c1=Conv2d(2, 3, (1, 3), padding=(0, 2), bias=False), r1=ReLU(),
            c2=Conv2d(3, 4, 5, padding=2), p1=MaxPool2d(), r2=ReLU(), c3=Conv2d(4, 3, 3, padding=1),
            p2=MaxPool2d(), f=Flatten(), l1=Linear(12, 7, bias=False), r3=ReLU(), l2=Linear(7, 4),
        ),
        "every layer": Network(
            input_shape=(4, 13, 10),
            stem=Sequential(
                conv=Conv2d(4, 8, (3, 5), padding="same", dilation=(2, 1), bias=False),
                norm=BatchNorm2d(8, momentum=0.4, eps=1e-3),
                act=GELU(),
            ),
            down=Sequential(
                block=Residual(
                    Sequential(
                        depthwise=Conv2d(8, 8, 3, stride=2, padding=1, groups=8),
                        norm=BatchNorm2d(8, affine=False),
                        act=SiLU(),
                        pointwise=Conv2d(8, 6, 1),
                        drop=Dropout(0.3),
                    ),
                    Sequential(conv=Conv2d(8, 6, 1, stride=2, groups=2), norm=BatchNorm2d(6)),
                ),
                act=LeakyReLU(0.2),
            ),
            same=Residual(Residual(Conv2d(6, 6, 2, padding="same"))),
            pool=MaxPool2d(3, stride=2, padding=1),
            mean=AvgPool2d((2, 3), stride=1, padding=(1, 1), count_include_pad=False),
            deep=Residual(Sequential(sigmoid=Sigmoid(), scale=Scale(-1.5)), AvgPool2d(1)),
            # Before what saturates: PyTorch rounds its tails to ties, and then another one is best.
            best=AdaptiveMaxPool2d(),
            tanh=Tanh(),
            approximate=GELU("tanh"),
            flatten=Flatten(),
            drop=Dropout(0.5),
            fc=Linear(6, 5),
        ),
        "normalized images": Network(
            input_shape=(6, 5, 4), g=GroupNorm(3, 6), c1=Conv2d(6, 8, 3, padding=1),
            n=LayerNorm2d(8, eps=1e-3), p=GroupNorm(2, 8, affine=False), c2=Conv2d(8, 4, 3),
            l=LayerNorm2d(4, elementwise_affine=False), f=Flatten(), fc=Linear(4 * 3 * 2, 5),
        ),
        "one pixel": Network(
            input_shape=(5, 1, 1), norm=BatchNorm2d(5), c=Residual(Conv2d(5, 5, 3, padding=1)),
            mean=AdaptiveAvgPool2d(), f=Flatten(), l=Linear(5, 3),
        ),
    }  # fmt: skip


NETWORKS = networks()


def prepared(name, images, seed=3):
    """The network, a state in float64, images and labels."""
    network = NETWORKS[name]
    rng = np.random.default_rng(seed)
    state = {}
    for key, shape in network.state_shapes.items():
        if key.endswith("num_batches_tracked"):
            state[key] = np.array(7)
        else:
            state[key] = rng.normal(size=shape)
            if key.endswith("running_var"):
                state[key] = rng.uniform(0.5, 2, shape)
    x = rng.normal(size=(images, *network.input_shape))
    return network, state, x, rng.integers(0, network.output_shape[0], images)


def by_torch(torch, network, state, x, training):
    """The module, and the outputs of all its modules for x, with gradients kept, by full name."""
    from neocog.torch_engine.module import to_torch

    torch.manual_seed(0)
    module = to_torch(network).double().train(training)
    module.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    outputs = {"input": torch.tensor(x, requires_grad=True)}
    masks = {}

    def keep(name):
        def hook(part, inputs, output):
            if output.requires_grad and output is not inputs[0]:
                output.retain_grad()
            outputs[name] = output
            if isinstance(part, torch.nn.Dropout):
                masks[name] = ((output != 0) | (inputs[0] == 0)).numpy()

        return hook

    for name, part in module.named_modules():
        if name:
            part.register_forward_hook(keep(name))
    return module, outputs, masks, module(outputs["input"])


@pytest.mark.parametrize(
    ("name", "images", "training"),
    [
        (name, images, training)
        for name in NETWORKS
        for images in (1, 4)
        for training in (False, True)
        # PyTorch does not train batch normalization with a single number.
        if (name, images, training) != ("one pixel", 1, True)
    ],
)
def test_whole_networks_are_those_of_torch(torch, name, images, training):
    network, state, x, labels = prepared(name, images)
    module, expected, masks, z = by_torch(torch, network, state, x, training)
    mean_loss = torch.nn.functional.cross_entropy(z, torch.tensor(labels))
    mean_loss.backward()

    if training:
        actual, buffers = reference.forward_training(network, state, x, masks)
        assert list(buffers) == list(network.buffer_shapes)
        found = dict(module.named_buffers())
        for key, value in buffers.items():
            assert_close(value, found[key])
    else:
        actual = reference.forward(network, state, x)
    loss, gradients, output_gradients = reference.backward(
        network, state, x, labels, training=training, masks=masks
    )
    assert list(actual) == ["input", *network.shapes]
    assert actual.keys() == expected.keys() == output_gradients.keys()
    assert loss == pytest.approx(mean_loss.item(), rel=1e-12)
    for key, output in expected.items():
        assert_close(actual[key], output)
        if output.grad is not None:
            assert_close(output_gradients[key], output.grad)
        if key != "input":
            assert actual[key].shape == (images, *network.shapes[key])
    parameters = dict(module.named_parameters())
    assert list(gradients) == list(parameters)
    for key, parameter in parameters.items():
        assert_close(gradients[key], parameter.grad)


def test_any_gradient_can_be_passed_back(torch):
    network, state, x, _labels = prepared("every layer", 3)
    module, _outputs, masks, z = by_torch(torch, network, state, x, training=True)
    dz = np.random.default_rng(1).normal(size=z.shape)
    z.backward(torch.tensor(dz))
    gradients, output_gradients = reference.backward_from(network, state, x, dz, masks=masks)
    np.testing.assert_array_equal(output_gradients["fc"], dz)
    for key, parameter in module.named_parameters():
        assert_close(gradients[key], parameter.grad)


def test_training_needs_no_running_statistics_and_changes_none():
    network, state, x, labels = prepared("one pixel", 4)
    before = {name: value.copy() for name, value in state.items()}
    loss, *_ = reference.backward(network, state, x, labels)
    outputs, buffers = reference.forward_training(network, state, x)
    for name, value in before.items():
        np.testing.assert_array_equal(state[name], value)
    assert buffers["norm.num_batches_tracked"] == 8
    learned = {name: state[name] for name in network.parameter_shapes}
    assert reference.backward(network, learned, x, labels)[0] == loss
    np.testing.assert_array_equal(
        reference.forward_training(network, learned, x)[0]["l"], outputs["l"]
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_the_precision_follows_the_inputs(dtype):
    network, state, x, labels = prepared("every layer", 2)
    state = {n: v if v.dtype == np.int64 else v.astype(dtype) for n, v in state.items()}
    masks = {
        "drop": np.ones((2, 6), bool),
        "down.block.body.drop": np.ones((2, *network.shapes["down.block.body.pointwise"]), bool),
    }
    x = x.astype(dtype)
    outputs, buffers = reference.forward_training(network, state, x, masks)
    _loss, gradients, output_gradients = reference.backward(network, state, x, labels, masks=masks)
    for value in [*outputs.values(), *gradients.values(), *output_gradients.values()]:
        assert value.dtype == dtype
    for name, value in buffers.items():
        assert value.dtype == (np.int64 if name.endswith("tracked") else dtype)


def test_a_layer_without_a_formula_is_named():
    class Strange(Layer):
        def output_shape(self, shape):
            return shape

    network = Network(block=Sequential(odd=Strange()))
    with pytest.raises(TypeError, match=r"block\.odd: there is no formula here for Strange"):
        reference.forward(network, {}, np.zeros((1, 3, 32, 32)))


def test_a_dropout_without_draws_is_named():
    network = Network(input_shape=(1, 2, 2), drop=Dropout(0.5))
    x = np.ones((1, 1, 2, 2))
    np.testing.assert_array_equal(reference.forward(network, {}, x)["drop"], x)
    with pytest.raises(ValueError, match="drop: A dropout in training needs"):
        reference.forward_training(network, {}, x)
