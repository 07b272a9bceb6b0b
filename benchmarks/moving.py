"""Videos of real people, cut out of photos, who move, cross, leave and return before a moving camera.

The people of coco-people are cut out along their limbs. Each walks a path of its own over a photo, which the camera
pans, zooms and shakes over; posts and nearer people occlude them, and frames drop. Detections are simulated: joints
with noise, missed and low-confidence joints, missed people, false positives, and poses that mix two people who overlap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cairn.datasets.reading import read_labels
from cairn.media.images import read_image
from cairn.structures.annotation import AREA_PER_BOX, Annotation
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

SIZE = (360, 640)
RATE = 25.0
KINDS = ("static", "pan", "shake and zoom")
MIN_VISIBLE = 5  # joints of a person who is labeled
JOINTS = 13  # labeled joints of a person who is cut out


@dataclass(frozen=True, eq=False)
class Cutout:
    """A person of a photo: RGB, opacity from 0 to 1, and joints (K, 2) in its pixels, NaN where not labeled."""

    image: NDArray[np.uint8]
    mask: NDArray[np.float32]
    joints: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """A frame of a video: its time, pixels, ground truth and simulated detections."""

    time: float
    image: NDArray[np.uint8]
    truth: Annotation
    poses: Poses


def cutouts(folder: Path, split: str) -> tuple[list[Cutout], list[Path], Skeleton]:
    """Returns the people of a split of coco-people who are large and complete, its photos, and the skeleton."""
    labels = read_labels(folder / f"{split}.json")
    limbs = labels.skeleton.limbs
    people = []
    for image in labels:
        rows = image.annotation
        tall = (rows.visibility > 0).sum(axis=1) >= JOINTS
        for i in np.flatnonzero(tall & (rows.boxes[:, 3] > 120) & (rows.boxes[:, 3] > 1.5 * rows.boxes[:, 2])):
            people.append(_cut(read_image(image.path), rows.keypoints[i].astype(np.float64), limbs))
    return people, [image.path for image in labels], labels.skeleton


def _cut(image: NDArray[np.uint8], joints: NDArray[np.float64], limbs: tuple[tuple[int, int], ...]) -> Cutout:
    known = ~np.isnan(joints[:, 0])
    tall = float(np.ptp(joints[known, 1]))
    mask = np.zeros(image.shape[:2], np.uint8)
    for a, b in limbs:
        if known[a] and known[b]:
            ends = [tuple(int(v) for v in joints[i]) for i in (a, b)]
            cv2.line(mask, ends[0], ends[1], 255, max(2, int(0.1 * tall)))
    torso = [i for i in (5, 6, 12, 11) if known[i]]  # shoulders and hips
    cv2.fillConvexPoly(mask, joints[torso].astype(np.int32), 255)
    low = np.maximum(joints[known].min(axis=0) - 0.1 * tall, 0).astype(int)
    high = (joints[known].max(axis=0) + 0.1 * tall).astype(int)
    part = slice(low[1], high[1]), slice(low[0], high[0])
    soft = cv2.GaussianBlur(mask, (0, 0), max(0.5, 0.01 * tall))[part].astype(np.float32) / 255
    return Cutout(image[part], soft, joints - low)


def video(
    people: list[Cutout],
    photos: list[Path],
    skeleton: Skeleton,
    kind: str,
    seed: int,
    count: int = 8,
    seconds: int = 10,
) -> Iterator[VideoFrame]:
    """Yields the frames of a video of `count` people."""
    rng = np.random.default_rng(seed)
    width = 2 * SIZE[1] if kind != "static" else SIZE[1]
    world = (int(1.4 * SIZE[0]), width)
    ground = _panorama([photos[i] for i in rng.choice(len(photos), 6)], world)
    chosen = [people[i] for i in rng.choice(len(people), count, replace=False)]
    tall = np.sort(rng.uniform(110, 260, count))  # the last is the nearest
    walks = [_walk(rng, width, tall[i], seconds) for i in range(count)]
    posts = rng.uniform(0, width, max(1, width // 500))
    dropped = rng.random(int(seconds * RATE)) < 0.01
    dropped = np.convolve(dropped, np.ones(6), "full")[: len(dropped)] > 0  # a quarter of a second each
    angle = rng.uniform(0, 6)
    for i in range(int(seconds * RATE)):
        time = i / RATE
        shake = rng.normal(0, 1, 3) if kind == "shake and zoom" else np.zeros(3)
        if dropped[i] and i:
            continue
        camera = _camera(kind, time, angle, shake, world)
        image = cv2.warpAffine(ground, camera, SIZE[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        points, covers = np.full((count, len(skeleton), 2), np.nan), []
        for j in range(count):
            one = chosen[j]
            scale = tall[j] / np.ptp(one.joints[~np.isnan(one.joints[:, 1]), 1])
            swing = 0.06 * np.sin(2 * np.pi * 1.5 * time + j)
            foot = np.array([walks[j](time), world[0] * (0.62 + 0.3 * (tall[j] - 110) / 150)])
            base = np.array([one.mask.shape[1] / 2, one.mask.shape[0]])
            local = np.array([[scale, scale * swing], [0, scale]])
            whole = np.concatenate([local, (foot - local @ base)[:, None]], axis=1)
            whole = camera @ np.concatenate([whole, [[0, 0, 1]]])
            points[j] = one.joints @ whole[:, :2].T + whole[:, 2]
            covers.append(_drawn(image, one, whole))
        for x in posts:
            left, right = ((camera @ [x + off, 0, 1])[0] for off in (-14, 14))
            low, high = int(max(left, 0)), int(max(right, 0))
            image[:, low:high] = (70, 75, 80)
            for cover in covers:
                cover[:, low:high] = False
            covers.append(_column(low, high))
        seen = _seen(points, covers, count)
        truth = _truth(points, seen)
        yield VideoFrame(time, image, truth, detections(rng, truth, skeleton))


def _panorama(photos: list[Path], world: tuple[int, int]) -> NDArray[np.uint8]:
    """Photos side by side."""
    parts = []
    for path in photos:
        photo = read_image(path)
        parts.append(cv2.resize(photo, (round(photo.shape[1] * world[0] / photo.shape[0]), world[0])))
    whole = np.concatenate(parts, axis=1)
    return cv2.resize(whole, world[::-1]) if whole.shape[1] < world[1] else whole[:, : world[1]].copy()


def _drawn(image: NDArray[np.uint8], one: Cutout, whole: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Draws a person on an image, and returns which pixels that covers."""
    height, width = one.mask.shape
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ whole[:, :2].T + whole[:, 2]
    low = np.clip(np.floor(corners.min(axis=0)), 0, SIZE[::-1]).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)), 0, SIZE[::-1]).astype(int)
    cover = np.zeros(SIZE, bool)
    if (high <= low).any():
        return cover
    part, shape = (slice(low[1], high[1]), slice(low[0], high[0])), tuple(int(v) for v in high - low)
    local = whole - np.array([[0, 0, low[0]], [0, 0, low[1]]])
    mask = cv2.warpAffine(one.mask, local, shape)[..., None]
    layer = cv2.warpAffine(one.image, local, shape).astype(np.float32)
    image[part] = (image[part] * (1 - mask) + mask * layer).astype(np.uint8)
    cover[part] = mask[..., 0] > 0.5
    return cover


