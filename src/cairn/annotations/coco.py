"""Labels in COCO's keypoint format (https://cocodataset.org/#format-data): the form that most tools write."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.annotations.category import skeleton_of_category
from cairn.annotations.labels import LabelledPicture, Labels
from cairn.errors import LabelError, SkeletonError
from cairn.output import whole_file
from cairn.poses import Annotation
from cairn.skeleton import Skeleton

TRACKS = ("track", "track_id", "instance_id")  # SLEAP's exports, PoseTrack's, others'
AREA_PER_BOX = 0.53  # of a box that a person covers, where no area is given; xtcocotools takes the same
VIDEOS = ("video", "video_id", "vid_id", "video_name", "sequence", "subject", "subject_id")  # what pictures share
FRAMES = ("frame", "frame_id", "frame_index", "frame_idx")
LARGEST = float(np.finfo(np.float32).max)  # a number beyond it would become infinite
LARGEST_TRACK = np.iinfo(np.int64).max

Record = Mapping[str, Any]


def read_coco(
    labels: Path, images: Path | None = None, skeleton: Skeleton | None = None, absent_ok: bool = False
) -> Labels:
    """The labels of a COCO keypoint file.

    images    folder of the pictures; None takes `images` beside the file, or else the file's own folder
    skeleton  the joints wanted, matched by name; None takes the file's: a definition of Cairn's where
              the names and their order are the same, else what the file's category says
    absent_ok a picture that is listed need not be there: for who looks which are

    Joints with v = 0 become NaN. A box that is missing is drawn around the joints, an area that is missing is
    0.53 of the box. A joint that no object of the file has counts as not known to it. Who an object is in a video
    is read from `track`, `track_id` or `instance_id`, where that is a number from 0; what pictures share (VIDEOS) and
    their place in it (FRAMES) from the fields of those names.
    Raises LabelError with file and record where anything is missing, of a wrong type or contradictory.
    """
    labels = Path(labels)
    content = _read_json(labels)

    def fail(reason: str) -> LabelError:
        return LabelError(f"{labels}: {reason}")

    categories, own = _keypoint_categories(content["categories"], labels, fail)
    pictures = _pictures(content["images"], labels, images, absent_ok, fail)
    rows, picture_of = _rows(content["annotations"], categories, [number for number, _, _ in pictures], fail)
    joints = own.joints
    expected = f"3 numbers for each of the category's {len(joints)} joints"
    points = _numbers(rows, "keypoints", 3 * len(joints), fail, expected)
    points = points.reshape(-1, len(joints), 3)
    everything = _annotation(rows, points, fail)
    if not everything.labelled.any():
        raise fail("no object has a labelled joint: every v is 0")

    order = np.argsort(picture_of, kind="stable")
    cuts = np.searchsorted(picture_of[order], np.arange(len(pictures) + 1))
    everything = everything[order]
    result = Labels(
        skeleton=own,
        pictures=tuple(
            LabelledPicture(number, path, size, everything[start:end], *_kin(record, path))
            for (number, path, size), record, start, end in zip(
                pictures, content["images"], cuts[:-1], cuts[1:], strict=True
            )
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
    """Writes labels so that `read_coco` reads the same; picture names are relative to the file where they can be.

    Raises OutputError where the file cannot be written.
    """
    path = Path(path)
    folder = path.parent / "images" if (path.parent / "images").is_dir() else path.parent
    images: list[dict] = []
    annotations: list[dict] = []
    for picture in labels:
        inside = picture.path.is_relative_to(folder)
        name = picture.path.relative_to(folder) if inside else picture.path.absolute()
        height, width = picture.size
        images.append({"id": picture.id, "file_name": name.as_posix(), "width": width, "height": height})
        rows = picture.annotation
        points = np.concatenate([np.nan_to_num(rows.keypoints), rows.visibility[..., None]], axis=2)
        for i in range(len(rows)):
            track = -1 if rows.tracks is None else int(rows.tracks[i])
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": picture.id,
                    "category_id": 1,
                    "keypoints": [int(v) if v == int(v) else float(v) for v in points[i].ravel()],
                    "num_keypoints": int((rows.visibility[i] > 0).sum()),
                    "bbox": rows.boxes[i].tolist(),
                    "area": float(rows.areas[i]),
                    "iscrowd": int(rows.crowd[i]),
                    **({"track_id": track} if track >= 0 else {}),
                }
            )
    limbs = [[a + 1, b + 1] for a, b in labels.skeleton.limbs]
    category = {"id": 1, "name": labels.skeleton.name, "keypoints": list(labels.skeleton.joints), "skeleton": limbs}
    with whole_file(path) as beside:
        beside.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [category]}))


def _read_json(path: Path) -> dict[str, list]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise LabelError(f"cannot read labels {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise LabelError(f"{path} is not JSON: it is no UTF-8 text") from None
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{path} is not JSON that can be read: {error}") from None
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise LabelError(f"{path} is not in COCO's format: expected an object with a list {key!r}")
    return content


def _keypoint_categories(
    categories: list, labels: Path, fail: Callable[[str], LabelError]
) -> tuple[dict[int, bool], Skeleton]:
    """Which category ids have keypoints, and the skeleton that those share."""
    found: dict[int, Skeleton] = {}
    posed: dict[int, bool] = {}
    for i, category in enumerate(categories):
        if not isinstance(category, dict) or not _is_int(category.get("id")):
            raise fail(f"categories[{i}] needs an integer id")
        if category["id"] in posed:
            raise fail(f"category id {category['id']} stands twice")
        names = category.get("keypoints")
        posed[category["id"]] = names is not None
        if names is None:
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


def _pictures(
    records: list, labels: Path, images: Path | None, absent_ok: bool, fail: Callable[[str], LabelError]
) -> list[tuple[int, Path, tuple[int, int]]]:
    """(id, path, (height, width)) of each picture; every file exists, unless that is `absent_ok`."""
    beside = labels.parent / "images"
    folder = Path(images) if images is not None else beside if beside.is_dir() else labels.parent
    if not folder.is_dir():
        raise fail(f"no folder of pictures at {folder}")
    pictures, seen = [], set()
    for i, record in enumerate(records):
        if not isinstance(record, dict) or not _is_int(record.get("id")):
            raise fail(f"images[{i}] needs an integer id")
        number, name = record["id"], record.get("file_name")
        if number in seen:
            raise fail(f"image id {number} stands twice")
        seen.add(number)
        if not isinstance(name, str) or not name:
            raise fail(f"image {number} needs a file_name, got {name!r:.80}")
        size: tuple[Any, Any] = record.get("height"), record.get("width")
        if not all(_is_int(side) and side > 0 for side in size):
            raise fail(f"image {number} needs a width and a height in pixels, got {size[1]!r:.40} and {size[0]!r:.40}")
        pictures.append((number, folder / name, size))
    if not pictures:
        raise fail("it lists no images")
    missing = [] if absent_ok else [path for _, path, _ in pictures if not path.is_file()]
    if missing:
        raise fail(
            f"{len(missing)} of {len(pictures)} pictures are missing, the first is {missing[0]}: "
            "say where they lie with --images"
        )
    return pictures


def _kin(record: Record, path: Path) -> tuple[tuple[str, ...], int | None]:
    """What a picture is one of, and its number in that."""
    shared = {key.removesuffix("_id").removesuffix("_name"): record.get(key) for key in VIDEOS if key in record}
    kin = tuple(f"{key} {value}" for key, value in shared.items() if isinstance(value, str) or _is_int(value))
    frame = next((record[key] for key in FRAMES if _is_int(record.get(key))), None)
    if frame is not None and not kin:  # of one video, then: where it has no name, the folder stands for it
        kin = (f"frames in {path.parent}",)
    return kin, frame


def _rows(
    annotations: list, categories: dict[int, bool], pictures: list[int], fail: Callable[[str], LabelError]
) -> tuple[list[Record], NDArray[np.int64]]:
    """The annotations of categories with keypoints, and the index of each one's picture."""
    index = {number: i for i, number in enumerate(pictures)}
    rows: list[Record] = []
    seen: set[int] = set()
    picture_of: list[int] = []
    for i, row in enumerate(annotations):
        if not isinstance(row, dict) or not _is_int(row.get("id")):
            raise fail(f"annotations[{i}] needs an integer id")
        number, category, image = row["id"], row.get("category_id"), row.get("image_id")
        if number in seen:
            raise fail(f"annotation id {number} stands twice")
        seen.add(number)
        if not _is_int(category) or category not in categories:
            raise fail(f"annotation {number} is of category_id {category!r:.40}, which is not among the categories")
        if not _is_int(image) or image not in index:
            raise fail(f"annotation {number} is of image_id {image!r:.40}, which is not among the images")
        if row.get("iscrowd", 0) not in (0, 1):
            raise fail(f"annotation {number}: iscrowd must be 0 or 1, got {row['iscrowd']!r:.40}")
        if categories[category]:
            rows.append(row)
            picture_of.append(index[image])
    return rows, np.array(picture_of, dtype=np.int64)


