"""ONNX: networks written for other runtimes, and files of ONNX read.

The only modules that import onnx and ONNX Runtime, which are an extra. `writer` makes a model of a
network's parts by the rules in `layer_rules` and `pooling_rules`; `check` runs it in ONNX Runtime,
and `int8` quantizes it there.
"""

from neocog.errors import NeocogError

try:
    import onnx as onnx
except ImportError as error:
    raise NeocogError(
        "Files of ONNX are written and read by the package onnx, which is not installed: "
        "pip install 'neocog[onnx]'"
    ) from error
