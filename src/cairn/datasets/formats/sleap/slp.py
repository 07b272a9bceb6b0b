"""Reads .slp files with sleap-io: the user's labels, without predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.hdf5 import check_readable
from cairn.datasets.formats.category import make_skeleton
from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.formats.instances import Instance, ListedImage, checked_points, collect
from cairn.datasets.formats.video_frames import find_video, folder_name, frames_folder, last_number
from cairn.datasets.image_files import locate_images
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Problems
from cairn.errors import LabelError, MissingExtra, SkeletonError
from cairn.media.images import write_image
from cairn.structures.skeleton import Limb, Skeleton


class LabeledVideo(NamedTuple):
    """A video with labeled frames: sleap-io's objects, and the name of the video, which is unique."""

    video: Any
    name: str
    frames: list[Any]


def read_slp(path: Path, options: ReadOptions) -> Labels:
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
    check_readable([path])
    try:
        content = sleap_io.load_slp(str(path), open_videos=False)
    except Exception as error:  # its type depends on how the file is damaged
        raise LabelError(f"{path} is damaged, or not a file of SLEAP ({type(error).__name__})") from None
    videos = _labeled_videos(content)
    if not videos:
        raise LabelError(f"{path} has no labeled frame: correct predictions in SLEAP first")
    skeleton = _skeleton(videos, path, options.problems)
    instances: list[Instance] = []
    entries: dict[str, ListedImage] = {}
    for labeled, names in zip(videos, _images(videos, path, options), strict=True):
        numbers = _numbers(labeled)
        for frame, number, name in zip(labeled.frames, numbers, names, strict=True):
            if name is None:
                continue
            with options.problems:
                record = f"{path}: frame {frame.frame_idx} of {labeled.name}"
                own = [_instance(instance, name, content.tracks, record) for instance in frame.user_instances]
                entry = ListedImage(name, None, (f"video {labeled.name}",), number)
                if entries.setdefault(name, entry) != entry:
                    raise LabelError(f"{record} is {name}, which is another frame already: list an image once")
                instances += own
    return collect(instances, skeleton, path, None, entries.values(), problems=options.problems)


def _labeled_videos(content: Any) -> list[LabeledVideo]:
    """The videos with instances of the user, in the order of the file, and their labeled frames in order."""
    frames: dict[int, list[Any]] = {}
    for frame in content.labeled_frames:
        if frame.user_instances or getattr(frame, "is_negative", False):  # negative: the user saw that it is empty
            frames.setdefault(id(frame.video), []).append(frame)
    places: dict[str, list[str]] = {}  # of each name
    for video in content.videos:
        if (place := _place(video)) not in (known := places.setdefault(_video_name(video), [])):
            known.append(place)
    videos = []
    for video in content.videos:
        if id(video) in frames:
            name, own = _video_name(video), sorted(frames[id(video)], key=lambda frame: int(frame.frame_idx))
            number = places[name].index(_place(video)) + 1
            videos.append(LabeledVideo(video, name if len(places[name]) == 1 else f"{name}-{number}", own))
    return videos


def _numbers(labeled: LabeledVideo) -> list[int]:
    """The frame number of each frame: where the video is a list of images, that in the name of the image."""
    indices = [int(frame.frame_idx) for frame in labeled.frames]
    if isinstance(labeled.video.filename, list):
        numbers = [last_number(str(name)) for name in labeled.video.filename]
        known = [number for number in numbers if number is not None]
        if len(set(known)) == len(numbers) and all(0 <= index < len(known) for index in indices):
            return [known[index] for index in indices]
    return indices


def _images(videos: Sequence[LabeledVideo], path: Path, options: ReadOptions) -> list[list[str | None]]:
    """The image file of each frame of each video; None for a skipped one."""
    files = _video_files(videos, path, options)
    images: list[list[str | None]] = []
    for labeled, file in zip(videos, files, strict=True):
        images.append([None] * len(labeled.frames))
        with options.problems:
            if isinstance(labeled.video.filename, list):
                images[-1] = _listed_images(labeled, path, options)
            elif isinstance(file, LabelError):
                raise file
            else:
                images[-1] = _written_frames(labeled, file, path, options)
    return images


def _listed_images(labeled: LabeledVideo, path: Path, options: ReadOptions) -> list[str | None]:
    listed = labeled.video.filename
    records, names = [], []
    for frame in labeled.frames:
        index = int(frame.frame_idx)
        if not 0 <= index < len(listed):
            raise LabelError(f"{path}: frame {index} of {labeled.name} is not among its {len(listed)} images")
        records.append(f"frame {index} of {labeled.name}")
        names.append(str(listed[index]))
    first: dict[str, int] = {}  # a frame that is labeled twice is one image
    unique = [i for i, name in enumerate(names) if first.setdefault(name, i) == i]
    found = locate_images(
        [names[i] for i in unique], path, options.images, options.problems, records=[records[i] for i in unique]
    )
    paths = {names[i]: image for i, image in zip(unique, found, strict=True)}
    return [None if (image := paths[name]) is None else str(image.absolute()) for name in names]


