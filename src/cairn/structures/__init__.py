"""Values: geometry, skeletons, poses and annotations."""
