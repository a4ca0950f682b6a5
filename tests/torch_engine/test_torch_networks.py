"""Ten steps of named networks by both engines, and what only PyTorch's engine has.

A ReLU near zero and batch normalization of few values make more of a rounding than smooth functions
do: a network's gradients of the first step are within 10⁻⁴ of a layer's largest, and the ten losses
within 10⁻³.
"""

import numpy as np
import pytest
from both_engines import BATCH, ORDER, TorchTrainer, assert_near, data_for, small, trainers
from engines import parts_of

import neocog
from neocog import SGD, NeocogError, TrainingSettings
from neocog.layers import BatchNorm2d, Conv2d, Flatten, Linear
from neocog.network import Network

torch = pytest.importorskip("torch")
from neocog.torch_engine import batches  # noqa: E402
from neocog.torch_engine.batches import GatheredBatches, ResidentBatches  # noqa: E402

OF_A_STEP, OF_LOSSES = 1e-4, 1e-3
NAMES = {
    "simple-cnn": (0.1, (3, 9, 8)),
    "lenet5": (0.1, (3, 16, 17)),
    "vgg-small": (0.1, (3, 9, 8)),
    "resnet8": (0.1, (3, 9, 8)),
    "resnet20": (0.1, (3, 9, 8)),
    "resnet18": (0.02, (3, 9, 8)),
    "airbench": (0.01, (3, 25, 25)),
}


def largest_of_layers(arrays):
    found = {}
    for name, value in arrays.items():
        layer = name.rpartition(".")[0]
        found[layer] = max(found.get(layer, 1e-6), float(np.abs(value).max()))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_named_networks(name):
    width, shape = NAMES[name]
    network = neocog.models.make(name, 5, width=width, input_shape=shape)
    network.initialize(0)
    ours, theirs = trainers(network, data_for(network), SGD(0.02, momentum=0.9))
    for trainer in (ours, theirs):
        trainer.run(ORDER[:BATCH])
    found, wanted = theirs.gradients(), ours.gradients()
    assert found.keys() == wanted.keys()
    largest = largest_of_layers(wanted)
    for one, value in wanted.items():
        off = np.abs(found[one] - value).max() / largest[one.rpartition(".")[0]]
        assert off < OF_A_STEP, f"{one}: {off:.1e}"
    assert_near(ours.run(ORDER[BATCH:]), theirs.run(ORDER[BATCH:]), OF_LOSSES, "losses")
    for one, value in ours.state().items():
        if one.endswith("num_batches_tracked"):
            assert value == theirs.state()[one] == 10


def batch_normalized():
    network = Network(
        input_shape=(3, 4, 4),
        conv=Conv2d(3, 4, 4),
        bn=BatchNorm2d(4),
        flatten=Flatten(),
        fc=Linear(4, 3),
    )
    network.initialize(0)
    return network


def test_a_batch_of_one_value_a_channel_is_explained():
    network = batch_normalized()
    theirs = TorchTrainer(*parts_of(network), *data_for(network, 9), TrainingSettings(batch_size=4))
    with pytest.raises(NeocogError, match="needs more than one value a channel"):
        theirs.run(np.arange(9))
    assert theirs.done == 0  # it has ended, and nothing is under way


def test_what_was_done_before_a_failure_counts():
    network = batch_normalized()
    theirs = TorchTrainer(*parts_of(network), *data_for(network, 9), TrainingSettings(batch_size=4))
    record = np.full(3, np.nan)
    with pytest.raises(NeocogError):
        theirs.start(np.arange(9), record).finish()
    assert theirs.end() == 2
    assert np.isfinite(record[:2]).all()


def test_bf16_is_near_float32_and_keeps_weights_in_float32():
    network = small()
    data = data_for(network)
    settings = {
        name: TrainingSettings(batch_size=BATCH, precision=name, threads=1)
        for name in ("float32", "bf16")
    }
    exact, short = (TorchTrainer(*parts_of(network), *data, one) for one in settings.values())
    losses, found = exact.run(ORDER), short.run(ORDER)
    # Eight bits of a number are 4 · 10⁻³ of it.
    assert 0 < np.abs(losses - found).max() < 0.02
    assert {value.dtype for value in short.state().values()} == {np.dtype(np.float32)}


