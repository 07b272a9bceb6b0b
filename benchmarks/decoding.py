"""Speed and accuracy of decoding OpenPose's maps.

    python benchmarks/decoding.py

Synthetic people on maps of 46 × 82 cells with COCO's 18 joints, without a network, in one thread. Times are processor
time of decode() on maps in memory, the least of several runs of each scene: other programs of the machine do not count.
The looks of the limbs span those of trained networks. On 24 images of coco-people, the limbs of the bundled `person`
have a half-width of 1.4 to 2.7 cells where they have half their strength, reach 1.9 to 5 cells beyond the joints until
0.05, and the standard deviation of both maps far from people is 0.001 to 0.004, up to 0.03.
"""

from __future__ import annotations

import signal
import time
from itertools import product

import numpy as np

from cairn.methods.openpose.decoder import decode
from cairn.ops.heatmaps import render_gaussians
from cairn.structures.skeleton import load_skeleton
from crowd import SIGMA, Look, compare, complete, crowd, maps_with, perfect_maps, separable

SIZE = (46, 82)
SCENES = 30
REPEATS = 15
LOOKS = [Look(*values) for values in product((0.75, 1, 2, 3), (0, 1, 2), (0, 0.01))]
SCENES_OF_LOOK = 3
COCO18 = load_skeleton("coco18")


def main() -> None:
    print(f"{len(LOOKS)} looks of limbs, {SCENES_OF_LOOK} scenes of each, least of {REPEATS} runs of a scene")
    print("found: detected by more than half of the joints; complete: by all joints")
    print("separable: complete, of the people whose joints have peaks of their own")
    print("people  order   median ms  slowest look ms  worst ms   found  complete  separable  false positives")
    times = {}
    for people in (1, 5, 10, 20, 50):
        scenes = [_scene_with(people, seed, look) for look in LOOKS for seed in range(SCENES_OF_LOOK)]
        for order in ("global", "limb"):
            times[people, order] = _least_times(scenes, order=order).reshape(len(LOOKS), SCENES_OF_LOOK)
            _print_range(people, order, scenes, times[people, order])
    print()
    print("half-width  overshoot  noise  median ms of 20 people   of 50")
    for look, *medians in zip(LOOKS, *(np.median(times[people, "global"], axis=1) for people in (20, 50)), strict=True):
        print(f"{look.width:10g}  {look.overshoot:9g}  {look.noise:5g}  {medians[0]:22.2f}  {medians[1]:6.2f}")
    print()
    print(f"Perfect maps, {SCENES} scenes each, least of {REPEATS} runs of a scene")
    print("people  median ms   found  false positives  joints found  mean error (cells)")
    for people in (1, 5, 10, 20, 50):
        perfect = [_scene(people, seed) for seed in range(SCENES)]
        found, invented, joints, error = _quality(perfect)
        median = np.median(_least_times(perfect))
        print(f"{people:6d}  {median:9.2f}  {found:6.1%}  {invented:15d}  {joints:12.2%}  {error:.4f}")
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
            for matching in ("exchange", "greedy", "hungarian"):
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


def _scene_with(people: int, seed: int, look: Look) -> Scene:
    """Returns people (P, K, 2), their heatmaps and PAFs with a look."""
    rng = np.random.default_rng([people, seed])
    placed = crowd(rng, people, SIZE, COCO18)
    return placed, *maps_with(rng, placed, SIZE, COCO18, look)


def _least_times(scenes: list[Scene], **options: str) -> np.ndarray:
    """Returns milliseconds of processor time of each scene, the least of several runs, each after all other scenes."""
    times = np.empty((REPEATS, len(scenes)))
    for run, (scene, (_, maps, pafs)) in product(range(REPEATS), enumerate(scenes)):
        start = time.thread_time()
        decode(maps, pafs, COCO18, **options)  # type: ignore[arg-type]
        times[run, scene] = time.thread_time() - start
    return times.min(axis=0) * 1e3


def _print_range(people: int, order: str, scenes: list[Scene], times: np.ndarray) -> None:
    """Prints the times (looks, scenes of each) and the people found over all looks."""
    found, invented, *_ = _quality(scenes, order=order)
    decoded = [decode(maps, pafs, COCO18, order=order).keypoints for _, maps, pafs in scenes]  # type: ignore[arg-type]
    whole = np.concatenate([complete(placed, each) for (placed, *_), each in zip(scenes, decoded, strict=True)])
    apart = np.concatenate([separable(placed, maps) for placed, maps, _ in scenes])
    print(
        f"{people:6d}  {order:6s}  {np.median(times):9.2f}  {np.median(times, axis=1).max():15.2f}  {times.max():8.2f}"
        f"  {found:6.2%}  {whole.mean():8.2%}  {whole[apart].mean():9.2%}  {invented:15d}"
    )


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
