"""Validation of labels before training: data leakage, left-right swaps, outliers, missing images, label counts."""
