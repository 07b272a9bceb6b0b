"""Inference: networks, devices, predictors, streams and the bundled models."""
