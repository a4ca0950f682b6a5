"""PyTorch's random stream: bitwise against PyTorch, and golden values that hold without it."""

import hashlib

import numpy as np
import pytest

from neocog.errors import NeocogError
from neocog.layers import (
    GELU,
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    GroupNorm,
    LayerNorm2d,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from neocog.models import simple_cnn
from neocog.network import Network
from neocog.random.torch_stream import TorchStream

SEEDS = [0, 1, 12345, 2**32 + 7, -1, -(2**63), 2**63, 2**64 - 1]


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


def deep_network() -> Network:
    return Network(
        input_shape=(2, 9, 12),
        c1=Conv2d(2, 5, (3, 1), padding=(1, 0)),
        r1=ReLU(),
        c2=Conv2d(5, 6, 5, padding=2, bias=False),
        p=MaxPool2d(),
        f=Flatten(),
        l1=Linear(6 * 4 * 6, 11, bias=False),
        l2=Linear(11, 3),
    )


def nested_network() -> Network:
    return Network(
        input_shape=(4, 11, 9),
        stem=Sequential(
            conv=Conv2d(4, 8, 3, dilation=2, padding="same", bias=False), norm=BatchNorm2d(8)
        ),
        block=Residual(
            Sequential(
                depthwise=Conv2d(8, 8, 3, stride=2, padding=1, groups=8),
                norm=BatchNorm2d(8, affine=False),
                act=GELU(),
                pointwise=Conv2d(8, 6, 1),
            ),
            Conv2d(8, 6, 1, stride=2, groups=2),
        ),
        groups=GroupNorm(3, 6),
        places=LayerNorm2d(6),
        mean=AdaptiveAvgPool2d(),
        flatten=Flatten(),
        drop=Dropout(0.1),
        fc=Linear(6, 3),
    )


def torch_state(network):
    """The state of the same modules, built in the same order."""
    from neocog.torch_engine.module import to_torch

    return {name: value.numpy() for name, value in to_torch(network).state_dict().items()}


def torch_order(torch, n, workers=0):
    loader = torch.utils.data.DataLoader(range(n), batch_size=n, shuffle=True, num_workers=workers)
    return next(iter(loader)).numpy()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("make", [simple_cnn, deep_network, nested_network])
def test_initial_state_is_that_of_torch(torch, seed, make):
    if torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        pytest.skip("without fused multiply-add PyTorch's own numbers differ in the last place")
    network = make()
    torch.manual_seed(seed)
    expected = torch_state(network)
    actual = TorchStream(seed).initial_state(network.graph)
    assert list(actual) == list(expected) == list(network.state_shapes)
    for name, value in actual.items():
        assert value.dtype == expected[name].dtype
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


@pytest.mark.parametrize("seed", SEEDS)
def test_orders_follow_the_parameters_as_in_torch(torch, seed):
    network = deep_network()
    torch.manual_seed(seed)
    torch_state(network)
    stream = TorchStream(seed)
    stream.initial_state(network.graph)
    for _ in range(3):
        order = stream.epoch_order(1000)
        assert order.dtype == np.int64
        np.testing.assert_array_equal(order, torch_order(torch, 1000))


def test_orders_with_two_workers_are_those_of_torch(torch):
    torch.manual_seed(5)
    stream = TorchStream(5)
    for _ in range(3):
        np.testing.assert_array_equal(stream.epoch_order(130), torch_order(torch, 130, workers=2))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 15, 16, 17, 624, 625, 50_000, 70_000, 200_001])
def test_orders_of_any_length_are_those_of_torch(torch, n):
    torch.manual_seed(n)
    stream = TorchStream(n)
    for _ in range(2):
        np.testing.assert_array_equal(stream.epoch_order(n), torch_order(torch, n))


@pytest.mark.parametrize("n", [1, 7, 16, 1000])
def test_uniform_is_that_of_torch(torch, n):
    if torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        pytest.skip("without fused multiply-add PyTorch's own numbers differ in the last place")
    torch.manual_seed(3)
    stream = TorchStream(3)
    for bound in (1.0, 0.1, 1 / 3):
        expected = torch.empty(n).uniform_(-bound, bound).numpy()
        np.testing.assert_array_equal(stream.uniform(n, bound), expected)


@pytest.mark.parametrize("seed", [-(2**63) - 1, 2**64])
def test_seeds_beyond_those_of_torch_are_refused(torch, seed):
    with pytest.raises(ValueError, match="Overflow"):
        torch.manual_seed(seed)
    with pytest.raises(NeocogError, match=rf"seed \(={seed}\) must lie between"):
        TorchStream(seed)


def test_golden_values():
    stream = TorchStream(0)
    parameters = stream.initial_state(simple_cnn().graph)
    digest = hashlib.sha256(b"".join(p.astype("<f4").tobytes() for p in parameters.values()))
    assert digest.hexdigest() == "92ef402ab9ffd4b067818160282b75dda2a7dcc7c39943b7e8614837e733e1ff"
    np.testing.assert_array_equal(
        parameters["conv1.weight"].ravel()[:2].view(np.uint32), [3132938891, 1037266629]
    )
    assert stream.epoch_order(50_000)[:6].tolist() == [46893, 13295, 18823, 38438, 3868, 24003]
    assert stream.epoch_order(7).tolist() == [6, 0, 1, 5, 2, 3, 4]
    assert TorchStream(-5).epoch_order(6).tolist() == [3, 1, 2, 4, 0, 5]
    assert TorchStream(3).uniform(3, 0.1).view(np.uint32).tolist() == [
        3184201149,
        3181481741,
        3174002711,
    ]


@pytest.mark.parametrize("seed", ["0", 1.5, None])
def test_seeds_that_are_no_whole_number_are_refused(seed):
    with pytest.raises(NeocogError, match=r"must be a whole number"):
        TorchStream(seed)


@pytest.mark.parametrize("n", [0, -3, 2**32])
def test_sizes_that_cannot_be_shuffled_are_refused(n):
    with pytest.raises(NeocogError, match=f"not {n}"):
        TorchStream(0).epoch_order(n)


def test_a_state_put_back_gives_the_same_numbers_again():
    stream = TorchStream(9)
    stream.uniform(1001, 1.0)
    state = stream.get_state()
    orders = [stream.epoch_order(50) for _ in range(2)]
    assert not np.array_equal(*orders)
    other = TorchStream(0)
    other.set_state(state)
    np.testing.assert_array_equal([other.epoch_order(50) for _ in range(2)], orders)
    stream.set_state(state)
    np.testing.assert_array_equal([stream.epoch_order(50) for _ in range(2)], orders)


@pytest.mark.parametrize(
    "change",
    [
        {"key": np.zeros(623, np.uint32)},
        {"key": np.zeros(624, np.int64)},
        {"position": np.array(625, np.int64)},
        {"position": np.array(-1, np.int64)},
        {"position": np.zeros(1, np.int64)},
        {"position": None},
    ],
)
def test_a_state_that_is_none_is_refused(change):
    stream = TorchStream(0)
    with pytest.raises(NeocogError, match="not the state"):
        stream.set_state({**stream.get_state(), **change})
