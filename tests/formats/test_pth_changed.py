"""`.pth` files cut short or changed anywhere: a dict or a FormatError."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pth_files import LINEAR_DATA, LINEAR_PICKLE, OLD_TENSOR, dict_pickle, old_file, text, write_zip

from neocog.errors import FormatError
from neocog.formats.pth import load_pth


def good_file() -> bytes:
    file = io.BytesIO()
    write_zip(file, LINEAR_PICKLE, LINEAR_DATA)
    return file.getvalue()


@pytest.mark.parametrize("data", [good_file(), old_file(dict_pickle(text("a.b"), OLD_TENSOR))])
def test_files_cut_short_anywhere_are_refused(tmp_path, data):
    path = tmp_path / "a.pth"
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(FormatError):
            load_pth(path)


CHANGES = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6)


@settings(max_examples=600, deadline=None, derandomize=True)
@given(CHANGES, st.booleans())
def test_changed_files_give_a_dict_or_a_format_error(tmp_path_factory, changes, old):
    data = bytearray(old_file(dict_pickle(text("a.b"), OLD_TENSOR)) if old else good_file())
    for at, value in changes:
        data[at % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "fuzz.pth"
    path.write_bytes(data)
    try:
        state = load_pth(path)
    except FormatError:
        return
    assert all(isinstance(array, np.ndarray) for array in state.values())


@settings(max_examples=800, deadline=None, derandomize=True)
@given(CHANGES)
def test_changed_pickles_give_a_dict_or_a_format_error(tmp_path_factory, changes):
    data = bytearray(LINEAR_PICKLE)
    for at, value in changes:
        data[at % len(data)] = value
    path = write_zip(tmp_path_factory.getbasetemp() / "fuzz.pth", bytes(data), LINEAR_DATA)
    try:
        state = load_pth(path)
    except FormatError:
        return
    assert all(isinstance(array, np.ndarray) for array in state.values())