def _walk(rng: np.random.Generator, width: int, tall: float, seconds: int):
    """A path back and forth, which may leave the frame and come back."""
    turns = np.concatenate([[0], np.cumsum(rng.exponential(4.0, 50))])
    ways = np.cumsum(np.diff(turns) * rng.choice([-1, 1], 50) * rng.uniform(0.2, 0.9, 50) * tall)
    path = np.concatenate([[0], ways]) + rng.uniform(0, width)

    def at(time: float) -> float:
        x = np.interp(time, turns, path)
        span = width + 240
        return float(abs((x + 120 + span) % (2 * span) - span) - 120)

    return at


def _camera(kind: str, time: float, angle: float, shake: NDArray[np.float64], world: tuple[int, int]) -> NDArray:
    """(2, 3) from the world to the image."""
    zoom, x, y, turn = 1.0, 0.0, world[0] - SIZE[0], 0.0
    if kind != "static":
        x = (world[1] - SIZE[1]) * (0.5 + 0.35 * np.sin(0.6 * time + angle))
        y = y * (0.6 + 0.3 * np.sin(0.9 * time + angle))
    if kind == "shake and zoom":
        zoom = 1 + 0.25 * np.sin(0.8 * time + angle)
        x, y, turn = x + 3 * shake[0], y + 3 * shake[1], 0.004 * shake[2]
    middle = np.array([x + SIZE[1] / 2, y + SIZE[0] / 2])
    rotation = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.concatenate([rotation, (np.array([SIZE[1] / 2, SIZE[0] / 2]) - rotation @ middle)[:, None]], axis=1)


