"""ISS keypoints of clouds of different sizes: seconds, memory, and Open3D beside it.

    python benchmarks/point_clouds.py [--sizes 10000 100000 1000000] [--open3d PYTHON] [--threads 1]

Open3D is no dependency: `--open3d` is the Python of another environment that has it. Each measurement is a process of
its own; its memory is the peak of the process less that of the imports. The cloud is a bumpy surface, sampled like a
scan, at 6 and 4 times the resolution.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MEASURE = """
import json, resource, sys, time
import numpy as np
library, path, threads = sys.argv[1:]
points = np.load(path)
if library == "open3d":
    import open3d
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points))
    run = lambda: np.asarray(open3d.geometry.keypoint.compute_iss_keypoints(cloud).points)
else:
    import scipy.sparse, scipy.spatial
    from cairn.pointclouds.iss import Iss
    from cairn.structures.cloud import Cloud
    cloud = Cloud(points)
    run = lambda: Iss(threads=int(threads))(cloud).points
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, cpu, wall = peak(), time.process_time(), time.perf_counter()
found = run()
print(json.dumps({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "memory": peak() - before,
                  "total": peak(), "keypoints": sorted(map(list, np.round(found, 9).tolist()))}))
"""


def surface(count: int, seed: int = 0) -> NDArray[np.float64]:
    """Returns points (N, 3) of a bumpy surface, spaced like the grid of a scanner, in random order."""
    rng = np.random.default_rng(seed)
    side = round(count**0.5)
    x, y = (axis.ravel().astype(float) for axis in np.meshgrid(np.arange(side), np.arange(side)))
    points = np.stack([x, y, 20 * np.sin(x / 40) * np.cos(y / 31)], axis=1) + rng.normal(0, 0.1, (len(x), 3))
    return points[rng.permutation(len(points))]


def measure(python: str, library: str, path: Path, threads: int) -> dict[str, float | list[list[float]]] | None:
    """Returns the measurement of a process, None if it failed."""
    arguments = [python, "-c", MEASURE, library, str(path), str(threads)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{library} failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    options.add_argument("--open3d", help="Python of an environment with open3d")
    options.add_argument("--threads", type=int, default=0, help="threads of Cairn, 0 for all cores")
    given = options.parse_args()
    print(
        "| points | library | s | processor s | peak memory, MB | keypoints | the same |\n|---|---|---|---|---|---|---|"
    )
    for size in given.sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "points.npy"
            np.save(path, surface(size))
            pythons = {"cairn": sys.executable} | ({"open3d": given.open3d} if given.open3d else {})
            own: set[tuple[float, ...]] = set()
            for library, python in pythons.items():
                result = measure(python, library, path, given.threads)
                if result is None:
                    continue
                found = {tuple(point) for point in result["keypoints"]}
                own = own or found
                share = f"{len(own & found) / len(own | found):.2%}"
                print(
                    f"| {size:,} | {library} | {result['wall']:.2f} | {result['cpu']:.2f} | {result['memory']:.0f} "
                    f"({result['total']:.0f} with imports) | {len(found)} | {share} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
