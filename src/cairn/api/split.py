"""`cairn.split`: divides labels into training and validation sets without data leakage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from cairn.api.progress import Progress, counter, output_folder
from cairn.arguments import checked
from cairn.errors import CairnError, LabelError, OutputError
from cairn.wording import counted

if TYPE_CHECKING:
    from cairn.datasets.labels import Labels
    from cairn.datasets.split import Split as Division

FILES = ("train.json", "val.json", "split.json")


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """What `cairn.split` returns.

    Attributes:
        train: Labels to train on.
        val: Labels to validate on.
        num_cut: Number of images of a video, or of near-duplicates, that had to be divided; 0 where none was.
        folder: Folder of the files.
    """

    train: Labels
    val: Labels
    num_cut: int
    folder: Path

    @property
    def train_file(self) -> Path:
        """The training labels as COCO."""
        return self.folder / FILES[0]

    @property
    def val_file(self) -> Path:
        """The validation labels as COCO."""
        return self.folder / FILES[1]

    @property
    def split_file(self) -> Path:
        """The split, to be applied to the same labels again."""
        return self.folder / FILES[2]

    def __repr__(self) -> str:
        return f"Split({self.folder}: {counted(len(self.train), 'image')} to train on, {len(self.val)} to validate on)"


@checked
def split(
    labels: str | Path,
    out: str | Path,
    *,
    images: str | Path | None = None,
    share: float | None = None,
    seed: int | None = None,
    split_file: str | Path | None = None,
    progress: Progress | None = None,
) -> Split:
    """Divides labels into training and validation sets; videos, subjects and near-duplicates stay together.

    Writes train.json and val.json (COCO), and split.json.

    Example:
        splits = cairn.split("labels.json", "splits/")
        cairn.train(splits.train_file, val=splits.val_file)

    Args:
        labels: Labels in any format that Cairn reads.
        out: Folder to write into.
        images: Folder of the images. Default: images/ beside the labels, or their own folder.
        share: Share of the images to validate on. Default: 0.1.
        seed: Random seed of the split. Default: 0.
        split_file: A split.json, of a training run too, to divide the labels by; it goes with neither `share` nor
            `seed`.
        progress: Called with the task, the number of images done, and their total.

    Raises:
        CairnError: `share` is not between 0 and 1, or given with `split_file`, as `seed` may not be either.
        LabelError: The labels cannot be used or have several splits already, or the split is of other labels.
        OutputError: The folder holds a split already, or cannot be written to.
    """
    from cairn.datasets.formats import ReadOptions
    from cairn.datasets.formats.coco import write_coco
    from cairn.datasets.reading import read_labels
    from cairn.datasets.split import write_split
    from cairn.datasets.splits import split_counts, training_splits
    from cairn.files import ensure_writable_folder

    if split_file is not None and (share is not None or seed is not None):
        given = "share" if share is not None else "seed"
        raise CairnError(f"give either {given} or a split file: the file {split_file} states the images of the split")
    share = 0.1 if share is None else share
    if not 0 < share < 1:
        raise CairnError(f"share must be between 0 and 1, got {share:g}")
    read = read_labels(Path(labels), ReadOptions(Path(images) if images else None))
    if split_file is not None:
        read, _ = training_splits(read, labels)  # what a run divides
    elif len(read.splits) > 1:
        raise LabelError(
            f"{labels} is divided already, into {split_counts(read)}: cairn train uses these splits; to divide one of "
            f"them, convert it first: cairn convert {quote(str(labels))} train.json --split train"
        )
    folder = Path(out)
    if taken := [folder / name for name in FILES if (folder / name).exists()]:
        raise OutputError(f"{taken[0]} exists: give another folder")
    with output_folder(folder, ensure_writable_folder):
        division = _divided(read, share, seed or 0, split_file, progress)
        train, val = division.apply(read)
        result = Split(train, val, division.cut, folder)
        write_coco(train, result.train_file)
        write_coco(val, result.val_file)
        write_split(division, result.split_file)
    return result


def _divided(
    labels: Labels, share: float, seed: int, split_file: str | Path | None, progress: Progress | None
) -> Division:
    """Returns a new split, or the one of a file."""
    from cairn.datasets import split as splitting

    if split_file is not None:
        return splitting.read_split(Path(split_file), labels)
    return splitting.split(labels, share, seed, progress=counter(progress, "reading", len(labels)))
