"""Annotated data sets: annotations in memory, file formats, splits, similarity and checks."""
