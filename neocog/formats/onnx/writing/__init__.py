"""From networks to ``.onnx`` files; `writer.make_onnx` is the way in."""
