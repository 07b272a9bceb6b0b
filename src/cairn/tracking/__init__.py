"""Multi-object tracking of poses in video."""
