"""Which tests do the same wherever they run, so that once is enough for `.ci/run`.

It runs tests twice: with nothing but what the README installs, and with all that they can use. A
file of tests does the same in both if neither it nor what it imports from the tests names anything
that makes a difference.
"""

import re
from functools import cache
from pathlib import Path

__all__ = ["is_alike"]

_TESTS = Path(__file__).parent
# What the second has alone, or has more of. simplejpeg decodes JPEGs where it is installed, and
# `neocog train` takes pretrained weights where they are.
_MORE = re.compile(
    r"(?<!\w)torch|onnx|sklearn|skimage|scipy|optuna|tuning|pyarrow|parquet|hugging|fake_hub"
    r"|pretrained|tensorboard|[jJ][pP][eE]?[gG]|playwright|chromium|prometheus|openapi|jsonschema|atheris"
    r"|\"train\"|importorskip|find_spec|NEOCOG_DATA|THOROUGH"
)
_IMPORT = re.compile(r"^\s*(?:from|import) (\w+)", re.MULTILINE)
# These name what they do not use.
_ALSO = (
    "tests/test_structure.py",
    "tests/explanation/test_target_explanation.py",
    "tests/explanation/test_target_figures.py",
    "tests/explorer/test_explorer_reset.py",
    "tests/explorer_http/test_explorer_load.py",
    "tests/explorer_http/test_explorer_origins.py",
    "tests/explorer_http/test_explorer_requests.py",
    "tests/explorer_http/test_explorer_server.py",
    "tests/explorer_http/test_explorer_token.py",
    "tests/kernel_cache/test_compiling_processes.py",
)


def is_alike(name):
    """Whether the test of this name does the same in both."""
    file = name.partition("::")[0]
    return file in _ALSO or not _names_more(_TESTS.parent / file)


@cache
def _names_more(path, seen=frozenset()):
    text = path.read_text(encoding="utf-8")
    if _MORE.search(text):
        return True
    folders = {path.parent, _TESTS}
    read = {folder / f"{name}.py" for folder in folders for name in _IMPORT.findall(text)}
    read |= {path.with_name("conftest.py")} - {_TESTS / "conftest.py"}
    seen |= {path}
    return any(_names_more(other, seen) for other in read - seen if other.exists())
