"""`neocog.export`: what is written, what is compared, and what is refused."""

import sys

import numpy as np
import pytest
from onnx_networks import BOUND, apart, by_hand, named, noise, onnx

import neocog
from neocog.data.shapes import shapes
from neocog.errors import ArchitectureError, DataError, FormatError, NeocogError
from neocog.formats.onnx.writing.session import OnnxSession


@pytest.fixture(scope="module")
def learned():
    """A network that knows some of the shapes, and their data."""
    data = shapes(0, 1500, 300)
    network = neocog.models.simple_cnn()
    neocog.fit(network, data.train, epochs=3, classes=data.classes)
    return network, data


def test_a_program_is_compared_and_written(learned, tmp_path):
    network, data = learned
    path = tmp_path / "net.onnx"
    found = neocog.export(network, path, data=data)
    assert (found.path, found.format, found.size) == (path, "onnx", path.stat().st_size)
    assert found.inputs == "images: uint8 [batch, 32, 32, 3]"
    assert found.outputs == "probabilities: float32 [batch, 10]"
    assert found.runtime.startswith("ONNX Runtime 1.")
    assert found.runtime.endswith(", opset 17")
    assert [one.images for one in found.differences] == ["random pictures", "pictures of shapes"]
    for one in found.differences:
        assert one.count == 32
        assert 0 < one.scores < BOUND
        assert 0 <= one.probabilities < BOUND
    images = data.test.images[:7]
    written = OnnxSession(onnx.load(path)).run(images)
    assert apart(written["scores"], network.predict_scores(images)) < BOUND
    assert found.to_dict()["path"] == str(path)
    assert found.to_dict()["differences"][0]["count"] == 32


def test_the_differences_are_those_of_the_results(learned, tmp_path, monkeypatch):
    """A program that gives scores that are a bit larger."""
    network, _data = learned
    run = OnnxSession.run

    def another(self, inputs):
        return {name: value * np.float32(1.0005) for name, value in run(self, inputs).items()}

    monkeypatch.setattr(OnnxSession, "run", another)
    (found,) = neocog.export(network, tmp_path / "net.onnx").differences
    assert found.scores == pytest.approx(5e-4, rel=0.01)


