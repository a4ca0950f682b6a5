"""Model files changed anywhere: a network or a FormatError."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_files import nested, network, put, rewrite

from neocog.errors import FormatError
from neocog.formats.model_file import read_training
from neocog.network import Network
from neocog.network_files import load_model, save_model


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "model.safetensors"
    save_model(network(), path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def good_nested(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("nested") / "model.safetensors"
    save_model(nested(), path)
    return path.read_bytes()


CHANGES = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=5)


@settings(max_examples=600, deadline=None, derandomize=True)
@given(CHANGES, st.booleans())
def test_changed_files_give_a_network_or_a_format_error(tmp_path_factory, good, changes, in_json):
    path = tmp_path_factory.getbasetemp() / "fuzz.safetensors"
    data = bytearray(good)
    for at, value in changes:
        # Half of the time such changes as leave the header JSON, and so reach further.
        data[at % len(data)] = b'0123456789,:"[]{}-eE.'[value % 21] if in_json else value
    path.write_bytes(data)
    for read in (load_model, read_training):
        try:
            result = read(path)
        except FormatError:
            continue
        assert isinstance(result, Network | dict)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
NESTED_PLACES = [
    ("layers", 0), ("layers", 0, "layers"), ("layers", 0, "layers", 0, "padding"),
    ("layers", 0, "layers", 1, "eps"), ("layers", 0, "layers", 2, "approximate"),
    ("layers", 1, "body"), ("layers", 1, "shortcut"), ("layers", 1, "body", "layers", 1, "affine"),
    ("layers", 1, "body", "layers", 3, "body"), ("layers", 5, "stride"), ("layers", 7, "factor"),
]  # fmt: skip
PLACES = [
    ("version",), ("layers",), ("layers", 0), ("layers", 0, "kernel_size"), ("layers", 4, "bias"),
    ("layers", 4, "out_features"), ("layers", 2, "kernel_size"), ("layers", 1, "name"),
    ("layers", 1, "type"), ("input_shape",), ("classes",), ("preprocessing",),
    ("preprocessing", "std"), ("training",),
]  # fmt: skip


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.sampled_from(PLACES), JSON)
def test_changed_descriptions_give_a_network_or_a_format_error(
    tmp_path_factory, good, place, value
):
    path = tmp_path_factory.getbasetemp() / "fuzz.safetensors"
    path.write_bytes(good)
    rewrite(path, put(*place, value))
    for read in (load_model, read_training):
        try:
            result = read(path)
        except FormatError:
            continue
        assert isinstance(result, Network | dict)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.sampled_from(NESTED_PLACES), JSON)
def test_changed_nested_descriptions_give_a_network_or_a_format_error(
    tmp_path_factory, good_nested, place, value
):
    path = tmp_path_factory.getbasetemp() / "fuzz.safetensors"
    path.write_bytes(good_nested)
    rewrite(path, put(*place, value))
    try:
        result = load_model(path)
    except FormatError:
        return
    assert isinstance(result, Network)
