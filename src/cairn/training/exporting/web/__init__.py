"""A web page that detects in the browser: the page, onnxruntime-web and a model."""
