"""A file format of labels: a name, a sniffer, and a reader or a writer or both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cairn.datasets.labels import Labels
from cairn.datasets.problems import Problems
from cairn.structures.skeleton import Skeleton

MIN_CONFIDENCE = 0.5
"""Default confidence at which a predicted keypoint counts as labeled."""


@dataclass(frozen=True)
class ReadOptions:
    """Options that every reader takes.

    Attributes:
        images: Folder of the images; None searches where the tools put them (see `image_files`).
        skeleton: Skeleton to map the labels to, matched by joint name; None takes the labels' own. Labels without
            joint names take its names in order, where it has as many joints, and otherwise number the joints.
        split: Split to read where one file holds several; None reads all.
        missing_ok: Whether a listed image may be missing, where the labels state its size (COCO).
        problems: Collects skipped records and notes.
        frames: Folder to write images to that are frames of videos or embedded in the label file (SLEAP); None
            raises for such files.
        confidence: Minimum confidence at which a predicted keypoint counts as labeled, for files that hold
            predictions.
        category: Name of the category to read, where a file has several; None reads all that share their keypoints.
        exclude: List of images, or labels, whose images `read_labels` excludes; None excludes none.
        gt: Published ground truth of MPII, from which `read_labels` takes joints and head sizes; see `mpii_gt`.
    """

    images: Path | None = None
    skeleton: Skeleton | None = None
    split: str | None = None
    missing_ok: bool = False
    problems: Problems = field(default_factory=Problems)
    frames: Path | None = None
    confidence: float = MIN_CONFIDENCE
    category: str | None = None
    exclude: Path | None = None
    gt: Path | None = None


@dataclass(frozen=True)
class Format:
    """A file format of labels. `formats/__init__.py` registers all of them in one table.

    Attributes:
        name: Name of the format, as in `cairn convert --to NAME`.
        title: Noun phrase for messages, such as `COCO keypoints (.json)`.
        suffixes: Suffixes of a file or folder of this format, `""` for a folder. A writable format is selected by
            the suffix of the target.
        sniff: Whether a path is of this format, by its content. May raise `LabelError` or `MissingExtra` for a file
            that belongs to the format and cannot be read.
        read: Reader; None for a format that is only written.
        write: Writer, which returns a message for each kind of information that the format cannot hold; None for a
            format that is only read. The split is that of all images; if it is empty, each image goes to its own, or to
            train. Formats without splits ignore it.
        splits: Names of the splits that one file or folder may hold.
        selects_category: Whether the reader selects `ReadOptions.category` itself, also of categories with different
            keypoints. Of other formats, the category is selected among the classes of the labels.
        relative: Whether it states coordinates as shares of the image size, so that the size must be right.
        heads: Whether it holds head sizes.
        image_paths: Lists the paths of the images without reading annotations; None: they are those of `read`.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    sniff: Callable[[Path], bool]
    read: Callable[[Path, ReadOptions], Labels] | None = None
    write: Callable[[Labels, Path, str], tuple[str, ...]] | None = None
    splits: tuple[str, ...] = ()
    relative: bool = False
    selects_category: bool = False
    heads: bool = False
    image_paths: Callable[[Path, ReadOptions], list[Path]] | None = None
