"""ONNX: networks in the format that inference engines share.

`reading` makes networks of ``.onnx`` files and needs no package; `writing` makes the files, with
ONNX's package, and compares them with neocog in ONNX Runtime.
"""
