"""A single image whose rows workers share: every map is bitwise that of one worker alone."""

import numpy as np
import pytest
from graph_networks import of_channels, of_parts, of_products
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from neocog.engine import strips
from neocog.engine.lowering import lower
from neocog.engine.program import Program
from neocog.engine.schedule import inference_plan
from neocog.engine.state import fill_preprocessing, write_state
from neocog.errors import ArchitectureError
from neocog.layers import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    Add,
    AvgPool2d,
    BatchNorm2d,
    ChannelShuffle,
    Concat,
    Conv2d,
    Flatten,
    LayerNorm2d,
    Linear,
    MaxPool2d,
    Multiply,
    Node,
    PReLU,
    ReLU6,
    Slice,
    Upsample,
)
from neocog.network import Network


def maps_of(network, image, threads, *, single_image):
    """The scores, every map with its border, and how many groups of strips there are."""
    ops = lower(network.graph, training=False, single_image=True)
    plan = inference_plan(ops, single_image=single_image)
    program = Program(plan, threads, 1)
    fill_preprocessing(program, network.input_shape, network.preprocessing)
    write_state(program, ops, network.state_dict())
    scores, probabilities = np.zeros((2, 1, *network.output_shape), np.float32)
    for now in (~image, image):  # the second one finds what the first one left
        program.bind({"images": now, "scores": scores, "probabilities": probabilities})
        program.run_once(1)
    tensors = {op.y.name: op.y.map.content for op in ops}
    found = {n: program.memory.array(n, np.float32)[:size] for n, size in tensors.items()}
    return {"scores": scores, **found}, sum(group.strips > 1 for group in plan.groups)


def check(network, strip_bytes=1):
    """Maps of one worker, and of one to four that share rows, are the same; gives the strips."""
    network.initialize(0)
    c, h, w = network.input_shape
    image = np.random.default_rng(0).integers(0, 256, (1, h, w, c), np.uint8)
    expected, none = maps_of(network, image, 1, single_image=False)
    assert none == 0
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(strips, "_LEAST_SHARED", 0)
        monkeypatch.setattr(strips, "_STRIP_BYTES", strip_bytes)
        for threads in (1, 2, 3, 4):
            maps, groups = maps_of(network, image, threads, single_image=True)
            assert maps.keys() == expected.keys()
            for name, value in maps.items():
                np.testing.assert_array_equal(value, expected[name], f"{name}, {threads} threads")
    return groups


@pytest.mark.parametrize("make", [of_channels, of_parts, of_products])
def test_merged_maps(make):
    assert check(make()) >= 3


def test_rows_above_and_below():
    """Pooling that keeps the height reads rows of strips that others compute."""
    assert check(of_neighbors()) >= 3


def of_neighbors():
    row = {"l1": PReLU(4), "l2": MaxPool2d(3, 1, 1), "l3": AvgPool2d(3, 1, 1), "l4": PReLU(4)}
    last = {"flatten": Flatten(), "fc": Linear(4 * 13 * 9, 3)}
    return Network(input_shape=(4, 13, 9), **row, **last)


def layers(channels):
    """One that works row by row, with the channels that come out of it."""
    sides = st.tuples(st.integers(1, 4), st.integers(1, 4))
    flags = st.booleans()
    windows = st.tuples(st.integers(2, 4), st.integers(1, 3), st.integers(0, 1), flags)
    same = st.one_of(
        st.sampled_from([ReLU6(), PReLU(channels), BatchNorm2d(channels), ChannelShuffle(2)]),
        windows.map(lambda w: MaxPool2d(w[0], w[1], w[2], ceil_mode=w[3])),
        st.tuples(windows, flags).map(
            lambda w: AvgPool2d(*w[0][:3], ceil_mode=w[0][3], count_include_pad=w[1])
        ),
        sides.map(AdaptiveAvgPool2d),
        sides.map(AdaptiveMaxPool2d),
        st.tuples(st.integers(1, 3), st.integers(1, 3)).map(lambda s: Upsample(scale_factor=s)),
        st.sampled_from(["zeros", "reflect", "replicate", "circular"]).map(
            lambda mode: Conv2d(channels, channels, 3, padding=(2, 1), padding_mode=mode)
        ),
        *([st.just(LayerNorm2d(channels))] if channels > 3 else []),
    )
    return st.tuples(same, st.just(channels)) | st.sampled_from(
        [(Slice(1, channels - 1), channels - 2), (Conv2d(channels, channels + 6, 1), channels + 6)]
    )


@st.composite
def networks(draw):
    """Some layers in a row, also on the image itself, and a merging one behind them."""
    row, channels = [], 4
    for n in range(draw(st.integers(1, 5))):
        layer, after = draw(layers(channels))
        if after % 2 == 0 and after > 2:
            row.append(Node(f"l{n}", layer))
            channels = after
    try:
        shape = Network.from_nodes(
            [*row, Node("last", ReLU6())], input_shape=(4, 13, 9)
        ).output_shape
        merged = draw(st.sampled_from([Add(), Multiply(), Concat()]))
        twice = 2 if isinstance(merged, Concat) else 1
        size = twice * int(np.prod(shape))
        return Network.from_nodes(
            [
                *row,
                Node("one", ReLU6()),
                Node("two", PReLU(), "one"),
                Node("merged", merged, ("one", "two")),
                Node("flatten", Flatten()),
                Node("fc", Linear(size, 3)),
            ],
            input_shape=(4, 13, 9),
        )
    except ArchitectureError:  # nothing is left of the map
        assume(False)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(network=networks(), strip_bytes=st.sampled_from([1, 1000, 2000]))
def test_any_layers(network, strip_bytes):
    check(network, strip_bytes)
