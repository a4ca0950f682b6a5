"""docs/scaling.md: its tables are those of the model, which computes what its formulas say."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def model():
    path = ROOT / "benchmarks" / "scaling_model.py"
    spec = importlib.util.spec_from_file_location("scaling_model", path)
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    sys.modules["scaling_model"] = module  # dataclasses look there
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = before
    return module


def test_the_tables_are_those_of_the_model(model):
    for name, table in model.TABLES.items():
        (found,) = re.findall(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", PAGE, re.DOTALL)
        assert found == table(), "run benchmarks/scaling_model.py --write"


def test_a_step_of_resnet_50_by_hand(model):
    """Eight machines of eight GPUs: each number is computed from the page's assumptions."""
    task = model.TASKS[1]
    assert (task.parameters, task.multiply_adds, task.batch) == (25.6e6, 4.1e9, 128)
    found = model.step_of(task, 8, 8, model.HARDWARE)
    assert found.compute == pytest.approx(0.003 + 128 * 24.6e9 / 60e12)
    inside = 1.75 * 102.4e6 / 200e9 + 14 * 5e-6
    between = 1.75 * 102.4e6 / 50e9 + 6 * 20e-6
    assert found.reduce == pytest.approx(inside + between)
    assert found.exposed == pytest.approx(found.reduce * 26_214_400 / 102.4e6)
    assert found.slowest == pytest.approx(0.03 * found.compute * 2.88405, rel=1e-4)
    assert found.images == pytest.approx(133_256, rel=1e-4)
    assert found.sent == pytest.approx(179.2e6)
    assert found.read == pytest.approx(133_256 / 8 * 110e3, rel=1e-4)
    assert found.decoders == pytest.approx(133_256 / 8 / 340, rel=1e-4)


def test_one_gpu_reduces_nothing_and_waits_for_nobody(model):
    found = model.step_of(model.TASKS[0], 1, 1, model.HARDWARE)
    assert (found.reduce, found.exposed, found.slowest, found.sent) == (0, 0, 0, 0)
    assert found.efficiency == 1


def test_where_reducing_takes_longer_than_the_way_back_the_rest_shows(model):
    small = model.Task("small", 100e6, 1e6, 1, 0, 0)
    found = model.step_of(small, 2, 1, model.HARDWARE)
    reduce = 400e6 / 50e9 + 2 * 20e-6
    compute = 0.003 + 6e6 / 60e12
    assert found.exposed == pytest.approx(reduce - 2 / 3 * compute + reduce * 26_214_400 / 400e6)
