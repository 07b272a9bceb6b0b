"""YOLO-pose data sets of a few small images, written by tests."""

from collections.abc import Mapping
from pathlib import Path

from support.made_labels import draw_images

LINE = "0 0.5 0.5 0.5 0.5 0.25 0.5 2 0.5 0.25 1 0 0 0"
"""An instance of three joints: visible, occluded, not labeled."""

POSE = "kpt_shape: [3, 3]\nnames: [fly]\nkpt_names: {0: [head, w1, w2]}\n"


def put_images(root: Path, *names: str, text: str | bytes | None = LINE) -> None:
    """Writes different images of 40 x 60 pixels, and a label file for each, in labels/ for those below images/."""
    draw_images(root, names)
    for name in names:
        file = (root / name.replace("images", "labels")).with_suffix(".txt")
        file.parent.mkdir(parents=True, exist_ok=True)
        if text is not None:
            file.write_bytes(text if isinstance(text, bytes) else f"{text}\n".encode())


def yolo_set(root: Path, data: str = POSE, lines: Mapping[str, str] | None = None) -> Path:
    """A data set with two images for training, one for validation; `lines` are the label files of a and b."""
    put_images(root, "images/train/a.png", "images/train/b.png", "images/val/c.png")
    for name, text in (lines or {}).items():
        (root / f"labels/train/{name}.txt").write_text(text)
    (root / "data.yaml").write_text(f"train: images/train\nval: images/val\n{data}")
    return root
