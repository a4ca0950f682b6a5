"""ONNX files of PyTorch's two exporters: the same scores, for many kinds of networks."""

import numpy as np
import pytest

import neocog
from neocog.formats.onnx.reading.reader import read_onnx
from neocog.layers import BatchNorm2d
from neocog.network_files import assumption, load
from neocog.reference import forward

torch = pytest.importorskip("torch")
from onnx_exporters import EXPORTERS, exported  # noqa: E402
from onnx_modules import SHAPE, ZOO, Normalized, Residual, settled  # noqa: E402

# PyTorch's second exporter takes seconds for each module.
SLOW = [pytest.param(one, marks=pytest.mark.thorough) for one in EXPORTERS if "second" in one]


@pytest.mark.parametrize("exporter", ["first", "first-old", *SLOW])
@pytest.mark.parametrize("name", ZOO)
def test_scores_are_those_of_pytorch(name, exporter, tmp_path):
    torch.manual_seed(1)
    module = settled(ZOO[name]())
    path = exported(module, tmp_path / "net.onnx", EXPORTERS[exporter], SHAPE)
    parts = read_onnx(path).parts
    assert parts.graph.input_shape == SHAPE
    x = torch.randn(3, *SHAPE)
    with torch.no_grad():
        wanted = module.double()(x.double()).numpy()
    state = {name: array.astype(np.float64) for name, array in parts.state.items()}
    found = list(forward(parts.graph, state, x.double().numpy()).values())[-1]
    # Weights of folded batch normalization were rounded by the exporter.
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.thorough
def test_names_of_weights_are_pytorchs(tmp_path):
    module = settled(Residual())
    path = exported(module, tmp_path / "net.onnx", EXPORTERS["second"], SHAPE)
    state = read_onnx(path).parts.state
    np.testing.assert_array_equal(state["fc.weight"], module.state_dict()["fc.weight"].numpy())
    assert "down.0.weight" in state


def test_batch_normalization_that_was_not_folded_comes_back(tmp_path):
    module = settled(Residual())
    options = {**EXPORTERS["first"], "training": torch.onnx.TrainingMode.PRESERVE}
    options |= {"do_constant_folding": False}
    parts = read_onnx(exported(module, tmp_path / "net.onnx", options, SHAPE)).parts
    wanted = module.state_dict()
    assert parts.graph.leaves["bn1"] == BatchNorm2d(8)
    assert set(wanted) == set(parts.state)
    for name, array in parts.state.items():
        if not name.endswith("num_batches_tracked"):  # which no operator has
            np.testing.assert_array_equal(array, wanted[name].numpy())


@pytest.mark.parametrize("exporter", ["first", SLOW[0]])
def test_what_normalizes_images_becomes_preprocessing(exporter, tmp_path):
    module = settled(Normalized())
    path = exported(module, tmp_path / "net.onnx", EXPORTERS[exporter], SHAPE)
    network = load(path)
    np.testing.assert_allclose(network.preprocessing.mean, (0.4, 0.5, 0.6), rtol=1e-5)
    np.testing.assert_allclose(network.preprocessing.std, (0.2, 0.25, 0.3), rtol=1e-5)
    assert "pixels from 0 to 1" in assumption(path, network)
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 12, 3), np.uint8)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        wanted = module(x).numpy()
    np.testing.assert_allclose(network.predict_proba(images), wanted, rtol=1e-4, atol=1e-6)


def test_an_imported_network_is_trained_further(tmp_path):
    path = exported(settled(Residual()), tmp_path / "net.onnx", EXPORTERS["first"], SHAPE)
    network = load(path)
    assert "(pixel / 255 − 0.5) / 0.5" in assumption(path, network)
    before = network.state_dict()["fc.weight"].copy()
    images = np.random.default_rng(0).integers(0, 256, (16, 16, 12, 3), np.uint8)
    neocog.fit(network, (images, np.arange(16) % 5), epochs=1, batch_size=8)
    assert (network.state_dict()["fc.weight"] != before).any()
    network.save(tmp_path / "net.safetensors")
    found = load(tmp_path / "net.safetensors").predict_scores(images)
    np.testing.assert_array_equal(found, network.predict_scores(images))