def _numbers(
    rows: list[Record], key: str, count: int, fail: Callable[[str], LabelError], expected: str
) -> NDArray[np.float64]:
    """(N, count) finite numbers; one conversion for all, and a search only where that fails."""
    if not rows:
        return np.zeros((0, count))
    values = [row.get(key) for row in rows]
    if key == "keypoints":  # a crowd has no joints of its own, and some tools leave them out
        values = [
            [0] * count if value is None and row.get("iscrowd") else value
            for row, value in zip(rows, values, strict=True)
        ]
    try:
        table = np.array(values)
        if table.shape == (len(rows), count) and table.dtype.kind in "iuf" and (np.abs(table) <= LARGEST).all():
            return table.astype(np.float64)
    except ValueError:  # ragged: the search below names the row
        pass
    for row, value in zip(rows, values, strict=True):
        if value is None:
            raise fail(f"annotation {row['id']} has no {key}")
        if not isinstance(value, list) or not all(_is_number(v) for v in value):
            raise fail(f"annotation {row['id']}: {key} must be a list of finite numbers, got {_first_bad(value)!r:.80}")
        if len(value) != count:
            raise fail(f"annotation {row['id']}: {key} must be {expected}, {count} in all, got {len(value)}")
    return np.array(values, dtype=np.float64)


