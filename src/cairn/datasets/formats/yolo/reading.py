"""Reads YOLO-pose data sets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cairn.datasets.containers.text_file import read_text
from cairn.datasets.containers.yaml_file import read_yaml, yaml_with
from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.formats.instances import Instance, ListedImage, collect
from cairn.datasets.formats.yolo.data_yaml import KeypointShape, class_names, keypoint_shape, skeleton_of
from cairn.datasets.formats.yolo.label_file import BOX, read_instances
from cairn.datasets.formats.yolo.places import SPLIT_KEYS, images_of_splits, label_file
from cairn.datasets.labels import Labels
from cairn.errors import ImageError, LabelError
from cairn.media.images import image_size


def read_yolo(path: Path, options: ReadOptions) -> Labels:
    """Reads the labels of a data set by its YAML file or folder. Images without a text file have no instances.

    A split in which no image has a text file is not labeled: it is noted and skipped. Classes without labels are
    noted and ignored.

    Raises:
        LabelError: Anything is missing or contradictory. Names the file and the line.
        MissingExtra: PyYAML is not installed.
    """
    path = yaml_with(path, "kpt_shape", SPLIT_KEYS) or path
    table = read_yaml(path)
    shape = keypoint_shape(table, path)
    names = class_names(table, path, options.problems)
    instances: list[Instance] = []
    listed: list[ListedImage] = []
    for split, images in _labeled_splits(images_of_splits(table, path, options), path, options).items():
        for image in images:
            with options.problems:
                entry, own = _read_image(image, split, shape, path, options)
                listed.append(entry)
                instances += own
    classes, instances = _classes(instances, names, path, options)
    skeleton = skeleton_of(table, classes, shape.joints, options.skeleton, path, options.problems)
    unique = list(dict.fromkeys(classes.values()))
    index_of = {number: unique.index(name) for number, name in classes.items()}
    instances = [replace(instance, category=index_of[instance.category]) for instance in instances]
    return collect(instances, skeleton, path, None, listed, problems=options.problems, classes=unique)


def missing_yaml(path: Path) -> str | None:
    """Returns what to add to a folder of label files, or to one of them, that has no data.yaml; None for others.

    `yolo predict save_txt` writes such folders.
    """
    files = [path] if path.suffix == ".txt" else []
    if path.is_dir():
        files = next((found for depth in ("*", "labels/*", "labels/*/*", "*/labels/*")
                      if (found := sorted(path.glob(f"{depth}.txt")))), [])  # fmt: skip
    for file in files:
        try:
            values = [float(field) for field in read_text(file).split("\n", 1)[0].split()]
        except (LabelError, ValueError):
            continue
        if len(values) >= BOX and values[0].is_integer() and all(0 <= value <= 1 for value in values[1:BOX]):
            folder = path if path.is_dir() else path.parent
            guess = f"[{(len(values) - BOX) // 3}, 3]"
            return (
                f"{path} has label files of YOLO but no data.yaml: write {folder / 'data.yaml'} with the lines "
                f"'train: FOLDER_OF_IMAGES', 'kpt_shape: {guess}' (joints, numbers of each) and 'names: [NAME]', where "
                "the label files are in labels/ beside images/, or beside the images"
            )
    return None


def _labeled_splits(splits: dict[str, list[Path]], path: Path, options: ReadOptions) -> dict[str, list[Path]]:
    """The splits in which an image has a label file."""
    labeled = {}
    for split, images in splits.items():
        if any(label_file(image).is_file() for image in images):
            labeled[split] = images
        else:
            options.problems.note("splits without a label file are skipped", f"{split} has no {label_file(images[0])}")
    if not labeled:
        image = next(iter(splits.values()))[0]
        raise LabelError(f"{path}: no image has a label file: expected {label_file(image)} for {image}")
    return labeled


def _read_image(
    image: Path, split: str, shape: KeypointShape, path: Path, options: ReadOptions
) -> tuple[ListedImage, list[Instance]]:
    try:
        size = image_size(image)
    except ImageError as error:
        raise LabelError(f"{path}: {error}") from None
    text = label_file(image)
    instances = read_instances(text, str(image), size, shape, options) if text.is_file() else []
    return ListedImage(str(image), size, split=split), instances


def _classes(
    instances: list[Instance], names: dict[int, str], path: Path, options: ReadOptions
) -> tuple[dict[int, str], list[Instance]]:
    """Names of the classes that have instances, by number; and the instances. A chosen category is the only one."""
    used = sorted({instance.category for instance in instances})
    for number in used:
        if number not in names:
            first = next(instance.image for instance in instances if instance.category == number)
            options.problems.note("classes without a name are named by their number", f"class {number} of {first}")
    classes = {number: names.get(number, f"class_{number}") for number in used}
    if options.category is not None:
        chosen = {number: name for number, name in (names | classes).items() if name == options.category}
        if not chosen:
            known = ", ".join(dict.fromkeys((names | classes).values()))
            raise LabelError(f"{path} has no category {options.category}: expected one of {known:.200}")
        return chosen, [instance for instance in instances if instance.category in chosen]
    unused = [name for number, name in names.items() if number not in classes]
    if unused and used and options.split is None:
        options.problems.note("classes without labels are ignored", f"{', '.join(unused):.80}")
    return classes or names, instances
