"""Decoding as a part of an ONNX graph: what the Python decoders compute, for models that run without Python."""
