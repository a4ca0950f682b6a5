"""`save` and `load`: the format by the suffix, and the architecture of weights without one."""

import tracemalloc

import numpy as np
import pytest

from neocog import models
from neocog.errors import ArchitectureError, FormatError, NeocogError
from neocog.formats import save_pth
from neocog.layers import Flatten, Linear, Sequential
from neocog.network import Network
from neocog.network_files import assumption, load, save


@pytest.fixture
def net():
    net = models.simple_cnn(7)
    net.name_classes(tuple("abcdefg"))
    net.initialize(3)
    return net


def assert_same_weights(actual, expected):
    assert dict(actual.layers) == dict(expected.layers)
    for name, value in expected.state_dict().items():
        np.testing.assert_array_equal(actual.state_dict()[name], value)


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth", "a.pt", "A.PTH"])
def test_what_was_saved_is_loaded(tmp_path, net, name):
    net.save(tmp_path / name)
    loaded = load(str(tmp_path / name))
    assert_same_weights(loaded, net)
    assert loaded.preprocessing == net.preprocessing
    assert loaded.classes == (net.classes if name.endswith(".safetensors") else None)


def test_a_run_folder_is_loaded(tmp_path, net):
    save(net, tmp_path / "last.safetensors")
    loaded = load(tmp_path)
    assert_same_weights(loaded, net)
    assert loaded.classes == net.classes


def test_torch_gets_the_state_dict(tmp_path, net):
    torch = pytest.importorskip("torch")
    save(net, tmp_path / "cnn_model.pth")
    state = torch.load(tmp_path / "cnn_model.pth", weights_only=True)
    assert (
        torch.load(tmp_path / "cnn_model.pth", weights_only=True, mmap=True).keys() == state.keys()
    )
    assert list(state) == ["conv1.weight", "conv1.bias", "fc.weight", "fc.bias"]
    assert state["fc.weight"].shape == (7, 4096)


def test_the_architecture_can_be_given(tmp_path, net):
    other = Network(input_shape=(3, 2, 2), f=Flatten(), l=Linear(12, 4))
    other.initialize(1)
    save(other, tmp_path / "other.pth")
    empty = Network(input_shape=(3, 2, 2), f=Flatten(), l=Linear(12, 4))
    assert_same_weights(load(tmp_path / "other.pth", model=empty), other)
    save(net, tmp_path / "net.pth")
    assert_same_weights(load(tmp_path / "net.pth", model="simple-cnn"), net)
    with pytest.raises(FormatError, match=r"net\.pth: The weights do not belong"):
        load(tmp_path / "net.pth", model=empty)
    with pytest.raises(ArchitectureError, match="Did you mean 'simple-cnn'"):
        load(tmp_path / "net.pth", model="simple_cn")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[pytest.mark.thorough] * (n == "resnet18"))
        for n in models.SMALL_IMAGES
    ],
)
@pytest.mark.parametrize("width", [1, 0.3])
def test_every_model_at_any_width_is_known_by_its_weights(tmp_path, name, width):
    network = models.make(name, 7, width=width)
    network.initialize(1)
    for file in ("a.pth", "a.safetensors"):
        network.save(tmp_path / file)
        assert_same_weights(load(tmp_path / file), network)
        assert_same_weights(load(tmp_path / file, model=name), network)


def test_a_state_dict_of_torch_with_running_statistics_is_loaded(tmp_path):
    torch = pytest.importorskip("torch")
    from neocog.torch_engine.module import to_torch

    module = to_torch(models.make("resnet8", 4))
    module(torch.ones(2, 3, 32, 32))
    torch.save(module.state_dict(), tmp_path / "a.pth")
    network = load(tmp_path / "a.pth")
    assert models.name_of(network) == "resnet8"
    state = network.state_dict()
    assert state["norm.num_batches_tracked"] == 1
    assert state["norm.num_batches_tracked"].dtype == np.int64
    for name, value in module.state_dict().items():
        np.testing.assert_array_equal(state[name], value.numpy())
    network.save(tmp_path / "b.pth")
    again = torch.load(tmp_path / "b.pth", weights_only=True)
    module.load_state_dict(again)
    assert again["norm.num_batches_tracked"].dtype == torch.int64


