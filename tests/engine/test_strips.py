"""A single image whose rows workers share: every map is bitwise that of one worker alone."""

import numpy as np
import pytest
from graph_networks import of_channels, of_parts, of_products
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strip_networks import networks, of_blocks, of_neighbors

from neocog.engine import strips
from neocog.engine.lowering import lower
from neocog.engine.program import Program
from neocog.engine.schedule import inference_plan
from neocog.engine.state import fill_preprocessing, write_state


def maps_of(network, image, threads, *, single_image):
    """The scores, every map with its border, and how many groups of strips there are."""
    ops = lower(network.graph, training=False, single_image=True)
    plan = inference_plan(ops, single_image=single_image, workers=threads)
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


def check(network, near=1):
    """Maps of one worker, and of one to four that share rows, are the same; gives the strips."""
    network.initialize(0)
    c, h, w = network.input_shape
    image = np.random.default_rng(0).integers(0, 256, (1, h, w, c), np.uint8)
    expected, none = maps_of(network, image, 1, single_image=False)
    assert none == 0
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(strips, "_LEAST_SHARED", 0)
        monkeypatch.setattr(strips, "_NEAR", near)
        for threads in (1, 2, 3, 4):
            maps, groups = maps_of(network, image, threads, single_image=True)
            assert maps.keys() == expected.keys()
            for name, value in maps.items():
                np.testing.assert_array_equal(value, expected[name], f"{name}, {threads} threads")
    return groups


@pytest.mark.parametrize("make", [of_channels, of_parts, of_products, of_blocks, of_neighbors])
def test_networks_of_every_kind(make):
    assert check(make()) >= 3


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(network=networks(), near=st.sampled_from([1, 1000, 2000, 10_000]))
def test_any_layers(network, near):
    check(network, near)
