"""Networks that are no chain in model files, and as text."""

import json

import numpy as np
import pytest
from graph_networks import three_lanes

from neocog.errors import ArchitectureError, FormatError
from neocog.layers import (
    Flatten,
    Linear,
)
from neocog.layers.registry import build_nodes, describe_node
from neocog.network import Network
from neocog.network_files import load_model, save_model

# Model files


def test_a_file_holds_the_nodes(tmp_path):
    network = three_lanes()
    network.initialize(1)
    network.classes = ("a", "b", "c", "d")
    save_model(network, tmp_path / "a.safetensors", {"data": "shapes"})
    found = load_model(tmp_path / "a.safetensors")
    assert found.graph == network.graph
    assert found.classes == network.classes
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(found.state_dict()[name], value)
    save_model(found, tmp_path / "b.safetensors", {"data": "shapes"})
    content = (tmp_path / "a.safetensors").read_bytes()
    assert content == (tmp_path / "b.safetensors").read_bytes()


def test_nodes_come_back_from_their_description():
    nodes = list(three_lanes().graph.given)
    described = json.loads(json.dumps([describe_node(node) for node in nodes]))
    assert described[3] == {
        "name": "pixels",
        "inputs": ["input"],
        "type": "Conv2d",
        "in_channels": 3,
        "out_channels": 8,
        "kernel_size": [1, 1],
        "stride": [1, 1],
        "padding": [0, 0],
        "dilation": [1, 1],
        "groups": 1,
        "bias": True,
        "padding_mode": "zeros",
    }
    assert build_nodes(described) == nodes
    del described[3]["padding_mode"]  # as in files from before there were others
    assert build_nodes(described) == nodes


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (3, "no list of nodes"),
        ([3], "A layer cannot be called None"),
        ([{"name": "a", "type": "ReLU"}], "'a' has no list of inputs"),
        ([{"name": "a", "type": "ReLU", "inputs": []}], "'a' has no list of inputs"),
        ([{"name": "a", "type": "ReLU", "inputs": "input"}], "no list of inputs"),
        ([{"name": "a", "type": "ReLU", "inputs": ["\x1b[2J"]}], "no list of inputs"),
        ([{"name": "a", "type": "Evil", "inputs": ["input"]}], "Unknown layer type 'Evil'"),
    ],
)
def test_descriptions_of_no_nodes_are_refused(entries, message):
    with pytest.raises(ArchitectureError, match=message):
        build_nodes(entries)


def test_a_row_keeps_its_format(tmp_path):
    network = Network(input_shape=(3, 2, 2), f=Flatten(), fc=Linear(12, 2))
    network.initialize(0)
    save_model(network, tmp_path / "a.safetensors")
    content = (tmp_path / "a.safetensors").read_bytes()
    assert b'\\"version\\": 1' in content
    assert b'\\"layers\\": [' in content
    three_lanes_file = tmp_path / "b.safetensors"
    other = three_lanes()
    other.initialize(0)
    save_model(other, three_lanes_file)
    content = three_lanes_file.read_bytes()
    assert b'\\"version\\": 2' in content
    assert b'\\"nodes\\": [' in content
    three_lanes_file.write_bytes(
        content.replace(b'[\\"left\\", \\"right\\"', b'[\\"left\\", \\"Right\\"')
    )
    with pytest.raises(FormatError, match="merged: no layer before it is called 'Right'"):
        load_model(three_lanes_file)


# For people


def test_the_repr_says_what_a_layer_reads():
    rows = repr(three_lanes()).splitlines()
    assert rows[5] == "  merged=Add() of left, right, pixels,"
    assert rows[1].endswith("padding_mode='zeros') of input,")
    assert "Node" not in "".join(rows)
