"""Tests of what is written as ONNX need the extra."""

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
