"""Folders of pictures."""

import pytest
from spoiled_pictures import save, scene


@pytest.fixture
def folder(tmp_path):
    """Three classes in two parts, with nothing wrong."""
    for part, first, count in (("train", 0, 5), ("test", 50, 2)):
        for number, label in enumerate(("ant", "bee", "cow")):
            for n in range(count):
                seed = first + 10 * number + n
                save(scene(seed), tmp_path / part / label / f"{n}.png")
    return tmp_path
