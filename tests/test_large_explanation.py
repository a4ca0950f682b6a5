"""Explanations of networks whose maps do not fit into a page: what is kept, and what is fetched."""

import json
import re

import numpy as np
import pytest

import neocog
from neocog import models
from neocog.errors import DataError
from neocog.explanation.page import bounds, partly
from neocog.explanation.page.html import page
from neocog.explanation.page.layer_parts import weight_of
from neocog.explanation.page.one_channel import pack_channel
from neocog.explanation.page.payload import pack
from neocog.explanation.page.rationing import is_whole, ration
from neocog.layers import Conv2d

# Of a network for photographs, which has every kind of layer that rationing knows.
SIDE = 96


@pytest.fixture(scope="module")
def explained():
    network = models.mobilenet_v3_small(7, input_shape=(3, SIDE, SIDE))
    network.initialize(0)
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    return neocog.explain(network, image, 3)


@pytest.fixture
def tight(monkeypatch):
    """Room for a part of these maps alone."""
    monkeypatch.setattr("neocog.explanation.page.payload.MOST_NUMBERS", 300_000)
    monkeypatch.setattr(partly, "MOST_NUMBERS", 300_000)


def arrays(packed):
    block = np.frombuffer(packed.block, "<f4")

    def at(place):
        size = int(np.prod(place["shape"]))
        return block[place["at"] : place["at"] + size].reshape(place["shape"])

    return at


def test_what_fits_is_whole(explained):
    """Maps of 96 × 96 pixels are fewer than a page may have."""
    packed = pack(explained, attributions=False)
    assert not packed.structure["partial"]
    assert all("rows" not in layer["output"] for layer in packed.structure["layers"])


def test_a_partial_page_has_the_engines_numbers_for_some_channels(explained, tight):
    packed = pack(explained, attributions=False)
    at, layers = arrays(packed), packed.structure["layers"]
    assert packed.structure["partial"]
    assert len(packed.block) <= 4 * 300_000
    fewer = 0
    for layer in layers:
        own = explained[layer["name"]]
        for word, whole in (("output", own.output), ("gradient", own.output_gradient)):
            rows = layer[word].get("rows")
            assert np.array_equal(at(layer[word]), whole if rows is None else whole[rows])
            fewer += rows is not None
        if (weight := weight_of(own)) is not None:
            for word, whole in (("weight", weight), ("weightGradient", own.gradients["weight"])):
                rows = layer[word].get("rows")
                assert np.array_equal(at(layer[word]), whole if rows is None else whole[rows])
    assert fewer > len(layers)
    # Every layer has a channel to show, and those that it is shown with.
    by_name = {layer["name"]: layer for layer in layers}
    for layer in layers:
        assert layer["shown"], layer["name"]
        if layer["kind"] in ("activation", "normalization", "sum", "product", "pooling"):
            for source in layer["reads"]:
                have = by_name[source]["output"].get("rows")
                assert have is None or set(layer["shown"]) <= set(have), (layer["name"], source)
        if layer["kind"] == "convolution":
            rows = layer["weight"].get("rows")
            assert rows is None or set(layer["shown"]) <= set(rows)


def test_the_label_is_among_the_scores_whose_weights_are_kept(explained, tight):
    last = pack(explained, attributions=False).structure["layers"][-1]
    rows = last["weight"].get("rows", list(range(7)))
    assert explained.label in rows
    assert int(explained.scores.argmax()) in rows


def test_channels_are_taken_by_what_they_matter(explained):
    """With much room all that are shown, with little the most important one of the smallest."""
    whole = ration(explained, 10**9, {})
    first = next(name for name in whole if isinstance(explained[name].layer, Conv2d))
    assert all(
        len(channels) == min(16, len(explained[name].output)) for name, channels in whole.items()
    )
    least = min(explained[name].output[0].size for name in whole)
    few = ration(explained, 8 * least, {})
    assert {name for name in few if few[name]} < set(few)
    assert not few[first]
    # Of a layer that no other keeps the channels of, those come first that matter most.
    for name, channels in whole.items():
        readers = [one for one in explained.layers.values() if name in one.reads]
        if all(isinstance(one.layer, Conv2d) for one in readers):
            best = np.argsort(-explained[name].importance(), kind="stable")[:16]
            assert channels == best.tolist()
    wanted = ration(explained, 10**9, {first: [5, 2]})
    assert wanted[first][:2] == [5, 2]


