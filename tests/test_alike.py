"""Tests that `.ci/run` does not repeat with all that tests can use."""

import pytest
from alike import is_alike


@pytest.mark.parametrize(
    ("name", "alike"),
    [
        ("test_interrupts.py", True),
        ("kernel_cache/test_many_processes.py", True),
        ("explorer/test_curve.py", True),
        ("test_structure.py", True),  # names modules that it does not import
        ("torch_engine/test_torch_runs.py", False),
        ("kernels/test_window_pooling_kernels.py", False),  # has more examples, by cases.py
        ("engine/test_kinds.py", False),  # compares with PyTorch, by yardstick.py
        ("explorer/test_explorer_picture.py", False),  # decodes a JPEG
        ("cli/test_cifar_runs.py", False),  # reads CIFAR-10
        ("cli/test_resume_command.py", False),  # trains by a command
    ],
)
def test_files(name, alike):
    assert is_alike(f"tests/{name}::test_any[1]") is alike
