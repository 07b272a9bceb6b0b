"""Writes a project folder that DeepLabCut opens: config.yaml, and labeled-data with copies of the images."""

from __future__ import annotations

import datetime
import json
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np

from cairn.datasets.formats.coco.writing import decimals
from cairn.datasets.formats.deeplabcut.config import NAME
from cairn.datasets.formats.deeplabcut.csv_file import HEADER, csv_text
from cairn.datasets.formats.deeplabcut.data_frame import Column, write_data_frame
from cairn.datasets.formats.deeplabcut.individuals import Layout, layout_of, video_of
from cairn.datasets.formats.deeplabcut.label_files import PREFIX
from cairn.datasets.formats.deeplabcut.sheet import UNIQUE
from cairn.datasets.formats.losses import losses
from cairn.datasets.formats.video_frames import folder_name, last_number
from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import ImageError, MissingExtra, OutputError
from cairn.files import atomic_write
from cairn.media.images import read_image, write_image
from cairn.media.video import VIDEO_SUFFIXES

SCORER = "cairn"
FIRST_LINE = "# Labels converted by Cairn."
COPIED = (".png", ".jpg", ".jpeg")
"""Suffixes of images that DeepLabCut's labeling tool opens; others are written as .png."""

DEFAULTS = """\
start: 0
stop: 1
numframes2pick: 20
skeleton_color: black
pcutoff: 0.6
dotsize: 12
alphavalue: 0.7
colormap: rainbow
TrainingFraction: [0.95]
iteration: 0
default_net_type: resnet_50
snapshotindex: -1
detector_snapshotindex: -1
batch_size: 8
detector_batch_size: 1
cropping: false
x1: 0
x2: 640
y1: 277
y2: 624
corner2move2: [50, 50]
move2corner: true
"""
"""What DeepLabCut writes into the config.yaml of a new project."""


def write_deeplabcut(labels: Labels, folder: Path, split: str = "") -> tuple[str, ...]:
    """Writes one folder of labeled-data for each video, or for each folder of images.

    Args:
        labels: The labels.
        folder: Folder of the project. A project of another origin is not changed.
        split: Ignored: DeepLabCut has no splits.

    Returns:
        A message for each kind of information that the format cannot hold.

    Raises:
        OutputError: The folder has another project, or cannot be written.
    """
    _check_own(folder / NAME)
    layout, videos = layout_of(labels), _by_video(labels)
    columns = _columns(labels, layout)
    lost = Counter[str]()
    partial = folder / f".labeled-data.{os.getpid()}.partial"
    try:
        for video, images in videos.items():
            _write_video(images, partial / video, columns, layout, lost)
        for video in videos:
            target = folder / "labeled-data" / video
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            (partial / video).replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    with atomic_write(folder / NAME) as path:
        path.write_text(_config(labels, layout, videos, folder), encoding="utf-8")
    held = ("frames", "joints", *(["track IDs"] if layout.individuals else []))
    return (*losses(labels, "DeepLabCut", held), *(f"{count} {what}" for what, count in lost.items()))


def _check_own(config: Path) -> None:
    if not config.exists():
        return
    try:
        own = config.read_text(encoding="utf-8").startswith(FIRST_LINE)
    except (OSError, UnicodeDecodeError):
        own = False
    if not own:
        raise OutputError(f"{config} is of another project: choose another folder")


def _by_video(labels: Labels) -> dict[str, list[LabeledImage]]:
    """The images of each folder of labeled-data, which has the name of a video, or of a folder of images.

    A video with several images of the same name gets several folders.
    """
    folders: dict[tuple[str, str, int], dict[str, LabeledImage]] = {}
    for image in labels:
        video, name = video_of(image), _image_name(image).casefold()
        place, number = "" if video else str(image.path.absolute().parent), 0
        while name in folders.get((video, place, number), {}):
            number += 1
        folders.setdefault((video, place, number), {})[name] = image
    named: dict[str, list[LabeledImage]] = {}
    for (video, place, _), images in folders.items():
        base = folder_name(video or place)
        base = base[: -len(Path(base).suffix)] if Path(base).suffix.lower() in VIDEO_SUFFIXES else base
        name, number = base, 1
        while name.casefold() in (other.casefold() for other in named):
            number += 1
            name = f"{base}-{number}"
        named[name] = sorted(images.values(), key=_image_name)
    return named


def _image_name(image: LabeledImage) -> str:
    return image.path.name if image.path.suffix.lower() in COPIED else f"{image.path.stem}.png"


def _columns(labels: Labels, layout: Layout) -> list[tuple[int, int, str, str]]:
    """(individual, joint, name of the individual, name of the joint) of each pair of columns."""
    joints = labels.skeleton.joints
    if not layout.individuals:
        return [(0, joint, "", joints[joint]) for joint in layout.animal]
    names = _individuals(layout)
    columns = [(i, joint, name, joints[joint]) for i, name in enumerate(names) for joint in layout.animal]
    return columns + [(-1, joint, UNIQUE, joints[joint]) for joint in layout.unique]


