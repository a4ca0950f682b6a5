"""One served explorer for all requests of a file."""

import pytest
from exploring import served

import neocog
from neocog.data.shapes import shapes


@pytest.fixture(scope="module")
def page():
    """One for all: whatever is refused must change nothing."""
    with served(neocog.models.simple_cnn(), shapes(0, 40, 20)) as page:
        before = page.state()
        yield page
        assert page.state() == before
