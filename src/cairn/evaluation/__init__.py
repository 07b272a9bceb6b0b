"""Evaluation of predictions against annotations: protocols, metrics and reports."""