def _annotation(rows: list[Record], points: NDArray[np.float64], fail: Callable[[str], LabelError]) -> Annotation:
    """All objects of the file as one struct. points (N, K, 3)."""
    visibility = points[..., 2]
    wrong = ~np.isin(visibility, (0, 1, 2)).all(axis=1)
    if wrong.any():
        i = int(wrong.argmax())
        bad = next(v for v in visibility[i] if v not in (0, 1, 2))
        raise fail(f"annotation {rows[i]['id']}: v must be 0 (not labelled), 1 (hidden) or 2 (visible), got {bad:g}")
    keypoints = np.where(visibility[..., None] > 0, points[..., :2], np.nan)
    boxed = [row for row in rows if row.get("bbox") is not None]
    boxes = np.zeros((len(rows), 4))
    with_box = np.array([row.get("bbox") is not None for row in rows], dtype=bool)
    boxes[with_box] = _numbers(boxed, "bbox", 4, fail, "x, y, width, height")
    if (boxes[:, 2:] < 0).any():
        i = int((boxes[:, 2:] < 0).any(axis=1).argmax())
        raise fail(f"annotation {rows[i]['id']}: bbox has a negative width or height: {boxes[i].tolist()}")
    for i in np.flatnonzero(~with_box).tolist():
        placed = keypoints[i][visibility[i] > 0]
        if not len(placed):
            raise fail(f"annotation {rows[i]['id']} has neither a bbox nor a labelled joint: remove it")
        boxes[i] = [*placed.min(axis=0), *np.ptp(placed, axis=0)]
    areas = AREA_PER_BOX * boxes[:, 2] * boxes[:, 3]
    for i, row in enumerate(rows):
        area = row.get("area")
        if area is not None:
            if not _is_number(area) or area < 0:
                raise fail(f"annotation {row['id']}: area must be a number of square pixels, got {area!r:.40}")
            areas[i] = area
    return Annotation(
        keypoints=keypoints.astype(np.float32),
        visibility=visibility.astype(np.uint8),
        boxes=boxes.astype(np.float32),
        areas=areas.astype(np.float32),
        crowd=np.array([bool(row.get("iscrowd", 0)) for row in rows], dtype=bool),
        tracks=_tracks(rows),
    )


def _tracks(rows: list[Record]) -> NDArray[np.int64] | None:
    """(N,) who is who; what else may stand under these names is no error, for few who read labels need tracks."""

    def number(row: Record) -> int:
        values = (row.get(key) for key in TRACKS)
        return next((int(v) for v in values if v is not None and _is_int(v) and 0 <= v <= LARGEST_TRACK), -1)

    tracks = np.array([number(row) for row in rows], dtype=np.int64)
    return tracks if (tracks >= 0).any() else None


def _first_bad(value: Any) -> Any:
    return next((v for v in value if not _is_number(v)), value) if isinstance(value, list) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
