"""The named networks as ONNX: scores, probabilities, names, and what the file says."""

import json
from dataclasses import replace

import numpy as np
import pytest
from onnx_networks import BOUND, apart, by_hand, named, noise, onnx, scores_apart

import neocog
from neocog.errors import ArchitectureError, FormatError
from neocog.formats.onnx.writing.session import OnnxSession
from neocog.formats.onnx.writing.writer import make_onnx
from neocog.models import SMALL_IMAGES, make


@pytest.mark.parametrize("name", SMALL_IMAGES)
def test_named_networks(name):
    network = named(name)
    images = noise(network, 5)
    model = make_onnx(network.parts())
    onnx.checker.check_model(model, full_check=True)
    session = OnnxSession(model, threads=1)
    scores, probabilities = network.predict_scores(images), network.predict_proba(images)
    found = session.run(images)
    assert apart(found["scores"], scores) < BOUND
    np.testing.assert_allclose(found["probabilities"], probabilities, atol=1e-6)
    # Any number of images, also none.
    assert apart(session.run(images[:1])["scores"], scores[:1]) < BOUND
    assert session.run(images[:0])["scores"].shape == (0, 10)


@pytest.mark.parametrize("name", ["simple-cnn", "resnet8"])
def test_preprocessed_images_instead_of_pictures(name):
    network = named(name)
    network.preprocessing = neocog.Preprocessing((0.4, 0.5, 0.6), (0.2, 0.3, 0.25))
    assert scores_apart(network, 3, pictures=False) < BOUND
    assert scores_apart(network, 3, pictures=True) < BOUND
    model = make_onnx(network.parts(), pictures=False, softmax=False)
    (first,), (last,) = model.graph.input, model.graph.output
    assert (first.name, last.name) == ("input", "scores")
    dims = first.type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in dims] == ["batch", 3, 32, 32]
    images = noise(network, 2)
    found = OnnxSession(model).run(by_hand(network, images))
    assert found.keys() == {"scores"}
    assert apart(found["scores"], network.predict_scores(images)) < BOUND


def test_the_pictures_of_a_graph_are_bytes():
    model = make_onnx(named("simple-cnn").parts())
    (first,) = model.graph.input
    kind = first.type.tensor_type
    assert kind.elem_type == onnx.TensorProto.UINT8
    assert [d.dim_param or d.dim_value for d in kind.shape.dim] == ["batch", 32, 32, 3]


@pytest.mark.parametrize(
    ("loss", "temperature"),
    [
        ("cross-entropy", 1.7),
        ("binary-cross-entropy", 1),
        ("binary-cross-entropy", 0.6),
        ("mse", 1),
    ],
)
def test_what_the_outputs_mean(loss, temperature):
    network = named("lenet5")
    network.loss, network.temperature = loss, temperature
    images = noise(network, 4)
    found = OnnxSession(make_onnx(network.parts())).run(images)
    assert apart(found["scores"], network.predict_scores(images)) < BOUND
    if loss == "mse":
        assert found.keys() == {"scores"}
    else:
        np.testing.assert_allclose(
            found["probabilities"], network.predict_proba(images), rtol=1e-5, atol=1e-7
        )


def test_names_and_weights_are_those_of_the_network():
    network = named("resnet8")
    model = make_onnx(network.parts())
    state = network.state_dict()
    stored = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    counts = {name for name in state if name.endswith("num_batches_tracked")}
    assert len(counts) == 7
    for name in state.keys() - counts:
        assert stored.pop(name).tobytes() == state[name].tobytes()
    assert sorted(stored) == ["preprocessing/scale", "preprocessing/shift"]
    names = {node.name for node in model.graph.node}
    layers = {node.name for node in network.graph.nodes}
    assert layers <= names
    shapes = {
        info.name: tuple(d.dim_value for d in info.type.tensor_type.shape.dim)[1:]
        for info in model.graph.value_info
    }
    inner = layers - {network.graph.nodes[-1].name}
    assert {name: shapes[name] for name in inner} == {name: network.shapes[name] for name in inner}


def test_a_file_says_what_the_network_is():
    network = make("resnet8", classes=2)
    network.initialize(0)
    network.classes = ("chat", "école, “ß”")
    network.temperature, network.threshold = 1.5, 0.25
    look = neocog.Preprocessing((0.1, 0.2, 0.3), (1, 2, 3), neocog.Resize("crop", keep=0.875))
    network.preprocessing = look
    model = make_onnx(network.parts(), softmax=False)
    texts = {entry.key: entry.value for entry in model.metadata_props}
    said = {name: json.loads(texts[name]) for name in ("classes", "preprocessing", "neocog")}
    assert said["classes"] == ["chat", "école, “ß”"]
    read = said["preprocessing"]
    assert neocog.Resize.from_dict(read.pop("resize")) == look.resize
    assert read == {"mean": [0.1, 0.2, 0.3], "std": [1, 2, 3]}
    ours = said["neocog"]
    counts = ours.pop("counts")
    assert set(counts.values()) == {0}
    assert len(counts) == 7
    assert ours == {
        "version": 1,
        "written_by": neocog.__version__,
        "inputs": "pictures",
        "outputs": "scores",
        "loss": "cross-entropy",
        "temperature": 1.5,
        "threshold": 0.25,
    }
    assert model.producer_name == "neocog"
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 17)]


def test_the_same_network_gives_the_same_bytes():
    contents = {
        make_onnx(named("resnet20").parts()).SerializeToString(deterministic=True) for _ in range(2)
    }
    assert len(contents) == 1


def test_networks_that_cannot_be_written():
    network = neocog.Network(conv=neocog.Conv2d(3, 4, 3), input_shape=(3, 8, 8))
    with pytest.raises(ArchitectureError, match="no parameters yet"):
        make_onnx(network.parts())
    network.initialize(0)
    with pytest.raises(ArchitectureError, match=r"ends in the shape \(4, 6, 6\); only one that"):
        make_onnx(network.parts())


def test_weights_beyond_what_a_file_holds():
    parts = named("lenet5").parts()
    huge = np.broadcast_to(np.float32(0), (2**30,))  # 4 GiB that take no memory
    with pytest.raises(FormatError, match=r"take 4.0 GiB, and a .onnx file holds at most 2 GB"):
        make_onnx(replace(parts, state={**parts.state, "conv1.weight": huge}))
