"""SLEAP's .slp files (https://sleap.ai), read with sleap-io: the user's labels, without predictions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.category import make_skeleton
from cairn.datasets.formats.format import Format, ReadOptions
from cairn.datasets.formats.hdf5 import root_keys
from cairn.datasets.formats.instances import Instance, ListedImage, checked_points, collect
from cairn.datasets.image_files import locate_images
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Problems
from cairn.errors import LabelError, MissingExtra, SkeletonError
from cairn.media.images import write_image
from cairn.structures.skeleton import Skeleton


def read_sleap(path: Path, options: ReadOptions) -> Labels:
    """Reads the user's instances of a file; a point that is placed but not visible is occluded.

    The labeled frames of videos, and images that are embedded in the file, are written as VIDEO/NUMBER.png into the
    folder `options.frames`.

    Raises:
        LabelError: A record is invalid, or frames need to be written and no folder is given. Names the frame.
        MissingExtra: sleap-io is not installed.
    """
    try:
        import sleap_io
    except ImportError:
        raise MissingExtra("sleap-io", "io") from None
    try:
        content = sleap_io.load_slp(str(path), open_videos=False)
    except Exception as error:  # its type depends on how the file is damaged
        raise LabelError(f"{path} is damaged, or not a file of SLEAP ({type(error).__name__})") from None
    skeleton = _skeleton(content.skeletons, path)
    instances: list[Instance] = []
    listed: list[ListedImage] = []
    for video, video_name, frames in _labeled_frames(content):
        names = _images(video, video_name, [frame.frame_idx for frame in frames], path, options)
        for frame, name in zip(frames, names, strict=True):
            if name is None:
                continue
            with options.problems:
                record = f"{path}: frame {frame.frame_idx} of {video_name}"
                instances += [_instance(labeled, name, content.tracks, record) for labeled in frame.user_instances]
                listed.append(ListedImage(name, None, (f"video {video_name}",), int(frame.frame_idx)))
    if not listed:
        raise LabelError(f"{path} has no labeled frame: correct predictions in SLEAP first")
    return collect(instances, skeleton, path, None, listed, problems=options.problems)


def _sniff(path: Path) -> bool:
    keys = root_keys(path)
    return keys is not None and {"metadata", "frames"} <= keys


def _labeled_frames(content: Any) -> Iterator[tuple[Any, str, list[Any]]]:
    """Each video, its name, and its frames with instances of the user."""
    names = [_video_name(video) for video in content.videos]
    for i, (video, name) in enumerate(zip(content.videos, names, strict=True), start=1):
        frames = [frame for frame in content.labeled_frames if frame.video is video and frame.user_instances]
        if frames:
            unique = names.count(name) == 1
            yield video, name if unique else f"{name}-{i}", sorted(frames, key=lambda frame: frame.frame_idx)


def _images(video: Any, name: str, indices: list[int], path: Path, options: ReadOptions) -> list[str | None]:
    """The image file of each frame; None for a skipped one."""
    images, problems, frames = options.images, options.problems, options.frames
    records = [f"frame {index} of {name}" for index in indices]
    if isinstance(video.filename, list):
        paths = locate_images([str(video.filename[i]) for i in indices], path, images, problems, records=records)
        return [None if image is None else str(image.absolute()) for image in paths]
    embedded = _is_embedded(video, path)
    if frames is None:
        where = "the file itself" if embedded else Path(str(video.filename)).name
        raise LabelError(
            f"{path}: its images are in {where}: cairn convert {path.name} labels.json writes them beside the labels"
        )
    file = str(path) if embedded else _video_file(str(video.filename), path, images)
    try:
        if not embedded:
            video.replace_filename(file)
        video.open()
    except Exception as error:  # its type depends on the package that reads the video
        raise LabelError(f"{path}: cannot open {file} ({type(error).__name__})") from None
    names: list[str | None] = []
    for index, record in zip(indices, records, strict=True):
        names.append(None)
        with problems:
            target = frames / name / f"{index:06d}.png"
            write_image(target, _pixels(video, index, f"{path}: {record}"))
            names[-1] = str(target.absolute())
    return names


def _pixels(video: Any, index: int, record: str) -> NDArray[np.uint8]:
    """(H, W, 3) RGB."""
    try:
        pixels = np.asarray(video[index])
    except Exception as error:
        raise LabelError(f"{record} cannot be read ({type(error).__name__})") from None
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), dtype=np.uint8)


def _video_file(name: str, path: Path, images: Path | None) -> str:
    """The path of a video, whose name in the file may be of another machine."""
    (file,) = locate_images([name], path, images, Problems(), missing_ok=True, records=["video"])
    if file is None or not file.is_file():
        raise LabelError(f"{path}: no video at {file or name}: give its folder with --images")
    return str(file)


def _is_embedded(video: Any, path: Path) -> bool:
    return Path(str(video.filename)).name == path.name


def _video_name(video: Any) -> str:
    """The name of a video; for embedded images, of the video that they are from."""
    source = video.source_video or video
    name = source.filename[0] if isinstance(source.filename, list) else source.filename
    place = Path(str(name).replace("\\", "/"))
    return place.parent.name if isinstance(source.filename, list) else place.name


def _instance(instance: Any, image: str, tracks: list[Any], record: str) -> Instance:
    points = checked_points(instance.points["xy"], record)
    track = next((i for i, track in enumerate(tracks) if track is instance.track), -1)
    return Instance(image, points, ~np.asarray(instance.points["visible"], bool), track=track)


def _skeleton(skeletons: list[Any], path: Path) -> Skeleton:
    if not skeletons:
        raise LabelError(f"{path} has no skeleton")
    first = skeletons[0]
    for other in skeletons[1:]:
        if other.node_names != first.node_names:
            raise LabelError(f"{path} has different skeletons ({first.name}, {other.name}): keep one in each file")
    flips = [(min(pair), max(pair)) for pair in first.symmetry_inds] or None
    limbs = [(int(a), int(b)) for a, b in first.edge_inds]
    try:
        return make_skeleton(first.name or "animal", first.node_names, limbs, flips)
    except SkeletonError as error:
        raise LabelError(f"{path}: {error}") from None


FORMAT = Format("sleap", "SLEAP's .slp", (".slp",), _sniff, read_sleap)
