"""SLEAP's .slp files (https://sleap.ai), through sleap-io: what somebody labeled in them, not what was predicted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cairn.datasets.formats.category import described
from cairn.datasets.formats.people import Listed, Person, gather, placed
from cairn.datasets.image_files import located
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Faults
from cairn.errors import LabelError, MissingExtra, SkeletonError
from cairn.media.images import write_image
from cairn.structures.skeleton import Skeleton


def read_sleap(
    path: Path, images: Path | None = None, frames: Path | None = None, faults: Faults | None = None
) -> Labels:
    """The labeled instances of a file; a point that is placed but not visible is hidden.

    images  folder of the images or videos that it names
    frames  where to write the labeled frames of videos, and of images that are in the file itself; None refuses
            files that have such. A frame is VIDEO/NUMBER.png
    Raises LabelError with file and frame where anything cannot be used, MissingExtra without sleap-io.
    """
    try:
        import sleap_io
    except ImportError:
        raise MissingExtra("sleap-io", "io") from None
    faults = faults or Faults()
    try:
        content = sleap_io.load_slp(str(path), open_videos=False)
    except Exception as error:  # sleap-io and h5py raise whatever a damaged file leads them into
        raise LabelError(f"{path} is damaged, or not SLEAP's ({type(error).__name__})") from None
    skeleton = _skeleton(content.skeletons, path)
    people: list[Person] = []
    listed: list[Listed] = []
    for video, called, labeled in _labeled(content):
        names = _images(video, called, [frame.frame_idx for frame in labeled], path, images, frames, faults)
        for frame, name in zip(labeled, names, strict=True):
            if name is None:
                continue
            with faults:
                record = f"{path}: frame {frame.frame_idx} of {called}"
                people += [_person(instance, name, content.tracks, record) for instance in frame.user_instances]
                listed.append(Listed(name, None, (f"video {called}",), int(frame.frame_idx)))
    if not listed:
        raise LabelError(f"{path} has no labeled frame: what was predicted must be corrected in SLEAP first")
    return gather(people, skeleton, path, None, listed=listed, faults=faults)


def _labeled(content: Any) -> Iterator[tuple[Any, str, list[Any]]]:
    """Each video, what it is called, and its frames in which somebody placed an instance."""
    names = [_name(video) for video in content.videos]
    for i, (video, name) in enumerate(zip(content.videos, names, strict=True), start=1):
        frames = [frame for frame in content.labeled_frames if frame.video is video and frame.user_instances]
        if frames:
            alone = names.count(name) == 1
            yield video, name if alone else f"{name}-{i}", sorted(frames, key=lambda frame: frame.frame_idx)


def _images(
    video: Any,
    name: str,
    indices: list[int],
    path: Path,
    images: Path | None,
    frames: Path | None,
    faults: Faults,
) -> list[str | None]:
    """The file of each frame."""
    called = [f"frame {index} of {name}" for index in indices]
    if isinstance(video.filename, list):
        paths = located([str(video.filename[index]) for index in indices], path, images, faults, called=called)
        return [None if found is None else str(found.absolute()) for found in paths]
    inside = _is_inside(video, path)
    if frames is None:
        where = "the file itself" if inside else Path(str(video.filename)).name
        raise LabelError(
            f"{path}: its images are in {where}: cairn convert {path.name} labels.json writes them beside the labels"
        )
    found = str(path) if inside else _video_file(str(video.filename), path, images)
    try:
        if not inside:
            video.replace_filename(found)
        video.open()
    except Exception as error:  # whatever the program that reads it raises
        raise LabelError(f"{path}: cannot open {found} ({type(error).__name__})") from None
    names: list[str | None] = []
    for index, what in zip(indices, called, strict=True):
        names.append(None)
        with faults:
            target = frames / name / f"{index:06d}.png"
            write_image(target, _pixels(video, index, f"{path}: {what}"))
            names[-1] = str(target.absolute())
    return names


def _pixels(video: Any, index: int, record: str) -> np.ndarray:
    """(H, W, 3) uint8 RGB."""
    try:
        pixels = np.asarray(video[index])
    except Exception as error:
        raise LabelError(f"{record} cannot be read ({type(error).__name__})") from None
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), dtype=np.uint8)


def _video_file(name: str, path: Path, images: Path | None) -> str:
    """Where a video lies, which is named as on the machine of whoever labeled it."""
    (found,) = located([name], path, images, Faults(), absent_ok=True, called=["video"])
    assert found is not None
    if not found.is_file():
        raise LabelError(f"{path}: there is no video at {found}: say where it lies with --images")
    return str(found)


def _is_inside(video: Any, path: Path) -> bool:
    return Path(str(video.filename)).name == path.name


def _name(video: Any) -> str:
    """What the video is called: of images that were put into the file, the video that they are from."""
    source = video.source_video or video
    name = source.filename[0] if isinstance(source.filename, list) else source.filename
    place = Path(str(name).replace("\\", "/"))
    return place.parent.name if isinstance(source.filename, list) else place.name


def _person(instance: Any, image: str, tracks: list[Any], record: str) -> Person:
    points = placed(instance.points["xy"], record)
    track = next((i for i, track in enumerate(tracks) if track is instance.track), -1)
    return Person(image, points, ~np.asarray(instance.points["visible"], bool), track=track)


def _skeleton(skeletons: list[Any], path: Path) -> Skeleton:
    if not skeletons:
        raise LabelError(f"{path} has no skeleton")
    first = skeletons[0]
    for other in skeletons[1:]:
        if other.node_names != first.node_names:
            raise LabelError(f"{path} has different skeletons ({first.name}, {other.name}): keep one in each file")
    flips = [tuple(sorted(pair)) for pair in first.symmetry_inds] or None
    limbs = [(int(a), int(b)) for a, b in first.edge_inds]
    try:
        return described(first.name or "animal", first.node_names, limbs, flips)
    except SkeletonError as error:
        raise LabelError(f"{path}: {error}") from None
