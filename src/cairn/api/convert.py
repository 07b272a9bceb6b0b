"""`cairn.convert`: converts labels between file formats."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cairn.api.reading import read_options
from cairn.api.settings import optional_path
from cairn.arguments import checked
from cairn.errors import CairnError, LabelError, OutputError
from cairn.wording import counted

if TYPE_CHECKING:
    from cairn.datasets.formats import ReadOptions
    from cairn.datasets.labels import Labels
    from cairn.structures.skeleton import Skeleton

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, repr=False)
class Conversion:
    """What `cairn.convert` returns.

    Attributes:
        target: The file or folder that was written.
        skeleton: Skeleton of the labels.
        labels: The labels as written; None where only a skeleton was converted.
        skeleton_file: The skeleton as .toml, for correction; None where an existing file was kept.
        notes: Origin of the limbs, flip pairs and sigmas of the skeleton.
        lost: What the target format cannot represent, a line each.
        skipped: Records that could not be used, a line each.
    """

    target: Path
    skeleton: Skeleton
    labels: Labels | None = None
    skeleton_file: Path | None = None
    notes: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def num_images(self) -> int:
        """Number of images."""
        return 0 if self.labels is None else len(self.labels)

    @property
    def num_instances(self) -> int:
        """Number of annotated instances."""
        return 0 if self.labels is None else sum(len(image.annotation) for image in self.labels)

    def __fspath__(self) -> str:
        return str(self.target)

    def __repr__(self) -> str:
        counts = ""
        if self.labels is not None:
            counts = f"{counted(self.num_images, 'image')}, {counted(self.num_instances, 'instance')}, "
        skipped = f", {counted(len(self.skipped), 'record')} skipped" if self.skipped else ""
        return f"Conversion({self.target}: {counts}skeleton {self.skeleton.name}{skipped})"


@checked
def convert(
    source: str | Path,
    target: str | Path,
    *,
    to: str | None = None,
    images: str | Path | None = None,
    skeleton: str | None = None,
    skip_bad: bool = False,
    split: str | None = None,
    confidence: float | None = None,
    category: str | None = None,
    gt: str | Path | None = None,
    part: str | None = None,
    overwrite: bool = False,
) -> Conversion:
    """Converts labels from one file format to another.

    The skeleton is also written to TARGET.skeleton.toml. Correct limbs, flip pairs and sigmas in that file and pass it
    as `skeleton`.

    Example:
        cairn.convert("labels.slp", "mice.json")

    Args:
        source: Labels: COCO (CVAT, Label Studio, coco-annotator), YOLO-pose, SLEAP, DeepLabCut, LabelMe, VIA, CVAT's
            XML, Label Studio's JSON, OpenPose, AlphaPose, 300-W, MPII, LSP, FLIC, pose-hg-train's .h5 or Cairn's
            tables; or mmpose's dataset_info (.py), where `target` is a .toml.
        target: File to write: .json for COCO, .csv, .parquet, a folder for YOLO-pose, .xml for CVAT,
            .label_studio.json, .slp, a folder .labelme or .dlc (DeepLabCut), .toml for the skeleton
            alone.
        to: Format of `target`: coco, yolo, csv, parquet, cvat, labelme, label_studio, sleap, deeplabcut or toml.
            Default: by its name.
        images: Folder of the images. Default: where the annotation tool puts them.
        skeleton: Name of a skeleton, .toml, or mmpose's .py: joints by name, limbs, flip pairs, sigmas.
        skip_bad: Whether to skip records that cannot be used.
        split: Split of `source` to convert, where it has several: train, val or test. Default: all; a YOLO folder
            keeps them apart.
        confidence: Minimum confidence at which a predicted keypoint counts as labeled, for labels that are
            predictions. Default: 0.5.
        category: Category to convert, where the labels have several. Default: all with the same keypoints.
        gt: Published ground truth of MPII's validation people, for their head sizes; see `cairn.evaluate`.
        part: Split of a YOLO folder to write all images to. Default: their own; for labels without splits, the name
            of `source`, or train.
        overwrite: Whether to overwrite existing files.

    Raises:
        LabelError: The labels cannot be used.
        SkeletonError: The skeleton cannot be used.
        OutputError: A file exists or cannot be written.
        MissingExtra: Reading or writing the format needs an extra.
    """
    from cairn.datasets.formats import mmpose
    from cairn.datasets.problems import Problems
    from cairn.datasets.writing import form_by_name

    source, target = Path(source), Path(target)
    form = to or ("toml" if target.suffix == ".toml" else form_by_name(target))
    if source.suffix == ".py" and (form == "toml" or not mmpose.FORMAT.sniff(source)):
        return _skeleton_alone(source, target, form, overwrite)
    problems = Problems(skip_bad)
    reading = read_options(images, split, confidence, category, problems=problems, gt=optional_path(gt))
    if form != "yolo":  # the splits of a YOLO folder are known after reading
        _check_free(target, source, overwrite)
    return _converted(source, target, _Options(form, reading, skeleton, part, overwrite))


@dataclass(frozen=True)
class _Options:
    """The options of a conversion."""

    form: str
    reading: ReadOptions
    skeleton: str | None
    part: str | None
    overwrite: bool


def _skeleton_alone(source: Path, target: Path, form: str, overwrite: bool) -> Conversion:
    """Converts mmpose's dataset_info to a skeleton file."""
    from cairn.datasets.formats.skeleton_file import read_skeleton, write_skeleton

    if form != "toml":
        raise OutputError(f"{source} describes a skeleton, not images: the target must be a .toml, got {target}")
    _check_free(target, source, overwrite)
    skeleton = read_skeleton(source)
    write_skeleton(skeleton, target)
    return Conversion(target, skeleton, skeleton_file=target)


