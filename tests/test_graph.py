"""Graphs: what nodes read, what is refused, and networks that are no chain in every backend."""

import numpy as np
import pytest
from engines import parts_of
from graph_networks import of_sums, three_lanes
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

import neocog
from neocog import reference
from neocog.engine import Trainer
from neocog.engine.lowering import lower
from neocog.engine.ops import PointwiseOp
from neocog.errors import ArchitectureError
from neocog.layers import (
    Add,
    Concat,
    Conv2d,
    Flatten,
    Graph,
    LayerNorm2d,
    Linear,
    MaxPool2d,
    Multiply,
    Node,
    ReLU,
    Residual,
    chain,
)
from neocog.network import Network
from neocog.settings.optimizers import SGD
from neocog.settings.training import TrainingSettings

quick = examples(max_examples=30, deadline=None, derandomize=True)


# Nodes


def test_what_nodes_read():
    graph = three_lanes().graph
    assert not graph.is_chain
    assert [(n.name, n.inputs) for n in graph.nodes] == [
        ("conv", ("input",)),
        ("left.norm", ("conv",)),
        ("left.act", ("left.norm",)),
        ("right", ("conv",)),
        ("pixels", ("input",)),
        ("merged", ("left.act", "right", "pixels")),
        ("pool", ("merged",)),
        ("block.body", ("pool",)),
        ("block", ("block.body", "pool")),
        ("flatten", ("block",)),
        ("fc", ("flatten",)),
    ]
    assert graph.sources[5] == (2, 3, 4)
    assert graph.sources[0] == graph.sources[4] == (-1,)
    assert type(graph.nodes[8].layer) is Add
    assert graph.outputs["left"] == 2
    # A sum is a layer of the network where somebody has put it there, not where a block has it.
    assert "merged" in graph.leaves
    assert "block" not in graph.leaves
    assert graph.shapes["left"] == graph.shapes["merged"] == (8, 6, 6)
    assert graph.shapes["block"] == (8, 3, 3)
    assert list(graph.parameter_shapes)[:3] == ["conv.weight", "conv.bias", "left.norm.weight"]
    costs = {layer.name: layer.multiply_adds for layer in neocog.cost(graph).layers}
    assert costs["pixels"] == 3 * 8 * 36
    assert costs["merged"] == 0


def test_layers_in_a_row_are_a_chain():
    layers = {"a": Conv2d(3, 2, 1), "block": Residual(ReLU()), "f": Flatten(), "fc": Linear(8, 2)}
    network = Network(input_shape=(3, 2, 2), **layers)
    assert network.graph.is_chain
    nodes = [Node("a", layers["a"], "input"), Node("block", layers["block"], "a")]
    same = Graph([*nodes, *chain({"f": Flatten(), "fc": Linear(8, 2)})], (3, 2, 2))
    assert same == network.graph
    assert hash(same) == hash(network.graph)
    assert Graph(chain(layers), (3, 2, 2)) != Graph(chain({"r": ReLU(), **layers}), (3, 2, 2))