def _individuals(layout: Layout) -> list[str]:
    return [f"individual{i + 1}" for i in range(layout.individuals)]


def _write_video(
    images: list[LabeledImage],
    folder: Path,
    columns: list[tuple[int, int, str, str]],
    layout: Layout,
    lost: Counter[str],
) -> None:
    """Copies the images of a folder and writes their labels as .csv, and as .h5 where h5py is installed."""
    folder.mkdir(parents=True)
    values = np.full((len(images), 2 * len(columns)), np.nan)
    names: list[Column] = []
    place = {(individual, joint): 2 * i for i, (individual, joint, _, _) in enumerate(columns)}
    for number, image in enumerate(images):
        names.append(("labeled-data", folder.name, _image_name(image)))
        _copy(image.path, folder / names[-1][-1])
        rows = image.annotation
        _count_lost(image, layout, lost)
        for row, individual in layout.assigned(image):
            for joint in np.flatnonzero(rows.visibility[row]).tolist():
                start = place[individual, joint]
                values[number, start : start + 2] = decimals(rows.keypoints[row, joint])
    header = [
        (SCORER, *([individual] if individual else []), joint, axis)
        for _, _, individual, joint in columns
        for axis in "xy"
    ]
    cells = [[f"{value!r}" if np.isfinite(value) else "" for value in row] for row in values.tolist()]
    (folder / f"{PREFIX}{SCORER}.csv").write_text(csv_text(header, names, cells), encoding="utf-8")
    levels = HEADER if layout.individuals else (HEADER[0], *HEADER[2:])
    try:
        write_data_frame(folder / f"{PREFIX}{SCORER}.h5", header, levels, names, values)
    except MissingExtra:
        lost[".csv files have no .h5: install h5py, or run DeepLabCut's convertcsv2h5"] += 1


def _count_lost(image: LabeledImage, layout: Layout, lost: Counter[str]) -> None:
    rows = image.annotation
    occluded = int((rows.visibility[rows.labeled] == 1).sum())
    boxes = int((~rows.labeled & ~rows.crowd).sum())
    slots = [] if rows.tracks is None or not layout.slots else [slot for _, slot in layout.assigned(image)]
    frame = int(image.frame is not None and last_number(image.path.name) != image.frame)
    subject = int(any(group.startswith("subject ") for group in image.groups))
    untracked = sum(slot > max(layout.slots.values()) for slot in slots)
    for what, count in (
        ("occluded keypoints are written as visible: DeepLabCut has no field for them", occluded),
        ("instances without keypoints are skipped: DeepLabCut has no boxes", boxes),
        ("instances lose their class: DeepLabCut has no field for it", 0 if rows.classes is None else len(rows)),
        ("instances without a track ID become individuals of their own", untracked),
        ("images lose their frame number: DeepLabCut has that in the name of the image", frame),
        ("images lose their subject: DeepLabCut has no field for it", subject),
    ):
        if count:
            lost[what] += count


def _copy(image: Path, target: Path) -> None:
    if image.suffix.lower() in COPIED:
        shutil.copyfile(image, target)
        return
    try:
        write_image(target, read_image(image))
    except ImageError as error:
        raise OutputError(f"cannot copy an image: {error}") from None


def _config(labels: Labels, layout: Layout, videos: dict[str, list[LabeledImage]], folder: Path) -> str:
    """The text of config.yaml. Strings are written as JSON, which is valid YAML."""

    def text(value: object) -> str:
        return json.dumps(value, ensure_ascii=False)

    skeleton = labels.skeleton
    joints = [[skeleton.joints[joint] for joint in group] for group in (layout.animal, layout.unique)]
    date, place = datetime.date.today(), folder.resolve().as_posix()
    lines = [
        f"{FIRST_LINE} The videos are named after their folders in labeled-data.",
        f"Task: {text(skeleton.name)}",
        f"scorer: {SCORER}",
        f"date: {date:%b}{date.day}",
        f"multianimalproject: {text(bool(layout.individuals))}",
        f"identity: {text(bool(layout.slots))}",
        f"project_path: {text(place)}",
        "engine: pytorch",
        "video_sets:",
    ]
    for name, images in videos.items():
        height, width = images[0].size
        lines += [f"  {text(f'{place}/videos/{name}.mp4')}:", f"    crop: 0, {width}, 0, {height}"]
    if layout.individuals:
        lines += [
            f"individuals: {text(_individuals(layout))}",
            f"multianimalbodyparts: {text(joints[0])}",
            f"uniquebodyparts: {text(joints[1])}",
            "bodyparts: MULTI!",
            "default_track_method: ellipse",
            "default_augmenter: albumentations",
        ]
    else:
        lines += [f"bodyparts: {text(joints[0])}", "default_augmenter: default"]
    limbs = [[skeleton.joints[a], skeleton.joints[b]] for a, b in skeleton.limbs]
    lines += [f"skeleton: {text(limbs)}", DEFAULTS]
    return "\n".join(lines)