def _column(low: int, high: int) -> NDArray[np.bool_]:
    cover = np.zeros(SIZE, bool)
    cover[:, low:high] = True
    return cover


def _seen(points: NDArray, covers: list[NDArray[np.bool_]], count: int) -> NDArray[np.bool_]:
    seen = ~np.isnan(points[..., 0])
    x, y = (np.nan_to_num(points[..., axis], nan=-1).round().astype(int) for axis in (0, 1))
    seen &= (x >= 0) & (y >= 0) & (x < SIZE[1]) & (y < SIZE[0])
    for j in range(count):
        rows = np.flatnonzero(seen[j])
        for cover in covers[j + 1 :]:
            seen[j, rows] &= ~cover[y[j, rows], x[j, rows]]
    return seen & (seen.sum(axis=1) >= MIN_VISIBLE)[:, None]


def _truth(points: NDArray, seen: NDArray[np.bool_]) -> Annotation:
    low, high = np.nanmin(points, axis=1), np.nanmax(points, axis=1)
    return Annotation(
        keypoints=np.where(seen[..., None], points, np.nan).astype(np.float32),
        visibility=np.where(seen, 2, 0).astype(np.uint8),
        boxes=np.concatenate([low, high - low], axis=1).astype(np.float32),
        areas=(AREA_PER_BOX * (high - low).prod(axis=1)).astype(np.float32),
        crowd=np.zeros(len(points), bool),
        tracks=np.arange(len(points)),
    )


def detections(rng: np.random.Generator, truth: Annotation, skeleton: Skeleton) -> Poses:
    """Returns simulated detections of a frame, in random order."""
    size = np.sqrt(truth.areas)[:, None, None]
    seen = truth.visibility > 0
    share = seen.sum(axis=1) / len(skeleton)
    points = truth.keypoints + rng.normal(0, 0.025, truth.keypoints.shape) * size
    confidence = np.where(seen & (rng.random(seen.shape) > 0.1), rng.uniform(0.3, 0.9, seen.shape), 0)
    centers = truth.boxes[:, :2] + truth.boxes[:, 2:] / 2
    for i in range(len(truth)):  # the legs of one with the upper body of another
        apart = np.linalg.norm(centers - centers[i], axis=1) / truth.boxes[i, 2:].max()
        apart[[i, *np.flatnonzero(share == 0)]] = np.inf
        j = int(apart.argmin())
        if share[i] > 0 and apart[j] < 0.2 and rng.random() < 0.15:
            points[i, 11:], confidence[i, 11:] = points[j, 11:], confidence[j, 11:]
    rows = np.flatnonzero(rng.random(len(truth)) < np.clip(2 * share, 0, 0.95))
    rows = rows[(confidence[rows] > 0).any(axis=1)]
    points, confidence = points[rows], confidence[rows]
    ghosts = rng.poisson(0.15) if len(rows) else 0
    extra = rng.integers(0, len(rows), ghosts) if ghosts else np.zeros(0, int)
    points = np.concatenate([points, points[extra] + rng.normal(0, 80, (ghosts, 1, 2))])
    confidence = np.concatenate([confidence, 0.4 * confidence[extra]])
    order = rng.permutation(len(points))
    points = np.where(confidence[..., None] > 0, points, np.nan)[order]
    confidence = confidence[order].astype(np.float32)
    return Poses(points.astype(np.float32), confidence, confidence.mean(axis=1), skeleton)