def test_a_count_of_batches_that_is_no_whole_number_is_refused(tmp_path):
    network = models.make("resnet8", 4, width=0.5)
    network.initialize(0)
    state = network.state_dict()
    save_pth(state | {"norm.num_batches_tracked": np.array(np.nan)}, tmp_path / "a.pth")
    with pytest.raises(FormatError, match=r"norm\.num_batches_tracked must hold a whole number"):
        load(tmp_path / "a.pth")


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
def test_a_file_for_which_there_is_no_memory_is_named(tmp_path, net, name, monkeypatch):
    net.save(tmp_path / name)
    monkeypatch.setattr("neocog.limits.available_memory", lambda: 1000)
    with pytest.raises(NeocogError, match=rf"{name}: Reading this .* memory, and this process can"):
        load(tmp_path / name)


@pytest.mark.parametrize("prefix", ["model.", "net.backbone.", "module."])
def test_a_prefix_that_all_names_share_is_taken_off(tmp_path, net, prefix):
    save_pth({prefix + k: v for k, v in net.state_dict().items()}, tmp_path / "a.pth")
    empty = models.simple_cnn(7)
    for model in (None, "simple-cnn", empty):
        assert_same_weights(load(tmp_path / "a.pth", model), net)


def test_long_prefixes_take_no_more_memory_than_the_file(tmp_path):
    one = np.zeros(1, np.float32)
    save_pth({f"{'b.' * 490}{n:03}": one for n in range(200)}, tmp_path / "long.pth")
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="weights without an architecture"):
            load(tmp_path / "long.pth")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_network_whose_own_names_have_that_prefix_keeps_it(tmp_path):
    own = Network(input_shape=(3, 2, 2), model=Sequential(f=Flatten(), fc=Linear(12, 4)))
    own.initialize(1)
    own.save(tmp_path / "a.pth")
    assert_same_weights(load(tmp_path / "a.pth", own.copy()), own)


def test_counts_of_batches_may_be_missing(tmp_path):
    network = models.make("resnet8", 4, width=0.5)
    network.initialize(0)
    state = {k: v for k, v in network.state_dict().items() if not k.endswith("_tracked")}
    assert len(state) < len(network.state_dict())
    save_pth(state, tmp_path / "a.pth")
    for model in (None, "resnet8", network.copy()):
        assert_same_weights(load(tmp_path / "a.pth", model), network)
    del state["norm.running_mean"]
    save_pth(state, tmp_path / "a.pth")
    with pytest.raises(FormatError, match=r"it lacks norm\.running_mean"):
        load(tmp_path / "a.pth", network.copy())


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 36, 36)])
def test_weights_for_other_images_are_known_too(tmp_path, shape):
    network = models.lenet5(10, input_shape=shape)
    network.initialize(0)
    network.save(tmp_path / "a.pth")
    for model in (None, "lenet5"):
        loaded = load(tmp_path / "a.pth", model)
        assert loaded.input_shape == shape
        assert_same_weights(loaded, network)
    text = assumption(tmp_path / "a.pth", loaded)
    assert f"taken for lenet5 with images of {' × '.join(map(str, shape))} (" in text


