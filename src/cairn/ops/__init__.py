"""Array operations on numpy arrays: heatmaps, part affinity fields, grouping, assignment, smoothing."""
