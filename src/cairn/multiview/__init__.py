"""Several calibrated cameras: calibration, synchronization, association and triangulation."""
