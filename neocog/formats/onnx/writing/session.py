"""Runs ONNX models in ONNX Runtime, on the CPU, to compare them with neocog."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

from neocog.formats.onnx.writing.writer import SCORES

__all__ = ["OnnxSession", "runtime"]

# ONNX Runtime's level for errors; its warnings are about what it optimizes.
_ERRORS = 3


class OnnxSession:
    """A model of `make_onnx` in ONNX Runtime.

    Args:
        model: the model.
        threads: that ONNX Runtime uses; None leaves it to it.
    """

    def __init__(self, model: ModelProto, threads: int | None = None) -> None:
        shown = ModelProto()
        shown.CopyFrom(model)
        if SCORES not in {output.name for output in shown.graph.output}:
            (scores,) = (one for one in shown.graph.value_info if one.name == SCORES)
            shown.graph.output.append(scores)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERRORS
        options.intra_op_num_threads = threads or 0
        self._session = onnxruntime.InferenceSession(
            shown.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0]

    def run(self, inputs: NDArray[Any]) -> Mapping[str, NDArray[np.float32]]:
        """Scores and, if the model gives them, probabilities, float32 [n, classes], by name.

        Args:
            inputs: what the model takes: uint8 [n, height, width, channels] pictures, or float32
                [n, channels, height, width].
        """
        wanted = [output.name for output in self._session.get_outputs()]
        found = self._session.run(wanted, {self._input.name: inputs})
        return dict(zip(wanted, found, strict=True))


def runtime() -> str:
    """ONNX Runtime, with its version."""
    return f"ONNX Runtime {onnxruntime.__version__}"