@pytest.mark.parametrize("factor", [1.1, float("nan")])
def test_a_program_with_other_results_is_not_written(learned, tmp_path, monkeypatch, factor):
    network, _data = learned
    run = OnnxSession.run

    def wrong(self, inputs):
        return {name: value * np.float32(factor) for name, value in run(self, inputs).items()}

    monkeypatch.setattr(OnnxSession, "run", wrong)
    with pytest.raises(NeocogError, match=r"On random pictures ONNX Runtime 1.+ gives"):
        neocog.export(network, tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("pictures", [True, False])
def test_int8(learned, tmp_path, pictures):
    network, data = learned
    path, whole = tmp_path / "int8.onnx", tmp_path / "whole.onnx"
    found = neocog.export(network, path, int8=True, data=data, pictures=pictures)
    neocog.export(network, whole)
    cost = found.quantized
    assert (cost.calibrated, cost.part, cost.count) == (256, "test", 300)
    assert found.size < whole.stat().st_size / 2.5
    # What is stated, counted again from the file itself. Where pictures are preprocessed here,
    # numbers that are rounded to another level may change two of the answers.
    images, labels = data.test.images, data.test.labels
    given = images if pictures else by_hand(network, images)
    answers = OnnxSession(onnx.load(path)).run(given)["scores"].argmax(1)
    before = network.predict(images, threshold=0)
    assert cost.accuracy == pytest.approx((answers == labels).mean(), abs=0.007)
    assert cost.accuracy_before == pytest.approx((before == labels).mean())
    assert cost.same == pytest.approx((answers == before).mean(), abs=0.007)
    assert cost.accuracy_before > 0.3
    assert abs(cost.accuracy - cost.accuracy_before) < 0.03
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    kinds = {node.domain for node in model.graph.node}
    assert kinds == {""}
    weights = [i for i in model.graph.initializer if len(i.dims) in (2, 4)]
    assert {one.data_type for one in weights} == {onnx.TensorProto.INT8}
    keys = {entry.key for entry in model.metadata_props}
    assert keys == {"classes", "preprocessing", "neocog"}


def test_int8_of_batch_normalization_and_sums(tmp_path):
    """Batch normalization goes into the weights."""
    network = named("resnet8")
    data = shapes(0, 64, 16)
    found = neocog.export(network, tmp_path / "a.onnx", int8=True, data=data)
    assert found.quantized.calibrated == 64
    kinds = [node.op_type for node in onnx.load(tmp_path / "a.onnx").graph.node]
    assert "BatchNormalization" not in kinds
    assert kinds.count("Conv") == 9


def test_int8_is_the_same_each_time(learned, tmp_path):
    network, data = learned
    for name in ("a.onnx", "b.onnx"):
        neocog.export(network, tmp_path / name, int8=True, data=data)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


@pytest.mark.parametrize("name", ["net.pth", "net.pt", "net.safetensors"])
def test_weights_arrive_bitwise(learned, tmp_path, name):
    network, _data = learned
    found = neocog.export(network, tmp_path / name)
    assert found.size == (tmp_path / name).stat().st_size
    assert (found.inputs, found.runtime, found.differences) == ("", "", ())
    state = neocog.load(tmp_path / name).state_dict()
    assert state.keys() == network.state_dict().keys()
    for key, value in network.state_dict().items():
        assert state[key].tobytes() == value.tobytes()


def test_nothing_is_overwritten_unless_asked_for(learned, tmp_path):
    network, _data = learned
    path = tmp_path / "net.onnx"
    path.write_bytes(b"mine")
    with pytest.raises(FormatError, match=r"net.onnx exists, and nothing is overwritten unless"):
        neocog.export(network, path)
    assert path.read_bytes() == b"mine"
    neocog.export(network, path, overwrite=True)
    assert path.stat().st_size > 1000


def test_it_is_written_whole_or_not_at_all(learned, tmp_path, monkeypatch):
    network, _data = learned
    path = tmp_path / "net.onnx"
    path.write_bytes(b"mine")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(FormatError, match="cannot be written: No space left on device"):
        neocog.export(network, path, overwrite=True)
    assert [one.name for one in tmp_path.iterdir()] == ["net.onnx"]
    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("net.h5", {}, "the name must end in one of .onnx, .pth, .pt, .safetensors, .pt2"),
        ("net.pth", {"to": "onnx"}, "the name must end in .onnx for onnx"),
        ("net.onnx", {"to": "pth"}, "the name must end in .pth or .pt for pth"),
        (
            "net.onnx",
            {"to": "tflite"},
            "to .='tflite'. must be 'onnx', 'pth', 'safetensors', 'torch-export' or 'hub'",
        ),
        ("net.pth", {"softmax": False}, r"softmax .=False. is for onnx and torch-export; pth has"),
        ("net.pth", {"int8": True}, r"int8 .=True. is for onnx; pth has no such choice"),
        ("net.pt2", {"int8": True}, r"int8 .=True. is for onnx; torch-export has no such choice"),
        ("net.safetensors", {"pictures": False}, "pictures .=False. is for onnx and torch-export"),
        ("net.onnx", {"int8": True}, "int8 takes its ranges from pictures of the training"),
        ("gone/net.onnx", {}, "There is no folder"),
    ],
)
def test_refusals(tmp_path, name, arguments, message):
    if name.endswith(".pt2"):
        pytest.importorskip("torch")
    with pytest.raises(NeocogError, match=message):
        neocog.export(named("simple-cnn"), tmp_path / name, **arguments)
    assert not list(tmp_path.iterdir())


def test_data_that_do_not_fit(tmp_path):
    network = neocog.models.make("simple-cnn", input_shape=(3, 40, 40))
    network.initialize(0)
    with pytest.raises(DataError, match=r"takes images of the shape \(3, 40, 40\), but those of"):
        neocog.export(network, tmp_path / "a.onnx", data=shapes(0, 8, 8))


def test_a_network_without_weights(tmp_path):
    with pytest.raises(ArchitectureError, match="no parameters yet"):
        neocog.export(neocog.models.simple_cnn(), tmp_path / "a.onnx")


def test_int8_is_for_classes(tmp_path):
    network = named("simple-cnn")
    network.loss = "mse"
    with pytest.raises(NeocogError, match="Quantizing is for networks that choose one class"):
        neocog.export(network, tmp_path / "a.onnx", int8=True, data=shapes(0, 8, 8))


@pytest.mark.parametrize(
    ("name", "missing", "extra"),
    [("a.onnx", "onnx", "onnx"), ("a.onnx", "onnxruntime", "onnx"), ("a.pt2", "torch", "torch")],
)
def test_an_extra_that_is_not_installed(tmp_path, monkeypatch, name, missing, extra):
    for module in list(sys.modules):
        if module.startswith(("neocog.formats.onnx.", "neocog.torch_engine.")):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(NeocogError, match=rf"pip install 'neocog\[{extra}\]'"):
        neocog.export(named("simple-cnn"), tmp_path / name)
    neocog.export(named("simple-cnn"), tmp_path / "a.pth")


def test_the_network_stays_as_it_is(learned, tmp_path):
    network, data = learned
    before = network.predict_proba(noise(network, 3)).tobytes()
    neocog.export(network, tmp_path / "a.onnx", int8=True, data=data, softmax=False)
    assert network.predict_proba(noise(network, 3)).tobytes() == before
