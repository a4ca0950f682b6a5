"""ONNX: networks in the format that inference engines share."""