def test_the_size_of_images_is_noted_beside_the_weights(tmp_path):
    path = tmp_path / "a.pth"
    wide = models.simple_cnn(6, input_shape=(3, 20, 36))
    pooled = models.resnet8(4, width=0.5, input_shape=(1, 48, 40))  # the same weights for any size
    for network, name in ((wide, "simple-cnn"), (pooled, "resnet8")):
        network.initialize(0)
        network.save(path)
        for model in (None, name):
            loaded = load(path, model)
            assert loaded.input_shape == network.input_shape
            assert_same_weights(loaded, network)
    save_pth(wide.state_dict(), path)  # as PyTorch does
    with pytest.raises(FormatError, match="weights without an architecture"):
        load(path)
    with pytest.raises(FormatError, match=r"fc\.weight .* does not say how large its images are"):
        load(path, "simple-cnn")
    assert_same_weights(load(path, wide.copy()), wide)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 10**6, 10**6), "input: the shape .* is absurdly large"),
        ((1, 0, 9), "a.pth: the shape of the images in it is damaged"),
        ((1, 48, 10**9), "a.pth: the shape of the images in it is damaged"),
        ((-1, 48, 48), "a.pth: the shape of the images in it is damaged"),
    ],
)
def test_noted_sizes_that_cannot_be_are_refused(tmp_path, shape, message):
    network = models.resnet8(4, width=0.5, input_shape=(1, 48, 40))
    network.initialize(0)
    save_pth(network.state_dict(), tmp_path / "a.pth", shape)
    for model in (None, "resnet8"):
        with pytest.raises(NeocogError, match=message):
            load(tmp_path / "a.pth", model)


def test_the_architecture_can_be_a_python_file(tmp_path):
    (tmp_path / "own.py").write_text(
        "import neocog\n"
        "def small(classes):\n"
        "    return neocog.Network(input_shape=(3, 2, 2), f=neocog.Flatten(),\n"
        "                          l=neocog.Linear(12, classes))\n"
    )
    own = Network(input_shape=(3, 2, 2), f=Flatten(), l=Linear(12, 4))
    own.initialize(1)
    own.save(tmp_path / "a.pth")
    model = f"{tmp_path / 'own.py'}:small"
    assert_same_weights(load(tmp_path / "a.pth", model), own)
    assert f"taken for {model} with" in assumption(tmp_path / "a.pth", own, model)
    with pytest.raises(FormatError, match=r"Say which network they are of, .*--model"):
        load(tmp_path / "a.pth")


def test_paths_that_cannot_be_are_refused():
    for name in ("a" * 5000, "a\0", "a" * 5000 + ".pth", "a\0.safetensors"):
        with pytest.raises(FormatError, match="must be the path of a file"):
            load(name)


@pytest.mark.parametrize(
    ("state", "listed"),
    [
        ({"l.weight": np.ones((4, 12)), "l.bias": np.ones(4)}, r"l\.weight \(4, 12\), l\.bias"),
        ({f"w{i}": np.ones(()) for i in range(20)}, r"w7 \(\) and 12 more"),
        ({"l.weight": np.ones((0, 3))}, r"l\.weight \(0, 3\)"),
        ({}, "such"),
    ],
)
def test_weights_that_fit_no_model_are_listed(tmp_path, state, listed):
    save_pth(state, tmp_path / "a.pth")
    with pytest.raises(FormatError, match=listed):
        load(tmp_path / "a.pth")


@pytest.mark.parametrize("name", ["a.tflite", "a", ".pth", "pth"])
def test_other_suffixes_are_refused(tmp_path, net, name):
    with pytest.raises(FormatError, match=r"must end in \.safetensors, \.pth or \.pt"):
        save(net, tmp_path / name)
    assert not list(tmp_path.iterdir())
    (tmp_path / name).write_bytes(b"content")
    with pytest.raises(FormatError, match="no known kind of model"):
        load(tmp_path / name)


def test_missing_files_and_other_folders_are_refused(tmp_path, net):
    for name in ("a.pth", "a.safetensors", "a"):
        with pytest.raises(FormatError, match="there is no such file"):
            load(tmp_path / name)
    with pytest.raises(FormatError, match="holds no best"):
        load(tmp_path)
    for name in ("a.pth", "a.safetensors"):
        with pytest.raises(FormatError, match="No such file or directory"):
            save(net, tmp_path / "missing" / name)
