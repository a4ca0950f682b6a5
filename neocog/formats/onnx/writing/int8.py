"""Quantizes a model to int8 by ONNX Runtime's static quantizer.

Weights and maps become integers of 8 bits with a scale: those of weights are one for each output
channel, and those of maps come from the least and the largest number that some pictures give.
Preprocessing and softmax stay float32.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import ModelProto

from neocog.formats.onnx.fingerprint import DESCRIPTION, FINGERPRINT

__all__ = ["quantize"]

# Pictures that are passed through the network at a time, to see its maps' ranges.
_BATCH = 32
# What is computed on integers.
_QUANTIZED = (
    *("Conv", "Gemm", "MatMul", "Add", "Concat", "Relu", "Clip", "Flatten"),
    *("MaxPool", "AveragePool", "GlobalAveragePool"),
)


def quantize(model: ModelProto, inputs: NDArray[Any]) -> ModelProto:
    """The model with weights and maps of 8 bits, in ONNX's own operators (QDQ).

    Args:
        model: of `make_onnx`.
        inputs: what it takes, of some hundred pictures of the training.
    """
    # Imported here because it is slow to import.
    from onnxruntime import quantization

    class Pictures(quantization.CalibrationDataReader):  # type: ignore[misc]
        """Gives the quantizer some pictures at a time."""

        def __init__(self) -> None:
            name = model.graph.input[0].name
            firsts = range(0, len(inputs), _BATCH)
            self._parts: Iterator[dict[str, NDArray[Any]]] = iter(
                [{name: inputs[first : first + _BATCH]} for first in firsts]
            )

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            """The next pictures; None if there are no more."""
            return next(self._parts, None)

    with TemporaryDirectory(prefix="neocog-") as folder:
        given, fused, found = (Path(folder) / name for name in ("given", "fused", "found"))
        onnx.save(model, given)  # as a model in memory would be changed
        # Batch normalization goes into the weights. The symbolic inference of shapes needs SymPy.
        quantization.quant_pre_process(given, fused, skip_symbolic_shape=True)
        kept = [node.name for node in onnx.load(fused).graph.node if _stays(node.name)]
        quantization.quantize_static(
            fused,
            found,
            Pictures(),
            op_types_to_quantize=list(_QUANTIZED),
            nodes_to_exclude=kept,
            per_channel=True,
            # Weights of 7 bits: x86 processors without VNNI add products of 8 bits in pairs, in 16
            # bits, which saturated. 93 % of the answers were as before then, with 7 bits 98 %.
            reduce_range=True,
            # On x86 faster than signed maps, and as accurate.
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        quantized = onnx.load(found)
    del quantized.metadata_props[:]
    ours = (DESCRIPTION, FINGERPRINT)  # of the graph before
    quantized.metadata_props.extend(one for one in model.metadata_props if one.key not in ours)
    onnx.checker.check_model(quantized, full_check=True)
    return quantized


def _stays(name: str) -> bool:
    """Whether a node is not quantized."""
    return name.startswith("preprocessing/")
