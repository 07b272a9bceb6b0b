"""Writes .slp files with sleap-io: the user's instances on lists of images, which SLEAP opens for correction."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from cairn.datasets.formats.losses import losses
from cairn.datasets.formats.video_frames import last_number
from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import MissingExtra
from cairn.files import atomic_write
from cairn.structures.geometry import Size


def write_slp(labels: Labels, path: Path, split: str = "") -> tuple[str, ...]:
    """Writes one list of images for each video or folder; occluded points are placed and not visible.

    Args:
        labels: The labels.
        path: The file.
        split: Ignored: SLEAP has no splits.

    Returns:
        A message for each kind of information that the format cannot hold.

    Raises:
        OutputError: The file cannot be written.
        MissingExtra: sleap-io is not installed.
    """
    try:
        import sleap_io
    except ImportError:
        raise MissingExtra("sleap-io", "io") from None
    skeleton = _skeleton(sleap_io, labels)
    ids = sorted({track for image in labels for track in _tracks(image) if track >= 0})
    tracks = {track: sleap_io.Track(f"track_{track}") for track in ids}
    lost: Counter[str] = Counter()
    if ids != list(range(len(ids))):
        lost["track IDs are renumbered from 0: SLEAP has names for them"] += len(ids)
    videos: list[Any] = []
    frames: list[Any] = []
    for images in _by_video(labels).values():
        videos.append(video := _video(sleap_io, images))
        for index, image in enumerate(images):
            lost.update(_lost_frame(image))
            instances = [
                _instance(sleap_io, image, i, skeleton, tracks)
                for i in np.flatnonzero(image.annotation.labeled).tolist()
            ]
            frames.append(
                sleap_io.LabeledFrame(
                    video=video, frame_idx=index, instances=instances, is_negative=not len(image.annotation)
                )
            )
    content = sleap_io.Labels(
        labeled_frames=frames, videos=videos, skeletons=[skeleton], tracks=[tracks[track] for track in ids]
    )
    with atomic_write(path) as beside:
        sleap_io.save_slp(content, str(beside), embed=False, verbose=False)
    own = (f"{count} {what}" for what, count in lost.items())
    return (*losses(labels, "SLEAP", ("track IDs", "frames", "joints")), *own)


def _by_video(labels: Labels) -> dict[tuple[str, Path, Size], list[LabeledImage]]:
    """The images of each video, or of each folder, in the order of their frames; of one size, as SLEAP needs them."""
    videos: dict[tuple[str, Path, Size], list[LabeledImage]] = {}
    for image in labels:
        video = next((group for group in image.groups if group.startswith("video ")), "")
        videos.setdefault((video, image.path.absolute().parent, image.size), []).append(image)
    return {
        name: sorted(images, key=lambda image: -1 if image.frame is None else image.frame)
        for name, images in videos.items()
    }


def _video(sleap_io: Any, images: list[LabeledImage]) -> Any:
    """A list of images, which sleap-io need not open."""
    names = [str(image.path.absolute()) for image in images]
    height, width = images[0].size
    video = sleap_io.Video(filename=names, open_backend=False)
    video.backend_metadata = {
        "type": "ImageVideo",
        "shape": (len(images), height, width, 3),
        "filename": names[0],
        "filenames": names,
        "height_": height,
        "width_": width,
        "channels_": 3,
        "grayscale": False,
    }
    return video


def _lost_frame(image: LabeledImage) -> list[str]:
    """What an image loses: its video and frame number are read from its path."""
    lost = []
    if image.frame is not None and last_number(image.path.name) != image.frame:
        lost.append("images lose their frame number: SLEAP numbers the images of a list")
    video = next((group for group in image.groups if group.startswith("video ")), None)
    if video is not None and video != f"video {image.path.absolute().parent.name}":
        lost.append("images lose the name of their video: SLEAP has that of their folder")
    if any(group.startswith("subject ") for group in image.groups):
        lost.append("images lose their subject: SLEAP has no field for it")
    rows = image.annotation
    if len(rows) and not rows.labeled.any():
        lost.append("images whose instances have no keypoints are unlabeled in SLEAP, and not read back")
    lost += ["instances without keypoints are skipped: SLEAP has no boxes"] * int((~rows.labeled & ~rows.crowd).sum())
    if rows.classes is not None:
        lost += ["instances lose their class: SLEAP has no field for it"] * len(rows)
    return lost


def _skeleton(sleap_io: Any, labels: Labels) -> Any:
    skeleton = labels.skeleton
    joints = skeleton.joints
    return sleap_io.Skeleton(
        list(joints),
        edges=[(joints[a], joints[b]) for a, b in skeleton.limbs],
        symmetries=[(joints[a], joints[b]) for a, b in skeleton.flip_pairs],
        name=skeleton.name,
    )


def _tracks(image: LabeledImage) -> list[int]:
    return [] if image.annotation.tracks is None else image.annotation.tracks.tolist()


def _instance(sleap_io: Any, image: LabeledImage, i: int, skeleton: Any, tracks: dict[int, Any]) -> Any:
    rows = image.annotation
    points = np.where(rows.visibility[i, :, None] > 0, rows.keypoints[i], np.nan).astype(np.float64)
    track = None if rows.tracks is None else tracks.get(int(rows.tracks[i]))
    instance = sleap_io.Instance.from_numpy(points, skeleton=skeleton, track=track)
    instance.points["visible"] = rows.visibility[i] == 2
    return instance
