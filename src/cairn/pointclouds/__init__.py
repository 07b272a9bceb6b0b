"""Point clouds and meshes: files, normals, keypoints, registration and landmarks."""
