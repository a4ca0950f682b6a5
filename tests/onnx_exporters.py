"""PyTorch's exporters of ONNX; the first is its older one."""

import functools
import warnings

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
_registry = pytest.importorskip("torch.onnx._internal.exporter._registration").ONNXRegistry

# PyTorch parses the sources of all its operators anew for each file, which takes most of the time.
_registry.from_torchlib = staticmethod(functools.cache(_registry.from_torchlib))

EXPORTERS = {
    "first": {"dynamo": False, "opset_version": 17},
    "first-old": {"dynamo": False, "opset_version": 11, "dynamic_axes": {"x": {0: "n"}}},
    "second": {"dynamo": True},
    "second-any-batch": {"dynamo": True, "dynamic_shapes": ({0: "n"},)},
}


def exported(module, path, options, shape):
    """Write a module's file for images of this shape; returns its path."""
    if "dynamic_shapes" in options:
        options = {**options, "dynamic_shapes": ({0: torch.export.Dim("n")},)}
    images = torch.randn(2, *shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's about itself
        more = {"external_data": False, "verbose": False} if options["dynamo"] else {}
        torch.onnx.export(module, (images,), str(path), input_names=["x"], **options, **more)
    return path