def test_one_channel_has_all_that_its_sum_is_made_of(explained):
    """A convolution's number from the message alone, by the formula."""
    for name in explained:
        layer = explained[name]
        if not isinstance(layer.layer, Conv2d) or is_whole(layer):
            continue
        channel, source = len(layer.output) - 1, layer.reads[0]
        packed = pack_channel(explained, name, channel, 0)
        at, layers = arrays(packed), packed.structure["layers"]
        assert layers[name]["output"]["rows"] == [channel]
        assert np.array_equal(at(layers[name]["output"])[0], layer.output[channel])
        assert np.array_equal(at(layers[name]["gradient"])[0], layer.output_gradient[channel])
        kernel = at(layers[name]["weight"])[0]
        assert np.array_equal(kernel, layer.parameters["weight"][channel])
        if source == "image":
            assert layers[source] == {}
            continue
        read, rows = at(layers[source]["output"]), layers[source]["output"]["rows"]
        assert len(rows) == len(kernel) == layer.layer.in_channels // layer.layer.groups
        assert np.array_equal(read, explained[source].output[rows])
        (kh, kw), (sh, sw) = layer.layer.kernel, layer.layer.steps
        (top, left), (row, column) = layer.layer.before, (1, 1)
        padded = np.pad(read, ((0, 0), (top, kh), (left, kw)))
        patch = padded[:, row * sh : row * sh + kh, column * sw : column * sw + kw]
        total = (patch.astype(np.float64) * kernel).sum()
        total += layer.parameters.get("bias", np.zeros(len(layer.output)))[channel]
        reach = np.abs(patch * kernel).sum() + 1e-6
        assert abs(total - layer.output[channel, row, column]) <= 1e-5 * reach, name


def test_layers_that_keep_channels_come_with_their_inputs(explained):
    name = next(n for n in explained if explained[n].type == "Add")
    layers = pack_channel(explained, name, 3, 0).structure["layers"]
    assert set(layers) == {name, *explained[name].reads}
    assert all(arrays["output"]["rows"] == [3] for arrays in layers.values())


def test_what_there_is_not_is_refused(explained):
    with pytest.raises(DataError, match="no layer 'nowhere'"):
        pack_channel(explained, "nowhere", 0, 0)
    first = next(n for n in explained if explained[n].type == "Conv2d")
    with pytest.raises(IndexError, match="16 channels, 0 to 15"):
        pack_channel(explained, first, 16, 0)
    last = list(explained)[-1]
    with pytest.raises(IndexError, match="7 outputs, 0 to 6"):
        pack_channel(explained, last, 0, 7)


@pytest.mark.parametrize(
    "name",
    ["mobilenet-v3-small", *(pytest.param(n, marks=pytest.mark.thorough) for n in
     ("efficientnet-lite0", "resnet18-224", "densenet121", "vgg11-bn"))],
)  # fmt: skip
def test_a_page_of_a_network_for_photographs_has_at_most_10_mb(name):
    network = models.make(name, 1000)
    network.initialize(0)
    image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    packed = pack(neocog.explain(network, image, 999), attributions=name == "mobilenet-v3-small")
    text = page(packed)
    assert packed.structure["partial"]
    assert len(packed.block) <= 4 * bounds.MOST_NUMBERS
    assert len(text.encode()) <= bounds.MOST_BYTES
    structure = json.loads(re.search(r'id="structure">(.*?)</script>', text)[1])
    assert all(layer["shown"] for layer in structure["layers"])