def _written_frames(labeled: LabeledVideo, file: Path, path: Path, options: ReadOptions) -> list[str | None]:
    video, problems = labeled.video, options.problems
    embedded = _is_embedded(video, path)
    folder = frames_folder(path, options, "the file itself" if embedded else file.name) / folder_name(labeled.name)
    try:
        if not embedded:
            video.replace_filename(str(file))
        video.open()
    except Exception as error:  # its type depends on the package that reads the video
        raise LabelError(f"{path}: cannot open {file} ({type(error).__name__})") from None
    names: list[str | None] = []
    for frame in labeled.frames:
        names.append(None)
        index = int(frame.frame_idx)
        with problems:
            target = folder / f"{index:06d}.png"
            write_image(target, _pixels(video, index, f"{path}: frame {index} of {labeled.name}"))
            names[-1] = str(target.absolute())
    return names


def _pixels(video: Any, index: int, record: str) -> NDArray[np.uint8]:
    """(H, W, 3) RGB."""
    try:
        pixels = np.asarray(video[index])
        color = np.broadcast_to(pixels[..., :3], (*pixels.shape[:2], 3))
    except Exception as error:
        raise LabelError(f"{record} cannot be read ({type(error).__name__})") from None
    return np.ascontiguousarray(color, dtype=np.uint8)


def _video_files(videos: Sequence[LabeledVideo], path: Path, options: ReadOptions) -> list[Path | LabelError]:
    """The file of each video, whose name in the label file may be of another machine, or why there is none."""
    files: list[Path | LabelError] = []
    owners: dict[Path, str] = {}
    for labeled in videos:
        name = labeled.video.filename
        if isinstance(name, list) or _is_embedded(labeled.video, path):
            files.append(path)
            continue
        try:
            file = find_video(str(name), path, options)
            if file is None:
                raise LabelError(f"{path}: no video at {name}: give its folder with --images")
            other = owners.setdefault(file.resolve(), str(name))
            if other != str(name):
                raise LabelError(
                    f"{path}: the videos {other} and {name} are both found as {file}: give one in each file"
                )
            files.append(file)
        except LabelError as error:
            files.append(error)
    return files


def _is_embedded(video: Any, path: Path) -> bool:
    return not isinstance(video.filename, list) and Path(str(video.filename)).name == path.name


def _video_name(video: Any) -> str:
    """The name of a video; for embedded images, of the video that they are from; for a list of images, its folder."""
    source = video.source_video or video
    if isinstance(source.filename, list):
        first = str(source.filename[0]) if source.filename else ""
        return folder_name(first.replace("\\", "/").rpartition("/")[0])
    return folder_name(str(source.filename))


def _place(video: Any) -> str:
    """The folder of a list of images, several of which may be of one video; otherwise the video itself."""
    if isinstance(video.filename, list) and video.filename:
        return str(video.filename[0]).replace("\\", "/").rpartition("/")[0]
    return f"{id(video)}"


def _instance(instance: Any, image: str, tracks: list[Any], record: str) -> Instance:
    points = checked_points(instance.points["xy"], record)
    track = next((i for i, track in enumerate(tracks) if track is instance.track), -1)
    return Instance(image, points, ~np.asarray(instance.points["visible"], bool), track=track)


def _skeleton(videos: Sequence[LabeledVideo], path: Path, problems: Problems) -> Skeleton:
    """The skeleton of the user's instances."""
    instances = [instance for labeled in videos for frame in labeled.frames for instance in frame.user_instances]
    used = list({id(instance.skeleton): instance.skeleton for instance in instances}.values())
    if not used:
        raise LabelError(f"{path} has no labeled instance")
    first = used[0]
    for other in used[1:]:
        if other.node_names != first.node_names:
            raise LabelError(f"{path} has different skeletons ({first.name}, {other.name}): keep one in each file")
    limbs = [(int(a), int(b)) for a, b in first.edge_inds]
    flips: list[Limb] = []
    for pair in first.symmetry_inds:
        a, b = sorted(int(joint) for joint in pair)
        if any({a, b} & set(known) for known in flips) or a == b:
            problems.note("symmetries of a joint that has another one are ignored", f"{first.node_names[a]}")
        else:
            flips.append((a, b))
    try:
        return make_skeleton(first.name or "animal", first.node_names, limbs, flips or None)
    except SkeletonError as error:
        raise LabelError(f"{path}: {error}") from None