CONV, OTHER = Conv2d(3, 4, 1), Conv2d(3, 5, 1)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([], "at least one layer"),
        ([3], r"An entry of nodes \(=3\) must be a Node"),
        ([Node("a", CONV, "conv")], r"a: no layer before it is called 'conv'\.$"),
        ([Node("conv1", CONV), Node("b", ReLU(), "conv2")], "called 'conv2'. Did you mean 'conv1'"),
        ([Node("a", ReLU(), "b"), Node("b", ReLU())], "no layer before it is called 'b'"),
        ([Node("a", CONV), Node("a", ReLU())], "Two layers are called 'a'"),
        ([Node("a", CONV), Node("b", ReLU(), "input")], "a: no layer reads what it gives"),
        ([Node("a", CONV), Node("b", ReLU(), ("a", "input"))], "b: ReLU takes one input, not 2"),
        ([Node("a", CONV), Node("b", Residual(ReLU()), ("a", "a"))], "Residual takes one input"),
        ([Node("a", Add())], "a: Add takes at least two inputs, not 1. Describe"),
        (
            [Node("a", CONV), Node("s", Add(), ("a", "input"))],
            r"s: Add: .*\(4, 6, 6\), \(3, 6, 6\)",
        ),
        (
            [Node("p", MaxPool2d()), Node("s", Concat(), ("p", "input"))],
            r"s: Concat: .*\(3, 3, 3\), \(3, 6, 6\); all must have the same height and width",
        ),
        (
            [Node("p", MaxPool2d()), Node("s", Multiply(), ("p", "input"))],
            r"s: Multiply: .*; each must be the same, or one number a channel",
        ),
        ([Node("b", Residual(OTHER))], r"b: Residual: the body gives \(5, 6, 6\) but its input"),
    ],
)
def test_graphs_that_cannot_be(nodes, message):
    with pytest.raises(ArchitectureError, match=message):
        Network.from_nodes(nodes, input_shape=(3, 6, 6))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, ReLU()), r"A node's name \(=3\) must be a text"),
        (("a", 3), "a: 3 is not a layer"),
        (("a", ReLU(), 3), r"a: inputs \(=3\) must be names of layers"),
        (("a", ReLU(), ["b", 3]), "must be names of layers"),
    ],
)
def test_nodes_that_cannot_be(arguments, message):
    with pytest.raises(ArchitectureError, match=message):
        Node(*arguments)


