"""Landmarks of an animal that is a small part of the image, with the views of --crop none, boxes and motion.

    python benchmarks/motion.py .data/openfield [EPOCHS]

The folder has images/ of one static camera, train.json and val.json. Trains ten landmarks for each kind of view, maps
them to the labeled keypoints, and prints the NME on val in percent of the diagonal of the bounding box: with 20 labels
the mean of ten draws, and with all labels. Then processor time of finding what moves, in one thread.
"""

import sys
import tempfile
import time
from pathlib import Path

import cv2

import cairn
from cairn.datasets.motion import folder_background
from cairn.media.images import read_image

DATA = Path(sys.argv[1])
EPOCHS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
FEW = 20
SETTINGS = {"run.threads": 1, "run.workers": 0}
VIEWS = {"none": DATA / "images", "boxes": DATA / "train.json", "motion": DATA / "images"}
REPEATS = 20


def errors(folder: Path, views: str) -> str:
    """The figures of one kind of view: few and all labels with --ridge, all labels by least squares."""
    run = cairn.discover(
        VIEWS[views], crop=views, landmarks=10, epochs=EPOCHS, out=folder / views, settings=SETTINGS, name=views
    )
    taught = cairn.teach(run, DATA / "train.json", val=DATA / "val.json", ridge=True, metric="diagonal")
    nme = {(row["regression"], row["images"]): row["nme"] for row in taught.errors}
    figures = nme["ridge", FEW], nme["ridge", taught.num_images], nme["paper", taught.num_images]
    return "  ".join(f"{figure:10.1f}" for figure in figures)


def speed() -> str:
    """Milliseconds of the background, and of what moves in one image."""
    cv2.setNumThreads(1)
    paths = sorted((DATA / "images").iterdir())
    images = [read_image(path) for path in paths[:REPEATS]]
    start = time.process_time()
    background = folder_background(DATA / "images", images[0].shape[:2])
    made = time.process_time()
    for image in images:
        background.box(image)
    each = (time.process_time() - made) / len(images)
    return f"background {1e3 * (made - start):.0f} ms, what moves {1e3 * each:.1f} ms per image"


if __name__ == "__main__":
    print(f"{'views':10}  {FEW} --ridge  all --ridge  all, least squares")
    with tempfile.TemporaryDirectory() as folder:
        for views in VIEWS:
            print(f"{views:10}  {errors(Path(folder), views)}", flush=True)
    print(speed())
