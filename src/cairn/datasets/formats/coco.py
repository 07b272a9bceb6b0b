"""Labels in COCO's keypoint format (https://cocodataset.org/#format-data): the form that most tools write.

CVAT, Label Studio, coco-annotator and others write dialects of it; docs/labels.md says how each differs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.category import category_of, skeleton_of_category
from cairn.datasets.formats.coco_rows import Fail, Record, is_int, rows_of
from cairn.datasets.image_files import located
from cairn.datasets.labels import LabeledImage, Labels
from cairn.datasets.problems import Faults
from cairn.errors import LabelError, SkeletonError
from cairn.files import atomic_write
from cairn.structures.geometry import Size
from cairn.structures.skeleton import Skeleton

VIDEOS = ("video", "video_id", "vid_id", "video_name", "sequence", "subject", "subject_id")  # what images share
FRAMES = ("frame", "frame_id", "frame_index", "frame_idx")


def read_coco(
    labels: Path,
    images: Path | None = None,
    skeleton: Skeleton | None = None,
    absent_ok: bool = False,
    faults: Faults | None = None,
) -> Labels:
    """The labels of a COCO keypoint file.

    images    folder of the images; None looks where tools put them (see `image_files`)
    skeleton  the joints wanted, matched by name; None takes the file's: a definition of Cairn's where
              the names and their order are the same, else what the file's category says
    absent_ok an image that is listed need not be there: for who looks which are
    faults    takes the records that cannot be used; None lets none pass

    Joints with v = 0 become NaN. A box that is missing is drawn around the joints, an area that is missing is
    0.53 of the box. A joint that no object of the file has counts as not known to it. Who an object is in a video
    is read from `track`, `track_id` or `instance_id`, where that is a number from 0; what images share (VIDEOS) and
    their place in it (FRAMES) from the fields of those names.
    Raises LabelError with file and record where anything is missing, of a wrong type or contradictory.
    """
    labels, faults = Path(labels), faults or Faults()
    content = _read_json(labels)

    def fail(reason: str) -> LabelError:
        return LabelError(f"{labels}: {reason}")

    categories, own = _keypoint_categories(content["categories"], fail)
    records = _records(content["images"], fail, faults)
    names = [record["file_name"] for record in records]
    called = [f"image {record['id']}" for record in records]
    paths = located(names, labels, images, faults, absent_ok, called)
    entries = [(record, path) for record, path in zip(records, paths, strict=True) if path is not None]
    numbers = [record["id"] for record, _ in entries]
    left_out = {row["id"] for row in content["images"] if isinstance(row, dict) and is_int(row.get("id"))}
    left_out -= set(numbers)
    everything, image_of = rows_of(content["annotations"], categories, numbers, left_out, len(own), fail, faults)
    if not everything.labeled.any():
        raise fail("no object has a labeled joint: every v is 0")

    order = np.argsort(image_of, kind="stable")
    cuts = np.searchsorted(image_of[order], np.arange(len(entries) + 1))
    everything = everything[order]
    result = Labels(
        skeleton=own,
        images=tuple(
            LabeledImage(record["id"], path, _size(record), everything[start:end], *_kin(record, path))
            for (record, path), start, end in zip(entries, cuts[:-1], cuts[1:], strict=True)
        ),
        known=np.any(everything.visibility > 0, axis=0),
    )
    if skeleton is None:
        return result
    try:
        return result.mapped(skeleton)
    except LabelError as error:
        raise fail(str(error)) from None


def write_coco(labels: Labels, path: Path) -> None:
    """Writes labels so that `read_coco` reads the same; image names are relative to the file where they can be.

    Raises OutputError where the file cannot be written.
    """
    path = Path(path)
    folder = path.parent / "images" if (path.parent / "images").is_dir() else path.parent
    images: list[dict] = []
    annotations: list[dict] = []
    for image in labels:
        height, width = image.size
        images.append(
            {
                "id": image.id,
                "file_name": name_in(folder, image.path),
                "width": width,
                "height": height,
                **shared_by(image),
            }
        )
        rows = image.annotation
        points = np.concatenate([np.nan_to_num(rows.keypoints), rows.visibility[..., None]], axis=2, dtype=np.float32)
        for i in range(len(rows)):
            track = -1 if rows.tracks is None else int(rows.tracks[i])
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image.id,
                    "category_id": 1,
                    "keypoints": decimals(points[i].ravel()),
                    "num_keypoints": int((rows.visibility[i] > 0).sum()),
                    "bbox": decimals(rows.boxes[i]),
                    "area": decimals(rows.areas[i : i + 1])[0],
                    "iscrowd": int(rows.crowd[i]),
                    **({"track_id": track} if track >= 0 else {}),
                }
            )
    categories = [category_of(labels.skeleton)]
    with atomic_write(path) as beside:
        beside.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def decimals(values: NDArray[np.float32]) -> list[float | int]:
    """Numbers in the fewest digits that single precision reads back as the same."""
    return [int(v) if v == int(v) else float(str(v)) for v in values]


def name_in(folder: Path, image: Path) -> str:
    """What an image is called in a label file: relative to the folder where it lies in there."""
    there = image.resolve().is_relative_to(folder.resolve())
    return (image.resolve().relative_to(folder.resolve()) if there else image.absolute()).as_posix()


def shared_by(image: LabeledImage) -> dict[str, Any]:
    """The video and the subject that an image is of, and its frame; what of these is known."""
    kin = dict(name.split(" ", 1) for name in image.kin if name.split(" ", 1)[0] in ("video", "subject"))
    return {**kin, **({} if image.frame is None else {"frame": image.frame})}


def _read_json(path: Path) -> dict[str, list]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = json.loads(text) if text.strip() else None
    except OSError as error:
        raise LabelError(f"cannot read labels {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise LabelError(f"{path} is not JSON: it is no UTF-8 text") from None
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{path} is not JSON that can be read: {error}") from None
    if content is None:
        raise LabelError(f"{path} is empty")
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise LabelError(f"{path} is not in COCO's format: expected an object with a list {key!r}")
    return content


def _keypoint_categories(categories: list, fail: Fail) -> tuple[dict[int, bool], Skeleton]:
    """Which category ids have keypoints, and the skeleton that those share."""
    found: dict[int, Skeleton] = {}
    posed: dict[int, bool] = {}
    for i, category in enumerate(categories):
        if not isinstance(category, dict) or not is_int(category.get("id")):
            raise fail(f"categories[{i}] needs an integer id")
        if category["id"] in posed:
            raise fail(f"category id {category['id']} stands twice")
        names = category.get("keypoints")
        posed[category["id"]] = bool(names)  # CVAT gives each category a list, coco-annotator those that have some
        if not names:
            continue
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise fail(f"category {category['id']}: keypoints must be a list of joint names, got {names!r:.80}")
        try:
            found[category["id"]] = skeleton_of_category(category)
        except SkeletonError as error:
            raise fail(f"category {category['id']}: {error}") from None
    if not found:
        raise fail("no category has keypoints: expected a list of joint names under categories[0].keypoints")
    first = next(iter(found.values()))
    for number, other in found.items():
        if other.joints != first.joints:
            raise fail(
                f"categories have different keypoints ({first.name} {len(first)}, {other.name} {len(other)}, "
                f"id {number}): keep one category in each file"
            )
    return posed, first


def _records(records: list, fail: Fail, faults: Faults) -> list[Record]:
    """The records of images that have what they need."""
    sound: list[Record] = []
    seen: set[int] = set()
    for i, record in enumerate(records):
        with faults:
            if not isinstance(record, dict) or not is_int(record.get("id")):
                raise fail(f"images[{i}] needs an integer id")
            number, name = record["id"], record.get("file_name")
            if number in seen:
                raise fail(f"image id {number} stands twice")
            seen.add(number)
            if not isinstance(name, str) or not name:
                raise fail(f"image {number} needs a file_name, got {name!r:.80}")
            if not all(is_int(record.get(side)) and record[side] > 0 for side in ("height", "width")):
                got = f"{record.get('width')!r:.40} and {record.get('height')!r:.40}"
                raise fail(f"image {number} needs a width and a height in pixels, got {got}")
            sound.append(record)
    if not sound:
        raise fail("it lists no images")
    return sound


def _size(record: Record) -> Size:
    return record["height"], record["width"]


def _kin(record: Record, path: Path) -> tuple[tuple[str, ...], int | None]:
    """What an image is one of, and its number in that."""
    shared = {key.removesuffix("_id").removesuffix("_name"): record.get(key) for key in VIDEOS if key in record}
    kin = tuple(f"{key} {value}" for key, value in shared.items() if isinstance(value, str) or is_int(value))
    frame = next((record[key] for key in FRAMES if is_int(record.get(key))), None)
    if frame is not None and not kin:  # of one video, then: where it has no name, the folder stands for it
        kin = (f"frames in {path.parent}",)
    return kin, frame
