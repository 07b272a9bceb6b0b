"""Metrics: OKS AP, MPII mAP, PCK, NME, error types, and tracking metrics."""