def _converted(source: Path, target: Path, options: _Options) -> Conversion:
    """Converts labels, and writes their skeleton."""
    from cairn.datasets.formats.skeleton_file import read_skeleton, skeleton_beside, write_skeleton
    from cairn.datasets.limbs import infer_limbs, skeleton_origins
    from cairn.datasets.reading import read_labels
    from cairn.datasets.writing import write_labels

    given = read_skeleton(options.skeleton) if options.skeleton else None
    only_skeleton = options.form == "toml"
    problems = options.reading.problems
    with _frames_folder(target, keep=options.form not in ("yolo", "deeplabcut", "toml")) as frames:
        labels = read_labels(source, replace(options.reading, skeleton=given, frames=frames))
        labels = labels if only_skeleton else _checked(labels, source, options)
        part = _part(labels, source, target, options)
        limbs_given = bool(labels.skeleton.limbs) or given is not None
        if given is None:
            labels = infer_limbs(labels)
        definition = target if only_skeleton else skeleton_beside(target)
        title = f"Skeleton of {source.name}. Correct what is wrong here."
        notes = tuple(skeleton_origins(labels.skeleton, limbs_given))
        is_new = not _is_present(labels.skeleton, definition, options)
        lost = () if only_skeleton else write_labels(labels, target, options.form, part)
    if is_new:
        write_skeleton(labels.skeleton, definition, (title, *notes))
    written = definition if is_new else None
    return Conversion(target, labels.skeleton, labels, written, notes, tuple(lost), tuple(problems.skipped))


def _checked(labels: Labels, source: Path, options: _Options) -> Labels:
    """Returns the labels whose images have the size that the labels state, where the target needs it.

    Raises:
        LabelError: An image has another size, and invalid records are not skipped.
    """
    from cairn.datasets.checks.findings import width_by_height
    from cairn.datasets.checks.image_sizes import check_sizes, differs, read_sizes
    from cairn.datasets.checks.sanity import WRONG_PLACE
    from cairn.datasets.formats import FORMATS

    sizes = read_sizes(labels)
    wrong = [finding for finding in check_sizes(source.name, labels, sizes) if finding.level == "error"]
    relative = any(known.relative for known in FORMATS if known.name == options.form)
    if not wrong or not relative:
        for finding in wrong:
            log.warning("%s", finding.line)
        return labels
    problems = options.reading.problems
    if not problems.skip:
        raise LabelError(f"{wrong[0].line}: {WRONG_PLACE}, or pass --skip-bad")
    problems.skipped += [
        f"{case['image']} is {width_by_height(case['size_of_file'])}, in the labels "
        f"{width_by_height(case['size_in_labels'])}"
        for case in wrong[0].cases
    ]
    kept = [image for image, size in zip(labels, sizes, strict=True) if not differs(image, size)]
    if not any(image.annotation.labeled.any() for image in kept):
        raise LabelError(f"{wrong[0].line}: {WRONG_PLACE}; no other image has an annotated instance")
    return replace(labels, images=tuple(kept))


def _part(labels: Labels, source: Path, target: Path, options: _Options) -> str | None:
    """Returns the split to write all images to; None keeps their own splits.

    Raises:
        OutputError: A split of a YOLO folder exists and is not to be overwritten.
    """
    from cairn.datasets.labels import SPLITS
    from cairn.datasets.writing import written_splits

    part = options.part
    if options.form != "yolo":
        return part
    if part is None and not labels.splits:
        part = source.stem if source.stem in SPLITS else "train"
    for name in [part] if part else written_splits(labels):
        _check_free(target / "images" / name, source, options.overwrite)
    return part


@contextmanager
def _frames_folder(target: Path, keep: bool) -> Iterator[Path]:
    """Yields a folder for frames that are extracted from videos.

    Folders of YOLO and DeepLabCut have copies of their images, so that the extracted frames need not be kept.
    """
    with ExitStack() as cleanup:
        if not keep:
            yield Path(cleanup.enter_context(tempfile.TemporaryDirectory()))
            return
        frames = target.parent / "images"
        if not frames.exists():
            cleanup.push(lambda kind, *_: shutil.rmtree(frames, ignore_errors=True) if kind else None)
        yield frames


def _check_free(target: Path, source: Path, overwrite: bool) -> None:
    """Raises OutputError where the target exists and is not to be overwritten, or is the source."""
    if target.resolve() == source.resolve() or (source.exists() and target.resolve() in source.resolve().parents):
        raise OutputError(f"{target} is the source of the conversion: choose another target")
    if target.exists() and not overwrite:
        raise OutputError(f"{target} exists: choose another target, or pass --overwrite")


def _is_present(skeleton: Skeleton, path: Path, options: _Options) -> bool:
    """Whether the file holds the same skeleton, or is the one that was given.

    Raises:
        OutputError: The file holds another skeleton.
    """
    from cairn.datasets.formats.skeleton_file import read_skeleton

    if not path.exists():
        return False
    given = options.skeleton
    if given is not None and Path(given).exists() and path.samefile(given):
        return True
    try:
        if read_skeleton(path) == skeleton:
            return True
    except CairnError:
        pass  # not a skeleton, so another content
    if options.overwrite:
        return False
    raise OutputError(f"{path} exists with another skeleton: pass it as --skeleton, or pass --overwrite")