def test_where_images_lie_changes_nothing():
    """On the device or gathered on the CPU: the same inputs, in PyTorch's channels-last."""
    network = small()
    images, _ = data_for(network)
    cpu = torch.device("cpu")
    normalize = batches.Normalize(network.preprocessing, cpu)
    inputs = []
    for made in (ResidentBatches, GatheredBatches):
        source = made(images, normalize, BATCH, cpu)
        source.begin(ORDER, 0)
        inputs.append([source.take(batch, 10) for batch in (0, 3, 9)])
        assert all(x.is_contiguous(memory_format=torch.channels_last) for x in inputs[-1])
    p = network.preprocessing
    for first, second, at in zip(*inputs, (0, 3, 9), strict=True):
        expected = neocog.reference.preprocess(
            images[ORDER[at * BATCH : (at + 1) * BATCH]], p.mean, p.std
        )
        np.testing.assert_array_equal(first, second)
        np.testing.assert_allclose(first, expected, atol=1e-6)


@pytest.mark.parametrize(("free", "kind"), [(10**9, ResidentBatches), (10**3, GatheredBatches)])
def test_images_lie_on_the_device_if_they_fit(monkeypatch, free, kind):
    network = small()
    images, _ = data_for(network)
    monkeypatch.setattr(batches, "free_memory", lambda device: free)
    monkeypatch.setattr(batches, "ResidentBatches", lambda *_: "resident")
    monkeypatch.setattr(batches, "GatheredBatches", lambda *_: "gathered")
    meta = torch.device("meta")  # a device that is not the CPU, and needs no GPU
    found = batches.batches_for(
        network.input_shape, network.preprocessing, images, TrainingSettings(), BATCH, meta, 1
    )
    assert found == {ResidentBatches: "resident", GatheredBatches: "gathered"}[kind]


def test_mapped_images_are_read(tmp_path):
    """Of a file that is only open for reading, as data are mapped."""
    network = small()
    images, labels = data_for(network)
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    settings = TrainingSettings(batch_size=BATCH, threads=1)
    losses = [
        TorchTrainer(*parts_of(network), one, labels, settings).run(ORDER)
        for one in (images, mapped)
    ]
    np.testing.assert_array_equal(*losses)


def test_the_global_random_numbers_of_pytorch_stay_as_they_are():
    network = small(0.5)
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    TorchTrainer(*parts_of(network), *data_for(network), TrainingSettings()).run(ORDER)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")  # PyTorch's compiler warns of parts of PyTorch
def test_a_compiled_network_computes_the_same():
    network = small(0.3)
    data = data_for(network)
    how = {"batch_size": BATCH, "threads": 1}
    plain, compiled = (
        TorchTrainer(*parts_of(network), *data, TrainingSettings(compile=one, **how))
        for one in (False, True)
    )
    assert_near(plain.run(ORDER), compiled.run(ORDER), 1e-5)


def test_a_smaller_last_batch_is_not_compiled_for(monkeypatch):
    sizes = []

    def compiled(module, **how):
        assert how == {"dynamic": False}
        return lambda x: sizes.append(len(x)) or module(x)

    monkeypatch.setattr(torch, "compile", compiled)
    network = small(0.3)
    data = data_for(network)
    plain, other = (
        TorchTrainer(*parts_of(network), *data, TrainingSettings(batch_size=BATCH, compile=one))
        for one in (False, True)
    )
    losses = other.run(ORDER)
    assert len(ORDER) % BATCH and len(losses) == len(ORDER) // BATCH + 1
    assert sizes == [BATCH] * (len(ORDER) // BATCH)
    assert_near(plain.run(ORDER), losses, 1e-6)
    assert other.state().keys() == plain.state().keys()
