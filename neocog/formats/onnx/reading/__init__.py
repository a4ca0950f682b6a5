"""From ``.onnx`` files to networks; `reader.read_onnx` is the way in."""
