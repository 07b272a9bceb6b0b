"""Drawing: pose overlays, plots, contact sheets and HTML reports."""
