"""Reports of an evaluation: metrics.json, plots, images of the worst instances, and an HTML page."""