@quick
@given(
    counts=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    side=st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
def test_shapes_of_merged_layers(counts, side):
    shapes = [(count, *side) for count in counts]
    assert Concat().output_shape(*shapes) == (sum(counts), *side)
    assert Concat().output_shape(*((count,) for count in counts)) == (sum(counts),)
    same = [shapes[0]] * len(counts)
    assert Add().output_shape(*same) == Multiply().output_shape(*same) == shapes[0]
    assert Multiply().output_shape((counts[0], 1, 1), shapes[0]) == shapes[0]
    if len(set(counts)) > 1:
        with pytest.raises(ArchitectureError, match="Add: its inputs have the shapes"):
            Add().output_shape(*shapes)


def test_a_chain_of_thousands_of_nodes_is_no_matter():
    layers = {f"r{n}": ReLU() for n in range(5000)}
    graph = Graph(chain({**layers, "f": Flatten(), "fc": Linear(3, 2)}), (3, 1, 1))
    assert len(lower(graph, training=True)) > 5000
    network = Network.from_graph(graph)
    assert "and 4942 layers more" in repr(network)


# As the formulas and PyTorch have it


def sample(network, images=3, seed=1):
    rng = np.random.default_rng(seed)
    state = {k: rng.normal(size=s) for k, s in network.parameter_shapes.items()}
    for name, shape in network.buffer_shapes.items():
        tracked = name.endswith("tracked")
        state[name] = np.array(2) if tracked else rng.uniform(0.5, 2, shape)
    x = rng.normal(size=(images, *network.input_shape))
    return state, x, rng.integers(0, network.output_shape[0], images)


MERGES = {"Add": (Add(), 8), "Multiply": (Multiply(), 8), "Concat": (Concat(), 24)}


@pytest.mark.parametrize("kind", MERGES)
def test_formulas_and_torch_agree(kind):
    torch = pytest.importorskip("torch")
    from neocog.torch_engine.module import to_torch

    merge, channels = MERGES[kind]
    network = three_lanes(merge=merge, channels=channels)
    state, x, labels = sample(network)
    module = to_torch(network).double().train()
    assert list(module.state_dict()) == list(network.state_shapes)
    module.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    inputs = torch.tensor(x, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(module(inputs), torch.tensor(labels))
    loss.backward()
    found, gradients, of_outputs = reference.backward(network, state, x, labels)
    np.testing.assert_allclose(found, loss.item(), rtol=1e-12)
    assert list(gradients) == list(network.parameter_shapes)
    for name, parameter in module.named_parameters():
        np.testing.assert_allclose(gradients[name], parameter.grad.numpy(), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(of_outputs["input"], inputs.grad.numpy(), rtol=1e-9, atol=1e-11)


def test_a_factor_a_channel_gets_the_sum_of_its_gradients():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, factor, dy = (rng.normal(size=s) for s in ((2, 3, 4, 5), (2, 3, 1, 1), (2, 3, 4, 5)))
    y = reference.layer_forward(Multiply(), {}, factor, x)
    (dfactor, dx), none = reference.layer_backward(Multiply(), {}, (factor, x), dy)
    a, b = torch.tensor(factor, requires_grad=True), torch.tensor(x, requires_grad=True)
    (a * b).backward(torch.tensor(dy))
    np.testing.assert_allclose(y, factor * x)
    np.testing.assert_allclose(dfactor, a.grad.numpy())
    np.testing.assert_allclose(dx, b.grad.numpy())
    assert none == {}


def test_first_weights_are_those_of_torch():
    torch = pytest.importorskip("torch")
    from neocog.torch_engine.module import to_torch

    network = three_lanes()
    torch.manual_seed(5)
    found = to_torch(network).state_dict()
    network.initialize(5)
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(found[name].numpy(), value)


def test_names_that_torch_keeps_for_itself_are_refused_there():
    pytest.importorskip("torch")
    from neocog.torch_engine.module import to_torch

    for name in ("forward", "graph", "code", "meta", "a.train", ""):
        nodes = [Node(name, ReLU()), Node("s", Add(), (name, "input"))]
        with pytest.raises(ArchitectureError, match="PyTorch has no module for these names"):
            to_torch(Network.from_nodes(nodes))
    nodes = [Node("a", LayerNorm2d(3)), Node("a.b", ReLU())]
    with pytest.raises(ArchitectureError, match="a has parameters, and other layers are called a"):
        to_torch(Network.from_nodes(nodes))


# In the engine


@pytest.mark.parametrize("unfused", [False, True], ids=["fused", "unfused"])
def test_sums_by_the_engine_and_by_the_formulas(unfused):
    network = of_sums()
    network.initialize(2)
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (6, 6, 6, 3), np.uint8)
    labels = rng.integers(0, 4, 6)
    state = {name: value.astype(np.float64) for name, value in network.state_dict().items()}
    x = (images.transpose(0, 3, 1, 2) / 255 - 0.5) / 0.5
    loss, gradients, of_outputs = reference.backward(network, state, x, labels)
    settings = TrainingSettings(batch_size=6, optimizer=SGD(1e-9), threads=2)
    trainer = Trainer(*parts_of(network), images, labels, settings, unfused=unfused)
    (found,) = trainer.run(np.arange(6))
    np.testing.assert_allclose(found, loss, rtol=1e-5)
    for name, gradient in trainer.gradients().items():
        scale = np.abs(gradients[name]).max()
        np.testing.assert_allclose(gradient, gradients[name], atol=2e-5 * scale, err_msg=name)
    z = list(reference.forward(network, state, x).values())[-1]
    np.testing.assert_allclose(network.predict_scores(images), z, atol=1e-4)
    if unfused:
        assert trainer.readers()["sum"] == ("twice", "right", "pixels")
        assert trainer.readers()["again"] == ("relu", "relu")
        maps = trainer.maps()
        outputs = reference.forward(network, state, x[:1])
        for name in ("twice", "sum", "again", "pool"):
            np.testing.assert_allclose(maps[name]["output"], outputs[name][0], atol=1e-4)
            gradient = of_outputs[name][0]
            np.testing.assert_allclose(maps[name]["output_gradient"], gradient, atol=1e-5)


def test_a_network_of_nodes_trains():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 4
    images = rng.integers(0, 40, (60, 6, 6, 3), np.uint8)
    images[np.arange(60), labels, labels] += 200
    network = of_sums()
    neocog.fit(network, (images, labels), epochs=30, batch_size=6, optimizer=SGD(0.02))
    assert (network.predict(images) == labels).mean() > 0.9


def test_operations_know_what_they_read():
    ops = {op.name: op for op in lower(of_sums().graph, training=True)}
    assert [tensor.name for tensor in ops["twice"].inputs] == ["conv.y", "conv.y"]
    assert all(
        len(op.inputs) == 1
        for op in ops.values()
        if not isinstance(op, PointwiseOp | type(ops["input"]))
    )
    assert ops["input"].inputs == ()
