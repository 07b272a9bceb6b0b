"""Point clouds made from scratch, and files of them."""

import numpy as np

FACES = np.array([[0, 1, 2], [0, 2, 3]])
SQUARE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0.5], [0, 1, 0.25]])


def bumpy_sphere(count=4000, seed=0):
    """Points (N, 3) on a sphere with bumps of different sizes: every part has a shape of its own."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    centers = np.random.default_rng(1).normal(size=(14, 3))
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    heights = np.linspace(-0.25, 0.4, 14)
    near = np.exp(8 * (directions @ centers.T - 1))
    return directions * (1 + near @ heights)[:, None]


def random_motion(seed=0, scale=1.0):
    """A rigid motion (4, 4)."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = rotation, scale * rng.normal(size=3)
    return motion


def ascii_ply(points, faces=(), end="\n", extra=(), comments=()):
    """The bytes of an ASCII PLY file."""
    lines = ["ply", "format ascii 1.0", *(f"comment {each}" for each in comments), f"element vertex {len(points)}"]
    lines += ["property float x", "property float y", "property float z", *extra]
    lines += [f"element face {len(faces)}", "property list uchar int vertex_indices"] if len(faces) else []
    lines += ["end_header", *(" ".join(f"{value:.9g}" for value in row) for row in points)]
    lines += [" ".join(map(str, [len(face), *face])) for face in faces]
    return (end.join(lines) + end).encode()


def pcd(points, data="ascii", header=()):
    """The bytes of a PCD file with float32 coordinates."""
    lines = ["# .PCD v0.7", "VERSION 0.7", "FIELDS x y z", "SIZE 4 4 4", "TYPE F F F", "COUNT 1 1 1"]
    lines += [f"WIDTH {len(points)}", "HEIGHT 1", "VIEWPOINT 0 0 0 1 0 0 0", f"POINTS {len(points)}"]
    given = {line.split()[0]: line for line in header}
    text = "\n".join([given.get(line.split()[0], line) for line in lines] + [f"DATA {data}"]) + "\n"
    values = np.asarray(points, "<f4")
    if data == "ascii":
        return (text + "\n".join(" ".join(f"{value:.9g}" for value in row) for row in values) + "\n").encode()
    if data == "binary":
        return text.encode() + values.tobytes()
    fields = np.ascontiguousarray(values.T).tobytes()
    packed = lzf_literals(fields)
    return text.encode() + np.array([len(packed), len(fields)], "<u4").tobytes() + packed


def lzf_literals(data):
    """Bytes as LZF without any copy."""
    parts = [data[i : i + 32] for i in range(0, len(data), 32)]
    return b"".join(bytes([len(part) - 1]) + part for part in parts)
