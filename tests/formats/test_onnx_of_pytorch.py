"""ONNX files of PyTorch's two exporters: the same scores, for many kinds of networks."""

import warnings

import numpy as np
import pytest

from neocog.formats.onnx.reader import read_onnx
from neocog.reference import forward

torch = pytest.importorskip("torch")
onnxscript = pytest.importorskip("onnxscript")

from formats.onnx_modules import SHAPE, ZOO, settled  # noqa: E402

EXPORTERS = {
    "first": {"dynamo": False, "opset_version": 17},
    "first-old": {"dynamo": False, "opset_version": 11, "dynamic_axes": {"x": {0: "n"}}},
    "second": {"dynamo": True},
    "second-any-batch": {"dynamo": True, "dynamic_shapes": ({0: "n"},)},
}


def exported(module, path, options):
    if "dynamic_shapes" in options:
        options = {**options, "dynamic_shapes": ({0: torch.export.Dim("n")},)}
    images = torch.randn(2, *SHAPE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's about itself
        more = {"external_data": False, "verbose": False} if options["dynamo"] else {}
        torch.onnx.export(module, (images,), str(path), input_names=["x"], **options, **more)
    return path


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", ZOO)
def test_scores_are_those_of_pytorch(name, exporter, tmp_path):
    torch.manual_seed(1)
    module = settled(ZOO[name]())
    path = exported(module, tmp_path / "net.onnx", EXPORTERS[exporter])
    parts = read_onnx(path).parts
    assert parts.graph.input_shape == SHAPE
    x = torch.randn(3, *SHAPE)
    with torch.no_grad():
        wanted = module.double()(x.double()).numpy()
    state = {name: array.astype(np.float64) for name, array in parts.state.items()}
    found = list(forward(parts.graph, state, x.double().numpy()).values())[-1]
    # Weights of folded batch normalization were rounded by the exporter.
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * scale)
