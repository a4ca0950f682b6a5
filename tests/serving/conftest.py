"""One server for all tests of a file that do not change it."""

import pytest
from served import serving, small_network


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    small_network().save(path)
    return path


@pytest.fixture(scope="module")
def server(model, tmp_path_factory):
    with serving(model, tmp_path_factory.mktemp("served")) as found:
        yield found
        # Nothing that was asked was an error of the server's own.
        assert "Traceback" not in found.log.read_text()
