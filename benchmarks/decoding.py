"""Speed and accuracy of decoding OpenPose's maps.

    python benchmarks/decoding.py

Synthetic people on maps of 46 × 82 cells with COCO's 18 joints; numpy only, in one thread. Times are of decode() on
maps in memory. CPU time excludes other programs of a busy machine.
"""

from __future__ import annotations

import signal
import time

import numpy as np

from cairn.methods.openpose.decoder import decode
from cairn.ops.heatmaps import render_gaussians
from cairn.structures.skeleton import load_skeleton
from crowd import SIGMA, compare, crowd, perfect_maps

SIZE = (46, 82)
SCENES = 30
REPEATS = 7
COCO18 = load_skeleton("coco18")


def main() -> None:
    print(f"Perfect maps, {SCENES} scenes each, {REPEATS} runs per scene")
    print("people  median ms  median CPU ms   found  false positives  joints found  mean error (cells)")
    for people in (1, 5, 10, 20, 50):
        scenes = [_scene(people, seed) for seed in range(SCENES)]
        times = [_time(maps, pafs) for _, maps, pafs in scenes for _ in range(REPEATS)]
        wall, cpu = np.median(times, axis=0)
        found, invented, joints, error = _quality(scenes)
        print(f"{people:6d}  {wall:9.2f}  {cpu:13.2f}  {found:6.1%}  {invented:15d}  {joints:12.2%}  {error:.4f}")
    print()
    print("20 people; found: detected by more than half of the person's joints")
    print("scene                               order   matching   found  false positives  joints found  mean error")
    for name, missing, unseen, noise in (
        ("perfect", 0.0, 0.0, 0.0),
        ("a fifth of the joints missing", 0.2, 0.0, 0.0),
        ("a fifth in the PAFs only", 0.0, 0.2, 0.0),
        ("ripples of 0.03", 0.0, 0.0, 0.03),
        ("a fifth missing, ripples of 0.03", 0.2, 0.0, 0.03),
    ):
        scenes = [_scene(20, seed, missing, unseen, noise) for seed in range(SCENES)]
        for order in ("global", "limb"):
            for matching in ("greedy", "hungarian"):
                found, invented, joints, error = _quality(scenes, order=order, matching=matching)
                print(
                    f"{name:34s}  {order:6s}  {matching:9s}  {found:5.1%}  {invented / 20 / SCENES:15.3f}"
                    f"  {joints:12.1%}  {error:.4f}"
                )


Scene = tuple[np.ndarray, np.ndarray, np.ndarray]


def _scene(people: int, seed: int, missing: float = 0.0, unseen: float = 0.0, noise: float = 0.0) -> Scene:
    """Returns people (P, K, 2), their heatmaps and PAFs.

    Args:
        people: Number of people.
        seed: Random seed.
        missing: Share of joints that are neither in the heatmaps nor in the PAFs.
        unseen: Share of joints that are in the PAFs only.
        noise: Standard deviation of white noise on both.
    """
    rng = np.random.default_rng([people, seed])
    placed = crowd(rng, people, SIZE, COCO18)
    placed[rng.random(placed.shape[:2]) < missing] = np.nan
    maps, pafs = perfect_maps(placed, SIZE, COCO18)
    if unseen:
        placed[rng.random(placed.shape[:2]) < unseen] = np.nan
        maps = render_gaussians(placed, SIZE, SIGMA)
    if noise:
        maps = maps + rng.normal(0, noise, maps.shape).astype(np.float32)
        pafs = pafs + rng.normal(0, noise, pafs.shape).astype(np.float32)
    return placed, maps, pafs


def _time(maps: np.ndarray, pafs: np.ndarray) -> tuple[float, float]:
    """Returns milliseconds of wall time and of processor time."""
    clock, processor = time.perf_counter(), time.thread_time()
    decode(maps, pafs, COCO18)
    return (time.perf_counter() - clock) * 1e3, (time.thread_time() - processor) * 1e3


def _quality(scenes: list[Scene], **options: str) -> tuple[float, int, float, float]:
    """Returns the share of people found, the number of false positives, the share of joints found, their mean error."""
    people = found = invented = joints = 0
    errors = []
    for placed, maps, pafs in scenes:
        poses = decode(maps, pafs, COCO18, **options)  # type: ignore[arg-type]
        hits, false_positives, distances = compare(placed, poses.keypoints)
        people, found, invented = people + len(placed), found + hits, invented + false_positives
        joints += int(np.isfinite(placed[..., 0]).sum())
        errors.append(distances)
    every = np.concatenate(errors)
    return found / people, invented, len(every) / joints, float(every.mean())


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # quiet when piped into head
    main()
