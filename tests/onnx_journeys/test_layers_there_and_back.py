"""Every layer, with every argument, through a file: the same layer, name, weights and scores."""

import pytest
from every_layer import NETWORKS, ended
from onnx_networks import BOUND, apart, noise, onnx

from neocog.errors import FormatError
from neocog.formats.onnx.fingerprint import DESCRIPTION, FINGERPRINT
from neocog.formats.onnx.writing.writer import make_onnx
from neocog.layers import BatchNorm2d, Dropout, Node, Scale
from neocog.network_files import load


def changed(model, change):
    """The model after another program has had it in hand."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    change(copy)
    return copy


def without_description(model):
    entries = [one for one in model.metadata_props if one.key != DESCRIPTION]
    del model.metadata_props[:]
    model.metadata_props.extend(entries)


@pytest.mark.parametrize("what", NETWORKS)
def test_every_layer(what, tmp_path):
    network = NETWORKS[what]()
    path = tmp_path / "net.onnx"
    model = make_onnx(network.parts())
    onnx.save(model, path)
    back = load(path)
    assert back.graph == network.graph
    state = network.state_dict()
    assert {k: v.tobytes() for k, v in back.state_dict().items()} == {
        k: v.tobytes() for k, v in state.items()
    }
    images = noise(network, 2)
    scores = network.predict_scores(images)
    assert back.predict_scores(images).tobytes() == scores.tobytes()
    # By its operators alone, whose layers may be others that compute the same.
    onnx.save(changed(model, without_description), path)
    alone = load(path)
    assert apart(alone.predict_scores(images), scores) < BOUND
    weights = {value.tobytes() for value in alone.state_dict().values()}
    assert weights >= {v.tobytes() for k, v in state.items() if not k.endswith("tracked")}


def network_of(*layers):
    return ended([Node(f"layer{i}", layer) for i, layer in enumerate(layers)])


def test_a_graph_that_was_changed_is_read_by_its_operators(tmp_path):
    """Another factor: what the metadata say is not true any more."""
    network = network_of(Scale(0.5), Dropout(0.5))

    def double(model):
        (factor,) = (one for one in model.graph.initializer if one.name == "layer0/factor")
        number = onnx.numpy_helper.to_array(factor) * 2
        factor.CopyFrom(onnx.numpy_helper.from_array(number, factor.name))

    onnx.save(changed(make_onnx(network.parts()), double), tmp_path / "net.onnx")
    back = load(tmp_path / "net.onnx")
    assert not any(isinstance(node.layer, Dropout) for node in back.graph.nodes)
    images = noise(network, 2)
    state = network.state_dict()
    twice = network_of(Scale(1.0))
    twice.load_state_dict(state)
    assert apart(back.predict_scores(images), twice.predict_scores(images)) < BOUND


def test_weights_that_were_changed_are_taken(tmp_path):
    """A program that trains the weights leaves the graph as it is."""
    network = network_of(BatchNorm2d(6), Dropout(0.25))

    def trained(model):
        for one in model.graph.initializer:
            if one.name == "layer0.weight":
                array = onnx.numpy_helper.to_array(one) + 1
                one.CopyFrom(onnx.numpy_helper.from_array(array, one.name))

    onnx.save(changed(make_onnx(network.parts()), trained), tmp_path / "net.onnx")
    back = load(tmp_path / "net.onnx")
    assert back.graph == network.graph
    before, after = network.state_dict(), back.state_dict()
    assert (after["layer0.weight"] == before["layer0.weight"] + 1).all()


@pytest.mark.parametrize("change", ["gone", "other shape", "damaged description"])
def test_descriptions_that_do_not_fit_are_refused(change, tmp_path):
    def damaged(model):
        for one in [*model.metadata_props]:
            if one.key == DESCRIPTION and change == "damaged description":
                one.value = one.value[:-9]
        for one in [*model.graph.initializer]:
            if one.name == "fc.bias" and change == "gone":
                model.graph.initializer.remove(one)
            elif one.name == "fc.bias" and change == "other shape":
                del one.dims[:]
                one.dims.extend([1, 16])

    onnx.save(changed(make_onnx(network_of(Scale(1.5)).parts()), damaged), tmp_path / "net.onnx")
    reason = {"damaged description": "description of the network is damaged"}
    with pytest.raises(FormatError, match=reason.get(change, "fc.bias should be float32")):
        load(tmp_path / "net.onnx")


def test_what_no_file_describes_is_written_without_a_description(monkeypatch):
    """More nodes than are read back, for one."""
    network = network_of(Scale(1.5))
    entries = {one.key for one in make_onnx(network.parts()).metadata_props}
    assert {DESCRIPTION, FINGERPRINT} <= entries
    monkeypatch.setattr("neocog.formats.onnx.reading.messages.MOST_NODES", 3)
    entries = {one.key for one in make_onnx(network.parts()).metadata_props}
    assert not {DESCRIPTION, FINGERPRINT} & entries
