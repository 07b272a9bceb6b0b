"""Twenty labeled images: landmarks discovered without labels and taught, against an hourglass trained on the twenty.

    python benchmarks/few_labels.py runs/face-landmarks .data/faces [DRAWS]

Both run on whole images without bounding boxes. They are trained on the 68 points; errors are over the standard 5, in
percent of the distance between the eyes. Draws are by seed; both use the same images.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from cairn.api.load import load
from cairn.datasets.formats.coco import read_coco
from cairn.evaluation.evaluate import evaluate
from cairn.evaluation.prediction import predict_in_skeleton
from cairn.evaluation.protocols import protocol_of
from cairn.structures.skeleton import load_skeleton

LABELED = 20
EPOCHS = 200  # of 20 images: the validation error converges earlier


def whole_images(source: Path, target: Path, chosen: set[int] | None = None) -> None:
    """Writes the labels of some images with the whole image as every box."""
    labels = json.loads(source.read_text(encoding="utf-8"))
    sizes = {image["id"]: [0, 0, image["width"], image["height"]] for image in labels["images"]}
    kept = [i for i, image in enumerate(labels["images"]) if chosen is None or i in chosen]
    ids = {labels["images"][i]["id"] for i in kept}
    labels["images"] = [labels["images"][i] for i in kept]
    labels["annotations"] = [
        annotation | {"bbox": sizes[annotation["image_id"]]}
        for annotation in labels["annotations"]
        if annotation["image_id"] in ids
    ]
    target.write_text(json.dumps(labels), encoding="utf-8")


def nme(model: Path, data: Path, fit: str) -> float:
    """Returns the NME of five points on the validation images."""
    five = load_skeleton("face5")
    labels = read_coco(data, DATA / "images", five)
    predictor = load(model, threads=1)
    return evaluate(predict_in_skeleton(predictor, five, labels), labels, fit, protocol_of("eyes")).error.value


def cairn(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "cairn", *map(str, arguments)], check=True, capture_output=True)


RUN, DATA = Path(sys.argv[1]), Path(sys.argv[2])
DRAWS = int(sys.argv[3]) if len(sys.argv) > 3 else 3
images = len(read_coco(DATA / "train.json"))
print(f"NME of 5 points in % on {DATA}/val.json, {LABELED} labeled images")
print("draw  taught  --ridge  --ridge --mirror  hourglass")
with tempfile.TemporaryDirectory() as folder:
    here = Path(folder)
    whole_images(DATA / "val.json", here / "val.json")
    for draw in range(DRAWS):
        chosen = set(np.random.default_rng(draw).choice(images, LABELED, replace=False).tolist())
        whole_images(DATA / "train.json", here / "few.json", chosen)
        found = []
        for options in ([], ["--ridge"], ["--ridge", "--mirror"]):
            target = here / f"{draw}{len(options)}.onnx"
            cairn("teach", RUN, here / "few.json", "--images", DATA / "images", "--out", target, *options)
            found.append(nme(target, DATA / "val.json", "single_instance"))
        run = here / f"hourglass{draw}"
        cairn(
            "train", "--method", "hourglass", "--data", here / "few.json", "--images", DATA / "images",
            "--val", here / "val.json", "--val-images", DATA / "images", "--out", run, "--epochs", EPOCHS,
            "--set", "input.size=96", "--set", "input.margin=1.0", "--set", "network.depth=3",
            "--set", f"run.validate_every={EPOCHS}", "--set", "run.workers=0", "--batch", 10,
        )  # fmt: skip
        found.append(nme(run / "model.onnx", here / "val.json", "crop"))
        print(f"{draw:4}  {found[0]:6.2f}  {found[1]:7.2f}  {found[2]:16.2f}  {found[3]:9.2f}", flush=True)
