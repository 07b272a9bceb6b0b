"""Export: PyTorch to ONNX, and quantization of ONNX files."""
